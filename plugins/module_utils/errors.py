# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Errors of this collection's own code, and the one place where they become a module's failure.

Nothing below a module imports AnsibleModule; it raises one of these instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, NoReturn, Protocol

from .deadline import GRACE_S, LateError, limited, longest_s


class MediaOpsError(Exception):
    """A failure to be shown to the user as it stands.

    ``details`` become return values of the failed module.
    """

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details


class OptionError(MediaOpsError):
    """Misuse: names the option, the value that was given, and what would do."""

    def __init__(self, option: str, value: object, why: str) -> None:
        super().__init__(f"option '{option}' is {value!r}: {why}", option=option)


class MissingLibraryError(MediaOpsError):
    """A Python library that the module needs is not on the host."""

    def __init__(self, library: str, debian_package: str, why: str) -> None:
        super().__init__(
            f"the Python library '{library}' is missing on this host ({why}). Install the Debian package "
            f"'{debian_package}', or run the playbook media_ops.runbook.prepare_hosts",
            missing_library=library,
            missing_package=debian_package,
        )


class _Module(Protocol):
    params: Mapping[str, Any]
    _name: str

    def exit_json(self, **kwargs: Any) -> NoReturn: ...

    def fail_json(self, msg: str, **kwargs: Any) -> NoReturn: ...


def run_module(module: _Module, work: Callable[[], Mapping[str, Any]]) -> NoReturn:
    """Do the work of a module and end it: its result, or the failure that a MediaOpsError or the end of its time is."""
    longest = longest_s(module._name, module.params)
    try:
        with limited(None if longest is None else longest + GRACE_S):
            result = work()
    except MediaOpsError as error:
        module.fail_json(**{**error.details, "msg": str(error)})
    except LateError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)
