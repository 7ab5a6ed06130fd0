# Usage: install FOLDER KERNEL [PACKAGE…], after dkms_build.sh; $uninstall: a command that removes what a .run installer left.
# Install every .deb in FOLDER, remove the PACKAGEs, and build the module for the kernel of the next boot and for the
# running one. If the module doesn't build, only kernels were installed, and none of them is the default.
set -eu
folder=$1 kernel=$2
shift 2
guard=/etc/rackwright/boot-guard disabled=/etc/dkms/no-autoinstall stamp=/var/lib/apt/periodic/update-success-stamp
export LC_ALL=C DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l
apt() { apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@"; }
install() { apt install --no-install-recommends --allow-downgrades --allow-change-held-packages -- "$@"; }
kernels() { for k in /boot/vmlinuz-*; do [ ! -e "$k" ] || echo "${k#/boot/vmlinuz-}"; done | sort -rV; }
work=$(mktemp -d /var/tmp/rackwright-build-XXXXXXXX) ours=''
mkdir -p /etc/dkms "$work/tree"
trap 'rm -rf -- "$work" ${ours:+"$ours"}' EXIT
# Keep the packages' scripts from building modules: a failure there would leave half of a set installed. If a run was
# cut off by a power loss, its file is ours, too.
if [ ! -e "$disabled" ] || grep -qx rackwright "$disabled"; then ours=$disabled; echo rackwright >"$disabled"; fi
# First finish what a power loss interrupted; this builds nothing.
dpkg --configure -a
"$guard" hold || { say "a new kernel could boot without its module; nothing was changed"; exit 1; }
[ -n "$(find $stamp -mmin -60 2>/dev/null)" ] || { apt update && mkdir -p "${stamp%/*}" && touch $stamp; } || say 'old package lists are used'
command -v dkms >/dev/null || [ -e "$(echo "$folder"/dkms_*.deb)" ] || install dkms
for deb in "$folder"/linux-*.deb; do [ ! -e "$deb" ] || { install "$folder"/linux-*.deb; break; }; done
for deb in "$folder"/*dkms*.deb "$folder"/*kernel-source*.deb; do
  [ ! -e "$deb" ] || case $deb in */dkms_*) install "$deb" ;; *) dpkg-deb -x "$deb" "$work/root" ;; esac
done
# KERNEL is the set's. If the machine doesn't have it, build for its newest kernel.
[ -e "/boot/vmlinuz-$kernel" ] || kernel=$(kernels | head -n 1)
[ -e "/boot/vmlinuz-$(uname -r)" ] && running=$(uname -r) || running=
[ "$running" != "$kernel" ] || running=
sources >"$work/sources"
while read -r name version; do
  for k in $kernel $running; do
    if builds "$name" "$version" "$k" </dev/null; then continue; fi
    if [ "$k" = "$kernel" ]; then "$guard" || true; say 'the driver was not changed; the next boot uses the same kernel as before'; exit 1; fi
  done
done <"$work/sources"
# The new driver builds, so now the old one may go.
[ -z "${uninstall:-}" ] || sh -c "$uninstall" >&2
# NAME- makes apt-get remove a package in the same step.
for gone; do shift; set -- "$@" "$gone-"; done
install "$folder"/*.deb "$@"
for built in "$work"/tree/*/*/*/*/module; do
  [ -e "$built" ] || continue
  path=${built#"$work/tree/"} name=${path%%/*} rest=${path#*/} version=${rest%%/*}
  k=${rest#*/} k=${k%%/*}
  dkms status -m "$name" -v "$version" | grep -q . || dkms add -m "$name" -v "$version" >/dev/null
  # An earlier run may have left an incomplete copy.
  dkms uninstall -m "$name" -v "$version" -k "$k" >/dev/null 2>&1 || true
  rm -rf -- "/var/lib/dkms/$name/$version/$k"
  mkdir -p "/var/lib/dkms/$name/$version"
  cp -a "$work/tree/$name/$version/$k" "/var/lib/dkms/$name/$version/"
  dkms install -m "$name" -v "$version" -k "$k" --force >"$work/log" 2>&1 || { tail -n 8 "$work/log" >&2; exit 1; }
done
# The guard reads the libraries from the linker's cache.
ldconfig
"$guard"
