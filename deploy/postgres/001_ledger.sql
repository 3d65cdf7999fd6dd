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
    last_time timestamptz NOT NULL DEFAULT 'epoch',
    sealed    boolean     NOT NULL DEFAULT false
);

-- No foreign key to `log`: an append holds that row's lock, and a check for each entry costs more than the entry.
CREATE TABLE entry (
    log      text   NOT NULL,
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
    log         text     NOT NULL,
    causationid text     NOT NULL,
    digest      bytea    NOT NULL,
    first       bigint   NOT NULL,
    count       integer  NOT NULL,
    status      smallint NOT NULL,
    PRIMARY KEY (log, causationid)
);

-- Locks a log for an append and then says which of these requests it has answered. Two statements, so that the second
-- sees what was committed while the first waited for the lock.
CREATE FUNCTION take_log(wanted text, causations text[])
RETURNS TABLE (size bigint, frontier bytea, last_time timestamptz, sealed boolean, clock timestamptz,
               answered text[], digests bytea[], firsts bigint[], counts integer[]) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    SELECT l.size, l.frontier, l.last_time, l.sealed INTO size, frontier, last_time, sealed
    FROM log l WHERE l.name = wanted FOR UPDATE;
    IF NOT FOUND THEN RETURN; END IF;
    SELECT array_agg(r.causationid), array_agg(r.digest), array_agg(r.first), array_agg(r.count)
    INTO answered, digests, firsts, counts
    FROM request r WHERE r.log = wanted AND r.causationid = ANY (causations);
    clock := deployment_clock();
    RETURN NEXT;
END $$;

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
-- `checked` is the size of the last checkpoint that held; `unchecked` is one that waits for the log's key.
CREATE TABLE cursor (
    log       text PRIMARY KEY,
    size      bigint NOT NULL DEFAULT 0,
    frontier  bytea  NOT NULL DEFAULT '',
    key       text,
    checked   bigint NOT NULL DEFAULT 0,
    unchecked bytea
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
-- Logs that the partition goes on without. The topic is read again from offset `next`, unless the log is `stopped`:
-- that (a fork, a false checkpoint) only an operator ends.
CREATE TABLE parked (
    log       text PRIMARY KEY,
    size      bigint  NOT NULL,
    reason    text    NOT NULL,
    stopped   boolean NOT NULL,
    topic     text    NOT NULL,
    partition integer NOT NULL,
    next      bigint  NOT NULL,
    since     timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- Begins a follower's transaction: makes the cursors of `wanted` that are new, locks them and those of `besides` in the
-- order of their names, then the next offsets of these partitions. Several statements, so that each sees what was
-- committed while the one before waited for a lock. What a crash takes back comes again from the topic, and a later
-- append that rests on it makes it durable with itself, so that the commit need not wait for the disk.
CREATE FUNCTION take_cursors(wanted text[], besides text[], from_topics text[], from_partitions integer[])
RETURNS TABLE (logs text[], sizes bigint[], frontiers bytea[], keys text[], checks bigint[], uncheckeds bytea[],
               parkeds text[], topics text[], partitions integer[], nexts bigint[]) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    INSERT INTO cursor (log) SELECT w.log FROM unnest(wanted) AS w (log) ORDER BY w.log ON CONFLICT DO NOTHING;
    WITH locked AS (SELECT * FROM cursor c WHERE c.log = ANY (wanted || besides) ORDER BY c.log FOR UPDATE)
    SELECT array_agg(l.log), array_agg(l.size), array_agg(l.frontier), array_agg(l.key), array_agg(l.checked),
        array_agg(l.unchecked)
    INTO logs, sizes, frontiers, keys, checks, uncheckeds FROM locked l;
    SELECT array_agg(p.log) INTO parkeds FROM parked p WHERE p.log = ANY (wanted);
    WITH locked AS (
        SELECT n.* FROM next_offset n JOIN unnest(from_topics, from_partitions) AS w (topic, partition)
        ON n.topic = w.topic AND n.partition = w.partition ORDER BY n.topic, n.partition FOR UPDATE OF n
    )
    SELECT array_agg(l.topic), array_agg(l.partition), array_agg(l.next) INTO topics, partitions, nexts FROM locked l;
    RETURN NEXT;
END $$;

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
