package bot

import (
	"strings"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/mgmt"
)

// maxDoubts is how many words a form speaks of.
const maxDoubts = 3

// notes are what a form says of the words that led to it, as mrkdwn: which of them may
// mean a key and choose none, and what was asked for that this form does not do.
func (m meant) notes(a asking, look *audit.Look, command slash) (out []string) {
	if a.Action == approval.Revoke {
		return m.revokeNotes(a, command)
	}
	if m.other && a.Action == approval.Rotate {
		out = append(out, "This rotates and does *not* revoke: the key that was in use stays valid. "+
			"For both, type "+command.code(string(approval.RotateAndRevoke))+".")
	}
	for _, kid := range m.kids {
		if k, ok := look.Key(kid); !ok || k.Role != mgmt.RoleCurrent.String() {
			out = append(out, otherKey(kid, k, a, command))
		}
	}
	for _, d := range m.doubts {
		if !d.plain {
			out = append(out, d.words(a.Tenant, command)+" This is about the key *currently used*.")
		}
	}
	return out[:min(len(out), maxDoubts)]
}

// otherKey says that a form to rotate is not about the key that was named.
func otherKey(kid string, k audit.Key, a asking, command slash) string {
	words := "You named " + code(kid)
	if k.Role != "" {
		words += ", which is _" + k.Role + "_"
	}
	words += ". This is about the key *currently used*."
	if k.Role == mgmt.RolePrevious.String() {
		words += " To revoke the one that you named, type " +
			command.code("revoke "+a.Tenant+" "+kid) + "."
	}
	return words
}

func (m meant) revokeNotes(a asking, command slash) (out []string) {
	if len(m.kids) > 1 {
		var kids []string
		for _, kid := range m.kids[:min(len(m.kids), maxDoubts)] {
			kids = append(kids, code(kid))
		}
		out = append(out, "You named "+count(len(m.kids), "key")+", such as "+
			strings.Join(kids, " and ")+".")
	}
	out = append(out, m.doubtWords(a.Tenant, command)...)
	if n := len(out); n > 0 && a.KID == "" {
		out[n-1] += " *No key is chosen*: choose below."
	}
	if m.other {
		out = append(out, "This revokes a previously used key and does *not* rotate. "+
			"To rotate, and then revoke the key that is in use now, type "+
			command.code(string(approval.RotateAndRevoke))+".")
	}
	return out
}

// doubtWords say which words may mean a key and choose none.
func (m meant) doubtWords(tenant string, command slash) (out []string) {
	for _, d := range m.doubts[:min(len(m.doubts), maxDoubts)] {
		out = append(out, d.words(tenant, command))
	}
	return out
}

// words say why a word chooses no key, as mrkdwn.
func (d doubt) words(tenant string, command slash) string {
	word := "“" + escape(shorten(d.word, 80)) + "”"
	var near []string
	for _, kid := range d.near[:min(len(d.near), maxDoubts)] {
		near = append(near, code(kid))
	}
	kids := strings.Join(near, " and ")
	switch {
	case d.why == fitsSeveral:
		return word + " fits " + count(len(d.near), "key") + " of " + code(tenant) +
			", such as " + kids + "."
	case d.why == tooShort:
		return word + " is too short to name a key: type at least 8 characters. It may mean " + kids + "."
	case d.why == excepted:
		return "Your words may mean that " + kids + " is *not* the key."
	case d.why == inLink:
		return "A link in your words has the key " + kids + "."
	case d.why == ofRole:
		return word + " is no previously used key, and Auth0 revokes no other. " +
			"To revoke the one in use, type " + command.code(string(approval.RotateAndRevoke)) + "."
	case d.why == hidden:
		return word + " has characters in it that change how it looks, so it names no key."
	case kids != "":
		return word + " is not a key of " + code(tenant) + ", but close to " + kids +
			". Every letter counts, and its case."
	}
	return word + " is not a key of " + code(tenant) + "."
}
