package report

import (
	"testing"

	"ecoin/internal/browsertest"
	"ecoin/loadgen/resulttest"
)

func TestInBrowser(t *testing.T) {
	b := browsertest.Open(t)
	b.Look(t, []byte(asHTML(t, resulttest.Run(resulttest.Options{}))), "6")
	for what, want := range map[string]string{
		`document.querySelector("#verdict p").textContent`:                                                 "Valid, audit ok, 1 of 1 thresholds met",
		`document.querySelectorAll(".tiles > div").length`:                                                 "7",
		`document.querySelectorAll("figure svg.wide .tips title").length > 300`:                            "true",
		`document.querySelectorAll("#audit tr").length`:                                                    "10",
		`[...document.querySelectorAll("figure svg.wide text")].filter(t => t.textContent === "1").length`: "5", // the fault, over time
	} {
		if got := b.Eval(what); got != want {
			t.Errorf("%s is %s, want %s", what, got, want)
		}
	}
	b.Look(t, []byte(asHTML(t, hostile())), "7")
	b.Look(t, []byte(asHTML(t, mixed())), "7")
	for name, r := range small() {
		plots := "5"
		if r.Server != nil {
			plots = "6"
		}
		t.Log(name)
		b.Look(t, []byte(asHTML(t, r)), plots)
	}
}
