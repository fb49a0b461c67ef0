package compare

import (
	"math"
	"slices"

	"github.com/HdrHistogram/hdrhistogram-go"

	"ecoin/loadgen/result"
)

// A side is the runs of one side, ready to be drawn from.
type side struct {
	runs   []run
	values []float64 // response times that occur, in microseconds, from small to large
	whole  values
	why    [figureCount]string // there can be no interval; "" where there can
}

// A run is cut into parts of a second, or of some. Sums are over all parts before one, so that
// those of neighbours are a difference.
type run struct {
	parts int
	block int // parts that are drawn together
	took  float64

	sums    [][sumCount]float64 // parts+1 of them
	answers [][]float64         // parts+1 of them, by the place of the value

	sent, generatorCPU float64 // seconds
}

// What is summed.
const (
	sumCoins = iota
	sumPlanned
	sumBad
	sumServerCPU // seconds
	sumCount
)

// Limits of the work: parts of a run, and seconds that are drawn together at least.
const (
	mostParts    = 300
	blockSeconds = 5
)

func newSide(runs []Run) *side {
	s := &side{}
	all := make([][]second, len(runs))
	for i := range runs {
		all[i] = fold(runs[i].Run)
		for k := range all[i] {
			for _, bar := range all[i][k].answers {
				s.values = append(s.values, float64(bar.To))
			}
		}
		s.values = distinct(s.values)
	}
	for i := range runs {
		s.runs = append(s.runs, s.newRun(runs[i].Run, all[i]))
	}
	s.whole = whole(runs)
	s.doubts(runs)
	return s
}

func distinct(v []float64) []float64 {
	slices.Sort(v)
	return slices.Compact(v)
}

func (s *side) newRun(r *result.Run, seconds []second) run {
	size := max((len(seconds)+mostParts-1)/mostParts, 1)
	out := run{took: r.Took, sent: float64(total(r).Sent), generatorCPU: r.Generator.CPU}
	sums, answers := [sumCount]float64{}, make([]float64, len(s.values))
	keep := func() {
		out.sums = append(out.sums, sums)
		out.answers = append(out.answers, slices.Clone(answers))
	}
	keep()
	for i := range seconds {
		for k, v := range seconds[i].sums {
			sums[k] += v
		}
		for _, bar := range seconds[i].answers {
			at, _ := slices.BinarySearch(s.values, float64(bar.To))
			answers[at] += float64(bar.Count)
		}
		if (i+1)%size == 0 || i == len(seconds)-1 {
			keep()
			out.parts++
		}
	}
	out.block = min(max((blockSeconds+size-1)/size, int(math.Ceil(math.Sqrt(float64(out.parts))))), max(out.parts, 1))
	return out
}

// second is what a second of a run adds.
type second struct {
	sums    [sumCount]float64
	answers []hdrhistogram.Bar
}

// fold returns the seconds of a run. What came after the last planned send belongs to
// the last second in which something was planned.
func fold(r *result.Run) []second {
	var out []second
	for i := range r.Seconds {
		s := &r.Seconds[i]
		if len(out) == 0 || s.At < r.Took || s.Planned != 0 {
			out = append(out, second{})
		}
		to := &out[len(out)-1]
		to.sums[sumCoins] += float64(s.Coins)
		to.sums[sumPlanned] += float64(s.Planned)
		to.sums[sumBad] += float64(s.Refused) + float64(s.Failed)
		to.sums[sumServerCPU] += s.CPU
		for _, bar := range s.Response.Histogram().Distribution() {
			if bar.Count > 0 {
				to.answers = append(to.answers, bar)
			}
		}
	}
	return out
}

// widening is by how much an interval of draws is too narrow, since a sample of n varies less
// around its own mean than around the true one.
func (s *side) widening() float64 {
	n := len(s.runs)
	if n == 1 {
		n = s.runs[0].parts / s.runs[0].block
	}
	if n < 2 {
		return 1 // there is no interval then
	}
	return math.Sqrt(float64(n) / float64(n-1))
}

func total(r *result.Run) *result.Kind {
	k := r.Total()
	return &k
}

// whole are the figures of all runs of a side together.
func whole(runs []Run) values {
	var coins, took, planned, bad, cpu, sent, generator float64
	var response result.Latency
	for i := range runs {
		r := runs[i].Run
		k := total(r)
		coins += float64(k.Coins)
		took += r.Took
		planned += float64(k.Planned)
		bad += float64(k.Planned - k.OK)
		sent += float64(k.Sent)
		generator += r.Generator.CPU
		if r.Server == nil {
			cpu = math.NaN()
		} else {
			cpu += r.Server.CPUUs * float64(k.Coins)
		}
		response.Merge(&k.Response)
	}
	v := values{rate: coins / took, errorShare: bad / planned, serverCPU: cpu / coins, generatorCPU: generator * 1e6 / sent}
	for i, q := range quantiles {
		v[p50+i] = math.NaN()
		if response.Count() > 0 {
			v[p50+i] = float64(response.Quantile(q).Nanoseconds()) / 1e3
		}
	}
	return v
}

// doubts finds out what there can be no interval of.
func (s *side) doubts(runs []Run) {
	var answers float64
	whole := true
	for i := range s.runs {
		r, k := &s.runs[i], total(runs[i].Run)
		n := sum(r.answers[r.parts])
		answers += n
		if r.parts < 2*r.block || math.Abs(n-float64(k.Response.Count())) > .01*float64(k.Response.Count()) ||
			math.Abs(r.sums[r.parts][sumCoins]-float64(k.Coins)) > .01*float64(k.Coins) {
			whole = false
		}
		if server := runs[i].Server; server != nil {
			cpu := server.CPUUs * float64(k.Coins) / 1e6
			if math.Abs(r.sums[r.parts][sumServerCPU]-cpu) > .1*cpu {
				s.why[serverCPU] = "seconds do not add up"
			}
		}
	}
	for i, q := range quantiles {
		if answers*(1-q) < 10 {
			s.why[p50+i] = "too few answers"
		}
	}
	if len(s.runs) < 2 {
		s.why[generatorCPU] = "known by the run alone"
	}
	if !whole { // then what is known by the second says nothing
		for i := range s.why {
			if i != generatorCPU {
				s.why[i] = "too few or lost seconds"
			}
		}
	}
}

func sum(v []float64) float64 {
	var s float64
	for _, x := range v {
		s += x
	}
	return s
}
