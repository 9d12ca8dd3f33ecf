-- The invocations of functions with reserved concurrency that are under way, on all servers of this database: see seats.py.

CREATE TABLE lambda_seat (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    function_arn TEXT COLLATE "C" NOT NULL,  -- without a qualifier
    owner TEXT COLLATE "C" NOT NULL,         -- the process: machine and slot
    until_ms BIGINT NOT NULL                 -- by then it has ended, whatever became of its process
);

CREATE INDEX lambda_seat_by_function ON lambda_seat (function_arn);
