package socket

import "time"

// State is what Report is told of.
type State string

const (
	// Of connections.
	Connecting   State = "connecting"
	Connected    State = "connected"    // with Connections, Held, Lifetime and App
	Leaving      State = "leaving"      // a successor is wanted (Err says why); it is read on meanwhile
	Disconnected State = "disconnected" // one is gone; Err says why
	Waiting      State = "waiting"      // for Wait, before the next is opened; Err is why

	// Of envelopes.
	Undecodable    State = "undecodable"    // a frame is not understood; acknowledged if it has Envelope
	Unacknowledged State = "unacknowledged" // on purpose; Err is the handler's, or why it was not asked
	Failed         State = "failed"         // acknowledged first, and then not handled; Err is the handler's
	AckCut         State = "ack_cut"        // acknowledged, but what the handler said does not arrive
	AckLost        State = "ack_lost"       // its connection was gone; Slack shows its warning
)

// Status is one report.
type Status struct {
	State    State
	Err      error
	Envelope string // the id
	Wait     time.Duration
	Lifetime time.Duration // roughly how long Slack will keep the connection; 0: it did not say
	App      string        // the app's id

	// Connections is how many Slack counts for the app, over all processes, this one
	// included. Held is how many of them are this Socket's: each whose TCP connection
	// is open, so also one that is left and still drained, or is just being closed. What
	// is above it belongs to other processes, or is a ghost: Slack did not notice its end,
	// and presses that are delivered to it are lost.
	Connections, Held int
}
