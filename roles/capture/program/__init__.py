"""The program on a gateway that redacts, encrypts and keeps the requests which arrive, until the capture's end.

systemd runs it with the host's own Python and gives it the listening socket; HAProxy's user alone may connect. What
arrives is in memory only until it is redacted and piped to `age`: no request is ever on disk or in a message as plain
text. Its modules import only the standard library, each other, and those of `rackwright.migrate.redact`.
"""
