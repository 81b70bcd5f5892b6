package mgmt

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	sparse = `{"kid":"21hi274Rp02112mgkUGma","cert":"C","pkcs7":"P","next":true,"fingerprint":"CC:FB","thumbprint":"CCFB"}`
	dense  = `{"kid":"k","cert":"C","fingerprint":"F","thumbprint":"T","current":false,"next":false,"previous":true,"revoked":true,
		"current_since":"2020-08-12T11:54:49.954Z","current_until":"2021-08-16T20:26:42.253086110Z","revoked_at":"2023-01-25T19:39:44.691729+01:00"}`
)

func TestDecodeKeys(t *testing.T) {
	at := func(s string) time.Time {
		d, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return d.UTC()
	}
	dated := func(d string) string { return `[{"kid":"k","current_since":` + d + `}]` }
	undated := Keys{{KID: "k"}}
	tests := []struct {
		name, body string
		want       Keys
	}{
		{"no keys", `[]`, Keys{}},
		{"false flags and unset dates left out", `[` + sparse + `]`,
			Keys{{KID: "21hi274Rp02112mgkUGma", Cert: "C", Fingerprint: "CC:FB", Thumbprint: "CCFB", Next: true}}},
		{"everything there", `[` + dense + `]`,
			Keys{{KID: "k", Cert: "C", Fingerprint: "F", Thumbprint: "T", Previous: true, Revoked: true,
				CurrentSince: at("2020-08-12T11:54:49.954Z"), CurrentUntil: at("2021-08-16T20:26:42.25308611Z"), RevokedAt: at("2023-01-25T18:39:44.691729Z")}}},
		{"a flag that is null", `[{"kid":"k","revoked":null}]`, undated},
		{"a field nobody knows", `[{"kid":"k","algorithm":{"name":"RS256"},"x":[1]}]`, undated},
		{"CRLF in the certificate", `[{"kid":"k","cert":"-----BEGIN CERTIFICATE-----\r\nAQID\r\n-----END CERTIFICATE-----"}]`,
			Keys{{KID: "k", Cert: "-----BEGIN CERTIFICATE-----\r\nAQID\r\n-----END CERTIFICATE-----"}}},
		{"a date that is null", dated(`null`), undated},
		{"a date that is empty", dated(`""`), undated},
		{"a date that is an object", dated(`{"seconds":1}`), undated},
		{"a date that is an empty object", dated(`{}`), undated},
		{"a date that is a number", dated(`1597233289`), undated},
		{"a date that is a list", dated(`["2020-08-12T11:54:49.954Z"]`), undated},
		{"a date that is words", dated(`"yesterday"`), undated},
		{"a date before the year 1 in UTC", dated(`"0001-01-01T00:00:00+01:00"`), undated},
		{"a date after the year 9999 in UTC", dated(`"9999-12-31T23:59:59-01:00"`), undated},
		{"another date than that", dated(`"2020-08-12T11:54:49+02:00"`), Keys{{KID: "k", CurrentSince: at("2020-08-12T09:54:49Z")}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := decodeKeys([]byte(test.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("keys (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeKeysRefuses(t *testing.T) {
	for name, body := range map[string]string{
		"nothing":                "",
		"null":                   `null`,
		"an object":              `{}`,
		"an error in a 200":      `{"statusCode":500,"error":"Internal Server Error","message":"x"}`,
		"a list in an object":    `{"keys":[` + sparse + `]}`,
		"a page":                 `<html><body>please log in</body></html>`,
		"half a list":            `[` + sparse,
		"something after it":     `[` + sparse + `] x`,
		"null for a key":         `[null]`,
		"a key without a kid":    `[` + sparse + `,{"cert":"C","current":true}]`,
		"a flag of another type": `[{"kid":"k","revoked":"no"}]`,
		"a kid of another type":  `[{"kid":7}]`,
		"a kid twice":            `[{"kid":"k","current":true},{"kid":"k","previous":true}]`,
	} {
		if got, err := decodeKeys([]byte(body)); err == nil || got != nil {
			t.Errorf("%s: got %v, %v; want an error and no list", name, got, err)
		}
	}
}

func FuzzDecodeKeys(f *testing.F) {
	f.Add([]byte(`[` + sparse + `,` + dense + `]`))
	f.Add([]byte(`[{"kid":"k","cert":"-----BEGIN CERTIFICATE-----\r\nAQID\r\n-----END CERTIFICATE-----","revoked_at":{}}]`))
	f.Add([]byte(`[{"kid":"a","current_since":"9999-12-31T23:59:59-01:00"},{"kid":"b","current_since":""}]`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, body []byte) {
		keys, err := decodeKeys(body)
		if (err == nil) != (keys != nil) {
			t.Fatalf("keys %v with error %v", keys, err)
		}
		seen := map[string]bool{}
		for _, k := range keys {
			if k.KID == "" || seen[k.KID] {
				t.Errorf("kid %q is empty or there twice", k.KID)
			}
			seen[k.KID] = true
			if (k.SHA256() == "") != (k.Cert == "") {
				t.Errorf("sum %q of certificate %q", k.SHA256(), k.Cert)
			}
			if k.Revoked && k.Role() != RoleRevoked {
				t.Errorf("a revoked key is %v", k.Role())
			}
		}
		// The trail writes the dates down.
		if _, err := json.Marshal(keys); err != nil {
			t.Error(err)
		}
	})
}

func TestRole(t *testing.T) {
	tests := []struct {
		key  Key
		want Role
		word string
	}{
		{Key{}, RoleUnknown, "unknown"},
		{Key{Next: true}, RoleNext, "next in queue"},
		{Key{Current: true}, RoleCurrent, "currently used"},
		{Key{Previous: true}, RolePrevious, "previously used"},
		{Key{Revoked: true}, RoleRevoked, "revoked"},
		{Key{Revoked: true, Previous: true, Current: true, Next: true}, RoleRevoked, "revoked"},
		{Key{Current: true, Previous: true}, RoleCurrent, "currently used"},
		{Key{Next: true, Previous: true}, RoleNext, "next in queue"},
		{Key{RevokedAt: time.Unix(1, 0), Previous: true}, RolePrevious, "previously used"},
	}
	for _, test := range tests {
		if got := test.key.Role(); got != test.want || got.String() != test.word {
			t.Errorf("role of %+v = %v, want %v (%s)", test.key, got, test.want, test.word)
		}
	}
}

func TestKeys(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }
	keys := Keys{
		{KID: "r1", Revoked: true, RevokedAt: day(1)}, {KID: "n", Next: true}, {KID: "c", Current: true},
		{KID: "p1", Previous: true}, {KID: "r?", Revoked: true, Previous: true}, {KID: "r2", Revoked: true, RevokedAt: day(2)},
		{KID: "p2", Previous: true}, {KID: "u"},
	}
	kids := func(ks Keys) (out []string) {
		for _, k := range ks {
			out = append(out, k.KID)
		}
		return out
	}
	if diff := cmp.Diff([]string{"r2", "r1", "r?"}, kids(keys.Revoked())); diff != "" {
		t.Errorf("revoked, the last first (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"p1", "p2"}, kids(keys.Previous())); diff != "" {
		t.Errorf("previous (-want +got):\n%s", diff)
	}
	if k, ok := keys.Current(); !ok || k.KID != "c" {
		t.Errorf("current = %v, %v", k, ok)
	}
	if k, ok := keys.Next(); !ok || k.KID != "n" {
		t.Errorf("next = %v, %v", k, ok)
	}
	if k, ok := keys.Find("p2"); !ok || k.KID != "p2" {
		t.Errorf("p2 = %v, %v", k, ok)
	}
	if k, ok := keys.Find("x"); ok {
		t.Errorf("found %v", k)
	}
	// Two in one role, or none, are nothing to build on.
	for _, ks := range []Keys{nil, {{KID: "a", Next: true, Current: true}, {KID: "b", Current: true}}} {
		if k, ok := ks.Current(); ok {
			t.Errorf("%v: current = %v", ks, k)
		}
		if k, ok := ks.Next(); ok {
			t.Errorf("%v: next = %v", ks, k)
		}
	}
}

func TestSHA256(t *testing.T) {
	der := []byte{1, 2, 3}
	lf := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	sum := func(b []byte) string { s := sha256.Sum256(b); return hex.EncodeToString(s[:]) }
	redacted := "-----BEGIN CERTIFICATE-----\r\n[REDACTED]\r\n-----END CERTIFICATE-----"
	hollow := "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"
	tests := []struct{ name, cert, want string }{
		{"PEM", lf, sum(der)},
		{"CRLF", strings.ReplaceAll(lf, "\n", "\r\n"), sum(der)},
		{"without a last line end", strings.TrimSpace(lf), sum(der)},
		{"no PEM", "C", sum([]byte("C"))},
		{"redacted", redacted, sum([]byte(redacted))},
		{"nothing inside", hollow, sum([]byte(hollow))},
		{"none", "", ""},
	}
	for _, test := range tests {
		if got := (Key{Cert: test.cert}).SHA256(); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
