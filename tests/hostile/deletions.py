"""Scenes of files: many directories side by side below some roots, one API, and one run of disk_cleanup."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.unit.plugins.deletion import DEFAULTS

from .actor import One, Spawner
from .product import Product
from .stage import EITHER, END, KEEP, Api, Kind, Situation, Try, changed, strings

DAY = 86400.0
NOBODY = 65534
NAMES = ("rsync", "python3", "vi", "bash", "tail")


class DeleteScene:
    """The roots, the rules, and the situations that were put there.

    All that is made is `moved_s` old by its ctime, as the product's clock is that far ahead: due in most roots, whose
    rules take what is older than `due_s`, and too young in root `young`, whose rule takes what is older than `old_s`.
    """

    def __init__(self, base: Path, program: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.base = base
        base.chmod(0o755)
        self.moved_s = self.rng.uniform(5, 20) * DAY
        self.due_s = self.rng.uniform(0.02, 0.8) * self.moved_s
        self.old_s = self.rng.uniform(1.2, 4) * self.moved_s
        self.began = time.time()
        self.sessions = base / "temp" / "video_merge"
        self.data, self.young, self.pruned, self.outside = (
            base / name for name in ("data", "young", "pruned", "outside")
        )
        for path in (self.sessions, self.data, self.young, self.pruned, self.outside):
            path.mkdir(parents=True)
        self.events = base / "events"
        self.events.touch()
        self.bin = base / "bin"
        self.bin.mkdir()
        for name in (*NAMES, "sshd"):
            os.link(program, self.bin / name)
        self.rules = [
            self.rule("sessions", self.sessions),
            self.rule("data", self.data),
            self.rule("pruned", self.pruned, prune_empty=True),
            self.rule("young", self.young, min_age=self.old_s, prune_empty=True),
        ]
        self.options: dict[str, Any] = {"sessions_dir": str(self.sessions), "max_listed": 1000}
        self.product = Product()
        self.stranger = Spawner(self.bin / "sshd", "sshd", self.events)
        self.api = Api()
        self.situations: list[Deletion] = []
        self.loops: list[str] = []
        self.uid = 0

    def rule(self, name: str, root: Path | str, **changed: Any) -> dict[str, Any]:
        """A rule as the module gets it."""
        plain = {"rule": name, "root": str(root), "patterns": ["*"], "min_age": self.due_s, "min_size": 0}
        return {**plain, "age_of": "change", "prune_empty": False, "steps": [], **changed}

    def play(self, kinds: Sequence[Kind], scene: int) -> list[Try]:
        """Make the situations, run the product over them, and judge."""
        self.api.start()
        for number, one in enumerate(kinds):
            situation = Deletion(one, number, random.Random(self.rng.random()), scene=self)
            one.make(situation)
            self.situations.append(situation)
        for situation in self.situations:
            situation.check_made()
        params = {**DEFAULTS, "api_url": self.api.url, "rules": self.rules, **self.options}
        result = self.product.run("clean", params, moved_s=self.moved_s, uid=self.uid, limit_s=120)
        tries = [situation.judge(result, scene) for situation in self.situations]
        for device in self.loops:
            subprocess.run(["losetup", "--detach", device], check=False, capture_output=True)
        return tries


@dataclass
class Deletion(Situation):
    """One situation around some files; `judge` knows what had to go and what had to stay."""

    scene: DeleteScene = field(kw_only=True)
    keep: dict[Path, bytes | None] = field(default_factory=dict)
    later: dict[Path, bytes] = field(default_factory=dict)
    go: list[Path] = field(default_factory=list)
    made: list[One] = field(default_factory=list)
    places: list[Path] = field(default_factory=list)
    unless: list[Callable[[], str]] = field(default_factory=list)

    # Making

    def dir(self, root: Path | None = None, name: str = "") -> Path:
        """A directory of its own below a root."""
        path = (root or self.scene.data) / (name or f"s{self.number:04}")
        path.mkdir(parents=True, exist_ok=True)
        if path not in self.places:
            self.places.append(path)
        return path

    def root(self, name: str = "", **rule: Any) -> Path:
        """A root of its own, with a rule of its own."""
        path = self.scene.base / f"root{self.number:04}{name}"
        path.mkdir()
        self.places.append(path)
        self.scene.rules.append(self.scene.rule(f"rule{self.number:04}{name}", path, **rule))
        return path

    def file(self, path: Path, *, age_s: float = 0, content: bytes | None = None) -> Path:
        """A file that was changed so long ago by the product's clock, by its mtime: long ago unless it is said."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.rng.randbytes(self.rng.choice([1, 100, 5000])) if content is None else content)
        return self.dated(path, age_s)

    def dated(self, path: Path, age_s: float = 0) -> Path:
        """Give a path a date."""
        then = self.scene.began + self.scene.moved_s - (age_s or self.old_s())
        os.utime(path, (then, then), follow_symlinks=False)
        return path

    def old_s(self) -> float:
        """An age that every rule takes."""
        return self.scene.old_s + self.rng.uniform(1, 300) * DAY

    def id(self) -> str:
        """An id as the service makes them."""
        digits = f"{self.rng.getrandbits(128):032x}"
        return self.rng.choice([f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}", digits[:12], f"merge_{digits[:10]}"])

    def enlist(self, *ids: str) -> None:
        """Let the API list sessions."""
        self.scene.api.rows += [{"session_id": one, "stage": "preparation"} for one in ids]

    def must_go(self, *paths: Path) -> None:
        """These must go."""
        self.go += paths

    def must_stay(self, *paths: Path) -> None:
        """These must be there afterwards, with what is in them now."""
        for path in paths:
            self.keep[path] = path.read_bytes() if path.is_file() and not path.is_symlink() else None

    def spawn(self, *script: str, name: str = "", exe: Path | None = None) -> list[One]:
        """Start a process."""
        name = name or self.rng.choice(NAMES)
        made = self.scene.stranger.spawn(exe or self.scene.bin / name, [name, "-q"], script)
        self.made += made
        return made

    def mount(self, *arguments: str) -> None:
        """Mount something, in the scene's own world."""
        subprocess.run(["mount", *arguments], check=True, capture_output=True)

    def event(self, what: str) -> bool:
        """Whether one of its processes has noted something."""
        text = self.scene.events.read_text()
        return any(f" {one.pid} {what}\n" in text for one in self.made)

    # Judging

    def check_made(self) -> None:
        """Hold the test to its own word: what is to go and to stay is there now."""
        for path in (*self.keep, *self.go):
            assert os.path.lexists(path), f"{self.kind.name}: {path} is not there"
        for one in self.made:
            assert one.alive, f"{self.kind.name}: a process of it has ended by itself"

    def words(self, result: dict[str, Any]) -> tuple[str, bool]:
        """All that the answer says of this situation, and whether the answer may have more that it does not show."""
        places = [str(place) for place in self.places]
        rows = [row for row in result.get("skipped_files", []) if any(row["path"].startswith(one) for one in places)]
        shown: dict[tuple[str, str], int] = {}
        for row in result.get("skipped_files", []):
            key = (row["rule"], row["reason"])
            shown[key] = shown.get(key, 0) + 1
        # A reason may be told by its kind in the counts, and with its details beside a path.
        cut = any(
            count > sum(n for (name, reason), n in shown.items() if name == rule["rule"] and reason.startswith(key))
            for rule in result.get("rules", [])
            for key, count in rule["skipped"].items()
        )
        said = [text for row in rows for text in strings(row)]
        for rule in result.get("rules", []):
            if rule["root"] in places:
                said += list(strings({key: rule[key] for key in ("state", "reason", "skipped")}))
        said += [result.get("refused_all", "")]
        return " | ".join(filter(None, said)), cut

    def judge(self, result: dict[str, Any], scene: int) -> Try:
        """What came of it."""
        verdict, detail = self._judge(result)
        notes = "; ".join(self.notes)
        return Try(self.kind.name, self.right, verdict, " | ".join(filter(None, [detail, notes])), scene, self.number)

    def _judge(self, result: dict[str, Any]) -> tuple[str, str]:
        excuse = next(filter(None, (one() for one in self.unless)), "")
        if excuse:
            self.right = EITHER
            self.notes.append(excuse)
        else:
            wrong = [
                f"{path} was {how}"
                for path, before in {**self.keep, **self.later}.items()
                if (how := changed(path, before))
            ]
            if wrong:
                return "wrong", "; ".join(wrong[:3])
        if "broke" in result:
            return "missed" if self.right == END else "kept", f"the product broke: {result['broke'][-400:]}"
        words, cut = self.words(result)
        left = [f"{path} is there" for path in self.go if os.path.lexists(path)]
        if self.right == END:
            if not left:
                return "acted", ""
            return ("said" if words or cut else "missed"), f"{'; '.join(left[:3])} | {words[:400]}"
        if self.right == KEEP and self.says and not cut and not self.has_word(self.says, words):
            return "unsaid", f"no word of {self.says!r} in: {words[:400]}"
        return ("acted" if self.go and not left else "kept"), ""
