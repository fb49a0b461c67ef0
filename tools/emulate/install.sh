#!/usr/bin/env bash
# Gets what run.sh needs, all from Debian: the emulators, and a kernel to boot, which is only unpacked into the
# cache folder. Quick when everything is there.
set -euo pipefail
cache=${XDG_CACHE_HOME:-$HOME/.cache}/ecoin/emulate

need=()
for p in bochs bochs-term bochsbios vgabios isolinux syslinux-common genisoimage cpio lz4 qemu-user-static; do
  [[ $(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null) == installed ]] || need+=("$p")
done
if [[ ${#need[@]} -gt 0 || ! -e $cache/vmlinuz ]]; then
  apt-get update -qq
fi
if [[ ${#need[@]} -gt 0 ]]; then
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${need[@]}"
fi
if [[ ! -e $cache/vmlinuz ]]; then
  mkdir -p "$cache"
  tmp=$(mktemp -d)
  trap 'rm -rf "$tmp"' EXIT
  cd "$tmp"
  image=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: //p' | head -n 1)
  apt-get download -qq "$image"
  dpkg -x ./*.deb .
  cp boot/vmlinuz-* "$cache/vmlinuz.new"
  mv "$cache/vmlinuz.new" "$cache/vmlinuz"
fi
