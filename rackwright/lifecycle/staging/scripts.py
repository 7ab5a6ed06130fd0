"""What root runs on a host for one staging. Some folders are the unit's user's: root follows no link in them."""

from __future__ import annotations

from rackwright.roles.staging.settings import RUN, UNIT, USER

STATUS_BYTES, TORRENT_BYTES = 10_000, 32 * 2**20
"""So much is read of what a unit wrote: a torrent of eight megabytes a piece lists 13 terabytes in that."""
_AS_USER = f"setpriv --reuid={USER} --regid={USER} --clear-groups --no-new-privs"
"""So that a link in a folder of the unit's leads nowhere but where its user may go anyway."""

# $1: folder of models, $2: where files arrive, $3: the model's folder, if it is whole, else empty; then sha256 and
# path of each file, up to --; then what systemd-run is given. Standard input: the runtime folder as tar.
START = f"""set -eu
umask 077
systemctl stop -q {UNIT} 2>/dev/null || true
systemctl reset-failed -q {UNIT} 2>/dev/null || true
models=$1 arriving=$2 folder=$3
shift 3
[ -d "$models" ] || install -d -m 0755 -- "$models"
[ -d "$models/.staging" ] || install -d -m 0755 -- "$models/.staging"
[ -z "$folder" ] || rm -rf -- "$arriving"
[ -d "$arriving" ] || install -d -m 0700 -- "$arriving"
while [ "$1" != -- ]; do
  # The first host passes on what it serves: by links, which its unit can read and not change.
  [ -z "$folder" ] || [ -e "$arriving/$1" ] || ln -- "$folder/$2" "$arriving/$1"
  shift 2
done
shift
chown {USER}:{USER} -- "$arriving"
trap 'rm -rf -- {RUN}' EXIT
rm -rf -- {RUN}
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
STOP = f"systemctl stop -q {UNIT} 2>/dev/null || true; systemctl reset-failed -q {UNIT} 2>/dev/null || true\n"
# $1: where files arrived, $2: PLACE, $3: the model's folder, $4: its digest; then sha256 and path of each file.
FINISH = f"""set -eu
{STOP}
arriving=$1 place=$2 folder=$3 digest=$4
shift 4
chown -R root:root -- "$arriving"
for word; do
  case $word in */*) continue ;; esac
  [ ! -f "$arriving/$word" ] || mv -T -- "$arriving/$word" "$arriving/$word.verified"
done
empty=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
[ -e "$arriving/$empty.verified" ] || : >"$arriving/$empty.verified"
sh -c "$place" place "$arriving" "$folder" "$digest" "$@"
rm -rf -- "$arriving"
rmdir --ignore-fail-on-non-empty -- "${{arriving%/*}}"
"""
CLEAN = f"""{STOP}
rm -rf -- "$1"
rmdir --ignore-fail-on-non-empty -- "${{1%/*}}" 2>/dev/null || true
"""
