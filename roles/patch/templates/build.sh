# After dkms_build.sh, in a mount namespace of its own in which nothing but $1 can be written.
work=$1 kernel=$2
if ! mount -t overlay overlay -o "lowerdir=$work/root/usr:/usr" /usr; then say 'no overlay can be mounted on /usr'; exit 3; fi
if [ ! -e "/lib/modules/$kernel/build" ]; then say "the set has no headers of kernel $kernel"; exit 3; fi
# DKMS makes a signing key in /var/lib/dkms if there is none.
if [ -d /var/lib/dkms ] && ! mount --bind "$work/tree" /var/lib/dkms; then say "/var/lib/dkms can't be kept apart"; exit 3; fi
sources >"$work/sources"
if [ ! -s "$work/sources" ]; then say 'the set has no source of a module'; exit 3; fi
while read -r name version; do
  if ! builds "$name" "$version" "$kernel" </dev/null; then touch "$work/tried"; exit 1; fi
done <"$work/sources"
touch "$work/tried"
