# Read by restore.sh: hashes what restic restores, while it restores the rest.
most=20000 # files: their names are in $RUNTIME_DIRECTORY, which is memory

names() { # of the files that restic has restored or found, from its JSON; the other lines go to $said
  sed -un '/^{"message_type":"verbose_status",/!{
    w '"$said"'
    d
  }
    s/\\u003c/</g; s/\\u003e/>/g; s/\\u0026/\&/g; s/\\"/"/g; s/\\\\/\\/g
    s/^[^,]*,"action":"[a-z]*","item":"\/\(.*\)","size":[0-9]*}$/\1/p'
}
bounded() { # lines of standard input, at most $most, and none that is very long
  # An interval like \{1,500\} in the expression above would cost sed a second of CPU time.
  c=0
  while IFS= read -r line && c=$((c + 1)) && [ $c -le $most ]; do
    [ ${#line} -gt 500 ] || printf '%s\n' "$line"
  done
}
hashed() { # sha256 and name of each file of standard input; not of links and pipes. The data is on disk afterwards
  # shellcheck disable=SC2016 # expanded inside
  (cd -- "$target" && xargs -r -d '\n' -n 1 -P "$(nproc)" sh -c '
    [ -L "$0" ] || [ ! -f "$0" ] || { sha256sum -- "$0" && sync -d -- "$0"; }')
}
number() { n=$(value "$1"); echo "${n:-0}"; } # restic leaves out what is 0
final() { # whether restic wrote to no file after it had named it; it does if a forged snapshot has a file twice, or
  # with another size than its content's
  [ "$(sort -u "$said.names" | wc -l)" = $(($(number total_files) + $(number files_skipped))) ] &&
    [ "$(number total_bytes)" = "$(number bytes_restored)" ]
}
try() { # as common.sh's
  rm -f "$said.code"
  # Little is left to write when the last file is complete.
  (while sleep 1 && kill -0 $$; do sync -f -- "$target"; done) 2>/dev/null & flush=$!
  { c=0; talk "$@" 2>"$errors" || c=$?; echo $c >"$said.code"; } | names | bounded | tee "$said.names" |
    hashed >"$said.hashes"
  kill "$flush" 2>/dev/null || :
  code=$(cat "$said.code" 2>/dev/null || echo killed)
  [ "$(wc -l <"$said.names")" -lt "$most" ] || fail "more than $most files"
  case $code/$* in 0/*-vv*) ;; *) return 0 ;; esac
  final || sort -u "$said.names" | hashed >"$said.hashes"
  sed "s|  |  $target/|" "$said.hashes" >>"$work.hashes"
}
