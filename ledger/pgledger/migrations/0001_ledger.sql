-- The ledger, version 1. Plain tables: no extension, trigger, procedure or foreign key.
-- All of it can be done again: some engines commit each CREATE TABLE by itself, whatever
-- becomes of the transaction.
-- Keys begin with 16 random bytes, so that engines which spread rows by key or hash do so evenly.

-- One row for the whole ledger.
CREATE TABLE IF NOT EXISTS ledger (
  one   smallint PRIMARY KEY,
  nodes bigint NOT NULL, -- how often it was opened: gives each node counters of its own
  mint  uuid,            -- fingerprint of a coin that nobody has: tells nodes with other keys
  trust bigint NOT NULL  -- number of the newest row of trust_change
);
INSERT INTO ledger (one, nodes, trust) VALUES (1, 0, 0) ON CONFLICT (one) DO NOTHING;

CREATE TABLE IF NOT EXISTS account (
  id      uuid PRIMARY KEY,
  name    text NOT NULL,
  role    smallint NOT NULL,
  state   smallint NOT NULL,
  pin     bytea NOT NULL,
  old_pin bytea,           -- works as well until it is dropped
  created bigint NOT NULL, -- unix ms
  granted bigint NOT NULL,
  issued  bigint NOT NULL,
  change  uuid             -- token of the last change, by which a repeat knows its own work
);
-- Whose a key is, removed accounts included; and a name, of accounts that are not removed.
CREATE TABLE IF NOT EXISTS pin  (pin  bytea PRIMARY KEY, account uuid NOT NULL);
CREATE TABLE IF NOT EXISTS name (name text  PRIMARY KEY, account uuid NOT NULL);

-- What nodes remember of accounts and must forget: a state that changed, or a pin that was
-- dropped. Numbered in order of commits.
CREATE TABLE IF NOT EXISTS trust_change (number bigint PRIMARY KEY, account uuid NOT NULL, dropped bytea);

-- Credits and debits of an account, spread over counters so that no two statements wait for
-- one row. Those of the account of zeros are of all accounts together.
CREATE TABLE IF NOT EXISTS tally (
  account           uuid NOT NULL,
  counter           smallint NOT NULL,
  redeemed          bigint NOT NULL,
  returned          bigint NOT NULL,
  refunded_live     bigint NOT NULL,
  refunded_returned bigint NOT NULL,
  PRIMARY KEY (account, counter)
);
-- Coins issued to all accounts together, spread alike.
CREATE TABLE IF NOT EXISTS issued (counter smallint PRIMARY KEY, coins bigint NOT NULL);

-- A coin is in at most one of these: live, returned, or spent in one of three windows.
CREATE TABLE IF NOT EXISTS coin (fp uuid PRIMARY KEY);
CREATE TABLE IF NOT EXISTS returned (
  fp       uuid PRIMARY KEY,
  redeemer uuid NOT NULL,
  digest   uuid NOT NULL,
  at       bigint NOT NULL -- unix ms
);
-- redeemer and digest: of a redeemed coin, or one refunded after a return; refunder: of a refunded one.
CREATE TABLE IF NOT EXISTS spent_0 (fp uuid PRIMARY KEY, redeemer uuid, digest uuid, refunder uuid, at bigint NOT NULL);
CREATE TABLE IF NOT EXISTS spent_1 (fp uuid PRIMARY KEY, redeemer uuid, digest uuid, refunder uuid, at bigint NOT NULL);
CREATE TABLE IF NOT EXISTS spent_2 (fp uuid PRIMARY KEY, redeemer uuid, digest uuid, refunder uuid, at bigint NOT NULL);

CREATE TABLE IF NOT EXISTS withdrawal_0 (account uuid NOT NULL, request uuid NOT NULL, salt bytea NOT NULL, coins bigint NOT NULL, PRIMARY KEY (account, request));
CREATE TABLE IF NOT EXISTS withdrawal_1 (account uuid NOT NULL, request uuid NOT NULL, salt bytea NOT NULL, coins bigint NOT NULL, PRIMARY KEY (account, request));
CREATE TABLE IF NOT EXISTS withdrawal_2 (account uuid NOT NULL, request uuid NOT NULL, salt bytea NOT NULL, coins bigint NOT NULL, PRIMARY KEY (account, request));

-- The newest window of each kind and when it began (unix ms): records of window n are in table n modulo 3.
CREATE TABLE IF NOT EXISTS era (kind smallint PRIMARY KEY, number bigint NOT NULL, started bigint NOT NULL);
INSERT INTO era (kind, number, started) VALUES (0, 1, 0), (1, 1, 0) ON CONFLICT (kind) DO NOTHING;
