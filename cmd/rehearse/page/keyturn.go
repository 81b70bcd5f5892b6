package page

// This file draws keyturn itself, as its operator sees it.

// status says whether keyturn runs, and can be reached.
func (p *Page) status() []fragment {
	k, sockets := p.world.Keyturn, p.world.Slack.Sockets()
	data := map[string]any{"Runs": k.Running(), "Sockets": sockets}
	if err := k.Err(); err != nil {
		data["Why"] = err.Error()
	}
	return []fragment{drawn("status", "status", data)}
}

func (p *Page) log() []fragment {
	return []fragment{drawn("log", "log", p.world.Keyturn.Log())}
}
