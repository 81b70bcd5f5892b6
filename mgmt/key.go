package mgmt

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
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

// Role returns the key's role. Revoked wins over every other flag. The rest exclude
// each other as Auth0's documentation describes them; should two be set, the order
// here never takes a key that is in use or in the queue for one that may be revoked.
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
// text where that is no PEM: either way another certificate gives another sum. It is
// "" only where there is no certificate.
func (k Key) SHA256() string {
	if k.Cert == "" {
		return ""
	}
	content := []byte(k.Cert)
	if block, _ := pem.Decode(content); block != nil && len(block.Bytes) > 0 {
		content = block.Bytes
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// Keys are a tenant's keys as Auth0 listed them.
type Keys []Key

// Find returns the key with this kid.
func (ks Keys) Find(kid string) (Key, bool) {
	for _, k := range ks {
		if k.KID == kid {
			return k, true
		}
	}
	return Key{}, false
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

// wireKey is a key as Auth0's OpenAPI document has it.
type wireKey struct {
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

func (w wireKey) key() (Key, error) {
	if w.KID == "" {
		return Key{}, errors.New("a key without a kid")
	}
	return Key{
		KID: w.KID, Cert: w.Cert, Fingerprint: w.Fingerprint, Thumbprint: w.Thumbprint,
		Current: w.Current, Next: w.Next, Previous: w.Previous, Revoked: w.Revoked,
		CurrentSince: w.CurrentSince.Time, CurrentUntil: w.CurrentUntil.Time, RevokedAt: w.RevokedAt.Time,
	}, nil
}

// date is a time that Auth0's OpenAPI document gives as a string of no format, or as
// an object of no described shape. What cannot be read is not known, and never a
// reason to lose the list.
type date struct{ time.Time }

func (d *date) UnmarshalJSON(b []byte) error {
	*d = date{}
	var text string
	if json.Unmarshal(b, &text) != nil {
		return nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	// In UTC the year may leave its four digits, and the trail could not write it down.
	if t = t.UTC(); err == nil && t.Year() >= 1 && t.Year() <= 9999 {
		d.Time = t
	}
	return nil
}

// decodeKeys reads a list of keys. A kid that is there twice makes the list useless:
// it would be a matter of luck which of the two decides.
func decodeKeys(body []byte) (Keys, error) {
	var wire []wireKey
	if err := json.Unmarshal(body, &wire); err != nil {
		return nil, fmt.Errorf("decoding the list: %w", err)
	}
	if wire == nil {
		return nil, errors.New("decoding the list: it is null")
	}
	keys := make(Keys, 0, len(wire))
	for _, w := range wire {
		k, err := w.key()
		if err != nil {
			return nil, fmt.Errorf("decoding the list: %w", err)
		}
		if _, twice := keys.Find(k.KID); twice {
			return nil, fmt.Errorf("decoding the list: kid %q is there twice", clip(k.KID))
		}
		keys = append(keys, k)
	}
	return keys, nil
}

func decodeKey(body []byte) (Key, error) {
	var wire wireKey
	if err := json.Unmarshal(body, &wire); err != nil {
		return Key{}, fmt.Errorf("decoding it: %w", err)
	}
	k, err := wire.key()
	if err != nil {
		return Key{}, fmt.Errorf("decoding it: %w", err)
	}
	return k, nil
}
