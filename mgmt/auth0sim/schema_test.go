package auth0sim_test

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"keyturn/mgmt/auth0sim"
)

// schema compiles a component schema of one of Auth0's own documents.
func schema(t *testing.T, file, name string) *jsonschema.Schema {
	t.Helper()
	b, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(file, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(file + "#/components/schemas/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func valid(s *jsonschema.Schema, body []byte) error {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return s.Validate(v)
}

func TestAnswersHoldAgainstAuth0sDocuments(t *testing.T) {
	const signing = "auth0-oas-signing.json"
	check := func(t *testing.T, s *jsonschema.Schema, body []byte) {
		t.Helper()
		if err := valid(s, body); err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
	element, one := schema(t, signing, "SigningKeys"), schema(t, signing, "GetSigningKeysResponseContent")
	rotated := schema(t, signing, "RotateSigningKeysResponseContent")
	gone := schema(t, signing, "RevokedSigningKeysResponseContent")
	for _, dense := range []bool{false, true} {
		t.Run("dense "+strconv.FormatBool(dense), func(t *testing.T) {
			tenant, c := open(t, auth0sim.Config{Previous: 2, Dense: dense})
			old := kids(tenant, "previous")[0]
			check(t, gone, c.want("PUT", revoke(old), 200).body)
			check(t, rotated, c.want("POST", rotate, 201).body)
			for _, k := range tenant.Keys() {
				check(t, one, c.want("GET", list+"/"+k.KID, 200).body)
			}
			var keys []json.RawMessage
			c.want("GET", list, 200).decode(t, &keys)
			// What each element has, by the role that its flags say.
			const always = "cert fingerprint kid pkcs7 thumbprint "
			want := []string{
				always + "next",
				always + "current current_since",
				always + "current_since current_until previous",
				always + "current_since current_until previous",
				always + "current_since current_until revoked revoked_at",
			}
			var got []string
			for _, k := range keys {
				check(t, element, k)
				var members map[string]any
				if err := json.Unmarshal(k, &members); err != nil {
					t.Fatal(err)
				}
				unset := 0
				for name, v := range members {
					if v == false {
						delete(members, name)
						unset++
					}
				}
				if dense && unset != 3 || !dense && unset != 0 {
					t.Errorf("%d flags are false: %s", unset, k)
				}
				got = append(got, names(members))
			}
			for i := range want {
				want[i] = names(fields(want[i]))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the list (-want +got):\n%s", diff)
			}
		})
	}
	for _, wrong := range []string{
		`{"kid": "k"}`,
		`{"kid": "k", "cert": "c", "fingerprint": "f", "thumbprint": "t", "colour": "red"}`,
		`{"kid": "k", "cert": "c", "fingerprint": "f", "thumbprint": "t", "revoked_at": 0}`,
	} {
		if valid(element, []byte(wrong)) == nil {
			t.Errorf("the schema takes %s, so it proves nothing", wrong)
		}
	}
}

func fields(s string) map[string]any {
	m := map[string]any{}
	for _, name := range strings.Fields(s) {
		m[name] = true
	}
	return m
}

func names(m map[string]any) string {
	var out []string
	for name := range m {
		out = append(out, name)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}
