#!/bin/sh
# Sent by rackwright check. Usage: other.sh NAME URL: with this host's secrets for repository NAME, try to open that
# repository, then another host's at URL. Prints restic's two exit codes.
set -u
. "/etc/rackwright/backup/$1.values"
url=$2 limit='timeout 12' secret=$CREDENTIALS_DIRECTORY/repository

code() { talk cat config --no-lock --no-cache -q >/dev/null 2>&1; echo $?; }
code
if [ -e "$secret" ]; then
  login=$(cat "$secret")
  login=${login#*://}
  export RESTIC_REPOSITORY_FILE=/dev/stdin
  printf '%s' "${url%%://*}://${login%%@*}@${url#*://}" | code
else
  export RESTIC_REPOSITORY="$url"
  code
fi
