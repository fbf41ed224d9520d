# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which settings of the service may be overridden, and by what: whole numbers and choices. Pure.

The host goes by its own list, which root has written, and by roles/prepare/files/overrides.py, which knows nothing of
this collection. What is checked here is refused earlier, and in words that name the option.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import OptionError
from ..shapes import one_line

NAME = re.compile(r"[A-Z][A-Z0-9_]{0,63}\Z")
# What needs no quoting in an environment file
_PLAIN = re.compile(r"[A-Za-z0-9_.:/+-]{1,200}\Z")
# Names that change how programs load, or where they look
_LOADS = re.compile(
    r"(LD_|DYLD_|GLIBC_|GCONV_|MALLOC_|PYTHON|PERL|RUBY|JAVA_|JDK_|LUA_|BASH|COR_|CORECLR_|DOTNET_)"
    r"|(IFS|ENV|HOME|SHELL|SHELLOPTS|PS4|TMPDIR|HOSTALIASES|LOCALDOMAIN|TERMINFO|TERMCAP)\Z"
    r"|.*(PATH|PRELOAD|OPTIONS|_OPTS|_ARGS|_FLAGS|_HOME|_ENV)\Z"
)


@dataclass(frozen=True)
class Rule:
    """What a setting may be: an integer from ``low`` to ``high``, or one of ``choices``.

    Attributes:
        shown_by: by value, a regular expression of a line that the service writes only where it has taken that.
    """

    low: int
    high: int
    choices: tuple[str, ...]
    step: str
    shown_by: Mapping[str, str] = field(default_factory=dict)

    def value(self, name: str, given: object) -> str:
        """The value as it is written.

        Raises:
            OptionError: the rule does not allow it.
        """
        text = "" if isinstance(given, bool) else str(given)
        if self.choices:
            if text not in self.choices:
                raise OptionError("settings", given, f"{name} must be one of {', '.join(self.choices)}")
            return text
        if not re.match(r"[0-9]{1,12}\Z", text) or not self.low <= int(text) <= self.high:
            raise OptionError("settings", given, f"{name} must be a whole number from {self.low} to {self.high}")
        return str(int(text))


def read_rules(option: str, allowed: Mapping[Any, Any]) -> dict[str, Rule]:
    """The rules by name.

    Args:
        option: what they were given by, for errors.
        allowed: by name ``type`` (``int`` with ``min`` and ``max``, or ``choice`` with ``choices``), and ``step``.

    Raises:
        OptionError: a name or a rule is none that can be allowed.
    """
    return {name: _rule(option, name, given) for name, given in allowed.items()}


def _rule(option: str, name: Any, given: Any) -> Rule:
    if not isinstance(name, str) or not NAME.match(name):
        raise OptionError(option, name, "must be names of environment variables in capitals")
    if _LOADS.match(name):
        raise OptionError(option, name, "changes how programs load or where they look, and must not be allowed")
    if not isinstance(given, dict) or given.get("type") not in ("int", "choice"):
        raise OptionError(option, one_line(given, 80), f"{name} needs a type, int or choice")
    choices = tuple(str(choice) for choice in given.get("choices") or ())
    step, shown_by = str(given.get("step") or ""), _shown_by(option, name, given.get("shown_by") or {})
    if given["type"] == "choice":
        if not choices or not all(_PLAIN.match(choice) for choice in choices):
            raise OptionError(option, list(choices), f"{name} needs choices of letters, digits and _.:/+- only")
        return Rule(0, 0, choices, step, shown_by)
    try:
        low, high = int(given["min"]), int(given["max"])
    except (KeyError, TypeError, ValueError):
        raise OptionError(option, one_line(given, 80), f"{name} needs min and max, whole numbers") from None
    if not 0 <= low <= high:
        raise OptionError(option, one_line(given, 80), f"{name} needs 0 <= min <= max")
    return Rule(low, high, (), step, shown_by)


def _shown_by(option: str, name: str, given: Any) -> dict[str, str]:
    said = f"{name}: shown_by needs regular expressions by value"
    if not isinstance(given, dict):
        raise OptionError(option, one_line(given, 80), said)
    for value, pattern in given.items():
        try:
            re.compile(str(pattern))
        except re.error:
            raise OptionError(option, one_line(value, 80), said) from None
    return {str(value): str(pattern) for value, pattern in given.items()}
