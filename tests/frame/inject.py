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
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

MESSAGE = "a fault of the test"
_ANNOUNCED = ("v2_playbook_on_task_start", "v2_playbook_on_handler_task_start")
_INCLUDED = ("include", "include_args")
_PIECES = (1 << 20, 1 << 16, 1 << 12)


class InjectedError(RuntimeError):
    """Raised for the fault `exception`."""


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


def _end(fault: str) -> Any:
    """End a task, or a module that it asks, in this way."""
    from ansible.errors import AnsibleConnectionFailure

    if fault == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "unreachable":
        raise AnsibleConnectionFailure(f"Failed to connect to the host: {MESSAGE}")
    if fault == "exception":
        raise InjectedError(MESSAGE)
    return {"failed": True, "changed": False, "msg": MESSAGE}


class Injector:
    """One run: where it is, and what is to happen. Counted in the parent; a worker has what was at its fork."""

    def __init__(self, fault: dict[str, Any], trace: Path) -> None:
        self.fault = fault
        self.trace = trace
        self.number = 0
        self.asks = 0
        # In a worker: the task that runs, and whether the fault is for what it asks of the host.
        self.executor: Any = None
        self.armed = False

    def announced(self) -> None:
        """A task is announced."""
        self.number += 1
        if self.fault.get("fault") == "disk_full" and self.fault["k"] == self.number:
            _fill(Path(self.fault["disk"]))
            self.write({"k": self.number, "fired": True})

    def hits(self, executor: Any) -> bool:
        """Whether the fault is for this task of this host."""
        return bool(
            self.fault.get("fault", "disk_full") != "disk_full"
            and self.fault["k"] == self.number
            and executor._host.name in self.fault["hosts"]
        )

    def note(self, *, fired: bool) -> None:
        """A line of the trace for the task that runs."""
        task = self.executor._task
        self.write(
            {
                "k": self.number,
                "host": self.executor._host.name,
                "task": str(task.name or task.action),
                "action": str(task.resolved_action or task.action),
                "run_once": bool(task.run_once),
                "asks": self.asks,
                "fired": fired,
            }
        )

    def write(self, line: dict[str, Any]) -> None:
        """Add to the trace."""
        with self.trace.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def strike(self, what: Callable[[], Any] | None = None) -> Any:
        """What the task, or a module that it asks, ends with; `what` is its work, done first where that is wanted."""
        self.note(fired=True)
        if what is not None and self.fault["after"]:
            what()
        return _end(self.fault["fault"])

    def task(self, run: Callable[[], Any]) -> Any:
        """Run a task's action."""
        if not self.hits(self.executor):
            try:
                return run()
            finally:
                self.note(fired=False)
        if self.fault["depth"] == "task":
            return self.strike(run)
        asked = self.asks
        self.armed = True
        result = run()
        self.armed = False
        return result if self.asks > asked else self.strike()

    def module(self, ask: Callable[[], Any]) -> Any:
        """Ask a module."""
        self.asks += 1
        return self.strike(ask) if self.armed else ask()


def install(fault: dict[str, Any], trace: Path) -> None:
    """Change Ansible in this process."""
    from ansible.constants import _ACTION_META
    from ansible.executor.task_executor import TaskExecutor
    from ansible.executor.task_queue_manager import TaskQueueManager
    from ansible.plugins.action import ActionBase

    injector = Injector(fault, trace)
    announce = TaskQueueManager.send_callback
    internal = TaskExecutor._execute_internal
    find = TaskExecutor._get_action_handler_with_module_context
    ask = ActionBase._execute_module

    def announced(self: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        if method in _ANNOUNCED and args[0].action not in _ACTION_META:
            injector.announced()
        return announce(self, method, *args, **kwargs)

    def executed(self: Any, *args: Any, **kwargs: Any) -> Any:
        injector.executor = self
        result = internal(self, *args, **kwargs)
        # Included files and roles have no action.
        if not any(key in result for key in _INCLUDED):
            return result
        if injector.hits(self):
            return injector.strike()
        injector.note(fired=False)
        return result

    def found(self: Any, *args: Any, **kwargs: Any) -> Any:
        handler, context = find(self, *args, **kwargs)
        run = handler.run
        handler.run = lambda *more, **named: injector.task(lambda: run(*more, **named))
        return handler, context

    def asked(self: Any, *args: Any, **kwargs: Any) -> Any:
        return injector.module(lambda: ask(self, *args, **kwargs))

    TaskQueueManager.send_callback = announced
    TaskExecutor._execute_internal = executed
    TaskExecutor._get_action_handler_with_module_context = found
    ActionBase._execute_module = asked


def warm() -> None:
    """Load what each run would load anew, so that it takes less time: Ansible, and the plugins of this collection."""
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
    """Run the playbook; ends the process as ansible-playbook does."""
    from ansible import constants
    from ansible.cli.playbook import main as ansible_playbook

    # It was made when Ansible was loaded, for all runs of this process.
    Path(constants.DEFAULT_LOCAL_TMP).mkdir(mode=0o700, parents=True, exist_ok=True)
    sys.argv = ["ansible-playbook", *arguments]
    ansible_playbook(sys.argv)
    sys.exit()


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        serve()
    else:
        if given := os.environ.get("FRAME_TRACE"):
            install(json.loads(os.environ.get("FRAME_FAULT") or "{}"), Path(given))
        run(sys.argv[1:])
