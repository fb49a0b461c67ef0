package plan

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// printed is what a reader finds in a plan.
type printed struct {
	number        int
	section, name string
	value         float64
	from          string // formula or basis, in one line, with notes
}

var lineStart = regexp.MustCompile(`^[! ] {0,4}\[(\d+)\] (.*)$`)

// readPlan reads a plan as text, as a person does: nothing of it comes from this package's
// code.
func readPlan(t *testing.T, text string) (lines []printed) {
	t.Helper()
	_, text, found := strings.Cut(text, "\nTarget\n")
	if !found {
		t.Fatal("no target")
	}
	text, _, found = strings.Cut(text, "\nNotes\n")
	if !found {
		t.Fatal("no notes")
	}
	section := "Target"
	for row := range strings.Lines(text) {
		row = strings.TrimRight(row, "\n")
		switch m := lineStart.FindStringSubmatch(row); {
		case m != nil:
			n, err := strconv.Atoi(m[1])
			if err != nil {
				t.Fatal(err)
			}
			if len(row) < 66 || row[57] != ' ' || row[64] != ' ' {
				t.Fatalf("a line out of its columns: %q", row)
			}
			// Name and value share 50 columns.
			both := strings.TrimSpace(row[7:57])
			gap := strings.LastIndex(both, " ")
			value, err := strconv.ParseFloat(strings.ReplaceAll(both[gap+1:], ",", ""), 64)
			if err != nil {
				t.Fatalf("%q: %v", row, err)
			}
			lines = append(lines, printed{n, section, strings.TrimSpace(both[:gap]), value, strings.TrimSpace(row[65:])})
		case strings.HasPrefix(row, strings.Repeat(" ", 60)):
			lines[len(lines)-1].from += " " + strings.TrimSpace(row)
		case row != "":
			section = row
		}
	}
	return lines
}

// sameDigits reports whether a printed figure is a calculated one rounded to four digits.
func sameDigits(printed, calculated float64) bool {
	if calculated == math.Trunc(calculated) && math.Abs(calculated) < 1e6 {
		return printed == calculated
	}
	return math.Abs(printed-calculated) <= 0.000501*math.Abs(calculated)
}

// TestByHand recalculates every line of plans from the figures that they print, by formulas
// that are written here once more.
func TestByHand(t *testing.T) {
	for _, args := range [][]string{
		nil,
		{"--devices=123456", "--coins=77", "--batch=10", "--suite=xwing", "--replicas=2", "--resumed=0.3", "--peak=2.5", "--coins-per-withdrawal=50"},
		{"--devices=2e7", "--refill-days=0.5", "--core-speed=1.3", "--disk-speed=4", "--utilisation=0.7", "--disk-fill=0.6", "--connects-per-device-day=3"},
	} {
		lines := readPlan(t, text(t, make_(t, "nvme-16c", nil, args...)))
		by := map[string]float64{}
		for _, l := range lines {
			by[l.section+"|"+l.name] = l.value
		}
		checked := 0
		for _, l := range lines {
			formula, ok := hand[l.section+"|"+l.name]
			if !ok {
				formula, ok = handPebble[l.name]
				ok = ok && strings.HasPrefix(l.section, "Pebble")
			}
			if !ok {
				if strings.Contains(l.from, "[") && !strings.Contains(l.from, "--") {
					t.Errorf("[%d] %s / %s has a formula and is not checked here: %s", l.number, l.section, l.name, l.from)
				}
				continue
			}
			checked++
			want := formula(func(name string) float64 {
				for _, section := range []string{l.section, "Target", "A node nvme-16c", "Measured, whatever the ledger", "What the fleet asks for",
					"Concurrency of the measured machine (Universal Scalability Law)"} {
					if v, ok := by[section+"|"+name]; ok {
						return v
					}
				}
				return math.NaN()
			})
			if math.IsNaN(want) || !sameDigits(l.value, want) {
				t.Errorf("[%d] %s / %s: printed %v, by hand %v (%s)", l.number, l.section, l.name, l.value, want, l.from)
			}
		}
		if checked < 110 {
			t.Errorf("only %d lines were checked", checked)
		}
	}
}
