"""Sets of Debian packages: stored on the host, installed together at exact versions, and put on hold."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from pyinfra.api.command import PyinfraCommand, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.diff import show
from rackwright.operations.dkms_build import DKMS_BUILD
from rackwright.operations.facts.boot_guard import BootGuard
from rackwright.operations.facts.driver import FoundDriverFact
from rackwright.operations.facts.package_set import PackageSets
from rackwright.operations.facts.packages import InstalledPackages
from rackwright.operations.facts.path_state import PathState
from rackwright.operations.facts.stored_folder import FileHashes, StoredFolder
from rackwright.operations.filesystem.fetch import FETCH, incoming
from rackwright.operations.filesystem.stored_folder import place
from rackwright.operations.packages import APT, detached
from rackwright.package_set import ROOT, Package, PackageSet
from rackwright.route import Route
from rackwright.values.file import File

INSTALL = DKMS_BUILD + (Path(__file__).parent / "driver_install.sh").read_text()
"""Installs a driver's set; see the usage in driver_install.sh."""
_DRIVERS = ("*nvidia*", "libcuda*", "libnvcuvid*", "libnvsdm*", "cuda-drivers*", "nvlsm")
"""Packages that are removed with a set. A compiler from the same repository stays, and so do kernels."""
# Each file is verified by sha256, so plain HTTP, as Debian's archives offer it, is safe.
_ANY_SCHEME = ("--proto", "=https,http,file", "--proto-redir", "=https,http")


@operation()
def packages_kept(*, what: str, set: PackageSet, route: Route) -> Generator[PyinfraCommand]:
    """Ensure that the set's folder has all its files, each verified by sha256, owned by root and read-only.

    They are fetched from the sources in the lock, except files that are there with the right sha256, as after a
    restore. Files of a set that was never installed on this host are hashed again.
    """
    files = tuple(_file(package) for package in set.packages)
    whole = host.get_fact(StoredFolder, path=set.folder).holds(set.digest, files)
    if whole and set.name in host.get_fact(PackageSets).installed.values():
        return
    hashes = host.get_fact(FileHashes, path=set.folder)
    here = tuple(file for file in files if hashes.get(file.path) == file.sha256)
    if whole and here == files:
        return
    missing = sum(file.size for file in files if file not in here)
    show(f"{what}: {len(files)} packages, {set.size / 1e9:.3f} GB in {set.folder}; {missing / 1e9:.3f} GB to fetch\n")
    yield StringCommand(f"install -d -m 0755 -o root -g root -- {ROOT} && install -d -m 0700 -- {incoming(ROOT)}")
    yield StringCommand(_fetch_all(what, files, here, set.folder, route))
    yield place(files, ROOT, set.folder, set.digest)


def _file(package: Package) -> File:
    return File(path=package.file, size=package.size, sha256=package.sha256, url=package.url)


def _fetch_all(what: str, files: tuple[File, ...], here: tuple[File, ...], folder: str, route: Route) -> str:
    options = (*_ANY_SCHEME, *route.curl_options)
    lines = ["set -e", f"script={shlex.quote(FETCH)}", 'fetch() { sh -c "$script" fetch "$@" </dev/null; }']
    # A link to a file that is there counts as a download that ended before it was verified.
    lines += [
        shlex.join(("ln", "-f", "--", f"{folder}/{file.path}", f"{incoming(ROOT)}/{file.sha256}")) for file in here
    ]
    for file in files:
        words = (f"{what}: {file.path}", file.url, f"{incoming(ROOT)}/{file.sha256}", str(file.size), file.sha256)
        lines.append(f"fetch {shlex.join((*words, *options))}")
    return "\n".join(lines)


@operation()
def driver_installed(*, set: PackageSet, kernel: str, guard: str, replace: bool) -> Generator[PyinfraCommand]:
    """Install the set, build its module for this kernel of the set, and make that kernel the next to boot.

    If the module doesn't build, the operation fails with the compiler's errors; the driver and the kernel of the next
    boot are unchanged. Packages of the previous set are removed, and with `replace` those of a driver that rackwright
    didn't install, or the files of a .run installer. Kernels stay.
    """
    sets, found = host.get_fact(PackageSets), host.get_fact(InstalledPackages)
    leaving = _leaving(set, replace=replace)
    uninstall = host.get_fact(FoundDriverFact).uninstall if replace else None
    differing = tuple(_differences(set)) + tuple(f"- {name} {found[name].version}" for name in leaving)
    differing += (f"- {uninstall}",) if uninstall else ()
    unfit = host.get_fact(BootGuard, path=guard)
    if not differing and unfit is None and sets.installed.get("driver") == set.name:
        return
    show("\n".join((*differing, *([unfit] if unfit else []))) or f"set {set.name} is recorded as installed")
    before = f"export uninstall={shlex.quote(uninstall)}\n" if uninstall else ""
    yield StringCommand(detached(f"{before}{_script(set.folder, kernel, *leaving)}\n{_noted('driver', set)}"))


def _leaving(set: PackageSet, *, replace: bool) -> tuple[str, ...]:
    sets, found = host.get_fact(PackageSets), host.get_fact(InstalledPackages)
    ours = sets.installed.get("driver", "")
    earlier = sets.names.get(ours, ()) if ours else host.get_fact(FoundDriverFact).going if replace else ()
    names = {package.name for package in set.packages}
    going = (name for name in dict.fromkeys(earlier) if name not in names and name in found)
    return tuple(name for name in going if _matches(name, _DRIVERS))


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _script(*arguments: str) -> str:
    return f"sh -c {shlex.quote(INSTALL)} install {shlex.join(arguments)} || exit 1"


@operation()
def set_installed(*, what: str, set: PackageSet) -> Generator[PyinfraCommand]:
    """Install the set. `what` is its purpose, which distinguishes it from other sets."""
    sets = host.get_fact(PackageSets)
    differing = tuple(_differences(set))
    if not differing and sets.installed.get(what) == set.name:
        return
    show("\n".join(differing) or f"set {set.name} is recorded as installed")
    options = "--no-install-recommends --allow-downgrades --allow-change-held-packages"
    install = f"{APT} install {options} -- {shlex.quote(set.folder)}/*.deb || exit 1"
    yield StringCommand(detached(f"{install}\n{_noted(what, set)}"))


@operation()
def hold_packages(
    *, what: str, names: tuple[str, ...] = (), patterns: tuple[str, ...] = (), but: tuple[str, ...] = ()
) -> Generator[PyinfraCommand]:
    """Put these packages on hold, and the installed packages whose names match a pattern.

    `but` are patterns of names to exclude. The names are recorded under their purpose, `what`. Packages that were on
    hold for it, and are no longer named, are released.
    """
    found, known = host.get_fact(InstalledPackages), host.get_fact(PackageSets).on_hold.get(what, ())
    matching = sorted(name for name in found if _matches(name, patterns) and not _matches(name, but))
    wanted = tuple(dict.fromkeys((*names, *matching)))
    loose = tuple(name for name in wanted if name not in found or not found[name].on_hold)
    if loose:
        show("\n".join(f"{name}: {'put on hold' if name in found else 'new, put on hold'}" for name in loose))
        yield StringCommand(f"apt-mark -q hold -- {shlex.join(loose)} >/dev/null")
    if free := tuple(name for name in known if name not in wanted and name in found and found[name].on_hold):
        show("\n".join(f"{name}: released from hold" for name in free))
        yield StringCommand(f"apt-mark -q unhold -- {shlex.join(free)} >/dev/null")
    if sorted(wanted) != sorted(known):
        text = shlex.quote(" ".join(wanted))
        yield StringCommand(f"mkdir -p {ROOT} && printf '%s\\n' {text} >{ROOT}/{what}.held")


@operation()
def unhold_packages(*, what: str, pin: str | None = None) -> Generator[PyinfraCommand]:
    """Release the packages on hold for `what`, and remove our boot default and their .deb files. The packages stay.

    `pin` is the file that sets the boot default.
    """
    sets, found = host.get_fact(PackageSets), host.get_fact(InstalledPackages)
    names = tuple(name for name in sets.on_hold.get(what, ()) if name in found and found[name].on_hold)
    pinned = pin is not None and host.get_fact(PathState, path=pin, unless="none") is not None
    if what not in {*sets.on_hold, *sets.installed} and not pinned:
        return
    show("\n".join(f"{name}: released from hold" for name in names) or f"{what}: rackwright no longer manages it")
    if names:
        yield StringCommand(f"apt-mark -q unhold -- {shlex.join(names)} >/dev/null")
    if pinned:
        yield StringCommand(f"rm -f -- {pin} && update-grub >/dev/null")
    kept = {sets.installed.get(what), sets.previous.get(what)}
    folders = tuple(f"{ROOT}/{name}" for name in sets.folders if name in kept)
    notes = tuple(f"{ROOT}/{what}.{kind}" for kind in ("held", "installed", "previous"))
    yield StringCommand(f"rm -rf --one-file-system -- {shlex.join((*folders, *notes))}")


@operation()
def sets_kept(*, what: str, set: PackageSet, beside: PackageSet | None = None) -> Generator[PyinfraCommand]:
    """Remove all folders of packages except those of the installed set and the one before it, for a rollback.

    Run it after `set` was installed. `beside` is a set that will be installed afterwards: its folder stays, because a
    restore may have put it there.
    """
    found = host.get_fact(PackageSets)
    is_now = found.installed.get(what)
    before = found.previous.get(what) if is_now == set.name else is_now
    others = [sets.get(kind) for sets in (found.installed, found.previous) for kind in sets if kind != what]
    gone = tuple(
        f"{ROOT}/{name}" for name in found.folders if name not in (set.name, before, *others, beside and beside.name)
    )
    if gone:
        show("\n".join(f"- {path}" for path in gone))
        yield StringCommand(f"rm -rf --one-file-system -- {shlex.join(gone)}")


def _differences(set: PackageSet) -> Iterator[str]:
    """Yield each package that isn't installed at its version. If we had installed that version, it has drifted."""
    sets, found = host.get_fact(PackageSets), host.get_fact(InstalledPackages)
    ours = set.name in sets.installed.values()
    for package in set.packages:
        is_now = found[package.name].version if package.name in found else None
        if is_now != package.version:
            drifted = " (drifted)" if ours else ""
            yield f"{package.name}: {is_now or 'absent'} becomes {package.version}{drifted}"


def _noted(what: str, set: PackageSet) -> str:
    """Return a script that records the installed set, and the one before it."""
    now, before = f"{ROOT}/{what}.installed", f"{ROOT}/{what}.previous"
    return (
        f'old=$(cat {now} 2>/dev/null || true)\n[ -z "$old" ] || [ "$old" = {set.name} ] || mv -f {now} {before}\n'
        f"echo {set.name} >{now}.new && sync {now}.new && mv -f {now}.new {now}"
    )
