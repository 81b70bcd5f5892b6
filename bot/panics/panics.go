// Package panics is the one rule for a panic: it ends the piece of work in which it
// happened, and nothing else. Whoever starts a goroutine puts its work into Caught,
// reports the error like any other, and sets the one row aside that brought it.
//
// Without the rule one bad row is a crash loop: each start finds it again.
package panics

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// Error is a panic. Its text holds the stack and is for the operator alone.
type Error struct {
	Value any // what was panicked with
	stack []byte
}

func (e *Error) Error() string { return fmt.Sprintf("panic: %v\n%s", e.Value, e.stack) }

// Is reports whether err is a panic, or wraps one.
func Is(err error) bool {
	var p *Error
	return errors.As(err, &p)
}

// Caught does work and returns its error. If work panics, the error is an *Error.
func Caught(work func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &Error{Value: v, stack: debug.Stack()}
		}
	}()
	return work()
}
