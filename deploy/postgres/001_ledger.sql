-- The ledger of one service, and what it follows of the others.
-- `:service` is the service's own role. It may add entries and never change or remove one: erasing is another role's right.

CREATE TABLE clock_offset (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    delta    interval NOT NULL DEFAULT interval '0'
);
INSERT INTO clock_offset DEFAULT VALUES;

-- The clock of the deployment: the database's own plus the offset, which is 0 except in demonstrations and tests.
CREATE FUNCTION deployment_clock() RETURNS timestamptz LANGUAGE sql VOLATILE AS
$$ SELECT clock_timestamp() + delta FROM clock_offset $$;

CREATE TABLE log (
    name      text PRIMARY KEY,
    partition integer     NOT NULL,
    size      bigint      NOT NULL DEFAULT 0,
    frontier  bytea       NOT NULL DEFAULT '',
    last_time timestamptz NOT NULL DEFAULT '-infinity',
    sealed    boolean     NOT NULL DEFAULT false
);

CREATE TABLE entry (
    log      text   NOT NULL REFERENCES log (name),
    position bigint NOT NULL CHECK (position >= 0),
    stream   text   NOT NULL,
    version  bigint NOT NULL CHECK (version >= 1),
    type     text   NOT NULL,
    header   bytea  NOT NULL,
    salt     bytea,
    data     bytea,
    PRIMARY KEY (log, position),
    UNIQUE (log, stream, version)
);

CREATE TABLE request (
    log         text     NOT NULL REFERENCES log (name),
    causationid text     NOT NULL,
    digest      bytea    NOT NULL,
    first       bigint   NOT NULL,
    count       integer  NOT NULL,
    status      smallint NOT NULL,
    PRIMARY KEY (log, causationid)
);

-- How far the relay has sent each log, with the tree's frontier there; the checkpoints it signed; how far the archive is.
CREATE TABLE relayed (
    log      text PRIMARY KEY REFERENCES log (name),
    size     bigint NOT NULL DEFAULT 0,
    frontier bytea  NOT NULL DEFAULT ''
);
CREATE TABLE checkpoint (
    log  text   NOT NULL REFERENCES log (name),
    size bigint NOT NULL,
    note bytea  NOT NULL,
    time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (log, size)
);
CREATE TABLE archived (
    log  text PRIMARY KEY REFERENCES log (name),
    size bigint NOT NULL DEFAULT 0,
    time timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What this service follows: cursors with frontiers, the entries themselves, the next offset of each partition.
CREATE TABLE cursor (
    log       text PRIMARY KEY,
    size      bigint NOT NULL DEFAULT 0,
    frontier  bytea  NOT NULL DEFAULT '',
    key       text,
    checked   bigint NOT NULL DEFAULT 0
);
CREATE TABLE followed (
    log      text   NOT NULL,
    position bigint NOT NULL,
    header   bytea  NOT NULL,
    salt     bytea,
    data     bytea,
    PRIMARY KEY (log, position)
);
CREATE TABLE next_offset (
    topic     text    NOT NULL,
    partition integer NOT NULL,
    next      bigint  NOT NULL,
    PRIMARY KEY (topic, partition)
);
CREATE TABLE parked (
    log    text PRIMARY KEY,
    size   bigint NOT NULL,
    reason text NOT NULL,
    since  timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- How far this service's reactions to a followed log have come.
CREATE TABLE reacted (
    log  text PRIMARY KEY,
    size bigint NOT NULL DEFAULT 0
);

GRANT SELECT ON clock_offset TO :service;
GRANT SELECT, INSERT ON entry, request, followed TO :service;
GRANT SELECT, INSERT, UPDATE ON log, relayed, archived, cursor, next_offset, reacted TO :service;
GRANT SELECT, INSERT ON checkpoint TO :service;
GRANT SELECT, INSERT, UPDATE, DELETE ON parked TO :service;
