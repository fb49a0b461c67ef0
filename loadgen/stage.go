package loadgen

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"

	"ecoin/client"
	"ecoin/internal/wire"
	"ecoin/loadgen/fleet"
	"ecoin/loadgen/host"
)

// StageOptions configures [NewStage]. Either SelfContained, or URL and Certificate.
type StageOptions struct {
	SelfContained bool     // start a bank, and for operations a director and analysts
	Exe           string   // the ecoin binary, for that and for workers
	Dir           string   // where its folder is made
	BankArgs      []string // more flags for it
	Market        int      // analysts behind a director, for operations; 0 for none

	URL         string // of a bank that runs: https://HOST:PORT
	Certificate string // file with its certificate
	AdminSocket string // to open the fleet's accounts with; "" when they are open already

	DirectorURL         string // for operations
	DirectorCertificate string

	Suite    string
	Seed     fleet.Seed
	Fleet    int   // collectors
	Analysts int   // of the fleet, that redeem
	Credit   int64 // granted to each collector when its account is opened

	Tell func(text string, done, all int) // progress; may be nil
}

// A Stage is where loads take place: a bank, and the accounts of a fleet at it. One
// goroutine uses it.
type Stage struct {
	o     StageOptions
	bank  *host.Bank    // nil when it is not ours
	admin *client.Admin // nil when there is no socket
	base  Job           // what all jobs share
	roots *x509.CertPool
	// analysts and collectors are to look at their accounts.
	analysts, collectors *fleet.Pool
	market               []string // accounts of the analysts behind the director
	ids                  []Account
}

// NewStage starts or finds the bank and opens the fleet's accounts.
func NewStage(ctx context.Context, o StageOptions) (*Stage, error) {
	if o.Analysts < 1 || o.Fleet < 1 {
		return nil, errors.New("loadgen: a fleet has at least one analyst and one collector")
	}
	s := &Stage{o: o}
	if s.o.Tell == nil {
		s.o.Tell = func(string, int, int) {}
	}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Stage) open(ctx context.Context) error {
	var cert, directorCert []byte
	var err error
	s.base = Job{Suite: s.o.Suite, Seed: s.o.Seed.Reveal()}
	switch {
	case s.o.SelfContained:
		s.o.Tell("starting a bank", 0, 0)
		if s.bank, err = host.StartBank(ctx, host.Options{Exe: s.o.Exe, Dir: s.o.Dir, Suite: s.o.Suite, Args: s.o.BankArgs}); err != nil {
			return err
		}
		if cert, err = s.bank.Certificate(); err != nil {
			return err
		}
		s.admin, s.base.Bank = s.bank.Admin(), s.bank.API()
		if s.o.Market > 0 {
			m, err := s.bank.StartMarket(ctx, s.o.Market)
			if err != nil {
				return err
			}
			s.base.Director, directorCert, s.market = m.Director, m.Certificate, m.Analysts
		}
	default:
		if s.base.Bank, cert, err = target(s.o.URL, s.o.Certificate); err != nil {
			return fmt.Errorf("loadgen: the bank: %w", err)
		}
		if s.o.DirectorURL != "" {
			if s.base.Director, directorCert, err = target(s.o.DirectorURL, s.o.DirectorCertificate); err != nil {
				return fmt.Errorf("loadgen: the director: %w", err)
			}
		}
		if s.o.AdminSocket != "" {
			s.admin = client.NewAdmin(s.o.AdminSocket)
		}
	}
	s.base.Roots, s.base.DirectorRoots = string(cert), string(directorCert)
	if s.base.ServerName, _, err = net.SplitHostPort(s.base.Bank); err != nil {
		return err
	}
	if s.base.Director != "" {
		if s.base.DirectorName, _, err = net.SplitHostPort(s.base.Director); err != nil {
			return err
		}
	}
	if s.roots, err = pool(s.base.Roots); err != nil {
		return fmt.Errorf("loadgen: the bank's certificate: %w", err)
	}
	if s.admin != nil {
		if err := s.enrol(ctx); err != nil {
			return err
		}
	}
	options := fleet.PoolOptions{Address: s.base.Bank, Name: s.base.ServerName, Roots: s.roots, Seed: s.o.Seed, Role: roleAnalyst}
	s.analysts = fleet.NewPool(options)
	options.Role = roleCollector
	s.collectors = fleet.NewPool(options)
	for i := range s.o.Analysts {
		a, err := s.account(ctx, s.analysts, roleAnalyst, uint32(i))
		if err != nil {
			return err
		}
		id, err := hex.DecodeString(a.ID)
		if err != nil || len(id) != 16 {
			return errors.New("loadgen: the bank's account has an id that is none")
		}
		s.ids = append(s.ids, Account{uint32(i), [16]byte(id)})
	}
	return nil
}

// target returns host:port of a URL, and the certificate in a file.
func target(base, file string) (address string, cert []byte, err error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.Path != "" && u.Path != "/" {
		return "", nil, fmt.Errorf("%q: want https://HOST[:PORT]", base)
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	cert, err = os.ReadFile(file)
	return net.JoinHostPort(u.Hostname(), port), cert, err
}

// Accounts calls visit with every account of a fleet, as a bank's operator adds it.
func Accounts(seed fleet.Seed, collectors, analysts int, credit int64, visit func(wire.AddAccount) error) error {
	for i := range analysts {
		if err := visit(wire.AddAccount{Name: seed.Name(roleAnalyst, uint32(i)), Role: roleAnalyst, Pin: pinOf(seed, roleAnalyst, i)}); err != nil {
			return err
		}
	}
	for i := range collectors {
		if err := visit(wire.AddAccount{Name: seed.Name(roleCollector, uint32(i)), Role: roleCollector, Pin: pinOf(seed, roleCollector, i), Credit: credit}); err != nil {
			return err
		}
	}
	return nil
}

func pinOf(seed fleet.Seed, role string, i int) string {
	pin := seed.Pin(role, uint32(i))
	return hex.EncodeToString(pin[:])
}

// enrol opens the fleet's accounts.
func (s *Stage) enrol(ctx context.Context) error {
	var batch []wire.AddAccount
	done := 0
	flush := func() error {
		got, err := s.admin.Import(ctx, batch)
		if err != nil {
			return err
		}
		if len(got.Refused) > 0 {
			return fmt.Errorf("loadgen: the bank refuses the account %s: %s", batch[got.Refused[0].Index].Name, got.Refused[0].Reason)
		}
		done += len(batch)
		batch = batch[:0]
		s.o.Tell("opening accounts", done, s.o.Fleet+s.o.Analysts)
		return nil
	}
	err := Accounts(s.o.Seed, s.o.Fleet, s.o.Analysts, s.o.Credit, func(a wire.AddAccount) error {
		if batch = append(batch, a); len(batch) < wire.MaxImport {
			return nil
		}
		return flush()
	})
	if err == nil && len(batch) > 0 {
		err = flush()
	}
	return err
}

// Close ends what the stage started.
func (s *Stage) Close() error {
	for _, p := range []*fleet.Pool{s.analysts, s.collectors} {
		if p != nil {
			p.Close()
		}
	}
	if s.bank != nil {
		return s.bank.Stop()
	}
	return nil
}
