package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestLineProgress: a plain line every five seconds, none for what ends sooner.
func TestLineProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := newProgress(&out)
		p.begin("copy", 4<<20, "")
		p.add(1 << 20)
		time.Sleep(6 * time.Second)
		p.add(2 << 20)
		time.Sleep(5 * time.Second)
		p.end()
		p.begin("audit", 0, "")
		time.Sleep(11 * time.Second)
		p.end()
		p.begin("quick", 10, "")
		p.add(10)
		p.end()
		want := "copy: 1.0 MiB of 4.0 MiB, 25 %\ncopy: 3.0 MiB of 4.0 MiB, 75 %\naudit: 5s\naudit: 10s\n"
		if out.String() != want {
			t.Errorf("said:\n%swant:\n%s", &out, want)
		}
	})
}

// TestBarProgress: the bar draws, with and without a total, and is gone in the end.
func TestBarProgress(t *testing.T) {
	for _, total := range []int64{0, 1 << 20} {
		var out bytes.Buffer
		p := &barProgress{w: &out}
		p.begin("copy", total, "")
		p.add(1 << 19)
		time.Sleep(110 * time.Millisecond) // it draws at most ten times a second
		p.add(1 << 18)
		p.end()
		if s := out.String(); !strings.Contains(s, "copy") || total > 0 && !strings.Contains(s, "75%") {
			t.Errorf("total %d: drew %q", total, s)
		}
	}
}

func TestSize(t *testing.T) {
	for bytes, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 64 << 20: "64.0 MiB", 1 << 62: "4.0 EiB"} {
		if got := size(bytes); got != want {
			t.Errorf("%d bytes: %s, want %s", bytes, got, want)
		}
	}
}
