# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How playbooks get to work on a host: ssh, its Python and libraries, what sudo allows, the state directory. Pure."""

from __future__ import annotations

import re

from ...module_utils.shapes import mapping
from .reach import PYTHON_NEEDED
from .rows import PREPARE, Rows
from .seen import Seen, Settings

_NEEDED = ".".join(map(str, PYTHON_NEEDED))
# Of what ssh says, the first that fits, and what helps
_WAYS: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (
        re.compile("(?i)REMOTE HOST IDENTIFICATION HAS CHANGED"),
        "its key is not the one that this controller knows",
        "If it was installed anew: ssh-keygen -R HOST, then log in once by hand; else somebody may stand in between",
    ),
    (
        re.compile("(?i)host key verification failed|host key is known|authenticity of host"),
        "its key is not known to this controller",
        "Log in once by hand (ssh HOST) and compare the fingerprint, or put its key into ~/.ssh/known_hosts",
    ),
    (
        re.compile("(?i)permission denied|authentication fail|too many authentication"),
        "it does not let {user} in",
        "Is that user there, with your key in ~/.ssh/authorized_keys? Before prepare_hosts: -e ansible_user=admin",
    ),
    (
        re.compile("(?i)could not resolve|name or service not known|name resolution|nodename nor servname"),
        "its name does not resolve",
        "Correct the name in the inventory, or set ansible_host to its address",
    ),
    (
        re.compile("(?i)connection refused"),
        "nothing listens for ssh there",
        "Is sshd running there, and is ansible_port right?",
    ),
    (
        re.compile("(?i)timed out|timeout|no route to host|network is unreachable|no answer within"),
        "it does not answer",
        "Is it up, is ansible_host right, and does a firewall let ssh through?",
    ),
    (
        re.compile("(?i)sshpass"),
        "sshpass, which passwords need, is not on this controller",
        "Install sshpass, or use a key",
    ),
)


def connection_row(found: Rows, seen: Seen, site: Settings) -> None:
    """Whether it is reached, and why not by what ssh says."""
    reach = seen.reach
    if reach.state == "ok":
        found.add("ssh", "ok", f"connected as {reach.user}")
        return
    for pattern, why, cure in _WAYS:
        if pattern.search(reach.reason):
            denied = "{user}" in why
            text = why.format(user=site.connects_as or "the user of this shell (ansible_user is not set)")
            found.add("ssh", "critical", f"{text} ({reach.reason})", cure, PREPARE if denied else "")
            return
    cure = "Try the same by hand: ssh HOST true" if reach.state == "unreachable" else "Log in by hand and look"
    found.add("ssh", "critical", reach.reason, cure)


def python_row(found: Rows, seen: Seen, site: Settings) -> bool:
    """Whether modules can run there."""
    there, wanted = seen.reach.pythons or {}, site.python
    usable = seen.reach.python(wanted)
    listed = ", ".join(f"{path} is {'.'.join(map(str, version))}" for path, version in there.items())
    if seen.info and not seen.info.get("failed") and (not wanted or usable == wanted):
        found.add("python", "ok", f"Python {seen.info.get('python')}")
        return True
    if usable and wanted and usable != wanted:
        what = "is older than " + _NEEDED if wanted in there else "is not there"
        cure = f"{found.set('ansible_python_interpreter', usable)}; this look used {usable}"
        found.add("python", "critical", f"ansible_python_interpreter is {wanted}, which {what}", cure)
        return not seen.info.get("failed")
    if not usable and not (seen.info and not seen.info.get("failed")):
        has = f"Python {_NEEDED} or newer is needed, and {listed or 'there is none'}"
        cure = "As root on the host: apt-get install python3. Without it no playbook works there, prepare_hosts neither"
        found.add("python", "critical", has, cure)
        return False
    why = seen.info.get("msg") or "no answer"
    become = re.search("(?i)sudo|become|password", str(why))
    cure = (
        "Give the password of sudo by --ask-become-pass, or take ansible_become out of the inventory" if become else ""
    )
    found.add("python", "critical", f"no module runs there: {why}", cure or "Read the reason, and run this again")
    return False


def libraries_row(found: Rows, seen: Seen, _site: Settings) -> None:
    """Which Python libraries it has of those that modules need."""
    known = mapping(seen.info.get("libraries"))
    missing = sorted(name for name, version in known.items() if not version)
    if missing:
        found.add("libraries", "critical", f"missing: {', '.join(missing)}", playbook=PREPARE)
    else:
        listed = ", ".join(f"{name} {version}" for name, version in known.items())
        found.add("libraries", "ok", listed)


def sudo_row(found: Rows, seen: Seen, site: Settings) -> None:
    """Whether who connects may become the service's user, and restart the service."""
    said, user = mapping(seen.info.get("sudo")), seen.info.get("user")
    become, restart, named = said.get("become"), said.get("restart"), site.unit or "the service"
    if not isinstance(become, str) or not isinstance(restart, str):
        found.add("sudo", "unknown", "the host does not say what sudo allows")
    elif site.becomes and not seen.has_user:
        why = f"whether {user} may become {site.service_user} is not known, as there is no such user"
        found.add("sudo", "unknown", why, "It is known when policy_service_user is right")
    elif become:
        why = f"{user} may not become {site.service_user}: {become}"
        found.add("sudo", "critical", why, playbook=PREPARE)
    elif restart:
        prepare = bool(site.unit) or PREPARE in restart
        cure = "" if prepare else f"{'Correct' if site.restart else 'Set'} policy_service_restart, what restarts it"
        found.add("sudo", "warning", f"{user} may not restart {named}: {restart}", cure, PREPARE if prepare else "")
    else:
        also = f" and become {site.service_user}" if site.becomes else ""
        found.add("sudo", "ok", f"{user} may restart {named}{also}")


def state_dir_row(found: Rows, seen: Seen, _site: Settings) -> None:
    """Whether the state directory is there, and ours to write."""
    state = mapping(seen.info.get("state_dir"))
    if state.get("state") == "ok":
        found.add("state_dir", "ok", "there, and ours to write")
    else:
        why = str(state.get("reason") or "not seen")
        found.add("state_dir", "critical", why.partition(" (run prepare_hosts")[0], playbook=PREPARE)
