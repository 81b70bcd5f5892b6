package slacksim_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"keyturn/bot/slacksim"
)

func x(n int) string { return strings.Repeat("ä", n) }

func plainText(n int) string { return fmt.Sprintf(`{"type":"plain_text","text":"%s"}`, x(n)) }
func mrkdwnText(n int) string {
	return fmt.Sprintf(`{"type":"mrkdwn","text":"%s","verbatim":true}`, x(n))
}

func times(n int, s string) string { return strings.TrimSuffix(strings.Repeat(s+",", n), ",") }

func numbered(n int, format string) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(parts, ",")
}

// TestLimits goes to each limit of Slack's, and one over.
func TestLimits(t *testing.T) {
	button := func(text, value, action int) string {
		return fmt.Sprintf(`{"type":"button","text":%s,"value":"%s","action_id":"%s"}`, plainText(text), x(value), x(action))
	}
	actions := func(elements string) string { return `{"type":"actions","elements":[` + elements + `]}` }
	input := func(element string) string {
		return `{"type":"input","label":` + plainText(1) + `,"element":` + element + `}`
	}
	option := `{"text":` + plainText(1) + `,"value":"%d"}`
	for _, tc := range []struct {
		name  string
		limit int
		where slacksim.Surface
		block func(n int) string
	}{
		{"blocks of a message", 50, slacksim.OnMessage, func(n int) string { return times(n, `{"type":"divider"}`) }},
		{"blocks of a modal", 100, slacksim.InModal, func(n int) string { return times(n, `{"type":"divider"}`) }},
		{"section", 3000, slacksim.OnMessage, func(n int) string { return `{"type":"section","text":` + mrkdwnText(n) + `}` }},
		{"field", 2000, slacksim.OnMessage, func(n int) string { return `{"type":"section","fields":[` + mrkdwnText(n) + `]}` }},
		{"fields", 10, slacksim.OnMessage, func(n int) string { return `{"type":"section","fields":[` + times(n, mrkdwnText(1)) + `]}` }},
		{"header", 150, slacksim.OnMessage, func(n int) string { return `{"type":"header","text":` + plainText(n) + `}` }},
		{"context elements", 10, slacksim.OnMessage, func(n int) string { return `{"type":"context","elements":[` + times(n, mrkdwnText(1)) + `]}` }},
		{"actions elements", 25, slacksim.OnMessage, func(n int) string {
			return actions(numbered(n, `{"type":"button","text":`+plainText(1)+`,"action_id":"a%d"}`))
		}},
		{"button text", 75, slacksim.OnMessage, func(n int) string { return actions(button(n, 1, 1)) }},
		{"button value", 2000, slacksim.OnMessage, func(n int) string { return actions(button(1, n, 1)) }},
		{"action_id", 255, slacksim.OnMessage, func(n int) string { return actions(button(1, 1, n)) }},
		{"block_id", 255, slacksim.OnMessage, func(n int) string { return `{"type":"divider","block_id":"` + x(n) + `"}` }},
		{"confirm title", 100, slacksim.OnMessage, func(n int) string { return actions(confirm(n, 1, 1)) }},
		{"confirm text", 300, slacksim.OnMessage, func(n int) string { return actions(confirm(1, n, 1)) }},
		{"confirm button", 30, slacksim.OnMessage, func(n int) string { return actions(confirm(1, 1, n)) }},
		{"input label", 2000, slacksim.InModal, func(n int) string {
			return `{"type":"input","label":` + plainText(n) + `,"element":{"type":"plain_text_input"}}`
		}},
		{"max_length", 3000, slacksim.InModal, func(n int) string { return input(fmt.Sprintf(`{"type":"plain_text_input","max_length":%d}`, n)) }},
		{"initial_value", 7, slacksim.InModal, func(n int) string {
			return input(fmt.Sprintf(`{"type":"plain_text_input","max_length":7,"initial_value":"%s"}`, x(n)))
		}},
		{"placeholder", 150, slacksim.InModal, func(n int) string { return input(`{"type":"plain_text_input","placeholder":` + plainText(n) + `}`) }},
		{"select options", 100, slacksim.InModal, func(n int) string { return input(`{"type":"static_select","options":[` + numbered(n, option) + `]}`) }},
		{"checkboxes", 10, slacksim.InModal, func(n int) string { return input(`{"type":"checkboxes","options":[` + numbered(n, option) + `]}`) }},
		{"option text", 75, slacksim.InModal, func(n int) string {
			return input(`{"type":"static_select","options":[{"text":` + plainText(n) + `,"value":"v"}]}`)
		}},
	} {
		if p := slacksim.CheckBlocks(json.RawMessage("["+tc.block(tc.limit)+"]"), tc.where); len(p) > 0 {
			t.Errorf("%s at the limit of %d: %v", tc.name, tc.limit, p)
		}
		if p := slacksim.CheckBlocks(json.RawMessage("["+tc.block(tc.limit+1)+"]"), tc.where); len(p) == 0 {
			t.Errorf("%s over the limit of %d was taken", tc.name, tc.limit)
		}
	}
}

func confirm(title, text, button int) string {
	return fmt.Sprintf(`{"type":"button","text":%s,"confirm":{"title":%s,"text":%s,"confirm":%s,"deny":%s}}`,
		plainText(1), plainText(title), plainText(text), plainText(button), plainText(button))
}

func TestWhatSlackRefuses(t *testing.T) {
	for name, block := range map[string]string{
		"no list":                        `{}`,
		"an unknown block":               `[{"type":"fancy"}]`,
		"an empty text":                  `[{"type":"section","text":{"type":"mrkdwn","text":""}}]`,
		"an empty section":               `[{"type":"section"}]`,
		"mrkdwn in a header":             `[{"type":"header","text":{"type":"mrkdwn","text":"x"}}]`,
		"verbatim plain text":            `[{"type":"section","text":{"type":"plain_text","text":"x","verbatim":true}}]`,
		"a block_id twice":               `[{"type":"divider","block_id":"a"},{"type":"divider","block_id":"a"}]`,
		"an action_id twice":             `[{"type":"actions","elements":[{"type":"button","text":{"type":"plain_text","text":"x"},"action_id":"a"},{"type":"button","text":{"type":"plain_text","text":"y"},"action_id":"a"}]}]`,
		"a style that is none":           `[{"type":"actions","elements":[{"type":"button","style":"loud","text":{"type":"plain_text","text":"x"}}]}]`,
		"no actions":                     `[{"type":"actions","elements":[]}]`,
		"an input in actions":            `[{"type":"actions","elements":[{"type":"plain_text_input"}]}]`,
		"an initial option of no option": `[{"type":"section","text":{"type":"plain_text","text":"x"},"accessory":{"type":"static_select","options":[{"text":{"type":"plain_text","text":"x"},"value":"a"}],"initial_option":{"text":{"type":"plain_text","text":"y"},"value":"b"}}}]`,
		"rich text of an unknown kind":   `[{"type":"rich_text","elements":[{"type":"rich_text_fancy","elements":[]}]}]`,
		"an empty rich text element":     `[{"type":"rich_text","elements":[{"type":"rich_text_section","elements":[{"type":"text","text":""}]}]}]`,
	} {
		if p := slacksim.CheckBlocks(json.RawMessage(block), slacksim.OnMessage); len(p) == 0 {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestPlainText(t *testing.T) {
	blocks := `[
		{"type":"header","text":{"type":"plain_text","text":"A <title>"}},
		{"type":"section","text":{"type":"mrkdwn","text":"*bold* <@UANN> <!subteam^SDEV> <https://x|link> &lt;here&gt; ` + "`code`" + `"},"fields":[{"type":"mrkdwn","text":"*Key*\nvalue"}]},
		{"type":"rich_text","elements":[{"type":"rich_text_quote","elements":[{"type":"text","text":"one\ntwo"}]},{"type":"rich_text_section","elements":[{"type":"text","text":"at "},{"type":"link","url":"https://y"}]}]},
		{"type":"divider"},
		{"type":"actions","elements":[{"type":"button","text":{"type":"plain_text","text":"Yes"}},{"type":"button","text":{"type":"plain_text","text":"No"}}]}]`
	want := "A <title>\nbold @UANN @SDEV link <here> code\nKey: value\n> one\n> two\nat https://y\n---\n[Yes] [No]"
	if got := slacksim.PlainText(json.RawMessage(blocks)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
