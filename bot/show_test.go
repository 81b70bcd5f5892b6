package bot_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/mgmt/auth0sim"
)

// random are what differs from run to run: kids, fingerprints, names of requests and keys,
// roots and signatures.
var random = []struct {
	what string
	like *regexp.Regexp
}{
	{"kt-request", regexp.MustCompile(`kt-[a-z0-9]{8}`)},
	{"sha256-", regexp.MustCompile(`\b[0-9a-f]{64}\b`)},
	{"signature", regexp.MustCompile(`— keyturn/[a-z2-7]{8} [A-Za-z0-9+/=]{90,}`)},
	{"keyturn/trail", regexp.MustCompile(`keyturn/[a-z2-7]{8}`)},
	{"root", regexp.MustCompile(`(?m)^[A-Za-z0-9+/]{43}=$`)},
	{"kid-", regexp.MustCompile(`[A-Za-z0-9_-]{21}`)},
}

// settledText puts a name in the place of each random text: the same for the same.
func settledText(s string) string {
	for _, r := range random {
		names := map[string]string{}
		s = r.like.ReplaceAllStringFunc(s, func(found string) string {
			if names[found] == "" {
				names[found] = r.what
				if strings.HasSuffix(r.what, "-") {
					names[found] = fmt.Sprint(r.what, len(names))
				}
			}
			return names[found]
		})
	}
	return s
}

// TestAPostMortem shows a rotate-and-revoke in an incident as it would be pasted into a
// post-mortem.
func TestAPostMortem(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.slash("UALICE", "/signing-keys rotate-and-revoke")
		h.submit("UALICE", map[string]any{
			"reason": "The key is in a build log that was public for an hour:\n| a table\n# and what looks like a heading\n```", "link": "https://incidents.example/41",
		})
		card := h.cards()[0]
		time.Sleep(20 * time.Second)
		h.press("UALICE", card, "approve") // she may not
		time.Sleep(90 * time.Second)
		h.tenant.Fault(auth0sim.Fault{Op: "rotate", Times: 1, Lose: auth0sim.LoseAfter})
		h.press("UBOB", card, "approve")
		h.await("the end", func() bool { return strings.Contains(h.card(card.TS).Shows(), "Done") })
		h.rest()
		id := approval.ID(regexp.MustCompile(`kt-[a-z0-9]{8}`).FindString(h.card(card.TS).Shows()))
		story, err := h.store.Story(context.Background(), id)
		if err != nil {
			t.Fatal(err)
		}
		over, err := h.store.Latest(context.Background(), "", audit.Checkpointed)
		if err != nil {
			t.Fatal(err)
		}
		got := settledText(audit.Show(story, over))
		const path = "testdata/post-mortem.md"
		if flag.Lookup("update").Value.String() == "true" {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
			t.Errorf("%s (-want +got; -update writes it anew):\n%s", path, diff)
		}
	})
}
