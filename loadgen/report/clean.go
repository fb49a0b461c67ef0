package report

import (
	"slices"

	"ecoin/internal/figure"
	"ecoin/loadgen/result"
)

// clean returns a copy of r whose texts hold nothing that a terminal obeys or that turns the
// direction of what follows. Everything else is shared with r.
func clean(r *result.Run) *result.Run {
	c := *r
	c.Kinds, c.Errors, c.Faults, c.Checks, c.Invalid = slices.Clone(r.Kinds), slices.Clone(r.Errors), slices.Clone(r.Faults), slices.Clone(r.Checks), slices.Clone(r.Invalid)
	texts := []*string{&c.Command, &c.Machine, &c.Setup.Target, &c.Setup.Workload, &c.Setup.Model, &c.Setup.Schedule, &c.Setup.Suite}
	for i := range c.Kinds {
		texts = append(texts, &c.Kinds[i].Name)
	}
	for i := range c.Errors {
		texts = append(texts, &c.Errors[i].Kind, &c.Errors[i].Reason)
	}
	for i := range c.Faults {
		texts = append(texts, &c.Faults[i].What)
	}
	for i := range c.Checks {
		texts = append(texts, &c.Checks[i].Name, &c.Checks[i].Value)
	}
	for i := range c.Invalid {
		texts = append(texts, &c.Invalid[i])
	}
	if r.Audit != nil {
		audit := *r.Audit
		audit.Problems = slices.Clone(audit.Problems)
		c.Audit = &audit
		texts = append(texts, &audit.Bank)
		for i := range audit.Problems {
			texts = append(texts, &audit.Problems[i])
		}
	}
	for _, s := range texts {
		*s = figure.Printable(*s)
	}
	return &c
}
