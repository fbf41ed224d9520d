# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where lines for people go."""

from __future__ import annotations

from ansible import constants as C  # noqa: N812


def is_read_by_a_program() -> bool:
    """Whether standard output is JSON, which lines for people would break."""
    return "json" in str(C.DEFAULT_STDOUT_CALLBACK).rpartition(".")[2]
