// Command rehearse plays keyturn against a simulated Slack workspace and a simulated
// Auth0 tenant: with no account, no configuration and no network. It runs the same
// program that is installed, as a child process, and never belongs in an image. A drill
// (drill.go) alone has a real workspace, and a Slack app of its own, before the simulated
// tenant.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"keyturn/cmd/rehearse/page"
	"keyturn/cmd/rehearse/world"
)

func main() {
	world.BeKeyturn()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "rehearse: %v\n", err)
		os.Exit(1)
	}
}

// run plays the story, or what a flag says in its place.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("rehearse", flag.ContinueOnError)
	browse := flags.Bool("page", false, "play in the browser: anybody in the channel, the tenant beside it, faults, a tour")
	inSlack := flags.Bool("drill", false, "simulate the tenant alone, before your own Slack workspace and an app of its own; the README says how")
	keep := flags.Bool("serve", false, "leave the simulators running and print the variables for a keyturn of your own")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	var chosen []string
	flags.Visit(func(f *flag.Flag) { chosen = append(chosen, "-"+f.Name) })
	if len(chosen) > 1 {
		return fmt.Errorf("%s exclude each other: choose one", strings.Join(chosen, " and "))
	}
	if *inSlack {
		return drill(ctx, out)
	}
	w, err := world.New()
	if err != nil {
		return err
	}
	defer w.Close()
	if *keep {
		return wait(ctx, w, out)
	}
	if err := w.Start(ctx); err != nil {
		return err
	}
	if *browse {
		return show(ctx, w, out)
	}
	s := &story{World: w, out: out}
	if err := s.play(ctx); err != nil {
		return fmt.Errorf("%w\nkeyturn's log:\n%s", err, w.Keyturn.Log())
	}
	return w.Keyturn.Stop()
}

// show serves the page of a world until ctx ends.
func show(ctx context.Context, w *world.World, out io.Writer) error {
	server, address, err := world.Listen(page.New(w))
	if err != nil {
		return err
	}
	defer server.Close()
	fmt.Fprintf(out, "The rehearsal is at\n\n  %s\n\nIt ends with Ctrl-C, and nothing of it is kept.\n", address)
	<-ctx.Done()
	return nil
}

// wait prints how to run a keyturn of one's own in a world, and waits until ctx ends.
func wait(ctx context.Context, w *world.World, out io.Writer) error {
	fmt.Fprintf(out, "# A simulated Slack is at %s, a simulated Auth0 tenant at %s.\n# Start a keyturn against them with:\n\n", w.SlackURL, w.Auth0URL)
	for _, v := range w.Variables() {
		fmt.Fprintln(out, "export "+v)
	}
	fmt.Fprint(out, "\ngo run ./cmd/keyturn\n\n# Both are gone when this ends (Ctrl-C).\n")
	<-ctx.Done()
	return nil
}
