//go:build !failpoint

package serve

import (
	"time"

	"keyturn/bot"
	"keyturn/bot/approval"
	"keyturn/bot/store"
)

// instrumented is db as it is. Only a build with the tag failpoint, which is never
// shipped, can be told to die at a write.
func instrumented(db *store.Store) keeper { return db }

func timing() approval.Timing { return approval.DefaultTiming() }

func pace() time.Duration { return bot.DefaultPace }
