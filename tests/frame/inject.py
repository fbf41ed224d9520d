"""ansible-playbook with a fault in one task: a program of its own, that runs Ansible's CLI in this process.

usage: inject.py ARGUMENT ... (those of ansible-playbook)
       inject.py --serve      runs that are asked for on stdin, each in a process forked from this one

From the environment:
    FRAME_TRACE   a file to which a line of JSON is added for each task of each host that runs: {k, host, task, action,
                  run_once, asks, fired}. `asks`: how often it asked a module (a rung or a check may never).
    FRAME_FAULT   a JSON object {k, fault, hosts, depth, after, disk}; without it, nothing is changed.

The k-th task is the k-th that Ansible announces, from 1: one task of a play's batch is one, whatever number of hosts
it runs on. A fault hits each of `hosts` that runs it, where no condition leaves it out, in the worker of that host.

    failure      the task fails
    unreachable  the host cannot be reached any more
    exception    the action raises what nobody expected
    killed       the worker gets SIGKILL
    disk_full    what is left of the file system of `disk`, and its inodes, are used up when the task is announced

`depth` says where: task, the whole of it, or module, in what it asks of a host (where it asks nothing: the task).
`after` says that the work is done first, and its answer is lost.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

MESSAGE = "a fault of the test"
_ANNOUNCED = ("v2_playbook_on_task_start", "v2_playbook_on_handler_task_start")
_INCLUDED = ("include", "include_args")
_PIECES = (1 << 20, 1 << 16, 1 << 12)


class InjectedError(RuntimeError):
    """Raised for the fault `exception`."""


class _Point:
    """Where the run is: counted in the parent, and known to each worker, since that is forked afterwards."""

    number = 0
    asks = 0


def _fill(directory: Path) -> None:
    """Use up the space and the inodes of the file system that holds the directory."""
    with (directory / "fill").open("ab") as file:
        at = 0
        for piece in _PIECES:
            with contextlib.suppress(OSError):
                while True:
                    os.posix_fallocate(file.fileno(), at, piece)
                    at += piece
    try:
        for number in itertools.count():
            (directory / f"fill{number}").touch()
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


def _strike(fault: str, what: Callable[[], Any] | None) -> Any:
    """What a task, or a module that it asks, ends with; `what` is done first where there is such."""
    from ansible.errors import AnsibleConnectionFailure

    if what is not None:
        what()
    if fault == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "unreachable":
        raise AnsibleConnectionFailure(f"Failed to connect to the host: {MESSAGE}")
    if fault == "exception":
        raise InjectedError(MESSAGE)
    return {"failed": True, "changed": False, "msg": MESSAGE}


def install(fault: dict[str, Any], trace: Path) -> None:
    """Change Ansible in this process."""
    from ansible.constants import _ACTION_META
    from ansible.executor.task_executor import TaskExecutor
    from ansible.executor.task_queue_manager import TaskQueueManager
    from ansible.plugins.action import ActionBase

    announce = TaskQueueManager.send_callback
    internal = TaskExecutor._execute_internal
    find = TaskExecutor._get_action_handler_with_module_context
    ask = ActionBase._execute_module

    def note(executor: Any, *, fired: bool) -> None:
        task = executor._task
        line = {
            "k": _Point.number,
            "host": executor._host.name,
            "task": str(task.name or task.action),
            "action": str(task.resolved_action or task.action),
            "run_once": bool(task.run_once),
            "asks": _Point.asks,
            "fired": fired,
        }
        with trace.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def hits(executor: Any) -> bool:
        return bool(
            fault
            and fault["fault"] != "disk_full"
            and fault["k"] == _Point.number
            and executor._host.name in fault["hosts"]
        )

    def announced(self: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        if method in _ANNOUNCED and args[0].action not in _ACTION_META:
            _Point.number += 1
            if fault and fault["fault"] == "disk_full" and fault["k"] == _Point.number:
                _fill(Path(fault["disk"]))
                with trace.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"k": _Point.number, "fired": True}) + "\n")
        return announce(self, method, *args, **kwargs)

    def found(self: Any, *args: Any, **kwargs: Any) -> Any:
        handler, context = find(self, *args, **kwargs)
        run = handler.run
        asked_before = _Point.asks

        def ran(*more: Any, **named: Any) -> Any:
            if not hits(self):
                try:
                    return run(*more, **named)
                finally:
                    note(self, fired=False)
            if fault["depth"] == "task":
                note(self, fired=True)
                return _strike(fault["fault"], (lambda: run(*more, **named)) if fault["after"] else None)
            result = run(*more, **named)
            note(self, fired=True)
            return result if _Point.asks > asked_before else _strike(fault["fault"], None)

        handler.run = ran
        return handler, context

    def asked(self: Any, *args: Any, **kwargs: Any) -> Any:
        _Point.asks += 1
        if fault and fault["depth"] == "module" and _Worker.hit:
            return _strike(fault["fault"], (lambda: ask(self, *args, **kwargs)) if fault["after"] else None)
        return ask(self, *args, **kwargs)

    def executed(self: Any, *args: Any, **kwargs: Any) -> Any:
        _Worker.hit = hits(self)
        result = internal(self, *args, **kwargs)
        # Included files and roles have no action.
        if any(key in result for key in _INCLUDED):
            note(self, fired=_Worker.hit)
            return _strike(fault["fault"], None) if _Worker.hit else result
        return result

    TaskQueueManager.send_callback = announced
    TaskExecutor._execute_internal = executed
    TaskExecutor._get_action_handler_with_module_context = found
    ActionBase._execute_module = asked


class _Worker:
    """Whether the task that this worker runs is the one."""

    hit = False


def warm() -> None:
    """Load what each run would load anew, so that it takes half the time: Ansible, and the plugins of this collection."""
    import importlib

    from ansible import cli
    from ansible.plugins import loader
    from ansible.plugins.loader import action_loader

    loader.init_plugin_loader()
    # Each run configures it again, and would warn.
    cli.init_plugin_loader = lambda *_args, **_named: None
    from ansible.cli import playbook  # noqa: F401

    actions = importlib.import_module("ansible_collections.media_ops.runbook.plugins.action")
    base = importlib.import_module("ansible_collections.media_ops.runbook.plugins.plugin_utils.host_action")
    for path in Path(next(iter(actions.__path__))).glob("[a-z]*.py"):
        action_loader.get(f"media_ops.runbook.{path.stem}", class_only=True)
        for constant in ("DOCUMENTATION", "RETURN"):
            base.documented(path.stem, constant)


def serve() -> None:
    """Run what each line of stdin asks for, one after the other: {arguments, cwd, output, fault, trace}.

    Answers with the process id when a run begins, and with the exit code when it has ended.
    """
    warm()
    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os.setsid()
            os.chdir(asked["cwd"])
            output = os.open(asked["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            nothing = os.open(os.devnull, os.O_RDONLY)
            for number, of in enumerate((nothing, output, output)):
                os.dup2(of, number)
            install(asked["fault"], Path(asked["trace"]))
            run(asked["arguments"])
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def run(arguments: list[str]) -> NoReturn:
    """Run the playbook; ends the process."""
    from ansible.cli.playbook import main as ansible_playbook

    sys.argv = ["ansible-playbook", *arguments]
    try:
        ansible_playbook(sys.argv)
    except SystemExit as end:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else 1)
    except BaseException:
        # As the interpreter would say it.
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        serve()
    else:
        if given := os.environ.get("FRAME_TRACE"):
            install(json.loads(os.environ.get("FRAME_FAULT") or "{}"), Path(given))
        run(sys.argv[1:])
