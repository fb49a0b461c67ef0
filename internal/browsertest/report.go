package browsertest

import (
	"os"
	"path/filepath"
	"testing"
)

// What a document of charts shows, as JavaScript; each is "" when all is well.
const (
	// badFigures names plots that one cannot see, or not all of.
	badFigures = `[...document.querySelectorAll("figure")].map(f => {
		const name = f.querySelector("h3").textContent, svgs = [...f.querySelectorAll("svg")].filter(s => s.getClientRects().length);
		if (svgs.length !== 1) return name + ": " + svgs.length + " drawings";
		const s = svgs[0], r = s.getBoundingClientRect(), f2 = f.getBoundingClientRect();
		if (r.width < 250 || r.height < 120) return name + ": " + r.width + "x" + r.height;
		if (!s.getAttribute("aria-label")) return name + ": no text instead";
		const texts = [...s.querySelectorAll("text")];
		if (texts.length < 4) return name + ": " + texts.length + " texts";
		for (const t of texts) {
			const b = t.getBoundingClientRect();
			if (b.left < f2.left || b.right > f2.right || b.height < 8) return name + ": " + t.textContent + " at " + b.left + " to " + b.right + ", " + b.height + " high";
		}
		return "";
	}).filter(s => s).join("; ")`

	// wide names elements that stick out of the window, except in parts that scroll.
	wide = `document.documentElement.scrollWidth > innerWidth ? [...document.querySelectorAll("main *")].filter(e => !e.closest(".scroll, svg") &&
		e.getBoundingClientRect().right > innerWidth).map(e => e.tagName + " " + e.textContent.slice(0, 40)).slice(0, 5).join("; ") || "the document" : ""`

	// pale names texts whose contrast with what is behind them is below 4.5 (WCAG 2.2, AA).
	pale = `(() => {
		const channels = c => (c.match(/[\d.]+/g) || []).map(Number);
		const light = c => { const [r, g, b] = channels(c).map(v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
		const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor, v = channels(c); if (v.length === 3 || v[3] === 1) return c; } return "rgb(255, 255, 255)"; };
		const out = new Set();
		for (const e of document.querySelectorAll("main *")) {
			if (e.tagName === "title" || !e.getClientRects().length || ![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
			const style = getComputedStyle(e), a = light(e.tagName === "text" ? style.fill : style.color), b = light(behind(e));
			const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
			if (!(ratio >= 4.5)) out.add(e.tagName + " " + e.textContent.slice(0, 40) + ": " + ratio.toFixed(2));
		}
		return [...out].slice(0, 5).join("; ");
	})()`
)

// Look opens a document of plots from a file, in light and dark, on narrow and wide
// windows, and checks that it has that many plots, that all of them and all texts can
// be seen, that nothing sticks out, and that nothing else is asked for. b stays on it.
func (b *Browser) Look(t *testing.T, html []byte, plots string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(path, html, 0o600); err != nil {
		t.Fatal(err)
	}
	before := len(b.Asked())
	b.Navigate("file://" + path)
	if got := b.Eval(`document.querySelectorAll("figure").length`); got != plots {
		t.Errorf("%s plots, want %s", got, plots)
	}
	grounds := map[string]bool{}
	for _, scheme := range []string{"light", "dark"} {
		b.Scheme(scheme)
		grounds[b.Eval("getComputedStyle(document.body).backgroundColor")] = true
		for _, width := range []int64{400, 600, 900, 1400} {
			b.Width(width)
			for name, script := range map[string]string{"plots": badFigures, "too wide": wide, "too pale": pale} {
				if got := b.Eval(script); got != "" {
					t.Errorf("%s, %d px, %s: %s", scheme, width, name, got)
				}
			}
		}
	}
	if len(grounds) != 2 {
		t.Errorf("light and dark look alike: %v", grounds)
	}
	if got := b.Eval(`document.scripts.length + " " + document.images.length + " " + (document.title === "owned")`); got != "0 0 false" {
		t.Errorf("scripts, images, owned: %s", got)
	}
	if got := b.Asked()[before:]; len(got) != 1 || got[0] != "file://"+path {
		t.Errorf("it asked for %q", got)
	}
	if got := b.Said(); len(got) != 0 {
		t.Errorf("the console says %q", got)
	}
}
