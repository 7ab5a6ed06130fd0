# One line for the other members: which start of the engine runs here, and for which of the first member's it runs.
engine=$(systemctl show -P InvocationID -- "$unit")
[ "$(systemctl show -P ActiveState -- "$unit")" = active ] || engine=''
seen='' first=''
while IFS='=' read -r key value; do
  case $key in seen) seen=$value ;; first) first=$value ;; esac
done 2>/dev/null <"$file"
[ "$engine" = "$seen" ] || first=''
echo "rackwright engine=$engine first=$first"
