"""The check of the setup as a newcomer runs it: what is wrong has its cure, and the lines mend it when pasted."""

from __future__ import annotations

import getpass
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from media_pipeline.launcher import Pipeline, running_pipeline

from tests.playbooks.conftest import REACHED, Play, Run, closed_port
from tests.receiver import receiver

pytestmark = pytest.mark.playbook
CHECK_SETUP = "playbooks/check_setup.yml"
WIDE = {"MEDIA_OPS_VERDICTS_WIDTH": "200"}


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path_factory.mktemp("pipeline")) as running:
        running.feed(1)
        yield running


def plain(run: Run) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", run.output)


def table(run: Run) -> list[str]:
    return plain(run).partition("\nSTATE ")[2].splitlines()


def row(run: Run, host: str, check: str) -> str:
    """The row of a check in the table, with what stands below it."""
    lines = table(run)
    begins = [at for at, line in enumerate(lines) if re.match(rf"[A-Z]+ .*\b{host}\b.* {re.escape(check)} ", line)]
    assert begins, f"no row {check} of {host}: {run.output}"
    more = [line for line in lines[begins[0] + 1 :] if line.strip()]
    below = more[: next((at for at, line in enumerate(more) if not line.startswith(" ")), len(more))]
    return " ".join(line.strip() for line in [lines[begins[0]], *below])


def test_a_fleet_is_told_what_is_wrong_and_the_lines_mend_it(play: Play, pipeline: Pipeline, tmp_path: Path) -> None:
    for part in ("state", "archive"):
        (tmp_path / part).mkdir(mode=0o750)
    good: dict[str, Any] = {
        **REACHED,
        "media_ops_api_url": pipeline.api_url,
        "policy_base_dir": str(pipeline.base_dir),
        "policy_archive_dir": str(tmp_path / "archive"),
        "policy_become": False,
        "policy_service_unit": "",
        "policy_service_process": {"port": pipeline.port},
        "policy_service_user": getpass.getuser(),
        "media_ops_api_token": pipeline.token(),
    }
    wrong = {
        **good,
        "media_ops_api_url": f"http://127.0.0.1:{closed_port()}/api/v1/monitoring",
        "policy_log_dir": str(tmp_path / "nowhere"),
        "policy_service_unit": "media-ops-no-such-unit",
        "policy_service_process": {},
        "policy_service_path": str(pipeline.bin_dir),
    }
    late = {**good, "media_ops_api_token": pipeline.token(ttl=-60)}
    down = {**good, "ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": closed_port()}
    bare = {**good, "ansible_python_interpreter": "/nonexistent/python3"}
    hosts = {"good": good, "wrong": wrong, "late": late, "down": down, "bare": bare}
    with receiver() as server:
        channels = [{"name": "hook", "type": "webhook", "url": server.webhook_url}]
        run = play(
            CHECK_SETUP, hosts, "-e", "check_setup_message=true", environment=WIDE, report_channels=channels,
        )  # fmt: skip
        assert len(server.bodies("webhook")) == 2, run.output
    assert run.code == 2, run.output
    assert "Traceback" not in run.output
    for secret in (good["media_ops_api_token"], late["media_ops_api_token"], server.webhook_url):
        assert secret not in run.output
    assert not run.report_dir.exists(), "it writes nothing"
    assert run.changed == []
    tasks = {event["event_data"]["task"] for event in run.events if event["event"] == "playbook_on_task_start"}
    assert len(tasks) == 3

    assert "nothing listens for ssh there" in row(run, "down", "ssh")
    assert "ansible_python_interpreter is /nonexistent/python3, which is not there" in row(run, "bare", "python")
    assert "expired at" in row(run, "late", "token")
    assert "no answer of it at" in row(run, "wrong", "api")
    assert f"the service logs to {pipeline.log_dir}" in row(run, "wrong", "logs")
    assert row(run, "controller", "channel hook").startswith("OK")
    shown = plain(run)
    assert shown.index("1. down: ssh: Is sshd running") < shown.index("paste into")
    assert re.search(r"\d\. Then look again\n +ansible-playbook .*check_setup\.yml", shown)

    pasted = re.findall(r'^(?:policy|media_ops)_\w+: "[^"]*"$', shown, re.MULTILINE)
    lines = yaml.safe_load("\n".join(pasted))
    assert lines == {
        "media_ops_api_url": pipeline.api_url.replace("127.0.0.1", "localhost"),
        "policy_log_dir": str(pipeline.log_dir),
    }

    mended = play(CHECK_SETUP, {"good": good, "wrong": {**wrong, **lines}}, "--check", environment=WIDE)
    assert mended.code == 0, mended.output
    assert "which listens on port" in row(mended, "good", "service")
    for check in ("api", "token", "endpoint stats", "logs", "ffmpeg", "state_dir", "disk", "clock", "libraries"):
        assert row(mended, "wrong", check).startswith("OK"), mended.output
    assert re.search(r"run the morning check\n +ansible-playbook .*daily_morning_health_check\.yml", plain(mended))
