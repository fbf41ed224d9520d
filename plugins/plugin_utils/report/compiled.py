# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled templates kept between runs, as Python keeps modules: compiling them takes longer than filling them."""

from __future__ import annotations

import contextlib
import os
import pickle
import stat
from pathlib import Path

from jinja2 import FileSystemBytecodeCache
from jinja2 import __version__ as jinja_version
from jinja2.bccache import Bucket

_NOT_READ = (OSError, ValueError, EOFError, TypeError, pickle.UnpicklingError)


def default_directory() -> Path:
    """In the user's cache directory ($XDG_CACHE_HOME, else ~/.cache)."""
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(caches, "media_ops", "templates")


class CompiledTemplates(FileSystemBytecodeCache):
    """A directory of compiled templates; where it cannot be used, each run compiles anew.

    Args:
        directory: made where it is missing. Since what lies in it is run, it is used only while it is this user's and
            nobody else may write there.
        code: a file of Python whose functions a template's constants have been through when it is compiled.
    """

    def __init__(self, directory: Path, code: str) -> None:
        super().__init__(str(directory))
        self._code = code

    def load_bytecode(self, bucket: Bucket) -> None:
        with contextlib.suppress(*_NOT_READ):
            if self._is_own():
                super().load_bytecode(bucket)

    def dump_bytecode(self, bucket: Bucket) -> None:
        with contextlib.suppress(OSError):
            Path(self.directory).mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._is_own():
                super().dump_bytecode(bucket)

    def get_source_checksum(self, source: str) -> str:
        code = os.stat(self._code)
        return super().get_source_checksum(f"{jinja_version} {code.st_mtime_ns} {code.st_size} {source}")

    def _is_own(self) -> bool:
        found = os.lstat(self.directory)
        return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022
