#!/usr/bin/env bash
# Runs the tests of packages on a processor that this machine does not have, all in one boot:
#
#   test.sh icelake|arm64 PKG... [-- TEST FLAGS]      e.g. test.sh icelake ./core/internal/cpu -- -test.v
#   test.sh icelake|arm64 PKG... [-- FLAGS] + PKG... [-- FLAGS]     packages with flags of their own
#
# Fails when any failed; see run.sh for the exit status, TIMEOUT, GODEBUG and ECOIN_NO_SKIP.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

target=${1:?icelake or arm64}; shift
[[ $# -gt 0 ]] || { echo "test.sh: no packages" >&2; exit 2; }
"$here/run.sh" "$target" -check

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
# Bochs 2.7 misexecutes the collector's AVX-512 scan: see run.sh.
case $target in icelake) arch=amd64; export GOEXPERIMENT=nogreenteagc ;; *) arch=$target ;; esac
mkdir "$tmp/jobs" "$tmp/bin"
n=100 # three digits, so that the names sort
while [[ $# -gt 0 ]]; do
  pkgs=() flags=()
  while [[ $# -gt 0 && $1 != -- && $1 != + ]]; do pkgs+=("$1"); shift; done
  [[ ${#pkgs[@]} -gt 0 ]] || { echo "test.sh: flags without packages" >&2; exit 2; }
  if [[ ${1:-} == -- ]]; then
    shift
    while [[ $# -gt 0 && $1 != + ]]; do flags+=("$1"); shift; done
  fi
  [[ ${1:-} == + ]] && shift
  list=$(GOOS=linux GOARCH=$arch CGO_ENABLED=0 go list \
    -f $'{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}\t{{.Dir}}{{end}}' "${pkgs[@]}")
  [[ $list ]] || { echo "test.sh: no tests in ${pkgs[*]}" >&2; exit 2; }
  while IFS=$'\t' read -r path dir; do
    n=$((n + 1))
    CGO_ENABLED=0 GOOS=linux GOARCH=$arch go test -c -trimpath -ldflags='-s -w' -o "$tmp/bin/$n" "$path"
    printf '%s\0' "$path" "$dir" "$tmp/bin/$n" "${flags[@]}" >"$tmp/jobs/$n"
  done <<<"$list"
done

"$here/run.sh" "$target" -jobs "$tmp/jobs"
