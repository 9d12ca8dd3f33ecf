-- Virtual MFA devices. `sealed` holds the seed; `last_step` is the last step (of 30 seconds) whose code was taken.
CREATE TABLE iam_mfa_device (
    serial TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL,
    user_id TEXT,
    sealed BYTEA NOT NULL,
    tags TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    enabled_at_ms BIGINT,
    last_step BIGINT NOT NULL,
    mac BYTEA NOT NULL
);
CREATE INDEX iam_mfa_device_account ON iam_mfa_device (account_id);
CREATE INDEX iam_mfa_device_user ON iam_mfa_device (user_id) WHERE user_id IS NOT NULL;
