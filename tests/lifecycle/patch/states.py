"""What a host prints about its packages, recorded on Debian 13, and pieces of it."""

from __future__ import annotations

from rackwright.roles.patch.parse_state import parse_state
from rackwright.roles.patch.state import PatchState

MIRROR = "http://ops:secret@mirror.internal/debian/pool/main"
SHA = "0b3fd29e6eca058b08c5451de5991be12a7ddd5adc7e9284f3ff201252701caf"
STATE = f"""\
system debian 13 amd64
kept linux-image-lab
kept small-conflicting
Inst libssl3t64 [3.5.1-1] (3.5.1-1+deb13u1 Debian-Security:13/stable-security [amd64])
Inst linux-image-6.12.57+deb13-amd64 (6.12.57-1 Debian:13.2/stable, Debian-Security:13/stable-security [amd64])
Inst tzdata [2025b-4+deb13u1] (2026a-0+deb13u1 Debian:13.2/stable-updates [all]) []
Conf tzdata (2026a-0+deb13u1 Debian:13.2/stable-updates [all])
'{MIRROR}/o.deb' libssl3t64_3.5.1-1+deb13u1_amd64.deb 2438000 SHA256:{SHA}
'http://mirror.internal/l.deb' linux-image-6.12.57+deb13-amd64_6.12.57-1_amd64.deb 90000000 SHA256:{SHA}
'http://mirror.internal/t.deb' tzdata_2026a-0+deb13u1_all.deb 260000 SHA256:{SHA}
unpacked libssl3t64 amd64 3.5.1-1+deb13u1 7000
unpacked tzdata all 2026a-0+deb13u1 1400
back libssl3t64 archive
back tzdata none
held linux-image-lab nvidia-580
held held-by-ops
broken small-half half-configured
locked 4711 apt-get
space / 71703875584 /
space /usr 71703875584 /
space /var 1000000 /var
space /boot 500000000 /boot
asked needrestart
NEEDRESTART-KSTA: 1
NEEDRESTART-SVC: ssh.service
NEEDRESTART-SVC: rackwright-assistant@1.service
running 6.12.48+deb13-amd64
kernel 6.12.48+deb13-amd64
kernel 6.12.9+deb13-amd64
reboot libc6 linux-image-amd64
boot state none
boot armed -
boot running 6.12.48+deb13-amd64
boot default 6.12.48+deb13-amd64
boot hands read-only lvm
boot hands no-watchdog
asked debsecan
open CVE-2026-0001 libssl3t64
open CVE-2026-0002 libssl3t64
open TEMP-0841856-B18BAF bash
later CVE-2026-0002 libssl3t64
later TEMP-0841856-B18BAF bash
end
"""


def state(*without: str, **instead: str) -> PatchState:
    """Return the parsed state, without the lines that start with these words, and with others for some words."""
    lines = [line for line in STATE.splitlines() if line.split(" ")[0] not in (*without, *instead)]
    lines[-1:] = [*(f"{word} {text}" for word, text in instead.items()), "end"]
    return parse_state("\n".join(lines) + "\n")
