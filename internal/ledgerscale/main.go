// Command ledgerscale measures how the ledger grows: for each size it loads so many
// live coins, kills a process that redeems, measures how fast the ledger is there again,
// redeems at random, compacts, and audits. It writes progress to standard error, a
// table to standard output, and results.json and plots to a folder.
package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/alecthomas/kong"
	"github.com/shirou/gopsutil/v4/disk"
)

type options struct {
	Sizes      []count       `sep:" " default:"1e6 1e7 1e8" help:"Live coins to begin with, several separated by spaces."`
	IndexBytes []count       `sep:" " default:"8e9 0" help:"Memory for the ledger's index; 0 is the plain path. Each is measured."`
	CacheBytes count         `default:"256Mi" help:"Memory for blocks of the store."`
	Time       time.Duration `default:"20s" help:"How long to redeem at each size, if half of the coins last as long."`
	KillAfter  time.Duration `default:"3s" help:"When to kill the redeeming process, if it is not through a tenth of the coins before."`
	Waiters    int           `default:"64" help:"Calls under way at once."`
	Coins      int           `default:"64" help:"Coins a call."`
	Dir        string        `default:"${tmp}" type:"path" help:"Folder on the disk to measure; what is written there is removed again."`
	Out        string        `default:"." type:"path" help:"Folder for results.json and the plots."`

	reserve uint64 // bytes that must be free beside the coins
}

// count is a number that may be written like 1e6 or 256Mi.
type count int64

func (c *count) UnmarshalText(text []byte) error {
	s, unit := string(text), 1.0
	for i, suffix := range []string{"Ki", "Mi", "Gi"} {
		if n := len(s) - len(suffix); n > 0 && s[n:] == suffix {
			s, unit = s[:n], float64(int64(1)<<(10*(i+1)))
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if f *= unit; err != nil || f < 0 || f > 1<<53 || f != math.Trunc(f) {
		return fmt.Errorf("%q is not a whole number like 1000, 1e6 or 256Mi", text)
	}
	*c = count(f)
	return nil
}

func (o *options) Validate() error {
	switch {
	case len(o.Sizes) == 0 || len(o.IndexBytes) == 0:
		return errors.New("no size or no index to measure")
	case slices.Min(o.Sizes) < minSize:
		return fmt.Errorf("a size is at least %d coins", minSize)
	case o.Waiters < 1 || o.Coins < 1 || o.Waiters*o.Coins > maxQueued:
		return fmt.Errorf("waiters times coins is from 1 to %d", maxQueued)
	case o.Coins > 10_000:
		return errors.New("a call has at most 10,000 coins")
	case o.Time <= 0 || o.KillAfter <= 0:
		return errors.New("times are positive")
	}
	return nil
}

func main() {
	if isChild() {
		os.Exit(runChild(os.Stdout))
	}
	o := options{reserve: 2 << 30}
	k := kong.Parse(&o, kong.Name("ledgerscale"), kong.Vars{"tmp": os.TempDir()},
		kong.Description("Measure loading, redeeming and recovery of ledgers of several sizes."))
	k.FatalIfErrorf(run(&o, os.Stdout, os.Stderr))
}

// bytesPerCoin is what a coin may need on disk at the worst moment: its record, what
// compaction writes before it removes the old, and the spent record.
const bytesPerCoin = 40

// run measures every size and writes the results: so far, after each.
func run(o *options, out, progress io.Writer) error {
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return err
	}
	r := &report{Command: commandLine(o), Machine: machine(o.Dir)}
	sizes := slices.Clone(o.Sizes)
	slices.SortFunc(sizes, cmp.Compare[count])
	for _, n := range slices.Compact(sizes) {
		for _, index := range o.IndexBytes {
			if need, free, err := room(o, n); err != nil {
				return err
			} else if free < need {
				line := fmt.Sprintf("%s coins are left out: they need %.0f GB free in %s, and %.0f GB are", si(float64(n)), float64(need)/1e9, o.Dir, float64(free)/1e9)
				fmt.Fprintln(progress, line)
				r.LeftOut = append(r.LeftOut, line)
				break
			}
			m := &measurement{o: o, n: int64(n), index: int64(index), progress: progress}
			if err := m.run(); err != nil {
				return fmt.Errorf("%s coins, %s path: %w", si(float64(n)), m.result.Path, err)
			}
			r.Results = append(r.Results, m.result)
			if err := r.write(o.Out); err != nil {
				return err
			}
		}
	}
	if err := errors.Join(r.write(o.Out), r.table(out)); err != nil {
		return err
	}
	if len(r.Results) == 0 {
		return errors.New("nothing was measured")
	}
	return r.plots(o.Out)
}

func room(o *options, n count) (need, free uint64, err error) {
	u, err := disk.Usage(o.Dir)
	if err != nil {
		return 0, 0, fmt.Errorf("free space of %s: %w", o.Dir, err)
	}
	return uint64(n)*bytesPerCoin + o.reserve, u.Free, nil
}
