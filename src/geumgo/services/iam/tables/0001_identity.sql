-- Users, groups and roles. `mac` vouches for every other column; `holdings` seals what the three tables below say of it.
CREATE TABLE iam_principal (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT COLLATE "C" NOT NULL,
    path TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    tags TEXT NOT NULL,
    boundary_id TEXT,
    trust TEXT,
    description TEXT,
    max_session_s BIGINT,
    serves TEXT,
    holdings TEXT NOT NULL,
    not_before_ms BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    mac BYTEA NOT NULL
);
CREATE UNIQUE INDEX iam_principal_name ON iam_principal (account_id, kind, name_key);
CREATE INDEX iam_principal_boundary ON iam_principal (boundary_id) WHERE boundary_id IS NOT NULL;

-- What a principal holds. No row counts unless the holdings of its owner seal it.
CREATE TABLE iam_inline_policy (
    owner_id TEXT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (owner_id, name)
);
CREATE TABLE iam_attachment (
    owner_id TEXT NOT NULL,
    policy_id TEXT NOT NULL,
    PRIMARY KEY (owner_id, policy_id)
);
CREATE INDEX iam_attachment_policy ON iam_attachment (policy_id);
CREATE TABLE iam_membership (
    user_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
    PRIMARY KEY (user_id, group_id)
);
CREATE INDEX iam_membership_group ON iam_membership (group_id);

-- Managed policies of the accounts; AWS's own come with the program.
CREATE TABLE iam_policy (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT COLLATE "C" NOT NULL,
    path TEXT NOT NULL,
    description TEXT,
    tags TEXT NOT NULL,
    default_version BIGINT NOT NULL,
    next_version BIGINT NOT NULL,
    digest TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    mac BYTEA NOT NULL
);
CREATE UNIQUE INDEX iam_policy_name ON iam_policy (account_id, name_key);
CREATE TABLE iam_policy_version (
    policy_id TEXT NOT NULL,
    number BIGINT NOT NULL,
    document TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    mac BYTEA NOT NULL,
    PRIMARY KEY (policy_id, number)
);

-- Access keys. `sealed` holds the secret, bound to account, owner, key and date.
CREATE TABLE iam_access_key (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    sealed BYTEA NOT NULL,
    mac BYTEA NOT NULL
);
CREATE INDEX iam_access_key_user ON iam_access_key (user_id);

-- Dates of use, of keys and roles. They decide nothing, so that a mark never waits for a change of rights.
CREATE TABLE iam_last_used (
    id TEXT NOT NULL PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    service TEXT NOT NULL,
    region TEXT NOT NULL
);

CREATE TABLE iam_account (
    id TEXT NOT NULL PRIMARY KEY,
    alias TEXT,
    password_rules TEXT,
    created_at_ms BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    mac BYTEA NOT NULL
);
CREATE UNIQUE INDEX iam_account_alias ON iam_account (alias) WHERE alias IS NOT NULL;

-- Passwords for the console: salted hashes, the present one and those that may not come back.
CREATE TABLE iam_login (
    user_id TEXT NOT NULL PRIMARY KEY,
    hashed TEXT NOT NULL,
    earlier TEXT NOT NULL,
    reset_required BIGINT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    changed_at_ms BIGINT NOT NULL,
    mac BYTEA NOT NULL
);

CREATE TABLE iam_instance_profile (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT COLLATE "C" NOT NULL,
    path TEXT NOT NULL,
    tags TEXT NOT NULL,
    role_id TEXT,
    created_at_ms BIGINT NOT NULL,
    mac BYTEA NOT NULL
);
CREATE UNIQUE INDEX iam_instance_profile_name ON iam_instance_profile (account_id, name_key);
CREATE INDEX iam_instance_profile_role ON iam_instance_profile (role_id) WHERE role_id IS NOT NULL;

-- OpenID Connect providers. `jwks` is the pinned set of keys that their tokens are checked with.
CREATE TABLE iam_provider (
    account_id TEXT NOT NULL,
    issuer TEXT COLLATE "C" NOT NULL,
    audiences TEXT NOT NULL,
    thumbprints TEXT NOT NULL,
    tags TEXT NOT NULL,
    jwks TEXT,
    created_at_ms BIGINT NOT NULL,
    mac BYTEA NOT NULL,
    PRIMARY KEY (account_id, issuer)
);

CREATE TABLE iam_credential_report (
    account_id TEXT NOT NULL PRIMARY KEY,
    content BYTEA NOT NULL,
    made_at_ms BIGINT NOT NULL
);
CREATE TABLE iam_deletion_task (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL,
    role_name TEXT NOT NULL,
    made_at_ms BIGINT NOT NULL
);
