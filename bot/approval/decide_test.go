package approval

import (
	"fmt"
	"testing"

	"keyturn/bot/audit"
	"keyturn/mgmt"
)

// The keys of the table: K is current, N is next, P was used before.
func key(kid string, role mgmt.Role) mgmt.Key {
	return mgmt.Key{
		KID: kid, Cert: "certificate of " + kid,
		Current: role == mgmt.RoleCurrent, Next: role == mgmt.RoleNext,
		Previous: role == mgmt.RolePrevious, Revoked: role == mgmt.RoleRevoked,
	}
}

func pinOf(kid string) *audit.Pin {
	return &audit.Pin{KID: kid, SHA256: mgmt.Key{Cert: "certificate of " + kid}.SHA256()}
}

var (
	before   = mgmt.Keys{key("N", mgmt.RoleNext), key("K", mgmt.RoleCurrent), key("P", mgmt.RolePrevious)}
	pRevoked = mgmt.Keys{key("N", mgmt.RoleNext), key("K", mgmt.RoleCurrent), key("P", mgmt.RoleRevoked)}
	rotated  = mgmt.Keys{key("M", mgmt.RoleNext), key("N", mgmt.RoleCurrent), key("K", mgmt.RolePrevious), key("P", mgmt.RolePrevious)}
	twice    = mgmt.Keys{key("L", mgmt.RoleNext), key("M", mgmt.RoleCurrent), key("N", mgmt.RolePrevious), key("K", mgmt.RolePrevious), key("P", mgmt.RolePrevious)}
	revoked  = mgmt.Keys{key("M", mgmt.RoleNext), key("N", mgmt.RoleCurrent), key("K", mgmt.RoleRevoked), key("P", mgmt.RolePrevious)}
	noNext   = mgmt.Keys{key("K", mgmt.RoleCurrent), key("P", mgmt.RolePrevious)}
	gone     = mgmt.Keys{key("M", mgmt.RoleNext), key("N", mgmt.RoleCurrent)}
	// another key under the pinned kid
	imposter = mgmt.Keys{key("N", mgmt.RoleNext), {KID: "K", Cert: "another", Current: true}, key("P", mgmt.RolePrevious)}
)

var pins = audit.Pins{Current: pinOf("K"), Next: pinOf("N"), Previous: []string{"P"}}

// What was tried before, in every way that matters.
var (
	nothing  = attempts{}
	unheard  = attempts{intents: 1, tries: 1, open: 1}
	lost     = attempts{intents: 1, tries: 1, open: 1, last: &audit.Answer{Sent: true}}
	gateway  = attempts{intents: 1, tries: 1, open: 1, last: &audit.Answer{Sent: true, Status: 502}}
	said201  = attempts{intents: 1, tries: 1, open: 1, took: true, last: &audit.Answer{Sent: true, Status: 201, KID: "M"}}
	other201 = attempts{intents: 1, tries: 1, open: 1, took: true, last: &audit.Answer{Sent: true, Status: 201, KID: "X"}}
	said429  = attempts{intents: 1, tries: 1, last: &audit.Answer{Sent: true, Status: 429, Refused: true}}
	notSent  = attempts{intents: 1, tries: 0, last: &audit.Answer{}}
	lost2    = attempts{intents: 2, tries: 2, open: 2, last: &audit.Answer{Sent: true}}
	unsent6  = attempts{intents: 6, tries: 0, last: &audit.Answer{}}
)

func TestRotateIsDecidedByLooking(t *testing.T) {
	for _, tc := range []struct {
		name string
		a    attempts
		keys mgmt.Keys
		loud verdict // while the quiet time is not over
		want verdict // and then
	}{
		{"as pinned", nothing, before, mayWrite, mayWrite},
		{"a previous key revoked", nothing, pRevoked, changed, changed},
		{"rotated by somebody", nothing, rotated, changed, changed},
		{"no next key", nothing, noNext, changed, changed},
		{"another certificate", nothing, imposter, changed, changed},

		{"died before the answer", unheard, before, mustWait, mayWrite},
		{"died, and it took effect", unheard, rotated, mustWait, applied},
		{"lost", lost, before, mustWait, mayWrite},
		{"lost, and it took effect", lost, rotated, mustWait, applied},
		{"lost, and it took effect twice", lost, twice, mustWait, unexplained},
		{"lost, and nothing is as it was", lost, gone, mustWait, unexplained},
		{"lost, and a previous key revoked meanwhile", lost, pRevoked, mustWait, notTaken},
		{"502", gateway, before, mustWait, mayWrite},
		{"502 that took effect", gateway, rotated, mustWait, applied},
		{"201", said201, rotated, applied, applied},
		{"201, and nothing happened", said201, before, mustWait, unexplained},
		{"201 of another rotation", other201, rotated, mustWait, unexplained},
		{"201, and rotated once more", said201, twice, mustWait, unexplained},
		{"429", said429, before, mustWait, refused},
		{"429 that took effect", said429, rotated, mustWait, applied},
		{"429, and somebody rotated twice", said429, twice, mustWait, unexplained},
		{"not sent", notSent, before, mayWrite, mayWrite},
		{"lost twice", lost2, before, mustWait, notTaken},
		{"lost twice, and one took effect", lost2, rotated, mustWait, applied},
		{"never got out", unsent6, before, notTaken, notTaken},
		{"revoked already", lost, revoked, mustWait, unexplained},
	} {
		for quiet, want := range map[bool]verdict{false: tc.loud, true: tc.want} {
			if got := decideRotate(pins, tc.a, tc.keys, quiet); got != want {
				t.Errorf("%s, quiet time over %v: verdict %d, want %d", tc.name, quiet, got, want)
			}
		}
	}
}

func TestRevokeIsDecidedByLooking(t *testing.T) {
	lost3 := attempts{intents: 3, tries: 3, open: 3, last: &audit.Answer{Sent: true}}
	ok3 := attempts{intents: 3, tries: 3, open: 3, took: true, last: &audit.Answer{Sent: true, Status: 200}}
	lostThenNo := attempts{intents: 2, tries: 2, open: 1, last: &audit.Answer{Sent: true, Status: 403, Refused: true}}
	okThenNo := attempts{intents: 2, tries: 2, open: 1, took: true, last: &audit.Answer{Sent: true, Status: 400, Refused: true}}
	for _, tc := range []struct {
		name    string
		a       attempts
		keys    mgmt.Keys
		current *audit.Pin
		loud    verdict
		want    verdict
	}{
		{"as pinned", nothing, rotated, nil, mayWrite, mayWrite},
		{"as pinned, after our rotation", nothing, rotated, pinOf("N"), mayWrite, mayWrite},
		{"rotated once more", nothing, twice, pinOf("N"), changed, changed},
		{"rotated once more, a revoke alone", nothing, twice, nil, mayWrite, mayWrite},
		{"still current", nothing, before, nil, changed, changed},
		{"revoked by somebody, after our rotation", nothing, revoked, pinOf("N"), applied, applied},
		{"revoked by somebody", nothing, revoked, nil, changed, changed},
		{"gone", nothing, gone, nil, changed, changed},
		{"another certificate", nothing, mgmt.Keys{{KID: "K", Cert: "another", Previous: true}}, nil, changed, changed},

		{"died before the answer", unheard, rotated, nil, mayWrite, mayWrite},
		{"lost, and it took effect", lost, revoked, nil, applied, applied},
		{"lost", lost, rotated, pinOf("N"), mayWrite, mayWrite},
		{"lost, and rotated meanwhile", lost, twice, pinOf("N"), mustWait, notTaken},
		{"200", said201, revoked, nil, applied, applied},
		{"200, and nothing happened", said201, rotated, nil, mustWait, mayWrite},
		{"200 three times, and nothing happened", ok3, rotated, nil, mustWait, unexplained},
		{"refused", said429, rotated, nil, refused, refused},
		{"refused, and it took effect", said429, revoked, nil, applied, applied},
		{"lost, and refused", lostThenNo, rotated, nil, mustWait, refused},
		{"200, and refused, and nothing happened", okThenNo, rotated, nil, mustWait, unexplained},
		{"never got out", unsent6, rotated, nil, notTaken, notTaken},
		{"lost three times", lost3, rotated, nil, mustWait, notTaken},
		{"lost, and gone", lost, gone, nil, unexplained, unexplained},
		{"lost, and current again", lost, before, nil, unexplained, unexplained},
	} {
		for quiet, want := range map[bool]verdict{false: tc.loud, true: tc.want} {
			if got := decideRevoke(*pinOf("K"), tc.current, tc.a, tc.keys, quiet); got != want {
				t.Errorf("%s, quiet time over %v: verdict %d, want %d", tc.name, quiet, got, want)
			}
		}
	}
}

// TestNothingIsWrittenUnlessAsPinned goes through every combination: whatever was
// tried and whatever the list shows, a write only follows where the keys are pinned.
func TestNothingIsWrittenUnlessAsPinned(t *testing.T) {
	all := map[string]mgmt.Keys{"before": before, "pRevoked": pRevoked, "rotated": rotated, "twice": twice, "revoked": revoked, "noNext": noNext, "gone": gone, "imposter": imposter, "none": nil}
	tried := []attempts{nothing, unheard, lost, gateway, said201, other201, said429, notSent, lost2, unsent6}
	for name, keys := range all {
		for i, a := range tried {
			for _, quiet := range []bool{false, true} {
				what := fmt.Sprintf("%s, tried %d, quiet %v", name, i, quiet)
				if decideRotate(pins, a, keys, quiet) == mayWrite && name != "before" {
					t.Errorf("%s: a rotate may be written", what)
				}
				if decideRevoke(*pinOf("K"), pinOf("N"), a, keys, quiet) == mayWrite && name != "rotated" {
					t.Errorf("%s: a revoke may be written", what)
				}
			}
		}
	}
}

func TestAttemptsAreReadFromTheTrail(t *testing.T) {
	step := func(write Action) *audit.Step { return &audit.Step{Write: string(write)} }
	story := []audit.Entry{
		{Kind: audit.Intended, Step: step(Rotate)},
		{Kind: audit.Answered, Step: step(Rotate), Answer: &audit.Answer{}},
		{Kind: audit.Intended, Step: step(Rotate)},
		{Kind: audit.Answered, Step: step(Rotate), Answer: &audit.Answer{Sent: true, Status: 201, KID: "M"}},
		{Kind: audit.Rotated, Step: step(Rotate)},
		{Kind: audit.Intended, Step: step(Revoke)},
	}
	if a := attemptsOf(story, Rotate); a.intents != 2 || a.tries != 1 || a.open != 1 || !a.took || a.last == nil || a.last.KID != "M" {
		t.Errorf("rotate: %+v", a)
	}
	if a := attemptsOf(story, Revoke); a.intents != 1 || a.tries != 1 || a.open != 1 || a.took || a.last != nil {
		t.Errorf("revoke: %+v", a)
	}
	story = append(story, audit.Entry{Kind: audit.Answered, Step: step(Revoke), Answer: &audit.Answer{Sent: true, Status: 403, Refused: true}})
	if a := attemptsOf(story, Revoke); a.tries != 1 || a.open != 0 || a.took {
		t.Errorf("revoke, refused: %+v", a)
	}
}
