-- The live scorecards of the scoring service, written in the transaction that applies the entries which move them.
-- `:service` is the service's own role.

-- The provisional card of each agency (JSON of the rubric's card), and the sizes of the logs when it last moved.
CREATE TABLE card (
    period text NOT NULL,
    agency text NOT NULL,
    heads  text NOT NULL,
    card   text NOT NULL,
    PRIMARY KEY (period, agency)
);

GRANT SELECT, INSERT, UPDATE ON card TO :service;
