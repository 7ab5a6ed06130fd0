# Read by the scripts of one run's folder: what they share. `wanted` has a line for each package that changes: name,
# architecture, version before (- for none) and after, sha256 and size of the new file.
set -eu
export LC_ALL=C DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l APT_LISTCHANGES_FRONTEND=none UCF_FORCE_CONFFOLD=1
folder=${0%/*} step=${0##*/} tab=$(printf '\t')
step=${step%.sh} findings=$folder/$step.found
. "$folder/questions.sh"

say() { printf '%s\n' "$*" >&2; }
found() { printf '%s\t%s\t%s\t%s\n' "$1" "$2" "${3-}" "${4-}" >>"$findings"; }
refuse_if_found() { [ ! -s "$findings" ] || exit 1; }
listed() { while read -r name arch before after sha256 size; do "$@" </dev/null; done <"$folder/wanted"; }
deb() { printf '%s_%s_%s.deb' "$1" "$(printf %s "$2" | sed 's/:/%3a/g')" "$3"; }
written() { sync -- "$1" && mv -fT -- "$1" "$2" && sync -- "${2%/*}"; }
apt() {
  apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confdef \
    -o Dpkg::Options::=--force-confold "$@"
}
offline() { # apt with files, but without its sources: nothing else can be installed
  apt -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts=/dev/null -o Dir::Cache::pkgcache= \
    -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=root "$@" --no-install-recommends
}
packages() { # print the listed ones: name, architecture, version before and after; what is wanted, status, version now
  dpkg-query -W -f '${Package} ${Architecture} ${db:Status-Want} ${db:Status-Status} ${Version}\n' |
    awk -v OFS='\t' -v native="$(dpkg --print-architecture)" '
      { id = $1 ":" ($2 == "all" ? native : $2) }
      in_list { order[++n] = $1 OFS $2 OFS $3 OFS $4; ids[n] = id; next }
      { is[id] = $3 OFS $4 OFS $5 }
      END { for (i = 1; i <= n; i++) print order[i], ids[i] in is ? is[ids[i]] : "-" OFS "not-installed" OFS }
    ' - in_list=1 "$folder/wanted"
}
differing() { # before or after, KIND: print a finding for each listed package that isn't at that version
  packages | awk -F '\t' -v OFS='\t' -v at="$1" -v kind="$2" '
    { wanted = at == "before" ? $3 : $4; is = $7 }
    $6 == "not-installed" || $6 == "config-files" { is = "-" }
    $6 !~ /^(installed|not-installed|config-files)$/ { is = $7 " (" $6 ")" }
    is != wanted { print kind, $1 ":" $2, wanted, is }'
}
uptime() { cut -d . -f 1 /proc/uptime; }
wait_for() { # SECONDS PATH…: wait until no process has locked any of these
  end=$(($(uptime) + $1))
  shift
  for lock; do
    while who=$(holder "$lock") && [ -n "$who" ]; do
      [ "$(uptime)" -lt "$end" ] || { found locked "$lock" '' "$who"; exit 1; }
      sleep 1
    done
  done
}
