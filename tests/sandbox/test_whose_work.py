# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Traps of whose work it is: ids of uploads, work that nothing lists, and a directory that is taken away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.media_ops.runbook.plugins.module_utils.sessions.session_info import session_info
from media_pipeline.client import wait_for
from media_pipeline.feed import slow, sound
from media_pipeline.launcher import Pipeline, running_pipeline

from tests.hung_probe import hung_probe
from tests.session_site import default_params
from tests.unit.plugins.policy import policy


def look(pipeline: Pipeline) -> dict[str, Any]:
    """What session_info says of them, with the maps that role policy has."""
    table = policy(inventory_hostname="media-1", policy_base_dir=str(pipeline.base_dir))
    params = default_params(
        api_url=pipeline.api_url,
        api_token=pipeline.token(),
        service_pid=pipeline.pid,
        work_dir=table["policy_work_dir"],
        programs=table["policy_session_programs"],
        id_maps=[
            {"query": "@", "id": None, "session": "session_id || @", **row} for row in table["policy_session_id_maps"]
        ],
    )
    return session_info(params, warn=lambda _text: None, hide=lambda _text: None)


def test_an_ffprobe_under_the_id_of_an_upload(tmp_path: Path) -> None:
    results = {"PIPELINE_UPLOAD_IDS": "joined", "PIPELINE_RESULT_DIR": "uploads/merged_videos"}
    with running_pipeline(tmp_path, results) as pipeline:
        session_id, process = hung_probe(pipeline)
        (row,) = look(pipeline)["sessions"]
        assert (row["session_id"], row["state"]) == (session_id, "blocked_on_pipe")
        assert process.pid in [one["pid"] for one in row["processes"]]
        done = pipeline.wait(pipeline.submit([sound(str(pipeline.ffmpeg), pipeline.upload_dir / "sound.mp4")]))
        assert done["status"] == "completed"
        assert done["result"].startswith(str(pipeline.upload_dir / "merged_videos"))


def test_what_nothing_lists_and_what_a_cancelled_session_leaves(fresh_pipeline: Pipeline) -> None:
    clip = slow(str(fresh_pipeline.ffmpeg), fresh_pipeline.upload_dir / "slow.mp4")
    fresh_pipeline.submit([clip], user_id="7", live=True, preset="ultrafast", monitored=False)
    session_id = fresh_pipeline.submit([clip], live=True, preset="ultrafast")
    output = fresh_pipeline.work_dir / session_id / "prepared_00.mp4"
    wait_for("output", output.exists)
    (unlisted,) = wait_for("work", lambda: list(fresh_pipeline.work_dir.glob("temp_merge_7_*")))
    wait_for("its output", (unlisted / "prepared_00.mp4").exists)
    assert [row["session_id"] for row in fresh_pipeline.get("/sessions/active")["active_sessions"]].count(
        session_id
    ) >= 1
    assert fresh_pipeline.request("DELETE", f"/merge-session/{session_id}/cancel")[0] == 200
    assert not output.parent.exists()
    found = look(fresh_pipeline)
    assert [row["session_id"] for row in found["orphans"]] == [session_id]
    rows = {row["session_id"]: (row["listed"], row["state"], row["may_end"]) for row in found["sessions"]}
    assert rows == {unlisted.name: (False, "progressing", False)}
