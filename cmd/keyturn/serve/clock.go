package serve

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"keyturn/bot/approval"
	"keyturn/mgmt"
)

// clocks compares this machine's clock with Auth0's, which each answer of Auth0 tells. A
// wrong one is no reason to refuse anything, and makes the times wrong that people see.
type clocks struct {
	tenants map[string]approval.Tenant
	log     zerolog.Logger
	told    map[string]time.Duration // the skew that was logged last; 0: none, or that it is over
}

func newClocks(tenants map[string]approval.Tenant, log zerolog.Logger) *clocks {
	return &clocks{tenants: tenants, log: log, told: map[string]time.Duration{}}
}

// run compares each minute until ctx ends.
func (c *clocks) run(ctx context.Context) {
	for sleep(ctx, time.Minute) {
		c.compare()
	}
}

// compare logs where the clocks differ, once for each change of more than a minute.
func (c *clocks) compare() {
	for name, t := range c.tenants {
		skew, told := t.Reader.Skew(), c.told[name]
		wrong := skew.Abs() > mgmt.MaxSkew
		switch {
		case wrong && (told == 0 || (skew-told).Abs() > mgmt.MaxSkew):
			c.told[name] = skew
			c.log.Warn().Str("tenant", name).Str("auth0_ahead", skew.Round(time.Second).String()).
				Msg("this machine's clock differs from Auth0's: set it, or the times that people see are wrong")
		case !wrong && told != 0:
			c.told[name] = 0
			c.log.Info().Str("tenant", name).Msg("this machine's clock agrees with Auth0's again")
		}
	}
}
