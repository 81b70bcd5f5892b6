package socket

import (
	"bytes"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// Frames as Slack sends them (facts/slack.md, section 1.2), and some that it should not.
var frames = []string{
	`{"type":"hello","num_connections":1,"debug_info":{"host":"applink-1","build_number":14,"approximate_connection_time":18060},"connection_info":{"app_id":"A1"}}`,
	`{"type":"disconnect","reason":"warning","debug_info":{"host":"applink-1"}}`,
	`{"type":"disconnect","reason":"too_many_websockets","num_connections":11,"connection_info":{"app_id":"A1"}}`,
	`{"envelope_id":"1d3c79ab-0ffb-41f3-a080-d19e85f53649","type":"interactive","payload":{"type":"block_actions","team":null,"actions":[{"value":"\"envelope_id\":\"e2\""}]},"accepts_response_payload":false}`,
	`{"payload":{"command":"/signing-keys","text":"rotate <@U1> & co"},"accepts_response_payload":true,"type":"slash_commands","envelope_id":"dbdd0ef3-1543-4f94-bfb4-133d0e6c1545"}`,
	`{"envelope_id":"e1","type":"events_api","payload":{"event_id":"Ev1"},"retry_attempt":1,"retry_reason":"timeout"}`,
	`{"envelope_id":"e1","type":"interactive","payload":{"a":`,
	`{"envelope_id":"e1"} {"envelope_id":"e2","type":"x"}`,
	`{"envelope_id":"e1","type":"x","Envelope_ID":"e2","TYPE":"hello"}`,
	`{"envelope_id":"\ud800<\u2028","type":"x","payload":1e999}`,
	"{\"envelope_id\":\"\xff\",\"type\":\"x\",\"payload\": [ 1 ,2 ] }",
	`{"type":7,"envelope_id":"e1"}`,
	`{"type":"hello","num_connections":"1","debug_info":{"approximate_connection_time":1e308},"connection_info":[]}`,
	`null`, ``, `"`, `{`, `[]`,
}

// What is read out of a frame is what is written in it, whatever stands beside it, and
// whatever id was found can be acknowledged.
func FuzzDecode(f *testing.F) {
	for i, frame := range frames {
		f.Add([]byte(frame), `a "word" <@U1>`, uint64(i))
	}
	f.Add([]byte(frames[3]), strings.Repeat("<", maxAck), uint64(1))
	f.Add([]byte(frames[3]), "no\xff\x85UTF-8", uint64(1))
	f.Fuzz(func(t *testing.T, b []byte, words string, seed uint64) {
		got, err := decode(b)
		members, distinct := membersOf(b)
		switch {
		case members == nil: // no object: an id is found only where it is written
			if err == nil {
				t.Fatalf("understood as %+v", got)
			}
			if got.Envelope != "" && !bytes.Contains(b, []byte(`"`+got.Envelope+`"`)) {
				t.Fatalf("the id %q is not written in it", got.Envelope)
			}
		case distinct:
			checkRead(t, members, got, err)
			checkOrder(t, members, got, seed)
		}
		if got.Lifetime < 0 || got.Lifetime > maxLifetime {
			t.Fatalf("a life time of %v", got.Lifetime)
		}
		if got.Envelope != "" {
			checkAck(t, got.Envelope, nil, "")
			checkAck(t, got.Envelope, map[string]string{"text": words}, words)
		}
	})
}

// membersOf reads an object by another way than decode does: token by token. It returns
// nil where b is none, and whether each name is there once.
func membersOf(b []byte) (members map[string]json.RawMessage, distinct bool) {
	if !json.Valid(b) {
		return nil, false
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, false
	}
	members, distinct = map[string]json.RawMessage{}, true
	for dec.More() {
		name, err := dec.Token()
		var value json.RawMessage
		if err != nil || dec.Decode(&value) != nil {
			return nil, false
		}
		if _, twice := members[name.(string)]; twice {
			distinct = false
		}
		members[name.(string)] = value
	}
	return members, distinct
}

// checkRead compares what was read with what is written.
func checkRead(t *testing.T, members map[string]json.RawMessage, got frame, err error) {
	t.Helper()
	text := func(name string) (s string) {
		var v any
		json.Unmarshal(members[name], &v)
		s, _ = v.(string)
		return s
	}
	id, kind := text("envelope_id"), text("type")
	if len(id) > maxID {
		id = ""
	}
	want := kind == "hello" || kind == "disconnect" || kind != "" && id != ""
	if (err == nil) != want {
		t.Fatalf("type %q and id %q: %v", kind, id, err)
	}
	if got.Type != kind || got.Envelope != id || !bytes.Equal(got.Payload, members["payload"]) {
		t.Fatalf("read %q, %q, %s; written are %q, %q, %s", got.Type, got.Envelope, got.Payload, kind, id, members["payload"])
	}
	if got.Reason != text("reason") || got.RetryReason != text("retry_reason") || got.Accepts != (string(members["accepts_response_payload"]) == "true") {
		t.Fatalf("read %+v", got)
	}
}

// checkOrder writes the frame anew: its members in another order, unknown ones among
// them, and those that an envelope can do without of other types.
func checkOrder(t *testing.T, members map[string]json.RawMessage, got frame, seed uint64) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 1))
	odd := []string{`null`, `7`, `"x"`, `[{}]`, `{"a":{"envelope_id":"e9"}}`, `-1e9`, `false`}
	anew := maps.Clone(members)
	for _, name := range []string{
		"retry_attempt", "retry_reason", "num_connections", "debug_info", "connection_info", "reason",
		"unknown", "Type", "envelope_ID", "PAYLOAD", "",
	} {
		if random.IntN(2) == 0 {
			anew[name] = json.RawMessage(odd[random.IntN(len(odd))])
		}
	}
	var parts []string
	for name, value := range anew {
		quoted, err := json.Marshal(name)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, string(quoted)+": "+string(value))
	}
	slices.Sort(parts)
	random.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	text := "{" + strings.Join(parts, " ,\n") + "}"
	again, _ := decode([]byte(text))
	if again.Type != got.Type || again.Envelope != got.Envelope || !bytes.Equal(again.Payload, got.Payload) || again.Accepts != got.Accepts {
		t.Fatalf("%s was read as %+v, and before as %+v", text, again, got)
	}
}

// checkAck wants an ack that Slack takes notice of, with the words or with a report that
// they are left out.
func checkAck(t *testing.T, id string, payload any, words string) {
	t.Helper()
	ack, err := encode(id, payload)
	if len(ack) >= 20_480 || bytes.ContainsRune(ack, '\n') {
		t.Fatalf("an ack of %d bytes: %.100s", len(ack), ack)
	}
	var said map[string]any
	if err := json.Unmarshal(ack, &said); err != nil {
		t.Fatalf("the ack %s is no JSON: %v", ack, err)
	}
	if said["envelope_id"] != id {
		t.Fatalf("the ack of %q is %s", id, ack)
	}
	text, _ := said["payload"].(map[string]any)
	switch whole := payload != nil && err == nil; {
	case whole && (len(said) != 2 || text["text"] != string([]rune(words))):
		t.Fatalf("the ack with %q is %s", words, ack)
	case !whole && len(said) != 1:
		t.Fatalf("the bare ack is %s", ack)
	case payload == nil && err != nil, payload != nil && err != nil && len(words) < maxAck/6-200:
		t.Fatalf("acknowledging %q with %q: %v", id, words, err)
	}
}
