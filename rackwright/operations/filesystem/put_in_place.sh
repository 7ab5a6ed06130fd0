# Usage: put_in_place PARTIAL FOLDER
# Afterwards FOLDER is what PARTIAL was, on disk and whole; until then it is what stood there before.
put_in_place() {
  sync -f -- "$1"
  if [ -e "$2" ]; then
    # Not what it should be, but an engine may still have it open: its files live on until that engine ends.
    rm -rf -- "$2.damaged"
    mv -T -- "$2" "$2.damaged"
  fi
  mv -T -- "$1" "$2"
  rm -rf -- "$2.damaged"
}
