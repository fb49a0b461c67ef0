// Package journal is an append-only file of what was done to a bank: one JSON object a
// line, each with the SHA-256 of the line before. Whoever changes, removes or inserts a
// line breaks the chain from there on; whoever cuts lines off at the end is found out by
// anybody who noted a later hash.
//
//	{"seq":2,"time":"2026-01-31T12:00:00.5Z","prev":"<64 hex>","action":"account removed","account":"..."}
//
// A line is written before what it tells of is done, so nothing is done that is not in
// the journal; what then failed is told by a line of its own. It holds no secrets.
package journal

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// MaxLine is the longest line in bytes, without its end.
const MaxLine = 64 << 10

// Hash is the SHA-256 of a line without its end; the zero value stands before the first.
type Hash [sha256.Size]byte

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Entry is what every line has.
type Entry struct {
	Seq    int64     `json:"seq"` // from 1
	Time   time.Time `json:"time"`
	Prev   string    `json:"prev"` // Hash of the line before
	Action string    `json:"action"`
}

// Journal appends to a file. It is safe for concurrent use, also by several processes.
type Journal struct {
	path string
	now  func() time.Time
}

// New returns the journal in a file, which the first Append makes, with mode 0600.
func New(path string) *Journal { return &Journal{path, time.Now} }

// Append writes a line and returns once it is on disk. fields, a struct or map, adds its
// members to the line's; it must not have any of Entry's. If a crash left half a line,
// that is cut off, and the next line says so.
func (j *Journal) Append(action string, fields any) (err error) {
	f, err := os.OpenFile(j.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := lock(f); err != nil { // until f is closed
		return fmt.Errorf("lock %s: %w", j.path, err)
	}
	last, end, torn, err := tail(f)
	if err != nil {
		return fmt.Errorf("%s: %w", j.path, err)
	}
	var lines []byte
	if torn > 0 {
		if lines, last, err = j.appendLine(lines, last, "journal repaired", map[string]int64{"bytes_cut_off": torn}); err != nil {
			return err
		}
	}
	if lines, _, err = j.appendLine(lines, last, action, fields); err != nil {
		return err
	}
	if torn > 0 {
		if err := f.Truncate(end); err != nil {
			return err
		}
	}
	if _, err := f.WriteAt(lines, end); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if end == 0 {
		return syncDir(j.path)
	}
	return nil
}

// line is a whole line: what its hash is, and its number.
type line struct {
	seq  int64
	hash Hash
}

// appendLine appends a line that follows last.
func (j *Journal) appendLine(dst []byte, last line, action string, fields any) ([]byte, line, error) {
	b, err := json.Marshal(Entry{Seq: last.seq + 1, Time: j.now().UTC(), Prev: last.hash.String(), Action: action})
	if err != nil {
		return dst, last, err
	}
	more, err := json.Marshal(fields)
	if err != nil {
		return dst, last, err
	}
	if string(more) != "null" && string(more) != "{}" {
		if more[0] != '{' {
			return dst, last, errors.New("journal: fields are no object")
		}
		b = append(append(b[:len(b)-1], ','), more[1:]...)
	}
	if len(b) > MaxLine {
		return dst, last, fmt.Errorf("journal: a line of %d bytes, at most %d are possible", len(b), MaxLine)
	}
	return append(append(dst, b...), '\n'), line{last.seq + 1, sha256.Sum256(b)}, nil
}

// tail returns the last whole line of f, where it ends, and how many bytes follow.
func tail(f *os.File) (last line, end, torn int64, err error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return last, 0, 0, err
	}
	from := max(size-2*(MaxLine+1), 0)
	b := make([]byte, size-from)
	if _, err := f.ReadAt(b, from); err != nil {
		return last, 0, 0, err
	}
	stop := bytes.LastIndexByte(b, '\n')
	if stop < 0 {
		if from > 0 || size > MaxLine {
			return last, 0, 0, errors.New("this is no journal: there is no line in its end")
		}
		return last, 0, size, nil // a first line that was never whole
	}
	end = from + int64(stop) + 1
	text := b[bytes.LastIndexByte(b[:stop], '\n')+1 : stop]
	e, err := parse(text)
	if err != nil {
		return last, 0, 0, fmt.Errorf("its last line: %w", err)
	}
	return line{e.Seq, sha256.Sum256(text)}, end, size - end, nil
}

func parse(text []byte) (e Entry, err error) {
	if err := json.Unmarshal(text, &e); err != nil {
		return e, fmt.Errorf("not a line of a journal: %w", err)
	}
	if e.Seq < 1 || e.Action == "" {
		return e, errors.New("not a line of a journal: no number or no action")
	}
	return e, nil
}

// Check reads a journal and calls visit with each line, which is valid during the call.
// It returns the number of lines and the hash of the last. Errors name the line at which
// the chain is broken; half a line at the end is one. visit may be nil.
func Check(r io.Reader, visit func(text []byte, hash Hash) error) (lines int64, head Hash, err error) {
	in := bufio.NewReaderSize(r, MaxLine+1)
	for {
		text, err := in.ReadSlice('\n')
		n := lines + 1
		switch {
		case err == io.EOF && len(text) == 0:
			return lines, head, nil
		case err == io.EOF:
			return lines, head, fmt.Errorf("line %d is cut off", n)
		case errors.Is(err, bufio.ErrBufferFull):
			return lines, head, fmt.Errorf("line %d is longer than a line can be", n)
		case err != nil:
			return lines, head, err
		}
		text = text[:len(text)-1]
		e, err := parse(text)
		switch {
		case err != nil:
			return lines, head, fmt.Errorf("line %d: %w", n, err)
		case e.Seq != n:
			return lines, head, fmt.Errorf("line %d has the number %d: lines are missing or were inserted before it", n, e.Seq)
		case e.Prev != head.String():
			return lines, head, fmt.Errorf("line %d does not follow from the line before: one of the two was changed", n)
		}
		lines, head = n, sha256.Sum256(text)
		if visit != nil {
			if err := visit(text, head); err != nil {
				return lines, head, err
			}
		}
	}
}
