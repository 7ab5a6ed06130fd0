# Usage: admit USER HOME <KEYS
# Afterwards HOME/.ssh/authorized_keys has exactly these keys, is the user's own and 0600. Done as the user: a link in
# its home leads no further than the user could go.
set -eu
user=$1 home=$2
exec setpriv --reuid="$user" --regid="$(id -g -- "$user")" --init-groups -- sh -c '
set -eu
umask 077
cd -- "$1"
[ ! -L .ssh ] || rm -f .ssh
[ -d .ssh ] || mkdir .ssh
chmod 0700 .ssh
cat >.ssh/authorized_keys.rackwright-new
mv -fT .ssh/authorized_keys.rackwright-new .ssh/authorized_keys
rm -f .ssh/authorized_keys2
' admit "$home"
