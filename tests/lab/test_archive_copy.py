# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Archives copied from a real host: as the service's user, with the service's own credentials and the host's boto3."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.s3_store import Store, access_key, s3_store

from .conftest import Fleet
from .incident_fixtures import incident
from .incident_host import UNIT, Incident

pytestmark = [pytest.mark.root, pytest.mark.slow]
__all__ = ["incident"]

WEEKLY = "playbooks/weekly_log_management.yml"
ENV = "/etc/media-processing/service.env"
LOGS = "/srv/media-processing/temp/logs"


@pytest.fixture
def stored(
    fleet: Fleet, incident: Callable[[str], Incident], tmp_path: Path
) -> Iterator[tuple[Incident, Store, Callable[[str], None]]]:
    """A host whose service has a real S3 store; and what makes its service run with another identity of the store."""
    host = incident("media2")
    address = fleet.lab.inventory()["all"]["children"]["media_hosts"]["hosts"][host.host]["ansible_host"]
    with s3_store(tmp_path / "store", bind=f"{str(address).rpartition('.')[0]}.1") as store:
        host.sh(f"cp -p {ENV} /root/service.env; install -d -o media -g media /backup/logs")

        def serve_as(identity: str) -> None:
            settings = "".join(f"{name}={value}\\n" for name, value in store.env_of(identity).items())
            host.sh(f"cp -p /root/service.env {ENV}; printf '{settings}' >> {ENV}; systemctl restart {UNIT}")
            host.wait_healthy()

        try:
            yield host, store, serve_as
        finally:
            host.sh(f"cp -p /root/service.env {ENV}; rm -rf /root/service.env /backup/logs {LOGS}/*.log.[0-9]*")
            host.sh(f"systemctl restart {UNIT}")


# runbook: WL-2, WL-3
def test_the_weekly_playbook_copies_with_the_services_own_credentials(
    stored: tuple[Incident, Store, Callable[[str], None]],
) -> None:
    host, store, serve_as = stored

    def weekly(*options: str) -> tuple[int, str]:
        extra = json.dumps({"policy_archive_copy_bucket": store.bucket})
        done = host.fleet.playbook(WEEKLY, "--limit", host.host, "-e", extra, *options)
        return done.returncode, done.stdout + done.stderr

    def copies() -> list[str]:
        keys = store.keys()
        return [key.removeprefix(prefix) for key in keys if key.startswith(prefix)]

    prefix = f"log-archives/{host.host}/"
    host.sh(f"seq 100000 > {LOGS}/application.log.7; chown media: {LOGS}/application.log.7")

    # Credentials that may list and read only: archived, and told why it is not copied.
    serve_as("reader")
    code, output = weekly()
    assert code == 2, output
    assert "denied_put: put: these credentials may not write: allow s3:PutObject" in output
    name = host.sh("ls /backup/logs").strip()
    assert copies() == []

    serve_as("ops")
    code, output = weekly()
    assert code == 0, output
    assert copies() == [name, f"{name}.sha256"]
    mark = store.content(f"{prefix}{name}.sha256").decode()
    assert mark == host.sh(f"cd /backup/logs && sha256sum {name}")
    entries = [(entry["action"], entry["result"]) for entry in host.ledger()]
    assert ("copy", "failed") in entries
    assert entries[-2] == ("copy", "done")
    kept = host.sh("cat /var/lib/media-ops/ledger.jsonl")
    for secret in (store.secret_key, access_key("ops"), access_key("reader")):
        assert secret not in output + kept + host.response_page("weekly_log_management")

    code, output = weekly("--check")
    assert code == 0, output
    assert f"1 of 1 archives have a verified copy in s3://{store.bucket}/{prefix}" in output
    assert f"copy {name}" not in output
