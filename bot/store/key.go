package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"keyturn/bot/audit"
)

// This file keeps the key that signs the trail's checkpoints, in a file of its own:
// whoever has a copy of the database must not have the key with it.

// ErrKey is wrapped where the key file cannot be used with this trail.
var ErrKey = errors.New("the key of the trail's checkpoints")

// openSigner reads the key file, or makes it where the trail has no key yet. The key has
// to be the one that the trail's first start named: a trail whose checkpoints are signed
// by another key from some entry on is what a forger's would look like.
func (s *Store) openSigner(ctx context.Context, path string) error {
	named, err := s.namedKey(ctx)
	if err != nil {
		return err
	}
	private, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && named == "" {
		private, err = makeKey(path)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %s is not there, and this trail has one, %s; put it back from where it is kept", ErrKey, path, named)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrKey, err)
	}
	if info, err := os.Stat(path); err != nil {
		return fmt.Errorf("%w: %w", ErrKey, err)
	} else if info.Mode().Perm()&0o007 != 0 {
		return fmt.Errorf("%w: everybody on this host may read or change %s (mode %v); make it 0600", ErrKey, path, info.Mode().Perm())
	}
	if s.signer, err = audit.ParseSigner(string(private)); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrKey, path, err)
	}
	if named != "" && s.signer.Public() != named {
		return fmt.Errorf("%w: %s holds %s, and this trail's is %s; put the right one there", ErrKey, path, s.signer.Public(), named)
	}
	return nil
}

// namedKey is the key that the trail's first start named; "": none did yet.
func (s *Store) namedKey(ctx context.Context) (string, error) {
	first, err := s.entries(ctx, `SELECT seq, line FROM trail WHERE kind = $1 ORDER BY seq LIMIT 1`, string(audit.Started))
	if err != nil {
		return "", fmt.Errorf("reading which key the trail has: %w", err)
	}
	if len(first) == 0 {
		return "", nil
	}
	return first[0].Key, nil
}

// makeKey makes the key file. It and its name are on the disk before anything is signed
// with it: a trail that lost its key in a power cut could not go on.
func makeKey(path string) ([]byte, error) {
	private, err := audit.NewSigner()
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.WriteString(private + "\n")
	if err = errors.Join(err, f.Sync(), f.Close(), syncFolder(path)); err != nil {
		return nil, errors.Join(err, os.Remove(path)) // half a key would be refused from now on
	}
	return []byte(private), nil
}

func syncFolder(path string) error {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// Public is the public part of the key that signs the trail's checkpoints.
func (s *Store) Public() string { return s.signer.Public() }
