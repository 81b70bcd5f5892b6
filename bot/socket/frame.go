package socket

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"
)

// frame is what Slack sends: a hello, a disconnect, or an envelope. A field of another
// type than Slack documents is as if it were absent, so that a press is not lost over
// one that nobody asked for.
type frame struct {
	Type     lenient[string] `json:"type"`
	Envelope lenient[string] `json:"envelope_id"`

	// of an envelope
	Payload      json.RawMessage `json:"payload"`
	Accepts      lenient[bool]   `json:"accepts_response_payload"`
	RetryAttempt lenient[int]    `json:"retry_attempt"`
	RetryReason  lenient[string] `json:"retry_reason"`

	// of a disconnect
	Reason lenient[string] `json:"reason"`

	// of a hello
	Connections lenient[int] `json:"num_connections"`
	Debug       lenient[struct {
		Lifetime float64 `json:"approximate_connection_time"` // seconds
	}] `json:"debug_info"`
	Info lenient[struct {
		App string `json:"app_id"`
	}] `json:"connection_info"`
}

// lenient is a value that stays zero where the JSON is of another type.
type lenient[T any] struct{ v T }

func (l *lenient[T]) UnmarshalJSON(b []byte) error {
	var v T
	if json.Unmarshal(b, &v) == nil {
		l.v = v
	}
	return nil
}

func (f frame) lifetime() time.Duration {
	return time.Duration(f.Debug.v.Lifetime * float64(time.Second))
}

func (f frame) envelope(at time.Time) Envelope {
	return Envelope{
		ID: f.Envelope.v, Type: f.Type.v, Payload: f.Payload, AcceptsPayload: f.Accepts.v,
		RetryAttempt: f.RetryAttempt.v, RetryReason: f.RetryReason.v, Received: at,
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
	err := json.Unmarshal(b, &f)
	switch {
	case err != nil:
		f = frame{}
		if found := envelopeID.FindSubmatch(b); found != nil {
			f.Envelope.v = string(found[1])
		}
	case f.Type.v == "hello", f.Type.v == "disconnect":
	case f.Type.v == "":
		err = errors.New("it has no type")
	case f.Envelope.v == "":
		err = fmt.Errorf("it is of type %.40q and has no envelope_id", f.Type.v)
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
