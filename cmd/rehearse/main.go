// Command rehearse plays keyturn against a simulated Slack workspace and a simulated
// Auth0 tenant: with no account, no configuration and no network. It runs the same
// program that is installed, as a child process, and never belongs in an image.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"keyturn/cmd/keyturn/serve"
)

// asKeyturn is the argument with which the rehearsal runs itself as keyturn.
const asKeyturn = "keyturn"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) == 2 && os.Args[1] == asKeyturn {
		err := serve.Run(ctx, os.Stderr)
		if err != nil {
			fmt.Fprintf(os.Stderr, "keyturn: %v\n", err)
		}
		os.Exit(serve.ExitStatus(err))
	}
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "rehearse: %v\n", err)
		os.Exit(1)
	}
}

// run plays the story, or with -serve keeps the simulators running until ctx ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("rehearse", flag.ContinueOnError)
	keep := flags.Bool("serve", false, "leave the simulators running and print the variables for a keyturn of your own")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	w, err := newWorld()
	if err != nil {
		return err
	}
	defer w.close()
	if *keep {
		return w.wait(ctx, out)
	}
	if err := w.start(ctx); err != nil {
		return err
	}
	s := &story{world: w, out: out}
	if err := s.play(ctx); err != nil {
		return fmt.Errorf("%w\nkeyturn's log:\n%s", err, w.log())
	}
	return w.stop()
}
