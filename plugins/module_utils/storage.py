# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A storage probe with the service's own credentials, in a child process that has the service's environment.

A process of its own, since boto3 takes proxies, CA bundle, profile and more from the environment of its
process, and since a process can be ended whatever hangs in it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import time
from collections.abc import Mapping
from typing import Any, Callable

from .errors import MissingLibraryError
from .storage_settings import Settings, clean, read_settings
from .storage_steps import Probe
from .times import to_text, utc_now

_GRACE_S = 2.0
_MAX_ANSWER = 1 << 20


def storage_probe(params: Mapping[str, Any], *, check_mode: bool, hide: Callable[[str], None]) -> dict[str, Any]:
    """Probe the service's storage; everything that is wrong with it is a value.

    Args:
        params: the module's parameters.
        check_mode: whether nothing is to be written.
        hide: takes each secret that must not be in the module's output.

    Raises:
        OptionError: an option cannot be right.
        MissingLibraryError: boto3 is not on the host.
    """
    settings = read_settings(params, check_mode=check_mode, hide=hide)
    began = time.monotonic()
    checked_at = to_text(utc_now())
    if settings.trouble:
        found = _not_probed(settings, settings.trouble.state, settings.trouble.reason)
    else:
        _need_boto3()
        found = _in_child(settings)
    result = {
        **found,
        "bucket": settings.bucket,
        "region": settings.region,
        "addressing": settings.addressing,
        "environment": settings.environment(),
        "environment_source": settings.source,
        "checked_at": checked_at,
        "elapsed_ms": round((time.monotonic() - began) * 1000),
        "changed": False,
    }
    return clean(result, settings.hidden())  # type: ignore[no-any-return]


def _need_boto3() -> None:
    try:
        import boto3  # noqa: F401
    except ImportError as error:
        raise MissingLibraryError("boto3", "python3-boto3", "it is needed to speak to the storage") from error


def _not_probed(settings: Settings, state: str, reason: str) -> dict[str, Any]:
    probe = Probe(settings)
    probe.skip_all(state, reason)
    return probe.report


def _in_child(settings: Settings) -> dict[str, Any]:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _child(settings, reading, writing)
    os.close(writing)
    try:
        answer = _read_all(reading, time.monotonic() + settings.total_timeout + _GRACE_S)
    finally:
        os.close(reading)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)  # it has nothing left to do, or hangs
        _pid, status = os.waitpid(pid, 0)
    with contextlib.suppress(ValueError):
        found = json.loads(answer)
        if isinstance(found, dict):
            return found
    return _not_probed(settings, "unknown", f"the probe ended without a result (wait status {status})")


def _child(settings: Settings, reading: int, writing: int) -> None:
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
        os.environ.update(_environment(settings))
        answer = json.dumps(Probe(settings).run()).encode()
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
