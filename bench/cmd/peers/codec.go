package main

import (
	"context"
	"fmt"
	"time"

	"ecoin/bench/codec"
	"ecoin/bench/harness"
)

var codecColumns = []harness.Column{
	{Key: codec.HeaderOpen, Head: "open a header, ns"},
	{Key: codec.HeaderSeal, Head: "seal a header, ns"},
	{Key: codec.PayloadOpen, Head: "open 4 KiB, ns"},
	{Key: codec.PayloadSeal, Head: "seal 4 KiB, ns"},
}

// codec asks what headers and payloads cost.
func (b *bench) codec(ctx context.Context) ([]*harness.Question, error) {
	q := &harness.Question{
		Name: "codec", Title: "Codec", Headline: codec.HeaderOpen, Columns: codecColumns,
		Text:   "What do a header of 48 bytes and a payload of 4 KiB cost, sealed and opened, on one processor core? One goroutine in one process, each job in turn.",
		Limits: "several goroutines, other sizes (`make bench` has them), and processors with other instructions.",
	}
	impls, err := codec.Impls()
	if err != nil {
		return nil, err
	}
	for _, impl := range impls {
		q.Contenders = append(q.Contenders, harness.Contender{Name: impl.Name, Note: impl.Note, Against: impl.Against, Measure: func(ctx context.Context) (harness.Figures, error) {
			f := harness.Figures{}
			for name, job := range impl.Jobs {
				if f[name], err = job.Measure(b.sizes.job); err != nil {
					return nil, fmt.Errorf("%s: %w", name, err)
				}
			}
			return f, ctx.Err()
		}})
	}
	ssl, err := codec.FindOpenSSL()
	if err != nil {
		q.Skipped = append(q.Skipped, err.Error())
		return []*harness.Question{q}, nil
	}
	version, err := ssl.Version(ctx)
	if err != nil {
		return nil, err
	}
	against := []string{codec.Batch64, codec.OneByOne}
	for _, c := range []struct {
		name, note string
		measure    func(context.Context, time.Duration) (map[string]float64, error)
	}{
		{"OpenSSL, X25519", version + ", `openssl speed`: a header is one X25519 alone, without key schedule and AEAD; a payload AES-256-CBC and HMAC-SHA256 as two figures added, with keys that were set before", ssl.X25519},
		{"OpenSSL, RSA-3072", "the private and the public operation alone, without OAEP", ssl.RSA},
	} {
		q.Contenders = append(q.Contenders, harness.Contender{Name: c.name, Note: c.note, Against: against, Measure: func(ctx context.Context) (harness.Figures, error) {
			return c.measure(ctx, time.Second)
		}})
	}
	return []*harness.Question{q}, nil
}
