package auth0sim

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"
)

// Key is one of the tenant's keys, as it is.
type Key struct {
	KID                        string
	Role                       string // next, current, previous or revoked
	CurrentSince, CurrentUntil time.Time
	RevokedAt                  time.Time
	Cert                       string // PEM
}

type signingKey struct {
	kid     string
	private *rsa.PrivateKey
	der     []byte

	next, current, previous bool
	since, until, revokedAt time.Time // zero: not so
}

func (k *signingKey) revoked() bool { return !k.revokedAt.IsZero() }

func (k *signingKey) role() string {
	switch {
	case k.revoked():
		return "revoked"
	case k.next:
		return "next"
	case k.current:
		return "current"
	}
	return "previous"
}

// stock are RSA keys that were generated in this process. Generating one takes up to
// a second, so tenants share them: the i-th key of every tenant is the i-th of the
// stock. Within a tenant no key is there twice.
var stock struct {
	sync.Mutex
	keys []*rsa.PrivateKey
}

func stocked(i int) *rsa.PrivateKey {
	stock.Lock()
	defer stock.Unlock()
	for len(stock.keys) <= i {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err) // only without a source of randomness
		}
		stock.keys = append(stock.keys, k)
	}
	return stock.keys[i]
}

// newKey adds a key that was made at a time. t.mu is held, or t is not shared yet.
func (t *Tenant) newKey(made time.Time) *signingKey {
	k := &signingKey{kid: newKID(), private: stocked(len(t.keys))}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		panic(err) // only without a source of randomness
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "sim.auth0.example"},
		NotBefore: made, NotAfter: made.Add(5000 * 24 * time.Hour), // as six public certificates of Auth0's
		SignatureAlgorithm: x509.SHA256WithRSA, BasicConstraintsValid: true, IsCA: true,
	}
	if k.der, err = x509.CreateCertificate(rand.Reader, template, template, &k.private.PublicKey, k.private); err != nil {
		panic(err) // the template is complete
	}
	t.keys = append(t.keys, k)
	return k
}

// newKID returns 21 characters of the alphabet that Auth0's kids have.
func newKID() string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	b := make([]byte, 21)
	rand.Read(b)
	for i := range b {
		b[i] = alphabet[b[i]&63]
	}
	return string(b)
}

func pemOf(kind string, der []byte) string {
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	return strings.TrimSuffix(strings.ReplaceAll(string(text), "\n", "\r\n"), "\r\n")
}

func (k *signingKey) cert() string { return pemOf("CERTIFICATE", k.der) }

// pkcs7 is the certificate in a PKCS #7 message that signs nothing (RFC 2315, 9.1).
func (k *signingKey) pkcs7() string {
	type content struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"explicit,optional,tag:0"`
	}
	inner, err := asn1.Marshal(struct {
		Version      int
		Digests      []asn1.RawValue `asn1:"set"`
		Content      content
		Certificates asn1.RawValue
		Signers      []asn1.RawValue `asn1:"set"`
	}{
		Version: 1, Content: content{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}},
		Certificates: asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: k.der},
	})
	if err == nil {
		inner, err = asn1.Marshal(content{
			Type:    asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2},
			Content: asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: inner},
		})
	}
	if err != nil {
		panic(err) // a fixed structure around a certificate
	}
	return pemOf("PKCS7", inner)
}

func (k *signingKey) thumbprint() string {
	sum := sha1.Sum(k.der)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// wire is the key as the API lists it: sparse as Auth0 does, or with everything.
func (k *signingKey) wire(dense bool) map[string]any {
	thumb := k.thumbprint()
	var pairs []string
	for i := 0; i < len(thumb); i += 2 {
		pairs = append(pairs, thumb[i:i+2])
	}
	m := map[string]any{
		"kid": k.kid, "cert": k.cert(), "pkcs7": k.pkcs7(), "thumbprint": thumb, "fingerprint": strings.Join(pairs, ":"),
	}
	for name, flag := range map[string]bool{"next": k.next, "current": k.current, "previous": k.previous, "revoked": k.revoked()} {
		if flag || dense {
			m[name] = flag
		}
	}
	for name, at := range map[string]time.Time{"current_since": k.since, "current_until": k.until, "revoked_at": k.revokedAt} {
		switch {
		case !at.IsZero():
			m[name] = at.UTC().Format("2006-01-02T15:04:05.000Z")
		case dense:
			m[name] = ""
		}
	}
	return m
}

// Keys returns the keys as they are: next, current, previously used, revoked with
// the last one first.
func (t *Tenant) Keys() []Key {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []Key
	for _, k := range t.ordered() {
		out = append(out, Key{KID: k.kid, Role: k.role(), CurrentSince: k.since, CurrentUntil: k.until, RevokedAt: k.revokedAt, Cert: k.cert()})
	}
	return out
}

// ordered returns the keys as Keys does. t.mu is held.
func (t *Tenant) ordered() []*signingKey {
	rank := map[string]int{"next": 0, "current": 1, "previous": 2, "revoked": 3}
	keys := slices.Clone(t.keys)
	slices.SortStableFunc(keys, func(a, b *signingKey) int {
		if a.role() != b.role() {
			return rank[a.role()] - rank[b.role()]
		}
		if a.revoked() {
			return b.revokedAt.Compare(a.revokedAt)
		}
		return b.until.Compare(a.until)
	})
	return keys
}

func (t *Tenant) find(kid string) *signingKey {
	for _, k := range t.keys {
		if k.kid == kid {
			return k
		}
	}
	return nil
}

func (t *Tenant) inRole(role string) *signingKey {
	for _, k := range t.keys {
		if k.role() == role {
			return k
		}
	}
	return nil
}

// applyRotate puts the next key in use and makes a new next one. An older previously
// used key stays as it is, which is an assumption. t.mu is held.
func (t *Tenant) applyRotate() *signingKey {
	now := t.cfg.Now()
	current, next := t.inRole("current"), t.inRole("next")
	current.current, current.previous, current.until = false, true, now
	next.next, next.current, next.since = false, true, now
	made := t.newKey(now)
	made.next = true
	t.publish(now)
	return made
}

// applyRevoke revokes a previously used key. t.mu is held.
func (t *Tenant) applyRevoke(k *signingKey) {
	k.revokedAt, k.previous = t.cfg.Now(), false
	t.publish(k.revokedAt)
}

// Rotate rotates as an administrator does in the Dashboard, and returns the kid of
// the new next key.
func (t *Tenant) Rotate() string {
	t.mu.Lock()
	made := t.applyRotate()
	t.mu.Unlock()
	t.record(Call{At: t.cfg.Now(), Op: "rotate", Status: 201, Effect: true, Via: "dashboard", Authenticated: true})
	return made.kid
}

// Revoke revokes as an administrator does in the Dashboard.
func (t *Tenant) Revoke(kid string) error {
	t.mu.Lock()
	k := t.find(kid)
	if k == nil || k.role() != "previous" {
		t.mu.Unlock()
		return fmt.Errorf("revoking %s: it is no previously used key", kid)
	}
	t.applyRevoke(k)
	t.mu.Unlock()
	t.record(Call{At: t.cfg.Now(), Op: "revoke", KID: kid, Status: 200, Effect: true, Via: "dashboard", Authenticated: true})
	return nil
}
