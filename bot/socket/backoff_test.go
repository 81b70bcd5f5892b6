package socket

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	gone := errors.New("gone")
	for name, tt := range map[string]struct {
		short      int // connections that did not last, before this one
		lasted     time.Duration
		err        error
		least, top time.Duration
	}{
		"the first":                  {0, 0, gone, 0, 100 * time.Millisecond},
		"the second":                 {1, 0, gone, 0, 200 * time.Millisecond},
		"the fifth":                  {4, time.Second, gone, 0, 1600 * time.Millisecond},
		"the ninth":                  {8, 0, gone, 0, 25600 * time.Millisecond},
		"the tenth":                  {9, 0, gone, 0, 30 * time.Second},
		"the thousandth":             {999, 0, gone, 0, 30 * time.Second},
		"nearly stable":              {9, stable - 1, gone, 0, 30 * time.Second},
		"stable":                     {9, stable, gone, 0, 100 * time.Millisecond},
		"too many":                   {0, 0, fmt.Errorf("x: %w", errTooMany), tooManyWait, tooManyWait + 100*time.Millisecond},
		"Slack says when":            {0, 0, fmt.Errorf("x: %w", &OpenError{RetryAfter: time.Minute, Err: gone}), time.Minute, time.Minute + 100*time.Millisecond},
		"Slack says in the past":     {0, 0, &OpenError{RetryAfter: -time.Minute, Err: gone}, 0, 100 * time.Millisecond},
		"Slack says when, once more": {9, 0, &OpenError{RetryAfter: time.Minute, Err: gone}, time.Minute, 90 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			var most time.Duration
			for range 200 {
				b := backoff{short: tt.short}
				wait := b.next(tt.lasted, tt.err)
				if wait <= tt.least || wait > tt.top+time.Millisecond {
					t.Fatalf("waits %v, want more than %v and not more than %v", wait, tt.least, tt.top)
				}
				most = max(most, wait-tt.least)
			}
			// Half of the draws are expected above the middle; none of 200, never.
			if middle := (tt.top - tt.least) / 2; most < middle {
				t.Errorf("the longest of 200 waits is %v, want one above %v", most, middle)
			}
		})
	}
}
