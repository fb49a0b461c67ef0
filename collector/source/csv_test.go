package source

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// batches reads all batches of text, up to the first error.
func batches(text string, o CSVOptions) ([]Batch, error) {
	c, err := newCSV("room.csv", strings.NewReader(text), o)
	if err != nil {
		return nil, err
	}
	var all []Batch
	for {
		b, err := c.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, b)
	}
}

func TestCSVBatches(t *testing.T) {
	tests := []struct {
		name, text string
		o          CSVOptions
		want       []string
	}{
		{"whole file", "a,b\n1,2\n3,4\n", CSVOptions{}, []string{"a,b\n1,2\n3,4\n"}},
		{"two by two", "a\n1\n2\n3\n", CSVOptions{Rows: 2}, []string{"a\n1\n2\n", "a\n3\n"}},
		{"exactly full", "a\n1\n2\n", CSVOptions{Rows: 2}, []string{"a\n1\n2\n"}},
		{"no last newline", "a\n1", CSVOptions{}, []string{"a\n1\n"}},
		{"windows lines", "a,b\r\n1,2\r\n", CSVOptions{}, []string{"a,b\n1,2\n"}},
		{"empty lines", "\n\na\n\r\n1\n\n2\n\n", CSVOptions{Rows: 1}, []string{"a\n1\n", "a\n2\n"}},
		{"byte order mark", "\xef\xbb\xbfa\n1\n", CSVOptions{}, []string{"a\n1\n"}},
		{"quotes kept", "\"a\",b\n\"x,\"\"y\"\"\",\"2\"\n", CSVOptions{}, []string{"\"a\",b\n\"x,\"\"y\"\"\",\"2\"\n"}},
		{"newline in a cell", "a,b\n\"1\r\n2\",3\n4,5\n", CSVOptions{Rows: 1}, []string{"a,b\n\"1\r\n2\",3\n", "a,b\n4,5\n"}},
		{"row names", "a,b\n\"r1\",1,2\n\"r2\",3,4\n", CSVOptions{}, []string{"a,b\n\"r1\",1,2\n\"r2\",3,4\n"}},
		{"missing cells", "a,b\n,2\n1,\n,\n", CSVOptions{}, []string{"a,b\n,2\n1,\n,\n"}},
		{"split by size", "a\n111\n222\n333\n", CSVOptions{Rows: 9, MaxBytes: 10}, []string{"a\n111\n222\n", "a\n333\n"}},
		{"latin-1", "a\n\xe9\n", CSVOptions{}, []string{"a\n\xe9\n"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all, err := batches(tt.text, tt.o)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, b := range all {
				got = append(got, string(b.CSV))
				if records, err := csv.NewReader(bytes.NewReader(b.CSV)).ReadAll(); errors.Is(err, csv.ErrFieldCount) {
					// row names
				} else if err != nil || len(records) != b.Rows+1 {
					t.Errorf("encoding/csv finds %d records (%v), want %d rows and a header", len(records), err, b.Rows)
				}
			}
			if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestCSVErrorsNamePlaceAndRemedy(t *testing.T) {
	tests := []struct {
		name, text string
		o          CSVOptions
		whole      int // batches given before the error
		want       string
	}{
		{"empty", "", CSVOptions{}, 0, "room.csv: the file is empty"},
		{"empty lines alone", "\n\r\n\n", CSVOptions{}, 0, "room.csv: the file is empty"},
		{"mark alone", "\xef\xbb\xbf", CSVOptions{}, 0, "room.csv: the file is empty"},
		{"header alone", "a,b\n", CSVOptions{}, 0, "room.csv: there is a header and no row"},
		{"utf-16", "\xff\xfea\x00\n\x00", CSVOptions{}, 0, "iconv -f UTF-16"},
		{"zero byte", "a\n1\n\x00\n", CSVOptions{}, 0, "room.csv:3: there is a zero byte"},
		{"first row short", "a,b,c\n1,2\n", CSVOptions{}, 0, "room.csv:2: the row has 2 fields and the header 3"},
		{"first row long", "a\n1,2,3\n", CSVOptions{}, 0, "room.csv:2: the row has 3 fields and the header 1"},
		{"later row short", "a,b\n1,2\n\n3\n", CSVOptions{Rows: 1}, 1, "room.csv:4: the row has 1 fields and the rows above it 2"},
		{"row name just once", "a,b\n1,2\nx,3,4\n", CSVOptions{Rows: 1}, 1, "room.csv:3: the row has 3 fields"},
		{"row name but once", "a,b\nx,1,2\n3,4\n", CSVOptions{}, 0, "room.csv:3: the row has 2 fields"},
		{"line counted in cells", "a,b\n\"1\n\n\",2\n3\n", CSVOptions{Rows: 1}, 1, "room.csv:5: the row has 1 fields"},
		{"open quote", "a\n1\n\"2\n3\n", CSVOptions{Rows: 1}, 1, "room.csv:3: the quote that opens"},
		{"open quote, long", "a\n\"234567890\n", CSVOptions{MaxBytes: 8}, 0, "room.csv:2: the quote that opens"},
		{"quote in a cell", "a\n1\"2\n", CSVOptions{}, 0, "room.csv:2: there is a quote inside"},
		{"text behind a quote", "a\n\"1\"2\n", CSVOptions{}, 0, "room.csv:2: a cell goes on"},
		{"return behind a quote", "a\n\"1\"\rx\n", CSVOptions{}, 0, "room.csv:2: there is a carriage return"},
		{"old Macintosh lines", "a,b\r1,2\r3,4\r", CSVOptions{}, 0, "room.csv:1: there is a carriage return"},
		{"long line", "a\n1234567890\n", CSVOptions{MaxBytes: 8}, 0, "room.csv:2: the line is longer than the 8 bytes"},
		{"long with header", "abcde\n12345\n", CSVOptions{MaxBytes: 8}, 0, "room.csv:2: header and row make 12 bytes"},
		{"file too big", "a\n1\n2\n3\n", CSVOptions{MaxBytes: 6}, 0, "room.csv:4: the file up to here is all that fits"},
		{"negative rows", "a\n1\n", CSVOptions{Rows: -1}, 0, "-1 rows"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all, err := batches(tt.text, tt.o)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one that holds %q", err, tt.want)
			}
			if len(all) != tt.whole {
				t.Errorf("%d batches before the error, want %d", len(all), tt.whole)
			}
		})
	}
}

func TestCSVErrorStays(t *testing.T) {
	c, err := newCSV("room.csv", strings.NewReader("a,b\n1,2\n3\n4,5\n"), CSVOptions{Rows: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if _, err := c.Next(ctx); err != nil {
		t.Fatal(err)
	}
	_, first := c.Next(ctx)
	_, second := c.Next(ctx)
	if first == nil || first != second {
		t.Errorf("errors %v, then %v: want the same one twice", first, second)
	}
}

func TestOpenCSV(t *testing.T) {
	path := filepath.Join(t.TempDir(), "room.csv")
	if _, err := OpenCSV(path, CSVOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := OpenCSV(t.TempDir(), CSVOptions{}); err == nil || !strings.Contains(err.Error(), "directory") {
		t.Errorf("a folder: %v", err)
	}
	if err := os.WriteFile(path, []byte("a\n1\n2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := OpenCSV(path, CSVOptions{Rows: 1})
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.Next(context.Background())
	if err != nil || b.Name != "room.csv rows 1-1" || b.Rows != 1 {
		t.Errorf("batch %+v, %v", b, err)
	}
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := c.Next(canceled); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Next(context.Background()); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("after Close: %v", err)
	}
}

// endless is a CSV file of n bytes that exists only while it is read.
type endless struct{ n int }

func (e *endless) Read(b []byte) (int, error) {
	const row = "1,2,3\n"
	if e.n <= 0 {
		return 0, io.EOF
	}
	n := 0
	for n+len(row) <= len(b) {
		n += copy(b[n:], row)
	}
	e.n -= n
	return n, nil
}

func TestCSVMemoryIsBounded(t *testing.T) {
	c, err := newCSV("big.csv", io.MultiReader(strings.NewReader("a,b,c\n"), &endless{64 << 20}), CSVOptions{Rows: 100})
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	rows := 0
	for {
		b, err := c.Next(context.Background())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if rows += b.Rows; rows > 2_000_000 {
			break
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if rows < 2_000_000 {
		t.Fatalf("only %d rows", rows)
	}
	if grown := int64(after.HeapInuse) - int64(before.HeapInuse); grown > 4<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
}

// stdRecords is what encoding/csv makes of text.
func stdRecords(text []byte) ([][]string, error) {
	r := csv.NewReader(bytes.NewReader(text))
	r.FieldsPerRecord = -1
	return r.ReadAll()
}

// checkCutting compares the batches of text with what encoding/csv reads.
func checkCutting(t interface {
	Helper()
	Fatalf(string, ...any)
	Errorf(string, ...any)
}, text []byte, o CSVOptions) {
	t.Helper()
	c, err := newCSV("f.csv", bytes.NewReader(text), o)
	if err != nil {
		return
	}
	plain := bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	want, stdErr := stdRecords(plain)
	row := 0
	for {
		b, err := c.Next(context.Background())
		if errors.Is(err, io.EOF) {
			if stdErr != nil {
				t.Fatalf("all was accepted, but encoding/csv says %v", stdErr)
			}
			if row != len(want)-1 {
				t.Fatalf("%d rows, encoding/csv finds %d", row, len(want)-1)
			}
			return
		}
		if err != nil {
			return
		}
		if len(b.CSV) > c.o.MaxBytes || b.Rows < 1 || o.Rows > 0 && b.Rows > o.Rows {
			t.Fatalf("batch of %d rows and %d bytes with options %+v", b.Rows, len(b.CSV), o)
		}
		got, err := stdRecords(b.CSV)
		if err != nil {
			t.Fatalf("batch %q is not CSV: %v", b.CSV, err)
		}
		if len(got) != b.Rows+1 {
			t.Fatalf("batch %q has %d records, want %d and a header", b.CSV, len(got), b.Rows)
		}
		if stdErr != nil {
			continue // of which encoding/csv keeps nothing to compare with
		}
		if fmt.Sprintf("%q", got[0]) != fmt.Sprintf("%q", want[0]) {
			t.Fatalf("header %q, want %q", got[0], want[0])
		}
		for i, rec := range got[1:] {
			if fmt.Sprintf("%q", rec) != fmt.Sprintf("%q", want[row+1+i]) {
				t.Fatalf("row %d is %q, want %q", row+i, rec, want[row+1+i])
			}
		}
		row += b.Rows
	}
}

func TestCSVAgreesWithStandardLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.IntRange(1, 4).Draw(t, "width")
		cell := rapid.StringOf(rapid.SampledFrom([]rune("ab1,\"\n .é")))
		var text bytes.Buffer
		w := csv.NewWriter(&text)
		w.UseCRLF = rapid.Bool().Draw(t, "crlf")
		rows := rapid.IntRange(1, 20).Draw(t, "rows")
		for i := range rows + 1 {
			rec := make([]string, width)
			for j := range rec {
				rec[j] = cell.Draw(t, "cell")
			}
			if width == 1 && rec[0] == "" {
				rec[0] = "x" // a line of its own would be an empty line
			}
			if err := w.Write(rec); err != nil {
				t.Fatalf("row %d: %v", i, err)
			}
		}
		w.Flush()
		o := CSVOptions{Rows: rapid.IntRange(0, 7).Draw(t, "batch")}
		if _, err := batches(text.String(), o); err != nil {
			t.Fatalf("refused %q: %v", text.String(), err)
		}
		checkCutting(t, text.Bytes(), o)
	})
}

var csvSeeds = []string{
	"a,b\n1,2\n", "a,b\r\n1,2", "\xef\xbb\xbfa\n1\n", "\"a\"\n\"1\"\"2\"\n", "a\n\"1\n2\"\n3\r",
	"a,b\nr,1,2\n", "a\n1\"\n", "a\n\"1\"x\n", "a\n\"", "a\n\"1\"\r\n", "a\n\r\r\n1\n", "a\n\x00\n", "a,b\n,\n\n,\n",
}

func FuzzCSV(f *testing.F) {
	for _, s := range csvSeeds {
		f.Add([]byte(s), 1, 64)
		f.Add([]byte(s), 0, 0)
	}
	f.Fuzz(func(t *testing.T, text []byte, rows, maxBytes int) {
		checkCutting(t, text, CSVOptions{Rows: rows % 8, MaxBytes: maxBytes % 4096})
	})
}

func TestRealReadings(t *testing.T) {
	c, err := OpenCSV("testdata/room.csv", CSVOptions{Rows: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b, err := c.Next(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	const want = `"date","Temperature","Humidity","Light","CO2","HumidityRatio","Occupancy"
"140","2015-02-02 14:19:00",23.7,26.272,585.2,749.2,0.00476416302416414,1
`
	if !strings.HasPrefix(string(b.CSV), want) || b.Rows != 4 {
		t.Errorf("batch of %d rows: %q", b.Rows, b.CSV)
	}
}

func BenchmarkCSV(b *testing.B) {
	const size = 8 << 20
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		c, err := newCSV("big.csv", io.MultiReader(strings.NewReader("a,b,c\n"), &endless{size}), CSVOptions{Rows: 1000})
		if err != nil {
			b.Fatal(err)
		}
		for {
			if _, err := c.Next(context.Background()); err != nil {
				break
			}
		}
	}
}
