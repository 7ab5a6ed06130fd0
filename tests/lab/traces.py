"""Where a word is found on a lab's hosts: in journals and in files."""

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
