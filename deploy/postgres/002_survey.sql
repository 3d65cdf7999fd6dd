-- The survey's own tables: who may vote, and what has been voted but is not in the log yet.
-- No row holds a person's answers, a time, or an address; a token is there as its SHA-256 only.

CREATE TABLE token (
    hash     bytea PRIMARY KEY,
    period   text    NOT NULL,
    campaign text    NOT NULL,
    agency   text    NOT NULL,
    form     text    NOT NULL,
    spent    boolean NOT NULL DEFAULT false
);

-- `current` and `waiting` are counts as JSON; `turn` counts how often the current ones became the waiting ones.
CREATE TABLE box (
    period   text    NOT NULL,
    campaign text    NOT NULL,
    agency   text    NOT NULL,
    form     text    NOT NULL,
    current  text    NOT NULL,
    waiting  text    NOT NULL,
    turn     bigint  NOT NULL DEFAULT 0,
    closed   boolean NOT NULL DEFAULT false,
    PRIMARY KEY (period, campaign, agency, form)
);

GRANT SELECT, INSERT ON token TO :service;
GRANT UPDATE (spent) ON token TO :service;
GRANT SELECT, INSERT ON box TO :service;
GRANT UPDATE (current, waiting, turn, closed) ON box TO :service;
