# Usage: unfit SEEN, the state that the probe has just found. If the replica must not serve, whatever its engine answers,
# print a verb and the reason; if it may, print nothing.
# leave: an operator must act. restart: restarting the engine is the cure, and is tried once. wait: other members are
# missing, and a loading engine waits for them.
# Each source is a function that prints such a line or nothing; the first line counts.
set -eu; umask 022; ready_at=0 begun=0 ActiveState='' ControlGroup='' NRestarts=0 ExecMainStartTimestampMonotonic=0
while IFS='=' read -r key value; do export "$key=$value"; done <<SHOWN
$(systemctl show -p ActiveState,ControlGroup,NRestarts,ExecMainStartTimestampMonotonic -- "$unit")
SHOWN
# systemd counts its own restarts since an operator or the boot started the unit.
read -r ready_at begun 2>/dev/null <"$file" || :
case $1 in ready | busy) ready_at=$NRestarts ;; esac
[ "$NRestarts" -ge "$ready_at" ] || ready_at=0
[ "$NRestarts" -gt 0 ] || begun=$((ExecMainStartTimestampMonotonic / 1000000))
echo "$ready_at $begun" >"$file"

# A failed card counts until an operator starts the engine, having reset the card or rebooted the host.
# An engine whose work on a card was aborted counts as long as the process lives.
cards() {
  uuids=$(sed -n 's/^Environment=CUDA_VISIBLE_DEVICES=//p' "$gpus" 2>/dev/null) || return 0
  [ -s "$faults/gpus" ] && [ -s "$faults/faults" ] || return 0
  pids=$(tr '\n' ' ' <"/sys/fs/cgroup$ControlGroup/cgroup.procs") || pids=''
  awk -v uuids=",$uuids," -v begun="$begun" -v pids=" $pids" '
    FNR == NR { if (index(uuids, "," $2 ",")) { mine[$1]; many++ } next }
    !($2 in mine) { next }
    $3 == "engine" ? !index(pids, " " $4 " ") : $1 < begun || ($3 == "link" && many < 2) { next }
    { kind = $3; said = "Xid " $5 " of GPU " $2; sub(/^([^ ]+ ){5}/, ""); said = said ", " $0 }
    kind != "engine" { print "leave " said; exit }
    { restart = said }
    END { if (restart) print "restart " restart }' "$faults/gpus" "$faults/faults"
}

stays_down() {
  case $ActiveState in
    failed) echo "leave its unit failed" ;;
    inactive | deactivating) ;;
    *) [ $((NRestarts - ready_at)) -lt "$most" ] || echo "leave it ended $((NRestarts - ready_at)) times before it was ready" ;;
  esac
}

# The replica's other members, as its group's last look found them. Until `spare`, an engine that lost one may be stuck.
members() {
  [ -f "$group" ] || { [ -z "$group" ] || echo "wait its other members are not being checked"; return; }
  old=$(($(date +%s) - $(stat -c %Y "$group"))) # For files that an older group's script wrote.
  awk -F = -v seen="$1" -v now="$(cut -d . -f 1 /proc/uptime)" -v old="$old" '{ said[$1] = $2 } END {
    if ((("looked" in said) ? now - said["looked"] : old) > 30) said["reason"] = "its other members are not being checked"
    stuck = seen == "hung" && now + 0 < said["spare"] + 0 ? "its engine waits for data that was lost when the network failed" : ""
    if (said["reason"] stuck) print "wait " (said["reason"] ? said["reason"] : stuck) }' "$group"
}

{ cards; members "$1"; stays_down; } | head -n 1
