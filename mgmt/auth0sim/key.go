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
	"slices"
	"strings"
	"sync"
	"time"
)

// Key is one of the tenant's keys, as it is.
type Key struct {
	KID                        string
	Role                       string    // next, current, previous or revoked
	CurrentSince, CurrentUntil time.Time // zero: it was not, or is not over
	RevokedAt                  time.Time // zero: it is not
	Cert                       string    // PEM, with CRLF
}

// InWords is the key's role in Auth0's words.
func (k Key) InWords() string {
	switch k.Role {
	case next.String():
		return "next in queue"
	case current.String():
		return "currently used"
	case previous.String():
		return "previously used"
	}
	return k.Role
}

// Keys returns the keys as they are: next, current, previously used with the newest
// first, revoked with the last one first, however many.
func (t *Tenant) Keys() []Key {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []Key
	for _, k := range t.ordered() {
		out = append(out, Key{
			KID: k.kid, Role: k.role.String(), CurrentSince: k.since, CurrentUntil: k.until,
			RevokedAt: k.revokedAt, Cert: k.cert(),
		})
	}
	return out
}

// role is what a key is for. A key has one at a time: the documentation describes
// them so, and Auth0's flags are set accordingly.
type role int

const (
	next role = iota
	current
	previous
	revoked
)

func (r role) String() string {
	return [...]string{"next", "current", "previous", "revoked"}[r]
}

type signingKey struct {
	kid     string
	private *rsa.PrivateKey
	der     []byte // the certificate

	role                    role
	since, until, revokedAt time.Time // zero: not so
}

// ordered returns the keys as Keys does. t.mu is held.
func (t *Tenant) ordered() []*signingKey {
	keys := slices.Clone(t.keys)
	slices.Reverse(keys)
	slices.SortStableFunc(keys, func(a, b *signingKey) int { return int(a.role - b.role) })
	return keys
}

// find returns the key of this kid, or nil. t.mu is held.
func (t *Tenant) find(kid string) *signingKey {
	for _, k := range t.keys {
		if k.kid == kid {
			return k
		}
	}
	return nil
}

// inRole returns the newest key in a role, or nil. t.mu is held.
func (t *Tenant) inRole(r role) *signingKey {
	for _, k := range slices.Backward(t.keys) {
		if k.role == r {
			return k
		}
	}
	return nil
}

// applyRotate puts the next key in use, and returns the new next one. Older
// previously used keys stay as they are, which is an assumption. t.mu is held.
func (t *Tenant) applyRotate() *signingKey {
	now := t.cfg.Now()
	out, in := t.inRole(current), t.inRole(next)
	out.role, out.until = previous, now
	in.role, in.since = current, now
	made := t.newKey(next, now)
	t.publish(now.Add(t.cfg.JWKSMaxAge))
	return made
}

// applyRevoke revokes a key. t.mu is held.
func (t *Tenant) applyRevoke(k *signingKey) {
	now := t.cfg.Now()
	k.role, k.revokedAt = revoked, now
	t.keys = append(slices.DeleteFunc(t.keys, func(other *signingKey) bool { return other == k }), k)
	t.publish(now.Add(t.cfg.JWKSMaxAge))
}

// stock are RSA keys that were generated in this process. Generating one takes a
// tenth of a second, so tenants share them: the i-th key that a tenant makes is the
// i-th of the stock, and no tenant has one twice. Their kids and certificates differ.
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
			panic(err) // never, with such a size
		}
		stock.keys = append(stock.keys, k)
	}
	return stock.keys[i]
}

// tenantName is the name in the certificates. The tenant cannot know under which one
// it will be called, and Auth0's do not change with a custom domain either.
const tenantName = "sim.auth0.example"

// newKey adds a key that was made at a time. t.mu is held, or t is not shared yet.
func (t *Tenant) newKey(r role, made time.Time) *signingKey {
	k := &signingKey{kid: newKID(), private: stocked(len(t.keys)), role: r}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: tenantName}, // the serial number is drawn
		// 5000 days exactly, as six public certificates of Auth0's.
		NotBefore: made, NotAfter: made.Add(5000 * 24 * time.Hour),
		SignatureAlgorithm: x509.SHA256WithRSA, BasicConstraintsValid: true, IsCA: true,
	}
	public := &k.private.PublicKey
	var err error
	k.der, err = x509.CreateCertificate(rand.Reader, template, template, public, k.private)
	if err != nil {
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
		b[i] = alphabet[b[i]%64]
	}
	return string(b)
}

// pemOf has CRLF between the lines and nothing after the last, as the example in
// Auth0's OpenAPI.
func pemOf(kind string, der []byte) string {
	text := string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	return strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\r\n")
}

func (k *signingKey) cert() string { return pemOf("CERTIFICATE", k.der) }

// pkcs7 is the certificate in a PKCS #7 message that signs nothing (RFC 2315, 9.1).
func (k *signingKey) pkcs7() string {
	type content struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"explicit,optional,tag:0"`
	}
	tagged := func(der []byte) asn1.RawValue {
		return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: der}
	}
	inner, err := asn1.Marshal(struct {
		Version      int
		Digests      []asn1.RawValue `asn1:"set"`
		Content      content
		Certificates asn1.RawValue
		Signers      []asn1.RawValue `asn1:"set"`
	}{
		Version:      1,
		Content:      content{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}}, // data
		Certificates: tagged(k.der),
	})
	if err == nil {
		signed := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2} // signed data
		inner, err = asn1.Marshal(content{Type: signed, Content: tagged(inner)})
	}
	if err != nil {
		panic(err) // a fixed structure around a certificate
	}
	return pemOf("PKCS7", inner)
}

// wire is the key as the API shows it: sparse as Auth0 does, or with every flag. A date
// that is not set is left out of both: go-auth0, Auth0's own client, cannot read a list
// that has an empty string in its place.
func (k *signingKey) wire(dense bool) map[string]any {
	sum := sha1.Sum(k.der)
	thumbprint := strings.ToUpper(hex.EncodeToString(sum[:]))
	var pairs []string
	for pair := range slices.Chunk([]byte(thumbprint), 2) {
		pairs = append(pairs, string(pair))
	}
	m := map[string]any{
		"kid": k.kid, "cert": k.cert(), "pkcs7": k.pkcs7(),
		"thumbprint": thumbprint, "fingerprint": strings.Join(pairs, ":"),
	}
	for r := next; r <= revoked; r++ {
		if k.role == r || dense {
			m[r.String()] = k.role == r
		}
	}
	for name, at := range map[string]time.Time{
		"current_since": k.since, "current_until": k.until, "revoked_at": k.revokedAt,
	} {
		if !at.IsZero() {
			m[name] = at.UTC().Format("2006-01-02T15:04:05.000Z")
		}
	}
	return m
}
