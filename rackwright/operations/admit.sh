# Usage: admit USER HOME <KEYS
# Set exactly these keys in HOME/.ssh/authorized_keys, owned by the user, mode 0600. This runs as the user, so a link
# in the home directory reaches only what the user could reach.
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
