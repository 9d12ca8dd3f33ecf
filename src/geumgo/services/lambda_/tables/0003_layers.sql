-- Layers: packages that functions share. A version that was deleted keeps its row, so that its number is not given again, and its content
-- while a function has it.

CREATE TABLE lambda_layer_version (
    partition TEXT NOT NULL,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    configuration TEXT NOT NULL,             -- JSON object
    deleted BIGINT NOT NULL,
    content BYTEA NOT NULL,                  -- sealed; empty: deleted, and no function had it
    mac BYTEA NOT NULL,                      -- over every other column but `content`
    PRIMARY KEY (account, region, name, number)
);
