package director

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"ecoin/core"
)

const (
	maxRegistration = 16 << 10 // bytes of JSON
	maxURL          = 256      // bytes
	maxOffers       = 32       // analyses of one analyst
)

// registration is the body of PUT /v1/analysts/{id}.
type registration struct {
	URL      string   `json:"url"`      // "https://host[:port]", where the analyst's server listens
	Analyses []string `json:"analyses"` // 1..32 names, see core.ValidName
	Capacity int      `json:"capacity"` // operations it takes at a time, at least 1
}

// parseRegistration reads and checks a registration. URL comes back as
// "https://host" or "https://host:port". Errors are for the analyst's operator.
func parseRegistration(body []byte) (registration, error) {
	var r registration
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return registration{}, fmt.Errorf("the body must be {\"url\":\"https://...\",\"analyses\":[...],\"capacity\":N}: %.200s", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return registration{}, errors.New("there is more after the JSON object; send that alone")
	}
	base, err := parseURL(r.URL)
	if err != nil {
		return registration{}, fmt.Errorf("url: %w", err)
	}
	r.URL = base
	if len(r.Analyses) == 0 || len(r.Analyses) > maxOffers {
		return registration{}, fmt.Errorf("analyses: %d names, want 1 to %d", len(r.Analyses), maxOffers)
	}
	for i, name := range r.Analyses {
		if !core.ValidName(name) {
			return registration{}, fmt.Errorf("analyses: %.80q: use 1 to %d of a-z 0-9 . _ -, first a letter or digit", name, core.MaxNameLen)
		}
		if slices.Contains(r.Analyses[:i], name) {
			return registration{}, fmt.Errorf("analyses: %q is there twice", name)
		}
	}
	if r.Capacity < 1 {
		return registration{}, fmt.Errorf("capacity: %d, want at least 1", r.Capacity)
	}
	return r, nil
}

// parseURL accepts a scheme, a host and a port, and nothing that could mean
// something else to somebody else.
func parseURL(s string) (string, error) {
	if len(s) > maxURL {
		return "", fmt.Errorf("%d bytes, at most %d", len(s), maxURL)
	}
	u, err := url.Parse(s)
	if err != nil {
		return "", errors.New("not a URL; use https://host:port")
	}
	switch {
	case u.Scheme != "https":
		return "", errors.New("the scheme must be https")
	case u.User != nil:
		return "", errors.New("it must hold no user name or password")
	case u.Opaque != "" || u.RawPath != "" || u.Path != "" && u.Path != "/":
		return "", errors.New("it must have no path; use https://host:port")
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(s, "#"):
		return "", errors.New("it must have no query and no fragment; use https://host:port")
	}
	host, port := u.Hostname(), u.Port()
	if a, err := netip.ParseAddr(host); err == nil {
		if a.IsUnspecified() || a.IsMulticast() || a.Zone() != "" {
			return "", fmt.Errorf("%s is no address to connect to; name the host as the director reaches it", a)
		}
	} else if !validHost(host) {
		return "", errors.New("the host must be an IP address or a name of letters, digits, dots and hyphens")
	}
	if n, err := strconv.ParseUint(port, 10, 16); strings.HasSuffix(u.Host, ":") || port != "" && (err != nil || n == 0) {
		return "", errors.New("the port must be a number from 1 to 65535")
	}
	return "https://" + u.Host, nil
}

// validHost accepts DNS names. One that ends in a number could be read as an
// abbreviated IPv4 address ("127.1"), and is refused.
func validHost(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	labels := strings.Split(strings.TrimSuffix(s, "."), ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	last := labels[len(labels)-1]
	return last[0] < '0' || last[0] > '9'
}
