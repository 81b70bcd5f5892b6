package blockkit

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// This file draws what stands for something else: people, channels, addresses and times.

var (
	personID  = regexp.MustCompile(`^@([UW][A-Z0-9]+)$`)
	channelID = regexp.MustCompile(`^#([CDG][A-Z0-9]+)$`)
	groupID   = regexp.MustCompile(`^!subteam\^(S[A-Z0-9]+)$`)
	dateForm  = regexp.MustCompile(`^!date\^(\d+)\^([^^]*)(?:\^([^^]*))?$`)
)

// reference draws what was in angle brackets. A label does not count where Slack knows the
// name; what is no reference is shown as text, in its brackets.
func (r Reader) reference(ref string) piece {
	body, label, _ := strings.Cut(ref, "|")
	body, label = resolve(body), resolve(label)
	if m := personID.FindStringSubmatch(body); m != nil {
		return r.mentionOf("@", m[1])
	}
	if m := channelID.FindStringSubmatch(body); m != nil {
		return r.mentionOf("#", m[1])
	}
	if m := groupID.FindStringSubmatch(body); m != nil {
		return r.mentionOf("@", m[1])
	}
	if word, is := strings.CutPrefix(body, "!"); is && isBroadcast(word) {
		return broadcast(word)
	}
	if m := dateForm.FindStringSubmatch(body); m != nil {
		unix, err := strconv.ParseInt(m[1], 10, 64)
		if p, is := r.date(unix, m[2], m[3]); is && err == nil {
			return p
		}
		if label != "" {
			return piece{Kind: text, Text: label}
		}
	}
	return linkTo(body, label)
}

// mentionOf names a person or a user group with @, or a channel with #.
func (r Reader) mentionOf(sign, id string) piece {
	p := piece{Kind: mention, Text: sign + id, Class: "bk-mention"}
	if r.Name != nil {
		if name := r.Name(id); name != "" {
			p.Text = sign + name
		}
	}
	if id == r.ID {
		p.Class += " me"
	}
	return p
}

func broadcast(to string) piece {
	return piece{Kind: mention, Text: "@" + to, Class: "bk-mention broadcast"}
}

// isBroadcast reports whether a word after @ or ! tells a whole channel.
func isBroadcast(word string) bool {
	return slices.Contains([]string{"here", "channel", "everyone"}, word)
}

// leads reports whether an address is of a kind that may be followed: nothing else becomes
// a link, least of all javascript:.
func leads(address string) bool {
	low := strings.ToLower(address)
	for _, scheme := range []string{"http://", "https://", "mailto:"} {
		if rest, is := strings.CutPrefix(low, scheme); is && rest != "" {
			return true
		}
	}
	return false
}

// linkTo shows label, or the address where there is none, as a link. An address that may
// not be followed is shown whole, so that no label hides it.
func linkTo(address, label string) piece {
	switch {
	case !leads(address) && label == "":
		return piece{Kind: text, Text: "<" + address + ">"}
	case !leads(address):
		return piece{Kind: text, Text: "<" + address + "|" + label + ">"}
	case label == "":
		label = address
	}
	return piece{Kind: link, Href: address, Inner: []piece{{Kind: text, Text: label}}}
}

// maxUnix is the last second that RFC 3339 can write.
var maxUnix = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).Unix() - 24*60*60

var dateToken = regexp.MustCompile(`{[^{}]*}`)

// date fills in the tokens of Slack's date form, in the reader's zone; address: what it
// links to, or "". false: the form is none, and the fallback is to be shown, as Slack does.
func (r Reader) date(unix int64, form, address string) (piece, bool) {
	tokens := dateToken.FindAllString(form, -1)
	if unix < 0 || unix > maxUnix || len(tokens) == 0 {
		return piece{}, false
	}
	zone := r.Zone
	if zone == nil {
		zone = time.Local
	}
	t := time.Unix(unix, 0).In(zone)
	words := form
	for _, token := range tokens {
		layout, known := dateLayouts[token]
		if !known {
			return piece{}, false
		}
		words = strings.Replace(words, token, t.Format(layout), 1)
	}
	p := piece{Kind: when, Text: words, Time: t.Format(time.RFC3339)}
	if leads(address) {
		p = piece{Kind: link, Href: address, Inner: []piece{p}}
	}
	return p, true
}

// dateLayouts are the tokens of a date. The pretty ones keep the date, where Slack says
// today or yesterday.
var dateLayouts = map[string]string{
	"{date_num}":          time.DateOnly,
	"{date}":              "January 2, 2006",
	"{date_pretty}":       "January 2, 2006",
	"{date_short}":        "Jan 2, 2006",
	"{date_short_pretty}": "Jan 2, 2006",
	"{date_long}":         "Monday, January 2, 2006",
	"{date_long_pretty}":  "Monday, January 2, 2006",
	"{time}":              "15:04",
	"{time_secs}":         time.TimeOnly,
}
