-- Executions of Automation documents. `mac` covers the columns that decide what is done as whom.

CREATE TABLE ssm_automation (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    partition TEXT NOT NULL,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    document TEXT COLLATE "C" NOT NULL,
    parameters TEXT NOT NULL,                -- JSON object: lists of texts, as they were given
    executed_by TEXT NOT NULL,               -- ARN
    client_token TEXT,
    started_at_ms BIGINT NOT NULL,
    status TEXT NOT NULL,                    -- AutomationExecutionStatus
    steps TEXT NOT NULL,                     -- JSON: how the steps went
    ended_at_ms BIGINT,
    mac BYTEA NOT NULL
);

CREATE UNIQUE INDEX ssm_automation_by_token ON ssm_automation (account, region, client_token) WHERE client_token IS NOT NULL;
CREATE INDEX ssm_automation_by_start ON ssm_automation (account, region, started_at_ms, id);
