package codec

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// OpenSSL measures with "openssl speed". Path is the program.
type OpenSSL struct{ Path string }

// FindOpenSSL returns the one that is installed, or an error that says how to install it.
func FindOpenSSL() (OpenSSL, error) {
	path, err := exec.LookPath("openssl")
	if err != nil {
		return OpenSSL{}, errors.New("OpenSSL: apt-get install openssl")
	}
	return OpenSSL{path}, nil
}

// Version returns what the program says of itself.
func (o OpenSSL) Version(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, o.Path, "version").Output()
	return strings.TrimSpace(string(out)), err
}

// X25519 measures what of a header OpenSSL has a test for, one X25519, and payloads as
// the sum of AES-256-CBC and HMAC-SHA256.
func (o OpenSSL) X25519(ctx context.Context, d time.Duration) (map[string]float64, error) {
	ecdh, err := o.speed(ctx, d, "+F5:", 3, "ecdhx25519")
	if err != nil {
		return nil, err
	}
	out := map[string]float64{HeaderOpen: 1e9 / ecdh}
	size := []string{"-bytes", strconv.Itoa(PayloadLen)}
	mac, err := o.speed(ctx, d, "+F:", 2, append(size, "-hmac", "sha256")...)
	if err != nil {
		return nil, err
	}
	for job, args := range map[string][]string{PayloadSeal: {"-evp", "aes-256-cbc"}, PayloadOpen: {"-evp", "aes-256-cbc", "-decrypt"}} {
		rate, err := o.speed(ctx, d, "+F:", 2, append(size, args...)...)
		if err != nil {
			return nil, err
		}
		out[job] = PayloadLen*1e9/rate + PayloadLen*1e9/mac
	}
	return out, nil
}

// RSA measures the two operations of RSA with 3072 bits.
func (o OpenSSL) RSA(ctx context.Context, d time.Duration) (map[string]float64, error) {
	private, err := o.speed(ctx, d, "+F2:", 3, "rsa3072")
	if err != nil {
		return nil, err
	}
	public, err := o.speed(ctx, d, "+F2:", 4, "rsa3072")
	if err != nil {
		return nil, err
	}
	return map[string]float64{HeaderOpen: 1e9 / private, HeaderSeal: 1e9 / public}, nil
}

// speed runs a test and returns a field of the line with a prefix.
func (o OpenSSL) speed(ctx context.Context, d time.Duration, prefix string, field int, args ...string) (float64, error) {
	seconds := strconv.Itoa(max(1, int(d.Seconds())))
	out, err := exec.CommandContext(ctx, o.Path, append([]string{"speed", "-mr", "-seconds", seconds}, args...)...).Output()
	if err != nil {
		return 0, fmt.Errorf("openssl speed %s: %w", strings.Join(args, " "), err)
	}
	return parseSpeed(string(out), prefix, field)
}

// parseSpeed reads what "openssl speed -mr" writes: lines like +F:25:AES-256-CBC:3384320000.00,
// bytes a second, and +F2:3:3072:484.2:24958.1 or +F5:22:253:25734.7:0.000039, operations a
// second.
func parseSpeed(text, prefix string, field int) (float64, error) {
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, prefix) {
			continue
		}
		f := strings.Split(strings.TrimSpace(line), ":")
		if field+1 > len(f) {
			break
		}
		if prefix == "+F:" {
			field = len(f) - 1 // a name may have colons
		}
		v, err := strconv.ParseFloat(f[field], 64)
		if err != nil || !(v > 0) || math.IsInf(v, 0) {
			return 0, fmt.Errorf("openssl speed: %q is no rate", f[field])
		}
		return v, nil
	}
	return 0, fmt.Errorf("openssl speed: no line with %s and %d fields", prefix, field)
}
