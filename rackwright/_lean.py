"""pydantic without its search for plugins: it would read all installed packages, and import e-mail and zip for that.

Its loader is imported here with a stand-in in place of `importlib.metadata`: a twelfth of a short command's time.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib import import_module
from types import ModuleType

import pydantic.plugin  # noqa: F401  what it needs is imported with the real one.

_SEARCH = "importlib.metadata"

os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
if _SEARCH not in sys.modules:
    _nothing = ModuleType(_SEARCH)
    vars(_nothing)["entry_points"] = tuple
    sys.modules[_SEARCH] = _nothing
    # A pydantic that has it elsewhere only starts slower.
    with suppress(ImportError):
        import_module("pydantic.plugin._loader")
    del sys.modules[_SEARCH]
