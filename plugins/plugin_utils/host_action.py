# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bases of all actions: modules are asked on a host, and of an answer is taken what the module promises.

Whatever a host says is data: no key of its answer becomes a variable of the run.
"""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import yaml
from ansible import constants as C  # noqa: N812
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import become_loader, fragment_loader, module_loader

from ..module_utils.api.settings import api_argument_spec
from ..module_utils.deadline import longest_s
from ..module_utils.errors import MediaOpsError
from ..module_utils.redact import Redactor, secret_values
from ..module_utils.shapes import mapping, one_line
from .limit import OverdueError, limited_to
from .screen import is_read_by_a_program
from .worked_out import WorkedOut

_MODULES = Path(__file__).resolve().parent.parent / "modules"
_FRAGMENTS = _MODULES.parent / "doc_fragments"
_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "path": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "list": (list,),
    "dict": (dict,),
}
# What tells a failure; the rest of a module's answer is what its RETURN names.
_FAILURE = {
    "failed": bool,
    "unreachable": bool,
    "overdue": bool,
    "msg": str,
    "rc": int,
    "module_stderr": str,
    "module_stdout": str,
}
_DIFF = ("before", "after", "before_header", "after_header", "prepared")
_TEXT_MAX, _DIFF_MAX, _WARNINGS_MAX = 4_000, 200_000, 20
_ANSWER_MAX = 8_000_000  # characters: above that, data of Python would take many times as much on the controller
# What is acted on, matched or compared stays as it is, and is redacted where it is shown; what these modules of ours
# call a key or credentials is none.
_ACTED_ON = frozenset(
    {
        *("id", "ids", "session_id", "upload_id", "merge_id", "run_id", "pid", "unit", "dedup_key", "cursor"),
        *("path", "paths", "root", "directory", "destination", "target", "link", "file", "files"),
        *("hash", "plan_hash", "sha256", "as_of", "stable", "identity"),
        *("key", "access_key", "credentials", "secrets_known", "token_file", "api_token_file"),
        "archive",  # whole or nothing, and redacted where it was made
    }
)
# A module keeps a deadline of its own. The margin is for the way to the host, and for what ends a module that does not.
_MARGIN_S, _MOST_S = 90.0, 3600.0
# Whoever a module becomes: what lies in that user's home is not loaded into it.
_ENVIRONMENT = {"PYTHONNOUSERSITE": "1"}
# Ansible unpacks a module in a temporary directory, and one that frees a full disk may find no room there.
_IN_MEMORY = {"TMPDIR": "/dev/shm"}  # noqa: S108
_NO_ROOM = re.compile(r"No usable temporary directory|No space left on device|Disk quota exceeded")
_NAMESPACE = "media_ops.runbook."
_PYTHON_NEEDED = (3, 9)
_VERSION, _VERSION_SAID = (
    'import sys; print("version %d.%d" % sys.version_info[:2])',
    re.compile(r"version (\d)\.(\d+)"),
)


_CONNECTION = frozenset(api_argument_spec())
_SPEC = ("type", "required", "default", "choices", "elements")


@lru_cache(maxsize=None)
def documented(module: str, constant: str) -> dict[str, Any]:
    """DOCUMENTATION or RETURN of a module, as data.

    Args:
        module: one of ours, or by its whole name one of a site's own collection.
        constant: which of the two.
    """
    return _read(_path_of(module) if is_of_site(module) else _MODULES / f"{module}.py", constant)


def is_of_site(module: str) -> bool:
    """Whether a module is one of a site's own collection: these go by their whole names."""
    return "." in module


def _path_of(module: str) -> Path:
    found = module_loader.find_plugin_with_context(module) if module.count(".") > 1 else None
    path = Path((found and found.plugin_resolved_path) or "")
    if path.suffix != ".py" or module.startswith(_NAMESPACE):
        raise MediaOpsError(f"module {one_line(module, 100)} is in no collection of the site that is installed here")
    return path


def _read(path: Path, constant: str) -> dict[str, Any]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and [constant] == [getattr(target, "id", "") for target in node.targets]:
            return read_yaml(ast.literal_eval(node.value))
    return {}


def read_yaml(text: str) -> dict[str, Any]:
    """A document of this collection's own, as data: fast, since there are many in a run."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: dict[str, Any] = yaml.load(text, loader) or {}  # noqa: S506 (a safe loader)
    return found


def options_of(module: str) -> frozenset[str]:
    """The names of a module's options, those of the collection's documentation fragments among them."""
    options = set(documented(module, "DOCUMENTATION").get("options") or {})
    for name in _fragments(module):
        file, _dot, constant = name.partition(".")
        found = _read(_FRAGMENTS / f"{file}.py", constant.upper() or "DOCUMENTATION")
        options |= set(found.get("options") or {})
    for name in _listed_fragments(module) if is_of_site(module) else []:
        text = getattr(fragment_loader.get(name), "DOCUMENTATION", "")
        options |= set(read_yaml(text).get("options") or {})
    return frozenset(options)


@lru_cache(maxsize=None)
def _spec(action: str) -> dict[str, Any]:
    """The argument spec of an action's own options, as its documentation has them."""
    return _spec_of(documented(action, "DOCUMENTATION").get("options") or {})


def _spec_of(options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: {
            **{key: option[key] for key in _SPEC if key in option},
            **({"options": _spec_of(option["suboptions"])} if "suboptions" in option else {}),
        }
        for name, option in options.items()
    }


def checked_arguments(action: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of an action that does not run as a task, checked by its documentation, as plain data.

    Raises:
        MediaOpsError: they are not as it documents them.
    """
    checked = ArgumentSpecValidator(_spec(action)).validate(plain(given))
    if checked.error_messages:
        raise MediaOpsError(f"{action}: {'; '.join(one_line(message, 300) for message in checked.error_messages)}")
    found: dict[str, Any] = plain(checked.validated_parameters)
    return found


def redactor_for(arguments: object) -> Redactor:
    """Takes the secrets of a task's arguments out of what is shown or kept, and what is no text."""
    return _Cleaner(secrets_in(arguments))


def has_fragment(module: str, name: str) -> bool:
    """Whether a module has the options of a documentation fragment of this collection."""
    return name in _fragments(module)


def _fragments(module: str) -> list[str]:
    return [name[len(_NAMESPACE) :] for name in _listed_fragments(module) if name.startswith(_NAMESPACE)]


def _listed_fragments(module: str) -> list[str]:
    listed = documented(module, "DOCUMENTATION").get("extends_documentation_fragment") or []
    return [listed] if isinstance(listed, str) else list(listed)


def plain(value: object) -> Any:
    """The same data without the tags that Ansible puts on it, each of which makes a look at it slow."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value


def promised(module: str, answer: object) -> dict[str, Any]:
    """Of a module's answer, the keys that its RETURN names with values of their types, and what tells a failure.

    ``ansible_facts`` and ``ansible_stats`` would become variables of the run; no host is to set these.
    """
    given = plain(answer) if isinstance(answer, Mapping) else {}
    told = {key: given[key] for key, kind in _FAILURE.items() if isinstance(given.get(key), kind)}
    taken = {key: readable(value, _TEXT_MAX) if isinstance(value, str) else value for key, value in told.items()}
    wrong = []
    for key, spec in documented(module, "RETURN").items():
        if given.get(key) is None:
            taken.update({key: None} if key in given else {})
        elif _is(given[key], str(spec.get("type", "raw"))):
            taken[key] = given[key]
        else:
            wrong.append(f"{key} is not of type {spec.get('type')}")
    if wrong:
        return {"failed": True, "msg": f"the answer of module {module} cannot be used: {', '.join(wrong)}"}
    if "diff" in given:
        taken["diff"] = _diff(given["diff"])
    return {**taken, "changed": given.get("changed") is True}


def _diff(given: object) -> dict[str, str] | list[dict[str, str]]:
    """What Ansible shows of a difference, or of several: texts alone."""
    if isinstance(given, list):
        return [_difference(part) for part in given if isinstance(part, Mapping)]
    return _difference(mapping(given))


def _difference(part: Mapping[str, Any]) -> dict[str, str]:
    return {key: readable(part[key], _DIFF_MAX) for key in _DIFF if isinstance(part.get(key), str)}


def readable(text: str, limit: int) -> str:
    """Foreign text in lines, without what steers a terminal or hides in it; its first ``limit`` characters."""
    shown = "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text[:limit])
    return shown if len(text) <= limit else f"{shown}…"


def why_failed(data: Mapping[str, Any], *, spoke: bool) -> str:
    """Why a module failed, in one line, also where it did not say so: it raised, was killed, or broke off.

    Args:
        data: as Ansible read it of what the module printed.
        spoke: whether it printed anything.
    """
    said, rc = str(data.get("msg") or ""), data.get("rc")
    # ansible-core 2.19 and newer give an error object, and no msg; a text is a traceback, whose last line tells.
    raised = data.get("exception")
    event = getattr(raised, "event", None)
    last = (str(raised or "").strip().splitlines() or [""])[-1]
    said = said or str(getattr(event, "msg", "") or last)
    if data.get("_ansible_parsed"):
        return said or "it failed without a word"
    stderr = (str(data.get("module_stderr") or "").strip().splitlines() or [""])[-1]
    signal_ = rc - 128 if isinstance(rc, int) and rc > 128 else -rc if isinstance(rc, int) and rc < 0 else 0
    if signal_:
        said = f"the module was killed by signal {signal_} (rc {rc}). {said}"
    elif spoke:
        said = f"the module's answer is cut off, or is none (rc {rc}). {said}"
    return f"{said} {one_line(stderr, 200)}".strip()


def _has_no_room(answer: Mapping[str, Any]) -> bool:
    """Whether a module was not begun, as there was no room to unpack it."""
    said = str(answer.get("module_stderr") or "").strip()
    return "_ansiballz_main" in said and bool(_NO_ROOM.search(said[said.rfind("\n") + 1 :]))


class _Cleaner(Redactor):
    """Redacts, and takes out what steers a terminal."""

    def text(self, text: str) -> str:
        """The text for people."""
        redacted = super().text(text)
        return redacted if redacted.isprintable() else readable(redacted, len(redacted))


def secrets_in(given: object, name: str = "") -> set[str]:
    """The secrets in options as they were given: what goes by a secret's name, and the passwords of addresses."""
    if isinstance(given, Mapping):
        return {found for key, value in given.items() for found in secrets_in(value, str(key))}
    if isinstance(given, (list, tuple)):
        return {found for value in given for found in secrets_in(value, name)}
    return secret_values({name: str(given)}) if isinstance(given, str) and name not in _ACTED_ON else set()


def _is(value: object, kind: str) -> bool:
    types = _TYPES.get(kind)
    return types is None or (isinstance(value, types) and (kind == "bool" or not isinstance(value, bool)))


class HostAction(ActionBase):  # type: ignore[misc]
    """An action that may ask several modules. What is wrong with its own arguments fails it; a host never does."""

    TRANSFERS_FILES = False
    _asked = ""
    _gave_answer = True

    def run(self, tmp: str | None = None, task_vars: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What the action gives, no change unless it says so; a domain error fails it, in its own words."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        self.variables = dict(task_vars or {})
        try:
            result = {**result, "changed": False, **self.act(self.arguments())}
        except MediaOpsError as error:
            raise AnsibleActionFail(str(error), result=error.details) from error
        if self._discovered_interpreter_key:
            # As Ansible itself does it for a module, so that the next task need not look for Python again.
            result["ansible_facts"] = {self._discovered_interpreter_key: self._discovered_interpreter}
        return result

    @classmethod
    @contextlib.contextmanager
    def get_finalize_task_args_context(cls) -> Iterator[dict[str, WorkedOut]]:
        """What Ansible hands on for each option of one task (core calls this interface unstable; without it all is
        templated as ever)."""
        yield {}

    @classmethod
    def finalize_task_arg(cls, name: str, value: Any, templar: Any, context: Any) -> Any:
        """The value of an option of the task."""
        del name
        of_task: dict[str, WorkedOut] = context if isinstance(context, dict) else {}
        if "values" not in of_task:
            of_task["values"] = WorkedOut(templar.template, templar.available_variables)
        return of_task["values"].value(value)

    def act(self, given: dict[str, Any]) -> dict[str, Any]:
        """What the action is for, with its own options, checked; the task's variables are ``variables``."""
        raise NotImplementedError

    def ask(
        self,
        module: str,
        arguments: Mapping[str, Any],
        *,
        check: bool = False,
        within: float | None = None,
    ) -> dict[str, Any]:
        """What a module answers on the host, with ``failed`` or ``unreachable`` and ``msg`` where it does not.

        Args:
            module: its name, without the collection's where it is ours.
            arguments: its options; one that is None is left out.
            check: whether the module runs in check mode where the task does not.
            within: for how many seconds it is waited for, where the module is of a site.
        """
        given = {key: value for key, value in arguments.items() if value is not None}
        self._asked = module
        task, before = self._task, (self._task.check_mode, self._task.environment)
        task.check_mode, task.environment = task.check_mode or check, [*(task.environment or []), _ENVIRONMENT]
        most_s = within or (longest_s(module, given) or _MOST_S) + _MARGIN_S
        try:
            with limited_to(most_s):
                answer = self._executed(module, given)
                if not self._gave_answer and _has_no_room(answer):
                    task.environment = [*task.environment, _IN_MEMORY]
                    answer = self._executed(module, given)
                if not self._gave_answer:
                    answer["msg"] = self._too_old() or answer.get("msg")
        except OverdueError:
            msg = f"module {module} gave no answer within {most_s:.0f} s; it may still be at work on the host"
            return {"failed": True, "overdue": True, "changed": False, "msg": msg}
        except AnsibleConnectionFailure as error:
            return {"unreachable": True, "changed": False, "msg": self.redactor.text(one_line(error, 500))}
        except AnsibleError as error:
            # Such as sudo that wants a password, or a user that cannot be become.
            return {"failed": True, "changed": False, "msg": self.redactor.text(one_line(error, 500))}
        finally:
            task.check_mode, task.environment = before
        warnings = answer.get("warnings")
        for warning in warnings[:_WARNINGS_MAX] if isinstance(warnings, list) else []:
            self._display.warning(f"{self.host}: {self.redactor.text(one_line(warning, 300))}")
        redacted: dict[str, Any] = self.redactor.data(promised(module, answer), _ACTED_ON)
        return redacted

    def shell(self, script: str, limit_s: float) -> dict[str, Any]:
        """What a shell of the host makes of a script of ours, where no module need run: without Python, or become.

        Args:
            script: for ``/bin/sh``.
            limit_s: seconds to wait for its end.

        Returns:
            ``rc``, ``stdout`` and ``stderr``; where nothing came, ``unreachable`` or ``failed``, and ``msg``.
        """
        try:
            with limited_to(limit_s):
                ran = self._low_level_execute_command(script, sudoable=False)
        except OverdueError:
            return {"failed": True, "msg": f"no answer within {limit_s:.0f} s"}
        except AnsibleConnectionFailure as error:
            return {"unreachable": True, "msg": self.redactor.text(one_line(error, 500))}
        except AnsibleError as error:
            return {"failed": True, "msg": self.redactor.text(one_line(error, 500))}
        return {"rc": ran.get("rc"), **{key: str(ran.get(key) or "")[:_TEXT_MAX] for key in ("stdout", "stderr")}}

    @contextlib.contextmanager
    def becoming(self, user: str) -> Iterator[None]:
        """Ask modules as another user for as long as the block lasts, as a task's ``become_user`` would."""
        method = self._templar.template(self.variables.get("ansible_become_method")) or self._task.become_method
        plugin = become_loader.get(method or C.DEFAULT_BECOME_METHOD)
        names = C.config.get_plugin_vars("become", plugin._load_name)
        given = {name: self._templar.template(self.variables[name]) for name in names if name in self.variables}
        plugin.set_options(var_options=given, direct={"become_user": user})
        if self._play_context.become_pass and not plugin.get_option("become_pass"):
            plugin.set_option("become_pass", self._play_context.become_pass)
        before = self._connection.become
        self._connection.set_become_plugin(plugin)
        try:
            yield
        finally:
            self._connection.set_become_plugin(before)

    def _executed(self, module: str, given: Mapping[str, Any]) -> dict[str, Any]:
        self._gave_answer = True
        found: dict[str, Any] = self._execute_module(
            module_name=module if is_of_site(module) else f"{_NAMESPACE}{module}",
            module_args=dict(given),
            task_vars=self.variables,
        )
        return found

    def _too_old(self) -> str:
        """That the host's Python is older than what the modules need, in a sentence; "" where it is not so."""
        program = str(self._used_interpreter or "").removeprefix("#!").strip()
        asked = self._low_level_execute_command(f"{program} -c '{_VERSION}'") if program else {}
        found = _VERSION_SAID.search(str(asked.get("stdout") or ""))
        if not found or tuple(map(int, found.groups())) >= _PYTHON_NEEDED:
            return ""
        needed, there = ".".join(map(str, _PYTHON_NEEDED)), ".".join(found.groups())
        return f"Python {needed} or newer is needed on the host, and {one_line(program, 100)} is {there}"

    @cached_property
    def redactor(self) -> Redactor:
        """Takes secrets out of what is shown or kept, those that the task was given among them, and what is no text."""
        return redactor_for(self._task.args)

    def _parse_returned_data(self, res: dict[str, Any], profile: str) -> dict[str, Any]:
        """What a module printed, as data, before Ansible's own code looks at it.

        Of what is no answer, and of keys that mean something to Ansible, the values would be shown as they stand.
        """
        said = str(res.get("stdout") or "")
        if len(said) > _ANSWER_MAX:
            msg = f"the answer of module {self._asked} is longer than {_ANSWER_MAX} characters"
            return {"failed": True, "msg": msg, "_ansible_parsed": True}
        begin = 0 if said.startswith("{") else said.find("\n{") + 1
        answer = {**res, "stdout": said[begin : said.rfind("}") + 1]}
        data: dict[str, Any] = super()._parse_returned_data(answer, profile)
        if data.get("failed"):
            self._gave_answer = bool(data.get("_ansible_parsed"))
            data["msg"] = why_failed(data, spoke=bool(said.strip()))
        known = {*documented(self._asked, "RETURN"), *_FAILURE, "changed", "diff", "warnings", "_ansible_parsed"}
        return {key: value for key, value in data.items() if key in known}

    @property
    def host(self) -> str:
        """The host that the task is for."""
        return one_line(self.variables.get("inventory_hostname", ""))

    def of_hosts(self, variable: str) -> dict[str, Any]:
        """What a variable is on each host of the play, as it was registered; None where it was not."""
        hosts, known = self.variables["ansible_play_hosts_all"], self.variables["hostvars"]
        return {str(host): known.raw_get(host).get(variable) for host in hosts}

    def tell(self, lines: list[str]) -> None:
        """Show a person lines on this host at once; the task's result comes only when it has ended."""
        text = "\n".join(f"[{self.host}] {self.redactor.text(line)}" for line in lines)
        self._display.display(text, stderr=is_read_by_a_program())

    def arguments(self) -> dict[str, Any]:
        """The action's own options, checked by its documentation, as plain data."""
        action, everything = type(self).__module__.rpartition(".")[2], dict(self._task.args)
        left_out = _CONNECTION if has_fragment(action, "api") else frozenset()
        # Plain, since the validator copies it all, and a copy of Ansible's tags takes longer than the whole judging.
        self._task.args = plain({key: value for key, value in everything.items() if key not in left_out})
        try:
            _checked, params = self.validate_argument_spec(_spec(action))
        finally:
            self._task.args = everything
        found: dict[str, Any] = plain(params)
        return found

    def connection(self) -> dict[str, Any]:
        """The options of the API's connection as they were given: the module itself checks them, on the host."""
        found: dict[str, Any] = plain({key: value for key, value in self._task.args.items() if key in _CONNECTION})
        return found


class HostModule(HostAction):
    """The action of a module's own name, so that whoever names the module gets of a host what it promises."""

    def arguments(self) -> dict[str, Any]:
        """As they were given: the module checks them, on the host."""
        return dict(self._task.args)

    def act(self, given: dict[str, Any]) -> dict[str, Any]:
        """What the module answers; a host that cannot be reached is unreachable, as for any module."""
        answer = self.ask(type(self).__module__.rpartition(".")[2], given)
        if answer.get("unreachable"):
            raise AnsibleConnectionFailure(answer["msg"])
        return answer
