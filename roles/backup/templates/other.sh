#!/bin/sh
# Sent by rackwright check. Usage: other.sh NAME URL: with this host's secrets for repository NAME, try to open that
# repository, then another host's at URL. Prints restic's two exit codes, or `unclear` in place of one.
set -u
. "/etc/rackwright/backup/$1.values"
url=$2 limit='timeout 12' secret=$CREDENTIALS_DIRECTORY/repository

code() {
  c=0 said=$(talk cat config --no-lock --no-cache -q 2>&1 >/dev/null) || c=$?
  # 1 is also the code of a connection that broke.
  case $c/$said in 1/*'permission denied'* | 1/*'(401)'* | 1/*'(403)'*) ;; 1/*) c=unclear ;; esac
  echo "$c"
}
code
if [ -e "$secret" ]; then
  login=$(cat "$secret")
  login=${login#*://}
  export RESTIC_REPOSITORY_FILE=/dev/stdin
  printf '%s' "${url%%://*}://${login%%@*}@${url#*://}" | code
else
  case $url in sftp:*) url=${RESTIC_REPOSITORY%%@*}@${url#*@} ;; esac
  export RESTIC_REPOSITORY="$url"
  code
fi
