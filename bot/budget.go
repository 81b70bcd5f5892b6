package bot

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// This file is what one person may cost keyturn, so that nobody's clicks hold up the
// others. Deny, Cancel and anybody's first Approve of a request never meet a budget.

// The budgets of one person.
var (
	commandBudget = limit{every: time.Second / 2, burst: 20}
	readBudget    = limit{every: 6 * time.Second, burst: 5} // asking Slack whether they may read
	formBudget    = limit{every: 3 * time.Second, burst: 10}
	askBudget     = limit{every: 6 * time.Second, burst: 10}
	shareBudget   = limit{every: time.Minute, burst: 1}
	againBudget   = limit{every: 20 * time.Second, burst: 3} // approving again what was refused
)

// limit is how often a thing may be done: burst times at once, then once in each every.
type limit struct {
	every time.Duration
	burst int
}

// budget counts what people do against a limit.
type budget struct {
	limit
	now func() time.Time

	mu sync.Mutex
	of map[string]*rate.Limiter
}

func newBudget(l limit, now func() time.Time) *budget {
	return &budget{limit: l, now: now, of: map[string]*rate.Limiter{}}
}

// maxCounted is how many people a budget knows before it forgets those who have all of it.
const maxCounted = 1000

// take reports whether somebody may do the thing once more, and counts it if so.
func (b *budget) take(who string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if len(b.of) >= maxCounted {
		for id, l := range b.of {
			if l.TokensAt(now) >= float64(b.burst) {
				delete(b.of, id)
			}
		}
	}
	l := b.of[who]
	if l == nil {
		l = rate.NewLimiter(rate.Every(b.every), b.burst)
		b.of[who] = l
	}
	return l.AllowN(now, 1)
}
