"""A mail server on loopback, with the aiosmtpd of the distribution: `/usr/bin/python3 smtp_program.py ORDER`.

It prints its port, and appends each mail to the folder's `mails.jsonl`. It ends when its standard input does.
"""
# mypy: ignore-errors
# The distribution's Python runs it, which has aiosmtpd; the project's environment doesn't.

import asyncio
import json
import ssl
import sys
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult


class Mails:
    def __init__(self, order):
        self.file, self.refused = Path(order["folder"]) / "mails.jsonl", order["refused"]

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address in self.refused:
            return f"{self.refused[address]} no \x1b[2J such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        document = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": server.transport.get_extra_info("ssl_object") is not None,
            "user": session.auth_data.login.decode() if session.authenticated else None,
            "content": envelope.content.decode(),
        }
        with self.file.open("a") as stream:
            stream.write(json.dumps(document) + "\n")
        return "250 OK"


async def serve(order):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(order["certificate"], order["key"])
    starttls, implicit = order["tls"] == "starttls", order["tls"] == "implicit"

    def admitted(server, session, envelope, mechanism, login):
        right = [login.login.decode(), login.password.decode()] == order["login"]
        return AuthResult(success=right, handled=False, auth_data=login)

    def protocol():
        return SMTP(
            Mails(order),
            hostname="loopback",
            tls_context=context if starttls else None,
            require_starttls=starttls,
            authenticator=admitted if order["login"] else None,
            auth_required=bool(order["login"]),
            auth_require_tls=starttls,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=context if implicit else None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(serve(json.loads(sys.argv[1])))
