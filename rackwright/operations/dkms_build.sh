# Builds modules for DKMS in $work/tree, from the sources in $work/root/usr/src. Installs nothing. /bin/sh functions.
say() { printf '%s\n' "$*" >&2; }
sources() { # a line NAME VERSION for each module
  for conf in "$work"/root/usr/src/*/dkms.conf; do
    [ -e "$conf" ] || continue
    of=$(basename "${conf%/dkms.conf}") name=$(sed -n 's/^PACKAGE_NAME="*\([^"]*\)"*$/\1/p' "$conf")
    echo "$name ${of#"$name-"}"
  done
}
builds() { # NAME VERSION KERNEL: whether it builds; if not, the compiler's lines are on stderr
  say "building $1 $2 for kernel $3"
  dkms build -m "$1" -v "$2" -k "$3" --sourcetree "$work/root/usr/src" --dkmstree "$work/tree" >"$work/log" 2>&1 && return
  say "$1 $2 doesn't build for kernel $3:"
  log=$work/tree/$1/$2/build/make.log
  { grep -hE ' error: |fatal error: |^ERROR: modpost' "$log" || grep -hE 'Error!|[*][*][*]' "$work/log" "$log"; } 2>/dev/null |
    sed "s,$work/tree/$1/$2/build/,,g" | cut -c 1-240 | head -n 4 >&2
  return 1
}
