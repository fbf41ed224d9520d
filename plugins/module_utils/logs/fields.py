# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service's own names of what its log says, and entries put into the words that all else here reads.

Whoever reads an entry by the names of the runbook's service (``extra.session_id``, ``extra.duration_seconds``) so reads
one of any other service.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import OptionError
from ..shapes import number, one_line
from .digest import parse
from .where import Get, getter

OPTION = "log_fields"
_TOP = {"time": "timestamp", "level": "level", "message": "message", "process": "process_id"}
_EXTRA = {
    "session": "session_id",
    "stage": "stage",
    "duration": "duration_seconds",
    "success": "success",
    "error_code": "error_code",
    "error_message": "error_message",
}
NAMES = (*_TOP, *_EXTRA)
"""What can be named."""
UNITS = {"s": 1.0, "ms": 0.001, "us": 1e-6, "min": 60.0}
ONE_STAGE = "operation"
"""The stage of all operations of a service that names none."""
_VALUES_MAX = 100


class LogFields:
    """The names, checked.

    Attributes:
        session: by which field a line tells its session; as that has it whose log is the runbook's own.
        tells_outcome: whether the outcome is told by values of a field. A line with another value ends no operation.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._read: dict[str, Get] = {}
        unknown = sorted(set(given) - set(NAMES))
        if unknown:
            raise OptionError(OPTION, unknown[0], f"is none of {', '.join(NAMES)}")
        specs = {name: _spec(name, given[name]) for name in NAMES if given.get(name) is not None}
        self._read = {name: _reader(name, spec) for name, spec in specs.items()}
        self.session = specs["session"]["field"] if "session" in specs else "extra.session_id"
        self.tells_outcome = "success" in specs
        lacking = [name for name in ("session", "duration", "success") if self._read and name not in self._read]
        if lacking:
            raise OptionError(OPTION, dict(given), f"needs {', '.join(lacking)} as well: no operation is known without")

    def __bool__(self) -> bool:
        return bool(self._read)

    def read(self, line: bytes | bytearray) -> dict[str, Any] | None:
        """The entry of a line, in our words."""
        entry = parse(line)
        return entry if entry is None or not self._read else self.ours(entry)

    def ours(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """The same entry with our names beside its own."""
        made, inner = dict(entry), entry.get("extra")
        extra: dict[str, Any] = dict(inner) if isinstance(inner, Mapping) else {}
        for names, into in ((_TOP, made), (_EXTRA, extra)):
            for name, our in names.items():
                value = self._read[name](entry) if name in self._read else None
                if value is not None:
                    into[our] = value
        if extra.get("success") is not None and "stage" not in self._read:
            extra["stage"] = ONE_STAGE
        made["extra"] = extra
        return made


def _spec(name: str, given: Any) -> dict[str, Any]:
    spec = {"field": given} if isinstance(given, str) else given
    if not isinstance(spec, Mapping) or not isinstance(spec.get("field"), str):
        raise OptionError(OPTION, {name: given}, "must be the name of a field, or an object with field")
    more = {"duration": "unit", "success": "values"}.get(name, "values")
    unknown = sorted(set(spec) - {"field", more})
    if unknown:
        raise OptionError(OPTION, {name: given}, f"has field and {more}, and no {one_line(unknown[0], 40)}")
    return dict(spec)


def _reader(name: str, spec: Mapping[str, Any]) -> Get:
    """What reads a field as we have it; None where it is not there, or has a value that means nothing."""
    get = getter(OPTION, spec["field"])
    if name == "duration":
        factor = UNITS.get(spec.get("unit", "s"))
        if factor is None:
            raise OptionError(OPTION, {name: dict(spec)}, f"unit must be one of {', '.join(UNITS)}")
        return lambda entry: _times(get(entry), factor)
    values = spec.get("values")
    if values is None and name != "success":
        return (lambda entry: _as_id(get(entry))) if name == "session" else get
    if not isinstance(values, Mapping) or not 1 <= len(values) <= _VALUES_MAX:
        raise OptionError(OPTION, {name: dict(spec)}, f"values must name 1 to {_VALUES_MAX} values, each with ours")
    table = {_text(theirs): ours for theirs, ours in values.items()}
    if name == "success" and not all(isinstance(ours, bool) for ours in table.values()):
        raise OptionError(OPTION, {name: dict(spec)}, "values must be true or false for each value of the field")
    return lambda entry: table.get(_text(get(entry)))


def _as_id(value: Any) -> Any:
    """An id is a text, also where it is written as a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _times(value: Any, factor: float) -> float | None:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    found = number(value)
    return None if found is None or found < 0 else found * factor


def _text(value: Any) -> str:
    """A value as the keys of an option name it: Ansible writes those that are true or false in several ways."""
    text = "" if value is None else str(value)
    return text.lower() if text in ("True", "False") else text
