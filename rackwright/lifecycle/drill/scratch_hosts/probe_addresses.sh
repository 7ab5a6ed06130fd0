# Tries to connect by TCP; sends nothing. Standard input: lines ADDRESS PORT. For each it prints address, port, result,
# and how many packets the drill's packet filter had refused before and after. The last line is `end`. $1: `together`
# on a host without that filter, else `alone`, so that a refused packet belongs to one probe.
refused() {
    nft list counter inet rackwright_drill refused 2>/dev/null | awk '$1 == "packets" { n = $2 } END { print n + 0 }'
}
probe() { # ADDRESS PORT
    address=$1 port=$2 before=$(refused)
    result=open
    # shellcheck disable=SC2016 # bash expands it
    said=$(timeout 3 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$address" "$port" 2>&1 </dev/null) || case $said in
    *refused*) result=refused ;;
    *'Network is unreachable'* | *'Cannot assign requested'*) result=no-route ;;
    *'No route to host'* | *'Permission denied'* | *'not permitted'*) result=unreachable ;;
    *) result=silent ;;
    esac
    echo "$address $port $result $before $(refused)"
}
head -n 500 | {
    while read -r address port; do
        if [ "$1" = together ]; then probe "$address" "$port" & else probe "$address" "$port"; fi
    done
    wait
}
echo end
