package compare

import (
	"bytes"
	"strings"
	"testing"

	"ecoin/internal/browsertest"
	"ecoin/loadgen/result"
	"ecoin/loadgen/resulttest"
)

func asHTML(t *testing.T, c *Comparison) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := c.HTML(&b); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []string{"NaN", "Inf", "ZgotmplZ", "<script", "%!", "url("} {
		if strings.Contains(b.String(), wrong) {
			t.Errorf("%s is in the page", wrong)
		}
	}
	return b.Bytes()
}

func TestHTML(t *testing.T) {
	a, b := calm("a.json", resulttest.Options{Rate: 100}), calm("<b>", resulttest.Options{Rate: 100, Slow: 2, Seed: 3})
	got := string(asHTML(t, mustCompare(t, a, b)))
	for _, part := range []string{`class="verdict bad" id="verdict"><p>B against A: 3 worse</p>`, "&lt;b&gt;", "known by the run alone", `<td class="bad">worse</td>`} {
		if !strings.Contains(got, part) {
			t.Errorf("no %s", part)
		}
	}
}

func TestInBrowser(t *testing.T) {
	b := browsertest.Open(t)
	b.Look(t, asHTML(t, mustCompare(t, calm("a1 a2 a3 a4 a5", resulttest.Options{Rate: 100}), calm("b1 b2 b3", resulttest.Options{Rate: 100, Slow: 1.3, Seed: 7}))), "2")
	if got := b.Eval(`[...document.querySelectorAll(".between em")].filter(e => e.getClientRects()[0].width === 10).length`); got != "7" {
		t.Errorf("%s intervals are drawn, want 7", got)
	}
	little := []Run{{"<img src=x onerror=\"document.title='owned'\">\u202e", &result.Run{Kinds: []result.Kind{{Name: "redeem"}}}}}
	b.Look(t, asHTML(t, mustCompare(t, little, little)), "2")
}
