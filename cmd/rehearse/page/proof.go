package page

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"keyturn/bot/slacksim"
	"keyturn/cmd/keyturn/inspect"
	"keyturn/cmd/rehearse/world"
)

// This file is keyturn audit, run beside keyturn as an auditor would: with the key and the
// checkpoint as they stand in the channel of the trail.

// proof is what keyturn audit said last.
type proof struct {
	Command string // as it would be typed; "": none was run yet
	Says    string
	Holds   bool
}

var (
	postedKey        = regexp.MustCompile(`keyturn/\S+\+[0-9a-f]{8}\+\S+`)
	postedCheckpoint = regexp.MustCompile(`(?m)^— keyturn/`)
	requestID        = regexp.MustCompile(`\bkt-[a-z0-9]{8}\b`)
)

// prove runs keyturn audit verify, or show for the request of the newest card.
func (p *Page) prove(_ *http.Request, a asked) (said, error) {
	switch a.Name {
	case "verify":
		return said{}, p.verify()
	case "show":
		return said{}, p.postMortem()
	}
	return said{}, fmt.Errorf("there is no proof %q", a.Name)
}

// verify checks the whole trail against what was posted of it.
func (p *Page) verify() error {
	key, checkpoint := "", ""
	for _, m := range p.world.Slack.Messages(world.Trail) {
		text := m.Shows()
		if key == "" {
			key = postedKey.FindString(text)
		}
		if postedCheckpoint.MatchString(text) {
			checkpoint = text
		}
	}
	if key == "" || checkpoint == "" {
		return errors.New("nothing is in the channel of the trail yet to verify it with")
	}
	p.run("keyturn audit verify --key "+key+" --checkpoint -   (the newest that was posted)", checkpoint,
		"verify", "--key", key, "--checkpoint", "-")
	return nil
}

// postMortem shows the story of a request.
func (p *Page) postMortem() error {
	cards := p.cards()
	if len(cards) == 0 {
		return errors.New("nothing was asked for yet")
	}
	id := requestID.FindString(cards[len(cards)-1].Shows())
	p.run("keyturn audit show "+id, "", "show", id)
	return nil
}

// cards are the cards in the incident's channel, in order.
func (p *Page) cards() []slacksim.Message {
	return slices.DeleteFunc(p.world.Slack.Messages(world.Incident), func(m slacksim.Message) bool {
		return m.User != slacksim.BotID || m.Thread != "" || !requestID.MatchString(m.Shows())
	})
}

func (p *Page) run(command, in string, args ...string) {
	var out bytes.Buffer
	status := inspect.Run(args, p.world.Database(), strings.NewReader(in), &out, &out)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.proof = proof{Command: command, Says: strings.ReplaceAll(out.String(), filepath.Dir(p.world.Database())+string(os.PathSeparator), ""), Holds: status == 0}
	p.tour.shown = p.tour.shown || p.proof.Holds && args[0] == "show"
	p.tell()
}

func (p *Page) proofPane() []fragment {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.proof.Command == "" {
		return nil
	}
	return []fragment{drawn("proof", "proof", p.proof)}
}
