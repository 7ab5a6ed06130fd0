# Read by install.sh and revert.sh: which packages were installed by hand, and which for others only.
names() { [ "$before" = - ] || printf '%s\n' "$name" "$name:$arch"; }
new() { [ "$before" != - ] || printf '%s\n' "$name:$arch"; }
mark_installed() { # apt takes what it is asked for as installed by hand, but new packages are there for others only
  remark
  listed new | xargs -r apt-mark -qq auto --
}
remark() { # restore the marks of before
  for mark in auto manual; do
    # grep ends with 1 if it finds none.
    { listed names | grep -Fx -f "$folder/kept/$mark" || :; } | xargs -r apt-mark -qq "$mark" --
  done
}
