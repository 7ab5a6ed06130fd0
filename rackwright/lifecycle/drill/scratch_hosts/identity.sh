# Prints what identifies a machine and what rackwright has left on it; changes nothing. $1: the drill's folder; then
# folders that a machine without rackwright doesn't have, or has empty. The last line is `end`.
folder=$1
shift
echo "machine-id $(head -c 64 /etc/machine-id 2>/dev/null)"
{ sshd -T 2>/dev/null || /usr/sbin/sshd -T 2>/dev/null; } | awk '$1 == "hostkey" { print $2 }' | head -n 16 |
    while read -r key; do
        head -c 4000 "$key.pub" 2>/dev/null | awk 'NR == 1 { print "key", $1, $2 }'
    done
ip -o addr show | awk '{ split($4, a, "/"); print "address", a[1] }' | head -n 1000
{
    systemctl list-unit-files --plain --no-legend --no-pager 'rackwright-*' run-rackwright.mount
    systemctl list-units --all --plain --no-legend --no-pager 'rackwright-*' run-rackwright.mount
} 2>/dev/null | awk '{ print "unit", $1 }' | sort -u | head -n 200
systemctl list-units --state=active,activating,reloading --plain --no-legend --no-pager 'rackwright-*' 2>/dev/null |
    awk '{ print "running", $1 }' | head -n 200
getent passwd | awk -F: '$1 ~ /^rw[-_]/ && $5 ~ /^rackwright(,|$)/ { print "user", $1 }' | head -n 200
for path; do
    [ -e "$path" ] || [ -L "$path" ] || continue
    [ -d "$path" ] && [ -z "$(find "$path" -mindepth 1 -maxdepth 1 -print -quit)" ] || echo "trace $path"
    echo "filesystem $(findmnt -n -o FSTYPE -T "$path" | tail -n 1) $path"
done
ss -Hltn | awk '{ n = split($4, a, ":"); print "listens", a[n] }' | sort -u | head -n 1000
if [ -L "$folder" ]; then
    echo "trace $folder"
elif [ -e "$folder/drill" ]; then
    echo "marker $(sha256sum <"$folder/drill" | cut -d ' ' -f 1) $(head -c 4000 "$folder/drill" | base64 -w 0)"
    echo "seen $(($(date +%s) - $(stat -c %Y "$folder/seen" 2>/dev/null || echo 0)))"
fi
echo end
