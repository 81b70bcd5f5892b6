package socket

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"
)

// frame is what Slack sends: a hello, a disconnect, or an envelope.
type frame struct {
	Type     string
	Envelope string // the id

	// of an envelope
	Payload      json.RawMessage
	Accepts      bool
	RetryAttempt int
	RetryReason  string

	// of a disconnect
	Reason string

	// of a hello
	Connections int
	Lifetime    time.Duration // 0: none was told, or none that makes sense
	App         string
}

const (
	maxID       = 200                 // bytes of an envelope's id; Slack's are of 36
	maxLifetime = 30 * 24 * time.Hour // Slack's are of 5 hours
)

// read takes what is known out of a frame's members.
func read(m map[string]json.RawMessage) frame {
	f := frame{
		Type: field[string](m, "type"), Envelope: field[string](m, "envelope_id"),
		Payload: m["payload"], Accepts: field[bool](m, "accepts_response_payload"),
		RetryAttempt: field[int](m, "retry_attempt"), RetryReason: field[string](m, "retry_reason"),
		Reason: field[string](m, "reason"), Connections: field[int](m, "num_connections"),
	}
	if len(f.Envelope) > maxID {
		f.Envelope = "" // its ack might be too large to be noticed
	}
	debug := field[map[string]json.RawMessage](m, "debug_info")
	seconds := field[float64](debug, "approximate_connection_time")
	if seconds > 0 && seconds <= maxLifetime.Seconds() {
		f.Lifetime = time.Duration(seconds * float64(time.Second))
	}
	f.App = field[string](field[map[string]json.RawMessage](m, "connection_info"), "app_id")
	return f
}

// field is one member of an object. One of another type than Slack documents is as if
// it were absent, so that a press is not lost over one that nobody asked for.
func field[T any](m map[string]json.RawMessage, name string) (v T) {
	var zero T
	raw, ok := m[name]
	if !ok || json.Unmarshal(raw, &v) != nil {
		return zero
	}
	return v
}

func (f frame) envelope(at time.Time) Envelope {
	return Envelope{
		ID: f.Envelope, Type: f.Type, Payload: f.Payload, AcceptsPayload: f.Accepts,
		RetryAttempt: f.RetryAttempt, RetryReason: f.RetryReason, Received: at,
	}
}

// envelopeID finds the id in what is no JSON, such as a frame that was cut off. Within
// a string of a payload it finds nothing: there the quotes are escaped.
var envelopeID = regexp.MustCompile(`"envelope_id"\s*:\s*"([A-Za-z0-9_.:-]{1,200})"`)

// decode reads a frame. Without an error it is a hello, a disconnect, or an envelope
// with an id, of whatever type. With an error it has the id of an envelope, if one
// could be found in what came.
func decode(b []byte) (frame, error) {
	var f frame
	var members map[string]json.RawMessage
	err := json.Unmarshal(b, &members)
	if err == nil {
		f = read(members)
	}
	switch {
	case err != nil:
		if found := envelopeID.FindSubmatch(b); found != nil {
			f.Envelope = string(found[1])
		}
	case f.Type == "hello", f.Type == "disconnect":
	case f.Type == "":
		err = errors.New("it has no type")
	case f.Envelope == "":
		err = fmt.Errorf("it is of type %.40q and has no envelope_id", f.Type)
	}
	if err != nil {
		return f, fmt.Errorf("decoding a frame of %d bytes: %w", len(b), err)
	}
	return f, nil
}

// encode writes an ack. One that would be too large for Slack to take notice of, or
// cannot be written as JSON, is replaced by a bare one, with an error that says so:
// its words do not arrive.
func encode(envelope string, payload any) (ack []byte, err error) {
	type bare struct {
		Envelope string `json:"envelope_id"`
	}
	defer func() {
		if r := recover(); r != nil { // of a payload's own MarshalJSON
			err = fmt.Errorf("encoding an ack panicked: %v", r)
		}
		if err != nil {
			ack, _ = marshal(bare{envelope}) // cannot fail: it is a string
		}
	}()
	if payload == nil {
		return marshal(bare{envelope})
	}
	ack, err = marshal(struct {
		bare
		Payload any `json:"payload"`
	}{bare{envelope}, payload})
	switch {
	case err != nil:
		return nil, fmt.Errorf("encoding an ack: %w", err)
	case len(ack) > maxAck:
		return nil, fmt.Errorf("an ack of %d bytes, where Slack takes %d: sent without its payload",
			len(ack), maxAck)
	}
	return ack, nil
}

// marshal writes JSON without HTML's escapes, which would make six bytes of each "<".
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
