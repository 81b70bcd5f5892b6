package bot

import "regexp"

// slash is the name of the command as people type it, such as /signing-keys. Where a
// second keyturn is in a workspace it has another name, and what people are told to type
// has to be the command that they have.
type slash string

// defaultSlash is the name in manifest.yml.
const defaultSlash slash = "/signing-keys"

// slashLike is what Slack takes as a command's name. A name goes into mrkdwn, so another
// form is not believed.
var slashLike = regexp.MustCompile(`^/[a-z0-9_-]{1,31}$`)

// slashOf returns the name that a payload has, or the default where that is none.
func slashOf(name string) slash {
	if slashLike.MatchString(name) {
		return slash(name)
	}
	return defaultSlash
}

// with is what a person can type, as text.
func (s slash) with(words string) string { return string(s) + " " + words }

// code is what a person can type, as mrkdwn.
func (s slash) code(words string) string { return code(s.with(words)) }

// sawSlash returns the command's name in a payload, and keeps it for what has none: a
// press says which button it was, and not how the command is called. Nothing else keeps
// it, so after a start the default is used until a command is typed.
func (b *Bot) sawSlash(name string) slash {
	s := slashOf(name)
	b.lastSlash.Store(s)
	return s
}

// slash is the name of the command that was typed last.
func (b *Bot) slash() slash {
	if s, ok := b.lastSlash.Load().(slash); ok {
		return s
	}
	return defaultSlash
}
