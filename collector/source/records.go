package source

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// records cuts a stream into the records of a CSV file (RFC 4180). It accepts
// what encoding/csv accepts with its default settings, but for zero bytes and for
// carriage returns outside of quotes that end no line. It keeps every record's
// bytes as they are, quotes included; encoding/csv would take the quotes away,
// and writing them again would change which cells have them.
type records struct {
	name string // of the stream, for errors
	r    *bufio.Reader
	max  int // longest record in bytes
	line int // lines begun so far; the number of the line being read
}

// A fieldState says where in a field the next byte stands.
type fieldState uint8

const (
	atStart    fieldState = iota // before the field's first byte
	inPlain                      // inside a field without quotes
	inQuotes                     // between the quotes
	afterQuote                   // behind a quote that ends the field, or is half of a pair
)

// next appends the next record to dst, without the end of its last line, and
// returns how many fields it has and the line it starts on. Empty lines are
// skipped. At the end of the stream it returns io.EOF. Errors name stream and line.
func (s *records) next(dst []byte) (rec []byte, fields, line int, err error) {
	for {
		start := len(dst)
		s.line++
		line = s.line
		rec, fields, err = s.record(dst, line)
		if err != nil || len(rec) > start {
			return rec, fields, line, err
		}
	}
}

func (s *records) record(dst []byte, line int) (rec []byte, fields int, err error) {
	start, opened := len(dst), line
	fields = 1
	state := atStart
	for {
		b, err := s.r.ReadByte()
		if errors.Is(err, io.EOF) {
			switch {
			case state == inQuotes:
				return dst, 0, s.errorf(opened, "the quote that opens a cell on this line is never closed")
			case state == atStart && fields == 1:
				return dst, 0, io.EOF
			}
			return dst, fields, nil
		}
		if err != nil {
			return dst, 0, fmt.Errorf("source: read %s: %w", s.name, err)
		}
		if b == 0 {
			return dst, 0, s.errorf(s.line, "there is a zero byte: this is not CSV text")
		}
		if state != inQuotes {
			if b == '\n' || b == '\r' && s.endsLine() {
				return dst, fields, nil
			}
			if b == '\r' {
				return dst, 0, s.errorf(s.line, "there is a carriage return that ends no line: end lines with a newline, as tr '\\r' '\\n' does")
			}
		}
		switch {
		case b == '"' && state == atStart:
			state, opened = inQuotes, s.line
		case b == '"' && state == inQuotes:
			state = afterQuote
		case b == '"' && state == afterQuote:
			state = inQuotes
		case state == inQuotes:
			if b == '\n' {
				s.line++
			}
		case b == ',':
			state = atStart
			fields++
		case state == afterQuote:
			return dst, 0, s.errorf(s.line, "a cell goes on behind its closing quote: write a quote inside a quoted cell twice")
		case b == '"':
			return dst, 0, s.errorf(s.line, "there is a quote inside a cell without quotes: quote the whole cell and write the inner quote twice")
		default:
			state = inPlain
		}
		if dst = append(dst, b); len(dst)-start > s.max {
			if state == inQuotes {
				return dst, 0, s.errorf(opened, "the quote that opens a cell on this line is not closed within %d bytes", s.max)
			}
			return dst, 0, s.errorf(line, "the line is longer than the %d bytes one operation takes", s.max)
		}
	}
}

// endsLine reports whether a carriage return just read belongs to the end of the
// line, and if so takes the newline behind it.
func (s *records) endsLine() bool {
	next, err := s.r.Peek(1)
	if err != nil {
		return errors.Is(err, io.EOF)
	}
	if next[0] == '\n' {
		_, _ = s.r.Discard(1) // was just peeked
		return true
	}
	return false
}

func (s *records) errorf(line int, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", s.name, line, fmt.Sprintf(format, args...))
}
