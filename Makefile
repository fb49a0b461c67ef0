# ecoin: `make` lists the targets.
GO     ?= go
TOOLS  := $(GO) tool -modfile=tools/go.mod
ARGS   ?=
COUNT  ?= 1
BENCH  ?= .
FUZZTIME ?= 20s
SEED   ?=
ROUNDS ?=
SIZES  ?= 1e6 1e7 1e8
OUT    ?= docs/plots
EMULATE ?=
QUICK  ?=
BASE   ?=
PKG    ?= ./core

.DEFAULT_GOAL := help
.PHONY: help build demo test check fmt vet staticcheck tidy generate generated race alone full purego allocs once sim emulate bench-once bench bench-scale bench-bank bench-nodes bench-peers bench-compare peers-once drill drill-postgres fuzz clean serial

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

build: ## build bin/ecoin
	@$(GO) build -trimpath -o bin/ecoin ./cmd/ecoin

demo: build ## all four roles, an honest and a hostile director, refunds, audit (ARGS='--csv FILE', '--json')
	@bin/ecoin demo $(ARGS)

# Bochs keeps one processor busy for minutes, most of them while the tests under the race
# detector wait for something.
test: ## everything that must pass: check, tests and fuzz seeds under the race detector, the ledger's at full size, simulations, each benchmark once, the peers in small (EMULATE=1: and emulate)
	@$(MAKE) --no-print-directory -j 2 $(if $(EMULATE),emulate) serial

serial:
	@for t in check race alone purego once peers-once sim; do $(MAKE) --no-print-directory -j 1 $$t || exit 1; done

check: fmt vet staticcheck tidy generated ## gofmt, vet, staticcheck, tidy module files, fresh assembly

fmt: ## fail where gofmt would change a file
	@out=$$(gofmt -l .); test -z "$$out" || { echo "gofmt would change:"; echo "$$out"; exit 1; }

vet: ## go vet
	$(GO) vet ./...
	$(GO) vet -tags purego ./core/...
	GOARCH=arm64 $(GO) vet ./core/...
	cd core/_asm && $(GO) vet ./...
	cd tools && $(GO) vet ./...
	cd bench && $(GO) vet ./...

staticcheck: ## staticcheck, at the version pinned in tools/go.mod
	$(TOOLS) staticcheck ./...
	cd bench && $(GO) tool -modfile=../tools/go.mod staticcheck ./...

tidy: ## fail when go.mod or go.sum is stale
	$(GO) mod tidy -diff
	cd tools && $(GO) mod tidy -diff
	cd core/_asm && $(GO) mod tidy -diff
	cd bench && $(GO) mod tidy -diff

generate: ## write the assembly of core/internal (generators: core/_asm)
	core/_asm/generate.sh

generated: ## fail when that assembly is stale; test the generators
	core/_asm/generate.sh -check
	cd core/_asm && $(GO) test ./...

# Packages that start nothing, share nothing and wait for nothing have no races to be found.
ALONE = $(shell $(GO) list -f '{{.ImportPath}} {{.Dir}}' ./... | while read -r path dir; do \
  grep -qE '^[[:space:]]+go |[.](Go|Parallel|RunParallel|AfterFunc)\>|"sync|\<chan\>' "$$dir"/*.go || echo "$$path"; done)

# Under the race detector the ledger's tests and the drills are a fraction of their size (make full, make drill).
# Not there: internal/sim, where one call follows the other (make sim).
RACED = $(filter-out %/internal/sim $(ALONE), $(shell $(GO) list ./...))

# Many of them wait for disks, clocks and other processes: one package more than processors
# keeps those busy. At its end the race detector would have each process wait for a second, and
# these tests start hundreds. Vetting is check's.
race: ## go test over all others, under the race detector where it can be built
	@if $(GO) test -race -run '^$$' ./internal/problem >/dev/null 2>&1; then race=-race; \
	else race=; echo "No C compiler here: the tests run without the race detector, which needs one."; fi; \
	processors=$$(getconf _NPROCESSORS_ONLN) || processors=2; \
	export GORACE="atexit_sleep_ms=20 $$GORACE"; \
	set -x; $(GO) test $$race -vet=off -p $$((processors + 1)) -timeout 25m $(RACED)

alone: ## the tests of packages in which nothing runs beside anything else
	$(GO) test $(ALONE)

full: ## the ledger's tests at full size, without the race detector
	$(GO) test -timeout 15m ./ledger

purego: ## the tests of core without assembly
	$(GO) test -tags purego ./core/...

allocs: ## the tests that count allocations, which the race detector would falsify
	$(GO) test -run Alloc ./...
	$(GO) test -tags purego -run Alloc ./core/...

# Packages with a test that counts allocations, or a benchmark; but the ledger, all of whose tests are to run.
COUNTED = $(shell grep -rlE --include='*_test.go' '^func (Benchmark|Test[A-Za-z]*Alloc)' $$($(GO) list -f '{{.Dir}}' ./...) | xargs -n 1 dirname | sort -u | grep -v -e /ledger$$ -e /_asm)

once: ## full, allocs and bench-once in one, without building anything twice (purego has its part of allocs)
	$(GO) test -run Alloc -bench . -benchtime 1x -timeout 10m $(COUNTED)
	$(GO) test -bench . -benchtime 1x -timeout 15m ./ledger

sim: ## simulate clients, power losses and failing disks: the fixed seeds and a few new ones, or SEED=n ROUNDS=n
	ECOIN_SIM_SEED=$(SEED) ECOIN_SIM_ROUNDS=$(ROUNDS) $(GO) test -count 1 -v -timeout 60m -run '$(if $(SEED)$(ROUNDS),TestNewSeeds,.)' ./internal/sim

# The tests of core that bring its lanes together: all of them would take Bochs nine minutes.
LANES := Mint|Standard|Batch|HeaderPool|(X25519|XWing)Record

emulate: ## the tests of core on processors that are not here: AVX-512 IFMA, VAES and SHA-NI in Bochs, ARMv8 in qemu
	@tools/emulate/run.sh arm64 -check && tools/emulate/run.sh icelake -check || exit $$(( $$? == 77 ? 0 : 1 )); \
	set -ex; tools/emulate/test.sh arm64 ./core/internal/... + ./core -- -test.short; \
	TIMEOUT=1500 tools/emulate/test.sh icelake ./core/internal/... -- -test.short + ./core -- -test.short -test.run '$(LANES)'

bench-once: ## run every benchmark once, so that none rots
	$(GO) test -run '^$$' -bench . -benchtime 1x -timeout 10m ./...

bench: ## measure (BENCH=regexp COUNT=10), for benchstat: go tool -modfile=tools/go.mod benchstat
	$(GO) test -run '^$$' -bench '$(BENCH)' -count $(COUNT) -benchmem ./...

bench-scale: ## measure the ledger's growth (SIZES='1e6 1e7 1e8' OUT=docs/plots ARGS='--time=20s --dir=DIR'; ARGS=--help lists all)
	@$(GO) run ./internal/ledgerscale --sizes='$(SIZES)' --out='$(OUT)' $(ARGS)

bench-bank: build ## measure a bank through mutual TLS: CPU a coin, latency, overload, connections (OUT=docs/plots/bank ARGS='--time=8s --rounds=5'; ARGS=--help lists all)
	@$(GO) run ./internal/bankscale --bank=bin/ecoin --out='$(OUT)' $(ARGS)

bench-nodes: ## measure two bank nodes on one PostgreSQL against one, each held to a part of a processor by a cgroup (ROUNDS=3 QUOTA=25: percent; less where the database is the limit)
	ECOIN_BENCH_NODES=$(or $(ROUNDS),3) ECOIN_BENCH_NODES_QUOTA=$(or $(QUOTA),25) $(GO) test -count=1 -v -timeout 60m -run '^TestBenchNodes$$' ./cmd/ecoin

bench-peers: ## compare with peers, side by side: codec, ledger, whole system, transport (QUICK=1 OUT=docs/plots/peers ARGS='--only=ledger'; ARGS=--help lists all)
	@cd bench && $(GO) build -o ../bin/peers ./cmd/peers && ../bin/peers --out='$(if $(filter file,$(origin OUT)),../$(if $(QUICK),bin/peers-quick,docs/plots/peers),$(abspath $(OUT)))' $(if $(QUICK),--quick) $(ARGS)

bench-compare: ## measure benchmarks of a commit and of the work tree in turn (BASE=commit PKG=./core BENCH=regexp COUNT=10)
	@bench/compare.sh '$(BASE)' '$(PKG)' '$(BENCH)' '$(if $(filter file,$(origin COUNT)),10,$(COUNT))'

peers-once: ## test the comparison with peers, and run its benchmarks once
	cd bench && $(GO) test -bench . -benchtime 1x ./...

drill: ## attack a real bank process at full size while honest clients work, and the ledger's disk
	ECOIN_DRILL=1 $(GO) test -count=1 -v -timeout 20m -run Drill -skip Postgres ./cmd/ecoin ./server
	$(GO) test -count=1 -v -timeout 20m -run 'FullDisk|DamageByShard|KillBank' ./ledger ./cmd/ecoin

drill-postgres: ## two bank nodes on PostgreSQL with two standbys: kill the primary, cut its network, audit (COUNT=10)
	ECOIN_DRILL=1 $(GO) test -count=$(COUNT) -v -timeout 60m -run DrillPostgres ./cmd/ecoin

fuzz: ## fuzz every target for FUZZTIME each
	@for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
	    echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$p || exit 1; done; done

clean: ## remove what the build made
	rm -rf bin
