# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The value of an option of a task as Ansible would template it, without a template where it only names a variable.

Ansible compiles each template in each worker at each look at it. Most of the policy's are the name of another variable,
alone or in a path, and a host had a hundred of them for one check, which took longer than all else on the controller.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleValueOmittedError
from ansible.template import is_trusted_as_template

_MARKS = ("{{", "{%", "{#")
_MEANS = (*_MARKS, "}}", "%}", "#}", "\n", "\\")
_PATH = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
_NAMED = re.compile(rf"\{{\{{ ({_PATH}) \}}\}}")
_JOINED = re.compile(rf"\{{\{{ ({_PATH}(?: \+ {_PATH})+) \}}\}}")
_OPTIONAL = re.compile(r"\{\{ lookup\('ansible\.builtin\.vars', '([A-Za-z_]\w*)', default=omit\) \}\}")
_CONSTANTS = frozenset({"none", "None", "true", "True", "false", "False"})
_OF_DICT = frozenset(dir(dict))
_NONE = object()  # nothing that can be said without a template


class WorkedOut:
    """The values for one task."""

    def __init__(self, template: Callable[[Any], Any], variables: Mapping[str, Any]) -> None:
        """
        Args:
            template: how Ansible makes a value of whatever is more than names of variables.
            variables: of the host, as they are written.
        """
        self._template = template
        self._variables = variables
        self._known: dict[str, Any] = {}
        self._open: list[str] = []

    def value(self, given: Any) -> Any:
        """The value of what is written."""
        if given is None or isinstance(given, (bool, int, float)):
            return given
        if isinstance(given, dict):
            return dict(self._entries(given.items()))
        if isinstance(given, list):
            return [value for _index, value in self._entries(enumerate(given))]
        if isinstance(given, str):
            return self._text(given)
        return self._template(given)

    def _entries(self, entries: Any) -> Iterator[tuple[Any, Any]]:
        for key, written in entries:
            try:
                yield key, self.value(written)
            except AnsibleValueOmittedError:
                continue

    def _text(self, given: str) -> Any:
        text = str(given)
        # What a host has told is no template, whatever it looks like.
        if not any(mark in text for mark in _MARKS) or not is_trusted_as_template(given):
            return given
        optional = _OPTIONAL.fullmatch(text)
        if optional and optional[1] not in self._variables:
            raise AnsibleValueOmittedError
        whole = optional or _JOINED.fullmatch(text)
        parts = ["", whole[1], ""] if whole else _NAMED.split(text)
        around, named = parts[::2], [paths.split(" + ") for paths in parts[1::2]]
        # The text around the names is as it stands, where nothing in it means anything else.
        means = any(mark in rest for rest in around for mark in _MEANS)
        if means or not all(self._is_known(path) for paths in named for path in paths):
            return self._template(given)
        values = [self._joined(paths) for paths in named]
        found = values[0] if around == ["", ""] else _text_of(around, values)
        return self._template(given) if found is _NONE else found

    def _joined(self, paths: list[str]) -> Any:
        """The value of a name, or of lists one after the other."""
        values = [self._named(path) for path in paths]
        if len(values) == 1:
            return values[0]
        return [entry for value in values for entry in value] if all(isinstance(one, list) for one in values) else _NONE

    def _is_known(self, path: str) -> bool:
        """Whether a path leads through what is written, and not through what a template would make."""
        return self._written(path) is not _NONE

    def _written(self, path: str) -> Any:
        name, *keys = path.split(".")
        if name in self._open or name in _CONSTANTS or name not in self._variables:
            return _NONE
        at = self._variables[name]
        for key in keys:
            if not isinstance(at, dict) or key not in at or key in _OF_DICT:
                return _NONE
            at = at[key]
        return at

    def _named(self, path: str) -> Any:
        if path not in self._known:
            written = self._written(path)
            self._open.append(path.partition(".")[0])
            try:
                self._known[path] = self.value(written)
            finally:
                self._open.pop()
        return self._known[path]


def _text_of(around: list[str], values: list[Any]) -> Any:
    if not all(isinstance(value, (str, int)) and not isinstance(value, bool) for value in values):
        return _NONE
    return "".join(text for pair in zip(around, [*map(str, values), ""]) for text in pair)  # noqa: B905
