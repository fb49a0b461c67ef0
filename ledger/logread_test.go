package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

type logRecord struct {
	shard  uint8
	commit uint64
	rows   string
}

// writtenLog returns a folder with a log of several files, some of them used before,
// and all that was ever appended, a group each.
func writtenLog(t testing.TB) (fs vfs.FS, records []logRecord) {
	t.Helper()
	fs = vfs.NewMem()
	if err := fs.MkdirAll("redo", 0o700); err != nil {
		t.Fatal(err)
	}
	o := testOptions(fs)
	var loops sync.WaitGroup
	l, err := openCommitLog(fs, "redo", 24<<10, logEnd{file: 6, group: 1000}, &storeLog{logger: o.Logger, fatal: o.Fatal}, func([]byte) {}, &loops)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 7))
	const total = 40
	for i := range total {
		r := logRecord{uint8(i % 3), uint64(i/3 + 1), strings.Repeat(string(rune('a'+i%26)), 1+rng.IntN(9000))}
		l.append(r.shard, r.commit, []byte(r.rows), flight{})
		l.settle()
		if n := l.unsynced.Load(); n != 0 { // or settle would wait for nothing, ever after
			t.Fatalf("%d groups are counted as under way when all is settled", n)
		}
		records = append(records, r)
		if i == total/2 {
			for shard := range uint8(3) {
				if err := l.flushed(shard, uint64(i/3)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	l.stop()
	loops.Wait()
	if err := l.file.Close(); err != nil {
		t.Fatal(err)
	}
	first, err := listLog(fs, "redo")
	if err != nil || len(first) < 4 {
		t.Fatalf("files %v, %v", first, err)
	}
	return fs, records
}

func readAll(fs vfs.FS) (got []logRecord, end logEnd, err error) {
	end, err = readLog(fs, "redo", func(shard uint8, commit uint64, rows []byte) error {
		got = append(got, logRecord{shard, commit, string(rows)})
		return nil
	})
	return got, end, err
}

// isPart reports whether got is a part of records without a gap, and which.
func isPart(records, got []logRecord) (from int, ok bool) {
	if len(got) == 0 {
		return 0, true
	}
	from = slices.Index(records, got[0])
	return from, from >= 0 && from+len(got) <= len(records) && slices.Equal(got, records[from:from+len(got)])
}

// TestLogReadsBack reads what was written, tears the end off at every byte that counts,
// and flips bits: what is read is then the beginning of it, or an error names the log.
func TestLogReadsBack(t *testing.T) {
	t.Parallel()
	fs, records := writtenLog(t)
	whole, end, err := readAll(fs)
	if err != nil || end.group != 1000+uint64(len(records)) {
		t.Fatalf("the log ends with group %d: %v", end.group, err)
	}
	from, ok := isPart(records, whole)
	if !ok || from+len(whole) != len(records) || from == 0 {
		t.Fatalf("%d of %d records, from %d", len(whole), len(records), from)
	}
	files, err := listLog(fs, "redo")
	if err != nil || files[len(files)-1] != end.file {
		t.Fatalf("files %v, the last is %d: %v", files, end.file, err)
	}
	name := func(n uint64) string { return "redo/" + logFileName(n) }
	lastData := readFile(t, fs, name(end.file))
	groups, stop := logGroups(t, lastData, end.file)
	lastAt := groups[len(groups)-1]
	for at := lastAt; at < stop; at++ {
		if at > lastAt+64 && at < stop-64 && at%97 != 0 {
			continue
		}
		for _, rest := range []string{"gone", "zeros", "old"} {
			torn := slices.Clone(lastData)
			switch rest {
			case "gone":
				torn = torn[:at]
			case "zeros":
				clear(torn[at:])
			case "old": // what an earlier use of the file could have left
				for i := at; i < len(torn); i++ {
					torn[i] ^= 0x55
				}
			}
			writeFile(t, fs, name(end.file), torn)
			got, e, err := readAll(fs)
			want, group := whole[:len(whole)-1], end.group-1
			if rest == "zeros" && bytes.Equal(torn[:stop], lastData[:stop]) { // the rest were zeros anyway
				want, group = whole, end.group
			}
			if err != nil || e.group != group || !slices.Equal(got, want) {
				t.Fatalf("torn at %d of [%d, %d), then %s: %d records, group %d, %v", at, lastAt, stop, rest, len(got), e.group, err)
			}
		}
	}
	writeFile(t, fs, name(end.file), lastData)

	rng := rand.New(rand.NewPCG(2, 7))
	rounds := 1500
	if raceEnabled {
		rounds = 80
	}
	refused := 0
	for range rounds {
		n := files[rng.IntN(len(files))]
		data := readFile(t, fs, name(n))
		flipped := slices.Clone(data)
		at := rng.IntN(len(data))
		if rng.IntN(3) == 0 {
			at = rng.IntN(len(data)/logBlock)*logBlock + rng.IntN(logFileHead+4)
		}
		flipped[at] ^= 1 << rng.IntN(8)
		writeFile(t, fs, name(n), flipped)
		got, _, err := readAll(fs)
		what := fmt.Sprintf("file %d of %v, byte %d", n, files, at)
		inLast := n == end.file && at >= lastAt
		switch {
		case err != nil:
			refused++
			if !errors.Is(err, errLogDamaged) || !strings.Contains(err.Error(), logSuffix) {
				t.Errorf("%s: %v", what, err)
			}
			if part, ok := isPart(whole, got); !ok || part != 0 {
				t.Errorf("%s: wrong records before %v", what, err)
			}
		case inLast && slices.Equal(got, whole[:len(whole)-1]): // cannot be told from a torn end
		case !slices.Equal(got, whole):
			t.Errorf("%s: %d of %d records, and no error", what, len(got), len(whole))
		}
		writeFile(t, fs, name(n), data)
	}
	if refused < rounds/4 {
		t.Errorf("%d of %d were refused", refused, rounds)
	}
}

// FuzzReadLog reads two files of any content, with and without sound descriptions.
func FuzzReadLog(f *testing.F) {
	fs, _ := writtenLog(f)
	files, err := listLog(fs, "redo")
	if err != nil {
		f.Fatal(err)
	}
	var seeds [][]byte
	for _, n := range files {
		file, err := readWhole(fs, "redo/"+logFileName(n))
		if err != nil {
			f.Fatal(err)
		}
		seeds = append(seeds, file)
	}
	f.Add(files[0], seeds[0], seeds[1])
	f.Add(files[0], seeds[0], []byte{})
	f.Add(files[1], seeds[1], seeds[0])
	f.Add(uint64(1), []byte{}, bytes.Repeat([]byte{0xff}, 2*logBlock))
	f.Fuzz(func(t *testing.T, number uint64, a, b []byte) {
		number %= 1 << 40
		fs := vfs.NewMem()
		if err := fs.MkdirAll("redo", 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, fs, "redo/"+logFileName(number), a)
		writeFile(t, fs, "redo/"+logFileName(number+1), b)
		read := 0
		_, err := readLog(fs, "redo", func(_ uint8, _ uint64, rows []byte) error {
			read += recordHead + len(rows)
			return nil
		})
		if read > len(a)+len(b) {
			t.Errorf("%d bytes of records in files of %d", read, len(a)+len(b))
		}
		if err != nil && !errors.Is(err, errLogDamaged) && !errors.Is(err, errRecord) {
			t.Errorf("%v", err)
		}
	})
}

// TestLogOldGroups has whole groups of an earlier use behind the end of the log, and a
// file in the middle without its last group.
func TestLogOldGroups(t *testing.T) {
	t.Parallel()
	fs, _ := writtenLog(t)
	whole, end, err := readAll(fs)
	if err != nil {
		t.Fatal(err)
	}
	name, before := "redo/"+logFileName(end.file), "redo/"+logFileName(end.file-1)
	data, old := readFile(t, fs, name), readFile(t, fs, before)
	_, stop := logGroups(t, data, end.file)
	stop += padding(stop)
	writeFile(t, fs, name, append(slices.Clone(data[:stop]), old[logBlock:]...))
	if got, e, err := readAll(fs); err != nil || e != end || !slices.Equal(got, whole) {
		t.Errorf("old groups behind the end: %d of %d records, %v", len(got), len(whole), err)
	}
	groups, _ := logGroups(t, old, end.file-1)
	clear(old[groups[len(groups)-1]:])
	writeFile(t, fs, before, old)
	if _, _, err := readAll(fs); !errors.Is(err, errLogDamaged) {
		t.Errorf("a group is lost between two files: %v", err)
	}
	// Also where only one group is left behind the gap, in which nothing could be found.
	groups, _ = logGroups(t, data, end.file)
	if len(groups) > 1 {
		clear(data[groups[1]:])
	}
	writeFile(t, fs, name, data)
	if _, _, err := readAll(fs); !errors.Is(err, errLogDamaged) {
		t.Errorf("a group is lost before the last one: %v", err)
	}
}
