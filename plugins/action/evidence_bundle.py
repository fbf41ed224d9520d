# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes of module evidence_bundle's answer what it promises; documented by the module of the same name."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from typing import Any
from urllib.parse import quote

from ..module_utils.errors import MediaOpsError
from ..module_utils.evidence.bundles import BUNDLES, keep_bundle
from ..module_utils.shapes import one_line
from ..module_utils.state.directory import failing, open_existing
from ..plugin_utils.host_action import HostModule

_KEEP, _KEEP_BYTES = 20, 200 << 20


class ActionModule(HostModule):
    """Runs the module on the host, and keeps what the host has no room for."""

    def act(self, given: dict[str, Any]) -> dict[str, Any]:
        """What the module answers; without a place on the controller, nothing is sent here."""
        place = given.get("controller_dir")
        answer = super().act(given if place else {**given, "send_bytes": 0})
        archive = answer.pop("archive", None)
        if not isinstance(archive, str):
            return answer
        try:
            path = self._keep(os.path.expanduser(str(place)), archive, answer)
        except MediaOpsError as error:
            msg = f"{one_line(answer.get('not_kept'), 200)}; and on the controller: {error}"
            return {"failed": True, "changed": False, "msg": msg}
        return {**answer, "path": f"controller:{path}"}

    def _keep(self, place: str, encoded: str, answer: dict[str, Any]) -> str:
        try:
            archive = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError) as error:
            raise MediaOpsError(f"what the host sent is no archive: {one_line(error, 80)}") from None
        if hashlib.sha256(archive).hexdigest() != answer.get("sha256"):
            raise MediaOpsError("what the host sent has another hash than it says")
        # A host's name may be anything that an inventory takes.
        of_host = os.path.join(os.path.abspath(place), "evidence", quote(self.host, safe="").lstrip(".") or "host")
        with failing(f"cannot make the directory {of_host}"):
            os.makedirs(of_host, 0o700, exist_ok=True)
        opened = open_existing(of_host, option="controller_dir")
        try:
            bundles = os.path.join(of_host, BUNDLES)
            run_id = str(self._task.args.get("run_id"))
            check_mode = bool(self._task.check_mode)
            name, _removed = keep_bundle(
                opened, archive, bundles, run_id, keep=_KEEP, keep_bytes=_KEEP_BYTES, check_mode=check_mode
            )
        finally:
            os.close(opened)
        return os.path.join(bundles, name)
