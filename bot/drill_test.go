package bot_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/bot"
	"keyturn/bot/slacksim"
)

// TestADrillIsMarkedWhereverItShows goes through all that people are shown, in a drill and
// outside of one.
func TestADrillIsMarkedWhereverItShows(t *testing.T) {
	for name, drill := range map[string]bool{"a drill": true, "no drill": false} {
		t.Run(name, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house) {
				h.close()
				h.drill = drill
				h.open()
				h.slack.AddPerson(slacksim.Person{ID: "UOUT", Name: "out"})
				for _, line := range []string{"", "help", "wrong", "requests", "certificate", "audit"} {
					h.slash("UALICE", "/signing-keys "+line)
				}
				list := h.slack.Ephemerals("UALICE", room)[0]
				h.press("UALICE", list, "share")

				card := h.ask("revoke")
				h.press("UALICE", card, "approve") // refused
				h.press("UALICE", card, "deny")    // and once more, in the same post of the audit channel
				h.press("UOUT", card, "approve")   // who is told in a conversation of their own
				time.Sleep(16 * time.Minute)       // the reminder
				h.rest()
				h.press("UBOB", card, "approve")
				wantIn(t, "the card", h.card(card.TS).Shows(), "Done")

				card = h.ask("rotate")
				h.press("UBOB", card, "deny")
				told := h.slack.Ephemerals("UBOB", room)
				h.press("UBOB", told[len(told)-1], "explain")
				h.submit("UBOB", map[string]any{"reason": "not now"})
				h.slashIn("C0EMPTY", "UALICE", "/signing-keys rotate") // refused in the modal
				h.slash("UALICE", "/signing-keys audit")

				card = h.ask("rotate-and-revoke")
				for _, method := range []string{"chat.postMessage", "chat.update"} { // what Slack cannot show as blocks
					h.slack.Fault(slacksim.Fault{Method: method, Times: 1, Error: "invalid_blocks"})
				}
				h.press("UALICE", card, "cancel")
				if n := len(h.slack.Faults()); n != 0 {
					t.Errorf("%d faults spoilt nothing", n)
				}

				shown := map[string]int{}
				for _, c := range h.slack.History() {
					if marked, isShown := isMarked(t, c); isShown {
						shown[c.Method]++
						if marked != drill {
							t.Errorf("%s is marked: %v, want %v: %s", c.Method, marked, drill, c.Args)
						}
					}
				}
				for _, method := range []string{"chat.postMessage", "chat.update", "chat.postEphemeral", "response_url", "views.open", "views.update"} {
					if shown[method] < 3 {
						t.Errorf("%d calls of %s: too few to show anything", shown[method], method)
					}
				}
				for what, n := range map[string]int{
					"lines of the thread": len(h.slack.Thread(room, card.TS)), "posts in the audit channel": len(h.slack.Messages(trail)),
					"messages in a conversation": len(h.slack.Messages("DUOUT")),
				} {
					if n == 0 {
						t.Errorf("there are no %s", what)
					}
				}
			})
		})
	}
}

// isMarked reports whether a call shows people something, and whether all of that begins
// with the mark of a drill. Only a part of a mark is a fault.
func isMarked(t *testing.T, c slacksim.Call) (marked, isShown bool) {
	t.Helper()
	if strings.HasPrefix(c.Method, "views.") {
		var view struct{ Title struct{ Text string } }
		if err := json.Unmarshal([]byte(c.Args["view"]), &view); err != nil {
			t.Fatal(err)
		}
		return strings.HasPrefix(view.Title.Text, "DRILL: ") && !strings.HasSuffix(view.Title.Text, "…"), true
	}
	if !strings.HasPrefix(c.Method, "chat.") && c.Method != "response_url" {
		return false, false
	}
	var blocks []struct {
		Type     string
		Elements []json.RawMessage
	}
	if b := c.Args["blocks"]; b != "" {
		if err := json.Unmarshal([]byte(b), &blocks); err != nil {
			t.Fatal(err)
		}
	}
	marked = strings.HasPrefix(c.Args["text"], "DRILL · ")
	if len(blocks) == 0 {
		return marked, true
	}
	var first struct{ Text string }
	if blocks[0].Type == "context" {
		if err := json.Unmarshal(blocks[0].Elements[0], &first); err != nil {
			t.Fatal(err)
		}
	}
	if onTop := first.Text == "🧪 *DRILL* · the tenant is simulated; no real key changes."; onTop != marked {
		t.Errorf("%s is marked by half: %s", c.Method, c.Args)
	}
	if strings.Count(c.Args["blocks"], "*DRILL*") > 1 || strings.Count(c.Args["text"], "DRILL") > 1 {
		t.Errorf("%s is marked twice: %s", c.Method, c.Args)
	}
	return marked, true
}

// together is a connection of which nothing is read, where it is a socket, before an
// envelope has come behind the hello: whoever reads it finds both at once.
type together struct {
	net.Conn
	waits bool
	got   []byte
}

func (c *together) Write(b []byte) (int, error) {
	if bytes.HasPrefix(b, []byte("GET /link")) {
		c.waits = true
	}
	return c.Conn.Write(b)
}

func (c *together) Read(b []byte) (int, error) {
	for c.waits {
		var chunk [4096]byte
		n, err := c.Conn.Read(chunk[:])
		if err != nil {
			return 0, err
		}
		c.got = append(c.got, chunk[:n]...)
		c.waits = !bytes.Contains(c.got, []byte("envelope_id"))
	}
	if len(c.got) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.got)
	c.got = c.got[n:]
	return n, nil
}

// TestADrillBesideAnotherProcessEnds: its first hello tells of another connection, and
// right behind it somebody acts.
func TestADrillBesideAnotherProcessEnds(t *testing.T) {
	for name, act := range map[string]func(h *house, card slacksim.Message) (slacksim.Outcome, error){
		"a command": func(h *house, _ slacksim.Message) (slacksim.Outcome, error) {
			return h.slack.Slash("UALICE", room, "/signing-keys help")
		},
		"a press": func(h *house, card slacksim.Message) (slacksim.Outcome, error) {
			return h.slack.Press("UBOB", room, card.TS, slacksim.Button{Action: "deny"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house) {
				card := h.ask("revoke")
				h.close()
				defer h.open() // for inHouse to close
				h.drill = true
				h.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
					c, err := h.slack.Dial(ctx, network, addr)
					return &together{Conn: c}, err
				}
				defer func() { h.drill, h.dial = false, h.slack.Dial }()
				h.slack.SetGhosts(1)
				calls, ends := len(h.slack.History()), len(h.slack.Ends())
				h.build()
				acted := make(chan slacksim.Outcome, 1)
				go func() {
					h.await("the hello", func() bool { return h.slack.Sockets() == 1 })
					out, err := act(h, card)
					if err != nil {
						t.Errorf("%s: %v", name, err)
					}
					acted <- out
				}()
				within, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				err := h.bot.Run(within)
				if !errors.Is(err, bot.ErrNotAlone) {
					t.Errorf("Run returns %v, want ErrNotAlone", err)
				} else {
					wantIn(t, "the error", err.Error(), "an app", "2 connections", "wait")
				}
				if out := <-acted; out.Acked {
					t.Errorf("%s was acknowledged: %+v", name, out)
				}
				synctest.Wait()
				if got := h.slack.Ends()[ends:]; len(got) != 1 || !got[0].Clean {
					t.Errorf("sockets ended so: %+v, want one with a Close frame", got)
				}
				if h.bot.Ready() == nil {
					t.Error("it is ready, and ended")
				}
				for _, c := range h.slack.History()[calls:] {
					if c.Method != "auth.test" && c.Method != "apps.connections.open" {
						t.Errorf("it called %s, and should not have gone on", c.Method)
					}
				}
				if waiting := h.unworked(); len(waiting) != 0 {
					t.Errorf("%v are in the inbox", waiting)
				}
				h.bot.Close()
				h.reader.Close()
				if err := h.store.Close(); err != nil {
					t.Error(err)
				}
				h.slack.SetGhosts(0)
			})
		})
	}
}

// TestADrillGoesOnWithLaterGhosts: connections that Slack did not notice the end of are
// none that another process opened, as far as can be known.
func TestADrillGoesOnWithLaterGhosts(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.close()
		h.drill = true
		h.open()
		h.slack.SetGhosts(3)
		h.slack.Disconnect("warning")
		time.Sleep(time.Minute)
		h.rest()
		wantIn(t, "the log", h.log.String(), "connections of this app that are not ours")
		h.slash("UALICE", "/signing-keys help")
		wantIn(t, "what alice was told", h.told("UALICE"), "Two people turn the key")
		if err := h.bot.Ready(); err != nil {
			t.Errorf("not ready: %v", err)
		}
	})
}

// TestADrillSaysWhatItWaitsFor: where Slack gives it no connection at all.
func TestADrillSaysWhatItWaitsFor(t *testing.T) {
	for name, drill := range map[string]bool{"a drill": true, "no drill": false} {
		t.Run(name, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house) {
				h.close()
				h.drill = drill
				h.slack.SetGhosts(10)
				time.AfterFunc(time.Minute, func() { h.slack.SetGhosts(0) })
				h.open()
				warned := slices.ContainsFunc(strings.Split(h.log.String(), "\n"), func(line string) bool {
					return strings.Contains(line, `"level":"warn"`) && strings.Contains(line, "too_many_websockets")
				})
				if warned != drill {
					t.Errorf("it warned: %v, want %v\n%s", warned, drill, h.log)
				}
			})
		})
	}
}
