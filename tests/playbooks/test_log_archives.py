# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From rotated logs to a verified copy of their archive in a real S3 store, by the weekly playbook."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from media_pipeline.launcher import Pipeline

from tests.playbooks.conftest import REACHED, Play, Run, closed_port
from tests.s3_store import SECRET_KEY, Store, s3_store

pytestmark = pytest.mark.playbook
WEEKLY = "playbooks/weekly_log_management.yml"
ARCHIVE, COPY = "Archive the rotated logs", "Copy the archives"


def planned(run: Run) -> dict[str, list[Any]]:
    """The actions that each rung planned."""
    rungs = [row["rung"] for row in run.facts("Plan each rung")["media1"]["results"] if "rung" in row]
    return {rung["rung"]: rung["actions"] for rung in rungs}


def changed(run: Run) -> list[str]:
    """The rungs that changed something."""
    (host,) = run.result("weekly_log_management")["hosts"]
    return [rung["rung"] for rung in host["response"]["acted"] if rung["changed"]]


class Site:
    """A host with a rotated log, and a store for its archives."""

    def __init__(self, top: Path, pipeline: Pipeline, store: Store, play: Play) -> None:
        self._play, self._token = play, pipeline.token()
        self.logs, self.archives, state = top / "logs", top / "backup", top / "state"
        for directory in (self.logs, self.archives, state):
            directory.mkdir(mode=0o750)
        environment = top / "backup.env"
        environment.write_text("".join(f"{name}={value}\n" for name, value in store.env.items()))
        self._host: dict[str, Any] = {
            **REACHED,
            "media_ops_api_url": pipeline.api_url,
            "policy_become": False,
            "policy_log_dir": str(self.logs),
            "policy_archive_dir": str(self.archives),
            "policy_archive_copy_bucket": store.bucket,
            "policy_archive_copy_environment_file": str(environment),
        }

    def rotated(self, name: str) -> None:
        lines = (json.dumps({"level": "INFO", "message": f"line {number}"}) for number in range(1000))
        (self.logs / name).write_text("\n".join(lines), encoding="utf-8")

    def weekly(self, *options: str, **variables: Any) -> Run:
        run = self._play(WEEKLY, {"media1": {**self._host, **variables}}, *options, token=self._token)
        assert SECRET_KEY not in run.output
        assert SECRET_KEY not in json.dumps(run.events)
        return run


@pytest.fixture
def site(tmp_path: Path, pipeline: Pipeline, store: Store, play: Play) -> Site:
    return Site(tmp_path, pipeline, store, play)


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with s3_store(tmp_path / "store") as running:
        yield running


# runbook: WL-2, WL-3
def test_from_rotated_logs_to_a_verified_copy(site: Site, store: Store) -> None:
    site.rotated("application.log.1")
    # Without a bucket nothing is copied; with --check nothing is archived.
    off = site.weekly("--check", "--diff", policy_archive_copy_bucket="")
    assert off.code == 0, off.output
    assert list(planned(off)) == [ARCHIVE]
    assert planned(off)[ARCHIVE]
    assert [path.name for path in site.logs.iterdir()] == ["application.log.1"]

    # The store is down: the logs are archived all the same, and the run says what is missing.
    down = site.weekly(policy_archive_copy_endpoint=f"http://127.0.0.1:{closed_port()}")
    assert down.code == 2, down.output
    (archive,) = site.archives.glob("archived_logs_*")
    assert list(site.logs.iterdir()) == []
    assert "Copy the archives: 0 of 1 archives have a verified copy in s3://media/log-archives/media1/" in down.output
    assert "refused: " in down.output
    assert store.keys() == []

    checked = site.weekly("--check", "--diff")
    assert checked.code == 0, checked.output
    assert f"{archive.name} ({archive.stat().st_size} bytes) to s3://media/log-archives/media1/" in checked.output
    assert store.keys() == []

    done = site.weekly()
    assert done.code == 0, done.output
    assert changed(done) == [COPY]
    key = f"log-archives/media1/{archive.name}"
    assert store.keys() == [key, f"{key}.sha256"]
    content = archive.read_bytes()
    assert store.content(key) == content
    marked = store.content(f"{key}.sha256").decode()
    assert marked == f"{hashlib.sha256(content).hexdigest()}  {archive.name}\n"

    again = site.weekly()
    assert again.code == 0, again.output
    assert planned(again) == {ARCHIVE: [], COPY: []}
    assert changed(again) == []
    assert not [task for task in again.changed if "Carry out" in task]
    assert store.keys() == [key, f"{key}.sha256"]

    # The archive changes on the host: the copy is saved, and the page says which is the good one.
    archive.write_bytes(bytes(len(content)))
    changed_since = site.weekly()
    assert changed_since.code == 2, changed_since.output
    assert "The copy in the store is the good one, as its mark says" in changed_since.output
    assert store.content(key) == content
