# Makes stand-ins of the driver's packages in $folder: see stand_in_driver.py.
set -eu
export DEBIAN_FRONTEND=noninteractive
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
mkdir -p "$folder"
package() { # NAME VERSION ARCHITECTURE [FIELD…]: out of $work/NAME
  name=$1 of=$2 architecture=$3
  shift 3
  mkdir -p "$work/$name/DEBIAN"
  { printf 'Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: a stand-in <lab@localhost>\n' "$name" "$of" "$architecture"
    for field; do echo "$field"; done
    echo 'Description: stand-in of the tests'; } >"$work/$name/DEBIAN/control"
  dpkg-deb --root-owner-group -b "$work/$name" "$folder/${name}_${of}_$architecture.deb" >/dev/null
}

for kernel in $kernels; do
  release=${kernel%:*} arguments=${kernel#*:}
  image=$work/linux-image-$release headers=$work/linux-headers-$release
  mkdir -p "$image/boot" "$image/lib/modules/$release/kernel" "$headers/usr/src/linux-headers-$release/include" "$headers/lib/modules/$release"
  echo "stand-in of a kernel" >"$image/boot/vmlinuz-$release"
  touch "$image/lib/modules/$release/modules.order" "$image/lib/modules/$release/modules.builtin"
  { echo '#!/bin/sh'; echo 'set -e'; echo "run-parts --report --exit-on-error --arg=$release --arg=/boot/vmlinuz-$release /etc/kernel/postinst.d"; } >"$work/post"
  mkdir -p "$image/DEBIAN"
  install -m 0755 "$work/post" "$image/DEBIAN/postinst"
  package "linux-image-$release" 1 amd64
  ln -s "/usr/src/linux-headers-$release" "$headers/lib/modules/$release/build"
  if [ "$arguments" = 2 ]; then extra=; else extra=', int flags'; fi
  echo "int pci_resize_resource(void *device, int size$extra);" >"$headers/usr/src/linux-headers-$release/include/pci.h"
  touch "$headers/usr/src/linux-headers-$release/.config"
  printf 'modules:\n\tgcc -O2 -c -include %s/include/pci.h $(M)/nvidia.c -o $(M)/nvidia.ko\n' \
    "/usr/src/linux-headers-$release" >"$headers/usr/src/linux-headers-$release/Makefile"
  package "linux-headers-$release" 1 amd64
  newest=$release
done
if [ -n "$kernels" ]; then
  package linux-image-lab "$(date +%s)" amd64 "Depends: linux-image-$newest"
  package linux-headers-lab "$(date +%s)" amd64 "Depends: linux-headers-$newest"
fi

source=$work/nvidia-kernel-open-dkms/usr/src/nvidia-$version
mkdir -p "$source" "$work/nvidia-kernel-open-dkms/DEBIAN"
if [ -n "$real" ]; then
  cat >"$source/nvidia.c" <<END
#include <linux/init.h>
#include <linux/module.h>
static int __init start(void) { return 0; }
static void __exit stop(void) { }
module_init(start);
module_exit(stop);
MODULE_LICENSE("GPL");
MODULE_VERSION("$version");
END
  cp "$source/nvidia.c" "$source/nvidia-uvm.c"
  printf 'obj-m := nvidia.o nvidia-uvm.o\n' >"$source/Kbuild"
else
  cat >"$source/nvidia.c" <<END
static const char name[] __attribute__((section(".modinfo"), used)) = "version=$version";
int resize(void *device) { return pci_resize_resource(device, 0); }
END
fi
cat >"$source/dkms.conf" <<END
PACKAGE_NAME="nvidia"
PACKAGE_VERSION="$version"
AUTOINSTALL=yes
MAKE[0]="make -C /lib/modules/\${kernelver}/build M=\$dkms_tree/nvidia/$version/build modules"
CLEAN="true"
BUILT_MODULE_NAME[0]="nvidia"
DEST_MODULE_LOCATION[0]="/updates/dkms"
END
[ -z "$real" ] || printf 'BUILT_MODULE_NAME[1]="nvidia-uvm"\nDEST_MODULE_LOCATION[1]="/updates/dkms"\n' >>"$source/dkms.conf"
cat >"$work/nvidia-kernel-open-dkms/DEBIAN/postinst" <<END
#!/bin/sh
set -e
[ "\$1" != configure ] || /usr/lib/dkms/common.postinst nvidia $version /usr/share/nvidia "" "\$2"
END
cat >"$work/nvidia-kernel-open-dkms/DEBIAN/prerm" <<END
#!/bin/sh
dkms remove -m nvidia -v $version --all >/dev/null 2>&1 || true
END
chmod 0755 "$work"/nvidia-kernel-open-dkms/DEBIAN/p*
package nvidia-kernel-open-dkms "$version-1" amd64 'Depends: dkms'

mkdir -p "$work/libnvidia-ml1/usr/lib/x86_64-linux-gnu"
library=$work/libnvidia-ml1/usr/lib/x86_64-linux-gnu/libnvidia-ml.so
echo 'int nvml;' | gcc -shared -fPIC -nostdlib -Wl,-soname,libnvidia-ml.so.1 -x c - -o "$library.$version"
ln -s "libnvidia-ml.so.$version" "$library.1"
mkdir -p "$work/libnvidia-ml1/DEBIAN"
echo 'activate-noawait ldconfig' >"$work/libnvidia-ml1/DEBIAN/triggers"
package libnvidia-ml1 "$version-1" amd64
mkdir -p "$work/nvidia-driver-cuda/usr/share/doc/nvidia-driver-cuda"
echo "stand-in" >"$work/nvidia-driver-cuda/usr/share/doc/nvidia-driver-cuda/README"
package nvidia-driver-cuda "$version-1" amd64 "Depends: libnvidia-ml1 (= $version-1)"
mkdir -p "$work/nvidia-persistenced/usr/lib/systemd/system"
# As the real one, it fails with another module than its own.
cat >"$work/nvidia-persistenced/usr/lib/systemd/system/nvidia-persistenced.service" <<END
[Service]
ExecStartPre=/usr/bin/grep -qx $version /sys/module/nvidia/version
ExecStart=/usr/bin/sleep infinity
[Install]
WantedBy=multi-user.target
END
package nvidia-persistenced "$version-1" amd64
mkdir -p "$work/cuda-toolkit-12-8/usr/local/cuda-12.8"
echo "stand-in" >"$work/cuda-toolkit-12-8/usr/local/cuda-12.8/README"
package cuda-toolkit-12-8 12.8.1-1 amd64
cd "$folder"
apt-ftparchive packages . >Packages
