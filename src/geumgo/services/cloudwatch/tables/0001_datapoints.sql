-- What was measured, a row for each moment. Decides no rights: no MAC.

CREATE TABLE cloudwatch_datapoint (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    metric TEXT COLLATE "C" NOT NULL,        -- its name here: see domain.METRICS
    at_ms BIGINT NOT NULL,                   -- the full hour
    value BIGINT NOT NULL,
    PRIMARY KEY (account, region, metric, at_ms)
);
