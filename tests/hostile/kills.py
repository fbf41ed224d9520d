"""Scenes of sessions: many side by side in one directory, one service, one API, and one run of session_terminate."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.session_site import default_params

from .actor import One, Spawner
from .product import Product
from .stage import EITHER, END, GROUPS, KEEP, Api, Kind, Situation, Sockets, Try, changed, strings

PROGRAMS = ("ffmpeg", "ffprobe", "python3", "rsync", "vi", "bash", "ffmpeg-linux-x86_64-v7.0.2", "transcoder")
NOBODY = 65534
# How far the looks are apart, and how many there are. What goes on slowly does so at least twice in that time.
INTERVAL_S, SAMPLES = 0.6, 3


class KillScene:
    """The directories, the service and its neighbours, and the situations that were put there."""

    def __init__(self, base: Path, program: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.base = base
        self.work_dir = base / "temp" / "video_merge"
        self.work_dir.mkdir(parents=True)
        self.outside = base / "outside"
        self.outside.mkdir()
        self.log = base / "temp" / "media_processing.log"
        self.log.touch()
        self.log.chmod(0o666)
        self.events = base / "events"
        self.events.touch()
        self.events.chmod(0o666)
        self.bin = base / "bin"
        self.bin.mkdir()
        for name in (*PROGRAMS, "uvicorn", "systemd", "sshd"):
            os.link(program, self.bin / name)
        for path in (base, base / "temp", self.work_dir, self.outside, self.bin):
            path.chmod(0o777)
        self.orphans_may_end = self.rng.random() < 0.5
        self.product = Product()
        self.old = Spawner(self.bin / "uvicorn", "uvicorn", self.events)
        self.service = self.old
        self.stranger = Spawner(self.bin / "sshd", "sshd", self.events)
        self.sockets = Sockets(self.outside)
        self.api = Api()
        self.params: dict[str, Any] = {}
        self.situations: list[Kill] = []
        self.cleanups: dict[str, Callable[[], None]] = {}
        self.late: list[Callable[[], None]] = []

    def play(self, kinds: Sequence[Kind], scene: int) -> list[Try]:
        """Make the situations, run the product over them, and judge."""
        seeds = [self.rng.random() for _one in kinds]
        numbered = [
            Kill(one, n, random.Random(seed), scene=self)
            for n, (one, seed) in enumerate(zip(kinds, seeds, strict=True))
        ]
        for situation in numbered:
            if situation.kind.early:
                self._make(situation)
        # Starts are told in ticks: the service has to be younger than what is left of the one before it.
        time.sleep(0.03)
        self.service = Spawner(self.bin / "uvicorn", "uvicorn", self.events)
        self.api.start()
        self.sockets.start()
        for situation in numbered:
            if not situation.kind.early:
                self._make(situation)
        self.old.stop()
        for act in self.late:
            act()
        for situation in self.situations:
            situation.check_made()
        result = self.product.run("terminate", self._params(), limit_s=60 + 3 * len(kinds))
        return [situation.judge(result, scene) for situation in self.situations]

    def _make(self, situation: Kill) -> None:
        situation.kind.make(situation)
        self.situations.append(situation)

    def _params(self) -> dict[str, Any]:
        mine = {"service_pid": self.service.pid, "work_dir": str(self.work_dir), "log_path": str(self.log)}
        times = {"samples": SAMPLES, "interval": INTERVAL_S, "grace": 1.0, "wait": 0.0, "log_lines": 0}
        limits = {"orphans": self.orphans_may_end, "connect_timeout": 2.0, "read_timeout": 2.0, "total_timeout": 3.0}
        return default_params(**{**mine, **times, **limits, "api_url": self.api.url, **self.params})


@dataclass
class Kill(Situation):
    """One situation around a session; `judge` knows what had to live and what had to end.

    What must live and what must be there hold always; what must end only where that is right. `working` are sessions
    for which no restart may be asked while a process of the situation lives.
    """

    scene: KillScene = field(kw_only=True)
    id: str = ""
    live: list[One] = field(default_factory=list)
    dead: list[One] = field(default_factory=list)
    keep: dict[Path, bytes | None] = field(default_factory=dict)
    go: list[Path] = field(default_factory=list)
    made: list[One] = field(default_factory=list)
    working: list[str] = field(default_factory=list)
    row: dict[str, Any] = field(default_factory=dict)
    unless: list[Callable[[], str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.id = self.id or self.new_id()
        self.ids = [self.id]

    # Making

    def new_id(self, prefix: str = "") -> str:
        """An id as the service makes them: 8 to 36 characters."""
        digits = f"{self.rng.getrandbits(128):032x}"
        whole = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
        return prefix + self.rng.choice([whole, digits[:12], f"merge_{digits[:10]}", f"{digits[:8]}-{self.number}"])

    def dir(self, session_id: str = "") -> Path:
        """The session's own directory, with some files."""
        path = self.scene.work_dir / (session_id or self.id)
        if not path.exists():
            path.mkdir()
            path.chmod(0o777)
            for number in range(self.rng.randint(1, 3)):
                file = path / f"segment_{number:02}.mp4"
                file.write_bytes(self.rng.randbytes(self.rng.choice([1, 900, 5000])))
                file.chmod(0o666)
        return path

    def enlist(
        self, session_id: str = "", minutes: float = 0, stage: str = "preparation", **changed: Any
    ) -> dict[str, Any]:
        """Let the API list a session, old enough to be ended unless it says how old."""
        minutes = minutes or self.rng.choice([61, 75, 180, 1500])
        start = datetime.now(UTC) - timedelta(minutes=minutes)
        row = {
            "session_id": session_id or self.id,
            "user_id": "u",
            "stage": stage,
            "start_time": start.replace(tzinfo=None).isoformat(),
            "duration_seconds": minutes * 60,
            "duration_minutes": minutes,
            **changed,
        }
        self.scene.api.rows.append(row)
        self.row = row
        return row

    def spawn(
        self,
        *script: str,
        name: str = "ffmpeg",
        argv: Sequence[str] = (),
        by: Spawner | None = None,
        uid: int = 0,
        exe: Path | None = None,
    ) -> list[One]:
        """Start a process, of the service unless it is said whose."""
        command = [name, *(argv or ("-nostdin", "-i", "in.ts", "-y", "out.mp4"))]
        made = (by or self.scene.service).spawn(exe or self.scene.bin / name, command, script, uid)
        self.made += made
        return made

    def must_end(self, processes: Sequence[One], *files: Path) -> None:
        """These must end, and the files must go."""
        self.dead += processes
        self.go += files

    def must_live(self, processes: Sequence[One]) -> None:
        """These must live."""
        self.live += processes

    def must_stay(self, *files: Path) -> None:
        """These must be there afterwards, with what is in them now."""
        for path in files:
            self.keep[path] = path.read_bytes() if path.is_file() else None

    def port(self, what: str) -> str:
        """The port of one of the other ends."""
        return Sockets.port(getattr(self.scene.sockets, what))

    def idle(self) -> str:
        """Something that does nothing, in one of its ways."""
        poll = f"poll\t{self.port('silent')}\t{self.rng.choice([50, 100, 200])}"
        return self.rng.choice(["hold", "hold", "fullpipe", "bytes", poll, "futex\t-\t100", "naps\t-\t100"])

    def bound(self) -> tuple[list[str], list[str]]:
        """A way to work in the session's directory that proves it: lines of the script, and arguments."""
        directory = self.dir()
        out = directory / "prepared_00.mp4"
        plain = ["-nostdin", "-i", "http://127.0.0.1/in.ts", "-y"]
        way = self.rng.choice(["cwd", "open", "argument"])
        if way == "cwd":
            return [f"cd\t{directory}"], [*plain, "prepared_00.mp4"]
        if way == "open":
            return [f"open\t{out}\tw"], [*plain, "prepared_00.mp4"]
        out.write_bytes(b"begun")
        return [], [*plain, str(out)]

    def stuck(self, session_id: str = "", **how: Any) -> list[One]:
        """A process of the service that works in the directory and does nothing any more, of a listed session."""
        if session_id:
            kept, self.id = self.id, session_id
            try:
                return self.stuck(**how)
            finally:
                self.id = kept
        lines, argv = self.bound()
        self.enlist(minutes=how.pop("minutes", 0))
        return self.spawn(*lines, self.idle(), argv=argv, **how)

    def gone_with(self, processes: Sequence[One]) -> None:
        """They are right to be ended, and with them the directory."""
        self.must_end(processes, self.dir())

    def group(self, kind: str, process: One) -> Path | None:
        """Put a process into a new control group; None where there are none to be had."""
        for top in GROUPS:
            if (top / "cgroup.controllers").exists():
                path = top / f"hostile-{self.scene.base.name}-{self.number}.{kind}"
                path.mkdir()
                (path / "cgroup.procs").write_text(str(process.pid), encoding="ascii")
                return path
        return None

    def at_ask(self, number: int, act: Callable[[], None]) -> None:
        """Do something before the API answers for that time."""
        self.scene.api.before.setdefault(number, []).append(act)

    def after_ask(self, number: int, act: Callable[[], None]) -> None:
        """Do something once the API's answer of that time is fixed: who asks again learns of it."""
        self.scene.api.after.setdefault(number, []).append(act)

    def wake(self, process: One) -> Callable[[], None]:
        """Let a process that awaits it go on."""

        def act() -> None:
            if process.alive:
                os.kill(process.pid, 10)

        return act

    def event(self, process: One, what: str) -> bool:
        """Whether a process has noted something."""
        return f" {process.pid} {what}\n" in self.scene.events.read_text()

    # Judging

    def check_made(self) -> None:
        """Hold the test to its own word: what is to live or to end does live now."""
        for one in (*self.live, *self.dead):
            assert one.alive, f"{self.kind.name}: a process of it has ended by itself"

    def words(self, result: dict[str, Any]) -> str:
        """All that the answer says of this situation."""
        said: list[str] = []
        pids = {one.pid for one in self.made}
        for key in ("sessions", "orphans", "refused"):
            rows = [row for row in result.get(key, []) if row.get("session_id") in self.ids]
            said += [": ".join(str(row[part]) for part in ("state", "why") if part in row) for row in rows]
            said += [text for row in rows for text in strings(row.get("files", {}).get("skipped"))]
        for action in result.get("plan", []):
            if action["stable"].get("session") in self.ids:
                said += [action["target"], str(action["result"]), action["msg"]]
        said += [text for text in result.get("escalate", []) if any(one in text for one in self.ids)]
        said += [row["why"] for row in result.get("unproved", []) if row["pid"] in pids]
        return " | ".join(said)

    def _told(self, result: dict[str, Any]) -> str:
        """Why a session was not ended, as far as a person is told."""
        for key in ("sessions", "orphans"):
            for row in result.get(key, []):
                if row["session_id"] in self.ids and "not to be ended" in row["why"]:
                    return str(row["why"])
        for action in result.get("plan", []):
            if action["stable"].get("session") in self.ids and action["result"] in ("skipped", "failed"):
                return str(action["msg"])
        for row in result.get("refused", []):
            if row["session_id"] in self.ids:
                return str(row["why"])
        return str(result.get("refused_all", ""))

    def judge(self, result: dict[str, Any], scene: int) -> Try:
        """What came of it."""
        verdict, detail = self._judge(result)
        return Try(
            self.kind.name,
            self.right,
            verdict,
            f"{detail}{' | ' if self.notes else ''}{'; '.join(self.notes)}",
            scene,
            self.number,
        )

    def _judge(self, result: dict[str, Any]) -> tuple[str, str]:
        excuse = next(filter(None, (one() for one in self.unless)), "")
        if excuse:
            self.right = EITHER
            self.notes.append(excuse)
        else:
            wrong = [f"pid {one.pid} was ended" for one in self.live if not one.alive]
            wrong += [f"{path.name} was {how}" for path, before in self.keep.items() if (how := changed(path, before))]
            wrong += [
                f"restart asked for {one}, which has a living process"
                for one in self.working
                if one in result.get("restart_needed", []) and any(process.alive for process in self.made)
            ]
            if wrong:
                return "wrong", f"{'; '.join(wrong)} | {self.words(result)[:400]}"
        if "broke" in result:
            return "missed" if self.right == END else "kept", f"the product broke: {result['broke'][-300:]}"
        left = [f"pid {one.pid} lives" for one in self.dead if one.alive]
        left += [f"{path.name} is there" for path in self.go if os.path.lexists(path)]
        if self.right == END:
            if not left:
                return "acted", ""
            told = self._told(result)
            return ("said" if told else "missed"), f"{'; '.join(left)} | {told or self.words(result)[:300]}"
        if self.right == KEEP and self.says:
            words = self.words(result)
            # On a busy machine the API may come too late: that is a reason of its own.
            says = (
                self.says
                if result.get("api", {}).get("state", "ok") == "ok"
                else f"{self.says}|the API answered only once"
            )
            if "refused_all" not in result and not self.has_word(says, words):
                return "unsaid", f"no word of {self.says!r} in: {words[:400]}"
        acted = self.right == EITHER and bool(self.dead) and not left
        return ("acted" if acted else "kept"), ""
