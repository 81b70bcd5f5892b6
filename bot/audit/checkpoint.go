package audit

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// This file is the checkpoint: the size of a trail and the root of its tree, signed. It
// is kept in the trail and posted in Slack, where whoever has only the database cannot
// change it. The format is C2SP's tlog-checkpoint, in a signed note
// (https://c2sp.org/tlog-checkpoint, https://c2sp.org/signed-note).

// Signer signs the checkpoints of one trail.
type Signer struct {
	signer note.Signer
	public string
}

// NewSigner makes a key with a name of its own and returns it as the text that
// ParseSigner reads. The text is a secret.
func NewSigner() (private string, err error) {
	name := "keyturn/" + strings.ToLower(rand.Text()[:8])
	private, _, err = note.GenerateKey(rand.Reader, name)
	return private, err
}

// ParseSigner reads what NewSigner made. Its error does not quote the text.
func ParseSigner(private string) (*Signer, error) {
	private = strings.TrimSpace(private)
	signer, err := note.NewSigner(private)
	if err != nil {
		return nil, errors.New("it is no Ed25519 key of a signed note")
	}
	// PRIVATE+KEY+name+hash+data; of the five only the data may have a plus in it. It is
	// base64 of the algorithm's byte and the seed.
	data, err := base64.StdEncoding.DecodeString(strings.SplitN(private, "+", 5)[4])
	if err != nil {
		return nil, errors.New("it is no Ed25519 key of a signed note")
	}
	public, err := note.NewEd25519VerifierKey(signer.Name(), ed25519.NewKeyFromSeed(data[1:]).Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	return &Signer{signer: signer, public: public}, nil
}

// Public is what verifies its checkpoints, as a verifier key of a signed note.
func (s *Signer) Public() string { return s.public }

// String keeps the private part out of logs.
func (s *Signer) String() string { return s.public }

// Checkpoint signs the tree over the first size entries, of which hashes reads the
// stored hashes. The same tree gives the same text.
func (s *Signer) Checkpoint(size int64, hashes tlog.HashReader) (string, error) {
	root, err := tlog.TreeHash(size, hashes)
	if err != nil {
		return "", fmt.Errorf("computing the root of %d entries: %w", size, err)
	}
	signed, err := note.Sign(&note.Note{Text: Checkpoint{Origin: s.signer.Name(), Size: size, Root: root}.text()}, s.signer)
	if err != nil {
		return "", fmt.Errorf("signing the checkpoint of %d entries: %w", size, err)
	}
	return string(signed), nil
}

// Checkpoint is what a checkpoint says.
type Checkpoint struct {
	Origin string // the name of the key, and by that of the trail
	Size   int64
	Root   tlog.Hash
}

func (c Checkpoint) text() string { return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, c.Root) }

// ErrNoCheckpoint is returned where a text has no checkpoint that verifies.
var ErrNoCheckpoint = errors.New("there is no checkpoint in it that this trail's key signed")

// ReadCheckpoint finds the first checkpoint in text that public, a verifier key, says
// was signed by its key. The text may be a message as it was copied out of Slack: what
// stands around it, spaces, marks of quoting and empty lines do not matter.
func ReadCheckpoint(text, public string) (Checkpoint, error) {
	verifier, err := note.NewVerifier(public)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("the public key: %w", err)
	}
	lines := pastedLines(text)
	for i := 0; i+3 < len(lines); i++ {
		if lines[i] != verifier.Name() || !strings.HasPrefix(lines[i+3], "— ") {
			continue
		}
		signed := strings.Join(lines[i:i+3], "\n") + "\n\n" + lines[i+3] + "\n"
		opened, err := note.Open([]byte(signed), note.VerifierList(verifier))
		if err != nil {
			continue
		}
		c := Checkpoint{Origin: lines[i]}
		c.Size, err = strconv.ParseInt(lines[i+1], 10, 64)
		if err == nil {
			c.Root, err = tlog.ParseHash(lines[i+2])
		}
		if err == nil && c.Size >= 0 && c.text() == opened.Text {
			return c, nil
		}
	}
	return Checkpoint{}, ErrNoCheckpoint
}

// pastedLines are the lines of a text without what a chat puts around them, and
// without those that are empty then.
func pastedLines(text string) (lines []string) {
	for line := range strings.Lines(text) {
		if line = strings.Trim(line, " \t\r\n\u00a0>`"); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}
