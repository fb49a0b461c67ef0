package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTwoDisks runs a bank on two disks, kills it, backs it up while it runs and while
// it does not, restores it, and gives it the wrong folders.
func TestTwoDisks(t *testing.T) {
	t.Parallel() // processes start and end most of the time
	for name, memory := range map[string]string{"index": "1048576", "plain": "0"} {
		t.Run(name, func(t *testing.T) { testTwoDisks(t, memory) })
	}
}

func testTwoDisks(t *testing.T, memory string) {
	disk := filepath.Join(t.TempDir(), "second")
	b := newBank(t, "--disk", disk, "--index-memory", memory)
	c := b.newClient("cam", "collector", 1000)
	ctx := context.Background()
	old, err := c.Withdraw(ctx, [16]byte{1}, 300)
	if err != nil {
		t.Fatal(err)
	}
	if n := refundAll(t, c, old[:100]); n != 100 {
		t.Fatalf("%d refunds", n)
	}
	ledger := filepath.Join(b.dir, "ledger")
	if out := mustEcoin(t, "ledger", "stats", "--dir", b.dir); !regexp.MustCompile(`\nfree: [1-9]\S* \wi?B on the disk of ` +
		regexp.QuoteMeta(ledger) + `\nfree: [1-9]\S* \wi?B on the disk of ` + regexp.QuoteMeta(disk) + `\n`).MatchString(out) {
		t.Errorf("ledger stats of two disks:\n%s", out)
	}
	b.kill()
	b.start()
	if n := refundAll(t, c, old[:150]); n != 150 { // a repeat is told the same
		t.Fatalf("%d refunds after the kill", n)
	}
	store := t.TempDir()
	path := func(name string) string { return filepath.Join(store, name) }
	mustEcoin(t, "ledger", "backup", "--copy", path("online"), "--dir", b.dir)
	mustEcoin(t, "ledger", "backup", path("linked"), "--dir", b.dir)
	if n := refundAll(t, c, old[150:200]); n != 50 {
		t.Fatalf("%d refunds", n)
	}
	b.terminate()
	mustEcoin(t, "ledger", "backup", "--copy", path("offline"), "--dir", b.dir, "--disk", disk)

	fails := func(what, says string, args ...string) {
		t.Helper()
		code, out, stderr := ecoin(t, args...)
		if code == 0 || !strings.Contains(out+stderr, says) {
			t.Errorf("%s: exit code %d, no %q:\n%s%s", what, code, says, out, stderr)
		}
	}
	for folder, live := range map[string]string{"online": "live 150", "linked": "live 150", "offline": "live 100"} {
		if out := mustEcoin(t, "ledger", "verify", path(folder), "--dir", b.dir); !strings.HasSuffix(out, "\nok\n") || !strings.Contains(out, live) {
			t.Errorf("verify %s:\n%s", folder, out)
		}
	}
	if out := mustEcoin(t, "ledger", "verify", "--dir", b.dir, "--disk", disk); !strings.HasSuffix(out, "\nok\n") || !strings.Contains(out, "live 100") {
		t.Errorf("verify of both disks:\n%s", out)
	}
	if memory != "0" { // of which this does not depend
		testWrongDisks(t, b, disk, fails, path)
	}

	// Restore over what is there, and to nothing.
	out := mustEcoin(t, "ledger", "restore", path("online"), "--dir", b.dir, "--disk", disk, "--move-aside")
	if strings.Count(out, "is kept as") != 2 || !strings.Contains(out, "150 live coins") || !strings.Contains(out, "--disk "+disk) {
		t.Errorf("restore says:\n%s", out)
	}
	b.start()
	if n := refundAll(t, c, old[150:]); n != 150 {
		t.Errorf("%d of 150 coins are live in the restored ledger", n)
	}
	if out := mustEcoin(t, "audit", "--dir", b.dir); !strings.HasSuffix(out, "ok\n") {
		t.Errorf("audit of the restored ledger:\n%s", out)
	}
	b.terminate()
	for _, d := range []string{ledger, disk} {
		if err := os.RemoveAll(d); err != nil {
			t.Fatal(err)
		}
	}
	mustEcoin(t, "ledger", "restore", path("linked"), "--dir", b.dir, "--disk", disk)
	b.start()
	if n := refundAll(t, c, old[200:]); n != 100 {
		t.Errorf("%d of 100 coins are live in the ledger of the linked backup", n)
	}
}

// testWrongDisks gives the commands the wrong folders: nothing is done, and what is there
// is not touched.
func testWrongDisks(t *testing.T, b *testBank, disk string, fails func(what, says string, args ...string), path func(string) string) {
	t.Helper()
	ledger := filepath.Join(b.dir, "ledger")
	audit := mustEcoin(t, "audit", "--dir", b.dir, "--disk", disk)
	other := filepath.Join(t.TempDir(), "other")
	fails("one disk missing", "on 2 disks, not 1", "audit", "--dir", b.dir)
	fails("one disk too many", "on 2 disks, not 3", "audit", "--dir", b.dir, "--disk", disk, "--disk", other)
	fails("another disk", "is its disk mounted?", "audit", "--dir", b.dir, "--disk", other)
	fails("the same disk twice", "are the same folder", "audit", "--dir", b.dir, "--disk", ledger)
	fails("verify of one disk", "on 2 disks, not 1", "ledger", "verify", "--dir", b.dir)
	fails("backup of one disk", "on 2 disks, not 1", "ledger", "backup", "--copy", path("half"), "--dir", b.dir)
	fails("restore to one disk", "on 2 disks, and 1 are named", "ledger", "restore", path("online"), "--dir", b.dir, "--move-aside")
	fails("restore to three", "on 2 disks, and 3 are named", "ledger", "restore", path("online"), "--dir", b.dir, "--move-aside", "--disk", disk, "--disk", other)
	fails("restore over a disk", "--move-aside", "ledger", "restore", path("online"), "--dir", b.dir, "--disk", disk)
	if _, err := os.Stat(other); !os.IsNotExist(err) {
		t.Errorf("%s was made", other)
	}
	if again := mustEcoin(t, "audit", "--dir", b.dir, "--disk", disk); again != audit {
		t.Errorf("audit was\n%s and is\n%s", audit, again)
	}
	// The disks of another ledger, and in the wrong order.
	second := newBank(t, "--disk", other)
	second.terminate()
	fails("a disk of another bank", "belongs to another ledger", "audit", "--dir", b.dir, "--disk", other)
	for _, names := range [][2]string{{ledger, "aside"}, {disk, ledger}, {"aside", disk}} {
		from, to := names[0], names[1]
		if from == "aside" {
			from = path(from)
		}
		if to == "aside" {
			to = path(to)
		}
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	fails("swapped disks", "not in the order", "audit", "--dir", b.dir, "--disk", disk)
}
