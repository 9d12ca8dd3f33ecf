-- Events that wait for their function: each with a job that names it.

CREATE TABLE lambda_event (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    function_id TEXT COLLATE "C" NOT NULL,
    qualifier TEXT NOT NULL,                 -- as it was invoked; empty: none
    content BYTEA NOT NULL,                  -- sealed: the event and the client context
    asked_at_ms BIGINT NOT NULL,
    tries BIGINT NOT NULL,                   -- that ended with an error of the function
    mac BYTEA NOT NULL                       -- over every other column but `tries`
);

CREATE INDEX lambda_event_by_function ON lambda_event (function_id);

-- Names for versions. They decide what runs, so they are vouched for.
CREATE TABLE lambda_alias (
    function_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    description TEXT NOT NULL,
    revision_id TEXT NOT NULL,
    mac BYTEA NOT NULL,
    PRIMARY KEY (function_id, name)
);
