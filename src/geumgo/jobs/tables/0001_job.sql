-- A job is waiting, then running, then gone. A failed one waits again; one that failed too often is parked until someone looks.
CREATE TABLE job (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    partition_name TEXT NOT NULL,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    payload TEXT NOT NULL,            -- a JSON object of names, never a secret
    state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'parked')),
    promised_for_ms BIGINT NOT NULL,  -- when it was to run; stays when a retry is put off
    run_at_ms BIGINT NOT NULL,
    lock TEXT,
    dedup TEXT,
    attempts BIGINT NOT NULL,         -- how often it was started
    owner TEXT,                       -- the process that runs it, or ran it last
    lane BIGINT,                      -- and which of its workers
    lease_until_ms BIGINT,            -- after this, another worker may take it over
    fence BIGINT NOT NULL,            -- grows with every start: who holds an older one changes nothing any more
    last_error TEXT                   -- the class of the last failure, never its text
);
-- The two promises, kept by the database: of one lock one runs, of one dedup one waits.
CREATE UNIQUE INDEX job_one_runs_per_lock ON job (lock) WHERE state = 'running';
CREATE UNIQUE INDEX job_one_waits_per_dedup ON job (dedup) WHERE state = 'waiting';
CREATE INDEX job_by_time ON job (run_at_ms, id) WHERE state = 'waiting';
