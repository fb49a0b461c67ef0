package ledger

import (
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"ecoin/core"
)

// slowRemoveFS waits with every removal until it is let go on.
type slowRemoveFS struct {
	vfs.FS
	removing chan string   // told what is to be removed
	goOn     chan struct{} // closed to let it happen
}

func (f *slowRemoveFS) Remove(name string) error {
	f.removing <- name
	<-f.goOn
	return f.FS.Remove(name)
}

// TestWritesDoNotWaitForRemovals: while the file system removes old files, which takes
// it long, batches become durable, and no file changes its name that is younger than
// one that may still be there.
func TestWritesDoNotWaitForRemovals(t *testing.T) {
	t.Parallel()
	fs := &slowRemoveFS{vfs.NewMem(), make(chan string, 100), make(chan struct{})}
	if err := fs.MkdirAll("redo", 0o700); err != nil {
		t.Fatal(err)
	}
	o := testOptions(fs)
	var loops, removal sync.WaitGroup
	l, err := openCommitLog(fs, "redo", 8<<10, logEnd{}, &storeLog{logger: o.Logger, fatal: o.Fatal}, func([]byte) {}, &loops)
	if err != nil {
		t.Fatal(err)
	}
	commit := uint64(0)
	write := func(groups int) {
		for range groups {
			commit++
			l.append(0, commit, make([]byte, 3000), flight{})
			l.settle()
		}
	}
	write(filesSpared + 5) // a file each
	removal.Go(func() {
		if err := l.flushed(0, commit-1); err != nil {
			t.Error(err)
		}
	})
	first := <-fs.removing
	before, err := listLog(fs, "redo")
	if err != nil {
		t.Fatal(err)
	}
	write(3) // would hang
	after, err := listLog(fs, "redo")
	if err != nil || len(after) != len(before)+3 || after[0] != before[0] || after[1] != before[1] {
		t.Errorf("files %v, then %v: %v", before, after, err)
	}
	close(fs.goOn)
	removal.Wait()
	if first != "redo/"+logFileName(before[0]) {
		t.Errorf("%s was removed first, of %v", first, before)
	}
	write(1)
	last, err := listLog(fs, "redo")
	if err != nil {
		t.Fatal(err)
	}
	if len(last) != filesSpared+4 { // one of the spared ones was used again
		t.Errorf("files %v at the end", last)
	}
	for i := 1; i < len(last); i++ {
		if last[i] != last[i-1]+1 {
			t.Errorf("a gap in %v", last)
		}
	}
	l.stop()
	loops.Wait()
	if err := l.file.Close(); err != nil {
		t.Error(err)
	}
	end, err := readLog(fs, "redo", func(uint8, uint64, []byte) error { return nil })
	if err != nil || end.group != commit {
		t.Errorf("the log ends with group %d of %d: %v", end.group, commit, err)
	}
}

// TestLogWithoutPreallocation: a disk that has no room for a whole file of the log, or cannot
// make it beforehand, is no reason to stop, or not to start.
func TestLogWithoutPreallocation(t *testing.T) {
	t.Parallel()
	refused := 0
	o := testOptions(errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFilePreallocate && strings.HasSuffix(op.Path, logSuffix) {
			refused++
			return syscall.ENOSPC
		}
		return nil
	})))
	o.IndexBytes, o.logSegment = 1<<20, 16<<10
	l := open(t, "ledger", o)
	acc := addAccount(t, l, 1000)
	for fps := range slices.Chunk(withdraw(t, l, acc, 1000), 20) {
		mustRedeem(t, l, acc, fps, core.Digest{1}, core.StatusOK)
	}
	mustAudit(t, l)
	closeLedger(t, l)
	if refused < 3 {
		t.Errorf("%d files of the log were begun", refused)
	}
}
