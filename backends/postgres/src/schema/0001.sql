-- Layout 1. Timestamps are nanoseconds since 1970; names sort by their bytes.

-- One row: the layout, and a counter that the health check increments.
CREATE TABLE ecss_layout (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    version integer NOT NULL,
    beat bigint NOT NULL DEFAULT 0
);

-- The jobs with their metadata. `no` is the order of creation, which is the order of commits too.
-- `head` is the newest decision under the job; `folds` is its outcome while the next one may be folded into it.
-- Columns that change with every tick stand before the document, and rows have room for updates in place.
CREATE TABLE ecss_jobs (
    id text COLLATE "C" PRIMARY KEY CHECK (id ~ '^[0-9A-Za-z_-]{1,255}$'),
    no bigint NOT NULL UNIQUE,
    uid uuid NOT NULL,
    shard smallint NOT NULL,
    revision bigint NOT NULL,
    created bigint NOT NULL,
    changed bigint NOT NULL,
    settled bigint,
    head bigint NOT NULL DEFAULT 0,
    folds text,
    last_firing text COLLATE "C",
    last_fired bigint,
    last_run bigint,
    last_run_tasks json,
    document json NOT NULL
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX ecss_jobs_shard ON ecss_jobs (shard, no);
CREATE SEQUENCE ecss_jobs_no AS bigint;

-- Decisions in the order of their commits, each with its firing.
CREATE TABLE ecss_journal (
    seq bigint PRIMARY KEY,
    job text COLLATE "C" NOT NULL,
    uid uuid NOT NULL,
    shard smallint NOT NULL,
    outcome text NOT NULL,
    born bigint NOT NULL,
    observed bigint NOT NULL,
    first bigint NOT NULL,
    last bigint NOT NULL,
    count bigint NOT NULL,
    ledger json NOT NULL,
    firing text COLLATE "C",
    state text,
    tasks integer,
    body json
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX ecss_journal_job ON ecss_journal (job, seq);
CREATE INDEX ecss_journal_outcome ON ecss_journal (outcome, seq);
CREATE INDEX ecss_journal_state ON ecss_journal (state, seq) WHERE state IS NOT NULL;
CREATE UNIQUE INDEX ecss_journal_firing ON ecss_journal (firing) WHERE firing IS NOT NULL;
CREATE SEQUENCE ecss_journal_seq AS bigint;

-- How many jobs each shard has, how many were ever removed, and the number of its newest edit.
CREATE TABLE ecss_shards (
    shard smallint PRIMARY KEY,
    jobs bigint NOT NULL DEFAULT 0,
    removed bigint NOT NULL DEFAULT 0,
    edits bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10);
INSERT INTO ecss_shards(shard) SELECT generate_series(0, 15);

-- The newest edits of each shard: the job that was created, replaced or removed.
CREATE TABLE ecss_edits (
    shard smallint NOT NULL,
    no bigint NOT NULL,
    job text COLLATE "C" NOT NULL,
    PRIMARY KEY (shard, no)
);

CREATE TABLE ecss_registers (
    name text COLLATE "C" PRIMARY KEY,
    value text NOT NULL,
    version bigint NOT NULL,
    expires bigint
) WITH (fillfactor = 50);
CREATE INDEX ecss_registers_expires ON ecss_registers (expires) WHERE expires IS NOT NULL;
