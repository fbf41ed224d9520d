"""The plan of a repair, and when there is none. That it mends a host is tested on one (tests/lab)."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import MediaOpsError, OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.ffmpeg import package_repair as repair
from ansible_collections.media_ops.runbook.plugins.module_utils.ffmpeg import packages
from ansible_collections.media_ops.runbook.plugins.module_utils.ffmpeg.package_repair import package_repair, plan_repair
from ansible_collections.media_ops.runbook.plugins.module_utils.plan import plan_hash
from ansible_collections.media_ops.runbook.plugins.module_utils.system.privilege import Ran

INSTALLED = {"ffmpeg": "7:5.1", "libavcodec59": "7:5.1"}


def seen(**facts: Any) -> dict[str, Any]:
    """What a probe found: a library that is broken, unless it says otherwise."""
    return {
        "state": "broken_library",
        "reason": "encode: ended by SIGBUS",
        "binary": "/usr/bin/ffmpeg",
        "broken_packages": ["libavcodec59"],
        "reinstall_cures": True,
        "dpkg_interrupted": [],
        **facts,
    }


# runbook: P0-3F
def test_the_package_of_the_broken_library_is_reinstalled_and_not_ffmpeg() -> None:
    plan = plan_repair(seen(), INSTALLED)
    assert [(one["action"], one["target"], one["steps"]) for one in plan] == [
        ("reinstall", "package libavcodec59 7:5.1", ["P0-3F"])
    ]
    assert plan[0]["stable"]["command"][-1] == "libavcodec59"
    assert plan[0]["proof"]["state"] == "broken_library"


def test_an_interrupted_dpkg_is_let_finish_first() -> None:
    plan = plan_repair(seen(broken_packages=["ffmpeg"], dpkg_interrupted=["ffmpeg"]), {})
    assert [one["action"] for one in plan] == ["configure", "reinstall"]
    assert plan[0]["stable"]["command"] == ["/usr/local/libexec/media-ops/packages", "configure"]
    assert plan[1]["target"] == "package ffmpeg (not installed)"


@pytest.mark.parametrize(
    "facts",
    [
        {"state": "ok"},
        {"state": "ok", "dpkg_interrupted": ["ffmpeg"]},
        {"state": "shadowed", "reinstall_cures": False},
        {"state": "hangs", "reinstall_cures": False, "broken_packages": []},
        {"state": "unknown", "reinstall_cures": False, "broken_packages": []},
    ],
)
def test_nothing_is_planned_where_it_would_not_help(facts: dict[str, Any]) -> None:
    assert plan_repair(seen(**facts), INSTALLED) == []


def test_the_hash_is_of_what_would_be_done() -> None:
    first = plan_hash(plan_repair(seen(), INSTALLED))
    assert first == plan_hash(plan_repair(seen(reason="encode: ended by SIGSEGV"), INSTALLED))
    assert first != plan_hash(plan_repair(seen(broken_packages=["libavutil57"]), INSTALLED))
    assert first != plan_hash(plan_repair(seen(dpkg_interrupted=["bash"]), INSTALLED))
    assert first != plan_hash(plan_repair(seen(), {"libavcodec59": "7:5.2"}))


@pytest.fixture
def broken(tmp_path: Path) -> dict[str, Any]:
    """Options for a host whose service finds only a broken ffmpeg of its own."""
    path = tmp_path / "ffmpeg"
    path.write_text("#!/bin/sh\nexit 1\n")
    path.chmod(0o755)
    return {
        "unit": "media-ops-no-such-unit",
        "service_user": pwd.getpwuid(os.geteuid()).pw_name,
        "path_env": str(tmp_path),
        "package": "ffmpeg",
        "timeout": 30.0,
        "video_encoders": ["libx264"],
        "audio_encoders": ["aac"],
        "muxers": ["mp4"],
        "decoders": ["h264"],
        "ffprobe": False,
        "hardware_device": "/dev/dri/renderD128",
        "plan_hash": None,
        "repair_timeout": 900.0,
    }


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_fault_that_no_package_mends_is_left_to_a_person(broken: dict[str, Any], check_mode: bool) -> None:
    done = package_repair(broken, check_mode=check_mode)
    assert (done["changed"], done["plan"], done["refusals"]) == (False, [], [])
    assert "reinstalling does not mend this" in done["msg"]
    assert "which no package owns" in done["msg"]
    assert done["after"]["state"] == "failed"
    assert done["hash"] == plan_hash([])


def test_a_plan_that_was_approved_and_is_another_now_is_not_carried_out(broken: dict[str, Any]) -> None:
    with pytest.raises(MediaOpsError, match="the plan has drifted"):
        package_repair({**broken, "plan_hash": "0123456789ab"}, check_mode=False)


def test_a_time_limit_that_would_leave_apt_behind_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="option 'repair_timeout'"):
        package_repair({**broken, "repair_timeout": 1.0}, check_mode=True)


@pytest.mark.parametrize(
    ("rc", "out", "err", "said"),
    [
        (
            100,
            "Setting up ffmpeg (7:5.1) ...\n",
            "E: Sub-process /usr/bin/dpkg returned an error code (1)",
            "Sub-process",
        ),
        (100, "", "E: The package foo needs to be reinstalled", "foo needs to be reinstalled"),
        (0, "", "Reinstallation of ffmpeg is not possible, it cannot be downloaded.", "cannot be downloaded"),
    ],
)
def test_what_works_afterwards_is_mended_and_what_apt_said_is_told(
    broken: dict[str, Any], monkeypatch: pytest.MonkeyPatch, rc: int, out: str, err: str, said: str
) -> None:
    probes = [seen(broken_packages=["ffmpeg"], version=None), seen(state="ok", reason="", reinstall_cures=False)]
    monkeypatch.setattr(repair, "ffmpeg_info", lambda _want: probes.pop(0))
    monkeypatch.setattr(repair, "root_refusal", lambda _command: "")
    monkeypatch.setattr(repair, "run_as_root", lambda _command, timeout_s: Ran(("apt",), rc, out, err, 1.0))
    monkeypatch.setattr(packages, "lock_holder", lambda: None)
    monkeypatch.setattr(packages, "wait_for_locks", lambda: (None, False))
    done = repair.package_repair(broken, check_mode=False)
    assert (done["state"], done["changed"]) == ("ok", True)
    assert [one["result"] for one in done["plan"]] == ["done"]
    assert said in done["msg"]
    probes[:] = [seen(broken_packages=["ffmpeg"]), seen()]
    with pytest.raises(MediaOpsError, match="does not work after the repair"):
        repair.package_repair(broken, check_mode=False)
