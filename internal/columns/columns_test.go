package columns

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func written(t *testing.T, x *Text) string {
	t.Helper()
	var b strings.Builder
	if err := x.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestText(t *testing.T) {
	x := New(false)
	x.Headline(Bad, "head\x1b[2J")
	x.Item("Name", strings.Repeat("word ", 20)+"\x1b[31mred")
	x.Parts("P           ", []string{strings.Repeat("a", 60) + " b;", strings.Repeat("c", 30) + " d;"})
	x.Item("Long", strings.Repeat("x", 200))
	x.Item("Empty", "")
	want := "head\ufffd[2J\n" +
		"Name        " + strings.TrimSpace(strings.Repeat("word ", 17)) + "\n" +
		"            word word word \ufffd[31mred\n" +
		"P           " + strings.Repeat("a", 60) + " b;\n" +
		"            " + strings.Repeat("c", 30) + " d;\n" +
		"Long        " + strings.Repeat("x", 88) + "\n" +
		"            " + strings.Repeat("x", 88) + "\n" +
		"            " + strings.Repeat("x", 24) + "\n" +
		"Empty\n"
	got := written(t, x)
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for line := range strings.Lines(got) {
		if utf8.RuneCountInString(line) > Width+1 {
			t.Errorf("too long: %s", line)
		}
	}
	c := New(true)
	c.Headline(Good, "well\x1b")
	c.Headline(Plain, "so so")
	if got, want := written(t, c), "\x1b[1;32mwell\ufffd\x1b[0m\nso so\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if Pad("µ", 3) != "µ  " || Pad("µµµµ", 3) != "µµ…" || Left("µ", 3) != "  µ" || Left("µµµ", 3) != " µ…" {
		t.Error("columns are wrong")
	}
}
