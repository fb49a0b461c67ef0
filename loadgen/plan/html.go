package plan

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"regexp"

	"ecoin/internal/chart"
)

//go:embed plan.html
var pageText string

var page = template.Must(template.New("plan").Funcs(template.FuncMap{
	"number":   number,
	"kind":     kindTitle,
	"formula":  linked,
	"far":      func(l *Ledger) bool { return l.Farthest > Far },
	"beyond":   (*Line).beyond,
	"farLine":  (*Line).Extrapolated,
	"computed": func(l *Line) bool { return l.Kind == Computed },
}).Parse(pageText))

// section is lines under one heading.
type section struct {
	Name  string
	Lines []*Line
}

// HTML writes the plan as one page that needs nothing else: no script, no request.
func (p *Plan) HTML(w io.Writer) error {
	data := struct {
		Plan     *Plan
		Title    string
		Cheapest *Ledger
		Charts   []template.HTML
		Sections []section
	}{Plan: p, Title: p.title(), Cheapest: p.Cheapest()}
	for _, l := range p.Ledgers {
		drawn, err := l.bars()
		if err != nil {
			return fmt.Errorf("plan: %w", err)
		}
		data.Charts = append(data.Charts, drawn)
	}
	if p.Curve != nil {
		drawn, err := p.Curve.chart()
		if err != nil {
			return fmt.Errorf("plan: %w", err)
		}
		data.Charts = append(data.Charts, drawn)
	}
	for i := range p.Lines {
		l := &p.Lines[i]
		if n := len(data.Sections); n == 0 || data.Sections[n-1].Name != l.Section {
			data.Sections = append(data.Sections, section{Name: l.Section})
		}
		at := &data.Sections[len(data.Sections)-1]
		at.Lines = append(at.Lines, l)
	}
	var body bytes.Buffer
	if err := page.Execute(&body, data); err != nil {
		return fmt.Errorf("plan: write the page: %w", err)
	}
	return chart.Page(w, "ecoin plan", template.HTML(body.String()))
}

var reference = regexp.MustCompile(`\[(\d+)\]`)

// linked makes the numbers of lines in a formula links to them.
func linked(formula string) template.HTML {
	return template.HTML(reference.ReplaceAllString(template.HTMLEscapeString(formula), `<a class="blue" href="#l$1">[$1]</a>`))
}
