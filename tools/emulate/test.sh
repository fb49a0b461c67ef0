#!/usr/bin/env bash
# Runs the tests of packages on a processor that this machine does not have, all in one boot:
#
#   test.sh icelake|arm64 PKG... [-- TEST FLAGS]      e.g. test.sh icelake ./core/internal/cpu -- -test.v
#
# Fails when any failed; see run.sh for the exit status, TIMEOUT, GODEBUG and ECOIN_NO_SKIP.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

target=${1:?icelake or arm64}; shift
pkgs=()
while [[ $# -gt 0 && $1 != -- ]]; do pkgs+=("$1"); shift; done
[[ ${1:-} == -- ]] && shift
[[ ${#pkgs[@]} -gt 0 ]] || { echo "test.sh: no packages" >&2; exit 2; }
"$here/run.sh" "$target" -check

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
# Bochs 2.7 misexecutes the collector's AVX-512 scan: see run.sh.
case $target in icelake) arch=amd64; export GOEXPERIMENT=nogreenteagc ;; *) arch=$target ;; esac
mkdir "$tmp/jobs" "$tmp/bin"
list=$(GOOS=linux GOARCH=$arch CGO_ENABLED=0 go list \
  -f $'{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}\t{{.Dir}}{{end}}' "${pkgs[@]}")
n=100 # three digits, so that the names sort
while IFS=$'\t' read -r path dir; do
  [[ $path ]] || continue # no tests
  n=$((n + 1))
  CGO_ENABLED=0 GOOS=linux GOARCH=$arch go test -c -trimpath -ldflags='-s -w' -o "$tmp/bin/$n" "$path"
  printf '%s\0' "$path" "$dir" "$tmp/bin/$n" "$@" >"$tmp/jobs/$n"
done <<<"$list"
[[ $n -gt 100 ]] || { echo "test.sh: no tests in ${pkgs[*]}" >&2; exit 2; }

"$here/run.sh" "$target" -jobs "$tmp/jobs"
