package auth0sim_test

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"testing"
	"time"

	"keyturn/mgmt/auth0sim"
)

// wireKey is a key of the list, as far as these tests look.
type wireKey struct {
	KID, Cert, PKCS7, Fingerprint, Thumbprint string
	Next, Current, Previous, Revoked          bool
}

func TestKeysAreLikeAuth0s(t *testing.T) {
	tenant, c := open(t, auth0sim.Config{Previous: 1})
	c.want("POST", rotate, 201)
	var keys []wireKey
	c.want("GET", list, 200).decode(t, &keys)
	moduli := map[string]bool{}
	for i, k := range keys {
		if !regexp.MustCompile(`^[A-Za-z0-9_-]{21}$`).MatchString(k.KID) {
			t.Errorf("kid %q", k.KID)
		}
		if k.Cert != tenant.Keys()[i].Cert ||
			strings.Count(k.Cert, "\n") != strings.Count(k.Cert, "\r\n") ||
			!strings.HasPrefix(k.Cert, "-----BEGIN CERTIFICATE-----\r\n") ||
			!strings.HasSuffix(k.Cert, "\r\n-----END CERTIFICATE-----") {
			t.Errorf("certificate %q", k.Cert)
		}
		block, _ := pem.Decode([]byte(k.Cert))
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		public, isRSA := cert.PublicKey.(*rsa.PublicKey)
		if !isRSA || public.N.BitLen() != 2048 || moduli[public.N.String()] {
			t.Errorf("the key of %s is %T, or no good, or there twice", k.KID, cert.PublicKey)
		}
		moduli[public.N.String()] = true
		if err := cert.CheckSignatureFrom(cert); err != nil {
			t.Errorf("not signed by itself: %v", err)
		}
		if cert.Subject.CommonName != "sim.auth0.example" ||
			cert.SignatureAlgorithm != x509.SHA256WithRSA ||
			cert.NotAfter.Sub(cert.NotBefore) != 5000*24*time.Hour {
			t.Errorf("certificate of %v, %v, from %v to %v",
				cert.Subject, cert.SignatureAlgorithm, cert.NotBefore, cert.NotAfter)
		}
		thumbprint := fmt.Sprintf("%X", sha1.Sum(block.Bytes))
		if k.Thumbprint != thumbprint || strings.ReplaceAll(k.Fingerprint, ":", "") != thumbprint ||
			strings.Count(k.Fingerprint, ":") != 19 {
			t.Errorf("thumbprint %s, fingerprint %s, want %s", k.Thumbprint, k.Fingerprint, thumbprint)
		}
		if got := certificateIn(t, k.PKCS7); !bytes.Equal(got, block.Bytes) {
			t.Errorf("the certificate in the PKCS #7 is %x", got)
		}
	}
	if len(moduli) != 4 {
		t.Errorf("%d keys, want 4", len(moduli))
	}
}

// certificateIn returns the one certificate of a PKCS #7 message without signers.
func certificateIn(t *testing.T, text string) []byte {
	t.Helper()
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "PKCS7" || len(rest) != 0 {
		t.Fatalf("not PKCS #7: %q", text)
	}
	var outer struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"explicit,tag:0"`
	}
	var signed struct {
		Version int
		Digests []asn1.RawValue `asn1:"set"`
		Content struct{ Type asn1.ObjectIdentifier }
		Certs   asn1.RawValue   `asn1:"tag:0"`
		Signers []asn1.RawValue `asn1:"set"`
	}
	if _, err := asn1.Unmarshal(block.Bytes, &outer); err != nil {
		t.Fatal(err)
	}
	if _, err := asn1.Unmarshal(outer.Content.Bytes, &signed); err != nil {
		t.Fatal(err)
	}
	if outer.Type.String() != "1.2.840.113549.1.7.2" ||
		signed.Content.Type.String() != "1.2.840.113549.1.7.1" ||
		signed.Version != 1 || len(signed.Digests)+len(signed.Signers) != 0 {
		t.Errorf("PKCS #7 of type %v: %+v", outer.Type, signed)
	}
	return signed.Certs.Bytes
}

func TestKeySetHasTheKeysOfTheCertificates(t *testing.T) {
	tenant, c := open(t, auth0sim.Config{Previous: 2})
	old := kids(tenant, "previous")
	c.want("PUT", revoke(old[1]), 200)
	res := c.want("GET", "/.well-known/jwks.json", 200)
	const announced = "public, max-age=15, stale-while-revalidate=15, stale-if-error=86400"
	if got := res.header.Get("Cache-Control"); got != announced {
		t.Errorf("Cache-Control: %s", got)
	}
	var set struct {
		Keys []struct {
			Alg, Kty, Use, Kid, N, E, X5t string
			X5c                           []string
		}
	}
	res.decode(t, &set)
	want := []string{kid(t, tenant, "current"), kid(t, tenant, "next"), old[0]}
	if len(set.Keys) != len(want) {
		t.Fatalf("%d keys, want %d", len(set.Keys), len(want))
	}
	certs := map[string]string{}
	for _, k := range tenant.Keys() {
		certs[k.KID] = k.Cert
	}
	bytesOf := func(s string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			t.Errorf("%q: %v", s, err)
		}
		return b
	}
	for i, k := range set.Keys {
		if k.Kid != want[i] || k.Alg != "RS256" || k.Kty != "RSA" || k.Use != "sig" || len(k.X5c) != 1 {
			t.Fatalf("key %d is %+v, want %s", i, k, want[i])
		}
		block, _ := pem.Decode([]byte(certs[k.Kid]))
		der, err := base64.StdEncoding.DecodeString(k.X5c[0])
		if err != nil || !bytes.Equal(der, block.Bytes) {
			t.Errorf("x5c of %s: %v", k.Kid, err)
		}
		if sum := sha1.Sum(block.Bytes); !bytes.Equal(bytesOf(k.X5t), sum[:]) {
			t.Errorf("x5t of %s is %s", k.Kid, k.X5t)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		public := rsa.PublicKey{
			N: new(big.Int).SetBytes(bytesOf(k.N)), E: int(new(big.Int).SetBytes(bytesOf(k.E)).Int64()),
		}
		if !public.Equal(cert.PublicKey) {
			t.Errorf("n and e of %s are another key's", k.Kid)
		}
	}
}
