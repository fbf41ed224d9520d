# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a site adds of its own, held against what is there: a row must reach what it names, and take nobody's name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ..module_utils.errors import MediaOpsError
from ..module_utils.expressions import compiled
from ..module_utils.shapes import STATES, Json, mapping, one_line
from .host_action import documented, is_of_site, options_of
from .judging.verdict import UNITS, PolicyError, bound_of, require_sound
from .response.diagnosis import LOOKED_AT_AS
from .response.recovery import CHECKS
from .site.response import shipped_checks

TABLES = {
    "policy_site_checks": list,
    "policy_site_incidents": list,
    "policy_site_ladders": dict,
    "policy_site_procedures": dict,
    "policy_site_retention": dict,
    "policy_site_roots": list,
    "policy_site_modules": dict,
    "policy_site_probes": list,
    "policy_site_looks": dict,
}
"""The variables by which a site adds what is its own, with their types."""

_NAME = re.compile("[a-z][a-z0-9_]{0,39}")
_PRIORITIES = ("P0", "P1", "P2")
_KEYS: dict[str, tuple[set[str], set[str]]] = {
    "policy_site_incidents": (
        {"incident", "priority", "title", "respond_within_s", "playbook", "triggers", "subjects"},
        set(),
    ),
    "policy_site_ladders": ({"rung", "act", "when"}, {"args", "cured", "needs", "component", "steps"}),
    "policy_site_procedures": ({"title", "evidence", "verify", "rungs"}, set()),
    "policy_site_modules": ({"become", "options", "within"}, set()),
    "policy_site_probes": ({"probe", "module", "run_by", "observations"}, {"args"}),
    "policy_site_looks": ({"module", "class", "finding"}, {"args", "become"}),
    "rung": ({"rung", "act"}, {"args", "cured", "component", "steps", "enabled"}),
}

Value = Callable[[str], Any]


def extension_problems(value: Value) -> list[str]:
    """Everything that is wrong with what a site adds; nothing where it adds nothing.

    Args:
        value: gives a variable, templated.
    """
    tables = {name: value(name) or kind() for name, kind in TABLES.items()}
    problems = [
        f"{name} is {one_line(repr(tables[name]), 80)}: a {'list' if kind is list else 'dictionary'} is needed"
        for name, kind in TABLES.items()
        if not isinstance(tables[name], kind)
    ]
    if problems or not any(tables.values()):
        return problems
    return [*_shapes(tables)] or [*_meanings(tables, value)]


def _shapes(tables: Json) -> Iterator[str]:
    """Rows without a key that they need, or with one that nothing reads."""
    for table in ("policy_site_incidents", "policy_site_probes"):
        for number, row in enumerate(tables[table]):
            yield from _keys(f"{table}[{number}]", row, *_KEYS[table])
    for table in ("policy_site_procedures", "policy_site_modules", "policy_site_looks"):
        for name, row in tables[table].items():
            yield from _keys(f"{table}.{name}", row, *_KEYS[table])
    for name, rungs in tables["policy_site_ladders"].items():
        yield from _rungs(f"policy_site_ladders.{name}", rungs, "policy_site_ladders")
    for name, row in tables["policy_site_procedures"].items():
        yield from _rungs(f"policy_site_procedures.{name}.rungs", mapping(row).get("rungs"), "rung")
    yield from _deletions(tables)


def _rungs(where: str, rungs: object, kind: str) -> Iterator[str]:
    for rung in rungs if isinstance(rungs, list) else [rungs]:
        yield from _keys(where, rung, *_KEYS[kind])


def _deletions(tables: Json) -> Iterator[str]:
    for name, rules in tables["policy_site_retention"].items():
        if not isinstance(rules, list) or not all(isinstance(rule, Mapping) for rule in rules):
            yield f"policy_site_retention.{name}: a list of rules is needed"
    for root in tables["policy_site_roots"]:
        if not isinstance(root, str) or not root.startswith("/") or ".." in root.split("/") or root.strip("/") == "":
            yield f"policy_site_roots: {one_line(repr(root), 80)} is no absolute path of a directory below /"


def _keys(where: str, row: object, needed: set[str], possible: set[str]) -> Iterator[str]:
    if not isinstance(row, Mapping):
        yield f"{where}: a dictionary is needed, not {one_line(repr(row), 60)}"
        return
    if lacking := sorted(needed - set(row)):
        yield f"{where} lacks {', '.join(lacking)}"
    if lost := sorted(set(row) - needed - possible):
        yield f"{where} has {', '.join(map(one_line, lost))}, which nothing reads"


def _meanings(tables: Json, value: Value) -> Iterator[str]:
    """Rows that name what is not there, or what is there already."""
    yield from _modules(tables["policy_site_modules"])
    yield from _probes(tables, value)
    yield from _checks(tables, value)
    yield from _looks(tables, value)
    yield from _incidents(tables, value)
    yield from _named("policy_site_procedures", tables["policy_site_procedures"], value("policy_procedures") or {})
    yield from _named("policy_site_ladders", tables["policy_site_ladders"], ())
    yield from _asked(tables)


def _named(where: str, names: Iterable[Any], taken: Iterable[Any]) -> Iterator[str]:
    known = set(map(str, taken))
    for name in map(str, names):
        if not _NAME.fullmatch(name):
            yield f"{where}: {one_line(repr(name), 80)} is no name of up to 40 lower case letters, digits and _"
        elif name in known:
            yield f"{where}: {name} is a name that is taken"
        known.add(name)


def _modules(modules: Json) -> Iterator[str]:
    for name, row in modules.items():
        where, within = f"policy_site_modules.{one_line(name, 100)}", bound_of(row["within"])
        if within is None or within <= 0:
            yield f"{where}: within is {one_line(repr(row['within']), 40)}, a number of seconds above 0 is needed"
        try:
            known = options_of(str(name)) if is_of_site(str(name)) else frozenset()
            if not is_of_site(str(name)):
                yield f"{where}: the module's whole name is needed, as NAMESPACE.COLLECTION.MODULE"
            elif not documented(str(name), "RETURN"):
                yield f"{where}: its RETURN documents nothing, and no more is taken of an answer"
        except (MediaOpsError, OSError, SyntaxError, ValueError) as error:
            yield f"{where}: {one_line(error, 200)}"
            continue
        if lost := sorted(set(mapping(row.get("options"))) - known):
            yield f"{where}: it has no option {', '.join(map(one_line, lost))}"


def _asked(tables: Json) -> Iterator[str]:
    """What a row gives to a module that has no such option, or to one that is not in the table."""
    modules = tables["policy_site_modules"]
    rows = [
        *((f"policy_site_probes: {row['probe']}", row["module"], row) for row in tables["policy_site_probes"]),
        *((f"policy_site_looks.{name}", row["module"], row) for name, row in tables["policy_site_looks"].items()),
    ]
    for where, module, row in rows:
        if module not in modules:
            yield f"{where}: {one_line(module, 100)} is not in policy_site_modules"
        elif lost := sorted(set(mapping(row.get("args"))) - options_of(module)):
            yield f"{where}: {module} has no option {', '.join(map(one_line, lost))}"


def _probes(tables: Json, value: Value) -> Iterator[str]:
    taken = {str(row.get("observation")) for row in shipped_checks(value)} | {"host"}
    run_by = _run_by(value)
    for row in tables["policy_site_probes"]:
        where = f"policy_site_probes: {one_line(row['probe'], 60)}"
        yield from _of_those(f"{where}, run_by", row["run_by"], run_by)
        yield from _named(where, mapping(row["observations"]), taken)
        taken |= set(map(str, mapping(row["observations"])))
        for name, one in mapping(row["observations"]).items():
            if set(mapping(one)) != {"query", "unit"} or one["unit"] not in UNITS:
                yield f"{where}.{name}: a query and a unit are needed, one of {', '.join(UNITS)}"
            else:
                yield from _expression(f"policy_site_probes.{row['probe']}.{name}", one["query"])


def _run_by(value: Value) -> set[str]:
    return {str(one) for row in value("policy_checks") or [] for one in mapping(row).get("run_by") or []}


def _of_those(where: str, given: object, known: Iterable[str]) -> Iterator[str]:
    rows = given if isinstance(given, list) else [given]
    if unknown := sorted({str(one) for one in rows} - set(known)):
        yield f"{where}: {one_line(', '.join(unknown), 100)} is none of {', '.join(sorted(known))}"


def _expression(option: str, query: object) -> Iterator[str]:
    try:
        compiled(option, str(query))
    except MediaOpsError as error:
        yield one_line(error, 300)


def _checks(tables: Json, value: Value) -> Iterator[str]:
    rows = tables["policy_site_checks"]
    try:
        require_sound([mapping(row) for row in rows])
    except PolicyError as error:
        yield from (problem.replace("policy_checks", "policy_site_checks") for problem in error.problems)
        return
    taken = [*(row.get("check") for row in shipped_checks(value)), *CHECKS]
    yield from _named("policy_site_checks", [row["check"] for row in rows], taken)
    for row in rows:
        yield from _of_those(f"policy_site_checks: {row['check']}, run_by", row["run_by"], _run_by(value))


def _looks(tables: Json, value: Value) -> Iterator[str]:
    looks = tables["policy_site_looks"]
    yield from _named("policy_site_looks", looks, [*(value("policy_looks") or {}), *LOOKED_AT_AS, "operations"])
    for name, row in looks.items():
        yield from _expression(f"policy_site_looks.{name}.class", row["class"])
        yield from _expression(f"policy_site_looks.{name}.finding", row["finding"])


def _incidents(tables: Json, value: Value) -> Iterator[str]:
    rows = tables["policy_site_incidents"]
    taken = [mapping(row).get("incident") for row in value("policy_incidents") or []]
    yield from _named("policy_site_incidents", [row["incident"] for row in rows], taken)
    checks = {str(mapping(row).get("check")) for row in [*shipped_checks(value), *tables["policy_site_checks"]]}
    subjects = {*(value("policy_looks") or {}), *tables["policy_site_looks"]}
    for row in rows:
        where = f"policy_site_incidents: {one_line(row['incident'], 60)}"
        yield from _of_those(f"{where}, priority", row["priority"], _PRIORITIES)
        yield from _of_those(f"{where}, subjects", row["subjects"], subjects)
        if (bound_of(row["respond_within_s"]) or 0) <= 0:
            yield f"{where}: respond_within_s must be a number of seconds above 0"
        for trigger in row["triggers"] if isinstance(row["triggers"], list) else [row["triggers"]]:
            needed, possible = {"check", "states", "cause"}, {"faults", "at_least", "cause_from"}
            problems = [*_keys(f"{where}, triggers", trigger, needed, possible)]
            yield from problems
            if not problems:
                yield from _of_those(f"{where}, triggers.check", trigger["check"], checks)
                yield from _of_those(f"{where}, triggers.states", trigger["states"], STATES)
