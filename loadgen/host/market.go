package host

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"ecoin/internal/identity"
	"ecoin/internal/subprocess"
	"ecoin/internal/wire"
)

// Market is a director, and the analysts behind it, that serve operations.
type Market struct {
	Director    string // host:port
	Certificate []byte // the director's, PEM
	Analysts    []string
}

// StartMarket starts a director and so many analysts, which redeem at b.
func (b *Bank) StartMarket(ctx context.Context, analysts int) (*Market, error) {
	m := &Market{}
	if _, err := b.identity("director"); err != nil {
		return nil, err
	}
	attrs, err := b.role(ctx, "director", "listening", append([]string{"director", "--listen", "127.0.0.1:0", "--max-conns-per-address", "8192"}, b.credentials("director")...)...)
	if err != nil {
		return nil, err
	}
	url := fmt.Sprint(attrs["url"])
	m.Director = strings.TrimPrefix(url, "https://")
	if m.Certificate, err = os.ReadFile(b.file("director", "crt")); err != nil {
		return nil, err
	}
	for i := range analysts {
		name := "analyst-" + strconv.Itoa(i+1)
		id, err := b.identity(name)
		if err != nil {
			return nil, err
		}
		if _, err := b.admin.AddAccount(ctx, wire.AddAccount{Name: name, Role: "analyst", Pin: fmt.Sprintf("%x", id.Pin)}); err != nil {
			return nil, err
		}
		if _, err := b.role(ctx, name, "registered", append([]string{"analyst", "--id", name, "--listen", "127.0.0.1:0",
			"--bank", "https://" + b.api, "--bank-cert", b.certificate(), "--director", url, "--director-cert", b.file("director", "crt")},
			b.credentials(name)...)...); err != nil {
			return nil, err
		}
		m.Analysts = append(m.Analysts, name)
	}
	return m, nil
}

func (b *Bank) role(ctx context.Context, name, msg string, args ...string) (map[string]any, error) {
	p, err := subprocess.Start(name, nil, b.o.Exe, args...)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	b.others = append(b.others, p)
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return p.WaitFor(ctx, msg)
}

func (b *Bank) identity(name string) (*identity.Identity, error) {
	dir := filepath.Join(b.dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return identity.Create(dir, name, []string{"127.0.0.1", "localhost"})
}

func (b *Bank) file(name, ext string) string { return filepath.Join(b.dir, name, name+"."+ext) }

func (b *Bank) credentials(name string) []string {
	return []string{"--cert", b.file(name, "crt"), "--key", b.file(name, "key")}
}
