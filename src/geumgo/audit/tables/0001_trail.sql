-- Which intents of the trail were committed: written in the transaction of the change itself. `committed` is 0 where a
-- start has settled that the change never will be.
CREATE TABLE applied_request (
    intent_id TEXT NOT NULL PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    committed BIGINT NOT NULL
);
CREATE INDEX applied_request_by_age ON applied_request (at_ms);

-- The newest signed head of each chain: what the files must still hold. Kept outside of the files on purpose.
CREATE TABLE audit_head (
    chain TEXT NOT NULL PRIMARY KEY,
    node TEXT NOT NULL,
    seq BIGINT NOT NULL,
    hash TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    signature TEXT NOT NULL
);
