# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The services of the demonstration, how each can be broken, and what must still be there after it was mended."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from media_pipeline.client import wait_for
from media_pipeline.launcher import Pipeline
from media_pipeline.supervised import supervised_pipeline
from other_service.launcher import running_other_service
from plain_service.launcher import PlainService, running_plain_service

ROOT = Path(__file__).resolve().parent.parent
STUCK, OLD_S = 3, 8

# What a site would set in minutes and hours: a demonstration has seconds. Three sessions at once are many here.
SECONDS = {
    "policy_session_look_minutes": 0.02,
    "policy_session_investigate_minutes": 0.05,
    "policy_session_end_minutes": 0.1,
    "policy_session_interval": 2,
    "policy_session_quiet_seconds": 4,
    "policy_session_look_max": 10,
    "policy_work_idle_seconds": OLD_S,
    "policy_active_sessions_warning": STUCK,
    "policy_active_sessions_critical": STUCK,
    "policy_restart_drain": 5,
    "policy_service_interval": 1,
    "policy_verify_samples": 3,
    "policy_verify_good": 2,
    "policy_verify_interval": 3,
}


@dataclass
class Broken:
    """What a fault leaves: the token to go on with, and what must live through the mending, each with its question."""

    token: str = ""
    neighbours: Mapping[str, Callable[[], bool]] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault:
    """One fault: what it is, what makes it, and what is expected of the checks before and after.

    Args:
        story: what is done, for people.
        break_it: does it to a running service.
        verdict: of the check before anything is mended.
        after: verdicts that are right after the mending; none where only a person can mend it.
        playbook: that mends it, where it is not that of the incident.
        person: why a person must look, where automation cannot mend it.
    """

    story: str
    break_it: Callable[[Any], Broken]
    verdict: str
    after: tuple[str, ...] = ()
    playbook: str = ""
    person: str = ""


@dataclass(frozen=True)
class Service:
    """One form of the demonstration.

    Args:
        story: what it is, for people.
        run: starts it in a directory, and ends it.
        feed: has it do some work, and says how much was done.
        inventory: what a site sets for it.
        faults: by name.
    """

    story: str
    run: Callable[[Path], AbstractContextManager[Any]]
    feed: Callable[[Any, int], int]
    inventory: Callable[[Any], dict[str, Any]]
    faults: Mapping[str, Fault]


def _whole(path: Path) -> bool:
    return path.is_file()


def _until_old(seconds: float) -> None:
    """Ages count from the change of a file, which nobody can set: they are waited for."""
    began = time.monotonic()
    wait_for("age", lambda: time.monotonic() - began >= seconds, seconds + 60)


# The pipeline that the runbook was written for


def _pipeline_feed(pipeline: Pipeline, jobs: int) -> int:
    return sum(1 for job in pipeline.feed(jobs) if job["status"] == "completed")


def _nothing(pipeline: Pipeline) -> Broken:
    return Broken(pipeline.token())


def _no_ffmpeg(pipeline: Pipeline) -> Broken:
    pipeline.break_ffmpeg()
    return Broken(pipeline.token())


def _broken_clips(pipeline: Pipeline) -> Broken:
    pipeline.feed(4, fault="broken")
    return Broken(pipeline.token())


def _expired(pipeline: Pipeline) -> Broken:
    return Broken(pipeline.token(ttl=-60))


def _stuck(pipeline: Pipeline) -> Broken:
    # A FIFO that nobody writes to: ffmpeg waits for it for ever, as it does for a dead network mount.
    pipeline.feed(STUCK, fault="fifo")
    (slow,) = (str(job["session_id"]) for job in pipeline.feed(1, fault="slow"))
    _until_old(OLD_S)
    return Broken(pipeline.token(), {f"the slow merge {slow} works on": partial(_is_at_work, pipeline, slow)})


def _is_at_work(pipeline: Pipeline, session: str) -> bool:
    return any(session in part for process in pipeline.orphans() for part in process.cmdline())


def _died(pipeline: Pipeline) -> Broken:
    token = pipeline.token()
    pipeline.kill()
    return Broken(token)


def _full(pipeline: Pipeline) -> Broken:
    left = pipeline.work_dir / "left_by_a_crash"
    left.mkdir(parents=True)
    for number in range(3):
        (left / f"part_{number}.tmp").write_bytes(os.urandom(1 << 20))
    result = pipeline.upload_dir / "merged_videos" / "result.mp4"
    result.parent.mkdir(exist_ok=True)
    result.write_bytes(b"the only copy")
    (slow,) = (str(job["session_id"]) for job in pipeline.feed(1, fault="slow"))
    _until_old(OLD_S)
    neighbours = {
        "the finished video is there": partial(_whole, result),
        f"the slow merge {slow} works on": partial(_is_at_work, pipeline, slow),
    }
    return Broken(pipeline.token(), neighbours, _rules(pipeline.work_dir))


def _rules(work_dir: Path) -> dict[str, Any]:
    rule = {
        "rule": "temporary files",
        "root": str(work_dir),
        "patterns": ["*.tmp"],
        "min_age": OLD_S,
        "steps": ["EM-S3"],
    }
    return {"policy_retention": {name: [rule] for name in _PROFILES}, "policy_emergency_free_percent": 100}


_PROFILES = ("stuck_processes", "emergency", "optimise", "weekly", "daily_logs")

_PIPELINE = {
    "": Fault("nothing is broken", _nothing, "ok"),
    "stuck": Fault(
        f"{STUCK} jobs are sent whose input never comes, and one that is slow", _stuck, "critical", ("ok", "warning")
    ),
    "disk": Fault(
        "a crash has left temporary files, beside a merge in work and a finished video",
        _full,
        "ok",
        ("ok", "warning"),
        playbook="emergency_disk_cleanup",
    ),
    "down": Fault("the service has died, and its supervisor leaves it so", _died, "unknown", ("ok",)),
    "ffmpeg": Fault(
        "ffmpeg is replaced by a file that cannot run",
        _no_ffmpeg,
        "critical",
        person="this ffmpeg is of no package, so nothing can put it back: a person has to",
    ),
    "clips": Fault(
        "broken clips are sent, so that jobs fail",
        _broken_clips,
        "critical",
        person="inputs that are not valid are their senders' to mend, and a restart would cure none of it",
    ),
    "token": Fault(
        "the API token has expired",
        _expired,
        "unknown",
        person="a new token is a person's to give (media_ops_api_token), or that of media_ops_api_login",
    ),
}


# A service without an API


def _plain_feed(service: PlainService, jobs: int) -> int:
    service.remember(30, jobs=3)
    service.feed(jobs)
    return sum(1 for entry in service.entries()[-2 * jobs :] if entry.get("event") == "done")


def _plain_stuck(service: PlainService) -> Broken:
    service.feed(STUCK, fault="fifo")
    (slow,) = service.feed(1, fault="live")
    _until_old(OLD_S)
    return Broken(neighbours={f"the slow job {slow} works on": lambda: slow in service.workers().values()})


def _plain_full(service: PlainService) -> Broken:
    left = service.work_dir / "0123456789ab"
    left.mkdir(parents=True)
    (left / "part.tmp").write_bytes(os.urandom(1 << 20))
    waiting, result = service.base_dir / "input" / "waits.tmp", service.output_dir / "result.mp4"
    result.parent.mkdir(exist_ok=True)
    waiting.write_bytes(b"x")
    result.write_bytes(b"the only copy")
    _until_old(OLD_S)
    neighbours = {
        "what waits in input/ is there": partial(_whole, waiting),
        "the result is there": partial(_whole, result),
    }
    return Broken(neighbours=neighbours, variables=_rules(service.work_dir))


def _plain_died(service: PlainService) -> Broken:
    service.kill()
    return Broken()


_PLAIN = {
    "": Fault("nothing is broken", lambda _service: Broken(), "ok"),
    "stuck": Fault(
        f"{STUCK} inputs come that never end, and one that is slow", _plain_stuck, "critical", ("ok", "warning")
    ),
    "disk": Fault(
        "a crash has left temporary files, beside an input that waits and a result",
        _plain_full,
        "ok",
        ("ok", "warning"),
        playbook="emergency_disk_cleanup",
    ),
    "down": Fault("the watcher has died", _plain_died, "unknown", ("ok",)),
}


# A service whose API has another shape


def documented(heading: str) -> dict[str, Any]:
    """The lines of inventory that docs/other_services.md gives below a heading."""
    text = (ROOT / "docs" / "other_services.md").read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(heading)}$.*?^```yaml$\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    if not found:
        raise ValueError(f"docs/other_services.md has no lines below {heading}")
    lines: dict[str, Any] = yaml.safe_load(found[1])
    return lines


def _other_inventory(service: Pipeline) -> dict[str, Any]:
    lines = documented("A service whose API has another shape")
    return {
        **lines,
        "media_ops_api_url": service.api_url,
        "policy_base_dir": str(service.base_dir),
        "policy_service_unit": "",
        "policy_service_process": {"port": service.port},
        "policy_service_path": str(service.bin_dir),
    }


_OTHER = {
    "": _PIPELINE[""],
    "stuck": _PIPELINE["stuck"],
    "clips": _PIPELINE["clips"],
    "ffmpeg": _PIPELINE["ffmpeg"],
    "down": Fault(
        "the service has died",
        _died,
        "unknown",
        person="no command restarts it (policy_service_restart is empty): a person has to",
    ),
}


SERVICES = {
    "pipeline": Service(
        "a service as the runbook knows it, run by supervisord",
        partial(supervised_pipeline, env={"MAX_CONCURRENT_SESSIONS": "16"}),
        _pipeline_feed,
        lambda pipeline: {
            **pipeline.site,
            "media_ops_api_url": pipeline.api_url,
            "policy_service_path": str(pipeline.bin_dir),
            "policy_base_dir": str(pipeline.base_dir),
        },
        _PIPELINE,
    ),
    "plain": Service(
        "a directory watcher that has no API, and logs lines",
        running_plain_service,
        _plain_feed,
        PlainService.inventory,
        _PLAIN,
    ),
    "other": Service(
        "a service whose API has another shape, with other names and units",
        running_other_service,
        _pipeline_feed,
        _other_inventory,
        _OTHER,
    ),
}
