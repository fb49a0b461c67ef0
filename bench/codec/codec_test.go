package codec

import (
	"math"
	"strings"
	"testing"
	"time"

	"ecoin/bench/benchtest"
)

// BenchmarkCodec runs each job of each implementation. An operation is a call, ns/item one
// header or payload.
func BenchmarkCodec(b *testing.B) {
	impls, err := Impls()
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range JobNames {
		for _, impl := range impls {
			job, ok := impl.Jobs[name]
			if !ok {
				continue
			}
			b.Run("job="+strings.TrimSuffix(name, "_ns")+"/impl="+strings.NewReplacer(" ", "-", ",", "", "'", "").Replace(impl.Name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := job.Run(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*job.N), "ns/item")
			})
		}
	}
}

func TestJobs(t *testing.T) {
	impls, err := Impls()
	if err != nil {
		t.Fatal(err)
	}
	if len(impls) != 6 {
		t.Errorf("%d implementations", len(impls))
	}
	for _, impl := range impls {
		for name, job := range impl.Jobs {
			if ns, err := job.Measure(time.Microsecond); err != nil || ns <= 0 {
				t.Errorf("%s, %s: %v ns, %v", impl.Name, name, ns, err)
			}
		}
	}
}

// TestCBC opens what was altered: with a MAC it is noticed.
func TestCBC(t *testing.T) {
	key, iv, payload := make([]byte, 32), make([]byte, 16), []byte("some readings")
	for _, mac := range []bool{true, false} {
		sealed, err := sealCBC(nil, key, iv, payload, mac)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := openCBC(nil, key, iv, sealed, mac); err != nil || string(got) != string(payload) {
			t.Errorf("MAC %t: %q, %v", mac, got, err)
		}
		iv2 := append([]byte{1}, iv[1:]...)
		if got, err := openCBC(nil, key, iv2, sealed, mac); (err != nil) != mac || err == nil && string(got) == string(payload) {
			t.Errorf("MAC %t: altered it is %q, %v", mac, got, err)
		}
	}
}

func TestParseSpeed(t *testing.T) {
	const text = "+H:4096\n+F:9:hmac(sha256):378250184.95\n+F2:3:3072:484.2:24958.1\n+F5:22:253:25734.7:0.000039\n"
	for _, c := range []struct {
		prefix string
		field  int
		want   float64
	}{{"+F:", 2, 378250184.95}, {"+F2:", 3, 484.2}, {"+F2:", 4, 24958.1}, {"+F5:", 3, 25734.7}, {"+F4:", 3, 0}, {"+F2:", 9, 0}, {"+F5:", 9, 0}} {
		got, err := parseSpeed(text, c.prefix, c.field)
		if got != c.want || (err == nil) != (c.want > 0) {
			t.Errorf("%s %d: %v, %v", c.prefix, c.field, got, err)
		}
	}
	for name, bad := range map[string]string{"none": "", "zero": "+F5:1:253:0:0\n", "text": "+F5:1:253:fast:0\n"} {
		if _, err := parseSpeed(bad, "+F5:", 3); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestOpenSSL(t *testing.T) {
	o, err := FindOpenSSL()
	benchtest.Need(t, err)
	if v, err := o.Version(t.Context()); err != nil || !strings.HasPrefix(v, "OpenSSL") {
		t.Errorf("%q, %v", v, err)
	}
	got, err := o.X25519(t.Context(), 0)
	if err != nil || got[HeaderOpen] < 1000 || got[PayloadOpen] < 100 || got[PayloadSeal] < got[PayloadOpen] {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := (OpenSSL{"/bin/false"}).RSA(t.Context(), 0); err == nil {
		t.Error("a program that fails measures something")
	}
}

func FuzzParseSpeed(f *testing.F) {
	f.Add("+H:4096\n+F:25:AES-256-CBC:3384320000.00\n", "+F:", 2)
	f.Add("+F2:3:3072:484.2:24958.1\n", "+F2:", 4)
	f.Add("+F5:22:253:NaN\n", "+F5:", 3)
	f.Add("+F5:22", "+F5:", 3)
	f.Fuzz(func(t *testing.T, text, prefix string, field int) {
		if field < 0 {
			return
		}
		if v, err := parseSpeed(text, prefix, field); err == nil && (!(v > 0) || math.IsInf(v, 0)) {
			t.Errorf("%q: %v", text, v)
		}
	})
}
