// Package source gives a collector its readings: CSV in batches, each of which
// becomes the input of one operation.
//
// [OpenCSV] cuts a file into batches without changing a cell; [NewHost] samples
// the machine it runs on. Both have a Next method that returns the next [Batch]
// and, at the end, io.EOF. Neither holds more than one batch in memory. A source is
// for one goroutine at a time.
package source

// defaultMaxBytes is the longest batch unless an option says otherwise, in bytes. A
// director takes requests of up to 1 MiB by default; the rest is for the envelope.
const defaultMaxBytes = 1<<20 - 1<<10

// A Batch is the input of one operation: CSV whose first line is a header. The
// receiver owns it.
type Batch struct {
	Name string // for people: where the readings come from
	CSV  []byte // header and rows, each ended by a newline
	Rows int    // number of rows, without the header; at least 1
}
