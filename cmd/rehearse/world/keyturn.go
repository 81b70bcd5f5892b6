package world

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"

	"keyturn/cmd/keyturn/serve"
)

// AsKeyturn and AsDrill are the arguments with which BeKeyturn is keyturn, and keyturn in a
// drill.
const (
	AsKeyturn = "keyturn"
	AsDrill   = "keyturn-drill"
)

// BeKeyturn does not return where this process is a Keyturn of another: it is keyturn then,
// until it is told to stop or its standard input ends, which is a pipe from its parent, and
// exits. Whoever starts a Keyturn calls it first, in their main: it is this very program
// again.
func BeKeyturn() {
	if len(os.Args) != 2 {
		return
	}
	run, is := map[string]func(context.Context, io.Writer) error{AsKeyturn: serve.Run, AsDrill: serve.Drill}[os.Args[1]]
	if !is {
		return
	}
	// Who is gone reads no log, and a terminal that is closed ends the parent alone: a
	// keyturn that ends cleanly leaves no dead connection behind, which Slack would count
	// for hours.
	signal.Ignore(syscall.SIGPIPE, syscall.SIGHUP)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	err := run(ctx, os.Stderr)
	if err != nil {
		fmt.Fprintf(os.Stderr, "keyturn: %v\n", err)
	}
	os.Exit(serve.ExitStatus(err))
}

// errKilled is how a keyturn ends that Kill ended.
var errKilled = errors.New("killed")

// Keyturn is the real keyturn as a process of its own, so that it can really be killed,
// and started again. It is safe for concurrent use.
type Keyturn struct {
	as   string            // the argument
	env  []string          // all that begins with KEYTURN_
	show func(line string) // gets each line of the log as it comes

	mu      sync.Mutex
	child   *exec.Cmd     // nil: none runs
	ended   chan struct{} // closed when child has ended
	err     error         // how the last one ended; nil: cleanly, or none did
	log     []string      // its last lines, over all starts
	rest    string        // of a line that is not over
	changed chan struct{}
}

// NewKeyturn returns a keyturn that is not started yet. Of its environment only env
// begins with KEYTURN_.
func NewKeyturn(env []string) *Keyturn { return newKeyturn(AsKeyturn, env, func(string) {}) }

// NewDrill is NewKeyturn for a drill. show gets each line of its log as it comes, one after
// the other.
func NewDrill(env []string, show func(line string)) *Keyturn { return newKeyturn(AsDrill, env, show) }

func newKeyturn(as string, env []string, show func(line string)) *Keyturn {
	ended := make(chan struct{})
	close(ended)
	return &Keyturn{as: as, env: env, show: show, ended: ended, changed: make(chan struct{})}
}

// Start starts it, unless it runs. It is not connected to Slack yet when this returns.
func (k *Keyturn) Start() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.child != nil {
		return nil
	}
	child := exec.Command(self, k.as)
	child.Env = append(slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "KEYTURN_") }), k.env...)
	child.Stderr = k
	if _, err := child.StdinPipe(); err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return fmt.Errorf("starting keyturn: %w", err)
	}
	k.child, k.ended, k.err = child, make(chan struct{}), nil
	k.tell()
	go k.wait(child, k.ended)
	return nil
}

func (k *Keyturn) wait(child *exec.Cmd, ended chan struct{}) {
	err := child.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	if status, ok := child.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signal() == syscall.SIGKILL {
		err = errKilled
	}
	k.child, k.err = nil, err
	close(ended)
	k.tell()
}

// Stop ends it as an operator would, and waits for it. The error is how it ended, if not
// cleanly.
func (k *Keyturn) Stop() error {
	k.signal(syscall.SIGTERM)
	<-k.Ended()
	if err := k.Err(); err != nil {
		return fmt.Errorf("keyturn did not stop cleanly: %w\nits log:\n%s", err, k.Log())
	}
	return nil
}

// Kill ends it at once, wherever it is, and waits for that.
func (k *Keyturn) Kill() {
	k.signal(syscall.SIGKILL)
	<-k.Ended()
}

func (k *Keyturn) signal(s syscall.Signal) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.child != nil {
		k.child.Process.Signal(s) // or it has ended just now
	}
}

// Running reports whether it runs.
func (k *Keyturn) Running() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.child != nil
}

// Ended returns a channel that is closed once the one that runs has ended.
func (k *Keyturn) Ended() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.ended
}

// Err is how the last one ended; nil: cleanly, or it runs.
func (k *Keyturn) Err() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.err
}

// maxLog is how many lines of the log are kept.
const maxLog = 200

// Write takes what it logs.
func (k *Keyturn) Write(p []byte) (int, error) {
	for _, line := range k.keep(p) {
		k.show(line)
	}
	return len(p), nil
}

// keep keeps what was logged, and returns the lines that are whole now.
func (k *Keyturn) keep(p []byte) (lines []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	lines = strings.Split(k.rest+string(p), "\n")
	k.rest, lines = lines[len(lines)-1], lines[:len(lines)-1]
	k.log = append(k.log, lines...)
	k.log = k.log[max(0, len(k.log)-maxLog):]
	k.tell()
	return lines
}

// Log returns the last lines that it logged, also before it was killed.
func (k *Keyturn) Log() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return strings.Join(append(slices.Clone(k.log), k.rest), "\n")
}

// Changed returns a channel that is closed when it starts, ends or logs something.
func (k *Keyturn) Changed() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.changed
}

// tell wakes those who wait for a change. k.mu is held.
func (k *Keyturn) tell() {
	close(k.changed)
	k.changed = make(chan struct{})
}
