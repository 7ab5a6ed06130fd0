# Usage: wheels PYTHON INCOMING FOLDER DIGEST MODULE [SHA256 NAME]…
# Create a virtual environment of PYTHON with these wheels in FOLDER, owned by root and read-only, with the marker.
# First, MODULE is imported once, as an unprivileged user. FOLDER is never incomplete.
set -eu
umask 022
python=$1 incoming=$2 folder=$3 digest=$4 module=$5
shift 5
fail() { printf '%s: %s\n' "$folder" "$1" >&2; exit 1; }
[ -x "$python" ] || fail "no $python on this host; install it, or set python: in the fleet file to another interpreter"
partial=$folder.partial wheels=$folder.wheels
rm -rf -- "$partial" "$wheels"
trap 'rm -rf -- "$partial" "$wheels"' EXIT
mkdir -p -- "$wheels"
names=
while [ $# -ge 2 ]; do
  ln -- "$incoming/$1.verified" "$wheels/$2"
  names="$names $1"
  shift 2
done
"$python" -I -m venv -- "$partial" || fail "$python can't create a virtual environment; is its venv package installed?"
# No index and no setting of this host: install these verified files and nothing else.
"$partial/bin/python" -I -m pip --isolated --quiet --no-cache-dir --disable-pip-version-check install \
  --no-index --no-deps --no-compile --root-user-action=ignore -- "$wheels"/*.whl
"$partial/bin/python" -I -m pip --isolated --quiet uninstall --yes --root-user-action=ignore pip
# Programs contain the full path of their interpreter, and the folder is going to be moved.
find "$partial/bin" -type f -exec sed -i "1s|^#!$partial/|#!$folder/|" {} +
"$partial/bin/python" -I -m compileall -q -j 0 "$partial/lib" >/dev/null 2>&1 || :
chown -R root:root -- "$partial"
chmod -R u=rwX,go=rX,a-st -- "$partial"
# Only import it, so that the CPU, or a driver that isn't installed yet, doesn't matter.
said=$(cd / && setpriv --reuid=nobody --regid=nogroup --clear-groups \
  env -i HOME=/nonexistent PATH=/usr/bin:/bin "$partial/bin/python" -I -c "import $module" 2>&1) ||
  fail "$module can't be imported: $(printf '%s' "$said" | tail -n 3)"
printf '%s\n' "$digest" >"$partial/.verified"
chmod -R a-w -- "$partial"
put_in_place "$partial" "$folder"
for name in $names; do
  rm -f -- "$incoming/$name.verified" "$incoming/$name.lock"
done
