# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of the web, as options and environments give them. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit


def is_web_address(url: str) -> bool:
    """Whether it is of http or https and names a host, and no port that there cannot be."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that do not match, a port that is no number
        return False


def host_and_port(url: str) -> tuple[str, int]:
    """The host, "" for none, and the port, also where it is not named.

    Raises:
        ValueError: they cannot be read.
    """
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def port_of(url: str) -> int:
    """The port, also where it is not named; 0 where there is none that can be read."""
    try:
        return host_and_port(url)[1]
    except ValueError:
        return 0
