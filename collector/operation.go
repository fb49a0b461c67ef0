package collector

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"ecoin/collector/wallet"
	"ecoin/core"
)

var (
	// ErrTooLarge reports a body that one operation cannot carry. No coin was used.
	ErrTooLarge = errors.New("collector: input too large for one operation")

	// ErrNoCoin reports that the wallet is empty and could not be filled. It comes
	// wrapped with the reason.
	ErrNoCoin = errors.New("collector: no coin for the operation")

	// ErrReply reports a reply that did not open: it was altered, made up, or
	// belongs to another operation. Which, nobody can tell.
	ErrReply = errors.New("the director's answer is not this operation's reply")
)

// A Failure is the error of an operation that was begun. Its coin is bad: a refund
// finds out whether anybody redeemed it.
type Failure struct {
	Analysis string
	Coin     string // name of the coin's file in the wallet
	Err      error
}

// Error says what failed, and what became of the coin.
func (f *Failure) Error() string {
	return fmt.Sprintf("collector: %s: %v; coin %s is bad, ask for a refund", f.Analysis, f.Err, f.Coin)
}

func (f *Failure) Unwrap() error { return f.Err }

// Result is the answer to one operation.
type Result struct {
	Status core.ReplyStatus // core.ReplyRefused: the analysis refused this input, and Body says why
	Body   []byte           // the caller's
	Took   time.Duration    // from taking the coin to the opened reply
}

// Do has body analysed by the analysis with the given name, and pays one coin. It does
// not change body.
//
// An input that the analysis refuses is a Result, not an error. An error is a
// *Failure if the operation was begun and used a coin; otherwise no coin was
// used: ErrTooLarge, ErrNoCoin, ctx's error, or what is wrong with the arguments.
// Do never tries twice; the caller may call it again, and pays with another coin.
func (c *Collector) Do(ctx context.Context, analysis string, body []byte) (Result, error) {
	if c.director == nil {
		return Result{}, errors.New("collector: no director: give its URL and certificate")
	}
	if !core.ValidName(analysis) {
		return Result{}, fmt.Errorf("collector: analysis %.80q: a name is 1 to %d of a-z 0-9 . _ -, first a letter or digit", analysis, core.MaxNameLen)
	}
	plain := 1 + len(analysis) + len(body)
	if n := requestLen(c.o.Suite, plain); n > c.o.MaxRequest || plain > core.MaxPlaintext {
		return Result{}, fmt.Errorf("%w: %d bytes make a request of %d, at most %d: send fewer rows", ErrTooLarge, len(body), n, min(c.o.MaxRequest, requestLen(c.o.Suite, core.MaxPlaintext)))
	}
	key, err := c.keys.get(ctx)
	if err != nil {
		return Result{}, err
	}
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	coin, err := c.takeCoin(ctx)
	if err != nil {
		return Result{}, err
	}
	start := time.Now()
	status, reply, err := c.operate(ctx, key, coin, analysis, body)
	if err != nil {
		failure := &Failure{analysis, coin.Name(), err}
		if err := coin.Failed(); err != nil {
			failure.Err = errors.Join(failure.Err, err)
		}
		return Result{}, failure
	}
	took := time.Since(start)
	if err := coin.Spent(); err != nil {
		// The result is good. What is left of the coin becomes bad at the next
		// start, and its refund will say that it was redeemed.
		c.log.Warn("spent coin not removed", "error", err)
	}
	return Result{Status: status, Body: reply, Took: took}, nil
}

// operate seals, sends, and opens the reply. The coin is its to use, not to settle.
func (c *Collector) operate(ctx context.Context, key *core.PublicKey, coin *wallet.Held, analysis string, body []byte) (core.ReplyStatus, []byte, error) {
	sec := core.Secrets{Coin: coin.Coin}
	_, _ = rand.Read(sec.IV[:]) // never fails: crypto/rand ends the process instead
	var s core.Scratch
	defer func() { sec = core.Secrets{}; s.Wipe() }()

	request, err := seal(&s, key, &sec, analysis, body)
	if err != nil {
		return 0, nil, err
	}
	msg, err := c.director.send(ctx, analysis, request)
	if err != nil {
		var a *answerError
		if errors.As(err, &a) && a.unprocessed() {
			c.keys.doubt()
		}
		return 0, nil, err
	}
	plaintext, err := core.OpenReply(nil, &s, key, &sec, msg)
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", ErrReply, err)
	}
	return core.CutResult(plaintext)
}

func seal(s *core.Scratch, key *core.PublicKey, sec *core.Secrets, analysis string, body []byte) ([]byte, error) {
	n := 1 + len(analysis) + len(body)
	plaintext, err := core.AppendOperation(make([]byte, 0, n), analysis, body)
	defer clear(plaintext)
	if err != nil {
		return nil, err
	}
	record, err := key.AppendHeader(nil, s, sec)
	if err != nil {
		return nil, err
	}
	return core.AppendRequest(make([]byte, 0, requestLen(key.Suite(), n)), s, record, sec, plaintext)
}
