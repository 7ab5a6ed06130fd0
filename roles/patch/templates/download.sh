# Read by stage.sh and keep.sh: downloads through apt, in a folder that apt's own user may write to meanwhile. Root only
# reads what is there, and copies it before it verifies the copy.
rm -rf -- /var/cache/apt/rackwright-* # of a step that was cut off
work=$(mktemp -d /var/cache/apt/rackwright-XXXXXXXX)
trap 'rm -rf -- "$work"' EXIT
download() { # NAME:ARCHITECTURE=VERSION…
  code=0
  chown _apt -- "$work" 2>/dev/null || : # without this user, apt downloads as root
  (cd "$work" && apt-get -q download -- "$@") </dev/null || code=$?
  chown root -- "$work" # so that nobody puts a link or a pipe in a file's place while it is copied
  return $code
}
copied() { # FILE INTO: copy a downloaded file; false if it isn't there
  [ -f "$work/$1" ] && [ ! -L "$work/$1" ] || return 1
  cp -- "$work/$1" "$2"
  rm -f -- "$work/$1"
}
sum() { sha256sum <"$1" | cut -c -64; }
known() { apt-cache show -- "$1" 2>/dev/null | sed -n 's/^SHA256: //p' | head -n 1; } # NAME:ARCHITECTURE=VERSION
missing() { [ -e "$folder/staged/$(deb "$name" "$after" "$arch")" ] || echo "$name:$arch=$after"; }
take() {
  file=$(deb "$name" "$after" "$arch") new=$folder/staged/new
  copied "$file" "$new" || return 0
  if [ "$(sum "$new") $(stat -c %s -- "$new")" = "$sha256 $size" ]; then written "$new" "$folder/staged/$file"
  # A download that was cut off leaves a part of the file.
  elif [ "$(known "$name:$arch=$after")" = "$(sum "$new")" ]; then
    found changed "$name:$arch" "$after $sha256" "$after $(sum "$new")"
  fi
  rm -f -- "$new"
}
get() { # download what is missing
  listed missing >"$folder/missing"
  [ -s "$folder/missing" ] || return 0
  # shellcheck disable=SC2046 # each word is a package
  download $(cat "$folder/missing") || :
  listed take
  refuse_if_found
  listed missing >"$folder/missing"
}
gone() { # why it is missing: the archive has another version by now, or it can't be reached
  [ -n "$(missing)" ] || return 0
  [ -z "$(known "$name:$arch=$after")" ] || return 0
  offers=$(apt-cache policy -- "$name:$arch" | sed -n 's/^  Candidate: //p')
  found gone "$name:$arch" "$after" "${offers:--}"
}
fetch_all() { # download every new file; the host's package lists may be too old to name it
  get
  [ -s "$folder/missing" ] || return 0
  wait_for "$patience" /var/lib/apt/lists/lock
  apt-get -q -o APT::Update::Error-Mode=any update || { found unfetched "$(head -n 1 "$folder/missing")"; exit 1; }
  get
  [ -s "$folder/missing" ] || return 0
  listed gone
  [ -s "$findings" ] || found unfetched "$(head -n 1 "$folder/missing")"
  exit 1
}
