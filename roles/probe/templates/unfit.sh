# Usage: unfit SEEN, which is what the probe saw of the engine now. Prints why the replica must not serve, whatever its
# engine answers, and nothing where it may: a verb and the reason.
# leave: somebody has to do something. restart: a new start of the engine is the cure, and is tried once.
# Each source is a function that prints such a line or nothing; the first line counts.
set -eu; umask 022; ready_at=0
read -r ready_at 2>/dev/null <"$file.ready" || :
restarts=$(systemctl show -P NRestarts -- "$unit")
# systemd counts its own restarts since somebody started the unit.
case $1 in ready | busy) ready_at=$restarts ;; esac
[ "$restarts" -ge "$ready_at" ] || ready_at=0
echo "$ready_at" >"$file.ready"

stays_down() {
  case $(systemctl show -P ActiveState -- "$unit") in
    failed) echo "leave its unit failed" ;;
    inactive | deactivating) ;;
    *) [ $((restarts - ready_at)) -lt "$most" ] || echo "leave it ended $((restarts - ready_at)) times before it was ready" ;;
  esac
}

{
  stays_down
} | head -n 1
