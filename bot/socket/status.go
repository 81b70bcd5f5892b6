package socket

import "time"

// State is what Report is told of.
type State string

const (
	// Of connections.
	Connecting   State = "connecting"
	Connected    State = "connected"    // with Connections, Lifetime and App
	Leaving      State = "leaving"      // Slack asked to reconnect (Err); it is read on meanwhile
	Disconnected State = "disconnected" // one is gone; Err says why
	Waiting      State = "waiting"      // for Wait, before the next is opened; Err is why

	// Of envelopes.
	Undecodable    State = "undecodable"    // a frame is not understood; acknowledged if it has Envelope
	Unacknowledged State = "unacknowledged" // on purpose; Err is the handler's, or why it was not asked
	AckCut         State = "ack_cut"        // acknowledged, but what the handler said does not arrive
	AckLost        State = "ack_lost"       // its connection was gone; Slack shows its warning
)

// Status is one report.
type Status struct {
	State       State
	Err         error
	Envelope    string // the id
	Wait        time.Duration
	Connections int           // how many Slack counts for the app, over all processes
	Lifetime    time.Duration // roughly how long Slack will keep the connection; 0: it did not say
	App         string        // the app's id
}
