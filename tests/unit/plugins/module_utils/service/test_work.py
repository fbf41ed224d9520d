# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a restart costs: merges counted, waited for, named, and above a number a person's to lose."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import MediaOpsError
from ansible_collections.media_ops.runbook.plugins.module_utils.plan import plan_hash
from ansible_collections.media_ops.runbook.plugins.module_utils.service import by_unit, costs, hanging, service_control
from ansible_collections.media_ops.runbook.plugins.module_utils.service.answering import Answering
from ansible_collections.media_ops.runbook.plugins.module_utils.service.restart_plan import restart_plan
from ansible_collections.media_ops.runbook.plugins.module_utils.service.standing import Service
from ansible_collections.media_ops.runbook.plugins.module_utils.service.work import Listed, Work, Workers, work_of
from ansible_collections.media_ops.runbook.plugins.module_utils.system.operated import Operated
from ansible_collections.media_ops.runbook.plugins.module_utils.system.processes import Process, read_process
from ansible_collections.media_ops.runbook.plugins.module_utils.system.usage import share_of, uses_of, working

from .test_by_unit import sample
from .test_service_control import OPTIONS

SILENT = Listed("timeout", "no answer", ())
NONE = Listed("ok", "", ())
Start = Callable[..., Process]
BUSY, IDLE = "while True: pass", "import sys; sys.stdin.read()"


@pytest.fixture
def start() -> Iterator[Start]:
    """Real processes, by their code and further arguments, under whatever name."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(code: str, *arguments: str, name: str = "python3") -> Process:
        command = [name, "-c", code, *arguments]
        running.append(subprocess.Popen(command, executable=sys.executable, stdin=subprocess.PIPE))
        deadline = time.monotonic() + 10
        while True:
            found = read_process(running[-1].pid, deep=False)
            if found and found.argv[:1] == (name,):
                return found
            assert time.monotonic() < deadline

    yield begin
    for one in running:
        one.kill()
        one.wait()


def counted(workers: list[Process], lists: Listed | None, work_dir: Path, **more: Any) -> Work:
    given: dict[str, Any] = {"unlisted": ["temp_merge_*"], "changed_within_s": 300, "lost": [], **more}
    named_by = Workers(["ffmpeg", "ffprobe"], str(work_dir))
    asked = None if lists is None else lambda: lists
    return work_of(workers, named_by, asked, work_dir=str(work_dir), **given)


def directory(work_dir: Path, name: str, age_s: float) -> None:
    made = work_dir / name
    made.mkdir()
    (made / "prepared_00.mp4").write_bytes(b"x")
    for path in (made / "prepared_00.mp4", made):
        os.utime(path, (time.time() - age_s,) * 2)


def test_workers_are_told_by_their_programs_and_by_where_they_work(start: Start, tmp_path: Path) -> None:
    named_by = Workers(["ffmpeg", "ffprobe"], str(tmp_path))
    for name, argument, is_one, session in (
        ("ffmpeg", f"{tmp_path}/abc/merged.mp4", True, "abc"),
        ("ffmpeg-linux-x86_64-v7.0.2", "/elsewhere", True, ""),
        ("python3", f"file:{tmp_path}/abc/x.txt", True, "abc"),
        ("python3", str(tmp_path), False, ""),
        ("uvicorn", "--port=8000", False, ""),
    ):
        process = start(IDLE, argument, name=name)
        assert (named_by.is_worker(process), named_by.session_of(process)) == (is_one, session), name


def test_each_merge_is_counted_once_whoever_knows_of_it(start: Start, tmp_path: Path) -> None:
    worker = start(IDLE, f"{tmp_path}/abc/merged.mp4", name="ffmpeg")
    nameless = start(IDLE, "uploads/x.mp4", name="ffprobe")
    directory(tmp_path, "temp_merge_u1_5", 10)
    directory(tmp_path, "temp_merge_u1_4", 4000)
    directory(tmp_path, "ended", 10)
    work = counted([worker, nameless], Listed("ok", "", ("abc", "def")), tmp_path)
    assert set(work.merges) == {"abc", "def", f"pid {nameless.pid}", "temp_merge_u1_5"}
    assert work.said.startswith("4 (abc, def, pid ")
    assert work.unseen == ()
    # Without the list, whatever changed of late may be a merge, and there may be more.
    blind = counted([worker], SILENT, tmp_path)
    assert set(blind.merges) == {"abc", "temp_merge_u1_5", "ended"}
    assert "at least: the API does not say which sessions there are (no answer)" in blind.said
    assert counted([], Listed("ok", "", ("abc", "lost")), tmp_path, lost=["lost"]).merges.keys() >= {"abc"}
    assert "lost" not in counted([], Listed("ok", "", ("abc", "lost")), tmp_path, lost=["lost"]).merges
    (tmp_path / "temp_merge_u1_5" / "new.mp4").write_bytes(b"")
    os.utime(tmp_path / "temp_merge_u1_5", (1, 1))
    assert "temp_merge_u1_5" in counted([], NONE, tmp_path).merges, "the file in it is young"
    assert counted([], NONE, tmp_path / "gone").said == "none"


def test_work_that_goes_on_further_in_counts(tmp_path: Path) -> None:
    directory(tmp_path, "temp_merge_u1_5", 4000)
    inner = tmp_path / "temp_merge_u1_5" / "clips" / "a"
    inner.mkdir(parents=True)
    (inner / "clip.mp4").write_bytes(b"x")
    for path in (inner, inner.parent, inner.parent.parent):
        os.utime(path, (time.time() - 4000,) * 2)
    assert set(counted([], NONE, tmp_path).merges) == {"temp_merge_u1_5"}
    os.utime(inner / "clip.mp4", (1, 1))
    assert counted([], NONE, tmp_path).said == "none"


def test_only_what_a_process_used_itself_in_between_counts(start: Start) -> None:
    busy, idle = start(BUSY), start(IDLE)
    pids = [busy.pid, idle.pid]
    before = after = uses_of(pids)
    deadline = time.monotonic() + 30
    while working(before, after, pids, 1) != [busy.pid]:  # the other one begins first
        assert time.monotonic() < deadline
        before = uses_of(pids)
        time.sleep(0.3)
        after = uses_of(pids)
    assert share_of(before, after, [busy.pid]).cpu > share_of(before, after, [idle.pid]).cpu
    assert share_of(before, after, [idle.pid]).cpu < 5
    assert share_of(before, after, pids).memory >= 0


def running(*processes: Process, **more: Any) -> Service:
    main = start_of = 100
    service = Service("running", f"pid {main}", sample(MainPID=main, ExecMainStartTimestampMonotonic=start_of))
    return replace(service, processes=processes, **more)


def test_the_plan_names_the_merges_and_asks_for_a_yes_above_a_number() -> None:
    def of(count: int, most: int | None = 2) -> Any:
        work = Work({f"s{number}": "listed by the service" for number in range(count)})
        return restart_plan(running(), Operated("unit"), "restarted", [], None, work=work, merges_max=most)

    assert of(0)[0]["proof"]["merges in work"] == "none"
    assert of(2)[0]["proof"]["merges in work"] == "2 (s0, s1)"
    assert "needs a yes" not in of(2)[0]["proof"]
    assert "a person must say yes" in of(3)[0]["proof"]["needs a yes"]
    assert "needs a yes" not in of(30, None)[0]["proof"]
    assert plan_hash(of(0)) == plan_hash(of(2)), "sessions come and go"
    assert plan_hash(of(2)) != plan_hash(of(3)), "whoever approved little has not approved much"


def test_where_no_list_is_offered_nothing_is_unseen_and_any_directory_may_be_a_merge(tmp_path: Path) -> None:
    (tmp_path / "any").mkdir()
    found = counted([], Listed("not_offered", "the service does not offer this", ()), tmp_path)
    assert (list(found.merges), found.unseen) == (["any"], ())


def test_a_service_without_an_api_does_not_hang_for_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_control, "observe", lambda *_a, **_k: running())
    found = service_control.service_control({**OPTIONS, "health_path": ""})["service"]["answering"]
    assert (found["state"], found["reason"]) == (
        "unknown",
        "it was not asked for its health: the service does not offer this",
    )


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """service_control with a service that runs; what would act on systemd only notes it."""

    def call(
        listed: list[Listed], service: Service | list[Service] | None = None, health: str = "answers", **options: Any
    ) -> dict[str, Any]:
        found, left = list(service) if isinstance(service, list) else [service or running()], list(listed)
        done: list[str] = []
        for one in (service_control, costs):
            monkeypatch.setattr(one, "observe", lambda *_a, **_k: found.pop(0) if len(found) > 1 else found[0])
        monkeypatch.setattr(hanging, "answering", lambda *_a, **_k: Answering(health, "it answers on 127.0.0.1:1"))
        monkeypatch.setattr(by_unit, "root_refusal", lambda _argv: "")
        monkeypatch.setattr(costs, "_DRAIN_LOOK_S", 0.01)

        def carry_out(action: Any, before: Service, *_more: Any) -> tuple[Service, bool, str]:
            done.append(action["proof"]["merges in work"])
            return before, True, "restarted"

        monkeypatch.setattr(service_control, "_carry_out", carry_out)
        given = {**OPTIONS, "state": "restarted", **options}
        check = given.pop("check", False)
        made = service_control.service_control(
            given, check_mode=check, lists=lambda: left.pop(0) if len(left) > 1 else left[0]
        )
        return {**made, "done": done}

    return call


def some(*ids: str) -> Listed:
    return Listed("ok", "", ids)


def test_it_waits_for_the_merges_to_end(control: Callable[..., dict[str, Any]]) -> None:
    made = control([some("a", "b"), some("a"), some("a"), some()], drain=20)
    assert made["done"] == ["none"]
    assert made["work"]["count"] == 0
    waited = control([some("a")], drain=0.2)
    assert waited["done"] == ["1 (a)"]
    assert waited["plan"][0]["proof"]["waits for them"] == "0.2 s at most"
    assert "waits for them" not in control([some()], drain=20)["plan"][0]["proof"]
    assert control([some("a"), some()], drain=20, state="force_restarted")["done"] == ["1 (a)"], (
        "who kills does not wait"
    )


def test_a_service_that_hangs_with_its_workers_is_not_waited_for(control: Callable[..., dict[str, Any]]) -> None:
    assert control([some("a")], health="silent", drain=600)["done"] == ["1 (a)"]


def test_a_service_that_came_to_itself_while_it_was_waited_for_is_left_alone(
    control: Callable[..., dict[str, Any]],
) -> None:
    loops = replace(running(), state="restart_loop")
    made = control([some("a")], [loops, running()], only_needed=True, drain=0.1)
    assert (made["done"], made["changed"], made["plan"][0]["result"]) == ([], False, "skipped")
    assert "left alone: it answers on" in made["msg"]
    assert made["service"]["class"] == "running"
    assert control([some("a")], loops, only_needed=True, drain=0.1)["done"] == ["1 (a)"], "it loops still"
    assert control([some("a")], [loops, running()], drain=0.1)["done"] == ["1 (a)"], "a person may"


def test_more_than_a_number_is_a_persons_to_lose(control: Callable[..., dict[str, Any]]) -> None:
    many = some("a", "b", "c")
    planned = control([many], check=True, merges_max=2)
    assert (planned["refusals"], planned["work"]["count"], planned["done"]) == ([], 3, [])
    with pytest.raises(MediaOpsError, match="a person must say yes") as refused:
        control([many], merges_max=2)
    assert refused.value.details["plan"][0]["result"] == "planned"
    assert control([many], merges_max=2, plan_hash=planned["hash"])["done"] == ["3 (a, b, c)"]
    assert control([many, some("a")], merges_max=2, drain=0.1)["done"], "it waited"
    assert control([some("a")], merges_max=2, plan_hash=planned["hash"])["done"] == ["1 (a)"], "some have ended since"


def test_who_said_yes_to_little_is_asked_again_where_it_became_much(control: Callable[..., dict[str, Any]]) -> None:
    little, much = some("a"), some("a", "b", "c")
    planned = control([little], check=True, merges_max=2)
    with pytest.raises(MediaOpsError, match="a person must say yes"):
        control([little, much], merges_max=2, drain=0.1, plan_hash=planned["hash"])


@pytest.mark.parametrize(("age_s", "state"), [(5, "unknown"), (300, "listens_nowhere")])
def test_a_service_that_only_began_may_not_listen_yet(
    control: Callable[..., dict[str, Any]], age_s: float, state: str
) -> None:
    began = int((time.monotonic() - age_s) * 1e6)
    young = replace(running(), properties=sample(MainPID=100, ExecMainStartTimestampMonotonic=began))
    made = control([some()], young, "listens_nowhere", state="observed")
    assert made["service"]["answering"]["state"] == state


@pytest.mark.parametrize(
    ("state", "restarted"), [("answers", 0), ("silent", 1), ("listens_nowhere", 1), ("unknown", 1)]
)
def test_a_restart_that_is_only_for_need_leaves_a_service_alone_that_answers(
    control: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch, state: str, restarted: int
) -> None:
    made = control([some()], None, state, only_needed=True)
    assert len(made["done"]) == restarted
    assert len(made["plan"]) == restarted
    assert ("left alone: it answers on" in made["msg"]) is not bool(restarted)


def test_a_restart_that_is_only_for_need_leaves_work_alone(
    control: Callable[..., dict[str, Any]], start: Start
) -> None:
    busy = start(BUSY, name="ffmpeg")
    before = uses_of([busy.pid])
    deadline = time.monotonic() + 20
    while not working(before, after := uses_of([busy.pid]), [busy.pid], 1):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    at_work = running(busy, uses=(before, after))
    made = control([some()], at_work, "silent", only_needed=True)
    assert (made["done"], made["service"]["at_work"]) == ([], [busy.pid])
    assert f"it works on merges (pid {busy.pid})" in made["msg"]
    assert control([some()], at_work, "silent", only_needed=False)["done"], "a person may"
