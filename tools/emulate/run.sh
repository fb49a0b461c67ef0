#!/usr/bin/env bash
# Runs a Go test binary on a processor that this machine does not have:
#
#   run.sh icelake [-C DIR] BINARY [ARGS...]   in a Linux booted by Bochs, with AVX-512 IFMA, VAES and SHA-NI
#   run.sh arm64   [-C DIR] BINARY [ARGS...]   by qemu-aarch64-static
#
# The binary is static (CGO_ENABLED=0). DIR is the package's folder, the working directory of its tests; the
# testdata folders of the repository are there too. Exits with the binary's status; 77 when Debian's packages
# are missing (install.sh gets them), 1 with ECOIN_NO_SKIP=1; 124 after TIMEOUT seconds (default 600).
# Bochs 2.7 gets two things wrong: ADOX, so Go's and x/sys/cpu's cpu.adx is off inside, and an instruction of the
# garbage collector's AVX-512 scan, so build with GOEXPERIMENT=nogreenteagc, as test.sh does, or see faults.
# GODEBUG is passed on. CPU names another processor of `bochs --help cpu`.
#
#   run.sh TARGET -jobs JOBS   runs a list of binaries, which test.sh prepares
#   run.sh TARGET -check       only looks for what it needs
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(cd "$here/../.." && pwd)
kernel=${XDG_CACHE_HOME:-$HOME/.cache}/ecoin/emulate/vmlinuz
syslinux=/usr/lib/syslinux/modules/bios

usage() { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }

missing() {
  echo "$target: needs $1; tools/emulate/install.sh gets it" >&2
  [[ ${ECOIN_NO_SKIP:-} ]] && exit 1
  exit 77
}

target=${1:-}; shift || usage
case $target in
  icelake)
    for p in bochs-bin genisoimage cpio lz4; do command -v "$p" >/dev/null || missing "Debian's $p"; done
    for f in /usr/lib/ISOLINUX/isolinux.bin "$syslinux/ldlinux.c32" /usr/share/bochs/BIOS-bochs-latest \
      /usr/share/vgabios/vgabios.bin /usr/lib/*/bochs/plugins/libbx_term_gui.so "$kernel"; do
      [[ -e $f ]] || missing "$f"
    done ;;
  arm64) command -v qemu-aarch64-static >/dev/null || missing "Debian's qemu-user-static" ;;
  *) usage ;;
esac
[[ ${1:-} != -check ]] || exit 0

tmp=$(mktemp -d)
pid=
clean() {
  if [[ $pid ]]; then kill -KILL -- "-$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; fi
  rm -rf "$tmp"
}
trap clean EXIT
trap 'exit 130' INT TERM

# root is the file system of the machine: init, the jobs, and under src the repository's testdata.
root=$tmp/root
mkdir -p "$root/jobs"
(cd "$here/.." && CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$root/init" ./emulate/init)

if [[ ${1:-} == -jobs ]]; then
  jobs=${2:?}
else
  dir=$PWD
  if [[ ${1:-} == -C ]]; then dir=$(cd "${2:?}" && pwd); shift 2; fi
  [[ $# -ge 1 ]] || usage
  binary=$(realpath "$1"); shift
  jobs=$tmp/jobs
  mkdir "$jobs"
  printf '%s\0' "$(basename "$binary")" "$dir" "$binary" "$@" >"$jobs/1"
fi

# follow shows FILE until the process ends, or the time is over. Behind wait, so that a signal ends the script.
follow() {
  timeout "${TIMEOUT:-600}" tail -n +1 -f -s 0.2 --pid="$pid" "$1" > >(sed -u 's/\r$//; /reboot: Power down$/d') &
  wait $! || { echo "$target: not done after ${TIMEOUT:-600} s" >&2; exit 124; }
}

if [[ $target == arm64 ]]; then
  : >"$tmp/out"
  setsid "$root/init" -jobs "$jobs" -with qemu-aarch64-static >"$tmp/out" 2>&1 &
  pid=$!
  follow "$tmp/out"
  status=0
  wait "$pid" || status=$?
  pid=
  exit "$status"
fi

# Into the machine go the binaries, under their paths on the host, and each job's folder.
(cd "$repo" && find . -name testdata -type d -not -path './.*' -print0 |
  xargs -0 -r cp -r --parents -t "$(mkdir -p "$root$repo" && echo "$root$repo")")
for job in "$jobs"/*; do
  mapfile -d '' -t field <"$job"
  mkdir -p "$root${field[1]}" "$root$(dirname "${field[2]}")"
  cp --no-clobber "${field[2]}" "$root${field[2]}"
  cp "$job" "$root/jobs/"
done
printf '%s\0' PATH=/ HOME=/tmp GOMAXPROCS=1 "GODEBUG=cpu.adx=off${GODEBUG:+,$GODEBUG}" >"$root/env"

# A compact disc that boots the kernel. What the kernel must not believe of Bochs 2.7's CPUID: the layout of pku
# and of compacted xsave areas (it would turn AVX off), and fsrm without erms (its memmove would loop).
iso=$tmp/iso
mkdir "$iso"
(cd "$root" && find . -print0 | cpio --null -o -H newc --quiet | lz4 -l -q) >"$iso/initrd"
cp "$kernel" "$iso/linux"
cp /usr/lib/ISOLINUX/isolinux.bin "$syslinux/ldlinux.c32" "$iso"
cat >"$iso/isolinux.cfg" <<END
DEFAULT linux
PROMPT 0
LABEL linux
  KERNEL linux
  APPEND initrd=initrd console=ttyS0,115200 quiet loglevel=1 nokaslr nosmp mitigations=off nowatchdog audit=0 tsc=reliable lpj=100000 panic=-1 clearcpuid=pku,xsavec,xsaves,fsrm
END
genisoimage -quiet -o "$tmp/boot.iso" -b isolinux.bin -c boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table "$iso"

cat >"$tmp/bochsrc" <<END
plugin_ctrl: unmapped=1, biosdev=1, serial=1, speaker=0, extfpuirq=0, parallel=0, gameport=0, iodebug=0
display_library: term
cpu: model=${CPU:-corei7_icelake_u}, count=1, ips=50000000, reset_on_triple_fault=0
memory: guest=2048, host=1024
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/vgabios/vgabios.bin
ata0-master: type=cdrom, path=$tmp/boot.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$tmp/serial
log: $tmp/log
panic: action=fatal
clock: sync=none
END
echo c >"$tmp/rc" # Debian's Bochs starts in its debugger: continue
: >"$tmp/serial"
TERM=vt100 setsid bochs-bin -q -f "$tmp/bochsrc" -rc "$tmp/rc" </dev/null >"$tmp/out" 2>&1 &
pid=$!
follow "$tmp/serial"
wait "$pid" || true
pid=

status=$(sed -n 's/\r$//; s/^exit status \([0-9]*\)$/\1/p' "$tmp/serial" | tail -n 1)
if [[ ! $status ]]; then
  echo "icelake: bochs ended early:" >&2
  grep -v 'i\[' "$tmp/out" | tail -n 5 >&2 || true
  exit 125
fi
exit "$status"
