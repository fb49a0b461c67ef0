package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"

	"ecoin/internal/figure"
	"ecoin/loadgen/result"
)

// WriteHgrm writes the percentiles of l in milliseconds, as HdrHistogram's plotter reads
// them (.hgrm).
func WriteHgrm(w io.Writer, l *result.Latency) error {
	if _, err := l.Histogram().PercentilesPrint(w, 5, 1000); err != nil {
		return fmt.Errorf("report: write percentiles: %w", err)
	}
	return nil
}

// WriteHlog writes the response times of r second by second as HdrHistogram's interval log
// (.hlog). The histograms count microseconds, so the format's Interval_Max is in
// seconds, and HistogramLogProcessor shows milliseconds with -outputValueUnitRatio 1000.
// Seconds without an answer have a line, too.
func WriteHlog(w io.Writer, r *result.Run) error {
	b := bufio.NewWriter(w)
	if err := writeHlog(hdrhistogram.NewHistogramLogWriter(b), r); err != nil {
		return fmt.Errorf("report: write the interval log: %w", err)
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("report: write the interval log: %w", err)
	}
	return nil
}

func writeHlog(log *hdrhistogram.HistogramLogWriter, r *result.Run) error {
	started := r.Started.UnixMilli()
	for _, write := range []func() error{
		func() error {
			return log.OutputComment("[" + strings.Join(strings.Fields(figure.Printable(r.Command)), " ") + "]")
		},
		func() error {
			return log.OutputComment("[Response times in microseconds, Interval_Max in seconds; -outputValueUnitRatio 1000 gives milliseconds]")
		},
		log.OutputLogFormatVersion,
		func() error { return log.OutputStartTime(started) },
		log.OutputLegend,
	} {
		if err := write(); err != nil {
			return err
		}
	}
	for i := range r.Seconds {
		h := r.Seconds[i].Response.Histogram().Clone()
		from := started + int64(r.Seconds[i].At*1000)
		h.SetStartTimeMs(from)
		h.SetEndTimeMs(from + 1000)
		if err := log.OutputIntervalHistogram(h); err != nil {
			return err
		}
	}
	return nil
}
