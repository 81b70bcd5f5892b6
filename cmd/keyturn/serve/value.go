package serve

import (
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// This file has the types of the values that come from the environment. None of them ends
// the reading: what a value should not be, check notes by the variable's name. A value that
// is the empty string leaves the field as it was, at its default.

// Text is a value without the spaces and quotes around it.
type Text string

func (t *Text) Decode(value string) error {
	if value != "" {
		*t = Text(clean(value))
	}
	return nil
}

// List is a value of several parts. Commas, semicolons, spaces and line ends are between them.
type List []string

func (l *List) Decode(value string) error {
	if value != "" {
		*l = parts(value)
	}
	return nil
}

func (l List) String() string { return strings.Join(l, ",") }

// Duration is a time such as 30m. It is unreadable where the value is none.
type Duration time.Duration

const unreadable Duration = math.MinInt64

func (d *Duration) Decode(value string) error {
	if value == "" {
		return nil
	}
	read, err := time.ParseDuration(clean(value))
	if *d = Duration(read); err != nil {
		*d = unreadable
	}
	return nil
}

func (d Duration) String() string { return time.Duration(d).String() }

// Secret is a text that does not print.
type Secret string

func (s *Secret) Decode(value string) error {
	if value != "" {
		*s = Secret(clean(value))
	}
	return nil
}

func (Secret) String() string   { return "[hidden]" }
func (Secret) GoString() string { return "[hidden]" }

// File is a secret in a file that the value names. Its Fault says why it could not be read,
// without the name: a secret may have been given in the place of one.
type File struct {
	Secret Secret
	Fault  string
}

func (f *File) Decode(value string) error {
	path := clean(value)
	if path == "" {
		return nil
	}
	text, err := readSecret(path)
	if err != nil {
		f.Fault = err.Error()
	}
	f.Secret = Secret(clean(text))
	return nil
}

// maxSecret is how many bytes a file with a secret may have.
const maxSecret = 64 << 10

// readSecret reads a regular file; Kubernetes mounts secrets as links to some. Anything else
// is refused at once, since reading a pipe or a device may wait for ever. The errors do not
// name the path.
func readSecret(path string) (string, error) {
	if err := isSmallFile(os.Stat(path)); err != nil {
		return "", err
	}
	// It may have become a pipe since then, and opening one would wait.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", unnamed(err)
	}
	defer file.Close()
	if err := isSmallFile(file.Stat()); err != nil {
		return "", err
	}
	b, err := io.ReadAll(io.LimitReader(file, maxSecret+1))
	switch {
	case err != nil:
		return "", unnamed(err)
	case len(b) > maxSecret:
		return "", errTooLarge
	case clean(decoded(b)) == "":
		return "", errors.New("the file is empty")
	}
	return decoded(b), nil
}

var errTooLarge = errors.New("the file is larger than 64 KB, so it holds more than a secret")

func isSmallFile(info fs.FileInfo, err error) error {
	switch {
	case err != nil:
		return unnamed(err)
	case info.IsDir():
		return errors.New("it names a directory; name the file in it")
	case !info.Mode().IsRegular():
		return errors.New("it names no regular file")
	case info.Size() > maxSecret:
		return errTooLarge
	}
	return nil
}

// unnamed is an error of a file without the file's name.
func unnamed(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return errors.New("the file cannot be read: " + err.Error())
}

// decoded is b as UTF-8. Editors on Windows write UTF-16, some without saying so in front.
func decoded(b []byte) string {
	order := func(low int) string {
		units := make([]uint16, len(b)/2)
		for i := range units {
			units[i] = uint16(b[2*i+low]) | uint16(b[2*i+1-low])<<8
		}
		return string(utf16.Decode(units))
	}
	switch {
	case len(b) < 2 || len(b)%2 != 0:
	case b[0] == 0xFF && b[1] == 0xFE, b[0] != 0 && b[1] == 0:
		return order(0)
	case b[0] == 0xFE && b[1] == 0xFF, b[0] == 0 && b[1] != 0:
		return order(1)
	}
	return string(b)
}

// clean takes away what copying leaves around a value: spaces and line ends, characters
// without a width, the mark in front of a file, and pairs of quotes.
func clean(s string) string {
	for {
		s = strings.TrimFunc(s, func(r rune) bool {
			return unicode.IsSpace(r) ||
				unicode.Is(unicode.Cf, r)
		})
		inner, ok := unquoted(s)
		if !ok {
			return s
		}
		s = inner
	}
}

func unquoted(s string) (string, bool) {
	for _, pair := range []string{`""`, "''", "``", "“”", "‘’", "„“", "«»"} {
		first, size := utf8.DecodeRuneInString(pair)
		rest, opens := strings.CutPrefix(s, string(first))
		if inner, closes := strings.CutSuffix(rest, pair[size:]); opens && closes {
			return inner, true
		}
	}
	return s, false
}

// parts splits a list; it is empty, and not nil, where nothing is in it.
func parts(value string) []string {
	out := []string{}
	for _, s := range strings.FieldsFunc(clean(value), func(r rune) bool {
		return r == ',' || r == ';' || unicode.IsSpace(r)
	}) {
		if s = clean(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}
