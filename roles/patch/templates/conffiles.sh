# Read by keep.sh and revert.sh: conffiles as they were before.
listed_conffiles() { [ "$before" = - ] || dpkg-query -W -f '${Conffiles}\n' -- "$name:$arch"; }
conffiles_here() { # print the paths of the conffiles of the packages that change, and of dpkg's next to them; without /
  listed listed_conffiles | sed -n 's/ obsolete$//; s/ remove-on-upgrade$//; s,^ \(/.*\) [^ ]*$,\1,p' |
    while IFS= read -r path; do
      for file in "$path" "$path.dpkg-dist"; do [ ! -f "$file" ] || [ -L "$file" ] || printf '%s\n' "${file#/}"; done
    done
}
trusted() { # FOLDER: whether only root can change it and those above it
  above=$(realpath -- "$1") || return 1
  while [ -n "$above" ]; do
    case $(stat -c '%u %A' -- "$above") in '0 d'????-??-?) ;; *) return 1 ;; esac
    above=${above%/*}
  done
}
revert_conffiles() {
  copy=$folder/conffiles
  rm -rf -- "$copy"
  mkdir -m 0700 -- "$copy"
  tar -C "$copy" -xpf "$folder/kept/conffiles.tar"
  find "$copy" -type f -printf '%P\n' | while IFS= read -r path; do
    theirs=/$path.dpkg-dist # dpkg puts the new one next to an edited one
    [ -e "$theirs" ] && [ ! -e "$copy$theirs" ] || theirs=''
    [ -n "$theirs" ] || ! cmp -s -- "$copy/$path" "/$path" || continue
    if [ -L "/$path" ] || ! trusted "/${path%/*}"; then found conffile "/$path"; continue; fi
    cp -a -- "$copy/$path" "/$path.rackwright-new"
    mv -fT -- "/$path.rackwright-new" "/$path"
    [ -z "$theirs" ] || rm -f -- "$theirs"
  done
  rm -rf -- "$copy"
}
