package client

import (
	"errors"
	"fmt"
	"net"

	"ecoin/internal/problem"
)

// Definite reports whether err says for certain that this call did nothing: the
// bank refused it with a status that promises so (4xx, 503, 507), or an argument
// was wrong and nothing was sent.
//
// It speaks of this call alone. If an earlier call with the same arguments ended in
// doubt, of this process or of one before it, that one may still be under way at the
// bank. A 4xx that depends on the arguments alone (400, 409, 411, 413, 415) settles the
// doubt; a 503 leaves it, and so does a 402, for the balance may be another when the
// earlier call comes to it.
func Definite(err error) bool {
	var p *problem.Problem
	var a *argumentError
	return errors.As(err, &p) || errors.As(err, &a)
}

// argumentError says that a call was not sent, because an argument is wrong.
type argumentError struct{ msg string }

func (e *argumentError) Error() string { return e.msg }

func badArgument(call, format string, args ...any) error {
	return &argumentError{"client: " + call + ": " + fmt.Sprintf(format, args...)}
}

// refused turns a problem answer into a call's error: one that errors.As finds as
// a *problem.Problem when it is definite, and plain text when it is not.
func refused(call string, p *problem.Problem) error {
	if p.Definite() {
		return fmt.Errorf("client: %s: %w", call, p)
	}
	return fmt.Errorf("client: %s: outcome unknown: %s", call, p.Error())
}

// malformed says that an answer arrived that cannot be one. The reason must not
// quote it.
func malformed(call string, reason error) error {
	return fmt.Errorf("client: %s: outcome unknown: malformed answer: %w", call, reason)
}

// unanswered says that no answer arrived, and what to look at.
func unanswered(call string, err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" { // how crypto/tls reports the peer's alert
		return fmt.Errorf("client: %s: the bank ended the connection: is this client's key in its truststore, and its certificate valid? %w", call, err)
	}
	return fmt.Errorf("client: %s: no answer: %w", call, err)
}
