"""The clock that tests move: what processes see of it, and how old their files are for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import pytest

from tests.moved_clock import MovedClock, missing_reason
from tests.s3_proxy import s3_proxy
from tests.s3_store import s3_store

pytestmark = pytest.mark.skipif(bool(missing_reason()), reason=missing_reason())

MARCH = datetime(2025, 3, 3, 12, tzinfo=UTC)
PYTHONS = sorted({sys.executable, *(path for path in ("/usr/bin/python3",) if Path(path).exists())})
FACTS = """
import json, os, sys
facts = [os.lstat(path) for path in sys.argv[1:]]
print(json.dumps([[one.st_mtime, one.st_ctime] for one in facts]))
"""


def seen(clock: MovedClock, *command: str, environment: Mapping[str, str] | None = None) -> str:
    """What a process with the clock writes."""
    env = {**os.environ, **clock.environment, **(environment or {})}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.strip()


def dates(clock: MovedClock, *paths: Path) -> list[tuple[float, float]]:
    """The mtime and ctime of files, in seconds after MARCH."""
    found = json.loads(seen(clock, sys.executable, "-c", FACTS, *map(str, paths)))
    return [(mtime - MARCH.timestamp(), ctime - MARCH.timestamp()) for mtime, ctime in found]


def near(*seconds: float) -> Any:
    """Within the time that a slow machine takes for a few processes."""
    return pytest.approx(seconds, abs=20)


@pytest.mark.parametrize("python", PYTHONS)
def test_all_ways_to_ask_for_the_time_of_day_are_moved(clock: MovedClock, python: str) -> None:
    clock.move(MARCH)
    ways = ["time.time()", "time.clock_gettime(time.CLOCK_REALTIME)", "datetime.datetime.now().timestamp()"]
    said = json.loads(seen(clock, python, "-c", f"import datetime, json, time; print(json.dumps([{', '.join(ways)}]))"))
    shells = ["date +%s", "printf '%(%s)T\\n' -1", "echo $EPOCHSECONDS"]
    said += [float(line) for line in seen(clock, "bash", "-c", "; ".join(shells)).splitlines()]
    assert [one - MARCH.timestamp() for one in said] == near(*[0] * 6)


@pytest.mark.parametrize("python", PYTHONS)
def test_waiting_goes_on_as_it_is(clock: MovedClock, python: str) -> None:
    clock.move(MARCH)
    code = """
import multiprocessing, threading, time
began = time.monotonic()
time.sleep(0.2)
threading.Event().wait(0.2)
lock = multiprocessing.Lock()
with lock:
    lock.acquire(timeout=0.2)
print(time.monotonic() - began)
"""
    assert 0.6 <= float(seen(clock, python, "-c", code)) < 5
    assert abs(float(seen(clock, python, "-c", "import time; print(time.monotonic())")) - time.monotonic()) < 20


def test_a_process_that_runs_sees_a_move_at_once(clock: MovedClock) -> None:
    clock.move(MARCH)
    code = "import sys, time\nfor _ in sys.stdin: print(time.time(), flush=True)"
    command = [sys.executable, "-c", code]
    env = {**os.environ, **clock.environment}
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        into, out = process.stdin, process.stdout
        assert into
        assert out

        def ask(into: IO[str], out: IO[str]) -> float:
            into.write("\n")
            into.flush()
            return float(out.readline()) - MARCH.timestamp()

        for days in (0, 5, 5.5, 40, 3):
            clock.move(MARCH + timedelta(days=days))
            assert ask(into, out) == pytest.approx(days * 86400, abs=5)
        into.close()


def test_files_are_of_the_moment_at_which_they_were_written(clock: MovedClock, tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(30)]
    for number, path in enumerate(paths):
        clock.move(MARCH + timedelta(days=number))
        # No time passes between the move and the file, nor between it and the next move.
        path.touch()
        for _number in range(number):
            # Since somebody looks, the next change has a date of its own, finer than the kernel's tick.
            path.stat()
            path.write_text("changed")
    for number, one in enumerate(dates(clock, *paths)):
        assert one == near(number * 86400, number * 86400)
    paths[3].rename(tmp_path / "renamed")
    paths[4].chmod(0o600)
    with paths[5].open("a") as file:
        file.write("more")
    found = dates(clock, tmp_path / "renamed", *paths[4:6])
    day = 86400
    assert found == [near(3 * day, 29 * day), near(4 * day, 29 * day), near(29 * day, 29 * day)]


def test_files_from_before_the_first_move_keep_their_dates(clock: MovedClock, tmp_path: Path) -> None:
    (tmp_path / "before").touch()
    real = (tmp_path / "before").stat()
    clock.move(MARCH)
    (mtime, ctime), *_others = dates(clock, tmp_path / "before")
    assert (mtime + MARCH.timestamp(), ctime + MARCH.timestamp()) == (real.st_mtime, real.st_ctime)


SET = """
import os, sys
path, when = sys.argv[1], int(sys.argv[2])
os.utime(path, ns=(when, when))
fd = os.open(path, os.O_RDONLY)
directory = os.open(os.path.dirname(path), os.O_RDONLY)
within = os.stat(os.path.basename(path), dir_fd=directory)
first = os.stat(path).st_mtime_ns, os.fstat(fd).st_mtime_ns, within.st_mtime_ns
os.utime(fd, ns=(when + 1, when + 1))
print(*(one - when for one in first), os.stat(path).st_mtime_ns - when)
"""


@pytest.mark.parametrize(
    "when",
    [datetime(1971, 1, 1, tzinfo=UTC), datetime(2001, 5, 6, 7, 8, 9, 10, UTC), MARCH, MARCH + timedelta(days=9)],
    ids=["1971", "2001", "now", "ahead"],
)
def test_a_date_that_is_set_is_given_back(clock: MovedClock, tmp_path: Path, when: datetime) -> None:
    path = tmp_path / "file"
    path.touch()
    clock.move(MARCH - timedelta(days=300))
    clock.move(MARCH)
    whole = round(when.timestamp()) * 10**9 + 123456789
    assert seen(clock, sys.executable, "-c", SET, str(path), str(whole)) == "0 0 0 1"
    clock.move(MARCH + timedelta(days=20))
    ((mtime, ctime),) = dates(clock, path)
    # No later move shifts it.
    assert mtime + MARCH.timestamp() == pytest.approx(when.timestamp(), abs=2)
    assert abs(ctime) < 20


def test_what_was_written_ago_is_old_now(clock: MovedClock, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    with clock.ago(timedelta(days=7)):
        old.touch()
    new.touch()
    (mtime, ctime), *others = dates(clock, old, new)
    assert mtime == ctime
    week = timedelta(days=7).total_seconds()
    assert mtime + MARCH.timestamp() + week == pytest.approx(old.stat().st_mtime, abs=1e-3)
    real = new.stat().st_mtime - MARCH.timestamp()
    assert others == [pytest.approx((real, real), abs=1e-3)]


def test_a_clock_that_goes_ahead_dates_what_is_written_then(clock: MovedClock, tmp_path: Path) -> None:
    old, new, dated = tmp_path / "old", tmp_path / "new", tmp_path / "dated"
    old.touch()
    ahead = datetime.now(UTC) + timedelta(days=2)
    clock.move(ahead)
    new.touch()
    now = float(seen(clock, sys.executable, "-c", "import time; print(time.time())"))
    (mtime, ctime), (mtime_new, ctime_new) = dates(clock, old, new)
    base = MARCH.timestamp()
    assert now - mtime - base == now - ctime - base == pytest.approx(2 * 86400, abs=20)
    assert (mtime_new + base - now, ctime_new + base - now) == near(0, 0)
    seen(clock, "touch", "-d", f"@{now:.0f}", str(dated))
    assert seen(clock, "stat", "-c", "%Y", str(dated)) == f"{now:.0f}"
    # The clock never stood there: the nearest date that there is.
    seen(clock, "touch", "-d", "1 hour ago", str(dated))
    assert int(seen(clock, "stat", "-c", "%Y", str(dated))) == pytest.approx(ahead.timestamp(), abs=2)


def test_the_tools_of_a_host_agree(clock: MovedClock, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    clock.move(MARCH)
    (data / "old").write_text("old")
    clock.move(MARCH + timedelta(days=10))
    (data / "new").write_text("new")
    seen(clock, "touch", "-d", "20 days ago", str(data / "dated"))
    seen(clock, "cp", "-p", str(data / "old"), str(data / "copy"))
    assert seen(clock, "find", str(data), "-type", "f", "-ctime", "+8") == str(data / "old")
    assert set(seen(clock, "find", str(data), "-type", "f", "-mtime", "+8").split()) == {
        str(data / name) for name in ("old", "dated", "copy")
    }
    assert seen(clock, "stat", "-c", "%y", str(data / "old"))[:15] == "2025-03-03 12:0"
    assert seen(clock, "stat", "-c", "%z", str(data / "copy"))[:15] == "2025-03-13 12:0"
    assert seen(clock, "ls", "-l", "--time-style=+%m%d", str(data / "dated")).split()[5] == "0221"
    seen(clock, "tar", "-C", str(data), "-cf", str(tmp_path / "a.tar"), "old")
    assert "2025-03-03 12:0" in seen(clock, "tar", "-tvf", str(tmp_path / "a.tar"))
    seen(clock, "tar", "-C", str(tmp_path), "-xf", str(tmp_path / "a.tar"))
    assert dates(clock, tmp_path / "old") == [near(0, 10 * 86400)]


def test_dates_far_away_and_a_file_that_is_not_there(clock: MovedClock, tmp_path: Path) -> None:
    clock.move(MARCH)
    path = tmp_path / "far"
    path.touch()
    for year in (1901, 2300):
        seen(clock, "touch", "-d", f"{year}-01-01 00:00:00 UTC", str(path))
        assert seen(clock, "date", "-r", str(path), "+%Y") == str(year)
    gone = {"MOVED_CLOCK_FILE": str(tmp_path / "none")}
    code = "import time; print(time.time())"
    assert abs(float(seen(clock, sys.executable, "-c", code, environment=gone)) - time.time()) < 20


def test_many_threads_look_while_it_is_moved(clock: MovedClock) -> None:
    """Every one of them sees moments of one line or of the next, never a mixture."""
    clock.move(MARCH)
    code = """
import json, sys, threading, time
seen, end = set(), threading.Event()
def look():
    mine = set()
    while not end.is_set():
        mine.add(int(time.time()) // 86400)
    seen.update(mine)
threads = [threading.Thread(target=look) for _ in range(4)]
for one in threads: one.start()
print("ready", flush=True)
sys.stdin.read()
end.set()
for one in threads: one.join()
print(json.dumps(sorted(seen)))
"""
    env = {**os.environ, **clock.environment}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        for days in range(1, 100):
            clock.move(MARCH + timedelta(days=days))
        out, _errors = process.communicate(timeout=60)
    first = int(MARCH.timestamp()) // 86400
    assert set(json.loads(out)) <= {first + days for days in range(101)}
    assert first + 99 in json.loads(out)


def test_all_files_of_one_clock_say_the_same(tmp_path: Path) -> None:
    """As the hosts of a lab have one each."""
    files = [tmp_path / name for name in ("one", "other")]
    clock = MovedClock(*files)
    clock.move(MARCH)
    of_other = {**clock.environment, "MOVED_CLOCK_FILE": str(files[1])}
    said = float(seen(clock, "date", "+%s", environment=of_other))
    assert (said - MARCH.timestamp(),) == near(0)
    assert files[0].read_bytes() == files[1].read_bytes()


PUT = """
import sys, boto3
from botocore.exceptions import ClientError
client = boto3.client("s3", "us-east-1", endpoint_url=sys.argv[1], aws_access_key_id=sys.argv[2],
                      aws_secret_access_key=sys.argv[3])
try:
    client.put_object(Bucket=sys.argv[4], Key="a key/of two", Body=b"content")
    print(client.get_object(Bucket=sys.argv[4], Key="a key/of two")["Body"].read().decode())
except ClientError as error:
    print(error.response["Error"]["Code"])
"""


@pytest.mark.slow
def test_a_store_at_real_time_takes_what_is_signed_at_a_moved_one_by_its_proxy(
    clock: MovedClock, tmp_path: Path
) -> None:
    clock.move(MARCH)
    with s3_store(tmp_path / "store") as store:
        known = {store.access_key: store.secret_key}
        with s3_proxy(store.endpoint_url) as plain, s3_proxy(store.endpoint_url, secrets=known) as signing:
            arguments = (store.access_key, store.secret_key, store.bucket)
            said = [seen(clock, sys.executable, "-c", PUT, proxy.url, *arguments) for proxy in (plain, signing)]
    assert said == ["RequestTimeTooSkewed", "content"]
