# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rotated logs put into verified archives: no line is lost, none is there twice, wherever a run is killed.

The order is what guarantees it. The archive is written under a temporary name, brought to the disk, read back and
compared; a journal then says which files are in which archive; the archive gets its name; only then do the files go,
and the journal last. A run that finds a journal finishes what it says: it gives the archive its name if only that is
lacking, and deletes the files. What cannot be deleted stays in the journal, so that no other archive is made of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from ..clock import require_clock
from ..deadline import Deadline, seconds_for
from ..plan import Action, plan_hash, planned, require_hash
from ..redact import Redactor
from ..rotated import PACKED
from ..state import directory
from ..system.tree import Root, locked, opened_option
from ..times import utc_now
from .archive import data_size, hashed
from .between_runs import BetweenRuns
from .expiry import Expired, Expiry
from .journal import Journal
from .making import Making, require_space
from .register import Register, read_register
from .removal import Removal
from .rotated_logs import Log, Look, Seen
from .rotation import rotation
from .set_aside import log_name
from .settings import Settings, read_settings
from .twins import set_twins_apart, unpacked


def log_archive(params: Mapping[str, Any], *, check_mode: bool, redactor: Redactor | None = None) -> dict[str, Any]:
    """The result of module log_archive.

    Args:
        params: its options.
        check_mode: whether to plan only.
        redactor: takes the secrets out of what goes into an archive, None for the lines as they are.
    """
    require_clock(params)
    settings = read_settings(params, redactor, utc_now().date())
    with (
        opened_option("log_dir", params["log_dir"]) as logs,
        opened_option("archive_dir", params["archive_dir"]) as archives,
    ):
        run = _Run(settings, logs, archives)
        with contextlib.closing(run), contextlib.ExitStack() as locks:
            if not check_mode:
                # One run at a time in either directory; disk_cleanup leaves a locked one alone.
                for root in {root.path: root for root in (logs, archives)}.values():
                    locks.enter_context(locked(root))
            return run.work(check_mode=check_mode)


class _Run:
    """One run over one log directory and one archive directory, both open."""

    def __init__(self, settings: Settings, logs: Root, archives: Root) -> None:
        self._settings = settings
        self._logs = logs
        self._archives = archives
        self._between = BetweenRuns(logs.path, archives)
        self._look = Look(logs, archives)
        self._seen = self._look.seen
        self._removal = Removal(logs, self._seen, self._between, settings)
        self._register = Register()
        self._archive: dict[str, Any] | None = None
        self._deadline = Deadline(seconds_for(0))

    def close(self) -> None:
        self._seen.close()

    def work(self, *, check_mode: bool) -> dict[str, Any]:
        seen, settings, removed = self._seen, self._settings, self._removal.removed
        self._between.read(check_mode=check_mode)
        self._register = read_register(self._archives)
        self._take_logs()
        needed = {journal.archive for journal in self._between.journals if journal.kept}
        expiry = Expiry(self._archives, settings.terms, settings.today, self._register, needed)
        self._deadline = Deadline(
            seconds_for(sum(data_size(log.fd, log.identity.size) for log in seen.logs + seen.archived))
        )
        state = rotation(self._logs.fd, settings.patterns, settings.limits, seen.writers)
        plan = make_plan(
            seen,
            self._between.journals,
            expiry.due,
            log_dir=self._logs.path,
            archive_dir=self._archives.path,
            compression=settings.compression,
        )
        require_hash(plan, settings.plan_hash)
        freed = sum(archive.size for archive in expiry.due)
        space = require_space(seen.logs, settings, self._archives, self._register, freed)
        if not check_mode:
            for action in plan:
                self._carry_out(action, expiry)
        return {
            "changed": bool(plan) if check_mode else any(action["result"] == "done" for action in plan),
            "plan": plan,
            "hash": plan_hash(plan),
            "archive": self._archive,
            "removed": {"files": len(removed), "bytes": sum(removed)},
            "skipped_files": seen.skipped,
            "left": self._between.left,
            "expired": expiry.result(),
            "space": space,
            "rotation": state,
        }

    def _take_logs(self) -> None:
        seen, journals = self._seen, self._between.journals
        archived = {identity for journal in journals for identity in journal.files}
        names = self._look.take(self._settings.patterns, archived)
        set_twins_apart(seen, self._logs.fd, set(map(log_name, names)), self._between.archived_hashes())
        seen.logs.sort(key=lambda log: (log.identity.mtime_ns, log.name))
        for journal in journals:
            found = sum(log.identity in journal.files for log in seen.archived)
            if found and not journal.kept:
                self._between.left.append(
                    f"{found} logs that {journal.archive} holds, and that were still to be deleted"
                )

    def _carry_out(self, action: Action, expiry: Expiry) -> None:
        work = {
            "finish": self._finish,
            "known": self._drop,
            "expire": lambda: expiry.delete(self._look.open_files),
            "archive": self._make,
        }
        action["msg"], done = work[action["stable"]["kind"]]()
        action["result"] = "done" if done else "skipped"

    def _finish(self) -> tuple[str, bool]:
        """Delete what is archived, and stands here still, after comparing it once more."""
        seen, between, removal = self._seen, self._between, self._removal
        before = len(removal.removed)
        if between.unnamed:
            with directory.failing(f"cannot give {between.unnamed.archive} its name; all logs are kept"):
                between.name(between.unnamed)
        if any(name.endswith(PACKED) for name in seen.writers):
            # Somebody compresses a log right now: it may be one of these.
            removal.to_remember.update(between.archived_hashes())
        for journal in between.journals:
            for log in [log for log in seen.archived if log.identity in journal.files]:
                log.sha256 = journal.files[log.identity]
                if hashed(log.fd, self._deadline)[1] == log.sha256:
                    removal.remove(log, journal.archive)
                else:
                    seen.skip(log.name, "changed")
        removal.forget()
        removed = len(removal.removed) - before
        return f"{removed} of {len(seen.archived)} logs deleted that archives hold", bool(removed or between.unnamed)

    def _drop(self) -> tuple[str, bool]:
        """Delete what somebody compressed while it was archived: its lines are in an archive."""
        before = len(self._removal.removed)
        for log in self._seen.known:
            log.sha256 = log.sha256 or unpacked(log)
            self._removal.remove(log)
        removed = len(self._removal.removed) - before
        return f"{removed} compressed logs deleted that an archive holds", bool(removed)

    def _make(self) -> tuple[str, bool]:
        """Make an archive; then delete the logs."""
        made = Making(
            self._settings,
            self._archives,
            self._seen,
            self._between,
            register=self._register,
            deadline=self._deadline,
        ).make()
        if made is None:
            return "every log was written to meanwhile: nothing was archived", False
        self._archive = made.result
        before = len(self._removal.removed)
        for log in made.logs:
            self._removal.remove(log, made.name)
        self._removal.forget()
        removed = len(self._removal.removed) - before
        members = made.result["members"]
        return f"{members} logs in {made.name}, compared with the files, of which {removed} are deleted", True


def make_plan(
    seen: Seen,
    journals: Sequence[Journal],
    expired: Sequence[Expired],
    *,
    log_dir: str,
    archive_dir: str,
    compression: str,
) -> list[Action]:
    """What is to be done, in order: finish what a run left, drop old archives to make room, archive."""
    plan = []
    if journals:
        names = [journal.archive for journal in journals]
        cut_off = not all(journal.kept for journal in journals)
        why = "was cut off before it had deleted them" if cut_off else "could not delete them"
        plan.append(
            planned(
                "delete",
                f"{len(seen.archived)} logs in {log_dir} that {', '.join(names)} holds",
                f"a run before {why}",
                ["WL-2"],
                stable={"kind": "finish", "archives": names, "files": _stable(seen.archived)},
            )
        )
    if seen.known:
        plan.append(
            planned(
                "delete",
                f"{len(seen.known)} compressed logs in {log_dir}",
                "an archive holds their lines: they were compressed while they were archived",
                ["WL-2"],
                stable={"kind": "known", "files": _stable(seen.known)},
            )
        )
    if expired:
        plan.append(
            planned(
                "delete",
                f"{len(expired)} archives in {archive_dir}",
                "older than they are kept, by the day in their name and by their time",
                ["WL-4"],
                stable={"kind": "expire", "archives": [[archive.name, *archive.stamp] for archive in expired]},
            )
        )
    if seen.logs:
        plan.append(
            planned(
                "archive",
                f"{len(seen.logs) + len(seen.twins)} rotated logs of {log_dir}",
                "rotated logs are kept in archives",
                ["WL-2", "WL-3"],
                stable={"kind": "archive", "compression": compression, "files": _stable(seen.logs + seen.twins)},
            )
        )
    return plan


def _stable(logs: Sequence[Log]) -> list[list[Any]]:
    """Files by what they are: their names change by rotation."""
    return sorted([*log.identity] for log in logs)
