# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service's user that is in other hands, by the playbooks: its home, its log, what it writes into it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from .incident_fixtures import incident, matrix, note
from .incident_host import RESPONSE, SERVICE_ENV, Incident

pytestmark = pytest.mark.root
__all__ = ["incident", "matrix", "note"]

HOME = "/srv/media-processing"
LOG = f"{HOME}/temp/logs/errors.log"
QUICK_REFERENCE = "playbooks/quick_reference.yml"


def test_nothing_in_the_home_of_the_services_user_is_loaded(incident: Callable[[str], Incident]) -> None:
    host = incident("media1")
    site = f"{HOME}/.local/lib/python$(python3 -c \"import sys; print('%d.%d' % sys.version_info[:2])\")/site-packages"
    loaded = "/tmp/loaded-by-the-service"
    host.sh(
        f'install -d -o media -g media {site}; echo \'open("{loaded}", "a").close()\' >{site}/usercustomize.py;'
        f" chown -R media: {HOME}/.local"
    )
    try:
        host.sh(f"runuser -u media -- env HOME={HOME} python3 -c pass; [ -e {loaded} ] && rm {loaded}")
        code, output = host.run(RESPONSE, incident_only=["critical_system"], incident_mode="plan")
        assert code in (0, 2), output
        host.run("playbooks/emergency_disk_cleanup.yml")
        assert host.sh(f"ls {loaded} 2>/dev/null || true") == "", "a module loaded what the service's user wrote"
    finally:
        host.sh(f"rm -rf {HOME}/.local {loaded}")


def test_a_pipe_in_place_of_a_log_holds_nobody_up(incident: Callable[[str], Incident]) -> None:
    host = incident("media1")
    host.sh(f"mv {LOG} {LOG}.kept; runuser -u media -- mkfifo {LOG}")
    try:
        began = time.monotonic()
        _code, output = host.run(QUICK_REFERENCE)
        assert time.monotonic() - began < 100
        assert "FIFO" in output, output[-3000:]
        code, output = host.run(RESPONSE, incident_only=["high_error_rate"])
        assert code in (0, 2), output
    finally:
        host.sh(f"rm {LOG}; mv {LOG}.kept {LOG}")


def test_what_the_service_writes_of_its_own_secrets_is_not_shown(incident: Callable[[str], Incident]) -> None:
    host = incident("media1")
    secret = host.sh(f"sed -n 's/^PIPELINE_JWT_SECRET=//p' {SERVICE_ENV}").strip()
    assert len(secret) == 32
    line = f'{{"level": "ERROR", "message": "could not use {secret} nor {secret.encode().hex()}"}}'
    host.sh(f"cp -p {LOG} {LOG}.kept; printf '%s\\n' '{line}' >{LOG}")
    try:
        _code, output = host.run(QUICK_REFERENCE, "-vvvv")
        assert "could not use [removed] nor [removed]" in output
        assert secret not in output
    finally:
        host.sh(f"mv {LOG}.kept {LOG}")
