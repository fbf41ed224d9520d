"""What is waited for has an end, and what was started for it, too."""

from __future__ import annotations

import signal
import subprocess
import time

import pytest
from ansible_collections.media_ops.runbook.plugins.plugin_utils.limit import OverdueError, limited_to


def test_what_ends_in_time_is_left_alone() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with limited_to(60):
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) == before


def test_what_was_started_meanwhile_ends_with_it_and_nothing_else() -> None:
    with subprocess.Popen(["sleep", "60"]) as older:
        began, started = time.monotonic(), list[subprocess.Popen[bytes]]()

        def wait_for_another() -> None:
            with limited_to(0.5):
                started.append(subprocess.Popen(["sleep", "60"]))
                started[0].wait()

        with pytest.raises(OverdueError):
            wait_for_another()
        assert started[0].wait(30) == -signal.SIGTERM
        assert time.monotonic() - began < 30
        assert older.poll() is None
        older.kill()


def test_a_nearer_limit_of_others_stays() -> None:
    class OthersError(Exception):
        pass

    def over(_number: int, _frame: object) -> None:
        raise OthersError

    before = signal.signal(signal.SIGALRM, over)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(OthersError), limited_to(60):
            time.sleep(30)
        signal.setitimer(signal.ITIMER_REAL, 60)
        with pytest.raises(OverdueError), limited_to(0.3):
            time.sleep(30)
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] < 60
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
