# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a site sets, held against what the roles document: every problem names the variable and its value."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ..module_utils.errors import MediaOpsError
from ..module_utils.shapes import Json, one_line
from .extensions import TABLES, extension_problems
from .fleet_hosts import fleet_size
from .host_action import plain, read_yaml
from .judging.verdict import PolicyError, bound_of, require_sound
from .site.api import api_problems
from .site.logs import log_field_problems
from .site.prepare import prepare_problems
from .site.response import require_incident, require_mute, require_procedure, require_reason, require_unmute
from .site.schedule import schedule_problems
from .site.service import SETTINGS as SERVICE_SETTINGS
from .site.service import service_problems
from .week.calendar import zone_problems

_ROLES = Path(__file__).resolve().parents[2] / "roles"
_POLICY = "media_ops.runbook.policy"
_OF_POLICY = ("policy", "variables")
_AGES = ("policy_session_look_minutes", "policy_session_investigate_minutes", "policy_session_end_minutes")
_MEANT = {
    ("incident", "plan"): require_incident,
    ("incident", "main"): require_incident,
    ("automation", "carry_out"): require_procedure,
    ("automation", "pause"): require_reason,
    ("automation", "mute"): require_mute,
    ("automation", "unmute"): require_unmute,
}
_PROBLEMS = {"prepare": prepare_problems, "schedule": schedule_problems}
# Of the policy what is of the right type and yet cannot be meant, by the variables that it is told by.
_JOINTLY: tuple[tuple[Collection[str], Callable[[Callable[[str], Any]], list[str]]], ...] = (
    (SERVICE_SETTINGS, service_problems),
    (TABLES, extension_problems),
    (("policy_zone",), zone_problems),
)
_ACTING = {
    *(("automation", entry) for entry in ("carry_out", "pause", "resume", "mute", "unmute")),
    ("prepare", "main"),
}
_OF_FLEET = (
    "incident_breaker_reset",
    "incident_fleet",
    "incident_partial_fleet",
    "media_ops_fleet_size",
    "media_ops_hosts",
    "policy_breaker_ask_within",
    "policy_breaker_at_least",
    "policy_breaker_share",
    "policy_breaker_unseen_share",
    "policy_breaker_within",
    "policy_fail_on",
)
# By action check, in the roles that ask hosts by it, and in those that follow.
_LOOKED_AT_BY_HOSTS = ("healthcheck", "incident", "automation", "report")
_NAME = re.compile(r"[A-Za-z_]\w*")
_OF_SITE = "media_ops"
_PREFIXED = re.compile(
    rf"({'|'.join(sorted(path.name for path in _ROLES.iterdir() if path.is_dir()))}|{_OF_SITE})_(\w+)"
)
_NEAR = 0.85  # a letter or two of a name; a site may have variables of its own that begin alike
_OF_EACH_HOST = ("report_textfile_dir",)


class ArgumentsError(MediaOpsError):
    """A site's variables cannot be used. Names every one that is wrong."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))


@lru_cache(maxsize=None)
def documented_options(role: str, entry: str) -> Json:
    """The options of a role's entry point, as its argument spec has them.

    Raises:
        ArgumentsError: the role has no such entry point.
    """
    specs: Json = _meta(role, "argument_specs")["argument_specs"]
    if entry not in specs:
        raise ArgumentsError([f"role {role} has no entry point '{entry}', only {', '.join(sorted(specs))}"])
    found: Json = specs[entry].get("options") or {}
    return found


@lru_cache(maxsize=None)
def goes_by_policy(role: str) -> bool:
    """Whether a role depends on role policy, or is it."""
    return role == "policy" or {"role": _POLICY} in _meta(role, "main")["dependencies"]


@lru_cache(maxsize=None)
def shipped(role: str) -> Json:
    """The defaults of a role, as its files have them: templates are not filled."""
    files = [_ROLES / role / "defaults" / "main.yml", *sorted((_ROLES / role / "defaults" / "main").glob("*.yml"))]
    return {name: value for path in files if path.is_file() for name, value in _read(path).items()}


@lru_cache(maxsize=None)
def _meta(role: str, name: str) -> Json:
    return _read(_ROLES / role / "meta" / f"{name}.yml")


def _read(path: Path) -> Json:
    return read_yaml(path.read_text(encoding="utf-8"))


@lru_cache(maxsize=None)
def _documented(prefix: str) -> frozenset[str]:
    """What follows the prefix in the names of the variables that a role, or the whole collection, goes by."""
    if prefix == _OF_SITE:
        api = (_ROLES.parent / "playbooks" / "vars" / "site.yml").read_text(encoding="utf-8")
        names = {"media_ops_scheduled_for", *_OF_FLEET, *re.findall(rf"'({_OF_SITE}_\w+)'", api)}
    else:
        entries = _meta(prefix, "argument_specs")["argument_specs"].values()
        names = {name for entry in entries for name in entry.get("options") or {}}
    return frozenset(name[len(prefix) + 1 :] for name in names if name.startswith(f"{prefix}_"))


def misspelt(names: Iterable[str]) -> list[str]:
    """Which variables would change nothing, as their names are but nearly those of variables of this collection.

    Args:
        names: of variables that a site has set.
    """
    problems = []
    for name in sorted(set(names)):
        parts = _PREFIXED.fullmatch(name)
        if parts and parts[2] not in (known := _documented(parts[1])):
            near = get_close_matches(parts[2], known, n=1, cutoff=_NEAR)
            problems += [f"{name} is no variable of this collection; {parts[1]}_{near[0]} is" for _one in near]
    return problems


def argument_problems(
    role: str,
    entry: str,
    variables: Mapping[str, Any],
    template: Callable[[Any], Any],
    left_out: Container[str] = (),
) -> list[str]:
    """What of the variables is not as the role's entry point documents it.

    A default that nobody has set is not looked at: a test holds the defaults to what is documented, and what a site has
    set of the variables that they are made of is looked at under its own name.

    Args:
        role: of this collection.
        entry: its entry point.
        variables: of the task.
        template: gives a variable's value.
        left_out: options that are not looked at.
    """
    return [
        problem
        for name, spec in documented_options(role, entry).items()
        if name not in left_out and not _is_shipped(role, name, variables)
        for problem in _option_problems(name, spec, variables, template)
    ]


def _is_shipped(role: str, name: str, variables: Mapping[str, Any]) -> bool:
    default = shipped(role).get(name)
    # A lookup may give what a site has set and no documentation names.
    return default is not None and variables.get(name) == default and "lookup(" not in str(default)


def _option_problems(name: str, spec: Json, variables: Mapping[str, Any], template: Callable[[Any], Any]) -> list[str]:
    given = {name: plain(template(variables[name]))} if name in variables else {}
    found = ArgumentSpecValidator({name: spec}).validate(given, validate_role_argument_spec=True)
    # A list or dictionary may hold a secret, so that only what is wrong in it is told, by Ansible's own words.
    shown = f" is {one_line(repr(given[name]), 80)}" if isinstance(given.get(name), (str, int, float)) else ""
    problems = [f"{name}{shown}: {one_line(message, 300)}" for message in found.error_messages]
    return problems or (
        [*api_problems(name, given[name]), *log_field_problems(name, given[name])] if name in given else []
    )


def require_rising_ages(ages: Mapping[str, Any]) -> None:
    """Raise PolicyError unless a session is looked at before it is investigated, and that before it may be ended."""
    named = {name: ages.get(name) for name in _AGES}
    figures = [bound_of(value) for value in named.values()]
    known = [figure for figure in figures if figure is not None]
    if len(known) < len(figures) or known != sorted(known):
        said = ", ".join(f"{name} {one_line(value, 40)}" for name, value in named.items())
        raise PolicyError([f"the session ages must be numbers that rise: {said}"])


def require_sound_policy(checks: Any, ages: Mapping[str, Any]) -> None:
    """Raise PolicyError where the check table cannot be judged by, or the ages of a session do not rise."""
    if not isinstance(checks, list) or not all(isinstance(row, Mapping) for row in checks):
        raise PolicyError(["policy_checks must be a list of dictionaries"])
    require_sound(checks)
    require_rising_ages(ages)


def require_sound_parts(policy: Json) -> None:
    """The same of the policy's parts, as action check has them by their names without the role's."""
    require_sound_policy(policy.get("checks"), {name: policy.get(name.removeprefix("policy_")) for name in _AGES})


def require_arguments(
    role: str,
    entry: str,
    variables: Mapping[str, Any],
    template: Callable[[Any], Any],
    of_each_host: Container[str] = (),
) -> None:
    """Raise ArgumentsError where the variables are not as this role's entry point, and role policy, document them.

    Args:
        role: of this collection.
        entry: its entry point.
        variables: of the task.
        template: gives a variable's value.
        of_each_host: what of the policy each host has as its own, and looks at for itself.
    """
    of_policy = goes_by_policy(role)
    problems = argument_problems(*_OF_POLICY, variables, template, of_each_host) if of_policy else []
    if role != "policy":
        problems += argument_problems(role, entry, variables, template)
    if problems:
        raise ArgumentsError(problems)


def own_settings(role: str, raw: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What of the policy is not the same for all hosts, where the role's hosts look at it for themselves.

    One host that is set wrong is that host's matter, whether it is the first of the run or not.

    Args:
        role: of this collection.
        raw: by host, its variables as inventory and command line have them.
    """
    if role not in _LOOKED_AT_BY_HOSTS or len(raw) < 2:
        return []
    return [name for name in documented_options(*_OF_POLICY) if _may_differ(name, raw, set())]


def require_known_names(role: str, raw: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise ArgumentsError where a variable's name is misspelt; what single hosts set is for these, where they look.

    Args:
        role: of this collection.
        raw: by host, its variables as inventory and command line have them.
    """
    names = [set(variables) for variables in raw.values()]
    looked_at = set.intersection if role in _LOOKED_AT_BY_HOSTS else set.union
    problems = misspelt(looked_at(*names)) if names else []
    if problems:
        raise ArgumentsError(problems)


def are_judged_alike(variables: Mapping[str, Any], of_each_host: Sequence[str]) -> bool:
    """Whether the check table and the ages of a session are the same for all hosts.

    Args:
        variables: of the task, not templated.
        of_each_host: what of the policy is not.
    """
    named = {"policy_checks", *_AGES, *_NAME.findall(str(variables.get("policy_checks")))}
    return not named & set(of_each_host)


def own_problems(raw: Mapping[str, Any], variables: Mapping[str, Any], template: Callable[[Any], Any]) -> list[str]:
    """What of the policy is wrong, or misspelt of any variable, as inventory and command line have it for one host.

    Args:
        raw: the host's variables, of inventory and command line.
        variables: of the task, on that host.
        template: gives a variable's value.
    """
    problems = misspelt(raw)
    for name, spec in documented_options(*_OF_POLICY).items():
        if name in raw:
            try:
                problems += _option_problems(name, spec, variables, template)
            except AnsibleError as error:  # such as a name in it that is not defined
                problems.append(f"{name}: {one_line(error, 300)}")
    own = [names for names, _found in _JOINTLY if set(names) & set(raw)]
    return problems or _joint_problems(own, variables, template)


def host_problems(variables: Mapping[str, Any], template: Callable[[Any], Any]) -> list[str]:
    """What :func:`own_problems` finds of a task's host; nothing where no variables of hosts are to be had."""
    if "hostvars" not in variables:
        return []
    raw = variables["hostvars"].raw_get(variables["inventory_hostname"])
    return own_problems(raw, variables, template)


def _joint_problems(
    looked_at: Sequence[Collection[str]], variables: Mapping[str, Any], template: Callable[[Any], Any]
) -> list[str]:
    """What of some variables cannot be meant; they are looked at only where a site has set one of them."""
    return [
        problem
        for names, problems in _JOINTLY
        if names in looked_at and not all(_is_shipped("policy", name, variables) for name in names if name in variables)
        for problem in problems(_values(variables, template))
    ]


def _values(variables: Mapping[str, Any], template: Callable[[Any], Any]) -> Callable[[str], Any]:
    """What gives a variable, templated; None where it is none."""
    return lambda name: plain(template(variables[name])) if name in variables else None


def fleet_settings() -> list[str]:
    """The variables that say what is done once for all hosts: reports, whom to tell, exit codes, the breaker."""
    of_report = {
        name for entry in _meta("report", "argument_specs")["argument_specs"].values() for name in entry["options"]
    }
    return sorted({*of_report, *_OF_FLEET} - {*_OF_EACH_HOST})


def require_one_fleet(raw: Mapping[str, Mapping[str, Any]], value: Callable[[str, str], Any]) -> None:
    """Raise ArgumentsError where hosts differ in what is done once for all of them: it would be one host's word.

    Args:
        raw: by host, its variables as inventory and command line have them.
        value: gives a variable of a host, templated; asked only where it may differ, since that takes its time.
    """
    problems = []
    for name in fleet_settings():
        if not _may_differ(name, raw, set()):
            continue
        given = {host: value(host, name) if name in variables else None for host, variables in raw.items()}
        first = next(iter(given), "")
        other = next((host for host, found in given.items() if found != given[first]), None)
        if other is not None:
            problems.append(
                f"{name} differs between {one_line(first)} and {one_line(other)}: it holds for the whole run, so "
                "set it for all of them (group_vars/all) or on the command line"
            )
    if problems:
        raise ArgumentsError(problems)


def _may_differ(name: str, raw: Mapping[str, Mapping[str, Any]], seen: set[str]) -> bool:
    """Whether a variable, or one that its template names, is not the same for all hosts."""
    seen.add(name)
    values = [variables.get(name) for variables in raw.values()]
    if any(value != values[0] for value in values):
        return True
    text = str(values[0]) if values else ""
    named = set(_NAME.findall(text)) - seen if "{{" in text or "{%" in text else set()
    return any(_may_differ(other, raw, seen) for other in named)


def acts(role: str, entry: str, mode: Any) -> bool:
    """Whether what begins may change a host, and not only look at it; ``mode`` is ``incident_mode``."""
    if role == "incident":
        return bool(mode == "apply")
    return (role, entry) in _ACTING


def policy_ages(variables: Mapping[str, Any], template: Callable[[Any], Any]) -> dict[str, Any]:
    """The ages of a session that the policy names."""
    return {name: plain(template(variables[name])) for name in _AGES if name in variables}


def require_meant(
    role: str,
    entry: str,
    variables: Mapping[str, Any],
    template: Callable[[Any], Any],
    of_each_host: Container[str] = (),
) -> None:
    """Raise what names the problem for what is of the right type and yet cannot be meant, by role and entry point.

    Args:
        role: of this collection.
        entry: its entry point.
        variables: of the task.
        template: gives a variable's value.
        of_each_host: what of the policy each host has as its own, and looks at for itself.

    Raises:
        OptionError: an incident or a procedure cannot be begun so.
        ArgumentsError: a host cannot be prepared, procedures cannot be scheduled, or the policy cannot be meant, so.
    """
    value = _values(variables, template)
    if role == "incident":
        fleet_size(variables, template)
    problems = _PROBLEMS[role](value) if role in _PROBLEMS else []
    if goes_by_policy(role):
        of_all = [names for names, _found in _JOINTLY if not any(name in of_each_host for name in names)]
        problems = [*problems, *_joint_problems(of_all, variables, template)]
    if problems:
        raise ArgumentsError(problems)
    require = _MEANT.get((role, entry))
    if require:
        require(value)


# Read where ansible-playbook loads its actions, once, and not in each process that it forks for a task.
documented_options(*_OF_POLICY)
shipped("policy")
