package result

import (
	"bytes"
	"testing"
)

// FuzzRead checks that whatever is read can be written, and is then the same for good.
func FuzzRead(f *testing.F) {
	var file bytes.Buffer
	if err := sample(3, 1, 2, 30).Write(&file); err != nil {
		f.Fatal(err)
	}
	f.Add(file.Bytes())
	f.Add([]byte(`{"format":1,"kinds":[{"response":{"count":1,"hdr":"AAAA"}}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Read(bytes.NewReader(b))
		if err != nil {
			return
		}
		var first, second bytes.Buffer
		if err := r.Write(&first); err != nil {
			t.Fatal(err)
		}
		if r, err = Read(bytes.NewReader(first.Bytes())); err != nil {
			t.Fatal(err)
		}
		if err := r.Write(&second); err != nil || first.String() != second.String() {
			t.Fatalf("written again it differs (%v)", err)
		}
	})
}
