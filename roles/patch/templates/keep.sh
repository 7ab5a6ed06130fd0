#!/bin/sh
# Made by rackwright. Usage: keep.sh: keep what is needed to revert the packages: their files from apt's
# cache, else from the archive, else made again from what is installed; their marks; their conffiles.
. "${0%/*}/common.sh"
. "$folder/download.sh"
. "$folder/conffiles.sh"
kept=$folder/kept

whole() { # FILE: whether it is this package at the version of before, and complete
  case $(dpkg-deb -f "$1" Package Version Architecture 2>/dev/null | sed 's/^[^:]*: //' | tr '\n' ' ') in
    "$name $before $arch " | "$name $before all ") ;;
    "$name $before $(dpkg --print-architecture) ") [ "$arch" = all ] || return 1 ;;
    *) return 1 ;;
  esac
  dpkg-deb --fsys-tarfile "$1" >/dev/null 2>&1
}
as_archived() { # FILE: whether it is what the archive has, if the archive still has this version
  digest=$(known "$name:$arch=$before")
  [ -z "$digest" ] || [ "$(sum "$1")" = "$digest" ]
}
cached() { cp -- "/var/cache/apt/archives/$1" "$kept/new" 2>/dev/null && whole "$kept/new" && as_archived "$kept/new"; }
archived() { download "$name:$arch=$before" && copied "$1" "$kept/new" && whole "$kept/new"; }
repacked() {
  command -v dpkg-repack >/dev/null || return 1
  rm -rf -- "$kept/repacked"
  mkdir -m 0700 -- "$kept/repacked"
  (cd "$kept/repacked" && umask 022 && dpkg-repack "$name:$arch") || return 1
  mv -fT -- "$kept/repacked"/*.deb "$kept/new" && rmdir -- "$kept/repacked" && whole "$kept/new"
}
keep() {
  [ "$before" != - ] || return 0
  file=$(deb "$name" "$before" "$arch")
  how=$(sed -n "s/^$name $arch //p" "$kept/how")
  if [ -z "$how" ] || [ ! -e "$kept/$file" ]; then
    if cached "$file"; then how=cache; elif archived "$file"; then how=archive; elif repacked; then how=repacked
    else how=none; fi
    [ "$how" = none ] || { written "$kept/new" "$kept/$file"; echo "$name $arch $how" >>"$kept/how"; }
  fi
  found kept "$name:$arch" "$before" "$how"
}

[ ! -e "$folder/begun" ] || { cat "$kept/found" >>"$findings"; exit 0; }
umask 077
[ -d "$kept" ] || mkdir -- "$kept"
touch -- "$kept/how"
differing before differs >>"$findings"
refuse_if_found
listed keep
for mark in auto manual; do apt-mark "show$mark" >"$kept/$mark"; done
apt-mark showhold >"$kept/held"
cp -- "$findings" "$kept/found"
conffiles_here | tar -C / --no-recursion --verbatim-files-from -cpf "$kept/conffiles.new" -T -
sync -- "$kept"/*
written "$kept/conffiles.new" "$kept/conffiles.tar"
