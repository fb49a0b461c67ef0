package loadgen

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"ecoin/core"
	"ecoin/internal/wire"
	"ecoin/loadgen/fleet"
	"ecoin/loadgen/schedule"
)

// A Job is the share of a load that one process makes. It travels to workers as JSON; its
// seed makes it secret.
type Job struct {
	Bank          string `json:"bank"` // host:port
	ServerName    string `json:"server_name"`
	Roots         string `json:"roots"`    // the bank's certificate, PEM
	Director      string `json:"director"` // host:port, for operations
	DirectorName  string `json:"director_name"`
	DirectorRoots string `json:"director_roots"`
	Analysis      string `json:"analysis"` // that operations ask for
	Payload       int    `json:"payload"`  // bytes of an operation's body

	Mix      []Weight      `json:"mix"`
	Closed   bool          `json:"closed"`   // send when the last answer is there, and not by the schedule
	Schedule string        `json:"schedule"` // see loadgen/schedule
	Duration time.Duration `json:"duration_ns"`
	Warmup   time.Duration `json:"warmup_ns"`   // before that, at the schedule's first rate; not counted
	Patience time.Duration `json:"patience_ns"` // how late a send may leave
	Timeout  time.Duration `json:"timeout_ns"`  // of a request, connecting included
	Conns    int           `json:"connections"` // requests under way at once, at most

	Suite       string  `json:"suite"`
	Batch       int     `json:"batch"` // coins a request
	DoubleSpend float64 `json:"double_spend"`
	Retry       float64 `json:"retry"`
	Bad         float64 `json:"bad"` // these three: shares of the headers, 0 to 1

	Seed      string        `json:"seed"`
	Analysts  []Account     `json:"analysts"`
	First     uint32        `json:"first"`  // of its collectors
	Fleet     int           `json:"fleet"`  // how many collectors
	Random    bool          `json:"random"` // collectors come at random, and not in turn
	Wake      int           `json:"wake"`   // requests of a connection, 0 for any number
	Resume    float64       `json:"resume"` // share of connects that resume a session
	Idle      int           `json:"idle"`   // connections kept open between requests
	Storm     []float64     `json:"storm"`  // seconds at which all idle connections are dropped and made again at once
	Worker    int           `json:"worker"`
	Workers   int           `json:"workers"`
	Audit     int           `json:"audit"`       // coins to ask the bank about at the end; negative: all
	Evidence  time.Duration `json:"evidence_ns"` // how long the bank surely keeps spent records
	MostCoins int           `json:"most_coins"`  // to prepare
}

// Weight is how often a kind of request comes, compared with the others.
type Weight struct {
	Kind   Kind `json:"kind"`
	Weight int  `json:"weight"`
}

// Account is an analyst of the fleet and its account at the bank.
type Account struct {
	Index uint32   `json:"index"`
	ID    [16]byte `json:"id"`
}

// Kind is a kind of request.
type Kind uint8

// The kinds of request.
const (
	Redeem Kind = iota
	Withdraw
	Refund
	Operation
	Null // asks nothing of a server that does nothing: what it shows is the generator
	kinds
)

var kindNames = [kinds]string{"redeem", "withdraw", "refund", "operation", "null"}

func (k Kind) String() string {
	if k < kinds {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// MarshalText implements encoding.TextMarshaler.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *Kind) UnmarshalText(text []byte) error {
	for i, name := range kindNames {
		if name == string(text) {
			*k = Kind(i)
			return nil
		}
	}
	return fmt.Errorf("loadgen: %q is not redeem, withdraw, refund or operation", text)
}

// Role names of the fleet's two kinds of clients.
const (
	roleCollector = "collector"
	roleAnalyst   = "analyst"
)

// plan is a Job that was checked, with its parts parsed.
type plan struct {
	Job
	roots, directorRoots *x509.CertPool
	suite                core.Suite
	schedule             *schedule.Spec // nil in a closed model
	seed                 fleet.Seed
	kinds                []Kind // one round of the mix
}

func (j *Job) check() (*plan, error) {
	p := &plan{Job: *j}
	var err error
	if p.suite, err = core.ParseSuite(j.Suite); err != nil {
		return nil, err
	}
	if p.seed, err = fleet.ParseSeed(j.Seed); err != nil {
		return nil, err
	}
	if p.roots, err = pool(j.Roots); err != nil {
		return nil, fmt.Errorf("loadgen: the bank's certificate: %w", err)
	}
	if !j.Closed {
		if p.schedule, err = schedule.Parse(j.Schedule); err != nil {
			return nil, err
		}
	}
	share := func(f float64) bool { return f >= 0 && f <= 1 }
	switch {
	case j.Bank == "":
		return nil, errors.New("loadgen: no bank: give its address")
	case len(j.Mix) == 0:
		return nil, errors.New("loadgen: no kind of request")
	case j.Duration < time.Second || j.Warmup < 0:
		return nil, errors.New("loadgen: a load lasts at least a second, and a warm-up does not end before it begins")
	case j.Patience <= 0 || j.Timeout <= 0 || j.Evidence <= 0:
		return nil, errors.New("loadgen: patience, timeout and the time of evidence must be positive")
	case j.Conns < 1 || j.Conns > 100_000:
		return nil, fmt.Errorf("loadgen: %d connections: want 1 to 100,000", j.Conns)
	case j.Batch < 1 || j.Batch > wire.MaxBatch:
		return nil, fmt.Errorf("loadgen: %d coins a request: want 1 to %d", j.Batch, wire.MaxBatch)
	case !share(j.DoubleSpend) || !share(j.Retry) || !share(j.Bad) || j.DoubleSpend+j.Retry+j.Bad > 0.9:
		return nil, errors.New("loadgen: shares of double spends, retries and bad headers: 0 to 1 each, 0.9 together")
	case !share(j.Resume):
		return nil, fmt.Errorf("loadgen: %v is no share of resumed connects: want 0 to 1", j.Resume)
	case j.Fleet < 1 || j.Fleet > 10_000_000:
		return nil, fmt.Errorf("loadgen: %d collectors: want 1 to 10,000,000", j.Fleet)
	case j.Workers < 1 || j.Worker < 0 || j.Worker >= j.Workers:
		return nil, fmt.Errorf("loadgen: worker %d of %d", j.Worker, j.Workers)
	case j.Wake < 0 || j.Idle < 0 || j.Payload < 0 || j.Payload > 1<<20:
		return nil, errors.New("loadgen: a negative number, or a payload of more than 1 MiB")
	}
	for _, w := range j.Mix {
		if w.Weight < 1 || w.Weight > 1000 {
			return nil, fmt.Errorf("loadgen: weight %d of %v: want 1 to 1000", w.Weight, w.Kind)
		}
		switch {
		case w.Kind == Redeem && len(j.Analysts) == 0:
			return nil, errors.New("loadgen: redeeming takes an analyst")
		case w.Kind == Redeem && (len(j.Analysts) > maxAnalysts || j.DoubleSpend > 0 && len(j.Analysts) < 2):
			return nil, fmt.Errorf("loadgen: %d analysts: want 2 to %d, so that one can spend another's coins", len(j.Analysts), maxAnalysts)
		case w.Kind == Operation:
			if j.Director == "" {
				return nil, errors.New("loadgen: operations take a director")
			}
			if p.directorRoots, err = pool(j.DirectorRoots); err != nil {
				return nil, fmt.Errorf("loadgen: the director's certificate: %w", err)
			}
		}
	}
	p.kinds = interleave(j.Mix)
	return p, nil
}

// maxAnalysts is the most analysts of one worker.
const maxAnalysts = 250

func pool(pem string) (*x509.CertPool, error) {
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM([]byte(pem)) {
		return nil, errors.New("not a certificate in PEM")
	}
	return p, nil
}

// interleave spreads the kinds of a mix evenly over one round of it.
func interleave(mix []Weight) []Kind {
	total := 0
	for _, w := range mix {
		total += w.Weight
	}
	credit := make([]int, len(mix))
	var out []Kind
	for range total {
		best := 0
		for i := range mix {
			if credit[i] += mix[i].Weight; credit[i] > credit[best] {
				best = i
			}
		}
		credit[best] -= total
		out = append(out, mix[best].Kind)
	}
	return out
}

// share is how many of n requests are of a kind, rounded up.
func (p *plan) share(k Kind, n int64) int64 {
	of := int64(0)
	for _, kind := range p.kinds {
		if kind == k {
			of++
		}
	}
	return (n*of + int64(len(p.kinds)) - 1) / int64(len(p.kinds))
}
