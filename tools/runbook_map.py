"""Write docs/runbook_map.md: for each step of the runbook the playbook to run for it, its task and its tests.

usage: runbook_map.py [--check]

A step is named by a comment line of the form `# runbook: DM-1, DM-2`. In YAML it belongs to the task that it stands in
or above (before the `---`: to the whole file), in a module to the module, in a test to the function that it stands in
or above. Comments below tests/ and molecule/ name tests. `# runbook-differs: DM-1: why` is a remark on a step that is
carried out otherwise than by the runbook's shell line. Steps of the policy's rungs are named by the rungs.

Which playbook reaches a task follows from the names and conditions of includes, as far as the playbooks, the tasks'
variables and the policy's tables of rungs decide them; a name that only a run can know may be any. A step that rungs
name is carried out only where such a rung is. The tests of each step are listed in docs/runbook_tests.md.

--check writes nothing and fails when one of the two is stale. Both fail when a step that docs/runbook_open.yml does
not list has no task or no test.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import re
import sys
import textwrap
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.literals import Known, certainly_not, matching, names_in, patterns, values_of

ROOT = Path(__file__).resolve().parent.parent
NAMESPACE = "media_ops.runbook."
BUILTIN = "ansible.builtin."
NEVER_OPEN = ("DM-", "DE-", "TQ-", "QR-")
COMMENT = re.compile(r"\s*# runbook(?P<differs>-differs)?:\s+(?P<text>.*?)\s*$")
LOOKS_LIKE = re.compile(r"\s*#+\s*runbook[-_ ]?(differs)?\s*:", re.IGNORECASE)
FQCN = re.compile(r"[a-z_]+\.[a-z_]+\.[a-z0-9_]+")
LADDERS, PROCEDURES = "policy_ladders", "policy_procedures"
# Whose step it is: the playbooks that a person runs for it, the best first.
OWN = (
    ("DM-", ("daily_morning_health_check",)),
    ("DE-", ("daily_evening_summary",)),
    ("P0-", ("incident_critical_system",)),
    ("P1-", ("incident_high_error_rate",)),
    ("P2P-", ("incident_performance_degradation",)),
    ("P2S-", ("incident_stuck_session",)),
    ("WL-", ("weekly_log_management",)),
    ("WP-", ("weekly_performance_review",)),
    ("WC-", ("weekly_system_cleanup",)),
    ("AU-H", ("watch_health",)),
    ("AU-P", ("watch_performance",)),
    ("AU-S", ("daily_log_cleanup", "schedule")),
    ("TQ-", ("quick_reference",)),
    ("QR-", ("quick_reference",)),
    ("EM-R", ("emergency_service_restart",)),
    ("EM-S", ("emergency_clear_stuck_processes",)),
    ("EM-D", ("emergency_disk_cleanup",)),
)
WIDTH = 200
MANY = 1000
# What action `check` asks beside the API, by its options
CHECK_ASKS = {"log": "log_digest_info", "day": "daily_reports_info", "week": "daily_reports_info"}
INCLUDE_ROLE = ("include_role", "import_role")
INCLUDE_TASKS = ("include_tasks", "import_tasks")
NESTED = ("block", "rescue", "always", "tasks", "pre_tasks", "post_tasks", "handlers")


class MapError(Exception):
    """Something that a person wrote wrongly, with its place."""


@dataclass(frozen=True)
class Remark:
    """One comment: the ids it names, and the reason when it is a remark."""

    path: Path
    line: int
    ids: tuple[str, ...]
    differs: str = ""


@dataclass
class Task:
    """A task, block or play, with the line of its first key."""

    line: int
    data: dict[str, Any]
    children: list[Task] = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(self.data.get("name", "")) or next((key for key in self.data if FQCN.fullmatch(key)), "")

    def walk(self) -> Iterator[Task]:
        yield self
        for child in self.children:
            yield from child.walk()

    def arguments(self, *actions: str) -> Iterator[dict[str, Any]]:
        """The arguments with which this task alone calls one of the actions; `_raw` is the free form."""
        for action in actions:
            for key in (action, f"ansible.builtin.{action}"):
                if key in self.data:
                    given = self.data[key]
                    yield given if isinstance(given, dict) else {"_raw": given}


@dataclass(frozen=True, order=True)
class Place:
    """Where a step is carried out."""

    playbooks: tuple[str, ...]
    entries: tuple[str, ...]
    what: str
    path: str
    modules: tuple[str, ...]
    ids: int = 0  # how many steps the same comment names


@dataclass(frozen=True)
class Visit:
    """A task that is come to, with the variables that are known there."""

    path: Path
    task: Task
    known: Known


@dataclass(frozen=True)
class Reach:
    """How a playbook comes to a task: by which entry point, and with which known variables."""

    playbook: str
    entry: str
    known: Known
    path: Path
    task: str


@dataclass(frozen=True, order=True)
class Test:
    """What proves a step."""

    path: str
    name: str


@dataclass
class Row:
    """One step of the map."""

    says: str
    places: set[Place] = field(default_factory=set)
    tests: set[Test] = field(default_factory=set)
    remarks: list[str] = field(default_factory=list)

    @property
    def playbooks(self) -> list[str]:
        return sorted({name for place in self.places for name in place.playbooks})

    def playbook(self, step: str) -> str:
        """The one that a person runs for it: the step's own where that carries it out, else the first that does."""
        _prefix, own = max(((prefix, names) for prefix, names in OWN if step.startswith(prefix)), default=("", ()))
        return next((name for name in own if name in self.playbooks), next(iter(self.playbooks), ""))

    def place(self, playbook: str) -> Place | None:
        """The task by which a playbook carries it out: rather one that is written for it than one of much else."""
        places = [place for place in self.places if playbook in place.playbooks]
        return min(places, key=lambda one: (one.ids, one), default=None)

    @property
    def lacking(self) -> list[str]:
        return [what for what, found in (("task", self.playbooks), ("test", self.tests)) if not found]


def plain(node: yaml.Node) -> Any:
    """A YAML node as Python data; tags such as !vault are passed over."""
    if isinstance(node, yaml.MappingNode):
        return {str(plain(key)): plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [plain(value) for value in node.value]
    return node.value


def tasks_of(node: yaml.Node | None) -> list[Task]:
    """The tasks or plays of a list, with those nested in them."""
    if not isinstance(node, yaml.SequenceNode):
        return []
    tasks = []
    for item in node.value:
        if isinstance(item, yaml.MappingNode):
            children = [child for key, value in item.value if key.value in NESTED for child in tasks_of(value)]
            tasks.append(Task(item.start_mark.line + 1, plain(item), children))
    return tasks


def read_tasks(path: Path) -> list[Task]:
    """The tasks or plays of a file; none when it is a file of variables."""
    try:
        return tasks_of(yaml.compose(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise MapError(f"{path}: {error}") from error


def safe(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def rungs_in(table: Any) -> list[dict[str, Any]]:
    """All rungs of a table, however deep."""
    if isinstance(table, dict) and {"act", "steps"} <= set(table):
        return [table]
    parts = table.values() if isinstance(table, dict) else table if isinstance(table, list) else ()
    return [rung for part in parts for rung in rungs_in(part)]


def role_name(listed: object) -> str:
    """The name of an entry of a list of roles."""
    return str(listed.get("role", listed.get("name")) if isinstance(listed, dict) else listed)


def read_comments(path: Path) -> Iterator[Remark]:
    """The comments of fixed form of one file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        lines = [(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT]
    else:
        lines = list(enumerate(text.splitlines(), 1))
    for number, line in lines:
        match = COMMENT.fullmatch(line)
        if not match:
            if LOOKS_LIKE.match(line):
                raise MapError(
                    f"{path}:{number}: '{line.strip()}' is not '# runbook: ID, ID' or '# runbook-differs: ID: why'"
                )
            continue
        ids, _, why = match["text"].partition(":") if match["differs"] else (match["text"], "", "")
        if match["differs"] and not why.strip():
            raise MapError(f"{path}:{number}: a remark needs its reason: '# runbook-differs: ID: why'")
        yield Remark(path, number, tuple(part.strip() for part in ids.split(",")), why.strip())


class Collection:
    """The collection's files below a root, and who takes in whom."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sections: dict[str, dict[str, dict[str, str]]] = yaml.safe_load(
            (root / "docs/runbook_steps.yml").read_text(encoding="utf-8")
        )
        self.open: list[str] = (
            yaml.safe_load((root / "docs/runbook_open.yml").read_text(encoding="utf-8"))["open"] or []
        )
        self.role_tasks = {path: read_tasks(path) for path in sorted((root / "roles").glob("*/tasks/**/*.yml"))}
        self.asked: dict[str, set[str]] = {}
        self.playbooks = {path: read_tasks(path) for path in sorted((root / "playbooks").glob("*.yml"))}

    def comments(self, *patterns: str) -> list[Remark]:
        """The comments in files by pattern, without what the tools leave behind."""
        paths = [path for pattern in patterns for path in sorted(self.root.glob(pattern)) if path.is_file()]
        left = {"collections", "output", "__pycache__"}
        return [
            one
            for path in paths
            if not left.intersection(path.relative_to(self.root).parts)
            for one in read_comments(path)
        ]

    def role_of(self, path: Path) -> str:
        return path.relative_to(self.root / "roles").parts[0]

    def entry_name(self, path: Path) -> str:
        """A task file as people call it: role/entry."""
        return f"{self.role_of(path)}/{'/'.join(path.relative_to(self.root / 'roles').with_suffix('').parts[2:])}"

    @cached_property
    def tables(self) -> dict[str, Any]:
        """The policy's tables of rungs, as a run knows them that changes nothing there."""
        files = [*self.root.glob("roles/policy/defaults/main/*.yml"), *self.root.glob("roles/policy/defaults/main.yml")]
        defaults = {name: value for file in files for name, value in (safe(file) or {}).items()}
        return {name: value for name, value in defaults.items() if name in (LADDERS, PROCEDURES)}

    @cached_property
    def set_on_the_way(self) -> set[str]:
        """Variables that a task sets: what a playbook gives them is not what they are."""
        everything = [task for tasks in [*self.role_tasks.values(), *self.playbooks.values()] for task in tasks]
        one_by_one = [one for task in everything for one in task.walk()]
        facts = {name for one in one_by_one for given in one.arguments("set_fact") for name in given}
        return facts | {str(one.data["register"]) for one in one_by_one if "register" in one.data}

    def procedure(self, known: Known) -> dict[str, Any] | None:
        """The procedure that a run carries out, where a variable names one."""
        named = [value for name, value in known.items() if name.endswith("_procedure") and isinstance(value, str)]
        found: dict[str, Any] | None = self.tables.get(PROCEDURES, {}).get(named[0]) if named else None
        return found

    def rungs(self, known: Known) -> list[dict[str, Any]] | None:
        """The rungs that a task can be about: that of the loop, or all of the procedure."""
        looped = [value for value in known.values() if isinstance(value, dict) and {"act", "steps"} <= set(value)]
        if looped:
            return looped
        procedure = self.procedure(known)
        return procedure["rungs"] if procedure else None

    @cached_property
    def steps_of_rungs(self) -> set[str]:
        return {step for rung in rungs_in([*self.tables.values()]) for step in rung["steps"]}

    def carries(self, step: str, known: Known) -> bool:
        """Whether a task that names a step carries it out here: a step of rungs, only where it is one of the rung's."""
        rungs = self.rungs(known)
        return rungs is None or step not in self.steps_of_rungs or any(step in rung["steps"] for rung in rungs)

    def bound(self, given: Any, known: Known) -> list[Known]:
        """What is known with these variables as well; more than one where a value can be one of several."""
        all_known = [dict(known)]
        for name, value in given.items() if isinstance(given, dict) else ():
            procedures = sorted(self.tables.get(PROCEDURES, {}))
            values = values_of(value, {**self.tables, **known}) if name not in self.set_on_the_way else None
            options = [one for found in values or [] for one in matching(found, procedures) or []]
            all_known = [
                {**{key: had for key, had in before.items() if key != name}, **more}
                for before in all_known
                for more in ([{name: one} for one in options] or [{}])
            ]
        return list(all_known)

    def looped(self, task: Task, known: Known) -> list[Known]:
        """What is known in each round of a task's loop. Of a loop over what a run finds, what it can find at most."""
        if "loop" not in task.data:
            return [known]
        control = task.data.get("loop_control")
        name = str(control.get("loop_var", "item") if isinstance(control, dict) else "item")
        everything = {**self.tables, **known}
        values = values_of(task.data["loop"], everything)
        rounds = [one for found in values or [] if isinstance(found, list) for one in found]
        if values is None:
            procedure = self.procedure(known)
            if procedure:
                everything[PROCEDURES] = procedure
            mentioned = [everything[one] for one in sorted(names_in(task.data["loop"])) if one in everything]
            rounds = [one for found in mentioned for one in (rungs_in(found) or found) if found]
        without = {key: value for key, value in known.items() if key != name}
        return [{**without, name: one} for one in rounds] or [without]

    def entry(self, role: str, tasks_from: str) -> Iterator[Path]:
        """The files of a role's entry point, after those of the roles that it depends on."""
        role = role.removeprefix(NAMESPACE)
        for directory in sorted(self.root.glob(f"roles/{role}")):
            meta = directory / "meta/main.yml"
            for listed in (safe(meta) or {}).get("dependencies") or [] if meta.is_file() else []:
                yield from self.entry(role_name(listed), "main")
        pattern = f"roles/{role}/tasks/{tasks_from.removesuffix('.yml')}.yml"
        yield from (path for path in self.role_tasks if path.match(pattern))

    def included(self, task: Task, role: str, known: Known) -> Iterator[Path]:
        """The task files that a task itself, or a play by its list of roles, takes in."""
        everything = {**self.tables, **known}
        for call in task.arguments(*INCLUDE_TASKS):
            for name in patterns(call.get("file", call.get("_raw")), everything):
                yield from (path for path in self.role_tasks if role and path.match(f"roles/{role}/tasks/{name}"))
        for call in task.arguments(*INCLUDE_ROLE):
            for name in patterns(call.get("name"), everything):
                for tasks_from in patterns(call.get("tasks_from", "main"), everything):
                    yield from self.entry(name, tasks_from)
        for listed in task.data.get("roles", []):
            yield from self.entry(role_name(listed), "main")

    def visits(self, tasks: list[Task], path: Path, known: Known, seen: set[str] | None = None) -> Iterator[Visit]:
        """Every task that is come to from tasks of a file, with what is known there."""
        seen = set() if seen is None else seen
        role = self.role_of(path) if path in self.role_tasks else ""
        for task in tasks:
            for here in (
                after for before in self.bound(task.data.get("vars"), known) for after in self.looped(task, before)
            ):
                if certainly_not(task.data.get("when", []), {**self.tables, **here}):
                    continue
                yield Visit(path, task, here)
                yield from self.visits(task.children, path, here, seen)
                for file in self.included(task, role, here):
                    key = f"{file} {json.dumps(here, sort_keys=True, default=str)}"
                    if key not in seen:
                        seen.add(key)
                        yield from self.visits(self.role_tasks[file], file, here, seen)

    def plays(self, playbook: Path, known: Known | None = None) -> Iterator[tuple[Path, Task, Known]]:
        """The plays of a playbook and of those that it imports, with the variables that it gives them."""
        for play in self.playbooks.get(playbook, []):
            for here in self.bound(play.data.get("vars"), known or {}):
                yield playbook, play, here
                for call in play.arguments("import_playbook"):
                    name = str(call["_raw"]).removeprefix(NAMESPACE).removesuffix(".yml")
                    yield from self.plays(playbook.with_name(f"{name}.yml"), here)

    @cached_property
    def reaching(self) -> dict[tuple[Path, int], list[Reach]]:
        """For each task, by its file and line: how playbooks come to it."""
        reaching: dict[tuple[Path, int], list[Reach]] = defaultdict(list)
        for playbook in self.playbooks:
            for file, play, known in self.plays(playbook):
                entry = ""
                for visit in self.visits([play], file, known):
                    if visit.path in self.playbooks:
                        # The entry point is what the play itself calls, perhaps in a block.
                        *_needed, entry = ["", *map(self.entry_name, self.included(visit.task, "", visit.known))]
                    reaching[visit.path, visit.task.line].append(
                        Reach(playbook.stem, entry, visit.known, visit.path, visit.task.name)
                    )
        return reaching

    @cached_property
    def reached(self) -> dict[Path, dict[str, set[str]]]:
        """For each file: the playbooks that reach a task of it, and by which entry points."""
        reached: dict[Path, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for (path, _line), hits in self.reaching.items():
            for hit in hits:
                reached[path][hit.playbook] |= {hit.entry} - {""}
        return reached

    def calls(self, visit: Visit) -> set[str]:
        """The modules that a task calls itself, also through the actions that call a module for it."""
        called: set[str] = set()
        for key, given in visit.task.data.items():
            if key == f"{NAMESPACE}probe":
                asked = given.get("module") if isinstance(given, dict) else None
                names = patterns(asked, {**self.tables, **visit.known})
                # Which looks a run takes is what it finds: at most all of them.
                exact = self.looks if any("*" in name for name in names) else set(names)
                called |= {NAMESPACE + name.removeprefix(NAMESPACE) for name in exact}
            elif key == f"{NAMESPACE}check":
                asked = [module for option, module in CHECK_ASKS.items() if option in given]
                called |= {NAMESPACE + name for name in ["pipeline_info", *asked]}
            elif key == f"{NAMESPACE}rung":
                called |= {NAMESPACE + rung["act"] for rung in self.rungs_to_carry_out(visit.known)}
            elif FQCN.fullmatch(key):
                called |= {key, *(NAMESPACE + name for name in self.asked_by(key.removeprefix(NAMESPACE)))}
        return called

    @cached_property
    def looks(self) -> set[str]:
        """The modules by which a host may be looked at: policy_looks, and the questions to its logs."""
        path = self.root / "roles/policy/vars/main.yml"
        found = (safe(path) or {}).get("policy_looks", {}) if path.is_file() else {}
        return {str(look["module"]) for look in found.values()} | {"log_digest_info"}

    def asked_by(self, action: str) -> set[str]:
        """The modules that an action of ours asks by name: `self.ask("guard", ...)`."""
        path = self.root / f"plugins/action/{action}.py"
        if action not in self.asked:
            text = path.read_text(encoding="utf-8") if path.is_file() else ""
            self.asked[action] = set(re.findall(r"""self\.ask\(\s*["'](\w+)["']""", text))
        return self.asked[action]

    def rungs_to_carry_out(self, known: Known) -> list[dict[str, Any]]:
        """The rungs of a task that plans or carries out rungs: those of a ladder where no procedure is named."""
        rungs = self.rungs(known)
        return rungs_in(self.tables.get(LADDERS, {})) if rungs is None else rungs

    def modules_of(self, tasks: list[Task], path: Path, known: Known | None = None) -> set[str]:
        """This collection's modules that tasks of a file call, here or in what they include; else the others."""
        called = {name for visit in self.visits(tasks, path, known or {}) for name in self.calls(visit)}
        own = {name.removeprefix(NAMESPACE) for name in called if name.startswith(NAMESPACE)}
        return own or {name.removeprefix(BUILTIN) for name in called} - {*INCLUDE_ROLE, *INCLUDE_TASKS}

    @cached_property
    def users(self) -> dict[str, list[Reach]]:
        """For each module: how playbooks come to the tasks that call it."""
        users: dict[str, list[Reach]] = defaultdict(list)
        for path, tasks in {**self.role_tasks, **self.playbooks}.items():
            for one in (one for task in tasks for one in task.walk()):
                for hit in self.reaching.get((path, one.line), []):
                    for name in self.calls(Visit(path, one, hit.known)):
                        users[name.removeprefix(NAMESPACE)].append(self.as_called(one, name, hit))
        return users

    def as_called(self, task: Task, module: str, hit: Reach) -> Reach:
        """A call by the action of rungs is about the rungs of this module alone."""
        if f"{NAMESPACE}rung" not in task.data:
            return hit
        rungs = [rung for rung in self.rungs_to_carry_out(hit.known) if NAMESPACE + rung["act"] == module]
        return replace(
            hit, known={"rung": {"act": module, "steps": [step for rung in rungs for step in rung["steps"]]}}
        )

    def places(self, remark: Remark, step: str, named: set[str]) -> Iterator[Place]:
        """Where a comment says that a step is carried out. `named`: the playbooks that name the step themselves."""
        path = remark.path
        relative = path.relative_to(self.root)
        where = f"{relative}:{remark.line}: names {', '.join(remark.ids)}, but"
        tasks = self.role_tasks.get(path) or self.playbooks.get(path) or []
        task = owner(tasks, path, remark.line)
        stands_for = [task] if task else tasks
        reading = {**self.role_tasks, **self.playbooks}
        if relative.parts[:2] == ("plugins", "modules"):
            modules, hits = {path.stem}, self.users.get(path.stem, [])
        elif relative.parts[0] == "plugins":
            raise MapError(f"{where} that is said at the module or task using this")
        elif path in reading:
            modules = self.modules_of(stands_for, path)
            hits = [hit for one in stands_for for hit in self.reaching.get((path, one.line), [])]
        else:
            # Variables and templates of a role serve all that use it: they say what, the tasks say from which playbook.
            return
        if not hits:
            raise MapError(f"{where} no playbook reaches it")
        hits = [hit for hit in hits if self.carries(step, hit.known)]
        if not hits:
            raise MapError(f"{where} nothing that reaches it carries out {step}")
        # Of a comment in a module, the tasks that call it.
        where_found = (
            {(hit.path, hit.task) for hit in hits} if path not in reading else {(path, task.name if task else "")}
        )
        every = {hit.playbook for hit in hits}
        for file, name in where_found:
            mine = [hit for hit in hits if path in reading or (hit.path, hit.task) == (file, name)]
            playbooks = {hit.playbook for hit in mine}
            yield Place(
                tuple(sorted(playbooks & named if every & named else playbooks)),
                tuple(sorted({hit.entry for hit in mine} - {""})),
                name,
                str(file.relative_to(self.root)),
                tuple(sorted(modules)),
                len(remark.ids) if path in reading else MANY,
            )

    def rung_places(self) -> Iterator[tuple[str, Place]]:
        """The steps of the rungs that the action of rungs carries out, by the policy's tables."""
        for path, tasks in {**self.role_tasks, **self.playbooks}.items():
            for one in (one for task in tasks for one in task.walk() if f"{NAMESPACE}rung" in one.data):
                for hit in self.reaching.get((path, one.line), []):
                    for rung in self.rungs_to_carry_out(hit.known):
                        entries = (hit.entry,) if hit.entry else ()
                        # What a site need not have switched on comes last.
                        ids = len(rung["steps"]) if "enabled" not in rung else MANY
                        for step in rung["steps"]:
                            where = str(path.relative_to(self.root))
                            yield (
                                step,
                                Place(
                                    (hit.playbook,),
                                    entries,
                                    str(rung.get("rung", one.name)),
                                    where,
                                    (rung["act"],),
                                    ids,
                                ),
                            )

    def test(self, remark: Remark) -> Test:
        """The test that a comment names: a function, or a task of a molecule scenario."""
        path = str(remark.path.relative_to(self.root))
        if remark.path.suffix == ".py":
            name = python_owner(remark.path.read_text(encoding="utf-8"), remark.line)
        else:
            task = owner(read_tasks(remark.path), remark.path, remark.line)
            name = task.name if task else None
        if not name:
            raise MapError(f"{path}:{remark.line}: names {', '.join(remark.ids)}, but stands in or above no test")
        return Test(path, name)


def following(lines: list[str], line: int) -> int:
    """The number of the first line after a line that is neither blank nor a comment; 0 where there is none."""
    return next(
        (
            number
            for number, text in enumerate(lines[line:], line + 1)
            if text.strip() and not text.lstrip().startswith("#")
        ),
        0,
    )


def owner(tasks: list[Task], path: Path, line: int) -> Task | None:
    """The task that a comment stands in or above; none above the `---` or in a file without tasks."""
    lines = path.read_text(encoding="utf-8").splitlines()
    after = following(lines, line) or line
    candidates = [one for task in tasks for one in task.walk() if one.line <= after]
    return max(candidates, key=lambda task: task.line, default=None)


def python_owner(text: str, line: int) -> str | None:
    """The test function or class that a comment stands in, or right above."""
    after = following(text.splitlines(), line)
    best: str | None = None
    todo: list[tuple[ast.AST, str]] = [(ast.parse(text), "")]
    for node, prefix in todo:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                start = min([child.lineno, *(decorator.lineno for decorator in child.decorator_list)])
                name = f"{prefix}{child.name}"
                if child.name.startswith(("test_", "Test")) and (
                    start == after or start <= line <= (child.end_lineno or start)
                ):
                    best = name
                todo.append((child, f"{name}."))
    return best


def add(collection: Collection, rows: dict[str, Row], remarks: Iterable[Remark], *, tests: bool) -> Iterator[str]:
    """Put what comments say into the rows; yields what is wrong."""
    remarks = list(remarks)
    named: dict[str, set[str]] = defaultdict(set)
    for remark in remarks:
        if remark.path in collection.playbooks and not remark.differs:
            for step in remark.ids:
                named[step].add(remark.path.stem)
    for remark in remarks:
        for step in remark.ids:
            row = rows.get(step)
            try:
                if row is None:
                    where = f"{remark.path.relative_to(collection.root)}:{remark.line}"
                    yield f"{where}: '{step}' is no step of the runbook (docs/runbook_steps.yml)"
                elif remark.differs:
                    row.remarks.append(remark.differs)
                elif tests:
                    row.tests.add(collection.test(remark))
                else:
                    row.places.update(collection.places(remark, step, named[step]))
            except MapError as error:
                yield str(error)


def gaps(collection: Collection, rows: dict[str, Row]) -> Iterator[str]:
    """Steps that lack something and are not listed as open, and the other way round."""
    yield from (
        f"docs/runbook_open.yml: '{step}' is no step of the runbook" for step in collection.open if step not in rows
    )
    for step, row in rows.items():
        listed = step in collection.open
        if listed and step.startswith(NEVER_OPEN):
            yield f"docs/runbook_open.yml: {step} may not be open"
        elif listed and not row.lacking:
            yield f"docs/runbook_open.yml: {step} has a task and a test by now: take it out"
        elif row.lacking and not listed:
            yield f"{step} ({row.says}) has no {' and no '.join(row.lacking)}"


def trace(collection: Collection) -> tuple[dict[str, Row], list[str]]:
    """The rows of the map, and what is wrong with them."""
    rows = {step: Row(facts["says"]) for section in collection.sections.values() for step, facts in section.items()}
    carrying_out = collection.comments("playbooks/**/*.yml", "roles/**/*.yml", "roles/**/*.j2", "plugins/**/*.py")
    testing = collection.comments("tests/**/*.py", "molecule/**/*.yml")
    errors = [*add(collection, rows, carrying_out, tests=False), *add(collection, rows, testing, tests=True)]
    for step, place in collection.rung_places():
        if step in rows:
            rows[step].places.add(place)
        else:
            errors.append(f"{place.path}: a rung of role policy names '{step}', which is no step of the runbook")
    return rows, sorted({*errors, *gaps(collection, rows)})


def fitting(text: str, before: str, after: str) -> str:
    """A text shortened so that a row stays within the width."""
    return textwrap.shorten(text.replace("|", "\\|"), max(WIDTH - len(before) - len(after), 30), placeholder=" ...")


def runs_of(steps: Iterable[str], everything: list[str]) -> str:
    """Steps in the runbook's order, those that follow each other as `first to last`."""
    runs: list[list[str]] = []
    for step in sorted(steps, key=everything.index):
        follows = runs and everything.index(runs[-1][-1]) + 1 == everything.index(step)
        if follows and runs[-1][0].partition("-")[0] == step.partition("-")[0]:
            runs[-1].append(step)
        else:
            runs.append([step])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(run) for run in runs) or "-"


def head_of(playbook: Path) -> str:
    """What the comment at the head of a playbook says."""
    lines = [line for line in playbook.read_text(encoding="utf-8").splitlines() if line != "---"]
    comment = takewhile(lambda line: line.startswith("#"), lines)
    return " ".join(line.lstrip("# ") for line in comment if not COMMENT.fullmatch(line))


def step_line(step: str, row: Row) -> tuple[str, str]:
    """One row of the table of steps, and the file of its task."""
    playbook = row.playbook(step)
    place = row.place(playbook)
    tests = f"[{len(row.tests)}](runbook_tests.md#{step.lower()})" if row.tests else "*open*"
    if not place:
        return f"| {step} | {fitting(row.says, '', ' ' * 60)} | *open* | | {tests} |", ""
    label, task = label_of(place.path), textwrap.shorten(place.what, 45, placeholder=" ...") or "the whole file"
    before, after = f"| {step} | ", f" | `{playbook}` | {task} ([{label}]) | {tests} |"
    return f"{before}{fitting(row.says, before, after)}{after}", place.path


def label_of(path: str) -> str:
    """A file's short name: role/entry, module or playbook."""
    parts = Path(path).with_suffix("").parts
    return "/".join((parts[1], *parts[3:])) if parts[0] == "roles" else "/".join(parts[-2:])


def render(collection: Collection, rows: dict[str, Row]) -> str:
    """The map as Markdown."""
    done = sum(not row.lacking for row in rows.values())
    files: set[str] = set()
    lines = [
        "# Runbook map",
        "",
        "Written by `make docs` from the comments `# runbook: ID` in playbooks, roles, modules and tests, and from the",
        "steps of the policy's rungs; do not edit. For each step: the playbook that a person runs for it, the task",
        "that carries it out, and how many [tests](runbook_tests.md) prove it.",
        f"{done} of {len(rows)} steps are carried out and tested; what lacks is marked *open*.",
        "",
        "## Playbooks",
        "",
        "| Playbook | When, and what | Steps |",
        "| --- | --- | --- |",
    ]
    for path in collection.playbooks:
        steps = runs_of((step for step, row in rows.items() if row.playbook(step) == path.stem), list(rows))
        before, after = f"| `{path.stem}` | ", f" | {steps} |"
        lines.append(f"{before}{fitting(head_of(path), before, after)}{after}")
    lines += ["", "## Steps", "", "| Step | What | Playbook | Task | Tests |", "| --- | --- | --- | --- | --- |"]
    for step, row in rows.items():
        line, file = step_line(step, row)
        lines.append(line)
        files |= {file} - {""}
    remarks = [f"* {step}: {why}" for step, row in rows.items() for why in row.remarks]
    if remarks:
        lines += ["", "## Carried out otherwise than by the runbook's shell line", ""]
        lines += [line for one in remarks for line in textwrap.wrap(one, 120, subsequent_indent="  ")]
    lines += ["", *(f"[{label_of(path)}]: ../{path}" for path in sorted(files))]
    return "\n".join(lines) + "\n"


def render_tests(rows: dict[str, Row]) -> str:
    """The tests of each step as Markdown."""
    lines = [
        "# Tests of the runbook's steps",
        "",
        "Written by `make docs`; do not edit. The steps are in [the map](runbook_map.md).",
    ]
    for step, row in rows.items():
        lines += ["", f"## {step}", "", *textwrap.wrap(row.says, 120), ""]
        lines += [f"* [{test.name}](../{test.path})" for test in sorted(row.tests)] or ["*open*"]
    return "\n".join(lines) + "\n"


def main(argv: list[str]) -> int:
    """Write or check the map; 1 when something is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    try:
        collection = Collection(args.root)
        rows, errors = trace(collection)
    except MapError as error:
        print(f"error: {error}")
        return 1
    for name, text in (("runbook_map", render(collection, rows)), ("runbook_tests", render_tests(rows))):
        target = args.root / f"docs/{name}.md"
        if not args.check:
            target.write_text(text, encoding="utf-8")
        elif not target.exists() or target.read_text(encoding="utf-8") != text:
            errors.append(f"docs/{name}.md is stale: run make docs")
    for line in errors:
        print(f"error: {line}")
    print(
        f"runbook map: {sum(not row.lacking for row in rows.values())} of {len(rows)} steps done, {len(errors)} errors"
    )
    return int(bool(errors))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
