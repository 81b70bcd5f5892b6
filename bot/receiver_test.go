package bot

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"keyturn/bot/socket"
)

// A command of another shape than Slack documents is acknowledged before it is read, so
// its answer goes the way of all answers.
func TestACommandThatCannotBeReadIsAnswered(t *testing.T) {
	answers := make(chan string, 2)
	slack := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		answers <- string(body)
	}))
	defer slack.Close()
	b := New(Config{Now: time.Now})
	defer b.Close()
	payload := `{"user_id":"UALICE","text":["list"],"response_url":"` + slack.URL + `"}`
	ack, err := b.receive(t.Context(), socket.Envelope{ID: "e1", Type: "slash_commands", Payload: json.RawMessage(payload)})
	if ack != nil || err != nil {
		t.Errorf("receive returns %v, %v, want nothing", ack, err)
	}
	b.working.Wait()
	close(answers)
	if got := <-answers; !strings.Contains(got, "could not read this command") {
		t.Errorf("answered with %q", got)
	}
}
