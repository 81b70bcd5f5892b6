-- +goose Up

-- The lines of a card's thread follow the trail like all other posts: one position a
-- channel. A channel begins where its card with the fewest lines was.
INSERT INTO posts (channel, seq)
  SELECT r.channel, COALESCE(min(CASE WHEN c.line < r.revision THEN c.line END), max(c.line))
  FROM cards c JOIN requests r ON r.id = c.request WHERE true GROUP BY r.channel
  ON CONFLICT (channel) DO NOTHING;
CREATE INDEX requests_channel ON requests (channel, revision);

-- Several messages can show one request: a crash may leave a second card behind, and
-- where somebody presses its button it is drawn like the first.
ALTER TABLE cards RENAME TO cards_1;
CREATE TABLE cards (
  request  TEXT   NOT NULL,
  ts       TEXT   NOT NULL, -- the message, in the request's channel
  shown    BIGINT NOT NULL, -- the revision that it shows
  known_at BIGINT NOT NULL, -- since when we know of it; the newest has the thread
  PRIMARY KEY (request, ts)
);
INSERT INTO cards (request, ts, shown, known_at) SELECT request, ts, shown, 0 FROM cards_1;
DROP TABLE cards_1;

-- The presses of one person on one request that did not count share a post.
CREATE TABLE joined (
  channel TEXT   NOT NULL,
  request TEXT   NOT NULL,
  person  TEXT   NOT NULL,
  ts      TEXT   NOT NULL,
  seq     BIGINT NOT NULL, -- the last entry that the post has
  PRIMARY KEY (channel, request, person)
);

-- +goose Down
DROP TABLE joined;
DROP INDEX requests_channel;
ALTER TABLE cards RENAME TO cards_2;
CREATE TABLE cards (
  request TEXT   PRIMARY KEY,
  ts      TEXT   NOT NULL,
  shown   BIGINT NOT NULL,
  line    BIGINT NOT NULL
);
INSERT INTO cards (request, ts, shown, line)
  SELECT c.request, max(c.ts), min(c.shown), max(p.seq)
  FROM cards_2 c JOIN requests r ON r.id = c.request JOIN posts p ON p.channel = r.channel GROUP BY c.request;
DROP TABLE cards_2;
