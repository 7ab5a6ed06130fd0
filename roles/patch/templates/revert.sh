#!/bin/sh
# Made by rackwright. Usage: revert.sh PATIENCE: install the kept files again, so that each package is as before the
# run. It needs no network. PATIENCE: seconds to wait for another apt.
. "${0%/*}/common.sh"
. "$folder/marks.sh"
. "$folder/conffiles.sh"

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

[ -e "$folder/begun" ] || exit 0
# shellcheck disable=SC2086 # each word is a file
wait_for "$1" $locks
touch -- "$folder/reverted"
rm -f -- "$folder/install.result" "$folder/finish.result" # what they brought is there no more
sync -- "$folder/reverted" "$folder"
[ -z "$(ls /var/lib/dpkg/updates)" ] || dpkg --configure -a || : # apt refuses to work before
# shellcheck disable=SC2046 # each word is a file or a package
set -- $(needed)
[ $# = 0 ] || offline install --allow-downgrades --reinstall --purge "$@" || without_apt
remark
revert_conffiles
differing before version >>"$findings"
broken >>"$findings"
sync
refuse_if_found
