package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// logEnd says where a log ended: the numbers of its last file and group.
type logEnd struct{ file, group uint64 }

const logSuffix = ".redo"

func logFileName(number uint64) string { return fmt.Sprintf("%08d%s", number, logSuffix) }

// listLog returns the numbers of the log files in dir in order.
func listLog(fs vfs.FS, dir string) ([]uint64, error) {
	names, err := fs.List(dir)
	if err != nil {
		return nil, err
	}
	var numbers []uint64
	for _, name := range names {
		s, ok := strings.CutSuffix(name, logSuffix)
		if !ok {
			continue
		}
		if n, err := strconv.ParseUint(s, 10, 64); err == nil && name == logFileName(n) {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// removeLog removes all log files in dir, newest first, so that a power loss in
// between leaves the beginning of a log and not a log with a gap.
func removeLog(fs vfs.FS, dir string) error {
	numbers, err := listLog(fs, dir)
	if err != nil {
		return err
	}
	for _, n := range slices.Backward(numbers) {
		if err := fs.Remove(fs.PathJoin(dir, logFileName(n))); err != nil {
			return err
		}
		if err := syncDir(fs, dir); err != nil {
			return err
		}
	}
	return nil
}

// errLogDamaged is wrapped when a log is damaged before its end.
var errLogDamaged = errors.New("ledger: the log is damaged")

// readLog calls visit for every record of the log in dir, in order, and returns where
// it ends. rows stays valid. The log ends at the first group that is not
// whole, which is what a crash leaves of a write that nobody was answered for. Is there
// a whole one behind it, something that was acknowledged is damaged: errLogDamaged.
//
// A damaged last group cannot be told from one that was not written to its end.
func readLog(fs vfs.FS, dir string, visit func(shard uint8, commit uint64, rows []byte) error) (end logEnd, err error) {
	numbers, err := listLog(fs, dir)
	if err != nil {
		return logEnd{}, err
	}
	expect := uint64(0) // number of the next group; 0 before the first file
	for _, n := range numbers {
		end.file = n
		name := logFileName(n)
		data, err := readWhole(fs, fs.PathJoin(dir, name))
		if err != nil {
			return logEnd{}, err
		}
		first, begun := decodeLogFile(data, n)
		switch {
		case !begun && !unusedFile(data, expect):
			return logEnd{}, fmt.Errorf("%w: the description of %s cannot be read", errLogDamaged, name)
		case !begun:
			continue
		case expect == 0:
			expect = first
		case first != expect:
			return logEnd{}, fmt.Errorf("%w: %s begins with group %d, but the last that can be read before is %d", errLogDamaged, name, first, expect-1)
		}
		at := logBlock
		for {
			records, size, ok := decodeGroup(data, at, expect)
			if !ok {
				break
			}
			if err := eachRecord(records, visit); err != nil {
				return logEnd{}, fmt.Errorf("%s, group %d: %w", name, expect, err)
			}
			expect++
			at += size
		}
		if number, found := wholeGroup(data, at, expect); found {
			return logEnd{}, fmt.Errorf("%w: %s: group %d at byte %d cannot be read, but group %d behind it can", errLogDamaged, name, expect, at, number)
		}
	}
	if expect > 0 {
		end.group = expect - 1
	}
	return end, nil
}

// unusedFile reports whether a file without its own description was never used as
// what its name says: it is new, or still has the description of its last use.
// One that has groups from expect on was used: its description was durable before them.
func unusedFile(data []byte, expect uint64) bool {
	if len(data) < logBlock {
		return true
	}
	if !slices.ContainsFunc(data[:logFileHead], func(b byte) bool { return b != 0 }) {
		_, used := wholeGroup(data, 0, max(expect, 1)-1)
		return !used
	}
	if string(data[:8]) == logMagic {
		if _, ok := decodeLogFile(data, binary.BigEndian.Uint64(data[12:])); ok {
			return true
		}
	}
	_, found := wholeGroup(data, 0, 0)
	return !found
}

// wholeGroup looks behind data[at:] for a group whose number is above number.
func wholeGroup(data []byte, at int, number uint64) (uint64, bool) {
	for at += logBlock; at < len(data); at += logBlock {
		if got, ok := groupNumber(data, at); ok && got > number {
			return got, true
		}
	}
	return 0, false
}

func readWhole(fs vfs.FS, name string) ([]byte, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	data := make([]byte, info.Size())
	_, err = io.ReadFull(f, data)
	return data, errors.Join(err, f.Close())
}

// decodeLogFile returns the number of a file's first group. ok is false for a file
// that was not begun.
func decodeLogFile(data []byte, number uint64) (first uint64, ok bool) {
	if len(data) < logBlock || string(data[:8]) != logMagic {
		return 0, false
	}
	if binary.BigEndian.Uint32(data[logFileHead:]) != crc32.Checksum(data[:logFileHead], castagnoli) ||
		binary.BigEndian.Uint32(data[8:]) != logVersion || binary.BigEndian.Uint64(data[12:]) != number {
		return 0, false
	}
	return binary.BigEndian.Uint64(data[20:]), true
}

// decodeGroup returns the records of group number at data[at:] and the bytes it takes.
func decodeGroup(data []byte, at int, number uint64) (records []byte, size int, ok bool) {
	if got, ok := groupNumber(data, at); !ok || got != number {
		return nil, 0, false
	}
	n := groupHead + int(binary.BigEndian.Uint32(data[at+4:]))
	return data[at+groupHead : at+n], n + padding(n), true
}

// groupNumber returns the number of the whole group at data[at:].
func groupNumber(data []byte, at int) (number uint64, ok bool) {
	if len(data)-at < groupHead {
		return 0, false
	}
	b := data[at:]
	n := binary.BigEndian.Uint32(b[4:])
	if n == 0 || n > maxGroupBytes || int64(len(b)) < groupHead+int64(n) {
		return 0, false
	}
	if binary.BigEndian.Uint32(b) != crc32.Checksum(b[4:groupHead+n], castagnoli) {
		return 0, false
	}
	return binary.BigEndian.Uint64(b[8:]), true
}

// eachRecord calls visit for the records of a group.
func eachRecord(b []byte, visit func(shard uint8, commit uint64, rows []byte) error) error {
	for len(b) > 0 {
		if len(b) < recordHead {
			return badRecord("log", "short record")
		}
		n := int64(binary.BigEndian.Uint32(b))
		if n > int64(len(b)-recordHead) {
			return badRecord("log", "record longer than its group")
		}
		if err := visit(b[4], binary.BigEndian.Uint64(b[5:]), b[recordHead:recordHead+n]); err != nil {
			return err
		}
		b = b[recordHead+n:]
	}
	return nil
}
