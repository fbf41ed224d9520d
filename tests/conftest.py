# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures for all tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "sandbox"))

from media_pipeline.launcher import Pipeline, running_pipeline


@pytest.fixture(autouse=True)
def no_warnings_of_other_tests() -> None:
    """Ansible keeps the warnings of modules for the process, which here is that of many tests."""
    from ansible.module_utils.common import warnings

    warnings._global_warnings.clear()


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A sound pipeline for the whole session: tests add to it and break nothing."""
    with running_pipeline(tmp_path_factory.mktemp("pipeline")) as running:
        yield running


@pytest.fixture
def fresh_pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    """A pipeline of one's own, to be broken."""
    with running_pipeline(tmp_path / "pipeline") as running:
        yield running
