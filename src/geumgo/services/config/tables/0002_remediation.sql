-- What is done about a resource that is NON_COMPLIANT, on whose rights. `mac` covers every other column.
CREATE TABLE config_remediation (
    rule_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    partition TEXT NOT NULL,
    id TEXT NOT NULL,                        -- the last part of its ARN
    definition TEXT NOT NULL,                -- JSON object: a RemediationConfiguration
    revision BIGINT NOT NULL,
    mac BYTEA NOT NULL
);

-- How the last run on each resource went decides nothing: no MAC from here on.
CREATE TABLE config_remediation_run (
    rule_id TEXT COLLATE "C" NOT NULL,
    resource_type TEXT NOT NULL,
    resource_id TEXT COLLATE "C" NOT NULL,
    state TEXT NOT NULL,                     -- QUEUED, IN_PROGRESS, SUCCEEDED or FAILED
    steps TEXT NOT NULL,                     -- JSON array of RemediationExecutionStep, times in Unix milliseconds
    attempts BIGINT NOT NULL,                -- automatic ones, since the verdict
    invoked_at_ms BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL,
    PRIMARY KEY (rule_id, resource_type, resource_id)
);

-- Resources that are left as they are, for a while.
CREATE TABLE config_remediation_exception (
    rule_id TEXT COLLATE "C" NOT NULL,
    resource_type TEXT NOT NULL,
    resource_id TEXT COLLATE "C" NOT NULL,
    message TEXT NOT NULL,                   -- empty: none
    expires_at_ms BIGINT,                    -- NULL: never
    PRIMARY KEY (rule_id, resource_type, resource_id)
);
