package audit

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// columns are the head of an export as CSV.
var columns = []string{"seq", "time", "kind", "tenant", "request", "team", "user", "name", "action", "kid", "status", "what", "words"}

// ExportCSV writes a head and then a row for each entry that each calls it with. No
// cell begins with what a spreadsheet takes for a formula: such a cell gets a ' in front
// (OWASP, CSV injection).
func ExportCSV(w io.Writer, each func(f func(Entry) error) error) error {
	out := csv.NewWriter(w)
	if err := out.Write(columns); err != nil {
		return err
	}
	err := each(func(e Entry) error {
		cells := row(e)
		for i, c := range cells {
			cells[i] = harmless(c)
		}
		return out.Write(cells)
	})
	out.Flush()
	if err == nil {
		err = out.Error()
	}
	return err
}

func row(e Entry) []string {
	var actor Actor
	if e.Actor != nil {
		actor = *e.Actor
	}
	action, kid, status, words := "", "", "", e.Reason
	if e.Change != nil {
		action = e.Change.Action
		if key := e.Change.Pins.Target(); key != nil {
			kid = key.KID
		}
		if e.Kind == Asked {
			words = e.Change.Reason
		}
	}
	if e.Step != nil {
		action, kid = e.Step.Write, e.Step.KID
	}
	if e.Answer != nil && e.Answer.Status > 0 {
		status = strconv.Itoa(e.Answer.Status)
	}
	return []string{
		strconv.FormatInt(e.Seq, 10), e.Time.UTC().Format(time.RFC3339Nano), string(e.Kind), e.Tenant, e.Request,
		actor.Team, actor.User, actor.Name, action, kid, status, Sentence(e), words,
	}
}

func harmless(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", []rune(cell)[0]) {
		return "'" + cell
	}
	return cell
}

// ExportJSONL writes the exact lines that are kept, one entry a line.
func ExportJSONL(w io.Writer, k Keeping) error {
	return k.Each(func(kept Kept) error {
		_, err := fmt.Fprintf(w, "%s\n", kept.Line)
		return err
	})
}

// EachEntry calls f with each entry of a trail, decoded and not proven; those that cannot
// be decoded are left out, as Verify says.
func EachEntry(k Keeping, f func(Entry) error) error {
	return k.Each(func(kept Kept) error {
		e, err := decode(kept.Line, kept.Seq)
		if err != nil {
			return nil
		}
		return f(e)
	})
}
