# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Archives of logs copied to an S3 store: which have no verified copy there, and what is to be done about it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Callable, NamedTuple

from ..deadline import Deadline, seconds_for
from ..errors import OptionError
from ..opener import open_regular_at
from ..plan import Action, plan_hash, planned, require_hash
from ..shapes import one_line
from ..storage.client import PLAIN_REQUESTS, in_child, need_boto3
from ..storage.settings import Settings, clean, read_settings
from ..system.tree import Root, locked, opened_option
from ..words import number_of
from . import copies
from .archive import ARCHIVE_NAME, hashed
from .copies import Job, Leftover
from .register import Made, Register, read_register, write_register

_STEPS = ["WL-3"]
_SHOWN = 100
_LONGEST_S = 86400
_MIB = 1 << 20
_VERBS = {"missing": "copy", "unverified": "verify", "differing": "copy", "damaged": "copy"}
_STUCK = ("unknown", "differing", "damaged")
_WHY = {
    "missing": "the store has no copy of it",
    "unverified": "the store has it, and it is not known to be complete and right",
    "differing": "the store has another object of this name",
    "damaged": "the archive on the host is not what was made",
}


class Archive(NamedTuple):
    """An archive on the host.

    Attributes:
        sha256: that it has now.
        made: that it had when it was made; empty where that was not written.
    """

    name: str
    size: int
    sha256: str
    made: str = ""


@dataclass(frozen=True)
class Seen:
    """What the store has: by name ``bytes``; ``mark``, the SHA-256 that was compared once, or ""; ``marked``, the same
    where the copy is not younger.

    Where it could not be asked ``state`` is the class of fault, with its reason.
    """

    state: str = "ok"
    reason: str = ""
    copies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def of(self, archive: Archive) -> str:
        """How it stands: verified, missing, unverified, differing, damaged, archived (in a cold class), unknown."""
        copy = self.copies.get(archive.name)
        if self.state != "ok":
            return "unknown"
        if self.was(archive) not in ("", archive.sha256):
            return "damaged"
        if copy is None:
            return "missing"
        if copy["bytes"] != archive.size:
            return "differing"
        if copy.get("archived"):
            return "archived"
        return "verified" if copy["marked"] == archive.sha256 else "unverified"

    def was(self, archive: Archive) -> str:
        """The SHA-256 of an archive when it was made, else when its copy was compared; empty where nobody knows."""
        return archive.made or str(self.copies.get(archive.name, {}).get("mark", ""))

    def advice(self, archive: Archive) -> str:
        """Which of an archive and its copy has changed, and how the good one is kept, where they differ."""
        was, copy = self.was(archive), self.copies.get(archive.name)
        if was == archive.sha256:
            how = "as the SHA-256 that was written when it was made says" if archive.made else "as its mark says"
            return (
                f"The archive on the host is the good one, {how}. Keep it: move the object of its name in the store "
                "away, and the next run copies it"
            )
        if not was:
            return (
                "The store has an object of this name with other content, and nobody can say which of both is what was "
                "made. Keep both: look at them, and move the object in the store away if the archive is the good one"
            )
        changed = f"the archive on the host has changed: its SHA-256 was {was[:12]}…, and is {archive.sha256[:12]}…"
        if copy is not None and copy.get("marked") == was:
            return (
                "The copy in the store is the good one, as its mark says. Keep it: fetch it, and put it in place of "
                f"the archive; {changed}"
            )
        return f"The store has no proved copy of what was made. Keep what there is, nothing is copied; {changed}"


def archive_copy(params: Mapping[str, Any], *, check_mode: bool, hide: Callable[[str], None]) -> dict[str, Any]:
    """The result of module archive_copy.

    Args:
        params: its options.
        check_mode: whether to plan only.
        hide: takes each secret that must not be in the module's output.
    """
    if not 5 * _MIB <= params["part_size"] <= 1024 * _MIB:
        raise OptionError("part_size", params["part_size"], "must be 5242880 (5 MiB) to 1073741824 (1 GiB)")
    settings = read_settings({**params, "write": True}, check_mode=check_mode, hide=hide, longest=_LONGEST_S)
    with contextlib.ExitStack() as stack:
        root = stack.enter_context(opened_option("archive_dir", params["archive_dir"]))
        if not check_mode:
            stack.enter_context(locked(root))
        register = read_register(root)
        archives, unread = _archives(root, register)
        run = _Run(settings, root, archives, params["part_size"])
        leftovers = [Leftover(of.archive, name) for name, of in register.uploads.items() if of.to == run.destination]
        run.plan = make_plan(archives, run.seen, run.destination, leftovers)
        require_hash(run.plan, params["plan_hash"])
        digest = plan_hash(run.plan)
        if not check_mode:
            run.carry_out()
            run.note()
        result = {**run.result(unread, check_mode=check_mode), "hash": digest}
    return clean(result, settings.hidden())  # type: ignore[no-any-return]


def _archives(root: Root, register: Register) -> tuple[list[Archive], list[dict[str, str]]]:
    """The archives of a directory, oldest first by name, and those that cannot be read."""
    found, unread = [], []
    for name in sorted(os.listdir(root.fd)):
        if not ARCHIVE_NAME.fullmatch(name):
            continue
        try:
            fd = open_regular_at(root.fd, name)
        except OSError as error:
            unread.append({"archive": name, "reason": one_line(error.strerror)})
            continue
        try:
            made = register.archives.get(name)
            size, sha256 = hashed(fd, Deadline(seconds_for(os.fstat(fd).st_size)))
            found.append(Archive(name, size, sha256, made.sha256 if made else ""))
        finally:
            os.close(fd)
    return found, unread


def make_plan(
    archives: Sequence[Archive], seen: Seen, destination: str, leftovers: Sequence[Leftover] = ()
) -> list[Action]:
    """One action for each archive without a verified copy; one for all where the store could not be asked.

    After these one for each upload that a run before left in the store.
    """
    if seen.state != "ok":
        if not archives:
            return []
        stable: dict[str, Any] = {"kind": "unknown", "to": destination, "archives": [[*one] for one in archives]}
        why = "the store could not be asked which of them it has"
        return [planned("copy", f"{number_of(len(archives), 'archive')} to {destination}", why, _STEPS, stable=stable)]
    plan = []
    for archive in archives:
        state = seen.of(archive)
        if state in ("verified", "archived"):
            continue
        copy = seen.copies.get(archive.name)
        proof = {} if copy is None else {"bytes": copy["bytes"]}
        stable = {"kind": state, "to": destination, "archive": [*archive]}
        target = f"{archive.name} ({archive.size} bytes) {'in' if state == 'unverified' else 'to'} {destination}"
        plan.append(planned(_VERBS[state], target, _WHY[state], _STEPS, stable=stable, proof=proof))
    for leftover in leftovers:
        stable = {"kind": "unfinished", "to": destination, "archive": leftover.name, "upload": leftover.upload}
        target = f"what was sent of {leftover.name} to {destination}"
        plan.append(
            planned("delete", target, "a run before was cut off before it had sent all of it", _STEPS, stable=stable)
        )
    return plan


def _job(action: Action) -> Job | Leftover | None:
    """What is to be done in the store for an action; None where nothing can be."""
    stable = action["stable"]
    if stable["kind"] == "unfinished":
        return Leftover(stable["archive"], stable["upload"])
    if stable["kind"] in _STUCK:
        return None
    archive = Archive(*stable["archive"])
    return Job("copy" if stable["kind"] == "missing" else "verify", archive.name, archive.size, archive.sha256)


class _Run:
    """One look at the store, and what follows from it."""

    def __init__(self, settings: Settings, root: Root, archives: list[Archive], part_size: int) -> None:
        self._settings = settings
        self._root = root
        self._archives = archives
        self._part_size = part_size
        self._ends = time.monotonic() + settings.total_timeout
        self.destination = settings.destination
        self.plan: list[Action] = []
        self.seen = self._look()
        self._state = self.seen.state
        self._states = {archive: self.seen.of(archive) for archive in archives}

    def _look(self) -> Seen:
        settings = self._settings
        if settings.trouble:
            return Seen(settings.trouble.state, settings.trouble.reason)
        need_boto3()
        names = [archive.name for archive in self._archives]
        left = self._left()
        found = in_child(settings, lambda: copies.look(settings, names, left), left, **PLAIN_REQUESTS)
        if found.found is None:
            return Seen("unknown", f"the look at the store ended without a result (wait status {found.status})")
        return Seen(**found.found)

    def _left(self) -> float:
        return max(self._ends - time.monotonic(), 0.0)

    # Acting

    def carry_out(self) -> None:
        """Copy and compare what the plan has, and put into the plan what came of it."""
        work = []
        for action in self.plan:
            job = _job(action)
            if job:
                work.append((action, job))
            else:
                action["result"], action["msg"] = "failed", self._why_not(action)
        if not work:
            return
        outcomes = self._outcomes([job for _action, job in work])
        for (action, job), outcome in zip(work, outcomes):  # noqa: B905
            action["result"], action["msg"] = outcome["result"], outcome["msg"]
            if outcome["state"] not in ("ok", "differing", "archived") and self._state == "ok":
                self._state = outcome["state"]
            if isinstance(job, Job):
                self._came_of(Archive(*action["stable"]["archive"]), action, outcome)

    def _came_of(self, archive: Archive, action: Action, outcome: Mapping[str, Any]) -> None:
        """Note how an archive stands after it was copied or compared, or was not."""
        if outcome["result"] == "done":
            self._states[archive] = "verified"
        elif outcome["state"] in ("archived", "differing"):
            self._states[archive] = outcome["state"]
        if outcome["state"] == "differing":
            action["msg"] = one_line(self.seen.advice(archive), 600)

    def note(self) -> None:
        """Keep in the register which archives have a proved copy, so that they may go when they are old."""
        if self.seen.state != "ok":
            return
        register = read_register(self._root)
        before = {name: made.copied_to for name, made in register.archives.items()}
        for archive, state in self._states.items():
            if state == "verified":
                made = register.archives.setdefault(archive.name, Made(archive.size, archive.sha256))
                made.copied_to = self.destination
            elif state != "archived" and before.get(archive.name) == self.destination:
                register.archives[archive.name].copied_to = ""
        if before != {name: made.copied_to for name, made in register.archives.items()}:
            write_register(self._root, register)

    def _outcomes(self, jobs: list[Job | Leftover]) -> list[dict[str, Any]]:
        settings, left = self._settings, self._left()
        ended = in_child(
            settings,
            lambda: copies.carry_out(settings, self._root, jobs, self._part_size, left),
            left,
            **PLAIN_REQUESTS,
        )
        if ended.found is not None:
            return list(ended.found["outcomes"])
        said = f"unknown: the copying ended without a result (wait status {ended.status})"
        return [{"result": "failed", "state": "unknown", "msg": said} for _job in jobs]

    def _why_not(self, action: Action) -> str:
        if action["stable"]["kind"] == "unknown":
            return one_line(f"{self.seen.state}: {self.seen.reason}", 600)
        return one_line(self.seen.advice(Archive(*action["stable"]["archive"])), 600)

    # What is shown

    def result(self, unread: list[dict[str, str]], *, check_mode: bool) -> dict[str, Any]:
        """What the module says."""
        if check_mode:
            changed = any(action["stable"]["kind"] not in _STUCK for action in self.plan)
            stuck = [one for one in self.plan if one["stable"]["kind"] in _STUCK]
            troubles = [f"{one['target']}: {self._why_not(one)}" for one in stuck]
        else:
            changed = any(action["result"] == "done" for action in self.plan)
            troubles = [f"{one['target']}: {one['msg']}" for one in self.plan if one["result"] == "failed"]
        troubles += [f"{one['archive']} cannot be read: {one['reason']}" for one in unread]
        states = list(self._states.values())
        cold = states.count("archived")
        if cold:
            troubles.append(f"{cold} copies are in a cold class of the store and cannot be read now")
        verified = f"{states.count('verified')} of {len(states)} archives have a verified copy in {self.destination}"
        return {
            "changed": changed,
            "plan": self.plan,
            "state": next(
                (one for one in ("damaged", "differing") if self._state == "ok" and one in states), self._state
            ),
            "msg": one_line("; ".join([verified, *troubles[:3]]), 600),
            "destination": self.destination,
            "archives": [
                {"archive": archive.name, "bytes": archive.size, "sha256": archive.sha256, "state": state}
                for archive, state in list(self._states.items())[-_SHOWN:]
            ],
            "verified": states.count("verified"),
            "unread": unread[:_SHOWN],
        }
