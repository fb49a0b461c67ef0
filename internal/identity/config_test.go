package identity

import (
	"crypto"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// outcome is what both ends saw of one connection on which each sent one byte.
type outcome struct {
	client, server error
	resumed        bool
}

// connect makes one connection over loopback. The client reads the server's byte:
// only then does it know that the server accepted it, and has a session ticket.
func connect(t *testing.T, server, client *tls.Config) outcome {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	served := make(chan error, 1)
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			served <- err
			return
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		s := tls.Server(conn, server)
		if err = s.Handshake(); err == nil {
			if _, err = s.Write([]byte{'s'}); err == nil {
				_, err = io.ReadFull(s, make([]byte, 1))
			}
		}
		served <- err
	}()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if client.ServerName == "" {
		client = client.Clone()
		client.ServerName = "localhost"
	}
	c := tls.Client(conn, client)
	var o outcome
	if o.client = c.Handshake(); o.client == nil {
		if _, o.client = io.ReadFull(c, make([]byte, 1)); o.client == nil {
			_, o.client = c.Write([]byte{'c'})
		}
	}
	o.resumed = c.ConnectionState().DidResume
	conn.Close()
	o.server = <-served
	return o
}

func (o outcome) ok() bool { return o.client == nil && o.server == nil }

func TestMutualTLS(t *testing.T) {
	now := time.Now()
	server, client, stranger := newIdentity(t), newIdentity(t), newIdentity(t)
	errUnknown := errors.New("unknown key")
	knowsClient := func(pin [32]byte) error {
		if pin != client.Pin {
			return errUnknown
		}
		return nil
	}
	rsaID := foreign(t, rsaKey(), now.Add(-time.Hour), now.Add(time.Hour))
	expired := foreign(t, client.Certificate.PrivateKey.(crypto.Signer), now.Add(-2*time.Hour), now.Add(-time.Hour))
	future := foreign(t, client.Certificate.PrivateKey.(crypto.Signer), now.Add(time.Hour), now.Add(2*time.Hour))
	renewed := foreign(t, client.Certificate.PrivateKey.(crypto.Signer), now.Add(-time.Hour), now.Add(time.Hour))
	thief := &Identity{Certificate: tls.Certificate{Certificate: client.Certificate.Certificate, PrivateKey: stranger.Certificate.PrivateKey}}

	noCert := ClientConfig(client, pool(server))
	noCert.GetClientCertificate = nil
	tls12 := ClientConfig(client, pool(server))
	tls12.MinVersion, tls12.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	otherName := ClientConfig(client, pool(server))
	otherName.ServerName = "bank.example"
	h2 := ClientConfig(client, pool(server))
	h2.NextProtos = []string{"h2"}

	serve := func(id *Identity) *tls.Config { return ServerConfig(id, knowsClient) }
	if ClientConfig(client, nil).RootCAs == nil {
		t.Error("without roots the machine's own list is trusted")
	}
	tests := []struct {
		name           string
		server, client *tls.Config
		ok             bool
	}{
		{"known client", serve(server), ClientConfig(client, pool(server)), true},
		{"renewed certificate of a known key", serve(server), ClientConfig(renewed, pool(server)), true},
		{"pinned server", serve(server), PinnedClientConfig(client, server.Pin), true},
		{"any key where none is looked up", ServerConfig(server, nil), ClientConfig(stranger, pool(server)), true},

		{"no certificate", serve(server), noCert, false},
		{"no certificate where none is looked up", ServerConfig(server, nil), noCert, false},
		{"unknown client", serve(server), ClientConfig(stranger, pool(server)), false},
		{"the certificate without its key", serve(server), ClientConfig(thief, pool(server)), false},
		{"expired", serve(server), ClientConfig(expired, pool(server)), false},
		{"expired where none is looked up", ServerConfig(server, nil), ClientConfig(expired, pool(server)), false},
		{"not yet valid", serve(server), ClientConfig(future, pool(server)), false},
		{"RSA client", ServerConfig(server, nil), ClientConfig(rsaID, pool(server)), false},
		{"P-384 client", ServerConfig(server, nil), ClientConfig(foreign(t, ecKey(t, elliptic.P384()), now.Add(-time.Hour), now.Add(time.Hour)), pool(server)), false},
		{"TLS 1.2", serve(server), tls12, false},
		{"HTTP/2 alone", serve(server), h2, false},

		{"another server", serve(stranger), ClientConfig(client, pool(server)), false},
		{"another host name", serve(server), otherName, false},
		{"no roots", serve(server), ClientConfig(client, nil), false},
		{"RSA server in the roots", serve(rsaID), ClientConfig(client, pool(rsaID)), false},
		{"expired server in the roots", serve(expired), ClientConfig(client, pool(expired)), false},
		{"another server, pinned", serve(stranger), PinnedClientConfig(client, server.Pin), false},
		{"expired server, pinned", serve(expired), PinnedClientConfig(client, expired.Pin), false},
		{"RSA server, pinned", serve(rsaID), PinnedClientConfig(client, rsaID.Pin), false},
		{"the server's certificate without its key, pinned",
			serve(&Identity{Certificate: tls.Certificate{Certificate: server.Certificate.Certificate, PrivateKey: stranger.Certificate.PrivateKey}}),
			PinnedClientConfig(client, server.Pin), false},
		{"no pin", serve(server), PinnedClientConfig(client, [32]byte{}), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := connect(t, tt.server, tt.client)
			if tt.ok != o.ok() {
				t.Errorf("client: %v; server: %v", o.client, o.server)
			}
			if !tt.ok && o.client == nil {
				t.Error("the client got a byte")
			}
			if o.client != nil && strings.Contains(o.client.Error(), errUnknown.Error()) {
				t.Errorf("the client is told why: %v", o.client)
			}
		})
	}
}

// A client that connected once holds a session ticket. When its key is removed, the
// ticket must not let it in again.
func TestResumedSessionOfARevokedKeyIsRefused(t *testing.T) {
	server, client := newIdentity(t), newIdentity(t)
	var revoked atomic.Bool
	var asked atomic.Int32
	check := func() error {
		asked.Add(1)
		if revoked.Load() {
			return errors.New("revoked")
		}
		return nil
	}
	run := func(t *testing.T, sc, cc *tls.Config) outcome {
		revoked.Store(false)
		asked.Store(0)
		if o := connect(t, sc, cc); !o.ok() || o.resumed {
			t.Fatalf("first: %+v", o)
		}
		if o := connect(t, sc, cc); !o.ok() || !o.resumed {
			t.Fatalf("second: %+v", o)
		}
		revoked.Store(true)
		return connect(t, sc, cc)
	}

	for name, cc := range map[string]*tls.Config{
		"known by roots": ClientConfig(client, pool(server)),
		"known by pin":   PinnedClientConfig(client, server.Pin),
	} {
		t.Run(name, func(t *testing.T) {
			o := run(t, ServerConfig(server, func([32]byte) error { return check() }), cc)
			if o.client == nil || o.server == nil || !strings.Contains(o.server.Error(), "revoked") {
				t.Errorf("revoked: %+v", o)
			}
			if asked.Load() != 3 {
				t.Errorf("the pin was looked up %d times in 3 handshakes", asked.Load())
			}
		})
	}

	// Why ServerConfig is as it is: the other hook is not called on resumption. If
	// this stops being so, the test above no longer shows what it claims.
	t.Run("VerifyPeerCertificate is skipped", func(t *testing.T) {
		sc := ServerConfig(server, nil)
		sc.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { return check() }
		o := run(t, sc, ClientConfig(client, pool(server)))
		if !o.ok() || !o.resumed || asked.Load() != 1 {
			t.Errorf("crypto/tls has changed: %+v, asked %d times", o, asked.Load())
		}
	})
}

// The client checks its server on resumed sessions too.
func TestResumedSessionOfAnotherServerIsRefused(t *testing.T) {
	one, two, client := newIdentity(t), newIdentity(t), newIdentity(t)
	first, second := ServerConfig(one, nil), ServerConfig(two, nil)
	var key [32]byte
	first.SetSessionTicketKeys([][32]byte{key})
	second.SetSessionTicketKeys([][32]byte{key})

	pinOne, pinTwo := PinnedClientConfig(client, one.Pin), PinnedClientConfig(client, two.Pin)
	pinTwo.ClientSessionCache = pinOne.ClientSessionCache
	if o := connect(t, first, pinOne); !o.ok() {
		t.Fatalf("first: %+v", o)
	}
	if o := connect(t, second, pinTwo); o.client == nil {
		t.Errorf("a session made with server one passes for server two: %+v", o)
	}
}
