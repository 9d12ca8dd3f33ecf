-- How a secret is rotated, and the rotation that is under way. `mac` covers every other column.

CREATE TABLE secret_rotation (
    secret_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    enabled BIGINT NOT NULL,
    lambda_arn TEXT,
    rules TEXT NOT NULL,                     -- JSON object: RotationRules as they were given
    anchored_at_ms BIGINT NOT NULL,          -- the next window is the first one after this
    due_by_ms BIGINT,                        -- NextRotationDate: the end of the next window; NULL: there is no schedule
    rotated_at_ms BIGINT,                    -- LastRotatedDate
    token TEXT,                              -- the version that a rotation under way makes; NULL: none is
    step TEXT,                               -- the step that runs or comes next
    testing BIGINT NOT NULL,                 -- 1: it only tests the function
    until_ms BIGINT,                         -- no attempt begins after this; NULL: no end
    failures BIGINT NOT NULL,                -- in a row
    last_error TEXT NOT NULL,
    failed_at_ms BIGINT,
    mac BYTEA NOT NULL
);
