-- Format 1. `jobs` is the Python version's table; that version can still read and write it. All other tables are ours.
CREATE TABLE IF NOT EXISTS jobs(id TEXT PRIMARY KEY NOT NULL, data JSONTEXT NOT NULL);

-- The metadata of each job. `no` is the job's rowid, which is the order of creation. `changed` is NULL while the newest
-- document, written by another program, has not been reconciled.
CREATE TABLE marks(
    no INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    uid BLOB,
    revision INTEGER NOT NULL DEFAULT 1,
    created INTEGER,
    changed INTEGER,
    broken INTEGER NOT NULL DEFAULT 0,
    head INTEGER NOT NULL DEFAULT 0,
    folds TEXT,
    settled INTEGER,
    last_firing TEXT,
    last_fired INTEGER,
    last_run INTEGER,
    last_run_tasks TEXT
);
CREATE INDEX marks_unseen ON marks(no) WHERE changed IS NULL;
CREATE INDEX marks_broken ON marks(no) WHERE broken <> 0;

-- The newest decision of each removed job, where its history begins.
CREATE TABLE departed(id TEXT PRIMARY KEY NOT NULL, head INTEGER NOT NULL) WITHOUT ROWID;

-- Decisions in the order in which they were made, each with its firing. `prev` is the job's previous decision, so that
-- a job's history needs no index of its own.
CREATE TABLE journal(
    seq INTEGER PRIMARY KEY,
    prev INTEGER NOT NULL,
    job TEXT NOT NULL,
    uid BLOB NOT NULL,
    outcome TEXT NOT NULL,
    born INTEGER NOT NULL,
    observed INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    count INTEGER NOT NULL,
    ledger TEXT NOT NULL,
    firing TEXT,
    state TEXT,
    tasks INTEGER,
    body TEXT
);
CREATE UNIQUE INDEX journal_firing ON journal(firing) WHERE firing IS NOT NULL;
CREATE INDEX journal_state ON journal(state) WHERE state IS NOT NULL;
-- An open firing is found by its state, so that the insert of a pending decision updates one index less.
CREATE INDEX journal_outcome ON journal(outcome) WHERE outcome <> 'pending';

CREATE TABLE registers(
    name TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL,
    version INTEGER NOT NULL,
    expires INTEGER
) WITHOUT ROWID;
CREATE INDEX registers_expires ON registers(expires) WHERE expires IS NOT NULL;

-- One row: the schema cookie for which `marks` equals `jobs`, and the newest decision that was ever pruned.
CREATE TABLE keeper(one INTEGER PRIMARY KEY CHECK (one = 1), cookie INTEGER NOT NULL, pruned INTEGER NOT NULL);
INSERT INTO keeper VALUES (1, -1, 0);

-- The pages that a health check writes; the next check removes them.
CREATE TABLE pulse(beat INTEGER PRIMARY KEY, ballast BLOB NOT NULL);

INSERT INTO marks(no, id) SELECT rowid, id FROM jobs;

-- These keep `marks` current, whichever program writes `jobs`: a change by another program leaves `changed` NULL.
CREATE TRIGGER jobs_insert AFTER INSERT ON jobs BEGIN
    DELETE FROM marks WHERE no = new.rowid AND id <> new.id;
    INSERT OR IGNORE INTO marks(no, id, head)
        VALUES (new.rowid, new.id, coalesce((SELECT head FROM departed WHERE id = new.id), 0));
    DELETE FROM departed WHERE id = new.id;
END;
CREATE TRIGGER jobs_update AFTER UPDATE OF data ON jobs BEGIN
    UPDATE marks SET revision = revision + 1, changed = NULL WHERE no = new.rowid;
END;
CREATE TRIGGER jobs_delete AFTER DELETE ON jobs BEGIN
    INSERT OR REPLACE INTO departed SELECT id, head FROM marks WHERE no = old.rowid AND head > 0;
    DELETE FROM marks WHERE no = old.rowid;
END;
