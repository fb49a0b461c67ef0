package journal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func newJournal(t *testing.T) *Journal {
	j := New(filepath.Join(t.TempDir(), "journal"))
	j.now = func() time.Time { return time.Date(2026, 1, 31, 13, 0, 0, 5e8, time.FixedZone("", 3600)) }
	return j
}

func (j *Journal) must(t *testing.T, action string, fields any) {
	t.Helper()
	if err := j.Append(action, fields); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, j *Journal) []byte {
	t.Helper()
	b, err := os.ReadFile(j.path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAppend(t *testing.T) {
	j := newJournal(t)
	j.must(t, "bank started", nil)
	j.must(t, "account removed", struct {
		Account string `json:"account"`
	}{"cam <1>"})
	want := `{"seq":1,"time":"2026-01-31T12:00:00.5Z","prev":"` + strings.Repeat("0", 64) + `","action":"bank started"}
{"seq":2,"time":"2026-01-31T12:00:00.5Z","prev":"HASH","action":"account removed","account":"cam \u003c1\u003e"}
`
	var hashes []string
	n, head, err := Check(bytes.NewReader(read(t, j)), func(_ []byte, h Hash) error { hashes = append(hashes, h.String()); return nil })
	if err != nil || n != 2 || head.String() != hashes[1] {
		t.Fatalf("%d lines, head %v, %v", n, head, err)
	}
	if got := string(read(t, j)); got != strings.Replace(want, "HASH", hashes[0], 1) {
		t.Errorf("the journal is\n%s", got)
	}
	if fi, err := os.Stat(j.path); err != nil || fi.Mode() != 0o600 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
	if err := j.Append("x", []int{1}); err == nil {
		t.Error("fields that are no object")
	}
	if err := j.Append("x", map[string]string{"long": strings.Repeat("x", MaxLine)}); err == nil {
		t.Error("a line that is too long")
	}
	if n, _, err := Check(bytes.NewReader(read(t, j)), nil); n != 2 || err != nil {
		t.Errorf("what was refused left a trace: %d lines, %v", n, err)
	}
}

// TestEveryChange changes every byte, drops every line, swaps neighbours, and cuts at
// every byte: the checker sees it, but for lines missing at the end.
func TestEveryChange(t *testing.T) {
	j := newJournal(t)
	for i := range 5 {
		j.must(t, "grant", map[string]int{"amount": i})
	}
	good := read(t, j)
	check := func(b []byte) error { _, _, err := Check(bytes.NewReader(b), nil); return err }
	if err := check(good); err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(good, []byte("\n"))
	last := len(good) - len(lines[4])
	_, head, _ := Check(bytes.NewReader(good), nil)
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		_, h, err := Check(bytes.NewReader(bad), nil)
		if err == nil && (i < last || h == head) {
			t.Errorf("byte %d changed: not seen", i)
		}
		if err := check(good[:i]); (err == nil) != (i == 0 || good[i-1] == '\n') {
			t.Errorf("cut to %d bytes: %v", i, err)
		}
	}
	for i := range 4 {
		if check(bytes.Join(append(append([][]byte{}, lines[:i]...), lines[i+1:]...), nil)) == nil {
			t.Errorf("line %d dropped: not seen", i)
		}
		swapped := append([][]byte{}, lines...)
		swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
		if check(bytes.Join(swapped, nil)) == nil {
			t.Errorf("lines %d and %d swapped: not seen", i, i+1)
		}
	}
	stop := errors.New("stop")
	if n, _, err := Check(bytes.NewReader(good), func([]byte, Hash) error { return stop }); n != 1 || !errors.Is(err, stop) {
		t.Errorf("the visitor's error: %d lines, %v", n, err)
	}
}

// TestTornLine cuts the file as a crash may: the journal goes on and says so.
func TestTornLine(t *testing.T) {
	j := newJournal(t)
	j.must(t, "one", nil)
	first := len(read(t, j))
	j.must(t, "two", nil)
	whole := read(t, j)
	for cut := 1; cut < len(whole); cut++ {
		if err := os.WriteFile(j.path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		j.must(t, "three", nil)
		var actions []string
		_, _, err := Check(bytes.NewReader(read(t, j)), func(b []byte, _ Hash) error {
			e, err := parse(b)
			actions = append(actions, e.Action)
			return err
		})
		want := []string{"journal repaired", "three"}
		switch {
		case cut == first:
			want = []string{"one", "three"}
		case cut > first:
			want = []string{"one", "journal repaired", "three"}
		}
		if err != nil || fmt.Sprint(actions) != fmt.Sprint(want) {
			t.Errorf("cut to %d: %v, %v; want %v", cut, actions, err, want)
		}
	}
	for name, text := range map[string]string{
		"no JSON": "hello\n", "no number": `{"action":"x"}` + "\n", "no line": strings.Repeat("x", 3*MaxLine), "a long line": strings.Repeat("x", 3*MaxLine) + "\n",
	} {
		if err := os.WriteFile(j.path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := j.Append("x", nil); err == nil || string(read(t, j)) != text {
			t.Errorf("%s: appended to, %v", name, err)
		}
		if _, _, err := Check(strings.NewReader(text), nil); err == nil {
			t.Errorf("%s: passes", name)
		}
	}
}

// TestTogether appends from many journals of one file at once, as processes do.
func TestTogether(t *testing.T) {
	path := newJournal(t).path
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 20 {
				if err := New(path).Append("x", map[string]int{"by": i}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n, _, err := Check(f, nil); n != 160 || err != nil {
		t.Errorf("%d lines, %v", n, err)
	}
}
