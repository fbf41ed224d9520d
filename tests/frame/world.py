"""The fleet that the faults hit, and what a run left: a well host, a critical one, and one that is down.

Each world has a fleet of its own: two sandbox pipelines, a receiver of alerts, and a small file system for all that the
controller writes (reports, home, temporary files), which can be filled. What a run left of it is gone with the next.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from media_pipeline.launcher import Pipeline, running_pipeline

from tests.host_state import entries, held
from tests.playbooks.conftest import REACHED, ROOT
from tests.receiver import Receiver, receiver

WELL, CRITICAL, DOWN = "frame-well", "frame-critical", "frame-down"
HOSTS = (WELL, CRITICAL, DOWN)
STATES = ("ok", "warning", "unknown", "critical")
INJECT = Path(__file__).with_name("inject.py")
# A run takes some ten seconds where nothing else runs; one that hangs is a failure of it. Seconds that one without a
# fault may take, and how many times as long one with a fault may, at least so many seconds.
BASE_S, TIMES, LEAST_S = 600.0, 6, 120.0
_DISK = ("size=48m", "nr_inodes=6k")
# What the ladder for a broken ffmpeg may delete, and what nothing may.
GOES, STAYS = ("a.old", "b.old"), ("a.mp4", "b.tmp")
TTL_S = 900
# Ten minutes of watching are not what is tested here; a rung that deletes is tried where ffmpeg is broken.
_QUICK = {
    "policy_verify_samples": 2,
    "policy_verify_good": 1,
    "policy_verify_interval": 0.1,
    "policy_lease_ttl": TTL_S,
    # Files that go lie beside such as are of this moment.
    "policy_work_idle_seconds": 0,
}
_RUNG = {
    "rung": "Clean up old files",
    "act": "disk_cleanup",
    "when": {
        "ffmpeg": ["missing", "not_executable", "broken_binary", "broken_library", "altered", "shadowed", "denied"]
    },
    "cured": {},
    "steps": ["P2P-3A"],
    "args": {
        "rules": [
            {
                "rule": "old files",
                "root": "{{ policy_temp_dir }}/video_merge",
                "patterns": ["*.old"],
                "min_age": 0.5,
                "steps": ["P2P-3A"],
            }
        ]
    },
}
_LADDERS = ("service", "processing_pipeline", "monitoring_system", "alerts", "errors", "input", "cloud_storage")
_AWAY = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}


@dataclass(frozen=True)
class Playbook:
    """A playbook as it is run here.

    Attributes:
        name: of playbooks/NAME.yml.
        check: the name of its report, "" where it makes none.
        variables: extra variables.
        tells: whether it sends alerts.
        every: whether all faults are tried at every task.
        sees: whether it looks at what is broken on the critical host.
        hosts: the fleet.
    """

    name: str
    check: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)
    tells: bool = False
    every: bool = False
    sees: bool = True
    hosts: tuple[str, ...] = HOSTS

    @property
    def path(self) -> str:
        """Where it is, from the root."""
        return f"playbooks/{self.name.partition('@')[0]}.yml"


@dataclass(frozen=True)
class Fault:
    """One fault; `hosts` are those that it hits (see tests/frame/inject.py)."""

    k: int
    fault: str
    hosts: tuple[str, ...]
    depth: str = "task"
    after: bool = False

    def text(self) -> str:
        """As FRAME_CASE has it."""
        return ":".join(
            [str(self.k), self.fault, "+".join(self.hosts), self.depth, "after" if self.after else "before"]
        )

    @classmethod
    def of(cls, text: str) -> Fault:
        """From that text."""
        k, fault, hosts, depth, when = text.split(":")
        return cls(int(k), fault, tuple(host for host in hosts.split("+") if host), depth, when == "after")


@dataclass
class Left:
    """What a run left.

    Attributes:
        code: its exit code; negative where a signal, or the test, ended it.
        screen: what it wrote, without colours.
        trace: the lines of the trace (see tests/frame/inject.py).
        result: the document of its report, None where there is none of this run.
        told: how many messages named each host.
        leases: of each host that is held, the seconds until that ends.
        begun: the actions on record in each host's ledger.
        deleted: files of each host that are gone.
        seconds: how long it took.
    """

    code: int
    screen: str
    trace: list[dict[str, Any]]
    result: dict[str, Any] | None
    told: dict[str, int]
    leases: dict[str, float]
    begun: dict[str, set[str]]
    deleted: dict[str, set[str]]
    seconds: float = 0.0
    states: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.states = verdicts(self.screen)
        for row in (self.result or {}).get("hosts", []):
            self.states.setdefault(row["host"], row["state"])

    @property
    def fired(self) -> bool:
        """Whether the fault came to pass."""
        return any(line["fired"] for line in self.trace)


def verdicts(screen: str) -> dict[str, str]:
    """The state of each host in the verdict table; the last one where there are several."""
    words = "|".join(state.upper() for state in STATES)
    names = "|".join(HOSTS)
    return {host: word.lower() for word, host in re.findall(rf"^({words}) +({names})\b", screen, re.MULTILINE)}


class World:
    """A fleet, ready to run playbooks on, one after the other."""

    def __init__(self, directory: Path, pipelines: Mapping[str, Pipeline], alerts: Receiver) -> None:
        self.directory = directory
        self.disk = directory / "disk"
        self._pipelines = pipelines
        self._alerts = alerts
        self._server: subprocess.Popen[bytes] | None = None
        self._said = b""
        self._running = 0

    def inventory(self, order: Sequence[str], channels: bool, more: Mapping[str, Any]) -> Path:
        """An inventory with the hosts in this order."""
        hosts = {}
        for name in order:
            pipeline = self._pipelines.get(name)
            base = self.directory / "hosts" / name
            hosts[name] = {
                **(REACHED if pipeline else _AWAY),
                "media_ops_api_url": pipeline.api_url if pipeline else "http://127.0.0.1:1/api",
                "media_ops_api_token": pipeline.token(86400) if pipeline else "token",
                "policy_base_dir": str(pipeline.base_dir if pipeline else base / "nowhere"),
                "policy_state_dir": str(base / "state"),
                "policy_archive_dir": str(base / "archive"),
                "ansible_remote_tmp": str(base / "tmp"),
            }
        site = {
            "report_dir": str(self.disk / "reports"),
            "report_channels": [{"name": "hook", "type": "webhook", "url": self._alerts.webhook_url}]
            if channels
            else [],
            "policy_become": False,
            "policy_service_path": "/nonexistent",
            "policy_service_unit": "media-ops-no-such-unit",
            "policy_service_user": pwd.getpwuid(os.geteuid()).pw_name,
            "policy_ladders": {"ffmpeg": [_RUNG], **{name: [] for name in _LADDERS}},
            **_QUICK,
            **more,
        }
        path = self.directory / "hosts.json"
        path.write_text(json.dumps({"media_hosts": {"hosts": hosts, "vars": site}}), encoding="utf-8")
        return path

    def environment(self) -> dict[str, str]:
        """What a run has: nothing of the caller's Ansible, and all that it writes on the small file system."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "FRAME_", "XDG_"))}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        return {
            **kept,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "COLUMNS": "160",
            "HOME": str(self.disk / "home"),
            "TMPDIR": str(self.disk / "tmp"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
        }

    def run(
        self,
        playbook: Playbook,
        order: Sequence[str],
        fault: Fault | None = None,
        *,
        limit_s: float = BASE_S,
        settings: Mapping[str, str] | None = None,
        site: Mapping[str, Any] | None = None,
        options: Sequence[str] = (),
        config: str = "",
    ) -> Left:
        """Run a playbook on a fleet that nothing is known of yet.

        Args:
            limit_s: how long it may take.
            settings: environment variables of a site; a run with such has a process of its own.
            site: variables of its inventory.
            options: further arguments.
            config: the text of a configuration file, in place of ours.
        """
        self._renew()
        before = {name: self._files(name) for name in self._pipelines}
        inventory = self.inventory(order, playbook.tells, site or {})
        arguments = ["-i", str(inventory), playbook.path, "-e", json.dumps(playbook.variables), *options]
        asked = {**vars(fault), "disk": str(self.disk)} if fault else {}
        trace, output = self.directory / "trace", self.directory / "output"
        began = time.monotonic()
        if settings is None:
            where = {"cwd": str(ROOT), "trace": str(trace), "output": str(output)}
            code = self._serve({"arguments": arguments, "fault": asked, **where}, limit_s)
        else:
            if config:
                own = self.directory / "ansible.cfg"
                own.write_text(config, encoding="utf-8")
                settings = {
                    **settings,
                    "ANSIBLE_CONFIG": str(own),
                    "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "playbooks" / "collections"),
                }
            code = self._alone(arguments, settings, output, limit_s)
        seconds = time.monotonic() - began
        lines = trace.read_text(encoding="utf-8").splitlines() if trace.exists() else []
        screen = re.sub(r"\x1b\[[0-9;]*m", "", output.read_text(encoding="utf-8", errors="replace"))
        return Left(
            code=code,
            screen=screen,
            trace=[json.loads(line) for line in lines],
            result=self._result(playbook.check),
            told=self._told(),
            leases={name: left for name in HOSTS if (left := self._lease(name)) is not None},
            begun={name: self._begun(name) for name in HOSTS},
            deleted={name: files - self._files(name) for name, files in before.items()},
            seconds=seconds,
        )

    def _renew(self) -> None:
        """As before the first run."""
        hosts = self.directory / "hosts"
        shutil.rmtree(hosts, ignore_errors=True)
        for entry in self.disk.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        for name in ("home", "tmp"):
            (self.disk / name).mkdir()
        for name, pipeline in self._pipelines.items():
            for part in ("state", "archive", "tmp"):
                (hosts / name / part).mkdir(mode=0o750, parents=True)
            place = pipeline.work_dir / "frame"
            place.mkdir(exist_ok=True, parents=True)
            for file in (*GOES, *STAYS):
                (place / file).write_bytes(b"x" * 4096)
        for path in (self.directory / "trace", self.directory / "output"):
            path.unlink(missing_ok=True)
        for seen in (self._alerts.seen, self._alerts.accepted, self._alerts.refusals):
            seen.clear()

    def _serve(self, asked: Mapping[str, Any], limit_s: float) -> int:
        if self._server is None or self._server.poll() is not None:
            self._server = subprocess.Popen(
                [sys.executable, str(INJECT), "--serve"],
                env=self.environment(),
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            self._said = b""
            self._line(self._server, 120.0)
        server = self._server
        assert server.stdin
        server.stdin.write(json.dumps(asked).encode() + b"\n")
        server.stdin.flush()
        self._running = int(self._line(server, 60.0))
        try:
            return int(self._line(server, limit_s))
        except TimeoutError:
            self.interrupt()
            self._line(server, 60.0)
            return -signal.SIGKILL
        finally:
            self._running = 0

    def _line(self, server: subprocess.Popen[bytes], seconds: float) -> str:
        """The next line that the server of runs writes."""
        assert server.stdout
        deadline = time.monotonic() + seconds
        while b"\n" not in self._said:
            if not select.select([server.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError
            if not (chunk := os.read(server.stdout.fileno(), 4096)):
                raise RuntimeError("the server of runs has ended")
            self._said += chunk
        line, _newline, self._said = self._said.partition(b"\n")
        return line.decode().strip()

    def _alone(self, arguments: Sequence[str], settings: Mapping[str, str], output: Path, limit_s: float) -> int:
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, str(INJECT), *arguments],
                env={**self.environment(), **settings},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._running = process.pid
            try:
                return process.wait(limit_s)
            except subprocess.TimeoutExpired:
                self.interrupt()
                process.wait()
                return -signal.SIGKILL
            finally:
                self._running = 0

    def interrupt(self) -> None:
        """End the run that goes on, if there is one; from any thread."""
        if pid := self._running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)

    def close(self) -> None:
        """End the server of runs."""
        if self._server is not None:
            assert self._server.stdin
            self._server.stdin.close()
            self._server.wait(60)
            self._server = None

    # What was left.

    def _files(self, name: str) -> set[str]:
        base = self._pipelines[name].base_dir
        roots = (base / "temp", base / "uploads")
        return {
            str(path.relative_to(base))
            for root in roots
            for path in root.rglob("*")
            if path.is_file() and not path.name.startswith(".health-")
        }

    def _result(self, check: str) -> dict[str, Any] | None:
        path = self.disk / "reports" / check / "latest" / "result.json"
        if check:
            with contextlib.suppress(OSError, ValueError):
                loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
                return loaded
        return None

    def _told(self) -> dict[str, int]:
        bodies = [json.dumps(body) for body in self._alerts.bodies("webhook")]
        return {name: sum(f'"{name}"' in body for body in bodies) for name in HOSTS}

    def _lease(self, name: str) -> float | None:
        try:
            lease = held(self.directory / "hosts" / name / "state")
            if lease is None:
                return None
            ends = datetime.fromisoformat(lease["expires_at"])
        except (ValueError, KeyError, TypeError):
            return float("inf")
        return (ends - datetime.now(UTC)).total_seconds()

    def _begun(self, name: str) -> set[str]:
        path = self.directory / "hosts" / name / "state" / "ledger.jsonl"
        if not path.exists():
            return set()
        return {
            entry["action"]
            for entry in entries(path.read_text(encoding="utf-8"))
            # What failed was begun before, or was never done: its module gave no answer.
            if entry.get("result") in ("started", "done", "interrupted")
        }


@contextlib.contextmanager
def made(directory: Path) -> Iterator[World]:
    """A world in this directory, in a process that has mounts of its own."""
    directory.mkdir(parents=True)
    disk = directory / "disk"
    disk.mkdir()
    options = [part for option in _DISK for part in ("-o", option)]
    subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", str(disk)], check=True)
    with contextlib.ExitStack() as stack:
        stack.callback(subprocess.run, ["umount", "-l", str(disk)], check=True)
        pipelines = {}
        for name in (WELL, CRITICAL):
            pipelines[name] = stack.enter_context(running_pipeline(directory / name))
        pipelines[WELL].feed(2)
        pipelines[CRITICAL].break_ffmpeg()
        world = World(directory, pipelines, stack.enter_context(receiver()))
        stack.callback(world.close)
        yield world
