"""What root runs on a host for a peer-to-peer transfer. Root follows no links in the folders of the unit's user."""

from __future__ import annotations

from rackwright.roles.p2p.settings import RUN, UNIT, USER

STATUS_BYTES, TORRENT_BYTES = 10_000, 32 * 2**20
"""How much is read of a unit's output. A torrent of this size, with pieces of 8 MB, lists 13 TB."""
_AS_USER = f"setpriv --reuid={USER} --regid={USER} --clear-groups --no-new-privs"
"""A link in the unit's folder then leads only to files that its user may read anyway."""

STOP = f"""systemctl stop -q {UNIT} 2>/dev/null || true
systemctl reset-failed -q {UNIT} 2>/dev/null || true
rm -rf -- {RUN}
"""
# A running unit could still change the files, so they are taken only after it has ended.
_ENDED = f"""{STOP}case $(systemctl show -p ActiveState --value {UNIT}) in
  active | activating | deactivating | reloading | refreshing) echo '{UNIT} does not end' >&2; exit 1 ;;
esac
"""
# $1: folder of models, $2: where files arrive, $3: the model's folder if it is complete, empty if not, $4: where it
# would be assembled; then sha256 and path of each file, up to --; then the arguments of systemd-run. Standard input:
# the runtime folder as tar.
START = f"""set -eu
umask 077
{_ENDED}
models=$1 arriving=$2 folder=$3 partial=$4
shift 4
[ -d "$models" ] || install -d -m 0755 -- "$models"
[ -d "$models/.p2p" ] || install -d -m 0755 -- "$models/.p2p"
[ -z "$folder" ] || rm -rf -- "$arriving"
[ -d "$arriving" ] || install -d -m 0700 -- "$arriving"
if [ -z "$folder" ]; then
  # An interrupted FINISH may have renamed files and given them to root: they are used again. Anything that is linked
  # elsewhere is removed, because chown would give its target to the user.
  rm -rf -- "$partial"
  find "$arriving" -mindepth 1 \\( ! -type f -o -links +1 \\) -prune -exec rm -rf -- {{}} +
  chmod -R u+rwX -- "$arriving"
fi
while [ "$1" != -- ]; do
  # The first host passes on the files that it serves: as links, which its unit can read but not change.
  if [ -n "$folder" ]; then ln -- "$folder/$2" "$arriving/$1"
  elif [ -f "$arriving/$1.verified" ]; then mv -fT -- "$arriving/$1.verified" "$arriving/$1"; fi
  shift 2
done
shift
[ -n "$folder" ] || chown -R {USER}:{USER} -- "$arriving"
chown {USER}:{USER} -- "$arriving"
trap 'rm -rf -- {RUN}' EXIT
mkdir -m 0700 -- {RUN}
tar -x --no-same-owner -f - -C {RUN}
chown -R {USER}:{USER} -- {RUN}
systemd-run "$@"
trap - EXIT
"""
LOOK = f"""{_AS_USER} head -c {STATUS_BYTES} {RUN}/status.json 2>/dev/null && exit 0
systemctl is-active -q {UNIT} && exit 0
echo ended
journalctl -q --no-hostname -o cat -n 3 -u {UNIT} -t python3 2>/dev/null || true
"""
TORRENT = f"""{_AS_USER} head -c {TORRENT_BYTES} {RUN}/torrent 2>/dev/null || systemctl is-active -q {UNIT}
"""
PEERS = f"""{_AS_USER} sh -c 'umask 077; cat >{RUN}/.peers.json && mv -fT -- {RUN}/.peers.json {RUN}/peers.json'
"""
# $1: where files arrived, $2: PLACE, $3: the model's folder, $4: its digest; then sha256 and path of each file.
FINISH = f"""set -eu
{_ENDED}
arriving=$1 place=$2 folder=$3 digest=$4
incoming=${{1%/*/*}}/.incoming
shift 4
chown -R root:root -- "$arriving"
# A unit writes only files. Anything else could lead out of the folder.
find "$arriving" -mindepth 1 ! -type f -prune -exec rm -rf -- {{}} +
for word; do
  case $word in */*) continue ;; esac
  [ ! -f "$arriving/$word" ] || mv -T -- "$arriving/$word" "$arriving/$word.verified"
done
empty=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
rm -f -- "$arriving/$empty.verified"
: >"$arriving/$empty.verified"
sh -c "$place" place "$arriving" "$folder" "$digest" "$@"
rm -rf -- "$arriving"
rmdir --ignore-fail-on-non-empty -- "${{arriving%/*}}"
# Remove what the host's own earlier download had fetched.
while [ $# -ge 2 ]; do
  rm -f -- "$incoming/$1" "$incoming/$1.verified" "$incoming/$1.lock"
  shift 2
done
"""
CLEAN = f"""{STOP}
rm -rf -- "$1"
rmdir --ignore-fail-on-non-empty -- "${{1%/*}}" 2>/dev/null || true
"""
# $1: where files arrived, $2: bytes that must be free to fetch all of them from the source.
GIVE_UP = f"""{STOP}
free=$(df -B1 --output=avail -- "$1" 2>/dev/null | tail -n 1 | tr -d ' ')
case $free in
  '' | *[!0-9]*) ;;
  *) [ "$free" -ge "$2" ] || rm -rf -- "$1" ;;
esac
rmdir --ignore-fail-on-non-empty -- "${{1%/*}}" 2>/dev/null || true
"""
