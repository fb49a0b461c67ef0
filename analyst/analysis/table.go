package analysis

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
)

const (
	maxColumns    = 1024
	maxColumnName = 256 // bytes
)

// table is a parsed CSV input of at least one row.
type table struct {
	rows    int
	columns []column
}

// column is one column of a table.
type column struct {
	name    string
	missing int

	// One of these, never both. A numeric column has its values, NaN for a missing
	// cell, one per row; a text column has its cells, "" for a missing one.
	values []float64
	cells  []string
}

func (c *column) numeric() bool { return c.values != nil }

// present returns the values of a numeric column that are not missing, in row
// order, in new memory.
func (c *column) present() []float64 {
	out := make([]float64, 0, len(c.values)-c.missing)
	for _, v := range c.values {
		if !math.IsNaN(v) {
			out = append(out, v)
		}
	}
	return out
}

// checkEvery is how many rows are read between two looks at the context.
const checkEvery = 4096

// parseTable reads body by the rules that Builtin states. Its errors are
// *InputError, or ctx's own.
func parseTable(ctx context.Context, body []byte) (*table, error) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(body, []byte("\ufeff"))))
	r.FieldsPerRecord = -1 // checked here, for better words
	header, err := r.Read()
	switch {
	case errors.Is(err, io.EOF):
		return nil, refuse("the input is empty: its first line must name the columns, separated by commas")
	case err != nil:
		return nil, syntax(err)
	case len(header) > maxColumns:
		return nil, refuse("line 1 names %d columns, the limit is %d", len(header), maxColumns)
	}

	r.ReuseRecord = true
	t := &table{}
	for {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, syntax(err)
		}
		if t.rows == 0 {
			if len(rec) == len(header)+1 {
				header = append([]string{"row"}, header...)
			}
			if t.columns, err = makeColumns(header); err != nil {
				return nil, err
			}
		}
		if len(rec) != len(header) {
			line, _ := r.FieldPos(0)
			return nil, refuse("line %d has %d fields, want %d as in the lines above", line, len(rec), len(header))
		}
		for i, cell := range rec {
			t.columns[i].cells = append(t.columns[i].cells, cell)
		}
		if t.rows++; t.rows%checkEvery == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	if t.rows == 0 {
		return nil, refuse("the input has a line of column names and no rows after it")
	}
	for i := range t.columns {
		t.columns[i].settle()
	}
	return t, ctx.Err()
}

func makeColumns(names []string) ([]column, error) {
	cols := make([]column, len(names))
	for i, name := range names {
		if len(name) > maxColumnName {
			return nil, refuse("the name of column %d has %d bytes, the limit is %d", i+1, len(name), maxColumnName)
		}
		cols[i].name = name
	}
	return cols, nil
}

// syntax turns an error of the CSV reader into an InputError.
func syntax(err error) error {
	if pe, ok := errors.AsType[*csv.ParseError](err); ok {
		return refuse("line %d, byte %d: %v", pe.Line, pe.Column, pe.Err)
	}
	return refuse("the input is not CSV: %v", err)
}

// settle decides whether c is numeric, and marks its missing cells.
func (c *column) settle() {
	values := make([]float64, len(c.cells))
	numeric := true
	for i, cell := range c.cells {
		cell = strings.TrimSpace(cell)
		if missing(cell) {
			c.missing++
			c.cells[i], values[i] = "", math.NaN()
			continue
		}
		if numeric {
			values[i], numeric = parseNumber(cell)
		}
	}
	if numeric && c.missing < len(c.cells) {
		c.values, c.cells = values, nil
	}
}

func missing(cell string) bool {
	return cell == "" || cell == "NA" || strings.EqualFold(cell, "nan")
}

// parseNumber reads a finite decimal number. strconv also knows hexadecimal
// floats, "inf" and "infinity", none of which a sensor means as a reading.
func parseNumber(cell string) (float64, bool) {
	for _, c := range []byte(cell) {
		if (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
			return 0, false
		}
	}
	v, err := strconv.ParseFloat(cell, 64)
	return v, err == nil
}
