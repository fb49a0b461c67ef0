// Package benchtest is what the tests of the comparison share.
package benchtest

import (
	"errors"
	"os"
	"testing"
)

// Need skips a test when one of errs says what is not installed, or fails it where
// ECOIN_NO_SKIP is set.
func Need(t *testing.T, errs ...error) {
	t.Helper()
	err := errors.Join(errs...)
	if err == nil {
		return
	}
	if os.Getenv("ECOIN_NO_SKIP") != "" {
		t.Fatalf("ECOIN_NO_SKIP is set: %v", err)
	}
	t.Skip(err)
}

// Folder is one that other users may pass, which those of t.TempDir are not.
func Folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ecoin-bench-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}
