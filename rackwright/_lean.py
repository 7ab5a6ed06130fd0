"""pydantic without its search for plugins: it would read all installed packages, and import e-mail and zip for that.

Its loader is imported here with a stand-in in place of `importlib.metadata`: a twelfth of a short command's time.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module
from types import ModuleType

import pydantic.plugin  # noqa: F401  what it needs is imported with the real one.

_SEARCH = "importlib.metadata"


def _none(**_: object) -> tuple[()]:
    return ()


_stand_in = ModuleType(_SEARCH)
vars(_stand_in).update(entry_points=_none, distributions=_none)
_real = sys.modules.get(_SEARCH)
sys.modules[_SEARCH] = _stand_in
# A pydantic that has its loader elsewhere only starts slower.
with suppress(ImportError):
    import_module("pydantic.plugin._loader")
del sys.modules[_SEARCH]
if _real:
    sys.modules[_SEARCH] = _real
