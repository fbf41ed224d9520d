# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks hosts that a run leaves out, many at once and for a bounded time.

A delegated loop would ask one after the other, with variables of the host that delegates, and of one host that is down
ansible-core 2.19 makes the end of the run. Here each is asked in a process of its own, by Ansible's own executor with
that host's own variables, and whatever goes wrong there is the answer of that host.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ansible import constants as C  # noqa: N812
from ansible import context
from ansible.executor.task_executor import TaskExecutor
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.template import Templar
from ansible.utils.display import Display

from ..module_utils.shapes import mapping, one_line

_ANSWER_MAX = 1 << 20
_NOT_ASKED, _SILENT = "it was not asked in time", "it gave no answer in time"


class OtherHosts:
    """The hosts of the inventory, for an action that runs on another one."""

    def __init__(self, action: Any, variables: Mapping[str, Any]) -> None:
        """Take what Ansible needs from an action and from the variables of its task."""
        self._action = action
        self._inventory = variables["hostvars"]._inventory
        self._manager = variables["hostvars"]._variable_manager
        self._variables = variables

    def ask(
        self,
        names: Sequence[str],
        module: str,
        arguments: Callable[[Callable[[str], Any]], dict[str, Any]],
        within: float,
    ) -> dict[str, dict[str, Any]]:
        """What a module that only looks answers on each host, with ``failed`` and ``msg`` where it does not.

        Args:
            names: of the hosts.
            module: its name, without the collection's.
            arguments: gives its options; it is given what gives a variable's value on the host.
            within: for how many seconds hosts are waited for.
        """
        most = int(context.CLIARGS.get("forks") or C.DEFAULT_FORKS)
        return in_processes(names, lambda name: self._answer(name, module, arguments), most=most, within=within)

    def _answer(
        self, name: str, module: str, arguments: Callable[[Callable[[str], Any]], dict[str, Any]]
    ) -> dict[str, Any]:
        host = self._inventory.get_host(name)
        if host is None:
            raise LookupError("the inventory does not have it")
        task, loader = self._action._task, self._action._loader
        play = task.get_play()
        own = self._manager.get_vars(play=play, host=host, task=task)
        templar = Templar(loader=loader, variables=own)
        given = arguments(lambda variable: templar.template(own[variable]))
        data = {"name": task.name, "media_ops.runbook.probe": {"module": module, "args": given}}
        made = Task.load(data, block=task._parent, role=task._role, variable_manager=self._manager, loader=loader)
        executor = TaskExecutor(
            host, made, own, self._play_context(play), loader, self._action._shared_loader_obj, _Nobody(), self._manager
        )
        result = mapping(executor.run())
        return dict(mapping(result.get("answer"))) or {"failed": True, "msg": one_line(result.get("msg") or "", 300)}

    def _play_context(self, play: Any) -> PlayContext:
        """As the command line has it: what variables of the one host made of it is not for another one."""
        mine = self._action._play_context
        passwords = {
            key: "" if any(name in self._variables for name in C.MAGIC_VARIABLE_MAPPING[option]) else known
            for key, option, known in (
                ("conn_pass", "password", mine.password),
                ("become_pass", "become_pass", mine.become_pass),
            )
        }
        return PlayContext(play, passwords, mine.connection_lockfd)


class _Nobody:
    """Takes what is meant for the screen and the callbacks: the answers are shown by whoever asked for them."""

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_args, **_kwargs: None


def in_processes(
    names: Sequence[str], work: Callable[[str], Mapping[str, Any]], *, most: int, within: float
) -> dict[str, dict[str, Any]]:
    """What ``work`` gives for each name, in a process of its own, with ``failed`` and ``msg`` where it gives nothing.

    Args:
        names: each once.
        work: what is done; its result is plain data.
        most: how many processes there are at a time.
        within: seconds after which those that have not ended are ended, and no more are begun.
    """
    found: dict[str, dict[str, Any]] = {name: {"failed": True, "msg": _NOT_ASKED} for name in names}
    ends, waiting = time.monotonic() + within, list(reversed(names))
    with selectors.DefaultSelector() as selector, _ended(selector):
        while waiting or selector.get_map():
            left = ends - time.monotonic()
            if left <= 0:
                break
            while waiting and len(selector.get_map()) < max(1, most):
                name = waiting.pop()
                pid, pipe = _begin(work, name)
                found[name] = {"failed": True, "msg": _SILENT}
                selector.register(pipe, selectors.EVENT_READ, (name, pid, bytearray()))
            for key, _events in selector.select(left):
                name, pid, said = key.data
                part = os.read(key.fd, 65536)
                said += part
                if part and len(said) <= _ANSWER_MAX:
                    continue
                selector.unregister(key.fd)
                os.close(key.fd)
                _end(pid)
                found[name] = _read(said)
    return found


def _begin(work: Callable[[str], Mapping[str, Any]], name: str) -> tuple[int, int]:
    """A process that writes what the work gives; its id, and where it can be read."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    # Nothing above this line of the stack is this process's.
    try:
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        _silence()
        try:
            answer = dict(work(name))
        except Exception as error:  # noqa: BLE001 (whatever it is, it is of this host)
            answer = {"failed": True, "msg": one_line(error, 300)}
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(json.dumps(answer, default=str).encode())
    finally:
        os._exit(0)


def _silence() -> None:
    """Take the screen from this process: it is another one's, and a process that is ended must not hold its lock."""
    with contextlib.suppress(RuntimeError):
        Display().set_queue(_Nobody())


@contextlib.contextmanager
def _ended(selector: selectors.BaseSelector) -> Iterator[None]:
    try:
        yield
    finally:
        for key in list(selector.get_map().values()):
            selector.unregister(key.fd)
            os.close(key.fd)
            _end(key.data[1])


def _end(pid: int) -> None:
    """End a process of ours, and what it started, and take its place in the table of processes away."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


def _read(said: bytes | bytearray) -> dict[str, Any]:
    try:
        answer = json.loads(bytes(said))
    except ValueError:
        return {"failed": True, "msg": "no answer"}
    return answer if isinstance(answer, dict) else {"failed": True, "msg": "no answer"}
