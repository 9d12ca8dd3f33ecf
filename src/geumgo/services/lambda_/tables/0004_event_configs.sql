-- How long an event is tried, and how often, for a function or one of its qualifiers (empty: none).

CREATE TABLE lambda_event_config (
    function_id TEXT COLLATE "C" NOT NULL,
    qualifier TEXT COLLATE "C" NOT NULL,
    retries BIGINT,                          -- NULL: as Lambda does by itself
    age_s BIGINT,                            -- likewise
    changed_at_ms BIGINT NOT NULL,
    PRIMARY KEY (function_id, qualifier)
);
