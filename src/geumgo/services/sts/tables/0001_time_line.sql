-- How often the clock of this site was set back. A session belongs to the time line in which it was made. `mac` covers the other columns.

CREATE TABLE sts_time_line (
    one BIGINT NOT NULL PRIMARY KEY,         -- always 1
    number BIGINT NOT NULL,
    began_at_ms BIGINT NOT NULL,             -- by the clock that was set back
    mac BYTEA NOT NULL
);
