package plan

import (
	"strings"
	"testing"

	"ecoin/internal/browsertest"
)

// TestHTML looks at the page in a browser: nothing is asked for outside, the plots can be
// seen in light and dark, and each formula's numbers lead to their lines.
func TestHTML(t *testing.T) {
	b := browsertest.Open(t)
	p := make_(t, "nvme-16c", nil)
	var html strings.Builder
	if err := p.HTML(&html); err != nil {
		t.Fatal(err)
	}
	b.Look(t, []byte(html.String()), "4") // three of nodes, and the curve
	for name, script := range map[string]string{
		"bars without their names and numbers": `[...document.querySelectorAll("figure")].slice(0, 3).filter(f => f.querySelectorAll("svg.wide text").length < 12 || f.querySelectorAll("svg.wide path").length < 6).length`,
		"no bar for what decides":              `document.querySelector("figure svg").textContent.includes("memory") && document.querySelector("figure svg").textContent.includes("` + number(p.Ledgers[0].Nodes) + `") ? 0 : 1`,
		"formulas that lead nowhere":           `[...document.querySelectorAll("td a")].filter(a => !document.getElementById(a.hash.slice(1))).length`,
		"too few formulas":                     `Math.max(0, 200 - document.querySelectorAll("td a").length)`,
		"lines that are missing":               number(float64(len(p.Lines))) + ` - document.querySelectorAll("tr[id]").length`,
		"figures or colours that are none":     `(document.documentElement.outerHTML.match(/NaN|undefined|ZgotmplZ|#EC[0-9A-F]{4}/g) || []).length`,
	} {
		if got := b.Eval(script); got != "0" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestHTMLEscapes puts markup where a run or a file could.
func TestHTMLEscapes(t *testing.T) {
	m := Recorded()
	m.Sources = append(m.Sources, Source{"X", "<script>alert(1)</script>"})
	p := make_(t, "nvme-16c", m)
	p.Lines[0].Name, p.Lines[0].Basis = "<img src=x>", "<b>[1]</b>"
	at(t, p, "total").Formula = `<a href="x">[1]</a>`
	var html strings.Builder
	if err := p.HTML(&html); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<script", "<img", "<b>[1]<", `href="x"`} {
		if strings.Contains(html.String(), bad) {
			t.Errorf("the page holds %s", bad)
		}
	}
}
