package mgmt

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"slices"
	"time"
)

// Role is what the tenant does with a key.
type Role int

const (
	RoleUnknown  Role = iota // no flag is set
	RoleNext                 // next in queue: the next rotation puts it in use
	RoleCurrent              // currently used: it signs
	RolePrevious             // previously used: what it signed is still accepted
	RoleRevoked              // what it signed is no longer accepted
)

// String returns Auth0's words for the role.
func (r Role) String() string {
	switch r {
	case RoleNext:
		return "next in queue"
	case RoleCurrent:
		return "currently used"
	case RolePrevious:
		return "previously used"
	case RoleRevoked:
		return "revoked"
	}
	return "unknown"
}

// Key is an application signing key. Auth0 leaves out flags that are false and dates
// that are not set (recorded answers), so each may be missing.
type Key struct {
	KID         string
	Cert        string // PEM
	Fingerprint string // SHA-1 with colons
	Thumbprint  string // SHA-1 without

	Current, Next, Previous, Revoked bool

	CurrentSince, CurrentUntil, RevokedAt time.Time // zero: not known
}

// Role returns the key's role. Revoked wins over every other flag, and the rest are
// taken to exclude each other, as Auth0's documentation describes them.
func (k Key) Role() Role {
	switch {
	case k.Revoked:
		return RoleRevoked
	case k.Current:
		return RoleCurrent
	case k.Next:
		return RoleNext
	case k.Previous:
		return RolePrevious
	}
	return RoleUnknown
}

// SHA256 returns the SHA-256 of the certificate's DER in lower-case hex, or of its
// text where that is no PEM: either way another certificate gives another sum.
func (k Key) SHA256() string {
	der := []byte(k.Cert)
	if block, _ := pem.Decode(der); block != nil {
		der = block.Bytes
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// Keys are a tenant's keys as Auth0 listed them.
type Keys []Key

// Find returns the key with this kid.
func (ks Keys) Find(kid string) (Key, bool) {
	return ks.first(func(k Key) bool { return k.KID == kid })
}

// Current returns the key that signs; false where there is not exactly one.
func (ks Keys) Current() (Key, bool) { return ks.only(RoleCurrent) }

// Next returns the key that the next rotation puts in use; false where there is not
// exactly one.
func (ks Keys) Next() (Key, bool) { return ks.only(RoleNext) }

// Previous returns the previously used keys that are not revoked, as listed.
func (ks Keys) Previous() Keys { return ks.in(RolePrevious) }

// Revoked returns the revoked keys, the one revoked last first.
func (ks Keys) Revoked() Keys {
	revoked := ks.in(RoleRevoked)
	slices.SortStableFunc(revoked, func(a, b Key) int { return b.RevokedAt.Compare(a.RevokedAt) })
	return revoked
}

func (ks Keys) first(is func(Key) bool) (Key, bool) {
	if i := slices.IndexFunc(ks, is); i >= 0 {
		return ks[i], true
	}
	return Key{}, false
}

func (ks Keys) in(r Role) Keys {
	var out Keys
	for _, k := range ks {
		if k.Role() == r {
			out = append(out, k)
		}
	}
	return out
}

func (ks Keys) only(r Role) (Key, bool) {
	if found := ks.in(r); len(found) == 1 {
		return found[0], true
	}
	return Key{}, false
}

// UnmarshalJSON reads a key as leniently as Auth0's clients have to.
func (k *Key) UnmarshalJSON(b []byte) error {
	var wire struct {
		KID          string `json:"kid"`
		Cert         string `json:"cert"`
		Fingerprint  string `json:"fingerprint"`
		Thumbprint   string `json:"thumbprint"`
		Current      bool   `json:"current"`
		Next         bool   `json:"next"`
		Previous     bool   `json:"previous"`
		Revoked      bool   `json:"revoked"`
		CurrentSince date   `json:"current_since"`
		CurrentUntil date   `json:"current_until"`
		RevokedAt    date   `json:"revoked_at"`
	}
	if err := json.Unmarshal(b, &wire); err != nil {
		return err
	}
	if wire.KID == "" {
		return fmt.Errorf("a key without a kid")
	}
	*k = Key{
		KID: wire.KID, Cert: wire.Cert, Fingerprint: wire.Fingerprint, Thumbprint: wire.Thumbprint,
		Current: wire.Current, Next: wire.Next, Previous: wire.Previous, Revoked: wire.Revoked,
		CurrentSince: time.Time(wire.CurrentSince), CurrentUntil: time.Time(wire.CurrentUntil), RevokedAt: time.Time(wire.RevokedAt),
	}
	return nil
}

// date is a time that Auth0's OpenAPI document gives as a string of no format, or as
// an object of no described shape. What cannot be read is not known, and never a
// reason to lose the list.
type date time.Time

func (d *date) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
			*d = date(t.UTC())
		}
	}
	return nil
}

// decodeKeys reads a list of keys. A kid that is there twice makes the list useless:
// it would be a matter of luck which of the two decides.
func decodeKeys(body []byte) (Keys, error) {
	var keys Keys
	if err := json.Unmarshal(body, &keys); err != nil {
		return nil, fmt.Errorf("decoding the list: %w", err)
	}
	if keys == nil {
		return nil, fmt.Errorf("decoding the list: it is null")
	}
	seen := map[string]bool{}
	for _, k := range keys {
		if seen[k.KID] {
			return nil, fmt.Errorf("decoding the list: kid %q is there twice", k.KID)
		}
		seen[k.KID] = true
	}
	return keys, nil
}
