# Print one line for the other members: the engine's invocation here, and the first member's invocation that it joined.
engine=$(systemctl show -P InvocationID -- "$unit")
[ "$(systemctl show -P ActiveState -- "$unit")" = active ] || engine=''
seen='' first=''
while IFS='=' read -r key value; do
  case $key in seen) seen=$value ;; first) first=$value ;; esac
done 2>/dev/null <"$file"
[ "$engine" = "$seen" ] || first=''
echo "rackwright engine=$engine first=$first"
