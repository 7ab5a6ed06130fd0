# Written by rackwright. What GRUB's menu and environment say; read by one-boot, which sets the paths.
get() { grub-editenv "$grub/grubenv" list 2>/dev/null | sed -n "s/^$1=//p"; }
entries() { # of each entry that boots Linux: its path in the menu, its kernel, and which one it is
  awk -F "'" '/^submenu / { above = $(NF - 1) ">" } /^}/ { above = "" }
    /^[ \t]*menuentry / { id = $(NF - 1); n += id !~ /^rackwright-/ }
    /^[ \t]*linux(16|efi)?[ \t]/ { split($0, w, " "); if (sub(/^.*\/vmlinuz-/, "", w[2])) print above id, w[2], n }
    ' "$grub/grub.cfg"
}
place() { entries | awk -v k="$1" '$2 == k && $1 ~ /(^|>)gnulinux-[^>]*-advanced-/ { print $1; exit }'; }
first() { entries | awk '$3 == 1 && $1 !~ /^rackwright-/ { print $2; exit }'; }
default() { # the kernel that boots if none is armed; nothing if that isn't known
  by=$(sed -n 's/^ *set default="\(.*\)"$/\1/p' "$grub/grub.cfg" | grep -vF next_entry | head -n 1)
  [ "$by" != "\${saved_entry}" ] || by=$(get saved_entry)
  case $by in ''|0) first ;; *) entries | awk -v by="$by" '$1 == by { print $2; exit }' ;; esac
}
copy() { # KERNEL ID WORD: the kernel's entry under another id, with this word at the end of its command line
  awk -v id="$(place "$1" | sed 's/.*>//')" -v new="$2" -v word="$3" 'BEGIN { FS = OFS = "\047" }
    /^[ \t]*menuentry / && $(NF - 1) == id { on = 1; $(NF - 1) = new }
    on { print $0 (/^[ \t]*linux/ ? word : "") }
    /^[ \t]*}$/ { on = 0 }' "$grub/grub.cfg"
}
blocks() { # why GRUB can't boot a kernel once
  if systemd-detect-virt -cq; then echo container; return; fi
  if ! [ -s "$grub/grub.cfg" ] || ! command -v update-grub >/dev/null || ! grep -q BOOT_IMAGE= /proc/cmdline; then
    echo no-grub; return
  fi
  if [ -z "$(place "$running")" ] || ! grep -qF 'save_env next_entry' "$grub/grub.cfg"; then echo foreign-menu; fi
  for on in $(grub-probe -t abstraction "$grub" || echo unknown) $(grub-probe -t fs "$grub" || echo unknown); do
    # The list is GRUB's own: check_writable in 00_header.
    case $on in diskfilter|lvm|btrfs|cpiofs|newc|odc|romfs|squash4|tarfs|zfs|unknown) echo "read-only $on" ;; esac
  done
}
