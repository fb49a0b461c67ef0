#!/usr/bin/env bash
# Measures the Go benchmarks of a commit and of the work tree in turn, and prints benchstat's comparison:
#   bench/compare.sh COMMIT PACKAGE BENCHMARKS COUNT      (make bench-compare BASE=COMMIT PKG=./core BENCH=regexp COUNT=10)
# Both test binaries are built first. Each round runs both, the one that was second before coming first.
set -euo pipefail

if (($# != 4)) || [[ ! $1 ]]; then
  echo "usage: make bench-compare BASE=COMMIT [PKG=./core] [BENCH=regexp] [COUNT=10]" >&2
  exit 2
fi
base=$1 package=$2 bench=$3 count=$4
root=$(git rev-parse --show-toplevel)
cd "$root"
commit=$(git rev-parse --verify --quiet "$base^{commit}") || { echo "bench-compare: $base is no commit" >&2; exit 2; }
[[ -d $package ]] || { echo "bench-compare: $package is no folder of this work tree; PKG=./core, for example" >&2; exit 2; }

dir=$(mktemp -d)
clean() {
  cd "$root"
  git worktree remove --force "$dir/tree" 2>/dev/null || true
  rm -rf "$dir"
  git worktree prune
}
trap clean EXIT
trap 'exit 130' INT TERM

git worktree add --quiet --detach "$dir/tree" "$commit"
(cd "$dir/tree" && go test -c -o "$dir/base.test" "$package")
go test -c -o "$dir/new.test" "$package"
for side in base new; do
  [[ -x $dir/$side.test ]] || { echo "bench-compare: $package has no tests in one of the two" >&2; exit 1; }
done

run() { # base or new
  local tree=$root
  [[ $1 == base ]] && tree=$dir/tree
  (cd "$tree/$package" && "$dir/$1.test" -test.run '^$' -test.bench "$bench" -test.benchmem) >>"$dir/$1.txt" || {
    echo "bench-compare: the benchmarks of $1 failed:" >&2
    tail -n 20 "$dir/$1.txt" >&2
    exit 1
  }
}
order=(base new)
for ((i = 1; i <= count; i++)); do
  echo "round $i of $count" >&2
  run "${order[0]}"
  run "${order[1]}"
  order=("${order[1]}" "${order[0]}")
done
go tool -modfile=tools/go.mod benchstat "base=$dir/base.txt" "new=$dir/new.txt"
