"""Let the runs of Ansible that tests start keep from run to run what depends on nothing but files (see kept_ansible).

Python imports this at its start where this directory is on PYTHONPATH, which `tools/stages.py` puts there.
"""

from __future__ import annotations

import os
import sys

# Every Python waits for this: typing is not loaded for it.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

PATCHED = {
    "ansible._internal._templating._jinja_bits",
    "ansible.config.manager",
    "ansible.executor.module_common",
    "ansible.parsing.dataloader",
    "ansible.plugins.loader",
    "ansible.utils.collection_loader._collection_finder",
    "ansible.utils.collection_loader._collection_meta",
}


class Patching:
    """Finds the modules of Ansible that are patched, each once, and patches it when it has been loaded."""

    def __init__(self) -> None:
        self._awaited = set(PATCHED)

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in self._awaited:
            return None
        self._awaited.remove(name)
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name, path, target)
        if spec and spec.loader:
            loader: Any = spec.loader
            plain = loader.exec_module

            def exec_module(module: ModuleType) -> None:
                plain(module)
                import kept_ansible

                kept_ansible.patch(module)

            loader.exec_module = exec_module
        return spec


if os.environ.get("MEDIA_OPS_KEPT"):
    import gc

    import kept_code

    # A run of Ansible loads much, keeps it and ends: a tenth of its time goes into looking for cycles there.
    gc.set_threshold(50_000, 20, 50)
    kept_code.keep_code_of_zips()
    sys.meta_path.insert(0, Patching())
