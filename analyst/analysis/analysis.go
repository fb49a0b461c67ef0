// Package analysis holds what an analyst can do with the plaintext of an
// operation.
//
// A [Func] turns one input into one result. [Builtin] returns the analyses every
// analyst offers: "summary", "anomaly" and "trend", which read CSV (see Builtin
// for its rules) and answer with JSON. [Exec] makes a Func of any program.
//
// Funcs know nothing of coins or networks. An input that cannot be analysed is an
// [*InputError], which is an answer and is paid for; any other error means that
// the work was not done.
package analysis

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"runtime"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Func analyses body and returns the result, which the caller then owns. It must
// not keep or change body. It stops soon after ctx ends, with an error. Funcs are
// safe for concurrent use.
type Func func(ctx context.Context, body []byte) ([]byte, error)

// An InputError says why an analysis refuses its input. Text is for the person who
// made the input; it travels to them sealed. It may quote names of columns, and no
// other part of the input.
type InputError struct {
	Text string // at most maxText bytes of printable UTF-8
}

// maxText bounds the text of an InputError, in bytes.
const maxText = 512

// Error returns Text.
func (e *InputError) Error() string { return e.Text }

func refuse(format string, args ...any) error {
	return &InputError{Text: tidy(fmt.Sprintf(format, args...))}
}

// tidy cuts s to maxText bytes of printable UTF-8; line breaks stay.
func tidy(s string) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s))
	if len(s) > maxText {
		s = s[:maxText]
		for !utf8.ValidString(s) { // ends inside a rune
			s = s[:len(s)-1]
		}
	}
	return s
}

// Builtin returns the analyses of this package by name, in a new map.
//
// Their input is CSV: comma-separated (RFC 4180 quoting), the first line names the
// columns. Every row has as many fields as the header, or every row has exactly one
// more: then the first field is the row's own name, as R's write.table writes it,
// and that column is called "row". Blank lines do not count. Cells that are empty,
// NA or NaN are missing. A column is numeric when it has values and each is a finite
// decimal number; all others are text. At most 1024 columns, whose names have at
// most 256 bytes.
//
// Their results are JSON objects whose fields keep their order. A figure that does
// not exist (the deviation of one value, a sum beyond the range of a float64) is
// null.
//
// They only compute, and may take 150 times the length of their input in memory; so
// of one map no more run at a time than there are processors, and others wait.
func Builtin() map[string]Func {
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	return map[string]Func{
		"summary": onTable(slots, summary),
		"anomaly": onTable(slots, anomaly),
		"trend":   onTable(slots, trend),
	}
}

// onTable makes a Func of an analysis of a table. At most cap(slots) run at a time.
func onTable[R any](slots chan struct{}, f func(context.Context, *table) (R, error)) Func {
	return func(ctx context.Context, body []byte) ([]byte, error) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		t, err := parseTable(ctx, body)
		if err != nil {
			return nil, err
		}
		r, err := f(ctx, t)
		if err != nil {
			return nil, err
		}
		var out bytes.Buffer
		enc := json.NewEncoder(&out)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(r); err != nil {
			return nil, fmt.Errorf("analysis: encode result: %w", err)
		}
		return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
	}
}

// A number is a float64 that is null in JSON when it is not finite, since JSON has
// no NaN and no infinity.
type number float64

func (n number) MarshalJSON() ([]byte, error) {
	f := float64(n)
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return []byte("null"), nil
	}
	return json.Marshal(f)
}
