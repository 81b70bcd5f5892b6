-- Times are UTC microseconds since 1970; 0 is never. The text is portable: BIGINT,
-- TEXT and BOOLEAN mean the same to SQLite and Postgres.

-- +goose Up

-- One row a request: the truth of its progress. What it says of people and pins is
-- only believed where the trail says the same.
CREATE TABLE requests (
  id          TEXT    PRIMARY KEY,
  tenant      TEXT    NOT NULL,
  action      TEXT    NOT NULL,
  state       TEXT    NOT NULL,
  kid         TEXT    NOT NULL,            -- the key that is taken out of use
  requester   TEXT    NOT NULL,            -- JSON: an actor
  approver    TEXT    NOT NULL DEFAULT '', -- JSON: an actor, from the approval on
  pins        TEXT    NOT NULL,            -- JSON
  reason      TEXT    NOT NULL,
  link        TEXT    NOT NULL,
  prepared    BOOLEAN NOT NULL,
  channel     TEXT    NOT NULL,
  asked_at    BIGINT  NOT NULL,
  entered_at  BIGINT  NOT NULL,            -- when it came into its state
  expires_at  BIGINT  NOT NULL,
  due_at      BIGINT  NOT NULL,            -- when the carrier has to look at it
  revision    BIGINT  NOT NULL,            -- number of its last entry
  epoch       BIGINT  NOT NULL DEFAULT 0,  -- counts the claims; fences every move of a carrier
  lease_owner TEXT    NOT NULL DEFAULT '',
  lease_until BIGINT  NOT NULL DEFAULT 0
);
CREATE INDEX requests_due ON requests (due_at) WHERE due_at > 0;
-- One change a tenant is carried out at a time, and the same is asked for once.
CREATE UNIQUE INDEX requests_one_carried ON requests (tenant) WHERE state IN ('approved', 'working', 'in_doubt');
CREATE UNIQUE INDEX requests_one_pending ON requests (tenant, action, kid) WHERE state = 'pending';

-- The trail: the exact bytes of each entry, and beside them what is looked for.
CREATE TABLE trail (
  seq     BIGINT PRIMARY KEY, -- from 1, without a gap
  at      BIGINT NOT NULL,
  kind    TEXT   NOT NULL,
  tenant  TEXT   NOT NULL,
  request TEXT   NOT NULL,
  cause   TEXT   UNIQUE,      -- NULL where nothing could repeat it
  line    TEXT   NOT NULL     -- what is hashed
);
CREATE INDEX trail_request ON trail (request, seq);
CREATE INDEX trail_kind ON trail (kind, at);

-- All stored hashes of the Merkle log over the lines, as tlog.StoredHashIndex numbers them.
CREATE TABLE trail_hash (
  idx  BIGINT PRIMARY KEY,
  hash TEXT   NOT NULL -- base64
);

-- The trail's order: one row, updated in the transaction of each entry.
CREATE TABLE trail_head (
  one  BIGINT PRIMARY KEY CHECK (one = 1),
  size BIGINT NOT NULL
);
INSERT INTO trail_head (one, size) VALUES (1, 0);

-- Presses and submissions, kept before they are acknowledged.
CREATE TABLE inbox (
  id          TEXT   PRIMARY KEY, -- the envelope's
  payload     TEXT   NOT NULL,    -- JSON of ours; no response URL, no trigger id
  received_at BIGINT NOT NULL,
  worked_at   BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX inbox_open ON inbox (received_at) WHERE worked_at = 0;

-- What Slack shows of a request.
CREATE TABLE cards (
  request TEXT   PRIMARY KEY,
  ts      TEXT   NOT NULL, -- the message, in the request's channel
  shown   BIGINT NOT NULL, -- the revision that the card shows
  line    BIGINT NOT NULL  -- the last entry that its thread has
);

-- How far the posts of the trail have come in a channel.
CREATE TABLE posts (
  channel TEXT   PRIMARY KEY,
  seq     BIGINT NOT NULL
);

-- +goose Down
DROP TABLE posts;
DROP TABLE cards;
DROP TABLE inbox;
DROP TABLE trail_head;
DROP TABLE trail_hash;
DROP TABLE trail;
DROP TABLE requests;
