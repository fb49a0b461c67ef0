package identity

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"time"
)

// sessions is how many TLS sessions a client keeps for resumption, one per server.
// A resumed handshake costs both sides about half of a full one.
const sessions = 16

// ServerConfig returns a server's configuration: every client presents a
// certificate and passes [CheckPeer] and then verify, on resumed sessions too.
// verify gets the client's pin; its error ends the handshake with an alert that
// tells the client nothing else, and must be safe to log. A nil verify admits every
// key: then the pin is the caller's name, and nothing more.
//
// verify runs concurrently. It decides about new connections alone; a server that
// takes a key back also closes that key's open ones.
func ServerConfig(id *Identity, verify func(pin [sha256.Size]byte) error) *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		NextProtos:   []string{"http/1.1"},
		Certificates: []tls.Certificate{id.Certificate},
		ClientAuth:   tls.RequireAnyClientCert,
		VerifyConnection: func(cs tls.ConnectionState) error {
			_, pin, err := CheckPeer(cs, time.Now())
			if err != nil || verify == nil {
				return err
			}
			return verify(pin)
		},
	}
}

// ClientConfig returns the configuration of a client that knows its server by the
// certificates in roots (see [ReadRoots]): the server's own certificate, or that of
// an authority; its host names count. Nil roots trust nobody.
//
// The client presents id whatever authorities the server names.
func ClientConfig(id *Identity, roots *x509.CertPool) *tls.Config {
	if roots == nil {
		roots = x509.NewCertPool() // crypto/tls would take the machine's own list
	}
	c := clientConfig(id)
	c.RootCAs = roots
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		_, _, err := CheckPeer(cs, time.Now())
		return err
	}
	return c
}

// PinnedClientConfig returns the configuration of a client that knows its server by
// pin alone. The server's host name and the signature on its certificate do not
// count: the handshake proves that it has the pinned key, and nobody else has.
func PinnedClientConfig(id *Identity, serverPin [sha256.Size]byte) *tls.Config {
	c := clientConfig(id)
	c.InsecureSkipVerify = true // the pin below takes the place of names and chains
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		_, pin, err := CheckPeer(cs, time.Now())
		if err != nil {
			return err
		}
		if subtle.ConstantTimeCompare(pin[:], serverPin[:]) != 1 {
			return fmt.Errorf("identity: the server's key has pin %s, want %s",
				hex.EncodeToString(pin[:]), hex.EncodeToString(serverPin[:]))
		}
		return nil
	}
	return c
}

func clientConfig(id *Identity) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{"http/1.1"},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &id.Certificate, nil
		},
		ClientSessionCache: tls.NewLRUClientSessionCache(sessions),
	}
}
