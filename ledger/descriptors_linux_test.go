package ledger

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// TestFailedOpenClosesFiles: a start that fails at the log, on the first disk or the second,
// leaves no file open.
func TestFailedOpenClosesFiles(t *testing.T) {
	for _, bad := range []string{"one", "two"} {
		dir := t.TempDir()
		o := testOptions(errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind == errorfs.OpFileWrite && strings.HasSuffix(op.Path, logSuffix) && strings.Contains(op.Path, "/"+bad+"/") {
				return errorfs.ErrInjected
			}
			return nil
		})))
		o.IndexBytes, o.Disks = 1<<20, []string{filepath.Join(dir, "two")}
		if _, err := Open(filepath.Join(dir, "one"), o); err == nil || !strings.Contains(err.Error(), "begin a log") {
			t.Fatalf("Open: %v, want a failure at the log of %s", err, bad)
		}
		open, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range open {
			if to, _ := os.Readlink("/proc/self/fd/" + fd.Name()); strings.HasPrefix(to, dir) {
				t.Errorf("the log of %s failed, and %s is left open", bad, to)
			}
		}
	}
}
