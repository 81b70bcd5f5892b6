package world

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	_ "modernc.org/sqlite" // the hand from outside needs its own way to the file
)

// ErrNothingToForge is why nothing was forged: no request is open.
var ErrNothingToForge = errors.New("no request waits for a second person: ask for something first")

// ForgeRequester changes the row of the newest request that waits for a second person, as
// somebody does who has the database: it says then that Mallory asked. It is
// ErrNothingToForge where none waits.
func (w *World) ForgeRequester(ctx context.Context) error {
	db, err := sql.Open("sqlite", "file:"+w.Database()+"?mode=rw&_pragma=busy_timeout(3000)")
	if err != nil {
		return err
	}
	defer db.Close()
	done, err := db.ExecContext(ctx, `UPDATE requests SET requester = $1
		WHERE id = (SELECT id FROM requests WHERE state = 'pending' ORDER BY asked_at DESC LIMIT 1)`,
		`{"team":"T0SIM","user":"U0MALLORY","name":"mallory"}`)
	if err != nil {
		return fmt.Errorf("changing the row: %w", err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, ErrNothingToForge)
	}
	return nil
}
