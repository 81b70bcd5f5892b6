package socket

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"
)

// frame is what Slack sends: a hello, a disconnect, or an envelope.
type frame struct {
	Type     string          `json:"type"`
	Envelope string          `json:"envelope_id"`
	Payload  json.RawMessage `json:"payload"`
	Accepts  json.RawMessage `json:"accepts_response_payload"`
	Reason   string          `json:"reason"`

	Connections int `json:"num_connections"`
	Debug       struct {
		Lifetime float64 `json:"approximate_connection_time"` // seconds
	} `json:"debug_info"`
	App struct {
		ID string `json:"app_id"`
	} `json:"connection_info"`
}

func (f frame) accepts() bool { return string(f.Accepts) == "true" }

func (f frame) lifetime() time.Duration {
	return time.Duration(f.Debug.Lifetime * float64(time.Second))
}

var envelopeID = regexp.MustCompile(`"envelope_id"\s*:\s*"([A-Za-z0-9_.:-]{1,200})"`)

// decode reads a frame. With an error, the frame has the envelope id if one could be
// found in what came, so that it can be acknowledged.
func decode(b []byte) (frame, error) {
	var f frame
	err := json.Unmarshal(b, &f)
	if err == nil && f.Type == "" {
		err = errors.New("it has no type")
	}
	if err == nil {
		return f, nil
	}
	f = frame{}
	if found := envelopeID.FindSubmatch(b); found != nil {
		f.Envelope = string(found[1])
	}
	return f, fmt.Errorf("decoding a frame of %d bytes: %w", len(b), err)
}

// encode writes an ack. One that would be too large for Slack to notice is replaced
// by a bare one, with an error that says so: its words do not arrive.
func encode(envelope string, payload any) ([]byte, error) {
	ack := struct {
		Envelope string `json:"envelope_id"`
		Payload  any    `json:"payload,omitempty"`
	}{Envelope: envelope}
	bare, err := json.Marshal(ack)
	if err != nil || payload == nil {
		return bare, err
	}
	ack.Payload = payload
	b, err := json.Marshal(ack)
	if err != nil {
		return bare, fmt.Errorf("encoding an ack: %w", err)
	}
	if len(b) > maxAck {
		return bare, fmt.Errorf("an ack of %d bytes, and Slack takes %d: sent without its payload", len(b), maxAck)
	}
	return b, nil
}
