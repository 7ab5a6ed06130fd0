#!/bin/sh
# Made by rackwright. Usage: adopt.sh NAME NEW OLD: from now on, this host uses the repository with the id NEW.
# OLD is the id that it has used, '' for none. With '' as NEW, its next run makes a repository.
. /etc/rackwright/backup/state.sh

folder=${RUNTIME_DIRECTORY:-/run/rackwright-backup}
[ -d "$folder" ] || mkdir -m 0700 "$folder"
exec 9>"$folder/$name.lock"
flock -w 60 9 || { echo "a snapshot or a check is under way" >&2; exit 1; }
load
[ "$repository" != "$2" ] || exit 0
[ "$repository" = "$3" ] || { echo "this host uses ${repository:-no repository yet}, not ${3:-none}" >&2; exit 1; }
for key in $keys; do eval "$key=''"; done # they describe the other repository
[ -z "$2" ] || { repository=$2 since=$(now); }
save
