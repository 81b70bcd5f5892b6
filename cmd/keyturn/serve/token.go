package serve

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// reloadBotToken returns what reads the bot token's file again, as at the start; nil: it is
// not from a file.
func reloadBotToken() func() (string, error) {
	const name = "KEYTURN_SLACK_BOT_TOKEN_FILE"
	path := clean(os.Getenv(name))
	if path == "" {
		return nil
	}
	return func() (string, error) {
		text, err := readSecret(path)
		token := clean(text)
		if err == nil && (!strings.HasPrefix(token, "xoxb-") || !isToken(token)) {
			err = errors.New("what is in it is no bot token, xoxb-…")
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		return token, nil
	}
}
