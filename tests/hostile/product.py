"""The product, run once over a scene, in a process of its own: a crash or a hang is a result as well.

The kernel dates every change of a file by the real time, and nobody can set that date. So the product's clock
is moved: ahead, by days, and what was made just now is days old.
"""

from __future__ import annotations

import datetime as dt
import importlib
import json
import os
import select
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from ansible_collections.media_ops.runbook.plugins.module_utils.archives.journal import archived_logs
from ansible_collections.media_ops.runbook.plugins.module_utils.disk import disk_cleanup
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import MediaOpsError
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions import protected, session_terminate

# The product imports it late; here once for all scenes, and as root, for whom alone it may be readable.
importlib.import_module("requests")
PACKAGE = "ansible_collections.media_ops.runbook"


class Product:
    """A process that waits for its one order. To be made before this one has a second thread."""

    def __init__(self) -> None:
        order, self._order = os.pipe()
        self._answer, answer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._order)
            os.close(self._answer)
            _serve(order, answer)
        os.close(order)
        os.close(answer)

    def run(
        self, what: str, params: dict[str, Any], *, moved_s: float = 0.0, uid: int = 0, limit_s: float = 120.0
    ) -> dict[str, Any]:
        """What the product returned; `broke` says why there is nothing, `warnings` what it warned of.

        It hangs once it takes longer than `limit_s`, but for the time in which it waits for a processor.
        """
        os.write(self._order, json.dumps({"what": what, "params": params, "moved": moved_s, "uid": uid}).encode())
        os.close(self._order)
        said = b""
        began = time.monotonic()
        while time.monotonic() < began + limit_s + self._starved_s():
            if select.select([self._answer], [], [], 1.0)[0]:
                part = os.read(self._answer, 1 << 20)
                if not part:
                    break
                said += part
        else:
            os.kill(self.pid, 9)
            said = b'{"broke": "it hangs"}'
        os.close(self._answer)
        os.waitpid(self.pid, 0)
        answer: dict[str, Any] = json.loads(said) if said else {"broke": "it died without a word"}
        return answer

    def _starved_s(self) -> float:
        waited = Path(f"/proc/{self.pid}/schedstat").read_bytes().split()[1]
        return int(waited) / 1e9


def _serve(order: int, answer: int) -> None:
    """Carry one order out, and end."""
    try:
        with os.fdopen(order, "rb") as file:
            asked = json.loads(file.read())
        if asked["moved"]:
            move_clock(asked["moved"])
        if asked["uid"]:
            os.setgroups([])
            os.setresgid(asked["uid"], asked["uid"], asked["uid"])
            os.setresuid(asked["uid"], asked["uid"], asked["uid"])
        result = _result(asked["what"], asked["params"])
        text = json.dumps(result).encode()
        while text:
            text = text[os.write(answer, text) :]
    except BaseException:  # noqa: BLE001  nothing of the parent's may run here
        traceback.print_exc()
    finally:
        os._exit(0)


def _result(what: str, params: dict[str, Any]) -> dict[str, Any]:
    warnings: list[str] = []

    def hide(_secret: str) -> None:
        """Secrets are not looked at here."""

    def ask() -> protected.Sessions:
        return protected.protected_sessions(params, warn=warnings.append, hide=hide)

    try:
        if what == "terminate":
            result = session_terminate.session_terminate(params, check_mode=False, warn=warnings.append, hide=hide)
        else:
            result = disk_cleanup.disk_cleanup(params, disk_cleanup.Mode(), ask, archived_logs)
    except MediaOpsError as error:
        return {"refused_all": str(error), "warnings": warnings}
    except Exception:  # noqa: BLE001
        return {"broke": traceback.format_exc(), "warnings": warnings}
    return {**result, "warnings": warnings}


def move_clock(seconds: float) -> None:
    """Move the clock of this process, for all of the product."""
    wall, nanoseconds, real = time.time, time.time_ns, dt.datetime

    class Moved(real):  # type: ignore[misc, valid-type]
        """A datetime whose now is another."""

        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:
            """The moved time."""
            return cls.fromtimestamp(wall() + seconds, tz)

    time.time = lambda: wall() + seconds
    time.time_ns = lambda: nanoseconds() + int(seconds * 10**9)
    for name, module in list(sys.modules.items()):
        if name.startswith(PACKAGE) and getattr(module, "datetime", None) is real:
            module.datetime = Moved  # type: ignore[attr-defined]
