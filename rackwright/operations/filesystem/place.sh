# Usage: place INCOMING FOLDER DIGEST [SHA256 PATH]…
# Put every file into FOLDER, owned by root and read-only, with the marker. FOLDER is never incomplete. The files
# have been verified, and are linked, not copied. Only root may enter FOLDER's parent.
set -eu
umask 022
incoming=$1 folder=$2 digest=$3
shift 3
partial=$folder.partial
rm -rf -- "$partial"
mkdir -p -m 0700 -- "${folder%/*}"
# With a number, chmod would leave the setgid bit, which a folder inherits.
chmod u=rwx,go=,a-st -- "${folder%/*}"
mkdir -- "$partial"
names=
while [ $# -ge 2 ]; do
  mkdir -p -- "$(dirname -- "$partial/$2")"
  ln -- "$incoming/$1.verified" "$partial/$2"
  names="$names $1"
  shift 2
done
printf '%s\n' "$digest" > "$partial/.verified"
chown -R root:root -- "$partial"
find "$partial" -type f -exec chmod 0444 -- {} +
find "$partial" -type d -exec chmod 0555 -- {} +
put_in_place "$partial" "$folder"
for name in $names; do
  rm -f -- "$incoming/$name.verified" "$incoming/$name.lock"
done
