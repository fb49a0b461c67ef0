package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"ecoin/internal/problem"
	"ecoin/internal/wire"
)

// newAdmin serves handler on a Unix socket and returns a client of it.
func newAdmin(t *testing.T, handler http.HandlerFunc) *Admin {
	t.Helper()
	dir, err := os.MkdirTemp("", "admin") // t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: handler}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	t.Cleanup(func() {
		srv.Close()
		<-done
		os.RemoveAll(dir)
	})
	return NewAdmin(socket)
}

func TestAdminCalls(t *testing.T) {
	account := wire.AdminAccount{ID: strings.Repeat("0a", 16), Name: "meter 1", Role: "collector", Pin: strings.Repeat("ab", 32),
		Created: time.Date(2026, 11, 23, 12, 0, 0, 5, time.UTC), Balance: 5, Granted: 10, Issued: 7, Redeemed: 1, Returned: 2, Refunded: 3}
	removed := wire.ChangedAccount{AdminAccount: account, ConnectionsClosed: 2}
	imported := wire.Imported{Added: 1, Refused: []wire.Refusal{{Index: 1, Reason: "x"}}}
	two := int64(2)
	list := []wire.AccountLine{{Account: &account}, {Account: &account}, {End: &two}}
	audit := wire.Audit{Problems: []string{"shard 3: a coin is missing"}, Accounts: 2, Live: 3, Granted: 10}
	stats := wire.Stats{Live: 3, DoubleSpends: 4, Connections: 5}
	var wantMethod, wantPath, wantBody string
	var answer any
	a := newAdmin(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != wantMethod || r.RequestURI != wantPath || string(body) != wantBody {
			t.Errorf("%s %s %s, want %s %s %s", r.Method, r.RequestURI, body, wantMethod, wantPath, wantBody)
		}
		if got := r.Header.Get("Content-Type"); (got == wire.TypeJSON) != (wantBody != "") {
			t.Errorf("%s: content type %q", r.RequestURI, got)
		}
		if lines, ok := answer.([]wire.AccountLine); ok {
			w.Header().Set("Content-Type", wire.TypeLines)
			for _, line := range lines {
				json.NewEncoder(w).Encode(line)
			}
			return
		}
		text, err := json.Marshal(answer)
		if err != nil {
			t.Error(err)
		}
		send(w, wire.TypeJSON, text)
	})
	for _, tt := range []struct {
		name, method, path, body string
		answer                   any
		do                       func() (any, error)
		want                     any
	}{
		{"add", "POST", "/admin/accounts", `{"name":"meter 1","role":"collector","pin":"ab","credit":10}`, account, func() (any, error) {
			return a.AddAccount(ctx, wire.AddAccount{Name: "meter 1", Role: "collector", Pin: "ab", Credit: 10})
		}, account},
		{"list", "GET", "/admin/accounts", "", list, func() (any, error) { return accountsOf(a) }, []wire.AdminAccount{account, account}},
		{"show", "GET", "/admin/accounts/meter%201", "", account, func() (any, error) { return a.Account(ctx, "meter 1") }, account},
		{"import", "POST", "/admin/import", `{"accounts":[{"name":"a","role":"b","pin":"c","credit":1}]}`, imported, func() (any, error) {
			return a.Import(ctx, []wire.AddAccount{{Name: "a", Role: "b", Pin: "c", Credit: 1}})
		}, imported},
		{"suspend", "POST", "/admin/accounts/m/suspend", "", removed, func() (any, error) { return a.SuspendAccount(ctx, "m") }, removed},
		{"resume", "POST", "/admin/accounts/m/resume", "", removed, func() (any, error) { return a.ResumeAccount(ctx, "m") }, removed},
		{"add key", "POST", "/admin/accounts/m/add-key", `{"pin":"ab"}`, account, func() (any, error) { return a.AddKey(ctx, "m", "ab") }, account},
		{"drop key", "POST", "/admin/accounts/m/drop-key", `{"pin":"ab"}`, removed, func() (any, error) { return a.DropKey(ctx, "m", "ab") }, removed},
		{"remove", "POST", "/admin/accounts/meter%201%3Fx/remove", "", removed, func() (any, error) {
			return a.RemoveAccount(ctx, "meter 1?x")
		}, removed},
		{"credit", "POST", "/admin/accounts/" + account.ID + "/credit", `{"amount":-5}`, account, func() (any, error) {
			return a.Credit(ctx, account.ID, -5)
		}, account},
		{"audit", "POST", "/admin/audit", "", audit, func() (any, error) { return a.Audit(ctx) }, audit},
		{"checkpoint", "POST", "/admin/checkpoint", `{"dir":"/backup/1"}`, struct{}{}, func() (any, error) { return nil, a.Checkpoint(ctx, "/backup/1") }, nil},
		{"stats", "GET", "/admin/stats", "", stats, func() (any, error) { return a.Stats(ctx) }, stats},
	} {
		wantMethod, wantPath, wantBody, answer = tt.method, tt.path, tt.body, tt.answer
		if got, err := tt.do(); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
	}
}

func accountsOf(a *Admin) (out []wire.AdminAccount, err error) {
	err = a.Accounts(ctx, func(a wire.AdminAccount) error { out = append(out, a); return nil })
	return out, err
}

// TestAccountsBrokenOff: a list is whole only with its end.
func TestAccountsBrokenOff(t *testing.T) {
	line := `{"account":{"name":"m"}}` + "\n"
	for name, text := range map[string]string{
		"no end": line, "nothing": "", "half a line": line + line[:9], "another end": line + `{"end":2}`, "no account": line + `{}`, "not JSON": line + "x",
	} {
		a := newAdmin(t, func(w http.ResponseWriter, r *http.Request) { send(w, wire.TypeLines, []byte(text)) })
		if got, err := accountsOf(a); err == nil || Definite(err) {
			t.Errorf("%s: %d accounts, %v", name, len(got), err)
		}
	}
	enough := errors.New("enough")
	a := newAdmin(t, func(w http.ResponseWriter, r *http.Request) { send(w, wire.TypeLines, []byte(line+line+`{"end":2}`)) })
	visits := 0
	if err := a.Accounts(ctx, func(wire.AdminAccount) error { visits++; return enough }); !errors.Is(err, enough) || visits != 1 {
		t.Errorf("%v after %d visits", err, visits)
	}
}

func adminCalls(a *Admin) map[string]func() error {
	return map[string]func() error{
		"add":        func() error { return second(a.AddAccount(ctx, wire.AddAccount{})) },
		"list":       func() error { return second(accountsOf(a)) },
		"remove":     func() error { return second(a.RemoveAccount(ctx, "x")) },
		"credit":     func() error { return second(a.Credit(ctx, "x", 1)) },
		"audit":      func() error { return second(a.Audit(ctx)) },
		"checkpoint": func() error { return a.Checkpoint(ctx, "/x") },
		"stats":      func() error { return second(a.Stats(ctx)) },
		"show":       func() error { return second(a.Account(ctx, "x")) },
		"import":     func() error { return second(a.Import(ctx, nil)) },
		"suspend":    func() error { return second(a.SuspendAccount(ctx, "x")) },
		"add key":    func() error { return second(a.AddKey(ctx, "x", "y")) },
	}
}

func TestAdminErrors(t *testing.T) {
	refusing := newAdmin(t, func(w http.ResponseWriter, r *http.Request) {
		problem.Write(w, problem.New(409, "the key has an account"))
	})
	for name, call := range adminCalls(refusing) {
		var p *problem.Problem
		if err := call(); !Definite(err) || !errors.As(err, &p) || p.Status != 409 || !strings.Contains(err.Error(), "the key has an account") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for answer, handler := range map[string]http.HandlerFunc{
		"not JSON":    func(w http.ResponseWriter, r *http.Request) { send(w, wire.TypeJSON, []byte("ZZZZ")) },
		"an array":    func(w http.ResponseWriter, r *http.Request) { send(w, wire.TypeJSON, []byte("[1]")) },
		"text":        func(w http.ResponseWriter, r *http.Request) { send(w, "text/plain", []byte("{}")) },
		"empty":       func(w http.ResponseWriter, r *http.Request) { send(w, wire.TypeJSON, nil) },
		"cut":         func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Length", "99"); cutJSON(w) },
		"no answer":   func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) },
		"500":         func(w http.ResponseWriter, r *http.Request) { problem.Write(w, problem.New(500, "x")) },
		"404 as text": http.NotFound,
	} {
		for name, call := range adminCalls(newAdmin(t, handler)) {
			unknown(t, name+": "+answer, 0, call())
		}
	}
}

func cutJSON(w http.ResponseWriter) {
	w.Header().Set("Content-Type", wire.TypeJSON)
	w.Write([]byte("{"))
}

func TestAdminWithoutBank(t *testing.T) {
	dir, err := os.MkdirTemp("", "admin")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for name, want := range map[string]string{"none": "no bank is running", "file": "no bank is running", "left-over": "no bank is running"} {
		path := filepath.Join(dir, name)
		switch name {
		case "file":
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		case "left-over": // of a bank that was killed
			addr := &net.UnixAddr{Name: path, Net: "unix"}
			ln, err := net.ListenUnix("unix", addr)
			if err != nil {
				t.Fatal(err)
			}
			ln.SetUnlinkOnClose(false)
			ln.Close()
		}
		err := second(NewAdmin(path).Stats(ctx))
		if err == nil || Definite(err) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAdminHonoursContext(t *testing.T) {
	release := make(chan struct{})
	a := newAdmin(t, func(w http.ResponseWriter, r *http.Request) { <-release })
	defer close(release)
	limited, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if _, err := a.Audit(limited); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// FuzzAnswer plays a bank that writes arbitrary bytes. Whatever they are, a call
// returns an answer of the right length or an error, and never both.
func FuzzAnswer(f *testing.F) {
	head := "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: "
	for _, seed := range []string{
		head + "2\r\n\r\n\x00\x04", head + "2\r\n\r\n\x00\x01", head + "1\r\n\r\n\x00", head + "3\r\n\r\n\x00\x00\x00",
		"HTTP/1.1 403 Forbidden\r\nContent-Type: application/problem+json\r\nContent-Length: 13\r\n\r\n{\"title\":\"x\"}",
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{\"keys\":[]}", "", "HTTP/1.1 100 Continue\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		c := &Client{caller{base: "http://bank", timeout: 5 * time.Second, transport: &http.Transport{
			DialContext: func(context.Context, string, string) (net.Conn, error) {
				ours, theirs := net.Pipe()
				go func() {
					buf := make([]byte, 4096)
					for seen := []byte(nil); !bytes.Contains(seen, []byte("\r\n\r\n")); {
						n, err := theirs.Read(buf)
						if err != nil {
							break
						}
						seen = append(seen, buf[:n]...)
					}
					go io.Copy(io.Discard, theirs)
					theirs.Write(answer)
					theirs.Close()
				}()
				return ours, nil
			},
			DisableKeepAlives: true, MaxResponseHeaderBytes: maxHeader,
		}}}
		if got, err := c.Return(ctx, records(2)); (err == nil) != (len(got) == 2) || err != nil && got != nil {
			t.Errorf("return: %v, %v", got, err)
		}
		if got, err := c.Keys(ctx); (err == nil) != (len(got) > 0) || err != nil && got != nil {
			t.Errorf("keys: %v, %v", got, err)
		}
	})
}
