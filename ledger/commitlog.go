package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// commitLog is a disk's write-ahead log for the batches of its shards, used instead of
// Pebble's, whose batches also pass through a memtable. All that was appended while
// the last group was on its way to the disk is written and synced as the next one, in
// a few files that are used again and again: a sync of blocks that the file has
// already need not wait for the file system's own journal.
//
// A batch stays in the log until its shard says that Pebble has it, see flushed.
//
//	file      = block of description, groups
//	block     = magic 8 | version 4 | number of the file 8 | number of its first group 8 | CRC-32C 4 | zeros
//	group     = CRC-32C 4 | length of the records 4 | number 8 | records | zeros to the next multiple of 4096
//	record    = length of the rows 4 | shard 1 | commit 8 | rows
//	rows      = what the batch changes, as Pebble encodes a batch
//
// Groups are numbered without gaps, so what is left of earlier uses of a file is never
// taken for a part of it. They begin at multiples of 4096 bytes, so a write that is
// cut short by a power loss cannot damage an earlier one, and a valid group behind a
// damaged one is found: that is damage, and not the torn end of the log.
type commitLog struct {
	fs      vfs.FS
	dir     string
	log     *storeLog
	segment int64        // bytes at which the next file is begun
	full    func([]byte) // told which shards keep the oldest file; see segmentsKept

	mu      sync.Mutex // guards filling and stopped
	filling *group
	stopped bool
	wake    chan struct{}

	unsynced atomic.Int64 // groups that hold something and are not durable yet
	spare    chan *group
	done     chan *group // to the answerer, in order; closed by the writer

	bytes atomic.Int64 // of all files in use

	// filesMu guards what follows. The writer holds it to begin a file, not to write.
	filesMu sync.Mutex
	files   []*redoFile // oldest first; the last is the writer's
	old     []string    // files to use again, oldest first
	// removing says that files older than those of old are being removed. Until they
	// are gone no other may change its name, or a power loss could leave a log with a gap.
	removing bool
	held     [maxShards]uint64

	// Owned by the writer.
	file  vfs.File
	end   int64  // in file
	group uint64 // number of the last group
}

// redoFile is one file of the log and the newest commit of each shard in it.
type redoFile struct {
	number uint64
	name   string
	newest map[uint8]uint64
}

// group is what is written and synced together.
type group struct {
	buf     []byte // room for the head, records
	newest  map[uint8]uint64
	flights []flight
}

const (
	logBlock      = 4096
	logVersion    = 1
	logMagic      = "ecoinlog"
	logFileHead   = 8 + 4 + 8 + 8
	groupHead     = 4 + 4 + 8
	recordHead    = 4 + 1 + 8
	maxGroupBytes = 1 << 30

	logSegmentBytes = 32 << 20
	// segmentsKept is how many files may wait for the shards to flush before the
	// shards that keep the oldest are asked to. It bounds the disk space of the log
	// and the time to read it at start.
	segmentsKept = 4
	// filesSpared is how many files are kept to be used again: as many as a flush of
	// all shards frees at once. To remove a file takes the file system a tenth of a
	// second, and the first writes to a new one wait for its journal.
	filesSpared = segmentsKept + 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func newGroup() *group {
	return &group{buf: make([]byte, groupHead, 64<<10), newest: make(map[uint8]uint64)}
}

func (g *group) reset() {
	g.buf = g.buf[:groupHead]
	clear(g.newest)
	clear(g.flights)
	g.flights = g.flights[:0]
}

// openCommitLog begins a log in dir, an existing folder without log files, and starts
// its writer and answerer in loops. last is the number of the last group ever written
// here. full is called when the log is long, with the shards that keep it so.
func openCommitLog(fs vfs.FS, dir string, segment int64, last logEnd, log *storeLog, full func(shards []byte), loops *sync.WaitGroup) (*commitLog, error) {
	l := &commitLog{
		fs: fs, dir: dir, log: log, segment: segment, full: full,
		filling: newGroup(), wake: make(chan struct{}, 1),
		spare: make(chan *group, 4), done: make(chan *group, 4),
		group: last.group,
	}
	if err := l.begin(last.file + 1); err != nil {
		return nil, fmt.Errorf("ledger: begin a log in %s: %w", dir, err)
	}
	loops.Go(l.writeLoop)
	loops.Go(l.answerLoop)
	return l, nil
}

// append adds a batch of a shard, and answers f once it and all before it are durable.
// Without rows there is nothing to write, and f is answered after what was appended
// before. Batches of one shard are appended in the order of their commits. rows is
// not kept.
func (l *commitLog) append(shard uint8, commit uint64, rows []byte, f flight) {
	l.mu.Lock()
	if l.stopped {
		panic("ledger: batch for a stopped log")
	}
	g := l.filling
	first := len(g.flights) == 0
	if len(rows) > 0 {
		g.buf = binary.BigEndian.AppendUint32(g.buf, uint32(len(rows)))
		g.buf = binary.BigEndian.AppendUint64(append(g.buf, shard), commit)
		g.buf = append(g.buf, rows...)
		g.newest[shard] = commit
	}
	g.flights = append(g.flights, f)
	if first {
		l.unsynced.Add(1)
	}
	l.mu.Unlock()
	if first {
		l.signal()
	}
}

// settle returns once everything appended before is durable.
func (l *commitLog) settle() {
	if l.unsynced.Load() == 0 {
		return
	}
	done := make(chan struct{})
	l.append(0, 0, nil, flight{settled: done})
	<-done
}

func (l *commitLog) signal() {
	select {
	case l.wake <- struct{}{}:
	default: // the writer will look anyway
	}
}

// stop lets the writer and the answerer end when everything is answered. Nothing may
// be appended any more.
func (l *commitLog) stop() {
	l.mu.Lock()
	l.stopped = true
	l.mu.Unlock()
	l.signal()
}

// take returns the group that was filled, or nil when there is none.
func (l *commitLog) take() (g *group, stopped bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.filling.flights) == 0 {
		return nil, l.stopped
	}
	g = l.filling
	select {
	case l.filling = <-l.spare:
	default:
		l.filling = newGroup()
	}
	return g, false
}

// gatherTurns bounds how often a group waits for others that can run.
const gatherTurns = 8

// gather lets those that can run go first as long as that makes the group larger: on
// busy processors groups are larger then, and syncs fewer.
func (l *commitLog) gather() {
	size := -1
	for range gatherTurns {
		runtime.Gosched()
		l.mu.Lock()
		n := len(l.filling.buf)
		l.mu.Unlock()
		if n == size {
			return
		}
		size = n
	}
}

func (l *commitLog) writeLoop() {
	defer close(l.done)
	for {
		l.gather()
		g, stopped := l.take()
		switch {
		case g != nil:
			if len(g.buf) > groupHead {
				l.log.must("write the log", func() error { return l.write(g) })
			}
			l.unsynced.Add(-1)
			l.done <- g
		case stopped:
			return
		default:
			<-l.wake
		}
	}
}

func (l *commitLog) answerLoop() {
	for g := range l.done {
		for i := range g.flights {
			g.flights[i].answer()
		}
		g.reset()
		select {
		case l.spare <- g:
		default:
		}
	}
}

// write makes a group durable.
func (l *commitLog) write(g *group) error {
	if n := len(g.buf) - groupHead; n > maxGroupBytes {
		return fmt.Errorf("a group of %d bytes, at most %d are possible", n, maxGroupBytes)
	}
	records := len(g.buf)
	g.buf = append(g.buf, make([]byte, padding(records))...)
	if l.end > logBlock && l.end+int64(len(g.buf)) > l.segment {
		if err := l.next(); err != nil {
			return err
		}
	}
	l.group++
	binary.BigEndian.PutUint32(g.buf[4:], uint32(records-groupHead))
	binary.BigEndian.PutUint64(g.buf[8:], l.group)
	binary.BigEndian.PutUint32(g.buf, crc32.Checksum(g.buf[4:records], castagnoli))

	// Before the write: a shard must not think that the file can go.
	l.filesMu.Lock()
	current := l.files[len(l.files)-1]
	for shard, commit := range g.newest {
		current.newest[shard] = commit
	}
	l.filesMu.Unlock()

	if _, err := l.file.Write(g.buf); err != nil {
		return err
	}
	if err := l.file.SyncData(); err != nil {
		return err
	}
	l.end += int64(len(g.buf))
	return nil
}

// padding returns how many bytes are missing to a multiple of logBlock.
func padding(n int) int { return -n & (logBlock - 1) }

// next ends the writer's file and begins another.
func (l *commitLog) next() error {
	if err := l.file.Close(); err != nil {
		return err
	}
	l.filesMu.Lock()
	last := l.files[len(l.files)-1]
	l.filesMu.Unlock()
	if err := l.begin(last.number + 1); err != nil {
		return err
	}
	l.filesMu.Lock()
	var keepers []byte
	if len(l.files) > segmentsKept {
		for shard, commit := range l.files[0].newest {
			if commit > l.held[shard] {
				keepers = append(keepers, shard)
			}
		}
	}
	l.filesMu.Unlock()
	if len(keepers) > 0 {
		l.full(keepers)
	}
	return nil
}

// begin creates file number and makes its name and description durable.
func (l *commitLog) begin(number uint64) (err error) {
	name := l.fs.PathJoin(l.dir, logFileName(number))
	l.filesMu.Lock()
	defer l.filesMu.Unlock()
	if len(l.old) > 0 && !l.removing {
		l.file, err = l.fs.ReuseForWrite(l.old[0], name, "ecoin-log")
		l.old = l.old[1:]
	} else {
		if l.file, err = l.fs.Create(name, "ecoin-log"); err == nil {
			// Not every disk can, and a nearly full one cannot: then the file grows with its
			// writes, and it is those that cost a full disk its ballast.
			_ = l.file.Preallocate(0, l.segment)
		}
		l.bytes.Add(l.segment)
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.file.Close())
		}
	}()
	block := make([]byte, logBlock)
	b := append(block[:0], logMagic...)
	b = binary.BigEndian.AppendUint32(b, logVersion)
	b = binary.BigEndian.AppendUint64(b, number)
	b = binary.BigEndian.AppendUint64(b, l.group+1)
	binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	// The name first: as long as the file has its old description, it is a file
	// that was not begun.
	if err := syncDir(l.fs, l.dir); err != nil {
		return err
	}
	if _, err := l.file.Write(block); err != nil {
		return err
	}
	if err := l.file.Sync(); err != nil {
		return err
	}
	l.end = logBlock
	l.files = append(l.files, &redoFile{number: number, name: name, newest: make(map[uint8]uint64)})
	return nil
}

// flushed says that Pebble has everything of a shard up to commit, durably. Files that
// no shard needs any more are kept for the next use, or removed. One goroutine calls it, the
// flusher.
func (l *commitLog) flushed(shard uint8, commit uint64) error {
	l.filesMu.Lock()
	l.held[shard] = commit
	for len(l.files) > 1 && l.unneeded(l.files[0]) {
		l.old = append(l.old, l.files[0].name)
		l.files = l.files[1:]
	}
	var gone []string
	if n := len(l.old) - filesSpared; n > 0 {
		gone, l.old = l.old[:n:n], l.old[n:]
	}
	l.removing = len(gone) > 0
	l.filesMu.Unlock()
	if len(gone) == 0 {
		return nil
	}

	// Without the lock, for the writer needs it. The oldest go first, each for good before
	// the next, so that those that are left have no gap between them.
	for _, name := range gone {
		if err := errors.Join(l.fs.Remove(name), syncDir(l.fs, l.dir)); err != nil {
			return err
		}
		l.bytes.Add(-l.segment)
	}
	l.filesMu.Lock()
	l.removing = false
	l.filesMu.Unlock()
	return nil
}

func (l *commitLog) unneeded(f *redoFile) bool {
	for shard, commit := range f.newest {
		if commit > l.held[shard] {
			return false
		}
	}
	return true
}

// close closes the writer's file. The loops have ended.
func (l *commitLog) close() error { return l.file.Close() }

// remove removes a closed log of a ledger whose shards have all flushed: nothing of it is
// needed any more.
func (l *commitLog) remove() error { return removeLog(l.fs, l.dir) }

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		_ = d.Close()
		return err
	}
	return d.Close()
}
