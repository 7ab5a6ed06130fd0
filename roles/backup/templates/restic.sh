#!/bin/sh
# Made by rackwright, for operators. Usage: restic.sh NAME ARGUMENT…: run restic with that repository's secrets.
set -eu
name=$1 folder=/etc/rackwright/backup
shift
for file in "$folder/$name".*.cred; do
  secret=${file#"$folder/$name."}
  options="${options-} -p LoadCredentialEncrypted=${secret%.cred}:$file"
done
# shellcheck disable=SC2016,SC2086 # expanded inside; each word is an option
exec systemd-run --quiet --pipe --wait --collect --expand-environment=no $options -p CacheDirectory=rackwright-backup \
  -p CacheDirectoryMode=0700 \
  sh -c '. "$0"; talk "$@"' "$folder/$name.values" "$@"
