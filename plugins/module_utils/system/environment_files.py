# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that a unit's EnvironmentFile= names, as systemd reads them."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Mapping

from ..opener import read_regular

_MAX_FILE = 1 << 20


def environment_files(properties: dict[str, str]) -> list[str]:
    """The unit's EnvironmentFile= paths, in the order in which they are read."""
    text = properties.get("EnvironmentFiles", "")
    return [
        match.group(1).lstrip("-")
        for match in re.finditer(r"(\S.*?) \(ignore_errors=(?:yes|no)\)(?:\s|$)", text)
        if match.group(1).lstrip("-").startswith("/")
    ]


def required_files(properties: Mapping[str, str]) -> list[str]:
    """Of the unit's EnvironmentFile= paths those that it cannot start without."""
    text = properties.get("EnvironmentFiles", "")
    return [match.group(1) for match in re.finditer(r"(/\S.*?) \(ignore_errors=no\)(?:\s|$)", text)]


def read_environment_file(path: str) -> dict[str, str]:
    """Variables of an EnvironmentFile=.

    Raises:
        OSError: it cannot be read, or is no file of settings.
    """
    return parse_environment_file(read_regular(path, _MAX_FILE, follow=True).decode("utf-8", "surrogateescape"))


def parse_environment_file(text: str) -> dict[str, str]:
    """Variables of an EnvironmentFile=, by systemd.exec(5): quotes, comments, continuations, no expansion."""
    variables: dict[str, str] = {}
    lines = iter(text.splitlines())
    for raw in lines:
        line = raw.lstrip()
        if not line or line[0] in "#;":
            continue
        while line.endswith("\\") and not line.endswith("\\\\"):
            line = line[:-1] + next(lines, "")
        name, separator, value = line.partition("=")
        name = name.strip()
        if separator and re.match(r"[A-Za-z_][A-Za-z0-9_]*\Z", name):
            variables[name] = _unquoted(value.strip())
    return variables


def _unquoted(value: str) -> str:
    if value[:1] in ("'", '"'):
        with contextlib.suppress(ValueError):
            return "".join(shlex.split(value, posix=True))
    return re.sub(r"\\(.)", r"\1", value)
