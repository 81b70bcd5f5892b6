package main

import (
	"io"
	"strings"
	"testing"
)

// TestHelpOfHelp asks for help in all the ways that people do; none goes round for ever.
func TestHelpOfHelp(t *testing.T) {
	for _, line := range []string{"help help", "--help --help", "help -h", "-h help", "help help help", "help serve", "help version"} {
		var out strings.Builder
		if status := run(strings.Fields(line), nil, &out, io.Discard); status != 0 || out.String() != usage {
			t.Errorf("keyturn %s: %d, %q", line, status, out.String())
		}
	}
}
