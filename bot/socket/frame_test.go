package socket

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDecode(t *testing.T) {
	for name, tt := range map[string]struct {
		frame   string
		want    Envelope
		refused bool
	}{
		"a press": {
			frame: `{"envelope_id":"e1","type":"interactive","payload":{"a":1},"accepts_response_payload":false}`,
			want:  Envelope{ID: "e1", Type: "interactive", Payload: json.RawMessage(`{"a":1}`)},
		},
		"a type that is new": {
			frame: `{"envelope_id":"e1","type":"telepathy","payload":null}`,
			want:  Envelope{ID: "e1", Type: "telepathy", Payload: json.RawMessage(`null`)},
		},
		"fields of other types": {
			frame: `{"envelope_id":"e1","type":"slash_commands","payload":"x","accepts_response_payload":"true",` +
				`"retry_attempt":"1","retry_reason":1,"reason":[],"num_connections":"many","debug_info":4,"connection_info":true}`,
			want: Envelope{ID: "e1", Type: "slash_commands", Payload: json.RawMessage(`"x"`)},
		},
		"names in other cases": {
			frame: `{"type":"interactive","Type":"hello","envelope_id":"e1","ENVELOPE_ID":"e2","payload":1,"Payload":2}`,
			want:  Envelope{ID: "e1", Type: "interactive", Payload: json.RawMessage(`1`)},
		},
		"an id that is too long": {
			frame: `{"type":"interactive","envelope_id":"` + strings.Repeat("x", maxID+1) + `"}`, refused: true,
			want: Envelope{Type: "interactive"},
		},
		"no type":               {frame: `{"envelope_id":"e1"}`, want: Envelope{ID: "e1"}, refused: true},
		"no envelope id":        {frame: `{"type":"interactive"}`, want: Envelope{Type: "interactive"}, refused: true},
		"an id that is none":    {frame: `{"type":"interactive","envelope_id":5}`, want: Envelope{Type: "interactive"}, refused: true},
		"cut off":               {frame: `{"envelope_id": "e1", "type":"inter`, want: Envelope{ID: "e1"}, refused: true},
		"cut off within the id": {frame: `{"envelope_id":"e1`, refused: true},
		"more than one value":   {frame: `{"envelope_id":"e1","type":"interactive"}{}`, want: Envelope{ID: "e1"}, refused: true},
		"an id in a person's words": {
			frame:   `{"type":"slash_commands","payload":{"text":"\"envelope_id\":\"e1\""`,
			refused: true,
		},
		"nothing":  {frame: ``, refused: true},
		"a null":   {frame: `null`, refused: true},
		"an array": {frame: `["envelope_id"]`, refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := decode([]byte(tt.frame))
			if (err != nil) != tt.refused {
				t.Errorf("the error is %v, want one: %v", err, tt.refused)
			}
			if diff := cmp.Diff(tt.want, f.envelope(time.Time{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
