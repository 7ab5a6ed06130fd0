#!/bin/sh
# Written by rackwright. Boots a kernel once; the kernel that ran before stays the default until a commit.
# Usage: one-boot look | hold | arm KERNEL | disarm | commit
# look    prints what is armed, runs and boots by default, and what needs hands if a kernel doesn't boot
# hold    makes the running kernel the default, whichever kernels are installed, until a commit
# arm     holds, and boots KERNEL at the next boot only; a panic there reboots, into the default
# disarm  takes that back; the default stays
# commit  makes the running kernel the default for good; refused while another kernel is armed or after it fell back
set -eu
export LC_ALL=C
grub=/boot/grub kept=/etc/default/grub.d/zzz-rackwright.cfg once=/etc/grub.d/01_rackwright
dog=/etc/systemd/system.conf.d/zz-rackwright.conf guard=/etc/rackwright/boot-guard
running=$(uname -r) boot=$(cat /proc/sys/kernel/random/boot_id)
die() { echo "$*" >&2; exit 1; }
. "$0.menu"
. "$0.arm"
disarm() { # further values for GRUB's environment are set at the same time
  edit next_entry= rackwright_armed= rackwright_boot= "$@"
  rm -f -- "$dog"
  if [ -e "$once" ]; then rm -f -- "$once"; menu; fi
}
commit() {
  [ -z "$armed" ] || [ "$armed" = "$running" ] || die "kernel $armed is armed, but $running runs; next: $0 disarm"
  disarm "saved_entry=$(place "$running")"
  armed=''
  # The guard may choose another kernel for the GPUs. Then this one is kept.
  if [ -x "$guard" ]; then "$guard" look >/dev/null 2>&1 || true; fi
  if [ -e "$kept" ] && [ "$(first)" = "$running" ]; then rm -f -- "$kept"; menu; fi
  [ "$(default)" = "$running" ] || hold
}
look() {
  state=none
  if [ -n "$armed" ] && [ "$since" != "$boot" ]; then
    if [ "$armed" = "$running" ]; then state=booted; else state=fell-back; fi
  elif [ -n "$armed" ] && [ "$(get next_entry)" = rackwright-once ]; then state=armed
  else armed=; fi
  printf 'state %s\narmed %s\nrunning %s\n' "$state" "${armed:--}" "$running"
  printf 'default %s\n' "$(default 2>/dev/null | grep . || echo -)"
  blocks | sed 's/^/hands /'
  [ -c /dev/watchdog0 ] || echo 'hands no-watchdog'
}
armed=$(get rackwright_armed) since=$(get rackwright_boot) mode=${1:-look}
if [ "$mode" = look ]; then look; exit; fi
case $mode in
  disarm) stops='' ;;
  arm) stops=$(blocks) ;;
  hold|commit) stops=$(blocks | grep -v ^read-only || true) ;; # GRUB needn't write its environment for these
  *) die "usage: $0 look | hold | arm KERNEL | disarm | commit" ;;
esac
[ -z "$stops" ] || die "its boot loader can't do that: $(echo "$stops" | paste -sd ,); see $0 look"
exec 9>/run/rackwright-one-boot.lock
flock -w 120 9 || die 'another one-boot is still under way'
case $mode in
  hold) hold ;;
  arm) arm "${2:-}" ;;
  disarm) [ ! -e "$grub/grubenv" ] || disarm ;;
  commit) commit ;;
esac
