"""One HAProxy of ours under systemd, with its keys, its check and its reload; both proxies are one."""
