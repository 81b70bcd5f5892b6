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
  keyturn audit …   verifies, exports or shows the trail; keyturn help audit says how
  keyturn version   prints the version
  keyturn help      prints this
`

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	command := "serve"
	if len(args) > 0 {
		command, args = commandOf(args[0]), args[1:]
	}
	switch {
	case command == "audit":
		return inspect.Run(args, serve.Database(), stdin, stdout, stderr)
	case command == "help" && len(args) > 0 && commandOf(args[0]) != "help":
		return run([]string{args[0], "help"}, stdin, stdout, stderr)
	case command == "help", isCommand(command) && len(args) > 0 && commandOf(args[0]) == "help":
		fmt.Fprint(stdout, usage)
		return 0
	case isCommand(command) && len(args) > 0:
		fmt.Fprintf(stderr,
			"keyturn: keyturn %s takes no arguments; the KEYTURN_ variables say all\n\n%s", command,
			usage)
		return 2
	case command == "version":
		fmt.Fprintln(stdout, serve.Version())
		return 0
	case command == "serve":
		return runServe(stderr)
	}
	fmt.Fprintf(stderr, "keyturn: unknown command %q\n\n%s", command, usage)
	return 2
}

func isCommand(command string) bool { return command == "serve" || command == "version" }

// commandOf is the command that a word means: people also type it as a flag.
func commandOf(word string) string {
	switch word {
	case "-h", "-help", "--help":
		return "help"
	case "-v", "-V", "-version", "--version":
		return "version"
	}
	return word
}

// runServe runs the bot until a signal ends it: also the end of the session that it was
// started from (SIGHUP), where nohup did not ask for the opposite.
//
// SIGQUIT stays Go's, which prints where each goroutine is and exits with 2: whoever sends it
// wants that. SIGPIPE, of a log that nobody reads any longer, is ignored: it must not end a
// change half way.
func runServe(stderr io.Writer) int {
	signal.Ignore(syscall.SIGPIPE)
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	err := serve.Run(ctx, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "keyturn: %v\n", err)
	}
	return serve.ExitStatus(err)
}
