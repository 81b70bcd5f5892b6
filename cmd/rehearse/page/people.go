package page

import (
	"net/url"
	"slices"
	"strings"

	"keyturn/bot/slacksim"
	"keyturn/cmd/rehearse/world"
)

// person is somebody that one may be.
type person struct {
	Name, ID string
	Role     string // in a word
	channels []string
}

// people are those that one may be, the first being who one is at first.
var people = []person{
	{"alice", world.Alice, "requester", []string{world.Incident, world.Trail, "D" + world.Alice}},
	{"bob", world.Bob, "approver", []string{world.Incident, world.Trail, "D" + world.Bob}},
	{"carol", world.Carol, "may not", []string{world.Incident, "D" + world.Carol}},
	{"gina", world.Gina, "guest", []string{world.Incident, "D" + world.Gina}},
	{"xena", world.Xena, "outsider", []string{world.Incident}},
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
	switch {
	case id == world.Incident:
		return "incident"
	case id == world.Trail:
		return "signing-keys-trail"
	case id == slacksim.BotID, isDirect(id):
		return "keyturn"
	}
	for _, p := range people {
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

func written(channel string) string {
	if isDirect(channel) {
		return nameOf(channel)
	}
	return "#" + nameOf(channel)
}
