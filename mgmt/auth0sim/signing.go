package auth0sim

import (
	"fmt"
	"net/http"
)

// listedRevoked is how many revoked keys the list has: the Dashboard shows the last
// three, and that the API does so too is an assumption.
const listedRevoked = 3

// list answers GET /api/v2/keys/signing.
func (t *Tenant) list(*call) *answer {
	keys := []map[string]any{}
	more := listedRevoked
	for _, k := range t.ordered() {
		if k.role == revoked {
			if more == 0 {
				break // the older ones come last
			}
			more--
		}
		keys = append(keys, k.wire(t.cfg.Dense))
	}
	return ok(http.StatusOK, keys)
}

// get answers GET /api/v2/keys/signing/{kid}, for revoked keys too, however old.
func (t *Tenant) get(c *call) *answer {
	if k := t.find(c.kid); k != nil {
		return ok(http.StatusOK, k.wire(t.cfg.Dense))
	}
	return failure(http.StatusNotFound, "Signing key not found.", "")
}

// rotate answers POST …/rotate. The answer names the new next key, and not the one
// that came into use (Auth0's OpenAPI, and its .NET client's own tests).
func (t *Tenant) rotate(c *call) *answer {
	var a *answer
	if t.rotation.take(t.cfg.Now()) {
		made := t.applyRotate()
		c.entry.Effect = true
		a = ok(http.StatusCreated, map[string]any{"kid": made.kid, "cert": made.cert()})
	} else {
		// Recorded of another endpoint; the words for this one are an assumption.
		a = failure(http.StatusTooManyRequests, "Global limit has been reached", "too_many_requests")
	}
	t.rotation.tell(a.header)
	return a
}

// revoke answers PUT …/{kid}/revoke. Auth0 documents that only a previously used key
// can be revoked, and that this is final; the status it gives for any other key is
// an assumption.
func (t *Tenant) revoke(c *call) *answer {
	k := t.find(c.kid)
	switch {
	case k == nil:
		return failure(http.StatusNotFound, "Signing key not found.", "")
	case k.role == revoked:
		return failure(http.StatusBadRequest, "The signing key is already revoked.", "")
	case k.role != previous:
		return failure(http.StatusBadRequest,
			"You can only revoke the previously used signing key.", "")
	}
	t.applyRevoke(k)
	c.entry.Effect = true
	return ok(http.StatusOK, map[string]any{"kid": k.kid, "cert": k.cert()})
}

// Rotate rotates as an administrator does in the Dashboard, and returns the kid of
// the new next key. It is not counted in the API's bucket, which is an assumption.
func (t *Tenant) Rotate() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	made := t.applyRotate()
	t.record(Call{
		At: t.cfg.Now(), Op: "rotate", Status: http.StatusCreated,
		Effect: true, Via: "dashboard", Authenticated: true,
	})
	return made.kid
}

// Revoke revokes as an administrator does in the Dashboard. The error says that kid
// is no previously used key; then nothing happened, and the history has nothing.
func (t *Tenant) Revoke(kid string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.find(kid)
	if k == nil || k.role != previous {
		return fmt.Errorf("revoking %q: it is no previously used key", kid)
	}
	t.applyRevoke(k)
	t.record(Call{
		At: t.cfg.Now(), Op: "revoke", KID: kid, Status: http.StatusOK,
		Effect: true, Via: "dashboard", Authenticated: true,
	})
	return nil
}
