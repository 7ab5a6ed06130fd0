# Written by rackwright. What one-boot changes before the reboot; read by it.
edit() { # all at once and on disk: a power cut leaves the old values or the new ones
  if [ -e "$grub/grubenv" ]; then cp -p -- "$grub/grubenv" "$grub/grubenv.new"
  else grub-editenv "$grub/grubenv.new" create; fi
  grub-editenv "$grub/grubenv.new" set prev_saved_entry= "$@"
  sync "$grub/grubenv.new"
  mv -fT -- "$grub/grubenv.new" "$grub/grubenv"
  sync -f "$grub"
}
put() { # FILE MODE, with standard input as its content
  mkdir -p -- "${1%/*}"
  cat >"$1.new"
  chmod "$2" "$1.new"
  sync "$1.new"
  mv -fT -- "$1.new" "$1"
  sync "${1%/*}"
}
menu() {
  update-grub >/dev/null 2>&1 || die 'update-grub failed; run it to see why'
  sync -f "$grub"
}
hold() {
  [ -z "$armed" ] || [ "$since" = "$boot" ] || die "kernel $armed was armed before this boot; next: $0 commit or disarm"
  at=$(place "$running")
  [ ! -e "$kept" ] || [ "$(get saved_entry)" != "$at" ] || [ "$(default)" != "$running" ] || return 0
  edit "saved_entry=$at"
  printf '%s\n' "# Written by rackwright: the running kernel stays the boot default until $0 commit." \
    GRUB_DEFAULT=saved GRUB_SAVEDEFAULT=false | put "$kept" 0644
  menu
  [ "$(default)" = "$running" ] || die "kernel $running isn't the default: something overrides $kept"
}
arm() {
  case $1 in ''|*[!A-Za-z0-9.+~_-]*) die "usage: $0 arm KERNEL" ;; esac
  [ -n "$(place "$1")" ] || die "GRUB's menu has no kernel $1; next: ls /boot; update-grub"
  hold
  if [ "$1" = "$running" ]; then disarm; return; fi
  [ "$armed" != "$1" ] || [ "$(get next_entry)" != rackwright-once ] || [ ! -e "$once" ] || return 0
  # If GRUB can't load the kernel, nothing panics: it boots its fallback. It knows that only by its number.
  { printf '#!/bin/sh\n# Written by rackwright: boots %s once.\nexec tail -n +4 %s\n' "$1" "$once"
    echo 'set fallback=0'
    copy "$running" rackwright-before ''; copy "$1" rackwright-once ' panic=10'; } | put "$once" 0755
  if [ -c /dev/watchdog0 ] && [ "$(systemctl show -p RuntimeWatchdogUSec --value)" = 0 ]; then
    printf '%s\n' '# Written by rackwright: tries a new kernel.' '[Manager]' RuntimeWatchdogSec=3min | put "$dog" 0644
  fi
  menu
  grep -q "'rackwright-once'" "$grub/grub.cfg" || die "GRUB's menu lacks the entry in $once"
  edit next_entry=rackwright-once "rackwright_armed=$1" "rackwright_boot=$boot"
}
