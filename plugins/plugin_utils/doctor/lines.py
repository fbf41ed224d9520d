# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of an inventory to paste. Pure.

What a host says would be run by Ansible if it were a template: so a line has only values that can be none, and names of
ours; anything else is described and never made a line.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ..site.prepare import USER

# Whatever is quoted with these alone is itself, to YAML and to Jinja.
_SAFE = re.compile(r"[A-Za-z0-9._/:@-]{1,200}\Z")
_PATH = re.compile(r"/[A-Za-z0-9][^/]*(/[^/]+)+\Z")
# Nobody has a service's files there, and what is deleted by age is below what these lines name.
_SYSTEM = ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/root", "/run", "/sbin", "/sys", "/usr")


def _is_directory(value: str) -> bool:
    return bool(_PATH.match(value)) and ".." not in value.split("/") and f"/{value.split('/')[1]}" not in _SYSTEM


def _is_program(value: str) -> bool:
    return bool(_PATH.match(value)) and ".." not in value.split("/")


def _is_service_user(value: str) -> bool:
    return bool(USER.match(value)) and value != "root"


# What a line may set, and what fits there
_KEYS: dict[str, Callable[[str], object]] = {
    "ansible_python_interpreter": _is_program,
    "media_ops_api_url": re.compile(
        r"https?://(localhost|[0-9]+(\.[0-9]+){3}):[0-9]{1,5}(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*\Z"
    ).match,
    "policy_base_dir": _is_directory,
    "policy_log_dir": _is_directory,
    "policy_service_unit": re.compile(r"[A-Za-z0-9][A-Za-z0-9:_.@-]*\Z").match,
    "policy_service_user": _is_service_user,
}


def inventory_line(key: str, value: str) -> str:
    """The line that sets a variable of ours; "" for a value that is never printed as one."""
    fits = _KEYS[key]
    return f'{key}: "{value}"' if _SAFE.match(value) and fits(value) else ""
