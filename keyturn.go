// Package keyturn holds what the programs below it share as files: the manifest of
// the Slack app. It has no code.
package keyturn

import _ "embed"

// Manifest is manifest.yml, the Slack app that keyturn is.
//
//go:embed manifest.yml
var Manifest []byte
