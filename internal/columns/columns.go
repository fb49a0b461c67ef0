// Package columns lays out text for a terminal: names with their values beside them,
// at most [Width] columns wide, in colour where the caller says so. Start with [New].
package columns

import (
	"io"
	"strings"
	"unicode/utf8"

	"ecoin/internal/figure"
)

// Width is how wide text is at most, in columns. Names have the first of them.
const (
	Width = 100
	Names = 12
)

// Level is how good something is. Its text is a colour's name.
type Level string

// The levels, and Plain for what is neither good nor bad.
const (
	Plain    Level = "ink"
	Good     Level = "good"
	Doubtful Level = "warn"
	Bad      Level = "bad"
)

// Text is what was laid out so far.
type Text struct {
	b      strings.Builder
	colour bool
}

// New returns an empty text.
func New(colour bool) *Text { return &Text{colour: colour} }

// Write writes the text to w.
func (t *Text) Write(w io.Writer) error {
	_, err := io.WriteString(w, t.b.String())
	return err
}

// Line writes a line as it is.
func (t *Text) Line(s string) { t.b.WriteString(strings.TrimRight(s, " ") + "\n") }

// Headline writes a line in the colour of its level.
func (t *Text) Headline(l Level, s string) {
	s = figure.Printable(s)
	colour := map[Level]string{Good: "\x1b[1;32m", Doubtful: "\x1b[1;33m", Bad: "\x1b[1;31m"}[l]
	if t.colour && colour != "" {
		s = colour + s + "\x1b[0m"
	}
	t.Line(s)
}

// Item writes the words of a value beside its name. They hold nothing that a terminal obeys.
func (t *Text) Item(name, value string) { t.Wrap(Pad(name, Names), value) }

// Wrap writes the words of s behind first, and further lines below its first word.
func (t *Text) Wrap(first, s string) { t.Parts(first, strings.Fields(figure.Printable(s))) }

// Parts is Wrap for parts of several words that stay in one line where they can.
func (t *Text) Parts(first string, parts []string) {
	first = figure.Printable(first)
	column := utf8.RuneCountInString(first)
	line, have := first, column
	for len(parts) > 0 {
		part := figure.Printable(parts[0])
		n, blank := utf8.RuneCountInString(part), 0
		if have > column {
			blank = 1
		}
		switch words := strings.Fields(part); {
		case have+blank+n <= Width:
			line, have = line+strings.Repeat(" ", blank)+part, have+blank+n
			parts = parts[1:]
			continue
		case column+n <= Width: // fits into the next line
		case len(words) > 1:
			parts = append(words, parts[1:]...)
			continue
		case have == column: // a word longer than a line
			cut := []rune(part)
			line += string(cut[:Width-column])
			parts = append([]string{string(cut[Width-column:])}, parts[1:]...)
		}
		t.Line(line)
		line, have = strings.Repeat(" ", column), column
	}
	t.Line(line)
}

// Pad fills s with blanks up to n columns. What is too long ends with an ellipsis.
func Pad(s string, n int) string {
	s = cut(s, n)
	return s + strings.Repeat(" ", n-utf8.RuneCountInString(s))
}

// Left puts s at the right end of n columns, behind at least one blank. What is too long
// ends with an ellipsis.
func Left(s string, n int) string {
	s = cut(s, n-1)
	return strings.Repeat(" ", n-utf8.RuneCountInString(s)) + s
}

func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}
