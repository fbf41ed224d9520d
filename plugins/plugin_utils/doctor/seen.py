# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the site has set, and what was seen of a host: of these its rows are made.

All that comes of a host is read with suspicion: what is not of the kind that is promised is not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ...module_utils.shapes import Json, mapping
from .reach import Reach

LISTED_MAX = 6
"""So many things of a kind are named in a row."""
_ROWS_MAX = 50


@dataclass(frozen=True)
class Settings:
    """What the site has set, as far as rows speak of it.

    Attributes:
        api_url: address of the monitoring API.
        api_offered: whether the service has an API.
        api_mapped: whether a map says where and how it has its endpoints.
        has_token: whether the controller gives a token.
        token_end: when that token ends, in seconds since 1970, where it says so.
        token_file: path of a token on the host.
        log_names: the logs that playbooks read.
        disk_percent: from where on a file system is full.
        unit: the service's.
        restart: what restarts a service without a unit.
        service_user: whose it is.
        base_dir: its own directory.
        log_dir: where it logs.
        becomes: whether modules that work in its files become the service's user.
        archive_dir: where its archives go.
        own_checks: what the checks look at themselves.
        python: what ``ansible_python_interpreter`` says, "" where Ansible is to look for one.
        connects_as: the user by whom hosts are reached, "" where nothing is set.
        policy: as option ``policy`` of action check.
    """

    api_url: str
    api_offered: bool
    api_mapped: bool
    has_token: bool
    token_end: float | None
    token_file: str
    log_names: Sequence[str]
    disk_percent: float
    unit: str
    restart: Sequence[str]
    service_user: str
    base_dir: str
    log_dir: str
    becomes: bool
    archive_dir: str
    own_checks: Sequence[str]
    python: str
    connects_as: str
    policy: Json


@dataclass(frozen=True)
class Seen:
    """What was seen of a host.

    Attributes:
        reach: the first look.
        info: of module setup_info, with ``failed`` and ``msg`` where it gave no answer.
        api: of module pipeline_info, None where it was not asked.
        ffmpeg: of module ffmpeg_info, likewise.
        storage: of module storage_probe, likewise.
        now: the controller's time, seconds since 1970.
    """

    reach: Reach
    info: Json = field(default_factory=dict)
    api: Json | None = None
    ffmpeg: Json | None = None
    storage: Json | None = None
    now: float = 0.0

    def of(self, part: str, key: str) -> object:
        """What a part of the answer of setup_info says of one thing, None where it says nothing."""
        return mapping(self.info.get(part)).get(key)

    @property
    def has_user(self) -> bool:
        """Whether the service's user is there."""
        return self.of("service_user", "there") is True

    @property
    def may_not_become(self) -> bool:
        """Whether who connects is known not to become the service's user."""
        return bool(self.of("sudo", "become"))


def listed(value: object) -> list[Any]:
    """A list of a host's answer, as long as ours are."""
    return value[:_ROWS_MAX] if isinstance(value, list) else []
