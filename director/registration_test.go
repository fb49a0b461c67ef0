package director

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"ecoin/core"
)

const goodRegistration = `{"url":"https://127.0.0.1:8443","analyses":["summary"],"capacity":4}`

func TestParseURL(t *testing.T) {
	for _, tc := range []struct{ in, want string }{ // want "": refused
		{"https://127.0.0.1:8443", "https://127.0.0.1:8443"},
		{"https://127.0.0.1:8443/", "https://127.0.0.1:8443"},
		{"https://analyst.example", "https://analyst.example"},
		{"HTTPS://Analyst-1.example.:65535", "https://Analyst-1.example.:65535"},
		{"https://[::1]:8443", "https://[::1]:8443"},
		{"https://[2001:db8::1]", "https://[2001:db8::1]"},
		{"", ""},
		{"http://127.0.0.1:8443", ""},
		{"127.0.0.1:8443", ""},
		{"//127.0.0.1:8443", ""},
		{"https:127.0.0.1", ""},
		{"https://", ""},
		{"https://:8443", ""},
		{"https://user@127.0.0.1", ""},
		{"https://user:word@127.0.0.1", ""},
		{"https://@127.0.0.1", ""},
		{"https://127.0.0.1/path", ""},
		{"https://127.0.0.1/..", ""},
		{"https://127.0.0.1//", ""},
		{"https://127.0.0.1/%2f", ""},
		{"https://127.0.0.1/%2e%2e", ""},
		{"https://127.0.0.1?x=1", ""},
		{"https://127.0.0.1?", ""},
		{"https://127.0.0.1#x", ""},
		{"https://127.0.0.1#", ""},
		{"https://127.0.0.1:", ""},
		{"https://127.0.0.1:0", ""},
		{"https://127.0.0.1:65536", ""},
		{"https://127.0.0.1:-1", ""},
		{"https://127.0.0.1:x", ""},
		{"https://0.0.0.0:8443", ""},
		{"https://[::]:8443", ""},
		{"https://224.0.0.1", ""},
		{"https://[fe80::1%25eth0]:8443", ""},
		{"https://127.1:8443", ""},
		{"https://2130706433", ""},
		{"https://0x7f.1", ""},
		{"https://a..example", ""},
		{"https://-a.example", ""},
		{"https://a b.example", ""},
		{"https://a\r\nb.example", ""},
		{"https://ex%61mple", ""},
		{"https://exämple", ""},
		{"https://" + strings.Repeat("a.", 130) + "example", ""},
	} {
		got, err := parseURL(tc.in)
		if got != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("%q: got %q, %v; want %q", tc.in, got, err, tc.want)
		}
	}
}

func TestParseRegistration(t *testing.T) {
	names := func(n int) string {
		var l []string
		for i := range n {
			l = append(l, fmt.Sprintf("%q", fmt.Sprint("a", i)))
		}
		return "[" + strings.Join(l, ",") + "]"
	}
	for _, tc := range []struct{ name, in, want string }{ // want "": accepted
		{"good", goodRegistration, ""},
		{"most analyses", `{"url":"https://a.example","analyses":` + names(maxOffers) + `,"capacity":1}`, ""},
		{"too many analyses", `{"url":"https://a.example","analyses":` + names(maxOffers+1) + `,"capacity":1}`, "want 1 to 32"},
		{"no analyses", `{"url":"https://a.example","analyses":[],"capacity":1}`, "want 1 to 32"},
		{"bad name", `{"url":"https://a.example","analyses":["../x"],"capacity":1}`, "analyses"},
		{"long name", `{"url":"https://a.example","analyses":["` + strings.Repeat("a", 65) + `"],"capacity":1}`, "analyses"},
		{"twice", `{"url":"https://a.example","analyses":["a","a"],"capacity":1}`, "twice"},
		{"no capacity", `{"url":"https://a.example","analyses":["a"]}`, "capacity"},
		{"negative", `{"url":"https://a.example","analyses":["a"],"capacity":-1}`, "capacity"},
		{"fraction", `{"url":"https://a.example","analyses":["a"],"capacity":1.5}`, "capacity"},
		{"bad URL", `{"url":"http://a.example","analyses":["a"],"capacity":1}`, "https"},
		{"unknown field", `{"url":"https://a.example","analyses":["a"],"capacity":1,"x":1}`, `"x"`},
		{"more after it", goodRegistration + `{}`, "more after"},
		{"garbage after it", goodRegistration + `x`, "more after"},
		{"empty", ``, "body must be"},
		{"null", `null`, "url"},
		{"array", `[]`, "body must be"},
		{"cut off", goodRegistration[:20], "body must be"},
		{"long unknown field", `{"` + strings.Repeat("x", 10000) + `":1}`, "body must be"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := parseRegistration([]byte(tc.in))
			if tc.want == "" {
				if err != nil || got.URL == "" {
					t.Errorf("got %+v, %v", got, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) || len(err.Error()) > 500 {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
}

// FuzzParseRegistration: what is accepted keeps every rule, and says the same when
// it is written and read again.
func FuzzParseRegistration(f *testing.F) {
	for _, s := range []string{goodRegistration, `{}`, `null`, `{"url":"https://[::1]:1/","analyses":["a","b"],"capacity":9}`,
		`{"url":"https://u@h","analyses":["A"],"capacity":0}`, `{"URL":"https://h","Analyses":["a"],"capacity":1e2}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := parseRegistration(in)
		if err != nil {
			if r.URL != "" || r.Analyses != nil || r.Capacity != 0 {
				t.Fatalf("an error with %+v", r)
			}
			return
		}
		if !strings.HasPrefix(r.URL, "https://") || strings.ContainsAny(r.URL[len("https://"):], "/@?#% \\\r\n") {
			t.Fatalf("URL %q", r.URL)
		}
		if r.Capacity < 1 || len(r.Analyses) < 1 || len(r.Analyses) > maxOffers {
			t.Fatalf("%+v", r)
		}
		for _, name := range r.Analyses {
			if !core.ValidName(name) {
				t.Fatalf("name %q", name)
			}
		}
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseRegistration(b)
		if err != nil || fmt.Sprint(again) != fmt.Sprint(r) {
			t.Fatalf("%s: %+v, %v", b, again, err)
		}
	})
}
