#!/bin/sh
# Made by rackwright. Usage: install.sh PATIENCE: install the staged files, and nothing else. PATIENCE: seconds to wait
# for another apt.
. "${0%/*}/common.sh"
. "$folder/marks.sh"

ended() { differing after version >>"$findings"; broken >>"$findings"; }
asked() { echo "$folder/staged/$(deb "$name" "$after" "$arch")"; }
unasked() { # FILE…: print a finding for each other package that apt would change, too
  apt -s install --no-install-recommends -- "$@" >"$folder/simulated"
  awk -v OFS='\t' '
    in_list { listed[$1] = 1; next }
    /^(Inst|Remv|Purg) / { name = $2; sub(/:.*/, "", name) }
    name && !listed[name] { print "unasked", name, "", $1 == "Inst" ? "installed" : "removed" }
    { name = "" }' in_list=1 "$folder/wanted" in_list= "$folder/simulated"
}

[ ! -e "$folder/reverted" ] || { say "the packages of this run were reverted"; found reverted "${folder##*/}"; exit 1; }
[ -e "$folder/kept/conffiles.tar" ] || { say "nothing was kept: run keep.sh first"; exit 1; }
# shellcheck disable=SC2086 # each word is a file
wait_for "$1" $locks
ended
if [ ! -s "$findings" ]; then
  mark_installed
  exit 0
fi
: >"$findings"
if [ -e "$folder/begun" ]; then
  dpkg --configure -a || : # it was cut off
else
  broken >>"$findings"
  differing before differs >>"$findings"
  refuse_if_found
fi
# shellcheck disable=SC2046 # each word is a file
set -- $(listed asked)
unasked "$@" >>"$findings"
refuse_if_found
touch -- "$folder/begun"
sync -- "$folder/begun" "$folder"
code=0
offline install "$@" || code=$?
[ "$code" != 0 ] || mark_installed
ended
sync
refuse_if_found
exit $code
