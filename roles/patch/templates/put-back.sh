#!/bin/sh
# Made by rackwright. Usage: put-back.sh PATIENCE: install the kept files again, so that each package is as before the
# run. It needs no network. PATIENCE: seconds to wait for another apt.
. "${0%/*}/common.sh"
. "$folder/marks.sh"

needed() { # print what apt is asked for: a file, or NAME- for a package that is new
  differing before version | while IFS=$tab read -r _ id version is; do
    file=$folder/kept/$(deb "${id%:*}" "$version" "${id##*:}")
    if [ "$version" = - ]; then echo "$id-"; elif [ -e "$file" ]; then echo "$file"; fi
  done
}
without_apt() { # apt does nothing if a dependency can't be met; dpkg does what it can
  files=$(needed | grep '^/') || files=''
  # shellcheck disable=SC2086 # each word is a file
  [ -z "$files" ] || dpkg --force-downgrade --force-confdef --force-confold -i $files || :
  new=$(needed | sed -n 's/-$//p')
  # shellcheck disable=SC2086 # each word is a package
  [ -z "$new" ] || dpkg --purge -- $new || :
  dpkg --configure -a || :
}
trusted() { # FOLDER: whether only root can change it and those above it
  above=$(realpath -- "$1") || return 1
  while [ -n "$above" ]; do
    case $(stat -c '%u %A' -- "$above") in '0 d????-??-?') ;; *) return 1 ;; esac
    above=${above%/*}
  done
}
conffiles() {
  copy=$folder/conffiles
  rm -rf -- "$copy"
  mkdir -m 0700 -- "$copy"
  tar -C "$copy" -xpf "$folder/kept/conffiles.tar"
  find "$copy" -type f -printf '%P\n' | while IFS= read -r path; do
    ! cmp -s -- "$copy/$path" "/$path" || continue
    if [ -L "/$path" ] || ! trusted "/${path%/*}"; then found conffile "/$path"; continue; fi
    cp -a -- "$copy/$path" "/$path.rackwright-new"
    mv -fT -- "/$path.rackwright-new" "/$path"
  done
  rm -rf -- "$copy"
}

[ -e "$folder/begun" ] || exit 0
# shellcheck disable=SC2086 # each word is a file
wait_for "$1" $locks
touch -- "$folder/reverted"
sync -- "$folder/reverted" "$folder"
[ -z "$(ls /var/lib/dpkg/updates)" ] || dpkg --configure -a || : # apt refuses to work before
# shellcheck disable=SC2046 # each word is a file or a package
set -- $(needed)
[ $# = 0 ] || offline install --allow-downgrades --reinstall --purge "$@" || without_apt
remark
conffiles
differing before version >>"$findings"
broken >>"$findings"
sync
refuse_if_found
