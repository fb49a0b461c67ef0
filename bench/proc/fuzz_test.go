package proc

import (
	"os"
	"testing"
)

func FuzzParse(f *testing.F) {
	for _, name := range []string{"/proc/self/stat", "/proc/stat", "/proc/self/smaps_rollup"} {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	f.Add("1 (a) b) S 2")
	f.Add("cpu 1 2 3 4 5 6 7 8")
	f.Add("Pss: 12 kB")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := parseStat([]byte(text)); err != nil && s.own+s.children != 0 {
			t.Errorf("an error and a time: %+v", s)
		}
		if busy, stolen, all, err := parseMachine(text); err != nil && busy+stolen != 0 || err == nil && all < busy+stolen && busy > 0 && stolen > 0 && all > 0 {
			t.Errorf("busy %v, stolen %v, all %v, %v", busy, stolen, all, err)
		}
		parsePss([]byte(text))
	})
}
