package source

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/load"
	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/net"
	"github.com/shirou/gopsutil/v4/sensors"
)

// probes read the machine. A reading that is not to be had is NaN, or absent from
// the map of temperatures.
type probes struct {
	cpuSeconds   func(context.Context) [2]float64 // all processor time, busy processor time
	load         func(context.Context) [3]float64 // over 1, 5 and 15 minutes
	memory       func(context.Context) memory
	diskPercent  func(context.Context) float64
	diskBytes    func(context.Context) [2]float64 // read, written
	netBytes     func(context.Context) [2]float64 // received, sent
	temperatures func(context.Context) map[string]float64
}

type memory struct{ usedPercent, availableBytes, swapPercent float64 }

var (
	nan  = math.NaN()
	nan2 = [2]float64{nan, nan}
)

// machine returns the probes of this machine; folder is on the file system whose
// use is reported.
func machine(folder string) probes {
	return probes{
		cpuSeconds: cpuSeconds,
		load:       loadAverages,
		memory:     memoryUse,
		diskPercent: func(ctx context.Context) float64 {
			u, err := disk.UsageWithContext(ctx, folder)
			if err != nil {
				return nan
			}
			return u.UsedPercent
		},
		diskBytes:    diskBytes,
		netBytes:     netBytes,
		temperatures: temperatures,
	}
}

func cpuSeconds(ctx context.Context) [2]float64 {
	all, err := cpu.TimesWithContext(ctx, false)
	if err != nil || len(all) == 0 {
		return nan2
	}
	t := all[0]
	// Guest time is part of user time on Linux and must not count twice.
	busy := t.User + t.System + t.Nice + t.Irq + t.Softirq + t.Steal
	return [2]float64{busy + t.Idle + t.Iowait, busy}
}

func loadAverages(ctx context.Context) [3]float64 {
	l, err := load.AvgWithContext(ctx)
	if err != nil {
		return [3]float64{nan, nan, nan}
	}
	return [3]float64{l.Load1, l.Load5, l.Load15}
}

func memoryUse(ctx context.Context) memory {
	m := memory{nan, nan, nan}
	if v, err := mem.VirtualMemoryWithContext(ctx); err == nil {
		m.usedPercent, m.availableBytes = v.UsedPercent, float64(v.Available)
	}
	if s, err := mem.SwapMemoryWithContext(ctx); err == nil && s.Total > 0 {
		m.swapPercent = s.UsedPercent
	}
	return m
}

func diskBytes(ctx context.Context) [2]float64 {
	all, err := disk.IOCountersWithContext(ctx)
	if err != nil {
		return nan2
	}
	sum, some := [2]float64{}, false
	for name, c := range all {
		if wholeDisk(name) {
			sum[0] += float64(c.ReadBytes)
			sum[1] += float64(c.WriteBytes)
			some = true
		}
	}
	if !some {
		return nan2
	}
	return sum
}

// wholeDisk reports whether the block device called name is a disk of its own.
// Linux also counts partitions, and devices stacked on others: adding those
// would count the same bytes twice.
func wholeDisk(name string) bool {
	if runtime.GOOS != "linux" {
		return true
	}
	for _, stacked := range []string{"loop", "ram", "zram", "dm-", "md"} {
		if strings.HasPrefix(name, stacked) {
			return false
		}
	}
	_, err := os.Stat(filepath.Join("/sys/block", filepath.Base(name)))
	return err == nil
}

func netBytes(ctx context.Context) [2]float64 {
	all, err := net.IOCountersWithContext(ctx, true)
	if err != nil {
		return nan2
	}
	sum, some := [2]float64{}, false
	for _, c := range all {
		if c.Name == "lo" || strings.HasPrefix(c.Name, "lo0") || strings.HasPrefix(c.Name, "Loopback") {
			continue
		}
		sum[0] += float64(c.BytesRecv)
		sum[1] += float64(c.BytesSent)
		some = true
	}
	if !some {
		return nan2
	}
	return sum
}

// temperatures returns degrees Celsius by sensor. Sensors may share a name, as two
// processors' cores do; the second is called name_2 and so on.
func temperatures(ctx context.Context) map[string]float64 {
	all, _ := sensors.TemperaturesWithContext(ctx) // an error means that some or all did not answer
	byName := make(map[string]float64, len(all))
	for _, t := range all {
		name := columnName(t.SensorKey)
		for i := 2; ; i++ {
			if _, taken := byName[name]; !taken {
				break
			}
			name = columnName(t.SensorKey) + "_" + strconv.Itoa(i)
		}
		byName[name] = t.Temperature
	}
	return byName
}

// columnName makes a sensor's name fit for a CSV header: lower-case letters, digits
// and underscores, at most 40 of them.
func columnName(sensor string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '_'
	}, sensor)
	return name[:min(len(name), 40)]
}
