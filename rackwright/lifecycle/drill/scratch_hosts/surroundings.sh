# Prints from where this connection comes, and which servers the host uses for names and packages; changes nothing.
# Standard input: names, one a line; prints the addresses of each. The last line is `end`.
p=$$
while [ "${p:-1}" -gt 1 ]; do
    # sudo removes the variable from the environment, so it is read from the parent processes.
    a=$(grep -zs '^SSH_CONNECTION=' "/proc/$p/environ" | tr -d '\0')
    if [ -n "$a" ]; then
        # shellcheck disable=SC2086 # four words
        set -- ${a#*=}
        echo "controller $1 $4"
        break
    fi
    p=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$p/status")
done 2>/dev/null
cat /etc/resolv.conf /run/systemd/resolve/resolv.conf 2>/dev/null | awk '$1 == "nameserver" { print "resolver", $2 }' |
    sort -u | head -n 16
# shellcheck disable=SC2016 # apt-get expands it
apt-get indextargets --no-release-info --format '$(SITE)' 2>/dev/null | sort -u | head -n 64 | sed 's/^/apt /'
apt-config dump 2>/dev/null | sed -n 's/^Acquire::https\{0,1\}::Proxy "\(http[^"]*\)";$/apt \1/p' | head -n 4
head -n 256 | {
    # Together: a name without an answer takes seconds.
    while read -r name; do
        timeout 20 getent ahosts "$name" 2>/dev/null </dev/null | awk '{ print $1 }' | sort -u | head -n 64 |
            sed "s/^/name $name /" &
    done
    wait
}
echo end
