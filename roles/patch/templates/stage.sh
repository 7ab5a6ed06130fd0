#!/bin/sh
# Made by rackwright. Usage: stage.sh RESERVE PATIENCE: check this host and download the files that it will install.
# RESERVE: bytes that must stay free. PATIENCE: seconds to wait for another apt. Nothing is installed.
. "${0%/*}/common.sh"
reserve=$1 patience=$2
. "$folder/download.sh"

held() { # packages on hold, and the set of packages that rackwright holds them for
  packages | awk -F '\t' '$5 == "hold" { print $1, $2 }' | while read -r name arch; do
    found held "$name:$arch" '' "$(held_for "$name")"
  done
}
room() { # lines of standard input: PATH BYTES that will be written there
  while read -r path bytes && [ -n "$bytes" ]; do
    [ -e "$path" ] || path=/
    echo "$path $bytes $(df -B1 --output=avail,target -- "$path" | tail -n 1)"
  done | awk -v OFS='\t' -v reserve="$reserve" '
    { need[$4] += $2; free[$4] = $3 }
    { spare = $1 == "/boot" ? reserve / 8 : reserve; if (spare > more[$4]) more[$4] = spare }
    END { for (disk in need) if (need[disk] + more[disk] > free[disk])
      print "space", disk, sprintf("%.0f", need[disk] + more[disk]), free[disk] }' >>"$findings"
}
arriving() { [ -z "$(missing)" ] || echo "$folder $size /var/cache/apt $size"; }
replaced() { [ "$before" = - ] || echo "$folder $size"; }
unpacked() { # print for each folder how much the staged files write there; a kernel also gets an initramfs
  initramfs=$(stat -c %s /boot/initrd.img-* 2>/dev/null | sort -n | tail -n 1)
  for file in "$folder"/staged/*.deb; do [ ! -e "$file" ] || dpkg-deb -c "$file"; done |
    awk -v initramfs="${initramfs:-100000000}" '
      { split($6, part, "/"); size["/" part[2]] += $3 + 4096 }
      $6 ~ /^\.\/boot\/vmlinuz-/ { size["/boot"] += 2 * initramfs }
      END { for (top in size) printf "%s %.0f\n", top, size[top] }'
}

[ ! -e "$folder/begun" ] || exit 0
broken >>"$findings"
differing before differs >>"$findings"
held
# New files, kept ones (about as large), and downloads until they have been copied.
{ listed arriving; listed replaced; } | xargs -n 2 | room
refuse_if_found
[ -d "$folder/staged" ] || mkdir -m 0700 -- "$folder/staged"
fetch_all
unpacked | room
refuse_if_found
