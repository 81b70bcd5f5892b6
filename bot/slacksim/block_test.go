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
		{"option value", 75, slacksim.InModal, func(n int) string {
			return input(`{"type":"static_select","options":[{"text":` + plainText(1) + `,"value":"` + x(n) + `"}]}`)
		}},
		{"option description", 75, slacksim.InModal, func(n int) string {
			return input(`{"type":"radio_buttons","options":[{"text":` + plainText(1) + `,"value":"v","description":` + plainText(n) + `}]}`)
		}},
		{"option groups", 100, slacksim.InModal, func(n int) string {
			return input(`{"type":"static_select","option_groups":[` + times(n, group(1)) + `]}`)
		}},
		{"option group label", 75, slacksim.InModal, func(n int) string {
			return input(`{"type":"static_select","option_groups":[` + group(n) + `]}`)
		}},
		{"radio buttons", 10, slacksim.InModal, func(n int) string { return input(`{"type":"radio_buttons","options":[` + numbered(n, option) + `]}`) }},
		{"overflow options", 5, slacksim.OnMessage, func(n int) string { return actions(`{"type":"overflow","options":[` + numbered(n, option) + `]}`) }},
		{"overflow url", 3000, slacksim.OnMessage, func(n int) string {
			return actions(`{"type":"overflow","options":[{"text":` + plainText(1) + `,"value":"v","url":"` + x(n) + `"}]}`)
		}},
		{"button url", 3000, slacksim.OnMessage, func(n int) string {
			return actions(`{"type":"button","text":` + plainText(1) + `,"url":"` + x(n) + `"}`)
		}},
		{"accessibility_label", 75, slacksim.OnMessage, func(n int) string {
			return actions(`{"type":"button","text":` + plainText(1) + `,"accessibility_label":"` + x(n) + `"}`)
		}},
		{"input hint", 2000, slacksim.InModal, func(n int) string {
			return `{"type":"input","label":` + plainText(1) + `,"hint":` + plainText(n) + `,"element":{"type":"plain_text_input"}}`
		}},
		{"min_length", 7, slacksim.InModal, func(n int) string {
			return input(fmt.Sprintf(`{"type":"plain_text_input","max_length":7,"min_length":%d}`, n))
		}},
		{"context text", 3000, slacksim.OnMessage, func(n int) string { return `{"type":"context","elements":[` + mrkdwnText(n) + `]}` }},
		{"image url", 3000, slacksim.OnMessage, func(n int) string { return `{"type":"image","alt_text":"x","image_url":"` + x(n) + `"}` }},
		{"image alt_text", 2000, slacksim.OnMessage, func(n int) string { return `{"type":"image","image_url":"x","alt_text":"` + x(n) + `"}` }},
		{"image title", 2000, slacksim.OnMessage, func(n int) string {
			return `{"type":"image","image_url":"x","alt_text":"x","title":` + plainText(n) + `}`
		}},
		{"tables", 1, slacksim.OnMessage, func(n int) string { return times(n, `{"type":"table","rows":[[`+cell+`]]}`) }},
		{"table rows", 100, slacksim.OnMessage, func(n int) string { return `{"type":"table","rows":[` + times(n, `[`+cell+`]`) + `]}` }},
		{"table cells", 20, slacksim.OnMessage, func(n int) string { return `{"type":"table","rows":[[` + times(n, cell) + `]]}` }},
		{"table columns", 20, slacksim.OnMessage, func(n int) string {
			return `{"type":"table","rows":[[` + cell + `]],"column_settings":[` + times(n, `{"align":"left"}`) + `]}`
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

const cell = `{"type":"raw_text","text":"x"}`

func group(label int) string {
	return `{"label":` + plainText(label) + `,"options":[{"text":` + plainText(1) + `,"value":"v"}]}`
}

func confirm(title, text, button int) string {
	return fmt.Sprintf(`{"type":"button","text":%s,"confirm":{"title":%s,"text":%s,"confirm":%s,"deny":%s}}`,
		plainText(1), plainText(title), plainText(text), plainText(button), plainText(button))
}

func TestWhatSlackRefuses(t *testing.T) {
	for name, block := range map[string]string{
		"no list":                        `{}`,
		"an unknown property":            `[{"type":"divider","color":"red"}]`,
		"an unknown property of text":    `[{"type":"header","text":{"type":"plain_text","text":"x","size":1}}]`,
		"an unknown property in a list":  `[{"type":"actions","elements":[{"type":"button","text":{"type":"plain_text","text":"x"},"colour":"red"}]}]`,
		"a header without text":          `[{"type":"header"}]`,
		"emoji in mrkdwn":                `[{"type":"section","text":{"type":"mrkdwn","text":"x","emoji":true}}]`,
		"a confirm dialog in part":       `[{"type":"actions","elements":[{"type":"button","text":{"type":"plain_text","text":"x"},"confirm":{"title":{"type":"plain_text","text":"x"}}}]}]`,
		"mrkdwn in a select":             `[{"type":"actions","elements":[{"type":"static_select","options":[{"text":{"type":"mrkdwn","text":"x"},"value":"a"}]}]}]`,
		"an option without value":        `[{"type":"actions","elements":[{"type":"static_select","options":[{"text":{"type":"plain_text","text":"x"}}]}]}]`,
		"no options":                     `[{"type":"actions","elements":[{"type":"static_select"}]}]`,
		"no fields":                      `[{"type":"section","text":{"type":"mrkdwn","text":"x"},"fields":[]}]`,
		"no context":                     `[{"type":"context","elements":[]}]`,
		"no rich text":                   `[{"type":"rich_text","elements":[]}]`,
		"a list of no style":             `[{"type":"rich_text","elements":[{"type":"rich_text_list","elements":[{"type":"rich_text_section","elements":[]}]}]}]`,
		"a list of no sections":          `[{"type":"rich_text","elements":[{"type":"rich_text_list","style":"bullet","elements":[{"type":"text","text":"x"}]}]}]`,
		"a date without a time":          `[{"type":"rich_text","elements":[{"type":"rich_text_section","elements":[{"type":"date","format":"{time}"}]}]}]`,
		"a broadcast to nobody":          `[{"type":"rich_text","elements":[{"type":"rich_text_section","elements":[{"type":"broadcast","range":"all"}]}]}]`,
		"an unknown cell":                `[{"type":"table","rows":[[{"type":"fancy"}]]}]`,
		"an input in a message":          `[{"type":"input","label":{"type":"plain_text","text":"x"},"element":{"type":"plain_text_input"}}]`,
		"no alt_text":                    `[{"type":"image","image_url":"https://x"}]`,
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

// TestWhatSlackTakes has each block and element that keyturn may use.
func TestWhatSlackTakes(t *testing.T) {
	const text, mrkdwn = `{"type":"plain_text","text":"x","emoji":false}`, `{"type":"mrkdwn","text":"*x*","verbatim":true}`
	const option = `{"text":` + text + `,"value":"a","description":` + text + `}`
	for where, blocks := range map[slacksim.Surface]string{
		slacksim.OnMessage: `[{"type":"section","block_id":"a","text":` + mrkdwn + `,"expand":true,"accessory":{"type":"image","image_url":"https://x","alt_text":"x"}},
			{"type":"context","elements":[` + mrkdwn + `,{"type":"image","image_url":"https://x","alt_text":"x"}]},
			{"type":"actions","elements":[{"type":"button","text":` + text + `},{"type":"button","text":` + text + `,"style":"danger","value":"v",
				"confirm":{"title":` + text + `,"text":` + mrkdwn + `,"confirm":` + text + `,"deny":` + text + `,"style":"primary"}}]},
			{"type":"actions","elements":[{"type":"checkboxes","action_id":"c","options":[{"text":` + mrkdwn + `,"value":"a"}]}]},
			{"type":"rich_text","elements":[
				{"type":"rich_text_section","elements":[{"type":"text","text":"x","style":{"bold":true}},{"type":"link","url":"https://x","text":"x"},
					{"type":"user","user_id":"U1"},{"type":"usergroup","usergroup_id":"S1"},{"type":"channel","channel_id":"C1"},
					{"type":"emoji","name":"key"},{"type":"broadcast","range":"here"},{"type":"date","timestamp":1,"format":"{time}","fallback":"x"}]},
				{"type":"rich_text_preformatted","border":0,"elements":[{"type":"text","text":"x"}]},{"type":"rich_text_quote","elements":[]},
				{"type":"rich_text_list","style":"ordered","indent":0,"elements":[{"type":"rich_text_section","elements":[{"type":"text","text":"x"}]}]}]},
			{"type":"table","rows":[[{"type":"raw_text","text":"x"},{"type":"rich_text","elements":[{"type":"rich_text_section","elements":[{"type":"text","text":"x"}]}]}]]}]`,
		slacksim.InModal: `[{"type":"input","block_id":"a","optional":true,"label":` + text + `,"element":{"type":"plain_text_input","action_id":"a","multiline":true}},
			{"type":"input","label":` + text + `,"element":{"type":"checkboxes","options":[` + option + `],"initial_options":[` + option + `]}},
			{"type":"input","label":` + text + `,"element":{"type":"static_select","placeholder":` + text + `,"option_groups":[{"label":` + text + `,"options":[` + option + `]}],"initial_option":` + option + `}}]`,
	} {
		if p := slacksim.CheckBlocks(json.RawMessage(blocks), where); len(p) > 0 {
			t.Errorf("surface %d: %v", where, p)
		}
	}
}

func TestPlainText(t *testing.T) {
	const option = `{"text":{"type":"plain_text","text":"%s"},"value":"%s"}`
	a, b := fmt.Sprintf(option, "A", "a"), fmt.Sprintf(option, "B", "b")
	for name, tc := range map[string][2]string{
		"header":     {`{"type":"header","text":{"type":"plain_text","text":"A <title> *x*"}}`, "A <title> *x*"},
		"references": {`{"type":"section","text":{"type":"mrkdwn","text":"<@UANN> <@UANN|ann> <!subteam^SDEV> <#C1|room> <!here> <https://x|link> <https://y>"}}`, "@UANN @UANN @SDEV #C1 @here link https://y"},
		"dates":      {`{"type":"section","text":{"type":"mrkdwn","text":"at <!date^1795412345^{date_num} {time_secs}|x>, <!date^1795412345^{date_short} {time}|x>"}}`, "at 2026-11-23 05:39:05, Nov 23, 2026 05:39"},
		"styles":     {`{"type":"section","text":{"type":"mrkdwn","text":"*bold* _it_ ` + "`code`" + ` a_b_c &lt;here&gt; &amp;lt;"}}`, "bold it code a_b_c <here> &lt;"},
		"fields":     {`{"type":"section","fields":[{"type":"mrkdwn","text":"*Key*\nvalue"},{"type":"plain_text","text":"x"}]}`, "Key: value\nx"},
		"divider":    {`{"type":"divider"}`, "---"},
		"image":      {`{"type":"image","alt_text":"a key","image_url":"x"}`, "[a key]"},
		"rich text": {`{"type":"rich_text","elements":[{"type":"rich_text_quote","elements":[{"type":"text","text":"one\ntwo"}]},
			{"type":"rich_text_section","elements":[{"type":"text","text":"at "},{"type":"link","url":"https://y"},{"type":"user","user_id":"UANN"},{"type":"usergroup","usergroup_id":"SDEV"},
				{"type":"channel","channel_id":"C1"},{"type":"broadcast","range":"here"},{"type":"emoji","name":"key"},{"type":"date","timestamp":1795412345,"format":"{time}"}]},
			{"type":"rich_text_list","style":"bullet","elements":[{"type":"rich_text_section","elements":[{"type":"text","text":"x"}]},{"type":"rich_text_section","elements":[{"type":"text","text":"y"}]}]},
			{"type":"rich_text_list","style":"ordered","elements":[{"type":"rich_text_section","elements":[{"type":"link","url":"https://y","text":"z"}]}]}]}`,
			"> one\n> two\nat https://y@UANN@SDEV#C1@here:key:05:39\n• x\n• y\n1. z"},
		"buttons": {`{"type":"actions","elements":[{"type":"button","text":{"type":"plain_text","text":"Yes"}},{"type":"overflow","options":[` + a + `,` + b + `]}]}`, "[Yes] [A] [B]"},
		"select":  {`{"type":"section","text":{"type":"plain_text","text":"x"},"accessory":{"type":"static_select","options":[` + a + `],"initial_option":` + a + `}}`, "x\nA"},
		"boxes":   {`{"type":"actions","elements":[{"type":"checkboxes","options":[` + a + `,` + b + `],"initial_options":[` + b + `]}]}`, "☐ A, ☑ B"},
		"radio":   {`{"type":"actions","elements":[{"type":"radio_buttons","options":[` + a + `,` + b + `],"initial_option":` + a + `}]}`, "☑ A, ☐ B"},
		"input":   {`{"type":"input","label":{"type":"plain_text","text":"Why"},"hint":{"type":"plain_text","text":"be brief"},"element":{"type":"plain_text_input","initial_value":"so"}}`, "[Why: so]\nbe brief"},
		"table":   {`{"type":"table","rows":[[{"type":"raw_text","text":"a"},{"type":"raw_text","text":"b"}],[{"type":"raw_text","text":"c"},{"type":"raw_text","text":"d"}]]}`, "a | b\nc | d"},
	} {
		if got := slacksim.PlainText(json.RawMessage("[" + tc[0] + "]")); got != tc[1] {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, tc[1])
		}
	}
	if got := slacksim.PlainText(json.RawMessage(`[{"type":"divider"},{"type":"header","text":{"type":"plain_text","text":"x"}}]`)); got != "---\nx" {
		t.Errorf("two blocks: %q", got)
	}
}
