# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Does the service itself answer? Asked where its own processes listen, on the host, without a token.

An address of the API that does not answer may be a proxy's fault, or a wrong port: no reason to restart a service.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ..shapes import one_line
from ..system.listening import Answered, Place, Places, ask, first_port_first, local_port, places_of, users_on
from ..web_address import port_of

_PAUSE_S = 1.0
_PLACES_MAX = 8


@dataclass(frozen=True)
class Answering:
    """Whether the service answers for itself.

    Attributes:
        state: ``answers``, ``silent`` (it listens, and nobody answers there), ``listens_nowhere``, or ``unknown``.
        reason: one line for people.
        address: where it answered or was silent.
        http_status: of the answer, 0 where there was none.
    """

    state: str
    reason: str
    address: str = ""
    http_status: int = 0

    def as_result(self) -> dict[str, Any]:
        """What the module returns."""
        return {**vars(self)}


def not_asked(why: str) -> Answering:
    """What stands for an answer where nobody was asked."""
    return not_known(f"it was not asked for its health: {why}")


def not_known(why: str) -> Answering:
    """What stands for an answer where nobody can tell."""
    return Answering("unknown", why)


NOT_WANTED = not_asked("that is not wanted")


def answering(
    pids: Iterable[int], main: int, uid: int, *, api_url: str, path: str, timeout_s: float, tries: int
) -> Answering:
    """Ask the service for its health on each place where it listens, until one of them answers.

    Args:
        pids: its own processes, without what works on merges.
        main: its main process.
        uid: their user.
        api_url: address of the API, whose port and path are likely to be the service's own.
        path: of the health below it.
        timeout_s: for one answer.
        tries: how often a place is asked that does not answer.
    """
    places = places_of(pids, main, uid)
    if places.reason:
        return not_asked(places.reason)
    if not places.found:
        said = "it listens on no port" if places.proved else "it is not known where it listens"
        if places.proved and (port := _of_another(api_url)):
            # As of a worker whose queue has a program of its own that tells of it: who does not answer is that one.
            return not_known(f"{said}, and its API on port {port} is another process's: whether it hangs is not told")
        return Answering("listens_nowhere" if places.proved else "unknown", said)
    parts = urlsplit(api_url)
    asked = parts.path.rstrip("/") + path
    silent: dict[Place, Answered] = {}
    likely = first_port_first(places.found, port_of(api_url))[:_PLACES_MAX]
    for number in range(tries):
        if number:
            time.sleep(_PAUSE_S)
        for place in likely:
            answer = ask(place, asked, timeout_s)
            if answer.status and (places.proved or _is_health(answer)):
                return Answering("answers", f"it answers on {place} (HTTP {answer.status})", str(place), answer.status)
            if not answer.status:
                silent[place] = answer
    return _unanswered(places, likely, silent, port_of(api_url))


def _unanswered(places: Places, asked: Sequence[Place], silent: Mapping[Place, Answered], port: int) -> Answering:
    """What is known of a service of which no place answered that is known to be its own."""
    if not silent:
        return not_known("who answers where its user listens does not tell its health")
    if not places.proved and not any(place.port == port for place in silent):
        # Any service of this user may listen there, one that speaks no HTTP as well.
        return not_known(f"nobody answers on {next(iter(silent))}, which is not known to be its own")
    if len(asked) < len(places.found):
        return not_known(f"only {len(asked)} of the {len(places.found)} places where it may listen were asked")
    place, answer = next(iter(silent.items()))
    said = f"it listens on {', '.join(map(str, silent))}, and does not answer: {answer.reason}"
    return Answering("silent", one_line(said, 200), str(place))


def _of_another(api_url: str) -> int:
    """The API's port where somebody of this host listens there, though not the service itself; 0 where nobody does."""
    port = local_port(api_url)
    return port if port and users_on(port) else 0


def _is_health(answer: Answered) -> bool:
    """Whether this may be the health of a service: another one of the same user is not to be taken for it."""
    try:
        document = json.loads(answer.body)
    except ValueError:
        return False
    if not isinstance(document, Mapping):
        return False
    detail = document.get("detail")
    inner = detail if isinstance(detail, Mapping) else {}
    return "overall_status" in document or "overall_status" in inner or (answer.status >= 500 and "detail" in document)
