package source

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"time"
)

// HostOptions configure [NewHost]. The zero value samples once a second, thirty
// samples to a batch.
type HostOptions struct {
	Interval time.Duration // between samples, at least 10ms; 0 means 1s
	Rows     int           // samples in a batch, at most 100,000; 0 means 30
	Disk     string        // a folder on the file system whose use is reported; "" means "/"
}

// A Host is the telemetry of the machine it runs on, without end. Its columns:
//
//	time                                     RFC 3339, UTC
//	cpu_percent                              busy share of all processors since the last sample
//	load1 load5 load15                       load averages
//	memory_used_percent memory_available_mib
//	swap_used_percent disk_used_percent
//	disk_read_kib_s disk_write_kib_s         all disks, since the last sample
//	net_recv_kib_s net_sent_kib_s            all interfaces but loopback, since the last sample
//	temp_..._c                               one for each sensor found at the start
//
// What a machine does not have, or fails to read, is an empty cell.
type Host struct {
	o       HostOptions
	p       probes
	now     func() time.Time
	name    string
	sensors []string // found at the start, in the order of the columns

	started time.Time // first sample; sample i is due at started + i*Interval
	samples int64
	cpu     counters
	disk    counters
	net     counters
}

const (
	minInterval  = 10 * time.Millisecond
	maxHostRows  = 100_000
	maxSensors   = 32
	maxHostRow   = 1 << 10 // bytes; no row is longer
	fixedColumns = "time,cpu_percent,load1,load5,load15,memory_used_percent,memory_available_mib," +
		"swap_used_percent,disk_used_percent,disk_read_kib_s,disk_write_kib_s,net_recv_kib_s,net_sent_kib_s"
)

// NewHost returns the telemetry of this machine. It reads nothing yet.
func NewHost(o HostOptions) (*Host, error) {
	if o.Interval == 0 {
		o.Interval = time.Second
	}
	if o.Rows == 0 {
		o.Rows = 30
	}
	if o.Disk == "" {
		o.Disk = "/"
	}
	if o.Interval < minInterval {
		return nil, fmt.Errorf("source: a sampling interval of %v is too short: at least %v", o.Interval, minInterval)
	}
	if o.Rows < 0 || o.Rows > maxHostRows {
		return nil, fmt.Errorf("source: %d samples per batch: choose 1 to %d", o.Rows, maxHostRows)
	}
	name, err := os.Hostname()
	if err != nil {
		name = "host"
	}
	return &Host{o: o, p: machine(o.Disk), now: time.Now, name: name}, nil
}

// Next samples the machine until a batch is full, by its rows or by reaching nearly
// 1 MiB, and returns it; that takes Rows times Interval. It ends early with ctx's
// error, and the samples are lost then. A machine that gives no reading at all is an
// error.
func (h *Host) Next(ctx context.Context) (Batch, error) {
	if h.samples == 0 {
		if err := h.start(ctx); err != nil {
			return Batch{}, err
		}
	}
	csv := h.header()
	rows, some := 0, false
	for rows < h.o.Rows && len(csv) < defaultMaxBytes-maxHostRow {
		if err := h.wait(ctx); err != nil {
			return Batch{}, err
		}
		cells := h.sample(ctx)
		csv = h.now().UTC().AppendFormat(csv, "2006-01-02T15:04:05.000Z07:00")
		for _, v := range cells {
			csv = append(csv, ',')
			if !missing(v) {
				csv = strconv.AppendFloat(csv, math.Round(v*1000)/1000, 'f', -1, 64)
				some = true
			}
		}
		csv = append(csv, '\n')
		rows++
	}
	if !some {
		return Batch{}, errors.New("source: this machine gives no telemetry at all: use a CSV file instead")
	}
	return Batch{
		Name: fmt.Sprintf("%s samples %d-%d", h.name, h.samples-int64(rows), h.samples-1),
		CSV:  csv,
		Rows: rows,
	}, nil
}

// start finds the sensors and takes the sample that later rates are relative to.
func (h *Host) start(ctx context.Context) error {
	for name := range h.p.temperatures(ctx) {
		h.sensors = append(h.sensors, name)
	}
	slices.Sort(h.sensors)
	h.sensors = h.sensors[:min(len(h.sensors), maxSensors)]
	h.sample(ctx)
	h.started = h.now()
	h.samples = 1
	return ctx.Err()
}

// wait returns when the next sample is due. A source that fell behind, because
// nobody asked for a batch, goes on from now instead of catching up.
func (h *Host) wait(ctx context.Context) error {
	due := h.started.Add(time.Duration(h.samples) * h.o.Interval)
	now := h.now()
	if late := now.Sub(due); late > h.o.Interval {
		h.started = h.started.Add(late)
		due = now
	}
	h.samples++
	if err := ctx.Err(); err != nil {
		return err
	}
	t := time.NewTimer(due.Sub(now))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func (h *Host) header() []byte {
	csv := []byte(fixedColumns)
	for _, s := range h.sensors {
		csv = append(append(append(csv, ",temp_"...), s...), "_c"...)
	}
	return append(csv, '\n')
}

// sample reads every column but the time. A cell that cannot be read is NaN.
func (h *Host) sample(ctx context.Context) []float64 {
	now := h.now()
	cells := make([]float64, 0, 12+len(h.sensors))

	cells = append(cells, h.busy(ctx, now))
	load := h.p.load(ctx)
	cells = append(cells, load[:]...)
	mem := h.p.memory(ctx)
	cells = append(cells, mem.usedPercent, mem.availableBytes/(1<<20), mem.swapPercent, h.p.diskPercent(ctx))
	cells = append(cells, h.disk.kibPerSecond(now, h.p.diskBytes(ctx))...)
	cells = append(cells, h.net.kibPerSecond(now, h.p.netBytes(ctx))...)

	temperatures := h.p.temperatures(ctx)
	for _, s := range h.sensors {
		v, ok := temperatures[s]
		if !ok {
			v = math.NaN()
		}
		cells = append(cells, v)
	}
	return cells
}

// busy returns the percentage of processor time that was not idle since the last
// sample.
func (h *Host) busy(ctx context.Context, now time.Time) float64 {
	grown, _ := h.cpu.grown(now, h.p.cpuSeconds(ctx))
	if total := grown[0]; total > 0 {
		return 100 * grown[1] / total
	}
	return math.NaN()
}

// counters turns a pair of values that only grow into differences. The zero value
// has seen no sample.
type counters struct {
	last [2]float64
	at   time.Time
}

// grown returns by how much each value grew since the last call and the seconds
// between. What is unknown is NaN: before the second call, when a value could not
// be read then or now, and when one became smaller because it was reset.
func (c *counters) grown(now time.Time, v [2]float64) (grown [2]float64, seconds float64) {
	seconds = now.Sub(c.at).Seconds()
	for i := range v {
		grown[i] = v[i] - c.last[i]
		if c.at.IsZero() || grown[i] < 0 {
			grown[i] = math.NaN()
		}
	}
	c.last, c.at = v, now
	return grown, seconds
}

func (c *counters) kibPerSecond(now time.Time, bytes [2]float64) []float64 {
	grown, seconds := c.grown(now, bytes)
	return []float64{grown[0] / 1024 / seconds, grown[1] / 1024 / seconds}
}

// missing reports whether v is a reading that was not there.
func missing(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }
