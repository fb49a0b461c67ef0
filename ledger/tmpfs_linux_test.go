package ledger

import (
	"fmt"
	"os"
	"syscall"
	"testing"
)

// mountTmpfs returns the folder of a disk of size bytes. It needs the right to mount
// and skips the test without, but for continuous integration.
func mountTmpfs(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", size)); err != nil {
		why := fmt.Sprintf("this test fills a small disk, and none can be mounted here (%v): run it as root", err)
		if os.Getenv("ECOIN_NO_SKIP") != "" {
			t.Fatal(why + ", and ECOIN_NO_SKIP is set")
		}
		t.Skip(why)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}
