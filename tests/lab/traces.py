"""Where a word is found on a lab's hosts: in journals, in files and in snapshots."""

from __future__ import annotations

from rackwright.lab.hosts import Lab

_FOLDERS = "/etc /home /root /run /tmp /var /dev/shm"
_SEARCH = f"""
words=$(cat)
journalctl --quiet --all --no-pager --output=export | grep -aoF "$words" | sort -u | sed 's/^/journal: /'
grep -rlaF --devices=skip --exclude="*.journal" --exclude="*.journal~" "$words" {_FOLDERS} 2>/dev/null
true
"""


def found(lab: Lab, *words: str) -> dict[str, list[str]]:
    """Return, for each host with one of the words, the words in its journal and the files that have one."""
    text = "\n".join(words)
    searched = {host: lab.exec(host, _SEARCH, input=text, timeout=600).out for host in lab.fleet().hosts}
    return {host: out.splitlines() for host, out in searched.items() if out}


def in_snapshots(lab: Lab, repository: str, *words: str) -> dict[str, set[str]]:
    """Return, for each host, the words in its newest snapshot in this repository, uncompressed."""
    dump = f"words=$(cat); /etc/rackwright/backup/restic.sh {repository} dump --archive tar latest /"
    search = f'{dump} | grep -aoF "$words" | sort -u'
    text = "\n".join(words)
    return {host: set(lab.exec(host, search, input=text, timeout=600).out.split()) for host in lab.fleet().hosts}
