package core

import (
	"errors"
	"strings"
	"testing"
)

func TestValidName(t *testing.T) {
	for _, good := range []string{"a", "0", "summary", "trend-7.2_x", "a" + strings.Repeat(".", 63), strings.Repeat("z", 64)} {
		if !ValidName(good) {
			t.Errorf("%q is refused", good)
		}
	}
	for _, bad := range []string{"", ".", "-a", "_a", "A", "aB", "a b", "a/b", "a\x00", "é", "a\n", strings.Repeat("z", 65), "../etc"} {
		if ValidName(bad) {
			t.Errorf("%q is allowed", bad)
		}
		dst, array := dstWithRoom(128)
		got, err := AppendOperation(dst, bad, nil)
		if !errors.Is(err, ErrFormat) {
			t.Errorf("AppendOperation(%q): %v", bad, err)
		}
		mustBeUntouched(t, bad, got, array)
		if name, body, err := CutOperation(append([]byte{byte(len(bad))}, bad...)); name != nil || body != nil || !errors.Is(err, ErrFormat) {
			t.Errorf("CutOperation of name %q: %v", bad, err)
		}
	}
}

func TestOperation(t *testing.T) {
	for _, body := range []string{"", "x", strings.Repeat("reading ", 1000)} {
		b, err := AppendOperation([]byte("head"), "summary", []byte(body))
		if err != nil || string(b) != "head\x07summary"+body {
			t.Fatalf("%d bytes of body: %v", len(body), err)
		}
		name, got, err := CutOperation(b[4:])
		if err != nil || string(name) != "summary" || string(got) != body {
			t.Errorf("%d bytes of body come back as %q, %d bytes, %v", len(body), name, len(got), err)
		}
		if cap(name) != len(name) {
			t.Error("an append to name would write over body")
		}
	}
	for _, bad := range []string{"", "\x00", "\x00body", "\x01", "\x08summary", "\xffsummary"} {
		if name, body, err := CutOperation([]byte(bad)); name != nil || body != nil || !errors.Is(err, ErrFormat) {
			t.Errorf("CutOperation(%q): %v", bad, err)
		}
	}
}

// TestPlaintextStaysOutOfErrors: what a collector sealed does not reach a log.
func TestPlaintextStaysOutOfErrors(t *testing.T) {
	for _, b := range []string{"\x09SECRETdat", "\x50SECRETdata", "SECRETdata"} {
		_, _, err := CutOperation([]byte(b))
		_, _, err2 := CutResult([]byte(b[1:]))
		if err == nil || err2 == nil || strings.Contains(err.Error()+err2.Error(), "SECRET") {
			t.Errorf("%q: errors %v; %v", b, err, err2)
		}
	}
	_, _, err := CutResult([]byte("\x53x")) // S is 83
	if err == nil || strings.Contains(err.Error(), "83") || strings.Contains(err.Error(), "53") {
		t.Errorf("the error shows the first byte: %v", err)
	}
}

func TestResult(t *testing.T) {
	for _, st := range []ReplyStatus{ReplyOK, ReplyRefused} {
		b := AppendResult([]byte("head"), st, []byte("body"))
		if string(b) != "head"+string(rune(st))+"body" {
			t.Errorf("status %d: %q", st, b)
		}
		if got, body, err := CutResult(b[4:]); err != nil || got != st || string(body) != "body" {
			t.Errorf("status %d comes back as %d, %q, %v", st, got, body, err)
		}
	}
	for _, bad := range []string{"", "\x02", "\xffbody"} {
		if st, body, err := CutResult([]byte(bad)); st != 0 || body != nil || !errors.Is(err, ErrFormat) {
			t.Errorf("CutResult(%q): %v", bad, err)
		}
	}
	mustPanic(t, "status 2", "unknown reply status 2", func() { AppendResult(nil, 2, nil) })
}
