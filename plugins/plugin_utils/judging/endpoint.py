# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One endpoint's answer, read with suspicion: what cannot be trusted is a fault with a reason, never a value. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable

from ...module_utils.shapes import NOT_OFFERED, SAID_NOT_OFFERED, mapping, number, one_line
from ...module_utils.times import from_text
from .shapes import SHORT, Observation, observation

LIST_MAX = 50
"""So many rows of an answer are read where they are only listed."""

Reader = Callable[[], Any]
"""Gives the value of an observation, or several parts of it."""


class FaultError(Exception):
    """Why an answer gives no value: the class of fault, and a line for people."""

    def __init__(self, fault: str, reason: str) -> None:
        super().__init__(reason)
        self.fault = fault
        self.reason = reason


class NotOfferedError(Exception):
    """A field that the service does not offer, by its site."""


class Answer:
    """One endpoint's part of the module's result, read with suspicion.

    What reads a field raises FaultError where its value cannot be trusted, NotOfferedError where there is to be none.
    """

    def __init__(self, name: str, raw: object) -> None:
        self.name = name
        self._raw = mapping(raw)
        self.fetched_at = from_text(self._raw.get("fetched_at"))
        self.data = mapping(self._raw.get("data"))
        self.params = mapping(self._raw.get("params"))

    def asked(self, param: str, default: int) -> int:
        """A whole number that the module asked the endpoint for."""
        value = number(self.params.get(param))
        return default if value is None else int(value)

    @property
    def ok(self) -> bool:
        return self._raw.get("state") == "ok"

    @property
    def is_offered(self) -> bool:
        return self._raw.get("state") != NOT_OFFERED

    @property
    def source(self) -> str:
        """What tells: the endpoint, or what was looked at where the service does not offer it."""
        return one_line(self._raw.get("source") or self.name, 40)

    @property
    def short(self) -> str:
        """Why it does not tell of all the time that was asked for; empty where it does."""
        return one_line(self._raw.get("short") or "", 200)

    def require(self) -> None:
        """Raise FaultError where there is no document."""
        state = self._raw.get("state")
        if state != "ok":
            known = state in ("unreachable", "timeout", "auth", "http_error", "invalid")
            raise FaultError(str(state) if known else "invalid", one_line(self._raw.get("reason") or "no answer"))
        if not isinstance(self._raw.get("data"), Mapping):
            raise FaultError("wrong_type", f"the answer of {self.name} is not an object")

    def lacks(self, key: str) -> bool:
        """Whether the service does not offer a field; one of rows has the rows' name and a dot before its own."""
        absent = self._raw.get("not_offered")
        return isinstance(absent, list) and key in absent

    def get(self, key: str) -> Any:
        if self.lacks(key):
            raise NotOfferedError
        if self.data.get(key) is None:
            raise FaultError("missing", f"{self.name} has no '{key}'")
        return self.data[key]

    def number(self, key: str, low: float = 0, high: float = float("inf")) -> float | int:
        raw = self.get(key)
        value = number(raw)
        if value is None:
            raise FaultError("wrong_type", f"{self.name}: '{key}' is {one_line(repr(raw), 40)}, not a finite number")
        if not low <= value <= high:
            raise FaultError("out_of_range", f"{self.name}: '{key}' is {value:g}, outside of {low:g} to {high:g}")
        return value

    def count(self, key: str) -> int:
        value = self.number(key)
        if value != int(value):
            raise FaultError("wrong_type", f"{self.name}: '{key}' is {value:g}, not a whole number")
        return int(value)

    def rows(self, key: str) -> list[Any]:
        value = self.get(key)
        if not isinstance(value, list):
            raise FaultError("wrong_type", f"{self.name}: '{key}' is not a list")
        return value


def not_offered(unit: str, answer: Answer) -> Observation:
    """What counts for nothing: the site says that its service has nothing of the kind."""
    return observation(None, unit, applicable=False, note=SAID_NOT_OFFERED, endpoint=answer.name)


def observe_each(
    answer: Answer, trust: Callable[[], str | None], readers: Mapping[str, tuple[str, Reader]]
) -> dict[str, Observation]:
    """Observations of one answer. A fault of the whole answer is the fault of each; else each has its own.

    Args:
        answer: the answer they are read from.
        trust: raises where the whole answer proves nothing, else says when it was true.
        readers: name to unit and a function that gives the value, or several parts of the observation.
    """
    if not answer.is_offered:
        return {name: not_offered(unit, answer) for name, (unit, _read) in readers.items()}
    found = {}
    for name, (unit, read) in readers.items():
        try:
            answer.require()
            at = trust()
            value = read()
            parts = value if isinstance(value, dict) else {"value": value}
            if answer.short:
                parts = {**parts, "applicable": True, "fault": SHORT, "reason": answer.short}
            found[name] = observation(**{"unit": unit, "at": at, "endpoint": answer.source, **parts})
        except FaultError as error:
            found[name] = observation(None, unit, fault=error.fault, reason=error.reason, endpoint=answer.source)
        except NotOfferedError:
            found[name] = not_offered(unit, answer)
    return found
