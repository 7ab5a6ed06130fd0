# Looks for what a drill brought, and changes nothing. Usage: remains.sh FOLDER MODELS…, as for wipe.sh. Standard input:
# lines `text TEXT`, `file SHA256 PATH`. Prints `left WHAT` for each thing found, 200 at most; the last line is `end`.
if [ ! -e "$1/drill" ] || [ -L "$1" ]; then echo "no drill has taken this host: it has no $1/drill" >&2; exit 69; fi
folder=$1
shift
asked=$(cat)
texts=$(printf '%s\n' "$asked" | sed -n 's/^text //p')
{
    {
        systemctl list-unit-files --plain --no-legend --no-pager 'rackwright-*' run-rackwright.mount
        systemctl list-units --all --plain --no-legend --no-pager 'rackwright-*' run-rackwright.mount
    } 2>/dev/null | awk '{ print "unit " $1 }' | sort -u
    grep -lsE '/rackwright-[^/]*[.](service|scope)' /proc/[0-9]*/cgroup | sed 's/^/process /'
    getent passwd | awk -F: '$1 ~ /^rw[-_]/ && $5 ~ /^rackwright(,|$)/ { print "user " $1 }'
    for path in /etc/rackwright /var/lib/rackwright /var/lib/rackwright-etcd /var/lib/rackwright-capture \
        /var/lib/rackwright-ledger /opt/rackwright /var/cache/rackwright* /var/cache/private/rackwright* \
        /var/lib/private/rackwright* /var/log/rackwright* /run/rackwright* /tmp/rackwright* /var/tmp/rackwright* \
        /tmp/systemd-private-*-rackwright-* /var/tmp/systemd-private-*-rackwright-* /dev/shm/rackwright* \
        /root/.cache/restic /etc/systemd/system/*/rackwright-* /etc/systemd/system/rackwright-*; do
        if [ -e "$path" ] || [ -L "$path" ]; then echo "path $path"; fi
    done
    for path; do find "$path" -xdev -mindepth 1 2>/dev/null | head -n 20 | sed 's/^/path /'; done
    [ ! -e "$folder/new-credential-secret" ] || [ ! -e /var/lib/systemd/credential.secret ] ||
        echo 'the key of encrypted credentials'
    printf '%s\n' "$asked" | sed -n 's/^file [0-9a-f]* //p' | while read -r path; do
        if [ -e "$path" ] || [ -L "$path" ]; then echo "restored file $path"; fi
    done
    # A copy elsewhere has another path, but the same content.
    find /dev/shm /etc /home /opt /root /run /srv /tmp /usr/local /var -xdev -type f -size -65536k \
        ! -path '/var/lib/apt/*' ! -path '/var/cache/apt/*' ! -path '/var/lib/dpkg/*' -exec sha256sum {} + 2>/dev/null |
        { printf '%s\n' "$asked" | sed -n 's/^file \([0-9a-f]*\) .*/wanted \1/p'; cat; } |
        awk '$1 == "wanted" { wanted[$2] = 1; next }
            ($1 in wanted) { sub(/^[^ ]* ./, ""); print "copy of a restored file: " $0 }'
    if [ -n "$texts" ]; then
        # From standard input: an argument would be in lists of processes and in the audit log.
        printf '%s\n' "$texts" | grep -rlaFf - --devices=skip --exclude-dir="${folder##*/}" \
            /dev/shm /etc /home /opt /root /run /srv /tmp /usr/local /var 2>/dev/null | sed 's/^/known text in /'
        journalctl --quiet --all --no-pager --output=export 2>/dev/null | grep -aqFf /dev/fd/3 3<<END &&
$texts
END
            echo 'known text in the journal'
    fi
} | head -n 200 | sed 's/^/left /'
awk 'NR > 1 { print "swap " $1 }' /proc/swaps
echo end
