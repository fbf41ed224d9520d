# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What role prepare refuses: what could not be written safely, and a host that it does not know how to prepare."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ...module_utils.errors import OptionError
from ...module_utils.service.rules import read_rules
from ...module_utils.shapes import one_line
from ...module_utils.system.privilege import PROGRAMS

USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}\Z")
_LIBRARY = re.compile(r"[a-z][a-z0-9_]*\Z")
# "" is how sudo says: no arguments.
_COMMAND = re.compile(r'/[A-Za-z0-9_./@:=+-]+( ""|( [A-Za-z0-9_./@:=+-]+)+)\Z')
# They ask questions, and an answer is a root shell; options and variables of theirs run commands.
_ASKS = re.compile(r"/(\S*/)?(dpkg|apt|apt-get|aptitude|debconf|dpkg-reconfigure)(\s|\Z)")
_KEY = re.compile(r"([^\n]* )?(ssh|ecdsa|sk)-[A-Za-z0-9@.-]+ AAAA[A-Za-z0-9+/=]+( [^\n]*)?\Z")


def prepare_problems(value: Callable[[str], Any]) -> list[str]:
    """Everything that is wrong with a host and with what a site sets for it."""
    return [*_users(value), *_paths(value), *_lists(value), *_allowed(value), *_distribution(value)]


def _users(value: Callable[[str], Any]) -> list[str]:
    user, service_user = str(value("prepare_user")), str(value("policy_service_user"))
    problems = []
    if not USER.match(user):
        problems.append(f"prepare_user is {user!r}: must be a user's name of lower case letters, digits, _ and -")
    if not USER.match(service_user) or (service_user == "root" and boolean(value("prepare_sudo"))):
        problems.append(
            f"policy_service_user is {service_user!r}: must be a user's name, and not root while prepare_sudo is true, "
            "since the rule lets prepare_user become that user"
        )
    return problems


def _paths(value: Callable[[str], Any]) -> list[str]:
    state_dir, textfile_dir, archive_dir = (
        str(value(name)) for name in ("policy_state_dir", "prepare_textfile_dir", "policy_archive_dir")
    )
    problems = []
    if not _is_path(state_dir, "/[^/]"):
        problems.append(f"policy_state_dir is {state_dir!r}: must be an absolute path, and not /")
    if textfile_dir and not _is_path(textfile_dir, "/[^/]+/[^/]"):
        why = "must be empty, or an absolute path of at least two components"
        problems.append(f"prepare_textfile_dir is {textfile_dir!r}: {why}")
    if not _is_path(archive_dir, "/[^/]+/[^/]"):
        problems.append(f"policy_archive_dir is {archive_dir!r}: must be an absolute path of at least two components")
    return problems


def _is_path(text: str, beginning: str) -> bool:
    return re.match(beginning, text) is not None and ".." not in text.split("/")


def _lists(value: Callable[[str], Any]) -> list[str]:
    libraries, commands, keys = (
        value(name) for name in ("prepare_libraries", "prepare_root_commands", "prepare_authorized_keys")
    )
    problems = []
    if _unfit(libraries, _LIBRARY):
        problems.append(f"prepare_libraries is {libraries!r}: must be names of Python libraries")
    if _unfit(commands, _COMMAND):
        problems.append(
            f"prepare_root_commands has {json.dumps(_unfit(commands, _COMMAND))}: each must be an absolute path and at "
            "least one argument, of letters, digits and _ . / @ : = + - only, separated by one space. "
            'Without arguments, sudo would allow all of them, and "" stands for none'
        )
    asking = [command for command in commands if _ASKS.match(str(command))] if isinstance(commands, list) else []
    if asking:
        problems.append(
            f"prepare_root_commands has {json.dumps(asking)}: would be a root shell, since dpkg asks questions and apt "
            f"runs what its options say. {PROGRAMS}/packages configure, update and reinstall PACKAGE do neither"
        )
    if _unfit(keys, _KEY):
        # The entry itself is not shown: it might be a private key.
        count = len(_unfit(keys, _KEY))
        problems.append(f"prepare_authorized_keys has {count} entries that are no public key in one line")
    return problems


def _allowed(value: Callable[[str], Any]) -> list[str]:
    """What is wrong with the overrides that are to be allowed."""
    allowed = value("policy_overrides_allowed")
    try:
        read_rules("policy_overrides_allowed", allowed if isinstance(allowed, dict) else {"": allowed})
    except OptionError as error:
        return [str(error)]
    return []


def _unfit(entries: Any, pattern: re.Pattern[str]) -> list[Any]:
    """What is of another form; a text in the place of a list is, too: the role's tasks would take it apart."""
    return [entry for entry in entries if not pattern.match(str(entry))] if isinstance(entries, list) else [entries]


def _distribution(value: Callable[[str], Any]) -> list[str]:
    facts = value("ansible_facts") or {}
    # Nobody has asked the host yet, or it is one of those.
    if facts.get("os_family", "Debian") == "Debian":
        return []
    runs = one_line(f"{facts.get('distribution', '?')} {facts.get('distribution_version') or ''}")
    libraries = ", ".join(map(str, value("prepare_libraries")))
    line = (
        f"{value('inventory_hostname')} runs {runs}, and this role prepares Debian and Ubuntu only. Prepare it by "
        f"other means: the Python libraries {libraries}, the user {value('prepare_user')}, and "
        f"{value('policy_state_dir')} owned by it. Nothing was changed"
    )
    return [line]
