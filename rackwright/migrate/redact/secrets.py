"""Patterns of secrets: tokens by their form, passwords by the name that they are assigned to, private keys in PEM."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rackwright.migrate.redact.find import Finder, any_of, follows, spans

_TOKENS = "|".join(
    (
        r"rw-[a-z][a-z0-9-]{0,23}-[\w-]{43}",
        r"(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}",
        r"gh[pousr]_[A-Za-z0-9]{36,255}",
        r"github_pat_\w{22,255}",
        r"glpat-[\w-]{20,100}",
        r"xox[abeoprs]-[A-Za-z0-9-]{10,250}",
        r"xapp-[0-9]-[A-Za-z0-9-]{10,250}",
        r"AIza[\w-]{35}",
        r"ya29\.[\w-]{20,500}",
        r"GOCSPX-[\w-]{28}",
        r"[rsp]k_(?:live|test)_[A-Za-z0-9]{10,250}",
        r"whsec_[A-Za-z0-9+/]{24,100}",
        r"hf_[A-Za-z0-9]{30,100}",
        r"gsk_[A-Za-z0-9]{40,100}",
        r"SG\.[\w-]{22}\.[\w-]{43}",
        r"npm_[A-Za-z0-9]{36}",
        r"pypi-AgE[\w-]{50,500}",
        r"dop_v1_[0-9a-f]{64}",
        r"AGE-SECRET-KEY-1[0-9A-Z]{58}",
        r"[0-9]{8,10}:AA[\w-]{33}",
    )
)
_TOKEN_STARTS = (
    "rw- akia asia abia acca ghp_ gho_ ghu_ ghs_ ghr_ github_pat_ glpat- xox xapp- aiza ya29. gocspx- k_live_ "
    "k_test_ whsec_ hf_ gsk_ sg. npm_ pypi- dop_v1_ age-secret-key- :aa"
).split()
"""One of them is in each of these tokens, in lower case."""
_NAMED_SECRETS = ("pass", "pwd", "key", "secret", "token", "kennwort", "mot de", "contrase")
_ASSIGNED = (
    r"(?:password|passwd|passphrase|pwd|api[_-]?key|secret|client[_-]?secret|(?:access|auth|refresh)[_-]?token"
    r"|aws_secret_access_key|secret[_-]?key|accountkey|kennwort|passwort|mot de passe|contrase\u00f1a)"
    r"[\"']?(?:\s{0,3}[:=]|\s{1,3}is)\s{0,3}[\"']?"
    r"(?P<it>[^\s\"'<>,;(){}\[\]]{6,250}+)"
)
_END = "-----END"


def _mixed(text: str) -> bool:
    """Return whether a text looks random: digits, and either both cases or only hexadecimal digits."""
    return any("0" <= one <= "9" for one in text) and (
        (any(map(str.isupper, text)) and any(map(str.islower, text))) or bool(re.search("[0-9a-f]{24}", text))
    )


def _chosen(text: str) -> bool:
    """Return whether a text looks like a password, not like a name in a program or a word."""
    letters = any(map(str.isalpha, text))
    other = any(map(str.isdigit, text)) or any(one in "!#$%&*+?@^~" for one in text)
    return letters and other and not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", text)


def _private_keys(text: str, *_: int) -> Iterator[tuple[int, int]]:
    """Find private keys in PEM, to their last line; without one, as far as the text is base64."""
    last = 0
    for found in re.finditer(r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----", text):
        if 0 <= last < found.end():
            last = text.find(_END, found.end())
        if last < 0 or last > found.end() + 20_000:
            rest = re.compile(r"(?:(?:\s|\\[nr]){0,8}[A-Za-z0-9+/=]{16,}+){0,500}+").match(text, found.end())
            yield found.start(), rest.end() if rest else found.end()
        else:
            closing = re.compile(r"-----END[A-Z0-9 ]{0,80}(?:-----)?").match(text, last)
            yield found.start(), closing.end() if closing else last


FINDERS: tuple[Finder, ...] = (
    ("secret", any_of("private key"), _private_keys),
    ("secret", any_of("eyj"), spans(r"(?<![\w-])eyJ[\w-]{8,8000}+\.[\w-]{8,20000}+\.[\w-]{0,2000}+")),
    ("secret", any_of(*_TOKEN_STARTS), spans(rf"(?<![A-Za-z0-9_-])(?:{_TOKENS})(?![A-Za-z0-9_])")),
    ("secret", any_of("sk-"), spans(r"(?<![\w-])sk-[\w-]{20,400}+", check=_mixed)),
    ("secret", any_of("hooks.slack"), spans(r"hooks\.slack\.com/services/(?P<it>[\w/]{20,100}+)")),
    ("secret", any_of("://"), spans(r"://[^\s/:@\"'<>]{0,100}:(?P<it>[^\s/@\"'<>]{1,250}+)@")),
    (
        "secret",
        any_of("bearer", "basic"),
        spans(r"\b(?:bearer|basic)\s{1,3}(?P<it>[a-z0-9._~+/=-]{16,4000}+)", check=_chosen, flags=re.IGNORECASE),
    ),
    (
        "secret",
        any_of("="),
        spans(
            r"[?&](?:(?:access_|auth_)?token|(?:api_?)?key|sig|signature|X-Amz-Signature|password)="
            r"(?P<it>[^&\s#\"'<>]{8,2000}+)",
            flags=re.IGNORECASE,
        ),
    ),
    ("secret", follows(*_NAMED_SECRETS), spans(_ASSIGNED, check=_chosen, flags=re.IGNORECASE)),
)
