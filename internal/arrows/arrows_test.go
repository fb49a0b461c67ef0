package arrows

import (
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// allowed lists, for each package of the module, the packages of the module
// that it may import. An arrow that is not here fails the test, so that a new
// dependency is a decision somebody wrote down (ARCHITECTURE.md, "Packages").
var allowed = map[string][]string{
	"core": {
		"core/internal/cbc", "core/internal/hmac256", "core/internal/hpke", "core/internal/xwing",
	},
	"core/internal/hpke": {
		"core/internal/chapoly", "core/internal/hmac256", "core/internal/sha2",
		"core/internal/x25519", "core/internal/xwing",
	},
	"core/internal/xwing":   {"core/internal/x25519"},
	"core/internal/x25519":  {"core/internal/cpu"},
	"core/internal/cbc":     {"core/internal/cpu"},
	"core/internal/chapoly": {"core/internal/cpu"},
	"core/internal/hmac256": {"core/internal/sha2"},
	"core/internal/sha2":    {"core/internal/cpu"},
	"core/internal/cpu":     {},
	"core/internal/race":    {},
	"core/internal/vectors": {},
	"internal/arrows":       {},
	"internal/addresses":    {},
	"internal/coins":        {"core"},
	"internal/bankscale":    {"client", "core", "internal/wire", "loadgen/fleet", "loadgen/host"},
	"internal/ledgerscale":  {"core", "internal/coins", "ledger"},
	"loadgen/fault":         {"loadgen/result"},
	"docs/plots":            {},
	"loadgen/plan":          {"core", "docs/plots", "internal/chart", "internal/figure", "loadgen/result"},
	"loadgen/result":        {},
	"loadgen/schedule":      {},
	"loadgen/resulttest":    {"loadgen/result"},
	"loadgen/report":        {"internal/chart", "internal/columns", "internal/figure", "loadgen/result"},
	"loadgen/threshold":     {"internal/figure", "loadgen/result"},
	"loadgen/compare":       {"internal/chart", "internal/columns", "internal/figure", "loadgen/report", "loadgen/result"},
	"internal/chart":        {"internal/figure"},
	"internal/figure":       {},
	"internal/columns":      {"internal/figure"},
	"internal/browsertest":  {},
	"internal/pgtest":       {},
	"internal/nettest":      {},
	"internal/freeport":     {},
	"internal/keyfile":      {},
	"internal/latency":      {},
	"internal/fair":         {},
	"internal/sdnotify":     {},
	"internal/journal":      {"internal/keyfile"},
	"internal/backup":       {},
	"internal/problem":      {},
	"internal/identity":     {"internal/keyfile"},
	"internal/bankkeys":     {"core", "internal/identity", "internal/keyfile"},
	"internal/wire":         {"core"},
	"loadgen/fleet":         {"internal/identity"},
	"loadgen/host":          {"client", "internal/identity", "internal/subprocess", "internal/wire"},
	"loadgen": {
		"client", "core", "internal/identity", "internal/subprocess", "internal/wire",
		"loadgen/fault", "loadgen/fleet", "loadgen/host", "loadgen/result", "loadgen/schedule",
	},
	"internal/subprocess": {},
	"internal/httpserve": {
		"internal/addresses", "internal/identity", "internal/problem",
	},
	"ledger":                   {"core", "ledger/internal/gate", "ledger/internal/keylock", "ledger/internal/life", "ledger/internal/outcomes"},
	"ledger/ledgertest":        {"core", "ledger"},
	"ledger/internal/life":     {"core"},
	"ledger/internal/outcomes": {"core"},
	"ledger/internal/gate":     {},
	"ledger/internal/keylock":  {"ledger/internal/gate"},
	"ledger/pgledger":          {"core", "ledger", "ledger/internal/gate", "ledger/internal/keylock", "ledger/internal/life", "ledger/internal/outcomes"},
	"bank":                     {"core", "ledger", "internal/fair", "internal/latency", "internal/wire"},
	"internal/sim":             {"bank", "core", "internal/wire", "ledger"},
	"client":                   {"core", "internal/identity", "internal/problem", "internal/wire"},
	"server": {
		"bank", "core", "ledger",
		"internal/addresses", "internal/fair", "internal/identity", "internal/latency", "internal/problem", "internal/wire",
	},
	"director": {
		"core", "internal/addresses", "internal/fair", "internal/httpserve", "internal/identity", "internal/problem", "internal/wire",
	},
	"analyst/analysis": {},
	"analyst": {
		"analyst/analysis", "client", "core", "director",
		"internal/httpserve", "internal/identity", "internal/problem", "internal/wire",
	},
	"collector/wallet": {"core"},
	"collector/source": {"core"},
	"collector": {
		"client", "collector/source", "collector/wallet", "core",
		"internal/identity", "internal/problem", "internal/wire",
	},
}

// anything may be imported by the wiring: the binary and its demonstration.
var wiring = []string{"cmd/ecoin", "internal/demo"}

func TestImportsPointOneWay(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "ecoin/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(string(bytes.TrimSpace(out))), "\n")
	if len(lines) < 10 {
		t.Fatalf("go list names %d packages; it should name the whole module", len(lines))
	}
	for _, line := range lines {
		fields := strings.Fields(line)
		from := strings.TrimPrefix(fields[0], "ecoin/")
		if slices.Contains(wiring, from) {
			continue
		}
		to, known := allowed[from]
		if !known {
			t.Errorf("package %s has no row in the table of allowed imports", from)
		}
		for _, path := range fields[1:] {
			path, ours := strings.CutPrefix(path, "ecoin/")
			if ours && known && !slices.Contains(to, path) {
				t.Errorf("%s must not import %s", from, path)
			}
		}
	}
}
