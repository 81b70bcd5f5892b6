package bot

import (
	"testing"

	"keyturn/bot/approval"
)

// Who says that the revoke is for later, or is not wanted, gets no rotate-and-revoke.
func TestARevokeThatIsNotMeantNow(t *testing.T) {
	for _, text := range []string{
		"rotate and revoke in 2 hours",
		"rotate, revoke only if the partners are ready",
		"rotate the key, revoke is not needed",
		"rotate and revoke nothing",
		"rotate then revoke next week",
		"rotate and revoke once verifiers are ready",
	} {
		w, err := parse(text, []string{"prod"}, defaultSlash)
		if err == nil && w.verb == string(approval.RotateAndRevoke) {
			t.Errorf("%q is %s, with the reason %q", text, w.verb, w.typed.text)
		}
	}
}

// A place is no time.
func TestBothInATenantIsBoth(t *testing.T) {
	w, err := parse("rotate and revoke in prod", []string{"prod", "staging"}, defaultSlash)
	if err != nil || w.verb != string(approval.RotateAndRevoke) {
		t.Errorf("%+v, %v", w, err)
	}
}

// Who asks for both gets both, or is told that this form does one.
func TestAskingForBothIsSaid(t *testing.T) {
	const kid = "21hi274Rp02112mgkUGma"
	for _, text := range []string{
		"revoke " + kid + " and rotate",
		"revoke key " + kid + ", then rotate",
		"revoke the leaked key and rotate",
		"revoke the old key & rotate",
		"revoke prod key and rotate to the next",
	} {
		w, err := parse(text, []string{"prod"}, defaultSlash)
		if err == nil && w.verb == "revoke" && !w.typed.other {
			t.Errorf("%q: the form revokes, and does not say that it does not rotate", text)
		}
	}
}

// A key that is named as the one not to be revoked is not chosen.
func TestAKeyThatIsExceptedIsNotChosen(t *testing.T) {
	kids := []string{"21hi274Rp02112mgkUGma", "Zk9-aQ0211xx2mgkUGmb7", "qqhi274Rp02112mgkUG22"}
	for _, text := range []string{
		"all but " + kids[0],
		"the old key, not " + kids[0],
		"everything except " + kids[0],
		"do not touch " + kids[0],
	} {
		if m := resolve(typed{text: text}, kids); m.kid != "" {
			t.Errorf("%q chooses %s, and the reason is %q", text, m.kid, m.reason)
		}
	}
}

// Slack's refusal is known by its code, in whatever shape the rest is.
func TestARefusalWithOddFieldsIsARefusal(t *testing.T) {
	for _, body := range []string{
		`{"ok":false,"error":"missing_scope","needed":["users:read"]}`,
		`{"ok":false,"error":"user_not_found","needed":7}`,
		`{"ok":null,"error":"user_not_found"}`,
		`{"ok":"false","error":"user_not_found"}`,
	} {
		if err := decodeAnswer([]byte(body), &struct{}{}); said(err) == "" {
			t.Errorf("%s: %v, which passes: %v", body, err, passes(err))
		}
	}
}

func TestSuggestionsForBoth(t *testing.T) {
	for _, text := range []string{"revoke-and-rotate", "revokeandrotate", "revoke_rotate"} {
		if near := nearVerb(text); near == "revoke" {
			t.Errorf("%q: did you mean %q", text, near)
		}
	}
}
