"""Skip the parts of imports that rackwright doesn't use, and import pydantic without its search for plugins.

For this search, pydantic reads all installed packages and imports modules for e-mail and zip. That takes a twelfth
of a short command's time.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from types import ModuleType


@contextmanager
def stubbed(**modules: dict[str, object]) -> Iterator[None]:
    """Within the block, imports of these modules (`__` in place of a dot) get this content, not the real modules.

    After the block, imports get the real modules again. Code imported in the block must use no other names of them.
    """
    names = {name.replace("__", "."): content for name, content in modules.items()}
    real = {name: sys.modules[name] for name in names if name in sys.modules}
    for name, content in names.items():
        sys.modules[name] = ModuleType(name)
        vars(sys.modules[name]).update(content)
    try:
        # If a release imports another name, this only costs time: it is imported again with the real modules.
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
