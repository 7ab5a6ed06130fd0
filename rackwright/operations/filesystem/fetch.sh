# Usage: fetch NAME URL INTO SIZE SHA256 [CURL OPTION…]; standard input: request headers for curl, one per line.
# URL "" checks the file that is already at INTO. After success, INTO.verified has these bytes. After a failure, the exit
# status isn't 0; an incomplete file stays at INTO, and the next run resumes it.
set -eu
name=$1 url=$2 into=$3 size=$4 sha256=$5
shift 5
fail() { printf '%s: %s\n' "$name" "$1" >&2; exit 1; }
arrived() { stat -c %s -- "$into" 2>/dev/null || echo 0; }

headers=$(cat)
exec 9>"$into.lock"
flock -n 9 || fail 'another run is fetching it; wait until that run has ended'
[ ! -f "$into.verified" ] || mv -fT -- "$into.verified" "$into"
[ "$(arrived)" -le "$size" ] || rm -f -- "$into"
[ "$size" -gt 0 ] || : > "$into"

tries=0 status=0
while [ -n "$url" ] && [ "$(arrived)" -lt "$size" ] && [ "$tries" -lt 5 ]; do
  [ "$tries" -eq 0 ] || sleep "$tries"
  before=$(arrived) status=0
  printf '%s\n' "$headers" | curl -q --silent --show-error --fail --location --proto =https --proto-redir =https \
    --connect-timeout 20 --retry 4 --speed-limit 1000 --speed-time 60 --max-filesize "$size" --continue-at - \
    --header @- --output "$into" "$@" -- "$url" || status=$?
  # 23: can't write. 33: the server can't resume, so start over. After these, a retry is useless: 1, not https;
  # 3, invalid URL; 22, HTTP error; 60, untrusted certificate; 63, too large; 77, no CA file.
  case $status in
    23) fail "can't be written to $(dirname -- "$into"): $(df -h --output=avail -- "$(dirname -- "$into")" | tail -n 1 | tr -d ' ') free" ;;
    33) rm -f -- "$into" ;;
    1 | 3 | 22 | 60 | 63 | 77) break ;;
  esac
  [ "$(arrived)" -gt "$before" ] || tries=$((tries + 1))
done
[ "$(arrived)" -eq "$size" ] || fail "$(arrived) of $size bytes arrived (curl exit $status); they are kept, and the next apply resumes the download"
found=$(sha256sum < "$into" | cut -d ' ' -f 1)
if [ "$found" != "$sha256" ]; then
  rm -f -- "$into"
  fail "sha256 is $found, should be $sha256; removed"
fi
chmod 0444 -- "$into"
mv -fT -- "$into" "$into.verified"
