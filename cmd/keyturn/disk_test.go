package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// canMount reports whether this process may mount a file system, and says so loudly.
func canMount(t *testing.T) bool {
	folder := t.TempDir()
	out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder).CombinedOutput()
	if err != nil {
		t.Logf("NOT TESTED: a full disk with the real program, which takes root to mount one: %v: %s", err, out)
		return false
	}
	if err := exec.Command("umount", folder).Run(); err != nil {
		t.Error(err)
	}
	return true
}

// disk is what happens to the file system of the database: a small one that is mounted
// for the story, filled to the last byte and emptied; or the database is taken away and
// put back.
func disk(ts *testscript.TestScript, _ bool, args []string) {
	folder := ts.MkAbs("disk")
	filler, database := filepath.Join(folder, "filler"), ts.Getenv("KEYTURN_DATABASE_URL")
	switch args[0] {
	case "is-small":
		ts.Check(os.Mkdir(folder, 0o700))
		ts.Check(exec.Command("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder).Run())
		ts.Defer(func() { exec.Command("umount", "-l", folder).Run() })
	case "fills":
		f, err := os.Create(filler)
		ts.Check(err)
		defer f.Close()
		for _, size := range []int{1 << 16, 1 << 10, 1} {
			for err = nil; err == nil; {
				_, err = f.Write(make([]byte, size))
			}
		}
		if !errors.Is(err, syscall.ENOSPC) {
			ts.Fatalf("the disk is not full: %v", err)
		}
	case "empties":
		ts.Check(os.Remove(filler))
	case "loses-it":
		ts.Check(os.Rename(database, database+".away"))
	case "has-it-again":
		ts.Check(os.Rename(database+".away", database))
	}
}
