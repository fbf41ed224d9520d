"""Documents of a fleet's week made by the collection's own code, for what people look at."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from ansible_collections.media_ops.runbook.plugins.plugin_utils.week.document import weekly_document
from ansible_collections.media_ops.runbook.plugins.plugin_utils.week.review import review

from tests.result_factory import CONTACTS, HOSTILE, RUN
from tests.unit.plugins.week_factory import LIMITS, NOW, ago, answer, daily, reports, stage, today

WEEKLY_RUN = {**RUN, "check": "weekly_performance_review", "title": "Weekly performance review"}
STAGES = {"upload": 4.2, "preparation": 18.0, "merging": 41.0, "compression": 96.0, "storage_upload": 12.5}


def day(back: int, seed: int, slow: float = 1.0, **more: Any) -> dict[str, Any]:
    """A usual day so many days ago, a little different on each host."""
    noise = random.Random(f"{seed}-{back}")
    load = noise.randint(150, 260)
    failed = noise.randint(2, 9)
    scale = slow * noise.uniform(0.93, 1.07)
    return daily(
        ago(24 * back),
        sessions=noise.randint(2, 6),
        **{
            "operations": load,
            "failed": failed,
            "average": 34.0 * scale,
            "stage_breakdown": {name: stage(load // 5, average * scale) for name, average in STAGES.items()},
            "error_breakdown": {"VALIDATION_FAILED": failed - 1, "FFMPEG_FAILED": 1},
            **more,
        },
    )


def fix(run: float, action: str, target: str, **more: Any) -> dict[str, Any]:
    at = f"{ago(20 * run):%Y-%m-%dT%H:%M:%SZ}"
    return {
        "at": at, "run_id": f"r{run}", "action": action, "result": "done", "target": target, "cause": "service", **more,
    }  # fmt: skip


def host(seed: int = 0, slow: float = 1.0, ledger: Iterable[dict[str, Any]] = (), weeks: int = 5) -> dict[str, Any]:
    days = [day(back, seed, slow if back < 7 else 1.0) for back in range(1, 7 * weeks)]
    return review(reports(days, ledger=ledger), day=today(operations=180, failed=4), now=NOW, thresholds=LIMITS)


def lost() -> dict[str, Any]:
    down = {"endpoints": {"stats": answer(None, "unreachable", "no connection: Connection refused")}}
    return review({"unreachable": True, "msg": "No route to host"}, day=down, week=down, now=NOW, thresholds=LIMITS)


def restarted() -> dict[str, Any]:
    days = [day(back, 4) for back in (2, 5, 6)]
    short = daily(ago(24), up_hours=5, operations=40, failed=1, average=33.0)
    return review(reports([*days, short]), now=NOW, thresholds=LIMITS)


LEDGER = [
    *(fix(run, "restart", "media-processing-service", msg="service runs again") for run in (1, 2, 3)),
    fix(4, "delete", "/srv/media-processing/temp/video_merge/abc/prepared_00.mp4", cause="temp_directory"),
    fix(5, "reinstall", "ffmpeg", cause="ffmpeg", result="failed"),
    fix(6, "restart", "media-processing-service", result="refused"),
    # A run that died after it had begun, and one that went on.
    fix(4.5, "restart", "media-processing-service", result="started", controller="ops1.example.com"),
    fix(7, "delete", "/srv/media-processing/temp/old.mp4", cause="temp_directory", result="started"),
    fix(7, "delete", "/srv/media-processing/temp/old.mp4", cause="temp_directory"),
]


def one() -> dict[str, Any]:
    return weekly_document({"media1": host(1, ledger=LEDGER)}, run=WEEKLY_RUN, contacts=CONTACTS)


def mixed() -> dict[str, Any]:
    hosts = {"media1": host(1, ledger=LEDGER), "media2": host(2, slow=1.6), "media3": lost(), "media4": restarted()}
    return weekly_document({**hosts, "media5": None}, run=WEEKLY_RUN, contacts=CONTACTS)


def first_week() -> dict[str, Any]:
    return weekly_document({"media1": host(1, weeks=1)}, run=WEEKLY_RUN, contacts=CONTACTS)


def fleet(count: int = 300) -> dict[str, Any]:
    """Many hosts, of which one in twenty got slower; reviews are made once for each of a few kinds."""
    kinds = [host(seed, slow=1.5 if seed == 0 else 1.0, ledger=LEDGER if seed < 3 else ()) for seed in range(6)]
    names = {f"media{at:03d}.eu.example.com": kinds[at % 20 if at % 20 < 3 else 3 + at % 3] for at in range(count)}
    return weekly_document(names, run=WEEKLY_RUN, contacts=CONTACTS)


def nothing() -> dict[str, Any]:
    return weekly_document({}, run=WEEKLY_RUN)


def all_lost() -> dict[str, Any]:
    return weekly_document({"media1": lost(), "media2": lost()}, run=WEEKLY_RUN)


def hostile() -> dict[str, Any]:
    """Foreign text that tries to be HTML, Jinja or Markdown wherever text can stand."""
    days = [
        daily(
            ago(24 * back),
            operations=50,
            failed=9,
            stage_breakdown={"<i>$x$</i>|`": stage(50, 3.0)},
            error_breakdown={HOSTILE: 9},
        )
        for back in range(7)
    ]
    ledger = [fix(run, HOSTILE, HOSTILE, cause=HOSTILE, said=HOSTILE) for run in (1, 2)]
    down = {"endpoints": {"stats": answer(None, "unreachable", HOSTILE)}}
    bad = review({"msg": HOSTILE}, day=down, week=down, now=NOW + timedelta(), thresholds=LIMITS)
    found = review(reports(days, ledger=ledger), now=NOW, thresholds=LIMITS)
    contacts = [dict.fromkeys(("area", "name", "contact"), HOSTILE)]
    return weekly_document({"<img src=x>": found, "a|b": bad}, run={**WEEKLY_RUN, "title": HOSTILE}, contacts=contacts)


CASES = {
    "one": one,
    "mixed": mixed,
    "first_week": first_week,
    "fleet": fleet,
    "nothing": nothing,
    "all_lost": all_lost,
    "hostile": hostile,
}
