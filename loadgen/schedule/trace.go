package schedule

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
)

const maxTraceBytes = 10e6

// readTrace reads the rows of a file, and the row at which it ends.
func readTrace(file string) ([]row, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxTraceBytes+1))
	if err != nil {
		return nil, err
	}
	return parseTrace(b)
}

func parseTrace(b []byte) ([]row, error) {
	if len(b) > maxTraceBytes {
		return nil, fmt.Errorf("more than %d MB; use fewer rows", int(maxTraceBytes/1e6))
	}
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(b, []byte("\ufeff"))))
	r.Comment, r.FieldsPerRecord, r.ReuseRecord = '#', -1, true
	var rows []row
	for first := true; ; first = false {
		fields, err := r.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err // it names the line
		}
		line, _ := r.FieldPos(0)
		if first && isHeader(fields) {
			continue
		}
		next, err := parseRow(fields)
		if err == nil && len(rows) > 0 && next.at <= rows[len(rows)-1].at {
			err = fmt.Errorf("%v s is not later than %v s in the row before", next.at, rows[len(rows)-1].at)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		rows = append(rows, next)
	}
	switch n := len(rows); n {
	case 0:
		return nil, errors.New(`no rows; want lines "seconds,sends a second"`)
	case 1:
		return append(rows, row{at: math.Inf(1)}), nil
	default:
		return append(rows, row{at: 2*rows[n-1].at - rows[n-2].at}), nil
	}
}

// isHeader reports whether the first line of a file has names in place of numbers.
func isHeader(fields []string) bool {
	for _, f := range fields[:min(len(fields), 2)] {
		if _, err := strconv.ParseFloat(strings.TrimSpace(f), 64); err == nil || errors.Is(err, strconv.ErrRange) {
			return false
		}
	}
	return len(fields) >= 2
}

func parseRow(fields []string) (row, error) {
	if len(fields) < 2 {
		return row{}, errors.New(`one column; want "seconds,sends a second"`)
	}
	at, err := strconv.ParseFloat(strings.TrimSpace(fields[0]), 64)
	if err != nil || !(at >= 0 && at <= maxTime.Seconds()) {
		return row{}, fmt.Errorf("%q is not a time; want seconds, from 0 to %v", fields[0], maxTime.Seconds())
	}
	rate, err := parseRate(strings.TrimSpace(fields[1]))
	return row{math.Abs(at), rate}, err
}
