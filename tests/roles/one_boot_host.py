"""A folder that the script of the role boot takes for a host's root.

The real grub-editenv writes GRUB's environment. update-grub is a stand-in; its menu is a real one's
(Debian 13, GRUB 2.12). tests/heavy/test_boot_vm.py has the real GRUB.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from rackwright.roles.boot import scripts
from rackwright.roles.boot.one_boot import OneBoot, parse_one_boot

OLD, NEW = "6.12.117+deb13-amd64", "6.12.118+deb13-amd64"
_ABSOLUTE = (
    "/boot/grub",
    "/etc/default",
    "/etc/grub.d",
    "/etc/systemd",
    "/etc/rackwright",
    "/proc/",
    "/run/",
    "/dev/watchdog0",
)
_UUID = "e1982532-1ad2-5b49-8b1d-0bb6e27d3e15"
_UPDATE_GRUB = """\
#!/bin/sh
echo called >>{root}/grubs
[ ! -e {root}/grub-fails ] || exit 1
for file in {root}/etc/default/grub.d/*.cfg; do [ ! -e "$file" ] || . "$file"; done
case ${{GRUB_DEFAULT:=0}} in saved) GRUB_DEFAULT='${{saved_entry}}' ;; esac
entry() {{
  printf "%s" "$4menuentry 'Debian GNU/Linux$3' --class debian --unrestricted \\$menuentry_id_option '$2' {{
$4\tload_video
$4\tif [ x\\$grub_platform = xxen ]; then insmod xzio; insmod lzopio; fi
$4\tlinux\t{prefix}/vmlinuz-$1 root=UUID={uuid} ro quiet
$4\techo\t'Loading initial ramdisk ...'
$4\tinitrd\t{prefix}/initrd.img-$1
$4}}
"
}}
kernels=$(cd {root}/boot && ls vmlinuz-* | sed s/vmlinuz-// | sort -rV)
first=${{GRUB_TOP_LEVEL##*vmlinuz-}}
kernels="$first $(echo "$kernels" | grep -vxF "$first")"
{{
  cat <<END
if [ "\\${{next_entry}}" ] ; then
   set default="\\${{next_entry}}"
   set next_entry=
   save_env next_entry
   set boot_once=true
else
   set default="$GRUB_DEFAULT"
fi
function gfxmode {{
	set gfxpayload="\\${{1}}"
}}
END
  [ ! -x {root}/etc/grub.d/01_rackwright ] || {root}/etc/grub.d/01_rackwright
  set -- $kernels
  entry "$1" gnulinux-simple-{uuid} ''
  echo "submenu 'Advanced options for Debian GNU/Linux' \\$menuentry_id_option 'gnulinux-advanced-{uuid}' {{"
  for k; do
    entry "$k" "gnulinux-$k-advanced-{uuid}" ", with Linux $k" '\t'
    entry "$k" "gnulinux-$k-recovery-{uuid}" ", with Linux $k (recovery mode)" '\t'
  done
  echo '}}'
}} >{root}/boot/grub/grub.cfg
"""
_REAL = (
    *(
        "awk",
        "cat",
        "chmod",
        "cp",
        "flock",
        "grep",
        "grub-editenv",
        "head",
        "ls",
        "mkdir",
        "mv",
        "paste",
        "rm",
        "sed",
    ),
    *("sh", "sort", "sync", "tail"),
)
"""Nothing else of this machine is found, least of all its own update-grub."""
_PROGRAMS = {
    "grub-probe": "cat {root}/$2",
    "systemd-detect-virt": "[ -e {root}/container ]",
    "systemctl": "cat {root}/runtime-watchdog",
    "uname": "cat {root}/running",
}


@dataclass
class Host:
    root: Path

    def up(self) -> None:
        """Have a menu with an old kernel, which runs, and a new one."""
        for folder in ("boot/grub", "etc/rackwright", "etc/default/grub.d", "etc/grub.d", "proc/sys/kernel/random"):
            (self.root / folder).mkdir(parents=True)
        for folder in ("bin", "run", "dev"):
            (self.root / folder).mkdir()
        for path, text in scripts.ALL.items():
            for absolute in _ABSOLUTE:
                text = text.replace(absolute, f"{self.root}{absolute}")
            (self.root / path.lstrip("/")).write_text(text)
        for name in _REAL:
            (self.root / "bin" / name).symlink_to(shutil.which(name) or name)
        for name, body in _PROGRAMS.items():
            self.program(name, f"#!/bin/sh\n{body.format(root=self.root)}\n")
        self.program("update-grub", _UPDATE_GRUB.format(root=self.root, uuid=_UUID, prefix="/boot"))
        (self.root / "proc/cmdline").write_text(f"BOOT_IMAGE=/boot/vmlinuz-{OLD} root=UUID={_UUID} ro quiet\n")
        (self.root / "runtime-watchdog").write_text("0\n")
        self.lies_on("ext2")
        self.kernel(OLD)
        self.boots(OLD)
        self.update_grub()

    def program(self, name: str, text: str) -> None:
        (self.root / "bin" / name).write_text(text)
        (self.root / "bin" / name).chmod(0o755)

    def kernel(self, release: str) -> None:
        (self.root / f"boot/vmlinuz-{release}").write_text("")

    def boots(self, release: str) -> None:
        """Boot this kernel, as GRUB does: what was to be booted next no longer is."""
        (self.root / "running").write_text(f"{release}\n")
        boot = self.root / "proc/sys/kernel/random/boot_id"
        boot.write_text(f"boot-{int(boot.read_text().strip()[5:]) + 1 if boot.exists() else 1}\n")
        if self.env:
            self.tool("grub-editenv", str(self.root / "boot/grub/grubenv"), "set", "next_entry=")

    def lies_on(self, system: str, abstraction: str = "") -> None:
        """Have /boot on this file system; the files are named after what grub-probe is asked for."""
        (self.root / "fs").write_text(f"{system}\n")
        (self.root / "abstraction").write_text(f"{abstraction}\n")

    def update_grub(self) -> None:
        self.tool("update-grub")

    def tool(self, *command: str) -> str:
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=60, env=self._environment
        ).stdout

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", f"{self.root}/etc/rackwright/one-boot", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            env=self._environment,
        )

    def does(self, *arguments: str) -> None:
        done = self.run(*arguments)
        assert (done.returncode, done.stderr) == (0, "")

    def look(self) -> OneBoot:
        return parse_one_boot(self.run("look").stdout)

    @property
    def env(self) -> dict[str, str]:
        """GRUB's environment."""
        path = self.root / "boot/grub/grubenv"
        if not path.exists():
            return {}
        lines = self.tool("grub-editenv", str(path), "list").splitlines()
        return {key: value for key, _, value in (line.partition("=") for line in lines)}

    @property
    def menu(self) -> str:
        return (self.root / "boot/grub/grub.cfg").read_text()

    @property
    def grubs(self) -> int:
        """How often the menu was written."""
        return len((self.root / "grubs").read_text().splitlines())

    @property
    def once(self) -> Path:
        return self.root / "etc/grub.d/01_rackwright"

    @property
    def kept(self) -> Path:
        return self.root / "etc/default/grub.d/zzz-rackwright.cfg"

    @property
    def watchdog(self) -> Path:
        return self.root / "etc/systemd/system.conf.d/zz-rackwright.conf"

    @property
    def _environment(self) -> dict[str, str]:
        return {"PATH": f"{self.root}/bin"}
