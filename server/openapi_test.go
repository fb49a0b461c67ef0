package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"ecoin/bank"
	"ecoin/core"
	"ecoin/internal/wire"
	"ecoin/ledger"
)

// spec is what the test reads of an OpenAPI file.
type spec struct {
	OpenAPI string `yaml:"openapi"`
	Paths   map[string]map[string]struct {
		OperationID string `yaml:"operationId"`
		Parameters  []struct {
			Name     string `yaml:"name"`
			In       string `yaml:"in"`
			Required bool   `yaml:"required"`
		} `yaml:"parameters"`
		RequestBody struct {
			Content map[string]struct {
				Schema struct {
					MinLength int `yaml:"minLength"`
					MaxLength int `yaml:"maxLength"`
				} `yaml:"schema"`
			} `yaml:"content"`
		} `yaml:"requestBody"`
		Responses map[string]specResponse `yaml:"responses"`
	} `yaml:"paths"`
	Components struct {
		Responses map[string]specResponse `yaml:"responses"`
		Schemas   map[string]struct {
			Required   []string       `yaml:"required"`
			Properties map[string]any `yaml:"properties"`
		} `yaml:"schemas"`
	} `yaml:"components"`
}

type specResponse struct {
	Ref     string         `yaml:"$ref"`
	Content map[string]any `yaml:"content"`
	Headers map[string]any `yaml:"headers"`
}

func readSpec(t *testing.T) *spec {
	t.Helper()
	s := new(spec)
	if err := yaml.Unmarshal([]byte(openAPI), s); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(s.OpenAPI, "3.1.") {
		t.Errorf("version %s", s.OpenAPI)
	}
	for path, methods := range s.Paths {
		for method, op := range methods {
			for code, r := range op.Responses {
				if name, ok := strings.CutPrefix(r.Ref, "#/components/responses/"); ok {
					target, found := s.Components.Responses[name]
					if !found {
						t.Errorf("%s %s %s: %s is not defined", method, path, code, r.Ref)
					}
					op.Responses[code] = target
				}
			}
		}
	}
	return s
}

// failingBank fails every call with err, unless it is nil.
type failingBank struct {
	Bank
	err *error
}

func (b failingBank) Withdraw(ctx context.Context, acc ledger.Client, dst []byte, id ledger.RequestID, n int) ([]byte, error) {
	if *b.err != nil {
		return dst, *b.err
	}
	return b.Bank.Withdraw(ctx, acc, dst, id, n)
}

func (b failingBank) Redeem(ctx context.Context, acc ledger.Client, dst, body []byte) ([]byte, error) {
	if *b.err != nil {
		return dst, *b.err
	}
	return b.Bank.Redeem(ctx, acc, dst, body)
}

func (b failingBank) Return(ctx context.Context, acc ledger.Client, dst, body []byte) ([]byte, error) {
	if *b.err != nil {
		return dst, *b.err
	}
	return b.Bank.Return(ctx, acc, dst, body)
}

func (b failingBank) Refund(ctx context.Context, acc ledger.Client, dst, body []byte) ([]byte, error) {
	if *b.err != nil {
		return dst, *b.err
	}
	return b.Bank.Refund(ctx, acc, dst, body)
}

func (b failingBank) Account(ctx context.Context, acc ledger.Client) (wire.Account, error) {
	if *b.err != nil {
		return wire.Account{}, *b.err
	}
	return b.Bank.Account(ctx, acc)
}

func (b failingBank) Keys() wire.Keys {
	if *b.err != nil {
		panic("keys") // has no error to return; a panic is its only failure
	}
	return b.Bank.Keys()
}

// TestOpenAPI walks the file against the handlers, both ways: every documented path,
// method and status is provoked, with the documented media type, and every route and
// every status of the table of refusals is documented.
func TestOpenAPI(t *testing.T) {
	s := readSpec(t)
	var fail error
	h := start(t, func(o *Options) { o.Bank = failingBank{o.Bank, &fail} })
	collector, analyst := h.collector(), h.analyst()
	poor := h.client("poor", ledger.RoleCollector, 0)
	coin := collector.withdraw(1)[0]

	// Both ways: routes.
	routed := slices.Sorted(maps.Keys(h.s.routes))
	if documented := slices.Sorted(maps.Keys(s.Paths)); !slices.Equal(routed, documented) {
		t.Fatalf("routed %v, documented %v", routed, documented)
	}

	type call struct {
		role, other *peer
		path        string // with a query
		body        []byte
		header      []string
	}
	calls := map[string]call{
		wire.PathWithdraw: {collector, analyst, wire.PathWithdraw + "?n=1", nil, []string{wire.HeaderIdempotencyKey, key(1)}},
		wire.PathRedeem:   {analyst, collector, wire.PathRedeem, h.record(coin), nil},
		wire.PathReturn:   {analyst, collector, wire.PathReturn, h.record(coin), nil},
		wire.PathRefund:   {collector, analyst, wire.PathRefund, coin[:], nil},
		wire.PathAccount:  {collector, nil, wire.PathAccount, nil, nil},
		wire.PathKeys:     {analyst, nil, wire.PathKeys, nil, nil},
		wire.PathOpenAPI:  {analyst, nil, wire.PathOpenAPI, nil, nil},
	}
	for path, methods := range s.Paths {
		if len(methods) != 1 {
			t.Errorf("%s has %d methods", path, len(methods))
		}
		for method, op := range methods {
			c, known := calls[path]
			if !known || !strings.EqualFold(method, h.s.routes[path].method) {
				t.Fatalf("%s %s is not called with this method, or not by this test", method, path)
			}
			upper := strings.ToUpper(method)
			with := func(who *peer, err error, path string, body []byte, header ...string) reply {
				t.Helper()
				fail = err
				defer func() { fail = nil }()
				return who.do(upper, path, body, header...)
			}
			provoke := map[string]func() reply{
				"200": func() reply { return with(c.role, nil, c.path, c.body, c.header...) },
				"400": func() reply {
					if path == wire.PathWithdraw {
						return with(c.role, nil, path+"?n=0", nil, c.header...)
					}
					return with(c.role, nil, path, []byte{1})
				},
				"402": func() reply { return with(poor, nil, c.path, nil, c.header...) },
				"403": func() reply { return with(c.other, nil, c.path, c.body, c.header...) },
				"409": func() reply {
					with(c.role, nil, c.path, c.body, c.header...)
					return with(c.role, nil, path+"?n=2", nil, c.header...)
				},
				"411": func() reply {
					conn := c.role.dial()
					conn.send(upper + " " + c.path + " HTTP/1.1\nHost: b\n\n")
					r, err := conn.read()
					if err != nil {
						t.Fatal(err)
					}
					return r
				},
				"413": func() reply { return with(c.role, nil, c.path, make([]byte, h.s.routes[path].maxBody+1), c.header...) },
				"415": func() reply { return with(c.role, nil, path, c.body, "Content-Type", "text/html") },
				"429": func() reply {
					return with(c.role, &bank.RateError{Wait: time.Second}, c.path, c.body, c.header...)
				},
				"500": func() reply { return with(c.role, errors.New("broken"), c.path, c.body, c.header...) },
				"503": func() reply { return with(c.role, ledger.ErrOverload, c.path, c.body, c.header...) },
				"507": func() reply { return with(c.role, ledger.ErrLowDisk, c.path, c.body, c.header...) },
			}
			for code, response := range op.Responses {
				what := fmt.Sprintf("%s %s: %s", upper, path, code)
				if code == "default" {
					continue // below
				}
				f := provoke[code]
				if f == nil {
					t.Errorf("%s is documented and cannot be provoked", what)
					continue
				}
				status, _ := strconv.Atoi(code)
				r := f().want(t, what, status)
				if got := r.header.Get("Content-Type"); response.Content[got] == nil {
					t.Errorf("%s answers %q, documented %v", what, got, slices.Collect(maps.Keys(response.Content)))
				}
				for name := range response.Headers {
					if r.header.Get(name) == "" {
						t.Errorf("%s lacks %s", what, name)
					}
				}
				if retry := r.header.Get("Retry-After"); retry != "" && response.Headers["Retry-After"] == nil {
					t.Errorf("%s has an undocumented Retry-After", what)
				}
			}

			// The other way: whatever the table of refusals can make of this call.
			for _, row := range refusals {
				if path == wire.PathKeys || path == wire.PathOpenAPI {
					continue // ask the ledger nothing
				}
				possible := map[int]bool{400: true, 403: path != wire.PathAccount, 413: true, 503: true,
					402: path == wire.PathWithdraw, 409: path == wire.PathWithdraw, 507: path == wire.PathWithdraw}
				if path == wire.PathAccount {
					possible[400] = false // takes no input
				}
				if possible[row.status] && op.Responses[strconv.Itoa(row.status)].Content == nil {
					t.Errorf("%s %s can answer %d, which is not documented", upper, path, row.status)
				}
			}

			// Statuses of "default", by hand.
			conn := c.role.dial()
			conn.send(upper + " " + path + " HTTP/1.1\nHost: b\nTransfer-Encoding: chunked\n\n0\n\n")
			conn.mustRead(path+" chunked", 400)
			if r := c.role.do("PATCH", c.path, nil).want(t, path+" by PATCH", 405); r.header.Get("Allow") != upper {
				t.Errorf("%s allows %q", path, r.header.Get("Allow"))
			}
			c.role.do(upper, path+"x", nil).want(t, path+"x", 404)

			// Limits and parameters.
			for mediaType, content := range op.RequestBody.Content {
				if mediaType != wire.TypeBinary || content.Schema.MaxLength != h.s.routes[path].maxBody || content.Schema.MinLength == 0 {
					t.Errorf("%s takes up to %d bytes, documented %+v as %s", path, h.s.routes[path].maxBody, content.Schema, mediaType)
				}
			}
			if (len(op.RequestBody.Content) == 0) != (h.s.routes[path].maxBody == 0) {
				t.Errorf("%s: body documented %v, taken up to %d bytes", path, op.RequestBody.Content, h.s.routes[path].maxBody)
			}
			for _, p := range op.Parameters {
				if path != wire.PathWithdraw || !p.Required || p.Name != wire.ParamCount && p.Name != wire.HeaderIdempotencyKey {
					t.Errorf("%s has the parameter %+v", path, p)
				}
			}
		}
	}

	// The document names every suite.
	var suites []any
	for n := range 256 {
		if suite := core.Suite(n); suite.HeaderLen() != 0 {
			suites = append(suites, suite.String())
		}
	}
	key, _ := s.Components.Schemas["Key"].Properties["suite"].(map[string]any)
	documented, _ := key["enum"].([]any)
	if len(documented) != len(suites) {
		t.Errorf("suites %v, documented %v", suites, documented)
	}
	for _, suite := range suites {
		if !slices.Contains(documented, suite) {
			t.Errorf("suite %v is not documented", suite)
		}
	}

	// JSON answers have the documented members and no others.
	for schema, body := range map[string][]byte{
		"Account": collector.do("GET", wire.PathAccount, nil).body,
		"Keys":    collector.do("GET", wire.PathKeys, nil).body,
		"Key":     keyOf(t, collector.do("GET", wire.PathKeys, nil).body),
		"Problem": collector.do("GET", "/nowhere", nil).body,
	} {
		var got map[string]any
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatal(err)
		}
		doc := s.Components.Schemas[schema]
		for name, value := range got {
			property, ok := doc.Properties[name].(map[string]any)
			if !ok {
				t.Errorf("%s has the undocumented member %s", schema, name)
				continue
			}
			if pattern, ok := property["pattern"].(string); ok && !regexp.MustCompile(pattern).MatchString(fmt.Sprint(value)) {
				t.Errorf("%s: %s is %v, documented %s", schema, name, value, pattern)
			}
			if options, ok := property["enum"].([]any); ok && !slices.Contains(options, value) {
				t.Errorf("%s: %s is %v, documented %v", schema, name, value, options)
			}
		}
		for _, name := range doc.Required {
			if _, ok := got[name]; !ok {
				t.Errorf("%s lacks %s", schema, name)
			}
		}
	}
}

func keyOf(t *testing.T, body []byte) []byte {
	var keys struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(body, &keys); err != nil || len(keys.Keys) == 0 {
		t.Fatal(string(body), err)
	}
	return keys.Keys[0]
}
