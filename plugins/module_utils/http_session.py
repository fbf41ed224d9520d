# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session of HTTP that goes by nothing but what it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import requests


def bare_session() -> requests.Session:
    """A session without proxies, .netrc and certificate bundles of the environment, which looks at no redirect.

    Raises:
        ImportError: the library ``requests`` is missing.
    """
    import requests

    class Session(requests.Session):
        def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002
            """None: requests would read the whole body of a redirect, unbounded, although none is followed."""
            return None

    session = Session()
    session.trust_env = False
    session.headers["User-Agent"] = "media_ops.runbook"
    return session
