# A throwaway apt root in $folder: the host's sources and package lists are read; nothing on the host is changed.
# Prints what apt would install on an empty system, each package by URI, file, size and sha256.
export LC_ALL=C
mkdir -p "$folder/state/lists/partial" "$folder/cache/archives/partial" "$folder/sources"
trap 'rm -rf -- "$folder"' EXIT
cd "$folder"
: >status
# Package lists that the host already has and that are still current aren't fetched again.
cp -- /var/lib/apt/lists/*_* state/lists/ 2>/dev/null || true
printf '%s' "$sources" >sources/asked.sources
printf '%s' "$settings" >settings
[ -z "$CAs" ] || printf '%s' "$CAs" >CAs.pem
if [ -n "$others" ]; then
  for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    # The same repository under another key would be a conflict.
    [ ! -f "$f" ] || { [ -n "$own" ] && grep -qF -- "$own" "$f"; } || cp -- "$f" sources/"$(basename -- "$f" | sed 's/^sources[.]list$/own.list/')"
  done
fi
export APT_CONFIG="$folder/settings"
fail() { printf '%s\n' "$*" >&2; exit 1; }
update() { apt-get -q update --error-on=any >update.log 2>&1 || fail "$(grep -E '^(E|W):' update.log | head -n 5)"; }
update
if [ -n "$components" ]; then
  # Debian's contrib and non-free are in the same place as main.
  apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT) $(SIGNED_BY)' 'Created-By: Packages' |
    while read -r uri release component key; do
      [ "$component" = main ] || continue
      printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: %s\n' "$uri" "$release" "$components"
      case $key in /*) printf 'Signed-By: %s\n' "$key" ;; esac
      echo
    done >sources/components.sources
  update
fi
there() { apt-cache show --no-all-versions "$1" >/dev/null 2>&1; }
of() { # NAME BRANCH: the package's newest version in the branch
  apt-cache madison "$1" | awk -F ' *[|] *' -v b="$2" \
    '{ v = $2; sub(/^[0-9]+:/, "", v); sub(/[-+~].*/, "", v) } v == b || index(v, b ".") == 1 { print $2; exit }'
}
found=
while read -r module parts; do
  version=$(of "$module" "$branch")
  [ -z "$version" ] || { found="$module=$version"; break; }
  seen="$seen$(apt-cache madison "$module" | awk -F ' *[|] *' '{ print " " $1 " " $2 }' | head -n 3)"
done <<LAYOUTS
$layouts
LAYOUTS
[ -n "$found" ] || fail "no $modules modules of branch $branch; there are:${seen:- none}"
upstream=$(printf '%s\n' "$version" | sed 's/^[0-9]*://; s/[-+~].*//')
printf 'Package: nvidia-* libnvidia-* libcuda* firmware-nvidia-* cuda-drivers*\nPin: version %s*\nPin-Priority: 1001\n' \
  "$upstream" >pin
for part in $parts; do
  name=''
  names=$(echo "${part#\?}" | tr '|' ' ')
  # A name without a branch may exist only in another branch.
  for one in $names; do if [ -n "$(of "$one" "$upstream")" ]; then name=$one; break; fi; done
  [ -n "$name" ] || for one in $names; do if there "$one"; then name=$one; break; fi; done
  [ -n "$name" ] || case $part in \?*) continue ;; *) fail "there is no package $(echo "$part" | sed 's/|/ or /g')" ;; esac
  found="$found $name"
done
headers=$(echo "$kernel" | sed 's/^linux-image-/linux-headers-/')
for k in $running; do if there "linux-headers-$k"; then headers="$headers linux-headers-$k"; fi; done
found="$found $kernel $headers"
echo "version $upstream"
echo "install $found"
apt-get -qq -y --print-uris install $found 2>install.log || fail "$(grep -v '^W:' install.log | tail -n 12)"
[ -z "$toolkit" ] || { echo toolkit; apt-get -qq -y --print-uris install $toolkit 2>&1 || exit 1; }
