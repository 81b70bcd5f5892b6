// Package inspect is keyturn audit: it verifies, exports and shows the trail, reads only,
// and needs nothing but the database. It is a package so that the rehearsal shows the
// very same.
package inspect

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"

	"keyturn/bot/audit"
	"keyturn/bot/store"
)

const auditUsage = `keyturn audit: reads the trail, beside a running keyturn or from a copy of its database

  keyturn audit verify [--checkpoint FILE|-] [--key PUBLIC]   checks that nothing of it was changed
  keyturn audit export [--format jsonl|csv]                   writes all entries to standard output
  keyturn audit show REQUEST                                  the story of a request, as Markdown

  --database PATH   the SQLite file; default: KEYTURN_DATABASE_URL, or keyturn.db
  --checkpoint      a file, or - for standard input, with a checkpoint as it was copied out of Slack:
                    the trail has to begin with the very entries that it was signed for
  --key             the public part of the key that has to have signed, as keyturn posted it at its
                    first start; default: the one that the trail names

Exit status: 0 where everything holds; 1 where something does not, or the request is unknown; 2 where the
database or an argument cannot be read.
`

// auditing is one call of keyturn audit.
type auditing struct {
	ctx        context.Context
	in         io.Reader
	out, err   io.Writer
	database   string
	checkpoint string
	key        string
	format     string
}

// What ends a call with status 1: it could be read, and is not as it should be.
var (
	errHolds   = errors.New("the trail does not hold")
	errUnknown = errors.New("the trail has no such request")
)

// Run runs keyturn audit with what follows these two words, and returns its exit status:
// 0 where everything holds; 1 where something does not, or the request is unknown; 2 where
// the database or an argument cannot be read. database is used where no flag names another;
// "": there is none.
func Run(args []string, database string, in io.Reader, out, errs io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(errs, auditUsage)
		return 2
	}
	if slices.Contains([]string{"help", "-h", "-help", "--help"}, args[0]) {
		fmt.Fprint(out, auditUsage)
		return 0
	}
	a := &auditing{
		ctx: context.Background(), in: in, out: out, err: errs, database: database,
	}
	flags := flag.NewFlagSet("keyturn audit "+args[0], flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.Usage = func() { fmt.Fprint(errs, auditUsage) }
	flags.StringVar(&a.database, "database", a.database, "")
	var command func(*store.Moment, *audit.Verified) error
	words := 0
	var request string
	switch args[0] {
	case "verify":
		flags.StringVar(&a.checkpoint, "checkpoint", "", "")
		flags.StringVar(&a.key, "key", "", "")
		command = a.verify
	case "export":
		flags.StringVar(&a.format, "format", "jsonl", "")
		command = a.export
	case "show":
		words = 1
		command = func(m *store.Moment, v *audit.Verified) error { return a.show(m, v, request) }
	default:
		fmt.Fprintf(errs, "keyturn audit: unknown command %q\n\n%s", args[0], auditUsage)
		return 2
	}
	rest, err := interleaved(flags, args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case len(rest) != words || a.format != "" && a.format != "jsonl" && a.format != "csv":
		fmt.Fprint(errs, auditUsage)
		return 2
	}
	if words == 1 {
		request = rest[0]
	}
	if a.database == "" {
		a.database = "keyturn.db"
	}
	err = a.read(command)
	if err != nil {
		fmt.Fprintf(errs, "keyturn audit: %v\n", err)
	}
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errHolds), errors.Is(err, errUnknown):
		return 1
	}
	return 2
}

// interleaved parses flags before and after the words, which it returns.
func interleaved(flags *flag.FlagSet, args []string) (words []string, err error) {
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		if flags.NArg() == 0 {
			return words, nil
		}
		words, args = append(words, flags.Arg(0)), flags.Args()[1:]
	}
}

// read opens the database, verifies it, and lets command work on what was verified: the
// very same moment.
func (a *auditing) read(command func(*store.Moment, *audit.Verified) error) error {
	db, err := store.OpenReader(a.ctx, a.database)
	if err != nil {
		return err
	}
	defer db.Close()
	return db.At(a.ctx, func(m *store.Moment) error {
		v, err := m.Verify(a.key)
		if err != nil {
			return err
		}
		out := bufio.NewWriter(a.out)
		a.out = out
		return errors.Join(command(m, v), out.Flush())
	})
}

// verify says what holds and what does not.
func (a *auditing) verify(m *store.Moment, v *audit.Verified) error {
	extends := ""
	if a.checkpoint != "" {
		text, err := a.given()
		if err != nil {
			return err
		}
		var c audit.Checkpoint
		if v.Key == "" {
			err = errors.New("the trail names no key; say --key, as keyturn posted it")
		} else {
			c, err = audit.ReadCheckpoint(text, v.Key)
		}
		if err == nil {
			err = v.Extends(c)
		}
		if err != nil {
			v.Faults = append(v.Faults, audit.Fault{What: fmt.Sprintf("the checkpoint that was given: %v", err)})
		}
		extends = fmt.Sprintf("checkpoint   the trail begins with the %d entries that it was signed for\n", c.Size)
	}
	fmt.Fprintf(a.out, "entries      %d\nroot         %s (%x…)\nkey          %s\ncheckpoints  %d in the trail, signed by the key\n", v.Size, v.Root, v.Root[:4], orNone(v.Key), v.Checkpoints)
	if len(v.Faults) == 0 {
		fmt.Fprint(a.out, extends, "\nEverything holds: each entry is the one that was sealed, and each request is what its entries make of it.\n")
		switch {
		case v.Key == "":
			fmt.Fprint(a.out, "No key signed it: whoever has the database may have rewritten all of it.\n")
		case a.key == "" && extends == "":
			fmt.Fprint(a.out, "The key is the one that the trail names. Whoever rewrote all of it would have put theirs there: say --key, as keyturn posted it.\n")
		}
		if extends == "" {
			fmt.Fprint(a.out, "Whether the end was cut off, or all of it replaced, only a checkpoint from the channel of the trail shows: --checkpoint.\n")
		}
		fmt.Fprint(a.out, "What nothing here shows: a trail rewritten by somebody who has the database, the key and the bot token.\n")
		return nil
	}
	return faulty(v)
}

// faulty is the error that names what does not hold, the first first.
func faulty(v *audit.Verified) error {
	const most = 10
	words := ""
	for i, f := range v.Faults {
		if i == most {
			words += fmt.Sprintf("\n  and %d more", len(v.Faults)-most)
			break
		}
		words += "\n  " + f.String()
	}
	return fmt.Errorf("%w:%s", errHolds, words)
}

func orNone(key string) string {
	if key == "" {
		return "none: no start of keyturn is in the trail"
	}
	return key
}

// given reads the checkpoint that was given.
func (a *auditing) given() (string, error) {
	in := a.in
	if a.checkpoint != "-" {
		f, err := os.Open(a.checkpoint)
		if err != nil {
			return "", err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, 1<<20))
	return string(text), err
}

// export writes all entries, and then fails if something does not hold: whoever has the
// export has to know.
func (a *auditing) export(m *store.Moment, v *audit.Verified) (err error) {
	if a.format == "csv" {
		err = audit.ExportCSV(a.out, func(f func(audit.Entry) error) error { return audit.EachEntry(m, f) })
	} else {
		err = audit.ExportJSONL(a.out, m)
	}
	if err == nil && len(v.Faults) > 0 {
		err = faulty(v)
	}
	return err
}

// show writes the story of a request.
func (a *auditing) show(m *store.Moment, v *audit.Verified, request string) error {
	var story []audit.Entry
	var over *audit.Entry
	if err := audit.EachEntry(m, func(e audit.Entry) error {
		switch {
		case e.Request == request:
			story, over = append(story, e), nil
		case e.Kind == audit.Checkpointed && over == nil && len(story) > 0:
			over = &e
		}
		return nil
	}); err != nil {
		return err
	}
	if len(story) == 0 {
		return fmt.Errorf("%w: %q", errUnknown, request)
	}
	if len(v.Faults) > 0 {
		return faulty(v) // a story of what was forged must not be pasted anywhere
	}
	_, err := io.WriteString(a.out, audit.Show(story, over))
	return err
}
