package bot_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"keyturn/bot/audit"
)

// forge changes the database while keyturn is away, as whoever owns the disk can.
func (h *house) forge(statement string, args ...any) {
	h.t.Helper()
	db, err := sql.Open("sqlite", h.path)
	if err != nil {
		h.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement, args...); err != nil {
		h.t.Fatal(err)
	}
}

// trailPosts is what the audit channel shows.
func (h *house) trailPosts() string { return strings.Join(shows(h.slack.Messages(trail)), "\n") }

func TestAForgedEntryIsAnAlarm(t *testing.T) {
	for name, statement := range map[string]string{
		"another person in it": `UPDATE trail SET line = replace(line, 'UALICE', 'UMALLE') WHERE seq = 1`,
		"gone":                 `DELETE FROM trail WHERE seq = 1`,
	} {
		t.Run(name, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house) {
				card := h.ask("revoke")
				h.close()
				h.forge(`UPDATE posts SET seq = 0`) // Slack was down, and what follows is not posted yet
				h.forge(`UPDATE cards SET shown = 0`)
				h.forge(statement)
				h.open()
				h.press("UBOB", card, "approve")
				time.Sleep(5 * time.Minute)
				h.rest()
				wantIn(t, "the audit channel", h.trailPosts(), " Alarmed", "Entry #1 of the trail is not the one that was sealed, or is gone", "@UALICE @SONCALL", " Failed")
				if name != "gone" { // otherwise nobody asked for it any more, as far as the trail goes
					wantIn(t, "the card", h.card(card.TS).Shows(), "Do not believe this request")
				}
				if n := h.writes(); n != 0 {
					t.Errorf("%d writes to Auth0", n)
				}
				h.close()
				h.forge(`UPDATE posts SET seq = 0 WHERE channel = ?`, room)
				h.open()
				h.rest()
				if n := strings.Count(h.trailPosts(), "Entry #1 of the trail"); n != 1 {
					t.Errorf("%d alarms, want 1, also after a start", n)
				}
			})
		})
	}
}

func TestEntriesThatAreGone(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.press("UBOB", h.ask("revoke"), "deny")
		h.close()
		h.forge(`UPDATE posts SET seq = 2`)
		h.forge(`DELETE FROM trail WHERE seq = 3`)
		h.forge(`DELETE FROM requests`)
		h.open()
		h.rest()
		wantIn(t, "the audit channel", h.trailPosts(), "#4 Alarmed", "Entry #3 of the trail")
		h.press("UBOB", h.ask("rotate"), "deny")
		h.rest()
		wantIn(t, "the audit channel", h.trailPosts(), "#5 Asked", "#6 Denied")

		h.close()
		h.forge(`UPDATE posts SET seq = 4`)
		h.forge(`DELETE FROM trail WHERE seq = 5`) // and what came after it is there
		h.open()
		h.rest()
		wantIn(t, "the audit channel", h.trailPosts(), "Entry #5 of the trail")
	})
}

func TestEachPostIsAWitness(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.press("UBOB", h.ask("rotate"), "approve")
		h.rest()
		posts := h.slack.Messages(trail)
		for _, m := range posts {
			number, _, _ := strings.Cut(strings.TrimPrefix(m.Shows(), "#"), " ")
			var size int64
			for _, digit := range number {
				size = 10*size + int64(digit-'0')
			}
			root, err := h.store.Root(t.Context(), size)
			if err != nil {
				t.Fatal(err)
			}
			wantIn(t, "the post", m.Shows(), "Size "+number+" · root "+root[:8])
		}
		last := posts[len(posts)-1].Shows()
		c, err := audit.ReadCheckpoint(last, h.store.Public())
		if err != nil {
			t.Fatalf("%v in\n%s", err, last)
		}
		root, err := h.store.Root(t.Context(), c.Size)
		if err != nil || fmt.Sprintf("%x", c.Root[:]) != root {
			t.Errorf("the checkpoint says %x of %d entries, the trail %s (%v)", c.Root[:], c.Size, root, err)
		}
	})
}
