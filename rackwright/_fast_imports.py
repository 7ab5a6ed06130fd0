"""Leaves out of imports what we don't use, and imports pydantic without its search for plugins.

pydantic would read all installed packages, and import e-mail and zip for that: a twelfth of a short command's time.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from types import ModuleType


@contextmanager
def stubbed(**modules: dict[str, object]) -> Iterator[None]:
    """Within the block, imports of these modules (`__` for a dot) get what is given here, not the real modules.

    Afterwards imports get the real ones again. What the block imports may use nothing else of them.
    """
    names = {name.replace("__", "."): content for name, content in modules.items()}
    real = {name: sys.modules[name] for name in names if name in sys.modules}
    for name, content in names.items():
        sys.modules[name] = ModuleType(name)
        vars(sys.modules[name]).update(content)
    try:
        # A release that asks for more only starts slower: it is imported again, with the real ones.
        with suppress(ImportError):
            yield
    finally:
        for name in names:
            del sys.modules[name]
        sys.modules.update(real)


def _none(**_: object) -> tuple[()]:
    return ()


import_module("pydantic.plugin")
with stubbed(importlib__metadata={"entry_points": _none, "distributions": _none}):
    import_module("pydantic.plugin._loader")
