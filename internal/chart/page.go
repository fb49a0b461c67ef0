package chart

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// Page writes a document of one file. Its policy forbids a browser to load anything else,
// or to run a script.
func Page(w io.Writer, title string, body template.HTML) error {
	err := pageTemplate.Execute(w, struct {
		Title string
		CSS   template.CSS
		Body  template.HTML
	}{title, template.CSS(pageCSS), body})
	if err != nil {
		return fmt.Errorf("chart: write the page: %w", err)
	}
	return nil
}
