-- Rows that decide what runs as whom carry a MAC under a key that the database does not hold: `mac` covers every other column of its row
-- but `revision`.

CREATE TABLE lambda_function (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    partition TEXT NOT NULL,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    next_version BIGINT NOT NULL,
    policies TEXT NOT NULL,                  -- JSON object: qualifier (empty: none) to its statements
    tags TEXT NOT NULL,                      -- JSON object
    concurrency BIGINT,                      -- reserved; NULL: none is
    revision BIGINT NOT NULL,
    mac BYTEA NOT NULL
);

CREATE UNIQUE INDEX lambda_function_by_name ON lambda_function (account, region, name);

CREATE TABLE lambda_version (
    function_id TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,                  -- 0: $LATEST
    configuration TEXT NOT NULL,             -- JSON object
    environment BYTEA,                       -- sealed; NULL: no variables
    mac BYTEA NOT NULL,
    PRIMARY KEY (function_id, number)
);

-- Packages, sealed. What no version names is removed with the last one that did.
CREATE TABLE lambda_code (
    function_id TEXT COLLATE "C" NOT NULL,
    sha256 TEXT COLLATE "C" NOT NULL,
    content BYTEA NOT NULL,
    PRIMARY KEY (function_id, sha256)
);
