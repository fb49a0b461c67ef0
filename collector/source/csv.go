package source

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// CSVOptions configure [OpenCSV]. The zero value makes the whole file one batch.
type CSVOptions struct {
	Rows     int // most rows in a batch; 0 means the whole file in one
	MaxBytes int // longest batch in bytes, header included; 0 means 1 MiB less 1 KiB
}

// A CSV is a CSV file cut into batches of rows, each with the file's header.
//
// Cells are passed on as they are: quotes, empty cells, and a first cell without
// a name in the header, as R's write.table makes one for the row names. Empty lines
// are left out, lines end with a newline alone, and a UTF-8 byte order mark is
// dropped. A row of any other length than the header's (or one more, then in
// every row) is an error that names file and line.
//
// With Rows set, a batch that would outgrow MaxBytes ends early. Without, a file
// that does not fit is an error, because half of it would give other results.
type CSV struct {
	o     CSVOptions
	file  io.Closer
	rec   records
	base  string // file name without folders
	head  []byte // header line with its newline
	names int    // columns named by the header
	width int    // fields of every row

	row     []byte // the next row with its newline
	rowLine int    // where it stands
	rows    int    // rows given out so far
	err     error  // what Next returns once row is used up
}

// OpenCSV opens the file at path and reads its header and first row, so that a
// file that cannot be used is found here: a missing, empty or header-only one, or
// one that is not CSV. The caller closes the result.
func OpenCSV(path string, o CSVOptions) (*CSV, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("source: %w", err)
	}
	c, err := newCSV(path, f, o)
	if err != nil {
		_ = f.Close() // only read from
		return nil, err
	}
	c.file = f
	return c, nil
}

func newCSV(name string, r io.Reader, o CSVOptions) (*CSV, error) {
	if o.Rows < 0 || o.MaxBytes < 0 {
		return nil, fmt.Errorf("source: %d rows and %d bytes per batch: neither may be negative", o.Rows, o.MaxBytes)
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultMaxBytes
	}
	c := &CSV{
		o:    o,
		base: filepath.Base(name),
		rec:  records{name: name, r: bufio.NewReaderSize(r, 64<<10), max: o.MaxBytes},
	}
	if err := c.readHeader(); err != nil {
		return nil, err
	}
	c.readRow()
	if errors.Is(c.err, io.EOF) {
		return nil, fmt.Errorf("%s: there is a header and no row below it", name)
	}
	if c.err != nil {
		return nil, c.err
	}
	return c, nil
}

func (c *CSV) readHeader() error {
	mark, err := c.rec.r.Peek(3)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("source: read %s: %w", c.rec.name, err)
	}
	switch {
	case bytes.Equal(mark, []byte("\xef\xbb\xbf")):
		_, _ = c.rec.r.Discard(len(mark)) // was just peeked
	case bytes.HasPrefix(mark, []byte("\xff\xfe")), bytes.HasPrefix(mark, []byte("\xfe\xff")):
		return fmt.Errorf("%s: the file is UTF-16: convert it with iconv -f UTF-16 -t UTF-8", c.rec.name)
	}
	head, names, _, err := c.rec.next(nil)
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: the file is empty: its first line must name the columns", c.rec.name)
	}
	if err != nil {
		return err
	}
	c.head, c.names = append(head, '\n'), names
	return nil
}

// readRow fetches the next row into c.row, or sets c.err.
func (c *CSV) readRow() {
	row, fields, line, err := c.rec.next(c.row[:0])
	c.row = row[:0]
	if err != nil {
		c.err = err
		return
	}
	switch {
	case c.width == 0 && (fields == c.names || fields == c.names+1):
		c.width = fields
	case c.width == 0:
		c.err = c.rec.errorf(line, "the row has %d fields and the header %d; an empty cell still needs its comma", fields, c.names)
		return
	case fields != c.width:
		c.err = c.rec.errorf(line, "the row has %d fields and the rows above it %d; an empty cell still needs its comma", fields, c.width)
		return
	}
	if n := len(c.head) + len(row) + 1; n > c.o.MaxBytes {
		c.err = c.rec.errorf(line, "header and row make %d bytes, one operation takes %d", n, c.o.MaxBytes)
		return
	}
	c.row, c.rowLine = append(row, '\n'), line
}

// Next returns the next batch, or io.EOF after the last. Any other error is
// final, and the same from then on; the batches before it were complete.
func (c *CSV) Next(ctx context.Context) (Batch, error) {
	if err := ctx.Err(); err != nil {
		return Batch{}, err
	}
	if c.err != nil {
		return Batch{}, c.err
	}
	csv, n := bytes.Clone(c.head), 0
	for c.err == nil && (c.o.Rows == 0 || n < c.o.Rows) {
		if len(csv)+len(c.row) > c.o.MaxBytes {
			if c.o.Rows > 0 {
				break
			}
			c.err = c.rec.errorf(c.rowLine, "the file up to here is all that fits into one operation (%d bytes): set a number of rows per batch", c.o.MaxBytes)
			break
		}
		csv = append(csv, c.row...)
		n++
		c.readRow()
	}
	if c.o.Rows == 0 && !errors.Is(c.err, io.EOF) {
		return Batch{}, c.err // a whole file is whole or nothing
	}
	first := c.rows + 1
	c.rows += n
	return Batch{Name: fmt.Sprintf("%s rows %d-%d", c.base, first, c.rows), CSV: csv, Rows: n}, nil
}

// Close closes the file.
func (c *CSV) Close() error {
	if c.err == nil {
		c.err = fmt.Errorf("source: %s is closed", c.rec.name)
	}
	if c.file == nil {
		return nil
	}
	if err := c.file.Close(); err != nil {
		return fmt.Errorf("source: close: %w", err)
	}
	return nil
}
