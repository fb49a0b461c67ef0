package report

import (
	"bytes"
	"io"
	"testing"

	"ecoin/loadgen/result"
	"ecoin/loadgen/resulttest"
)

// FuzzRun checks that whatever is read as a run can be shown in every way.
func FuzzRun(f *testing.F) {
	runs := []*result.Run{hostile(), resulttest.Run(resulttest.Options{Seconds: 2, Rate: 9})}
	for _, r := range small() {
		runs = append(runs, r)
	}
	for _, r := range runs {
		var file bytes.Buffer
		if err := r.Write(&file); err != nil {
			f.Fatal(err)
		}
		f.Add(file.Bytes())
	}
	f.Add([]byte(`{"format":1,"took_s":1e308,"kinds":[{"ok":-9}],"seconds":[{"at_s":-1e300,"planned":-9223372036854775808,"server_cpu_s":1e308}],"faults":[{"at_s":1e300,"recovery_s":-1}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := result.Read(bytes.NewReader(b))
		if err != nil {
			return
		}
		asText(t, r, false)
		if err := HTML(io.Discard, r); err != nil {
			t.Fatal(err)
		}
		if err := WriteHlog(io.Discard, r); err != nil {
			t.Fatal(err)
		}
		for i := range r.Kinds {
			if err := WriteHgrm(io.Discard, &r.Kinds[i].Response); err != nil {
				t.Fatal(err)
			}
		}
	})
}
