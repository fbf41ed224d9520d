# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults of a host and of its storage, by the playbooks: full disks, hogs, a wrong clock, a store that is ill."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.moved_clock import MovedClock
from tests.s3_proxy import s3_proxy
from tests.s3_store import Store, access_key, s3_store

from .conftest import Fleet
from .host_clock import host_clock
from .incident_fixtures import incident, matrix, note
from .incident_host import RESPONSE, UNIT, Incident

pytestmark = pytest.mark.root
__all__ = ["incident", "matrix", "note"]

CRITICAL = "playbooks/incident_critical_system.yml"
TEMP = "/srv/media-processing/temp"
MERGE = f"{TEMP}/video_merge"


@contextlib.contextmanager
def small_temp(host: Incident, limits: str) -> Iterator[None]:
    """The service's temp directory is a small file system of its own for a while."""
    begin = f"systemctl stop {UNIT}; mount -t tmpfs -o {limits},uid=media,gid=media,mode=0755 small {TEMP}"
    host.sh(f"{begin}; install -d -o media -g media {MERGE} {TEMP}/logs; systemctl start {UNIT}")
    host.wait_healthy()
    try:
        yield
    finally:
        end = f"systemctl stop holder 2>/dev/null; systemctl stop {UNIT}"
        host.sh(f"{end}; while umount -l {TEMP} 2>/dev/null; do :; done; systemctl start {UNIT}")


def left(host: Incident) -> list[str]:
    return host.sh(f"cd {MERGE}; find . -type f -printf '%P\\n' | sort").split()


# runbook: EM-D1, EM-D2, EM-D3, EM-S3, P0-4A, P0-4B
def test_a_full_disk_is_freed_of_what_is_past_its_age(
    incident: Callable[[str], Incident], note: Callable[..., None], tmp_path: Path
) -> None:
    broken = incident("media1")
    with small_temp(broken, "size=24m"), host_clock(broken.fleet, "media1", tmp_path) as moved:
        host = Incident(moved.fleet, "media1")
        with moved.clock.ago(timedelta(days=2)):
            host.sh(
                f"cd {MERGE}; install -d -o media gone-1 left-1; head -c 12M /dev/zero >gone-1/merged.mp4;"
                " head -c 2M /dev/zero >left-1/held.mp4; chown media: */*"
            )
        host.sh(
            # As old by its own date, and here for a moment
            f"cd {MERGE}; head -c 4M /dev/zero >left-1/kept.mp4; chown media: left-1/kept.mp4;"
            " touch -d '2 days ago' left-1/kept.mp4;"
            " systemd-run --quiet --unit=holder --uid=media tail -f $PWD/left-1/held.mp4;"
            # Bytes of a sender that came in a moment ago fill what is left.
            " head -c 30M /dev/zero >left-1/coming.bin || true; chown media: left-1/coming.bin"
        )
        assert not host.sh(f"cp /bin/true {TEMP}/x 2>/dev/null && echo written || true").strip(), "it is full"
        code, hash_, output = host.checked(RESPONSE)
        assert code == 2, output
        code, output = host.run(RESPONSE, incident_mode="apply", incident_plan=hash_)
        done = host.response()
        assert code == 0, output
        assert (done["recovered"], done["classes"]["disk"]) == (True, "full")
        assert [(rung["priority"], rung["cause"]) for rung in done["acted"]] == [("P0", "temp_directory")]
        assert left(host) == ["left-1/coming.bin", "left-1/held.mp4", "left-1/kept.mp4"]
        assert "free before" in done["acted"][0]["msg"]
        note("disk full", host, done)


# runbook: EM-S3
def test_full_inodes_are_freed_while_bytes_are_free(
    incident: Callable[[str], Incident], note: Callable[..., None], tmp_path: Path
) -> None:
    broken = incident("media2")
    with small_temp(broken, "size=64m,nr_inodes=220"), host_clock(broken.fleet, "media2", tmp_path) as moved:
        host = Incident(moved.fleet, "media2")
        with moved.clock.ago(timedelta(hours=3)):
            host.sh(
                f"cd {MERGE}; install -d -o media gone-2; cd gone-2;"
                " for number in $(seq 150); do echo >$number.tmp; done; chown media: *"
            )
        host.sh(
            f"cd {MERGE}; install -d -o media young-2; cd young-2; echo >young.tmp;"
            " for number in $(seq 100); do touch $number.bin || break; done 2>/dev/null; chown media: young.tmp *.bin"
        )
        assert not host.sh(f"touch {TEMP}/x 2>/dev/null && echo written || true").strip(), "no inode is left"
        # Acts when it is run, and in --check tells the same plan.
        code, hash_, output = host.checked("playbooks/emergency_disk_cleanup.yml")
        assert code in (0, 2), output
        code, output = host.run("playbooks/emergency_disk_cleanup.yml")
        done = host.response("emergency_disk_cleanup")
        assert code == 0, output
        assert (done["recovered"], done["hash"]) == (True, hash_)
        assert not [name for name in left(host) if name.endswith(".tmp") and "young" not in name]
        assert "young-2/young.tmp" in left(host)
        assert "young-2/1.bin" in left(host)
        note("inodes full, bytes free", host, done)
        code, output = host.run("playbooks/emergency_disk_cleanup.yml")
        assert code == 0, output
        assert host.response("emergency_disk_cleanup")["acted"][0]["actions"] == [], "a second run deletes nothing"


def test_deleted_files_that_are_held_open_are_named_and_left_to_a_person(
    incident: Callable[[str], Incident], note: Callable[..., None]
) -> None:
    host = incident("media3")
    with small_temp(host, "size=24m"):
        host.sh(
            f"cd {MERGE}; head -c 12M /dev/zero >held.mp4; chown media: held.mp4;"
            " systemd-run --quiet --unit=holder --uid=media tail -f $PWD/held.mp4"
        )
        holder = int(host.sh("systemctl show -p MainPID --value holder"))
        host.sh(f"while ! ls -l /proc/{holder}/fd | grep -q held.mp4; do :; done; cd {MERGE}; rm held.mp4")
        host.sh(f"cd {MERGE}; head -c 30M /dev/zero >coming.bin || true; chown media: coming.bin")
        code, output = host.run(RESPONSE, incident_mode="apply")
        done = host.response()
        assert code == 2, output
        assert (done["recovered"], done["page"], done["classes"]["disk"]) == (False, True, "full")
        assert f"deleted files that tail (pid {holder}) hold open still take 12 MiB" in done["plan"][0]["msg"]
        assert host.sh(f"readlink /proc/{holder}/exe").strip(), "the holder lives"
        assert left(host) == ["coming.bin"]
        note("disk full of deleted files that are held open", host, done)


def test_a_read_only_temp_is_left_to_a_person(incident: Callable[[str], Incident], note: Callable[..., None]) -> None:
    host = incident("media1")
    with small_temp(host, "size=24m"):
        # What the service has open stays so, as where a disk goes read-only by an error.
        host.sh(f"mount --bind {TEMP} {TEMP}; mount -o remount,bind,ro {TEMP}")
        pid = host.main_pid()
        code, output = host.run(RESPONSE, incident_mode="apply")
        done = host.response()
        assert code == 2, output
        assert (done["classes"]["disk"], done["page"]) == ("read_only", True)
        assert not [action for rung in done["acted"] for action in rung["actions"]]
        assert host.main_pid() == pid
        note("temp directory read-only", host, done)


# runbook: P0-3A
def test_a_hog_of_another_user_is_named_and_nothing_is_restarted_for_it(
    incident: Callable[[str], Incident], note: Callable[..., None]
) -> None:
    host = incident("media2")
    total_mb = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    # Ends by itself should the test not end it.
    hog = f"systemd-run --quiet --uid=nobody -p RuntimeMaxSec=600 -p MemoryMax={total_mb // 10}M"
    burn = f"held = b'x' * ({total_mb // 20} << 20)\nwhile True: pass"
    with host.settings(PIPELINE_CPU_CRITICAL="85"):
        main = host.main_pid()
        try:
            for number in range(os.cpu_count() or 2):
                host.sh(f'{hog} --unit=hog{number} python3 -c "{burn if number == 0 else "while True: pass"}"')
            hogs = host.sh("systemctl show -p MainPID --value 'hog*'").split()
            code, output = host.run(
                "playbooks/incident_critical_system.yml", incident_mode="apply", policy_cpu_critical=85
            )
            done = host.response()
            assert code == 2, output
            found = next(row["finding"] for row in done["findings"] if row["subject"] == "resources")
            assert done["classes"]["resources"] == "short"
            assert any(f"python3 (pid {pid})" in found for pid in hogs), found
            assert (done["recovered"], done["page"]) == (False, True)
            assert host.sh("systemctl show -p MainPID --value 'hog*'").split() == hogs, "it is not ours to end"
            assert [rung for rung in done["plan"] if rung["act"] == "service_control"] == [], "it would cure nothing"
            assert host.main_pid() == main
            note("CPU and memory hog of another user", host, done)
        finally:
            host.sh("systemctl stop 'hog*'")


@pytest.fixture
def ahead(fleet: Fleet, incident: Callable[[str], Incident], tmp_path: Path) -> Iterator[tuple[Incident, MovedClock]]:
    """A host whose service and Python see a clock that the test puts an hour ahead."""
    host = incident("media3")
    drop_in = f"/etc/systemd/system/{UNIT}.service.d/ahead.conf"
    with host_clock(fleet, "media3", tmp_path) as moved:
        lines = f"[Service]\\nEnvironment={moved.environment}\\n"
        host.sh(f"mkdir -p $(dirname {drop_in}); printf '{lines}' >{drop_in}; systemctl daemon-reload")
        host.sh(f"systemctl restart {UNIT}")
        try:
            host.wait_healthy()
            yield Incident(moved.fleet, "media3"), moved.clock
        finally:
            host.sh(f"rm {drop_in}; systemctl daemon-reload; systemctl restart {UNIT}")


# runbook: DM-1
def test_a_clock_an_hour_ahead_is_told_and_nothing_goes_by_its_age(
    ahead: tuple[Incident, MovedClock], note: Callable[..., None]
) -> None:
    host, clock = ahead
    # By the host's clock, an hour ahead, the file is old enough.
    with clock.ago(timedelta(hours=2)):
        host.sh(f"install -d -o media {MERGE}/left-1; : >{MERGE}/left-1/a.tmp")
    clock.move(datetime.now(UTC) + timedelta(hours=1))
    try:
        code, output = host.run(RESPONSE, incident_mode="apply")
        done = host.response()
        assert code == 0, output
        (clock,) = [verdict for verdict in done["verdicts"] if verdict["check"] == "clock"]
        assert clock["state"] == "warning"
        assert "ahead of the controller's" in json.dumps(clock)
        assert (done["plan"], done["acted"]) == ([], [])
        code, output = host.run("playbooks/emergency_disk_cleanup.yml")
        done = host.response("emergency_disk_cleanup")
        assert code == 2, output
        assert any("nothing is deleted by its age" in line for line in done["refusals"]), done["refusals"]
        assert left(host) == ["left-1/a.tmp"]
        note("clock an hour ahead, and a cleanup", host, done)
    finally:
        host.sh(f"rm -r {MERGE}/left-1")


@pytest.fixture(scope="module")
def store(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A real S3 store that asks for signatures, where the lab's hosts reach it."""
    with s3_store(tmp_path_factory.mktemp("store"), bind=fleet.gateway) as running:
        yield running


@contextlib.contextmanager
def no_answer(fleet: Fleet) -> Iterator[dict[str, str]]:
    """An endpoint that takes connections and says nothing."""
    with socket.create_server((fleet.gateway, 0)) as silent:
        yield {"AWS_S3_ENDPOINT_URL": f"http://{fleet.gateway}:{silent.getsockname()[1]}"}


@contextlib.contextmanager
def put_denied(store: Store) -> Iterator[dict[str, str]]:
    with store.denying("s3:PutObject"):
        yield {}


@contextlib.contextmanager
def slow_down(store: Store, fleet: Fleet) -> Iterator[dict[str, str]]:
    with s3_proxy(store.endpoint_url, {"put": "slow_down", "list": "slow_down"}, bind=fleet.gateway) as proxy:
        yield {"AWS_S3_ENDPOINT_URL": proxy.url}


# runbook: P0-3G, P0-3H, P0-3I
@pytest.mark.parametrize(
    ("fault", "class_"),
    [
        ("endpoint black hole", "timeout"),
        ("endpoint refused", "refused"),
        ("wrong secret", "bad_signature"),
        ("unknown key", "unknown_key"),
        ("bucket gone", "no_such_bucket"),
        ("policy denies put", "denied_put"),
        ("503 SlowDown", "throttled"),
    ],
)
def test_a_store_that_is_ill_is_diagnosed_and_no_host_is_touched(
    fleet: Fleet, store: Store, incident: Callable[[str], Incident], note: Callable[..., None], fault: str, class_: str
) -> None:
    host = incident("media2")
    ways: dict[str, contextlib.AbstractContextManager[dict[str, str]]] = {
        "endpoint black hole": no_answer(fleet),
        "endpoint refused": contextlib.nullcontext({"AWS_S3_ENDPOINT_URL": f"http://{fleet.gateway}:9"}),
        "wrong secret": contextlib.nullcontext({"AWS_SECRET_ACCESS_KEY": "canary-secret-of-the-wrong-kind"}),
        "unknown key": contextlib.nullcontext({"AWS_ACCESS_KEY_ID": access_key("nobody")}),
        "bucket gone": contextlib.nullcontext({"AWS_S3_BUCKET_NAME": "gone"}),
        "policy denies put": put_denied(store),
        "503 SlowDown": slow_down(store, fleet),
    }
    with ways[fault] as changed, host.settings(**{**store.env, **changed}):
        pid = host.main_pid()
        code, output = host.run(CRITICAL, incident_mode="apply")
        done = host.response()
        assert done["classes"]["storage"] == class_, done["findings"]
        assert not [action for rung in done["acted"] for action in rung["actions"]], "no restart cures a store"
        assert host.main_pid() == pid
        for secret in ({**store.env, **changed}["AWS_SECRET_ACCESS_KEY"], store.secret_key):
            assert secret not in output
        # Also where the service is well by its own word, as it can list its bucket though it cannot write to it.
        assert code == 2, output
        assert "critical" in {row["state"] for row in done["verdicts"] if row["check"] == "probed_storage"}
        note(f"storage: {fault}", host, done)
