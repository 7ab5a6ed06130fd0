#!/bin/sh
# Written by rackwright. Keeps the boot default on a kernel whose NVIDIA module fits the installed libraries.
# boot-guard       looks: where the newest kernel doesn't fit, the newest that does becomes the default, and it exits 1
# boot-guard ask   says what it would find, and changes nothing
# boot-guard hold  the kernel that runs is the default until a look that finds a driver which fits the newest
# boot-guard hook  looks while a kernel is being installed: GRUB is written by the next hook, and nothing fails
export LC_ALL=C
pin=/etc/default/grub.d/zz-rackwright.cfg
kernels() { for k in /boot/vmlinuz-*; do [ ! -e "$k" ] || echo "${k#/boot/vmlinuz-}"; done | sort -rV; }
modules() { # modprobe takes what stands in updates/ before all else
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
vouched() { # every DKMS key has the same name: those are told apart by their numbers
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
grub() { [ "$mode" = hook ] || ! command -v update-grub >/dev/null || update-grub >/dev/null 2>&1; }
default() {
  line="GRUB_TOP_LEVEL=/boot/vmlinuz-$1"
  # GRUB 2.06 (Debian 12, Ubuntu 22.04) doesn't know it.
  if [ ! -d /etc/default/grub.d ]; then return 1; fi
  if [ -e /etc/grub.d/10_linux ] && ! grep -q GRUB_TOP_LEVEL /etc/grub.d/10_linux; then return 1; fi
  if [ "$mode" = ask ] || grep -qsxF "$line" "$pin"; then return 0; fi
  printf '# Written by rackwright: the newest kernel has no NVIDIA module; see %s.\nGRUB_DEFAULT=0\n%s\n' "$0" "$line" >"$pin"
  grub
}
mode=${1:-look} want=$(libraries) newest=$(kernels | head -n 1) status=0
secure=$(mokutil --sb-state 2>/dev/null | grep 'SecureBoot enabled')
if [ "$mode" = hold ]; then
  if [ ! -e "$pin" ] && [ -e "/boot/vmlinuz-$(uname -r)" ] && ! default "$(uname -r)"; then
    echo "nothing keeps $(uname -r) the boot default here: that takes GRUB 2.12 or newer" >&2
    status=1
  fi
elif [ -n "$want" ] && [ -n "$newest" ] && ! fits "$newest"; then
  echo "kernel $newest can't drive the GPUs: $why" >&2
  for k in $(kernels); do
    fits "$k" || continue
    if default "$k"; then says='stays the boot default'; else says='can, but nothing here keeps it the boot default'; fi
    echo "$k $says" >&2
    break
  done
  status=1
elif [ -n "$want" ] && [ -e "$pin" ] && [ "$mode" != ask ]; then
  rm -f -- "$pin"
  grub
fi
[ "$mode" = hook ] || exit "$status"
