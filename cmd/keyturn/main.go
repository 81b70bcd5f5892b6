// Command keyturn is a Slack bot for an Auth0 tenant's application signing keys: a
// change is asked for by one person and happens after a second one approved it.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"keyturn/cmd/keyturn/inspect"
	"keyturn/cmd/keyturn/serve"
)

const usage = `keyturn: two people turn the key

  keyturn [serve]   runs the bot, as the KEYTURN_ variables say (the README lists them)
  keyturn audit …   verifies, exports or shows the trail; keyturn audit help says how
  keyturn version   prints the version
`

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	command := "serve"
	if len(args) == 1 {
		command = args[0]
	}
	switch {
	case len(args) > 0 && args[0] == "audit":
		return inspect.Run(args[1:], stdin, stdout, stderr)
	case len(args) > 1:
		command = ""
	case command == "version":
		fmt.Fprintln(stdout, serve.Version())
		return 0
	case command == "help", command == "-h", command == "--help":
		fmt.Fprint(stdout, usage)
		return 0
	}
	if command != "serve" {
		fmt.Fprintf(stderr, "keyturn: unknown command\n\n%s", usage)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	err := serve.Run(ctx, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "keyturn: %v\n", err)
	}
	return serve.ExitStatus(err)
}
