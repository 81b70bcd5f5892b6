package page

import (
	"net/url"
	"slices"
	"strings"

	"keyturn/bot/slacksim"
	"keyturn/cmd/rehearse/blockkit"
	"keyturn/cmd/rehearse/world"
)

// person is somebody that one may be.
type person struct {
	ID, Name string
	Role     string // in a word
	channels []string
}

// people are those that one may be, the first being who one is at first.
var people = everybody()

func everybody() (all []person) {
	roles := map[string]string{world.Alice: "requester", world.Bob: "approver", world.Carol: "may not", world.Gina: "guest", world.Xena: "outsider"}
	for _, p := range world.People {
		one := person{ID: p.ID, Name: p.Name, Role: roles[p.ID]}
		for _, c := range world.Channels {
			if slices.Contains(c.Members, p.ID) {
				one.channels = append(one.channels, c.ID)
			}
		}
		if p.Team == "" { // keyturn has no conversation with people of other workspaces
			one.channels = append(one.channels, "D"+p.ID)
		}
		all = append(all, one)
	}
	return all
}

func personOf(name string) (person, bool) {
	i := slices.IndexFunc(people, func(p person) bool { return p.Name == name })
	if i < 0 {
		return people[0], false
	}
	return people[i], true
}

// nameOf names people and channels as Slack does, without a sign before it.
func nameOf(id string) string {
	if id == slacksim.BotID || isDirect(id) {
		return "keyturn"
	}
	for _, c := range world.Channels {
		if c.ID == id {
			return c.Name
		}
	}
	for _, p := range world.People {
		if p.ID == id {
			return p.Name
		}
	}
	return ""
}

func isDirect(channel string) bool { return strings.HasPrefix(channel, "D") }

// look is what somebody looks at.
type look struct {
	person
	Channel string
	Thread  string // ts of the message whose thread is open; "": none
}

// lookOf reads it from the page's address. What one may not see is the incident's channel
// instead.
func lookOf(q url.Values) look {
	l := look{Channel: q.Get("channel"), Thread: q.Get("thread")}
	l.person, _ = personOf(q.Get("as"))
	if !slices.Contains(l.channels, l.Channel) {
		l.Channel, l.Thread = world.Incident, ""
	}
	return l
}

// ChannelName is the channel's as it is written.
func (l look) ChannelName() string { return written(l.Channel) }

// reader is who reads what blockkit draws.
func (l look) reader() blockkit.Reader { return blockkit.Reader{ID: l.ID, Name: nameOf} }

func written(channel string) string {
	if isDirect(channel) {
		return nameOf(channel)
	}
	return "#" + nameOf(channel)
}
