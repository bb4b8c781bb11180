-- Format 2. The decisions of a job that have a firing are a chain too: `prev_firing` is the previous one of them, 0 when there is none and
-- NULL in a decision without a firing. `head_firing` is the newest one, as `head` is the newest decision.
ALTER TABLE journal ADD COLUMN prev_firing INTEGER;
ALTER TABLE marks ADD COLUMN head_firing INTEGER NOT NULL DEFAULT 0;
ALTER TABLE departed ADD COLUMN head_firing INTEGER NOT NULL DEFAULT 0;

UPDATE journal SET prev_firing = link.prev FROM
    (SELECT seq, lag(seq, 1, 0) OVER (PARTITION BY job ORDER BY seq) AS prev FROM journal WHERE firing IS NOT NULL) AS link
    WHERE journal.seq = link.seq;
CREATE TEMP TABLE newest AS SELECT job, max(seq) AS seq FROM journal WHERE firing IS NOT NULL GROUP BY job;
UPDATE marks SET head_firing = newest.seq FROM newest WHERE newest.job = marks.id;
UPDATE departed SET head_firing = newest.seq FROM newest WHERE newest.job = departed.id;
DROP TABLE newest;

DROP TRIGGER jobs_insert;
CREATE TRIGGER jobs_insert AFTER INSERT ON jobs BEGIN
    DELETE FROM marks WHERE no = new.rowid AND id <> new.id;
    INSERT OR IGNORE INTO marks(no, id, head, head_firing)
        VALUES (new.rowid, new.id, coalesce((SELECT head FROM departed WHERE id = new.id), 0),
            coalesce((SELECT head_firing FROM departed WHERE id = new.id), 0));
    DELETE FROM departed WHERE id = new.id;
END;
DROP TRIGGER jobs_delete;
CREATE TRIGGER jobs_delete AFTER DELETE ON jobs BEGIN
    INSERT OR REPLACE INTO departed SELECT id, head, head_firing FROM marks WHERE no = old.rowid AND head > 0;
    DELETE FROM marks WHERE no = old.rowid;
END;
