# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Commands that a person pastes: which playbook, on which hosts, with what."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from shlex import quote

AWX = "AWX: "
"""What a prefix begins with where the reader launches job templates, and has no command line."""

_INSTALLED = "media_ops.runbook."
_PLAIN = re.compile(r"\w[\w.-]*")


def host_pattern(name: str) -> str:
    """A host's name as a pattern of Ansible that fits it alone, whatever it is made of.

    Patterns are split at commas, colons and spaces, twice, and ``!&~@[]*?`` mean something in them.
    In a regular expression each of these can be written by its number.
    """
    if _PLAIN.fullmatch(name):
        return name
    return "~^" + "".join(c if re.fullmatch(r"\w|-", c) else _numbered(c) for c in name) + r"\Z"


def _numbered(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def limit_of(hosts: Sequence[str]) -> str:
    """The value of ``--limit`` for some hosts."""
    return ",".join(map(host_pattern, hosts))


def command(prefix: str, playbook: str, limit: str = "", answers: Mapping[str, str] | None = None) -> str:
    """A command to paste; after a prefix of AWX, what is to be launched there.

    Args:
        prefix: how the reader calls a playbook: what stands before its name.
        playbook: its name, without an ending.
        limit: value of ``--limit``, empty for all hosts.
        answers: extra variables.
    """
    if prefix.startswith(AWX):
        return launch(f"{prefix}{playbook}.yml", limit, answers)
    return called(f"{prefix}{playbook}{'' if prefix.endswith(_INSTALLED) else '.yml'}", limit, answers)


def launch(what: str, limit: str = "", answers: Mapping[str, str] | None = None) -> str:
    """What is to be launched in AWX, with its limit and its answers as they are typed there."""
    told = [*([f"limit {limit}"] if limit else []), *(f"{name} {value}" for name, value in (answers or {}).items())]
    return "; ".join([what, *told])


def called(command_line: str, limit: str = "", answers: Mapping[str, str] | None = None) -> str:
    """A command line with its limit and extra variables."""
    limited = f" --limit {quote(limit)}" if limit else ""
    given = "".join(f" -e {quote(f'{name}={value}')}" for name, value in (answers or {}).items())
    return f"{command_line}{limited}{given}"
