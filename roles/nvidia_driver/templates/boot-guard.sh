#!/bin/sh
# Written by rackwright. Keeps the boot default on a kernel whose NVIDIA module matches the installed libraries: the one
# that the fleet's lock names (boot-kernel), or else the newest. Usage: boot-guard [look | ask | hold] [hook]
# look  makes it the default; if its module doesn't match, makes the newest matching kernel the default and exits 1
# ask   prints what look would find, and changes nothing
# hold  keeps the running kernel as the default, until a look finds a matching driver
# hook  is for calls while a kernel is being installed: the next hook writes GRUB's menu
export LC_ALL=C
pin=/etc/default/grub.d/zz-rackwright.cfg
kernels() { for k in /boot/vmlinuz-*; do [ ! -e "$k" ] || echo "${k#/boot/vmlinuz-}"; done | sort -rV; }
modules() { # modprobe prefers updates/ to all other folders
  for folder in "/lib/modules/$1/updates" "/lib/modules/$1"; do
    found=$(find "$folder" -regextype posix-extended -type f \
      -regex '.*/nvidia(-current(-open)?|-tesla-[0-9]+)?[.]ko([.](xz|zst|gz))?' 2>/dev/null)
    [ -z "$found" ] || { echo "$found"; break; }
  done
}
libraries() {
  found=$(/sbin/ldconfig -p | awk '$1 == "libnvidia-ml.so.1" { print $NF; exit }')
  [ -z "$found" ] || readlink -f "$found" | sed 's/.*[.]so[.]//'
}
vouched() { # all DKMS keys have the same name, so they are compared by their numbers
  who=$(modinfo -F signer "$1") key=$(modinfo -F sig_key "$1")
  [ -n "$key" ] && { mokutil --list-enrolled; mokutil --db; } 2>/dev/null | grep -qiF -- "$key" && return
  case $who in ''|DKMS*) return 1 ;; *) grep -qF -- "$who" /proc/keys ;; esac
}
fits() {
  why='it has no module'
  for m in $(modules "$1"); do
    version=$(modinfo -F version "$m")
    if [ "$version" != "$want" ]; then
      why="its module is $version, the libraries are $want"
    elif [ -n "$secure" ] && ! vouched "$m"; then
      key=/var/lib/shim-signed/mok/MOK.der
      [ -e "$key" ] || key=/var/lib/dkms/mok.pub
      why="Secure Boot is on and knows no key that signed its module; run: mokutil --import $key, choose a"
      why="$why password, reboot, and enroll the key at the console"
    else
      return 0
    fi
  done
  return 1
}
pinned() { sed -n 's,^GRUB_TOP_LEVEL=/boot/vmlinuz-,,p' "$pin" 2>/dev/null; }
grub() { [ -n "$hook" ] || ! command -v update-grub >/dev/null || update-grub >/dev/null 2>&1; }
default() { # put this kernel first in GRUB's menu; the newest is first anyway and needs no pin
  [ "$mode" != ask ] || return 0
  if [ "$1" = "$newest" ] && [ "$mode" != hold ]; then [ ! -e "$pin" ] || { rm -f -- "$pin" && grub; }; return; fi
  # GRUB 2.06 (Debian 12, Ubuntu 22.04) doesn't support this.
  if [ ! -d /etc/default/grub.d ]; then return 1; fi
  if [ -e /etc/grub.d/10_linux ] && ! grep -q GRUB_TOP_LEVEL /etc/grub.d/10_linux; then return 1; fi
  [ "$(pinned)" != "$1" ] || return 0
  printf '# Written by rackwright: this kernel boots by default; see %s.\nGRUB_DEFAULT=0\nGRUB_TOP_LEVEL=/boot/vmlinuz-%s\n' \
    /etc/rackwright/boot-guard "$1" >"$pin.new" && sync "$pin.new" && mv -f "$pin.new" "$pin"
  grub || { rm -f -- "$pin"; return 1; }
}
mode=${1:-look} hook=${2:-} want=$(libraries) newest=$(kernels | head -n 1) status=0
secure=$(mokutil --sb-state 2>/dev/null | grep 'SecureBoot enabled')
first=$(cat /etc/rackwright/boot-kernel 2>/dev/null)
[ -n "$first" ] && [ -e "/boot/vmlinuz-$first" ] || first=$newest
if [ "$mode" = hold ]; then
  held=$(pinned)
  if [ -e "/boot/vmlinuz-$(uname -r)" ] && { [ -z "$held" ] || [ ! -e "/boot/vmlinuz-$held" ]; }; then
    default "$(uname -r)" || {
      echo "$(uname -r) can't be kept as the boot default here: this needs GRUB 2.12 or newer, and update-grub" >&2; status=1; }
  fi
elif [ -n "$want" ] && [ -n "$first" ] && ! fits "$first"; then
  echo "kernel $first can't drive the GPUs: $why" >&2
  for k in $(kernels); do
    fits "$k" || continue
    if default "$k"; then says='stays the boot default'; else says="can, but can't be kept as the boot default here"; fi
    echo "$k $says" >&2
    break
  done
  status=1
elif [ -n "$want" ] && [ -n "$first" ]; then
  if [ "$first" = "$newest" ]; then stands=''; else stands=$first; fi
  if [ "$mode" = ask ] && [ "$(pinned)" != "$stands" ] && [ -d /etc/default/grub.d ]; then
    echo "kernel $first should boot by default, but doesn't yet" >&2
    status=1
  fi
  default "$first" || { echo "kernel $first should boot by default, but can't be made the default here" >&2; status=1; }
fi
[ -n "$hook" ] || exit "$status"
