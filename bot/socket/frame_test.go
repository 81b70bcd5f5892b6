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

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		hello,
		`{"type":"disconnect","reason":"warning"}`,
		`{"envelope_id":"e1","type":"interactive","payload":{"a":[1,"\"envelope_id\":\"e2\""]}}`,
		`{"envelope_id":"e1","type":"interactive","payload":{"a":`,
		`{"envelope_id":"\ud800","type":"x"}`,
		`{"type":7,"envelope_id":"e1"}`,
		`null`, ``, `"`, `{`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := decode(b)
		id, kind := got.Envelope.v, got.Type.v
		if err == nil && kind == "" {
			t.Fatal("understood, without a type")
		}
		if err == nil && id == "" && kind != "hello" && kind != "disconnect" {
			t.Fatal("an envelope without an id")
		}
		if err == nil && !json.Valid(b) {
			t.Fatal("understood, though it is no JSON")
		}
		if err != nil && !strings.HasPrefix(err.Error(), "decoding a frame of ") {
			t.Fatalf("an error that does not say what was being done: %v", err)
		}
		if id == "" {
			return
		}
		// Whatever id was found can be acknowledged, and as what it is.
		ack, err := encode(id, nil)
		if err != nil {
			t.Fatalf("acknowledging %q: %v", id, err)
		}
		var said map[string]string
		if err := json.Unmarshal(ack, &said); err != nil {
			t.Fatalf("the ack %s is no JSON: %v", ack, err)
		}
		if diff := cmp.Diff(map[string]string{"envelope_id": id}, said); diff != "" {
			t.Fatalf("the ack (-want +got):\n%s", diff)
		}
	})
}
