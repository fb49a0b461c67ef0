package problem

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func header(kv ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(kv); i += 2 {
		h.Set(kv[i], kv[i+1])
	}
	return h
}

func TestWriteAndParse(t *testing.T) {
	sent := &Problem{
		Type: "https://example.org/insufficient", Title: "Not enough credit", Status: 402,
		Detail: "balance is 3, asked for 5", RetryAfter: 1500 * time.Millisecond,
	}
	w := httptest.NewRecorder()
	Write(w, sent)
	if w.Code != 402 || w.Header().Get("Content-Type") != ContentType || w.Header().Get("Retry-After") != "2" {
		t.Errorf("status %d, header %v", w.Code, w.Header())
	}
	if got := w.Header().Get("Content-Length"); got != fmt.Sprint(w.Body.Len()) {
		t.Errorf("Content-Length %s, body of %d bytes", got, w.Body.Len())
	}
	got, err := Parse(w.Code, w.Header(), w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	want := *sent
	want.RetryAfter = 2 * time.Second
	if *got != want {
		t.Errorf("got %+v, want %+v", *got, want)
	}
	var p *Problem
	if err := fmt.Errorf("call: %w", got); !errors.As(err, &p) || !strings.Contains(err.Error(), "402 Not enough credit: balance is 3, asked for 5") {
		t.Errorf("as an error: %v", err)
	}
}

func TestWriteRefusesToSendSuccess(t *testing.T) {
	for _, status := range []int{0, 200, 302, 399, 600, -1} {
		w := httptest.NewRecorder()
		Write(w, &Problem{Status: status})
		if w.Code != 500 {
			t.Errorf("status %d is sent as %d", status, w.Code)
		}
		if w.Header().Get("Retry-After") != "" {
			t.Error("Retry-After without a wish")
		}
	}
}

func TestMarshalIsRFC9457(t *testing.T) {
	if got := string(Marshal(New(404, "no such path"))); got != `{"title":"Not Found","status":404,"detail":"no such path"}` {
		t.Error(got)
	}
	var members map[string]any
	if err := json.Unmarshal(Marshal(&Problem{Type: "t", Title: "a \"quoted\" title", Status: 400, Detail: "\x00"}), &members); err != nil || len(members) != 4 {
		t.Errorf("%v, %v", members, err)
	}
}

func TestError(t *testing.T) {
	for want, p := range map[string]*Problem{
		"404 Not Found":         {Status: 404},
		"404 gone for a walk":   {Status: 404, Title: "gone for a walk"},
		"409 Conflict: other n": {Status: 409, Detail: "other n"},
		"599":                   {Status: 599},
	} {
		if got := p.Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestDefinite(t *testing.T) {
	for status := range 700 {
		want := status >= 400 && status < 500 || status == 503 || status == 507
		if got := (&Problem{Status: status}).Definite(); got != want {
			t.Errorf("status %d: %v", status, got)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	good := []byte(`{"title":"x"}`)
	for _, tt := range []struct {
		name string
		h    http.Header
		body []byte
	}{
		{"no content type", header(), good},
		{"plain JSON", header("Content-Type", "application/json"), good},
		{"HTML", header("Content-Type", "text/html; charset=utf-8"), []byte("<html>secret</html>")},
		{"broken content type", header("Content-Type", ";;"), good},
		{"no body", header("Content-Type", ContentType), nil},
		{"cut JSON", header("Content-Type", ContentType), good[:5]},
		{"an array", header("Content-Type", ContentType), []byte(`["secret"]`)},
		{"a number as a title", header("Content-Type", ContentType), []byte(`{"title":7}`)},
		{"two values", header("Content-Type", ContentType), []byte(`{} {}`)},
		{"too long", header("Content-Type", ContentType), []byte(`{"title":"` + strings.Repeat("x", MaxBody) + `"}`)},
	} {
		p, err := Parse(400, tt.h, tt.body)
		if err == nil || p != nil {
			t.Errorf("%s: accepted", tt.name)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error quotes the body: %v", tt.name, err)
		}
	}
}

func TestParseTrustsTheStatusLineAlone(t *testing.T) {
	p, err := Parse(500, header("Content-Type", ContentType+"; charset=utf-8"), []byte(`{"status":403,"RetryAfter":5}`))
	if err != nil || p.Status != 500 || p.RetryAfter != 0 || p.Definite() {
		t.Errorf("%+v, %v", p, err)
	}
	for value, want := range map[string]time.Duration{"": 0, "7": 7 * time.Second, "-7": 0, "soon": 0, "99999999999999999999": 0} {
		p, err := Parse(503, header("Content-Type", ContentType, "Retry-After", value), []byte(`{}`))
		if err != nil || p.RetryAfter != want {
			t.Errorf("Retry-After %q: %v, %v", value, p.RetryAfter, err)
		}
	}
}

// Texts are cut between characters, at the last one that fits.
func TestParseCutsTexts(t *testing.T) {
	for _, c := range []string{"x", "é", "€", "𝄞", "\x01"} {
		body := Marshal(&Problem{Detail: strings.Repeat(c, maxText)})
		p, err := Parse(400, header("Content-Type", ContentType), body)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(p.Detail); n > maxText || n <= maxText-utf8.UTFMax || !utf8.ValidString(p.Detail) {
			t.Errorf("%d times %q: %d bytes are left", maxText, c, n)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"title":"a","detail":"b\u001b[2J\n"}`))
	f.Add([]byte(`{"detail":"` + strings.Repeat("é", 2000) + `"}`))
	f.Add([]byte(`null`))
	f.Add([]byte(``))
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := Parse(418, header("Content-Type", ContentType), body)
		if err != nil {
			return
		}
		for _, s := range []string{p.Type, p.Title, p.Detail} {
			if !utf8.ValidString(s) || len(s) > maxText || strings.ContainsFunc(s, unicode.IsControl) {
				t.Fatalf("unsafe text %q", s)
			}
		}
		again, err := Parse(418, header("Content-Type", ContentType), Marshal(p))
		if err != nil || p.Title != "" && again.Title == "" {
			t.Fatalf("does not parse again: %v", err)
		}
	})
}
