package analyst

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"ecoin/internal/identity"
	"ecoin/internal/problem"
)

const (
	// A lease lasts 15 s. Two renewals may fail before it runs out.
	renewTime = 5 * time.Second

	directorTimeout = 3 * time.Second // for one call
	retryTime       = time.Second     // after a failed one
)

// lease keeps the analyst registered with its director.
type lease struct {
	url  string // of the registration
	body []byte
	http http.Client
	log  *slog.Logger
}

// newLease prepares the registration that o describes.
func newLease(o *Options) (*lease, error) {
	body, err := json.Marshal(struct {
		URL      string   `json:"url"`
		Analyses []string `json:"analyses"`
		Capacity int      `json:"capacity"`
	}{o.URL, slices.Sorted(maps.Keys(o.Analyses)), o.Capacity})
	if err != nil {
		return nil, fmt.Errorf("analyst: registration: %w", err)
	}
	return &lease{
		url:  strings.TrimSuffix(o.Director, "/") + "/v1/analysts/" + o.ID,
		body: body,
		http: http.Client{
			Timeout: directorTimeout,
			Transport: &http.Transport{
				TLSClientConfig:     identity.PinnedClientConfig(o.Identity, o.DirectorPin),
				TLSHandshakeTimeout: directorTimeout,
				IdleConnTimeout:     3 * renewTime,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		log: o.Logger,
	}, nil
}

// keep registers and renews until ctx ends, and then ends the lease.
func (l *lease) keep(ctx context.Context) {
	defer l.http.CloseIdleConnections()
	live, last := false, ""
	for {
		err := l.call(ctx, http.MethodPut, l.body)
		pause := renewTime
		switch {
		case ctx.Err() != nil:
		case err != nil:
			pause = retryTime
			if live || last != err.Error() { // once is enough
				l.log.Warn("cannot register with the director; trying again", "url", l.url, "error", err)
			}
			live, last = false, err.Error()
		case !live:
			live, last = true, ""
			l.log.Info("registered", "url", l.url)
		}
		select {
		case <-time.After(pause):
			continue
		case <-ctx.Done():
		}
		// Even if not known to be live: an answer may have been lost.
		end, cancel := context.WithTimeout(context.Background(), directorTimeout)
		defer cancel()
		if err := l.call(end, http.MethodDelete, nil); err != nil && live {
			l.log.Warn("cannot end the lease; it runs out by itself", "url", l.url, "error", err)
		}
		return
	}
}

// call makes one call and returns what the director has against it.
func (l *lease) call(ctx context.Context, method string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, method, l.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("analyst: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := l.http.Do(req)
	if err != nil {
		return fmt.Errorf("analyst: no answer from the director: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, problem.MaxBody))
	if err != nil {
		return fmt.Errorf("analyst: no answer from the director: %w", err)
	}
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusNoContent {
		return nil
	}
	if p, err := problem.Parse(resp.StatusCode, resp.Header, answer); err == nil {
		return fmt.Errorf("analyst: the director refuses: %w", p)
	}
	return fmt.Errorf("analyst: the director answered with status %d", resp.StatusCode)
}
