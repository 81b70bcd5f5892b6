-- +goose Up

-- As much as a press and what follows from it need of the disk: written now and then, so
-- that a disk which would not take them is known before.
CREATE TABLE probe (
  one    BIGINT PRIMARY KEY CHECK (one = 1),
  filler TEXT   NOT NULL
);

-- The entries of a tenant, which the watch reads.
CREATE INDEX trail_tenant ON trail (tenant, seq);

-- +goose Down
DROP INDEX trail_tenant;
DROP TABLE probe;
