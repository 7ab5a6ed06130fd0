"""Shell scripts that ask and change the shares of a cutover at a running gateway."""

from __future__ import annotations

PLACES = """records={records} panic={panic} migration={migration}
"""
GIVE = r"""lock
# The panic file and its unit come first: the unit waits for a new file only when it isn't active.
refuse_panic() { [ ! -e "$panic" ] || { echo "the panic file $panic exists; remove it first" >&2; exit 1; }; }
refuse_panic
systemctl stop "$service" 2>/dev/null || :
known=$(lines_of "$migration" | cut -d '|' -f 5 | sort -u)
case $known in
    "$1" | "$change") ;;
    *) echo "its share was changed meanwhile: it has '$known', not '$1'" >&2; exit 1 ;;
esac
if [ "$falls" -gt 0 ]; then
    answer admin 'show servers state either'
    case $said in '1
# be_id '*) ;; *) echo 'it runs without a fallback; run: rackwright apply' >&2; exit 1 ;; esac
fi
first_line=$(lines_of "$migration" | head -n 1) now=$(date +%s)
opens=$(printf '%s' "$first_line" | cut -d '|' -f 3) ends=$(printf '%s' "$first_line" | cut -d '|' -f 4)
[ -n "$opens" ] || opens=$((now + window))
[ "$parts" -eq "$all" ] || ends=0
[ "$parts" -ne "$all" ] || [ "${ends:-0}" -gt 0 ] || ends=$((now + window))
gone=$(lines_of "$migration" | cut -d ' ' -f 1)
lines=
while read -r name model; do
    of=${model%%|*}
    ! awk -v model="$of" -v now="$now" '{ split($2, part, "|") } $1 == model && part[3] > now { found = 1 }
        END { exit !found }' "$canaries" 2>/dev/null || { echo "the model $of has a canary now" >&2; exit 1; }
    lines="$lines$name $parts|$migration|$opens|$ends|$change|$model
"
    gone=$(printf '%s\n' "$gone" | grep -vxF -- "$name" || :)
done <<END_OF_NAMES
$names
END_OF_NAMES
{ others_than "$migration"; printf '%s' "$lines"; } | keep "$cutovers"
tell_shares() {
    printf '%s' "$lines" | while read -r name value; do put "$1" "$cutovers" "$name" "$value"; done || exit 1
    take_back "$1" $gone
}
each '' tell_shares
printf '%s' "$lines" | while read -r name value; do knows "$cutovers" "$name" "$value"; done || exit 1
install -d -m 0755 -- "$records"
printf '%s%s%s\n' "$before" "$now" "$after" | keep "$records/$migration.json"
# If it was made meanwhile, its unit waits for the lock.
refuse_panic
echo "$now"
"""
ROLL_BACK = r"""lock
roll_back "$migration" "$before$(date +%s)$after"
"""
LOOK = r"""echo "== now $(date +%s)"
echo '== file'
lines_of "$migration"
echo '== worker'
if running; then
    entries "$cutovers" | awk -v migration="$migration" '{ split($3, part, "|") } part[2] == migration'
fi
if [ -f "$records/$migration.json" ]; then echo '== record'; head -c 4096 -- "$records/$migration.json"; echo; fi
[ ! -e "$panic" ] || echo '== panic'
echo '== dealt'
if running; then
    answer admin 'show table'
    for table in $(printf '%s\n' "$said" | sed -n 's/^# table: \(gateways\/dealt[.][a-z0-9-]*\),.*/\1/p'); do
        answer admin "show table $table"
        printf '%s\n' "$said"
    done
fi
"""
