package approval

import (
	"testing"
	"time"
)

func TestWithinBothClocks(t *testing.T) {
	from := time.Now()
	for name, tc := range map[string]struct {
		now  time.Time
		want bool
	}{
		"at once":                {from, true},
		"a second later":         {from.Add(time.Second), true},
		"just as long":           {from.Add(3 * time.Second), false},
		"the wall was set ahead": {from.Round(0).Add(time.Hour), false},
		"the wall was set back":  {from.Round(0).Add(-time.Hour), false},
	} {
		if got := within(from, tc.now, 3*time.Second); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}
