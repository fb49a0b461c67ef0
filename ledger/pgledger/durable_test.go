package pgledger

import (
	"strings"
	"testing"

	"ecoin/internal/pgtest"
)

// A primary that does not wait for its standbys is refused: one that takes over could
// revive coins.
func TestStandbysNotWaitedFor(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Start(t, pgtest.Options{Settings: map[string]string{
		"synchronous_standby_names": "somebody", "synchronous_commit": "local",
	}}).NewDatabase(t)
	if _, err := Open(t.Context(), dsn, Options{Mint: testMint}); err == nil || !strings.Contains(err.Error(), "synchronous_commit = local") {
		t.Errorf("open: %v", err)
	}
	l, err := Open(t.Context(), dsn, Options{Mint: testMint, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
