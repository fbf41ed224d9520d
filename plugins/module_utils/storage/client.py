# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""boto3 as the service would use it: in a child process that has the service's environment, and within a time.

A process of its own, since boto3 takes proxies, CA bundle, profile and more from the environment of its
process, and since a process can be ended whatever hangs in it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import select
import signal
import threading
import time
from collections.abc import Mapping
from typing import Any, Callable, NamedTuple, TypeVar

from ..errors import MissingLibraryError
from .faults import Fault
from .settings import Settings

# Newer versions of boto3 send checksums of their own, which not every store takes. What is there is read back anyway.
PLAIN_REQUESTS = {
    "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
    "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
}

_GRACE_S = 2.0
_MAX_ANSWER = 1 << 20

T = TypeVar("T")


def need_boto3() -> None:
    """Say which package is missing where boto3 is."""
    try:
        import boto3  # noqa: F401
    except ImportError as error:
        raise MissingLibraryError("boto3", "python3-boto3", "it is needed to speak to the storage") from error


class Ended(NamedTuple):
    """A child that has ended: what it found, None where it ended without a result, and its wait status."""

    found: dict[str, Any] | None
    status: int


def in_child(settings: Settings, work: Callable[[], Mapping[str, Any]], seconds: float, **more: str) -> Ended:
    """Do work that gives a JSON object in a child process with the service's environment.

    Args:
        settings: whose environment it gets.
        work: what it does. It should end by itself; some seconds after its time it is killed.
        seconds: its time.
        more: variables for the child where the environment does not have them.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _child({**more, **_environment(settings)}, work, reading, writing)
    os.close(writing)
    try:
        answer = _read_all(reading, time.monotonic() + seconds + _GRACE_S)
    finally:
        os.close(reading)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)  # it has nothing left to do, or hangs
        _pid, status = os.waitpid(pid, 0)
    with contextlib.suppress(ValueError):
        found = json.loads(answer)
        if isinstance(found, dict):
            return Ended(found, status)
    return Ended(None, status)


def _child(environment: Mapping[str, str], work: Callable[[], Mapping[str, Any]], reading: int, writing: int) -> None:
    """What the child does; it never returns, so that nothing of the parent's is done twice."""
    code = 1
    try:
        os.close(reading)
        # boto3 logs tokens at level debug, wherever to.
        logging.disable(logging.CRITICAL)
        null = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(null, standard)
        os.environ.clear()
        os.environ.update(environment)
        answer = json.dumps(work()).encode()
        while answer:
            answer = answer[os.write(writing, answer) :]
        code = 0
    finally:
        os._exit(code)


def _environment(settings: Settings) -> dict[str, str]:
    """The service's own; the metadata service is asked only where it was said to, once and for a second."""
    variables = {name: value for name, value in settings.variables.items() if "\0" not in name + value}
    if not settings.metadata and not variables.get("AWS_PROFILE"):
        variables.setdefault("AWS_EC2_METADATA_DISABLED", "true")
    variables.setdefault("AWS_METADATA_SERVICE_TIMEOUT", "1")
    variables.setdefault("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "1")
    return variables


def _read_all(pipe: int, deadline: float) -> bytes:
    answer = bytearray()
    while len(answer) < _MAX_ANSWER:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([pipe], [], [], left)[0]:
            break
        piece = os.read(pipe, 65536)
        if not piece:
            break
        answer += piece
    return bytes(answer)


def within(work: Callable[[], T], seconds: float, late: Fault) -> T:
    """Work in a thread that is left behind when its time is up: only so do name resolution and slow drips end.

    Raises:
        Fault: ``late``, when its time is up.
    """
    if seconds <= 0:
        raise late
    outcome: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def attempt() -> None:
        try:
            outcome.put((work(), None))
        except BaseException as error:  # noqa: BLE001  raised again in the thread that waits
            outcome.put((None, error))

    threading.Thread(target=attempt, daemon=True).start()
    try:
        value, error = outcome.get(timeout=seconds)
    except queue.Empty:
        raise late from None
    if error is not None:
        raise error
    return value  # type: ignore[return-value]


def new_client(
    session: Any,
    service: str,
    settings: Settings,
    endpoint_url: str,
    *,
    retries: int | None = None,
    more: Mapping[str, str] | None = None,
) -> Any:
    """A client of boto3 by these settings; nothing is sent yet.

    Args:
        session: of boto3.
        service: ``s3`` or ``sts``.
        settings: region, addressing and time-outs.
        endpoint_url: where it is, "" for AWS.
        retries: how often a request is repeated, instead of what the settings say.
        more: further arguments.
    """
    from botocore.config import Config

    style: Any = {"addressing_style": settings.addressing}
    return session.client(
        service,
        region_name=settings.region,
        endpoint_url=endpoint_url or None,
        config=Config(
            connect_timeout=settings.connect_timeout,
            read_timeout=settings.read_timeout,
            retries={"total_max_attempts": 1 + (settings.retries if retries is None else retries)},
            s3=style,
            user_agent_extra="media_ops.runbook",
        ),
        **(more or {}),
    )
