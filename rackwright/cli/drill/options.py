"""Options that the commands of drills share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])


def sign_with_option(function: Function) -> Function:
    """Add --sign-with as the keyword `sign_with`."""
    return click.option(
        "--sign-with",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Your SSH key. Default: a signer's key in ssh-agent or ~/.ssh.",
    )(function)


def signers_option(function: Function) -> Function:
    """Add --signers as the keyword `signers`."""
    return click.option(
        "--signers",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="The file of signers. Default: NAME.signers next to NAME.drills.",
    )(function)
