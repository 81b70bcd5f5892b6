package bot

import (
	"fmt"
	"strings"
	"testing"

	"github.com/slack-go/slack"

	"keyturn/bot/audit"
)

// TestAPostOfWithdrawalsNamesEach: all of them count as posted.
func TestAPostOfWithdrawalsNamesEach(t *testing.T) {
	var all []withdrawal
	for i := range int64(maxWithdrawn) {
		id := fmt.Sprintf("kt-%08d", i)
		all = append(all, withdrawal{
			asked:     audit.Entry{Seq: 1_000_000_000 + 3*i, Request: id, Actor: &audit.Actor{User: "UDAVE"}},
			cancelled: audit.Entry{Seq: 1_000_000_001 + 3*i, Request: id, Actor: &audit.Actor{User: "UDAVE"}},
		})
	}
	_, blocks := withdrawnPost(all, false)
	var shown string
	for _, b := range blocks {
		shown += b.(*slack.SectionBlock).Text.Text
	}
	missing := 0
	for _, w := range all {
		if !strings.Contains(shown, w.asked.Request) {
			missing++
		}
	}
	if missing > 0 {
		t.Errorf("%d of %d requests are not named, and count as posted", missing, len(all))
	}
}
