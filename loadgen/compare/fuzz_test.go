package compare

import (
	"bytes"
	"io"
	"testing"

	"ecoin/loadgen/result"
	"ecoin/loadgen/resulttest"
)

// FuzzRuns checks that whatever is read as runs can be compared and shown.
func FuzzRuns(f *testing.F) {
	file := func(r *result.Run) []byte {
		var b bytes.Buffer
		if err := r.Write(&b); err != nil {
			f.Fatal(err)
		}
		return b.Bytes()
	}
	run := file(resulttest.Run(resulttest.Options{Seconds: 12, Rate: 9}))
	f.Add(run, run)
	f.Add(run, file(&result.Run{Kinds: []result.Kind{{Name: "redeem"}}}))
	f.Add([]byte(`{"format":1,"took_s":1e308,"kinds":[{"planned":-5,"ok":-9,"coins":7}],"seconds":[{"at_s":-1e300,"planned":-9223372036854775808,"server_cpu_s":-1e308},{},{}],"server":{}}`), run)
	f.Fuzz(func(t *testing.T, a, b []byte) {
		ra, err := result.Read(bytes.NewReader(a))
		if err != nil {
			return
		}
		rb, err := result.Read(bytes.NewReader(b))
		if err != nil {
			return
		}
		c, err := runs([]Run{{"a", ra}, {"a2", ra}}, []Run{{"b", rb}}, true, 40)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Text(io.Discard, false); err != nil {
			t.Fatal(err)
		}
		asHTML(t, c)
	})
}
