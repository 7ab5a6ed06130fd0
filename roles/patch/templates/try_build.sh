# Try whether a driver's modules build for a kernel, with everything in $work; nothing is installed.
# $files: lines URL SHA256 NAME; $kernel: its release; $seconds: limit of the build; $build: the script below `sh -c`;
# fetch URL FILE. Exit status: 0 it builds, 1 it doesn't (the compiler's lines are on stderr), 3 it can't be tried.
export LC_ALL=C
work=$(mktemp -d /var/tmp/rackwright-build-XXXXXXXX)
unit=rackwright-build-${work##*-}
trap 'systemctl -q stop "$unit" 2>/dev/null; rm -rf --one-file-system -- "$work"' EXIT
trap 'exit 3' HUP INT TERM
mkdir "$work/files" "$work/root" "$work/tree" "$work/tmp"
cannot() { printf '%s\n' "$*" >&2; exit 3; }
for program in dkms gcc make; do
  command -v $program >/dev/null || cannot "$program isn't installed"
done
printf '%s\n' "$files" >"$work/list"
while read -r url sha256 name; do
  fetch "$url" "$work/files/$name" 2>"$work/log" || cannot "$name: $(head -n 1 "$work/log")"
  echo "$sha256  $work/files/$name" | sha256sum --quiet -c - >/dev/null 2>&1 || cannot "$name has another sha256 than it had in apt's lists"
  dpkg-deb -x "$work/files/$name" "$work/root" || cannot "$name can't be unpacked"
done <"$work/list"
# /lib is a link to /usr/lib, and the packages' links have absolute paths.
if [ -d "$work/root/lib" ]; then mkdir -p "$work/root/usr/lib" && cp -a "$work/root/lib/." "$work/root/usr/lib/"; fi
systemd-run --quiet --wait --pipe --collect --expand-environment=no --unit="$unit" \
  -p Nice=19 -p CPUWeight=1 -p IOSchedulingClass=idle -p RuntimeMaxSec="$seconds" -p PrivateNetwork=yes \
  -p PrivateMounts=yes -p ProtectSystem=strict -p ReadWritePaths="$work" -p Environment="TMPDIR=$work/tmp" \
  sh -c "$build" build "$work" "$kernel" </dev/null >/dev/null && status=0 || status=$?
[ -e "$work/tried" ] || [ "$status" = 3 ] || cannot "it was ended after $seconds s"
exit "$status"
