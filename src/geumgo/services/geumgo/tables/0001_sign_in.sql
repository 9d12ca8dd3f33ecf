-- Failed sign-ins: how many in a row, by a keyed hash of whom they were for and where they came from. Rows are gone at `keep_until_ms`.
-- They hold nothing back but guesses: who can write here can guess faster, no more.
CREATE TABLE sign_in_attempt (
    id TEXT NOT NULL PRIMARY KEY,
    failures BIGINT NOT NULL,
    last_at_ms BIGINT NOT NULL,
    trusted_until_ms BIGINT NOT NULL,
    keep_until_ms BIGINT NOT NULL
);
CREATE INDEX sign_in_attempt_keep ON sign_in_attempt (keep_until_ms);
