# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""pipeline_cleanup as Ansible runs it, against the pipeline's own code with a memory of three days."""

from __future__ import annotations

import dataclasses
import json
import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from ansible.module_utils.testing import patch_module_args
from ansible_collections.media_ops.runbook.plugins.module_utils.api import pipeline_cleanup as pipeline_cleanup_logic
from ansible_collections.media_ops.runbook.plugins.module_utils.api.client import Client
from ansible_collections.media_ops.runbook.plugins.modules import pipeline_cleanup
from media_pipeline import app, config, tokens
from media_pipeline.client import wait_for
from media_pipeline.config import MONITORING
from media_pipeline.ffmpeg import Ffmpeg
from media_pipeline.health import Health
from media_pipeline.jobs import Jobs
from media_pipeline.logs import utc_text
from media_pipeline.monitor import Monitor, Operation

from tests.fault_server import Url, fault_server

SECRET = "a-secret-for-tests"
DAY = 86400
Capsys = pytest.CaptureFixture[str]


class Service:
    """The pipeline's API over a monitor whose memory the test fills."""

    def __init__(self, monitor: Monitor, url: str) -> None:
        self.monitor = monitor
        self.url = url
        self.token = tokens.make(SECRET, 3600)

    def remember(self, days: float, operations: int, samples: int = 0, alerts: int = 0) -> None:
        """Have it remember what was so many days ago."""
        then = time.time() - days * DAY
        self.monitor._operations.extend([Operation("merging", then, 5.0, None)] * operations)
        sample = {"cpu_usage_percent": 1.0, "memory_usage_percent": 1.0, "active_sessions": 0}
        self.monitor._samples.extend([(then, {"timestamp": utc_text(then), **sample})] * samples)
        self.monitor._alerts.extend([(then, {"level": "error", "timestamp": utc_text(then)})] * alerts)

    @property
    def operations(self) -> int:
        return len(self.monitor._operations)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    settings = config.load({"PIPELINE_JWT_SECRET": SECRET, "PIPELINE_BASE_DIR": str(tmp_path), "PIPELINE_PORT": "0"})
    monitor, ffmpeg = Monitor(settings), Ffmpeg(settings.ffmpeg)
    made = app.make(monitor, Jobs(settings, monitor, ffmpeg), Health(monitor, ffmpeg))
    server = uvicorn.Server(uvicorn.Config(made, port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for("start of the server", lambda: server.started, 30)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Service(monitor, f"http://127.0.0.1:{port}{MONITORING}")
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    directory = tmp_path / "state"
    directory.mkdir(mode=0o750)
    return directory


def keep(state: Path, age: timedelta = timedelta(hours=46), name: str = "weekly_report", **more: Any) -> Path:
    """A report of then, as state_report leaves it."""
    written = datetime.now(UTC) - age
    path = state / f"{name}_{more.get('day') or f'{written:%Y%m%d}'}.json"
    path.write_text(str(more.get("text", '{"figures": {}}')), encoding="utf-8")
    os.utime(path, (written.timestamp(), written.timestamp()))
    return path


def run(capsys: Capsys, url: str, state: Path, **options: Any) -> dict[str, Any]:
    arguments = {"api_url": str(url), "state_dir": str(state), "after_max_age": 3 * DAY, **options}
    with patch_module_args(arguments), pytest.raises(SystemExit) as ended:
        pipeline_cleanup.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert bool(ended.value.code) == bool(result.get("failed"))
    return result


# runbook: WC-1
def test_says_what_would_go_then_drops_it_then_has_nothing_to_do(capsys: Capsys, service: Service, state: Path) -> None:
    service.remember(3, operations=7, samples=2, alerts=1)
    service.remember(0.5, operations=4, samples=5, alerts=2)
    kept = keep(state)
    options = {"api_token": service.token}

    planned = run(capsys, service.url, state, **options, _ansible_check_mode=True)
    assert (planned["changed"], planned["refusals"], planned["cleaned"]) == (True, [], None)
    assert planned["older"] == {"operations": 7, "samples": 2, "alerts": 1}
    (action,) = planned["plan"]
    assert (action["action"], action["steps"], action["result"]) == ("cleanup", ["WC-1"], "planned")
    assert "7 operations, 2 samples, 1 alerts" in action["target"]
    assert planned["after"]["path"] == str(kept)
    assert planned["after"]["age_s"] == pytest.approx(46 * 3600, abs=120)
    assert service.operations == 11

    drifted = run(capsys, service.url, state, **options, plan_hash="0123456789ab")
    assert drifted["failed"] is True
    assert service.operations == 11

    done = run(capsys, service.url, state, **options, plan_hash=planned["hash"])
    assert done["changed"] is True
    assert done["cleaned"] == {"cleaned_processing_metrics": 7, "cleaned_system_metrics": 2, "cleaned_alerts": 1}
    assert done["plan"][0]["result"] == "done"
    assert service.operations == 4

    again = run(capsys, service.url, state, **options)
    assert (again["changed"], again["plan"], again["cleaned"]) == (False, [], None)
    assert service.operations == 4


UNSAFE: dict[str, tuple[dict[str, Any], str]] = {
    "too_old": ({"age": timedelta(days=4)}, "and may be 259200 s old"),
    "copied_anew": ({"age": timedelta(hours=1), "day": "20200103"}, "is of 2020-01-03"),
    "of_tomorrow": ({"age": timedelta(days=-2)}, "dated ahead"),
    "named_ahead": ({"age": timedelta(hours=1), "day": "20990101"}, "dated ahead"),
    "of_no_day": ({"age": timedelta(hours=1), "day": "20269999"}, "dated ahead"),
    "torn": ({"text": '{"figures":'}, "cannot be read as a report"),
    "empty": ({"text": ""}, "cannot be read as a report"),
    "a_list": ({"text": "[]"}, "cannot be read as a report"),
    "another": ({"name": "daily_report"}, "there is no weekly_report_DATE.json"),
}


@pytest.mark.parametrize("case", [*UNSAFE, "none", "link"])
def test_nothing_is_dropped_before_the_week_is_safe(capsys: Capsys, service: Service, state: Path, case: str) -> None:
    service.remember(3, operations=7)
    said = "there is no weekly_report_DATE.json"
    if case in UNSAFE:
        options, said = UNSAFE[case]
        keep(state, **options)
    elif case == "link":
        elsewhere = keep(state.parent)
        (state / elsewhere.name).symlink_to(elsewhere)
        said = "cannot be read as a report"
    checked = run(capsys, service.url, state, api_token=service.token, _ansible_check_mode=True)
    assert checked["changed"] is False
    assert said in checked["refusals"][0]
    refused = run(capsys, service.url, state, api_token=service.token)
    assert refused["failed"] is True
    assert said in refused["msg"]
    assert service.operations == 7


def test_a_report_of_a_site_whose_day_begins_first_is_not_dated_ahead(
    capsys: Capsys, service: Service, state: Path
) -> None:
    """It is named by the site's day, which may be tomorrow's in UTC."""
    service.remember(3, operations=1)
    keep(state, timedelta(hours=1), day=f"{datetime.now(UTC) + timedelta(hours=14):%Y%m%d}")
    assert run(capsys, service.url, state, api_token=service.token)["refusals"] == []


def test_the_newest_report_counts(capsys: Capsys, service: Service, state: Path) -> None:
    service.remember(3, operations=1)
    keep(state, timedelta(days=9))
    newest = keep(state, timedelta(days=2))
    done = run(capsys, service.url, state, api_token=service.token)
    assert (done["after"]["path"], service.operations) == (str(newest), 0)


def test_an_expired_token_drops_nothing(capsys: Capsys, service: Service, state: Path) -> None:
    service.remember(3, operations=7)
    keep(state)
    found = run(capsys, service.url, state, api_token=tokens.make(SECRET, -60))
    assert found["failed"] is True
    assert "HTTP 401" in found["msg"]
    assert service.operations == 7


def posts(url: Url) -> int:
    return sum(request.method == "POST" for request in url.seen)


LIMITS = {"read_timeout": 0.5, "total_timeout": 1, "retries": 5, "api_token": "a-token-for-tests"}


@pytest.mark.parametrize(
    ("mode", "unsure"),
    [
        ("hang", True),
        ("closed", True),
        ("error_500", True),
        ("html", True),
        ("short", True),
        ("ok", True),  # 200 with an empty document
        ("unauthorized", False),
        ("not_found", False),
        ("redirect", False),
    ],
)
def test_the_request_is_never_repeated(capsys: Capsys, state: Path, mode: str, unsure: bool) -> None:
    keep(state)
    # How many samples are old is not known, so it has to be tried.
    with fault_server({"/cleanup": mode, "/metrics/system": "not_found"}) as url:
        found = run(capsys, url, state, **LIMITS)
        assert posts(url) == 1
    assert found["failed"] is True
    assert found["plan"][0]["result"] == "failed"
    assert ("is not known, and it is not repeated" in found["msg"]) is unsure


NONE: dict[str, Any] = dict.fromkeys(pipeline_cleanup_logic._COUNTED, 0)
ODD: list[Any] = [
    {},
    {"cleaned_alerts": 1},
    {**NONE, "cleaned_alerts": 0.5},
    {**NONE, "cleaned_alerts": None},
    [],
    None,
]


@pytest.mark.parametrize("answer", ODD)
def test_only_three_whole_numbers_are_success(
    capsys: Capsys, state: Path, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    keep(state)
    request = Client.request

    def odd(client: Any, path: str, *arguments: Any, **more: Any) -> Any:
        reply = request(client, path, *arguments, **more)
        return dataclasses.replace(reply, state="ok", data=answer) if more.get("method") == "POST" else reply

    monkeypatch.setattr(Client, "request", odd)
    with fault_server({"/metrics/system": "not_found"}) as url:
        found = run(capsys, url, state, **LIMITS)
    assert (found["failed"], found["carried_out"], found["plan"][0]["result"]) == (True, None, "failed")
    assert "is not known, and it is not repeated" in found["msg"]


def test_a_report_of_this_second_is_not_dated_ahead(capsys: Capsys, service: Service, state: Path) -> None:
    kept = keep(state, timedelta())
    # Later than the second that has begun, whenever the module looks, and not later than now.
    os.utime(kept, (time.time(), int(time.time()) + 0.999_999))
    checked = run(capsys, service.url, state, api_token=service.token, _ansible_check_mode=True)
    assert checked["refusals"] == []
    os.utime(kept, (time.time(), time.time() + 30))
    assert "dated ahead" in run(capsys, service.url, state, api_token=service.token)["msg"]


@pytest.mark.parametrize("check", [True, False])
def test_an_empty_hash_approves_nothing(capsys: Capsys, service: Service, state: Path, check: bool) -> None:
    service.remember(3, operations=1)
    keep(state)
    found = run(capsys, service.url, state, api_token=service.token, plan_hash="", _ansible_check_mode=check)
    assert (found["failed"], service.operations) == (True, 1)
    assert "plan_hash" in found["msg"]


@pytest.mark.parametrize("mode", ["hang", "closed", "error_500", "html", "nan", "unauthorized"])
def test_a_service_that_does_not_say_what_it_has_is_not_asked(capsys: Capsys, state: Path, mode: str) -> None:
    keep(state)
    with fault_server({"/stats": mode}) as url:
        checked = run(capsys, url, state, **{**LIMITS, "retries": 0}, _ansible_check_mode=True)
        found = run(capsys, url, state, **{**LIMITS, "retries": 0})
        assert posts(url) == 0
    assert checked["changed"] is False
    assert found["failed"] is True
    assert found["msg"].startswith("nothing was cleaned: the service does not answer")


@pytest.mark.parametrize(
    ("option", "value"),
    [("after", "../../etc"), ("after", ""), ("after_max_age", 0), ("state_dir", "/"), ("retries", 99)],
)
def test_misuse_is_named_before_anything_is_sent(capsys: Capsys, state: Path, option: str, value: Any) -> None:
    with fault_server("ok") as url:
        found = run(capsys, url, state, **{option: value})
        assert url.seen == []
    assert found["failed"] is True
    assert f"option '{option}'" in found["msg"]


def test_a_service_that_does_not_offer_it_is_not_asked(capsys: Capsys, state: Path) -> None:
    with fault_server("ok") as url:
        found = run(capsys, url, state, api_offered=False)
        assert url.seen == []
    assert (found["changed"], found["plan"], found["refusals"]) == (False, [], [])
