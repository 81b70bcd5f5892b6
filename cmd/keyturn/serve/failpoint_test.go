//go:build failpoint

package serve

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestEveryWriteHasAPoint keeps a write that is new from being left out of the crash
// matrix: it has to be given a point, or be listed here as one that only reads.
func TestEveryWriteHasAPoint(t *testing.T) {
	reads := strings.Fields(`
		Request Story NextDue Changed Unworked OpenRequests Entries Size Rotations
		MovedSince EntriesIn ChannelsBehind CardsBehind Cards Posted Joined Latest
		Public Root EntriesOf Writable
	`)
	source, err := os.ReadFile("failpoint.go")
	if err != nil {
		t.Fatal(err)
	}
	all := reflect.TypeFor[keeper]()
	for i := range all.NumMethod() {
		name := all.Method(i).Name
		has := strings.Contains(string(source), "func (f *failing) "+name+"(")
		if has == slices.Contains(reads, name) {
			t.Errorf("%s: has a point: %[2]v, is listed as a read: %[2]v; one of them", name, has)
		}
	}
}
