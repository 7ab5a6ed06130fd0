# Removes from a scratch host what a drill brought. Usage: wipe.sh FOLDER MODELS…: the drill's folder with the marker,
# and the folders with weights. Removes nothing without a marker. A second run continues the first.
if [ ! -e "$1/drill" ] || [ -L "$1" ]; then echo "no drill has taken this host: it has no $1/drill" >&2; exit 69; fi
folder=$1 failed=0
shift
fail() { echo "$1" >&2; failed=1; }
gone() { # PATH…: removes files and folders; other filesystems below them stay
    rm -rf --one-file-system -- "$@" || fail "not all of $* could be removed"
}
ours() { find /etc/systemd/system /run/systemd/transient /run/systemd/system -maxdepth 1 -regextype posix-extended \
    -regex '.*/(rackwright-[^/]*[.][a-z]+|run-rackwright[.]mount)' -printf '%f\n' 2>/dev/null | sort -u; }

# What starts units goes first.
for kind in timer path socket service scope target slice; do
    systemctl stop -- "rackwright-*.$kind" || fail "rackwright-*.$kind could not be stopped"
done
systemctl stop run-rackwright.mount 2>/dev/null || true
ours | while read -r unit; do systemctl --quiet disable -- "$unit" 2>/dev/null; done
find /etc/systemd/system /run/systemd/system /run/systemd/transient -depth \
    \( -name 'rackwright-*' -o -name 'run-rackwright.mount*' \) -exec rm -rf --one-file-system {} +
systemctl daemon-reload
systemctl reset-failed 'rackwright-*' 2>/dev/null || true
getent passwd | awk -F: '$1 ~ /^rw[-_]/ && $5 ~ /^rackwright(,|$)/ { print $1 }' | while read -r user; do
    pkill -KILL -u "$user" || true
    userdel -- "$user"
done || fail "a user could not be removed"

# apt's own sources, set aside by an apply, return if their places are free.
if [ -d /var/lib/rackwright/apt-sources ]; then
    rm -f /etc/apt/sources.list.d/rackwright.sources
    cp -an -- /var/lib/rackwright/apt-sources/. /etc/apt/ || fail "apt's sources could not be restored"
fi
# They name files that are removed below.
gone /etc/apt/apt.conf.d/rackwright-downloads /etc/kernel/*.d/??-rackwright /etc/default/grub.d/zz-rackwright.cfg \
    /etc/modprobe.d/rackwright-gpus.conf /etc/modules-load.d/rackwright-gpus.conf
for path in "$@"; do
    [ -d "$path" ] || continue
    case $(findmnt -n -o FSTYPE -T "$path" | tail -n 1) in
    ext2 | ext3 | ext4 | xfs | btrfs | zfs | f2fs | bcachefs | tmpfs | overlay)
        find "$path" -xdev -mindepth 1 -delete || fail "$path could not be emptied" ;;
    *) fail "$path is on a disk of another machine: it is left alone" ;;
    esac
done
gone /etc/rackwright /var/lib/rackwright /var/lib/rackwright-etcd /var/lib/rackwright-capture \
    /var/lib/rackwright-ledger /opt/rackwright /var/cache/rackwright* /var/cache/private/rackwright* \
    /var/lib/private/rackwright* /var/log/rackwright* /run/rackwright* /tmp/rackwright* \
    /var/tmp/rackwright* /tmp/systemd-private-*-rackwright-* /var/tmp/systemd-private-*-rackwright-* \
    /dev/shm/rackwright* /root/.cache/restic
nft delete table inet rackwright 2>/dev/null || true
[ ! -e "$folder/new-credential-secret" ] || gone /var/lib/systemd/credential.secret
journalctl --quiet --rotate || fail "the journal could not be rotated"
find /var/log/journal /run/log/journal -type f -name '*@*.journal*' 2>/dev/null | grep -vxFf "$folder/journals" |
    tr '\n' '\0' | xargs -0r rm -f --
sync
exit "$failed"
