# Usage: put_in_place PARTIAL FOLDER
# Replace FOLDER with PARTIAL, after all data of PARTIAL is on disk.
put_in_place() {
  sync -f -- "$1"
  if [ -e "$2" ]; then
    # An engine may still have files of the old folder open; they exist until that engine ends.
    rm -rf -- "$2.damaged"
    mv -T -- "$2" "$2.damaged"
  fi
  mv -T -- "$1" "$2"
  rm -rf -- "$2.damaged"
}
