# What patching would change on this host. Writes only in $work, root's own folder, which is removed at the end.
# $left: names that other commands decide; $only: security or empty; $tracker: URL of debsecan's data; $one_boot: the
# script of roles/boot; fetch URL FILE; the functions of questions.sh.
export LC_ALL=C
fail() { printf '%s\n' "$*" >&2; exit 1; }
for program in apt-get apt-cache dpkg; do
  command -v $program >/dev/null || fail "$program isn't installed; patching needs Debian or Ubuntu"
done
work=$(mktemp -d /var/tmp/rackwright-state-XXXXXXXX)
trap 'rm -rf -- "$work"' EXIT
trap 'exit 1' HUP INT TERM
chmod 0711 "$work"
mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial"
. /etc/os-release
echo "system $ID ${VERSION_ID:-} $(dpkg --print-architecture)"
# Lists that are still current aren't fetched again.
cp -- /var/lib/apt/lists/*_* "$work/state/lists/" 2>/dev/null || true
# To apt, packages that other commands decide are on hold here.
awk -v left="$left" '/^Package: /{ p = $2 } /^Status: install / && p ~ left { sub("install", "hold") } { print }' \
  /var/lib/dpkg/status >"$work/status"
cat >"$work/apt.conf" <<END
Dir::State "$work/state";
Dir::State::status "$work/status";
Dir::State::extended_states "/var/lib/apt/extended_states";
Dir::Cache "$work/cache";
Acquire::Languages "none";
Acquire::ForceHash "SHA256";
APT::Get::Never-Include-Phased-Updates "true";
END
export APT_CONFIG="$work/apt.conf"
apt-get -q update --error-on=any >"$work/log" 2>&1 || fail "$(grep -E '^(E|W):' "$work/log" | head -n 5)"
simulated() { apt-get -q -s "$@" >"$work/simulated" 2>"$work/log" || fail "$(grep -v '^W:' "$work/log" | tail -n 8)"; }
set -- upgrade --with-new-pkgs
simulated "$@"
sed -n '/^The following packages have been kept back:/,/^[^ ]/s/^  //p' "$work/simulated" | tr -s ' ' '\n' | sed 's/^/kept /'
if [ -n "$only" ]; then
  names=$(awk '$1 == "Inst" && /Debian-Security:|-security[ ,]/ { n = $2; sub(/[^(]*\(/, ""); print n "=" $1 }' "$work/simulated")
  if [ -n "$names" ]; then set -- install --no-remove -- $names; simulated "$@"; else set --; : >"$work/simulated"; fi
fi
grep -E '^(Inst|Remv) ' "$work/simulated"
[ $# = 0 ] || apt-get -qq -y --print-uris "$@" 2>/dev/null | grep "^'"
# name[:architecture] and the version before, of each package that is changed.
sed -n 's/^Inst \([^ ]*\) \[\([^]]*\)\].*/\1 \2/p' "$work/simulated" >"$work/before"
after=$(sed -n 's/^Inst \([^ ]*\) [^(]*(\([^ ]*\) .*/\1=\2/p' "$work/simulated")
[ -z "$after" ] || apt-cache show -- $after | awk '/^Package: /{ p = $2 } /^Version: /{ v = $2 } /^Architecture: /{ a = $2 }
  /^Installed-Size: /{ s = $2 } /^$/ && p { print "unpacked", p, a, v, s; p = "" } END { if (p) print "unpacked", p, a, v, s }'

# The way back. Files of documentation may be left out by dpkg's own path-exclude.
[ ! -s "$work/before" ] || apt-cache madison -- $(cut -d ' ' -f 1 "$work/before") 2>/dev/null |
  awk -F ' *[|] *' '/ Packages$/ { gsub(/^ +/, "", $1); print $1, $2 }' >"$work/offered"
while read -r name version; do
  architecture=$(dpkg-query -W -f '${Architecture}' "$name")
  if grep -qxF -e "${name%:*} $version" -e "$name $version" "$work/offered"; then way=archive
  elif [ -e "/var/cache/apt/archives/${name%:*}_$(printf %s "$version" | sed 's/:/%3a/')_$architecture.deb" ]; then way=cache
  elif ! command -v dpkg-repack >/dev/null; then way=none
  elif dpkg --verify "$name" 2>/dev/null | grep '^missing' | grep -qvE ' /usr/share/(doc|man|info|locale|lintian)/'; then way=none
  else way=repack; fi
  echo "back $name $way"
done <"$work/before"

env -u APT_CONFIG apt-mark showhold | while read -r name; do echo "held $name $(held_for "${name%:*}")"; done
broken | awk -F '\t' '{ print "broken", $2, $4 }'
for file in $locks; do who=$(holder "$file") && [ -n "$who" ] && echo "locked $who"; done | sort -u
for place in / /usr /var /boot; do
  [ ! -d $place ] || df -B1 --output=avail,target $place | awk -v p=$place 'NR == 2 { print "space", p, $1, $2 }'
done

if command -v needrestart >/dev/null; then
  echo "asked needrestart"
  needrestart -b -r l 2>/dev/null </dev/null | grep -E '^NEEDRESTART-(SVC|KSTA): ' || true
fi
echo "running $(uname -r)"
for kernel in /boot/vmlinuz-*; do [ ! -e "$kernel" ] || echo "kernel ${kernel#/boot/vmlinuz-}"; done
[ ! -e /run/reboot-required ] || echo "reboot $(sort -u /run/reboot-required.pkgs 2>/dev/null | tr '\n' ' ')"
[ ! -x "$one_boot" ] || "$one_boot" look 2>/dev/null </dev/null | sed 's/^/boot /'

# CVEs that the installed versions have, then those that the versions after would have.
if [ "$ID" != debian ] || [ -z "${VERSION_CODENAME:-}" ] || ! command -v debsecan >/dev/null; then echo end; exit 0; fi
own=$(sed -n 's/^SOURCE=//p' /etc/default/debsecan 2>/dev/null | tr -d \"\' | tail -n 1)
mkdir -p "$work/tracker"
from=${own:-$tracker}
sed -n 's/^Inst \([^ ]*\) [^(]*(\([^ ]*\) .*/\1 \2/p' "$work/simulated" >"$work/after"
awk 'FNR == NR { to[$1] = $2; next } /^Package: /{ p = $2 } /^Version: / && p in to { $2 = to[p] } { print }' \
  "$work/after" /var/lib/dpkg/status >"$work/later"
vulnerable() { # STATUS FILE
  timeout 120 debsecan --config /dev/null --source "file://$work/tracker/" --suite "$VERSION_CODENAME" \
    --format simple --status "$1" >"$2" 2>"$work/log"
}
if fetch "${from%/}/$VERSION_CODENAME" "$work/tracker/$VERSION_CODENAME" 2>"$work/log" &&
  vulnerable /var/lib/dpkg/status "$work/open" && vulnerable "$work/later" "$work/left"; then
  echo "asked debsecan"
  sed 's/^/open /' "$work/open"
  sed 's/^/later /' "$work/left"
else
  echo "unknown $(tail -n 1 "$work/log")"
fi
echo end
