# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Three real hosts with one clock that moves, their zone, disks, logs, store and schedule, and what happens there.

All processes of a host have the clock: /etc/ld.so.preload names the library when the host boots, so that init, sshd,
sudo and logrotate are of one time with the service. The store alone goes by real time (tests/s3_proxy.py).
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from media_pipeline.client import wait_for

from tests.lab.conftest import Fleet, keep_code, made_fleet
from tests.moved_clock import MovedClock, library
from tests.receiver import Receiver, receiver
from tests.s3_proxy import Proxy, s3_proxy
from tests.s3_store import Store, s3_store
from tests.scheduled import SCHEDULE, Run, play, write_schedule
from tools.lab import Lab

HOSTS = ("media1", "media2", "media3")
ZONE = "Site/Weeks"
UNIT = "media-processing-service"
BASE = "/srv/media-processing"
LOGS = f"{BASE}/temp/logs"
WORK = f"{BASE}/temp/video_merge"
ARCHIVES = "/backup/logs"
# On the service's own disk, which fills up: what says who acts must be written there all the same.
STATE = "/srv/media-ops"
LIBRARY = "/usr/local/lib/moved-clock.so"
DISK_BYTES = 256 << 20
TOKEN = "MEDIA_OPS_API_TOKEN"
FRESH = timedelta(seconds=30)
CLONE_NEWNET = 0x40000000
# On processors that are shared with other tests
LONGEST_S = 1800
SETTINGS = """
PIPELINE_CPU_WARNING=1000
PIPELINE_CPU_CRITICAL=1000
PIPELINE_MEMORY_WARNING=1000
PIPELINE_MEMORY_CRITICAL=1000
PIPELINE_SAMPLE_SECONDS=3
PIPELINE_HEALTH_CACHE_SECONDS=0
"""
# Three ways of one day's rotation. The service holds its logs open: it is restarted, or its logs are emptied in place.
RESTART = "sharedscripts\n  postrotate\n    systemctl restart media-processing-service\n  endscript"
ROTATION = {
    "media1": f"create\n  {RESTART}",
    "media2": "copytruncate",
    "media3": f"create\n  dateext\n  compress\n  delaycompress\n  {RESTART}",
}
LOGROTATE = f"""{LOGS}/*.log {{
  daily
  rotate 60
  missingok
  notifempty
  OWN
}}
"""
WRITE = """
import datetime, json, sys
first, last, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
with open(path, "a") as log:
    for number in range(first, last):
        now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        line = {"timestamp": now.isoformat(), "level": "INFO", "logger": "weeks", "message": f"line {number:07d}",
                "module": "weeks", "function": "write", "line": 1, "process_id": 1, "thread_id": 1, "extra": {}}
        print(json.dumps(line), file=log)
"""


def make_zone(directory: Path, ahead: date, back: date) -> ZoneInfo:
    """A zone, its file below `directory`, with a summer time that begins on one day at two and ends on one at three.

    None of the world has both within any five weeks that a test may begin in.
    """
    source = directory / "zones"
    times = [
        f"Zone {ZONE} 1:00 - WT {ahead:%Y %b %d} 2:00",
        f"    2:00 - ST {back:%Y %b %d} 3:00",
        "    1:00 - WT",
    ]
    source.write_text("\n".join(times) + "\n", encoding="ascii")
    subprocess.run(["zic", "-d", str(directory), str(source)], check=True, timeout=30)
    with (directory / ZONE).open("rb") as file:
        return ZoneInfo.from_file(file, ZONE)


@dataclass
class Site:
    """The hosts, and what became of them."""

    base: Path
    first: date
    zone: ZoneInfo
    clock: MovedClock
    fleet: Fleet
    store: Store
    proxy: Proxy
    channels: Receiver
    runs: dict[str, Run] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=lambda: dict.fromkeys(HOSTS, 0))
    down: set[str] = field(default_factory=set)

    # --- times

    def at(self, day: int, clock: str, *, second: bool = False) -> datetime:
        """The moment of a time of day, of one that comes twice the first, or the second; what is left out is later."""
        hour, minute = map(int, clock.split(":"))
        on = self.first + timedelta(days=day)
        return datetime(on.year, on.month, on.day, hour, minute, tzinfo=self.zone, fold=int(second)).astimezone(UTC)

    def both(self, day: int, clock: str) -> set[datetime]:
        """The moments at which a clock on the wall shows a time of day: none where it is left out, or one, or two."""
        moments = {self.at(day, clock, second=second) for second in (False, True)}
        return {when for when in moments if f"{when.astimezone(self.zone):%H:%M}" == clock}

    def day_of(self, moment: datetime) -> int:
        """The day of the site, counted from the first, in which a moment lies."""
        return (moment.astimezone(self.zone).date() - self.first).days

    @property
    def token(self) -> str:
        """Of the API, as the schedule's runner has it."""
        return (self.base / "environment").read_text(encoding="ascii").strip().partition("=")[2]

    @property
    def environment(self) -> dict[str, str]:
        """Of processes of the control node, which is in the site's zone."""
        zones = self.base / "zoneinfo"
        own = {"TZ": f":{zones / ZONE}", "PYTHONTZPATH": f"{zones}:/usr/share/zoneinfo"}
        return {**os.environ, **self.clock.environment, **own}

    # --- hosts

    def sh(self, host: str, command: str, *, check: bool = True, stdin: str = "", timeout: float = 120) -> str:
        """Run a command as root on a host."""
        done = self.fleet.lab.exec(host, ["sh", "-c", command], check=check, stdin=stdin, timeout=timeout)
        return str(done.stdout)

    def everywhere(self, step: Callable[[str], Any], hosts: tuple[str, ...] = HOSTS) -> None:
        """Do something on all of these at once."""
        with ThreadPoolExecutor(len(hosts)) as pool:
            list(pool.map(step, hosts))

    def up(self) -> tuple[str, ...]:
        """The hosts that run."""
        return tuple(host for host in HOSTS if host not in self.down)

    def root(self, host: str) -> Path:
        return self.fleet.lab.hosts[host].root

    def wait_healthy(self, *hosts: str) -> None:
        """Until the services answer."""

        def healthy(host: str) -> bool:
            return self._asked(host, "none")[0] == HTTPStatus.NOT_FOUND

        self.everywhere(lambda host: wait_for(f"the service of {host}", lambda: healthy(host), 90), hosts)

    def wait_sampled(self, *hosts: str) -> None:
        """Until the services have sampled the time that it is, which takes them some seconds."""

        def sampled(host: str) -> bool:
            status, body = self._asked(host, "metrics/system?hours=1", Authorization=f"Bearer {self.token}")
            times = [row["timestamp"] for row in json.loads(body)["metrics"]] if status == HTTPStatus.OK else []
            return bool(times) and self.clock.now() - datetime.fromisoformat(times[-1]).replace(tzinfo=UTC) < FRESH

        self.everywhere(lambda host: wait_for(f"a sample of {host}", lambda: sampled(host), 90), hosts or self.up())

    def _asked(self, host: str, what: str, **headers: str) -> tuple[int, bytes]:
        """What the service answers in the host's own network; 0 where it does not. For threads that do only this."""
        _join_network(self.fleet.lab.leader(self.fleet.lab.hosts[host]))
        connection = HTTPConnection("127.0.0.1", 8000, timeout=10)
        with contextlib.closing(connection):
            try:
                connection.request("GET", f"/api/v1/monitoring/{what}", headers=headers)
                answer = connection.getresponse()
                return answer.status, answer.read()
            except (OSError, HTTPException):
                return 0, b""

    def write(self, count: int, *hosts: str) -> None:
        """The application writes lines, each with a number of its own."""

        def one(host: str) -> None:
            first = self.lines[host]
            argv = ["runuser", "-u", "media", "--", "python3", "-", str(first), str(first + count)]
            self.fleet.lab.exec(host, [*argv, f"{LOGS}/application.log"], stdin=WRITE)
            self.lines[host] = first + count

        self.everywhere(one, hosts or HOSTS)

    def work(self, jobs: int, *hosts: str, fault: str = "") -> None:
        """Jobs, each of seven operations where all goes well; a faulty one fails in its first."""
        ask = f"set -a; . /etc/media-processing/service.env; cd {BASE}/app; exec python3 -m media_pipeline feed"
        options = f"--jobs {jobs}" + (f" --fault {fault}" if fault else "")
        self.everywhere(lambda host: self.sh(host, f"runuser -u media -- sh -c '{ask} {options}'"), hosts or HOSTS)

    def rotate(self, *hosts: str) -> None:
        """What logrotate.timer starts at midnight."""

        def one(host: str) -> None:
            self.sh(host, "systemctl start logrotate.service")
            self.wait_healthy(host)
            self.wait_sampled(host)

        self.everywhere(one, hosts or self.up())

    def restart(self, *hosts: str) -> None:
        def one(host: str) -> None:
            self.sh(host, f"systemctl restart {UNIT}")
            self.wait_healthy(host)
            self.wait_sampled(host)

        self.everywhere(one, hosts)

    def cut(self, host: str) -> None:
        """The power goes."""
        self.down.add(host)
        self.fleet.lab.stop(host)

    def boot(self, host: str) -> None:
        self.fleet.lab.start(host)
        self.down.remove(host)
        self.wait_healthy(host)
        self.wait_sampled(host)

    # --- runs

    def run(self, name: str, *options: str) -> None:
        """As the timer does, or with --now by hand."""
        self.wait_sampled()
        when = self._when(name)
        if when in self.runs:
            when += ", again"
        directory = self.base / "schedule"
        self.runs[when] = play(directory, name, *options, environment=self.environment, timeout=LONGEST_S)

    def by_hand(self, playbook: str, **variables: Any) -> None:
        """As a person does who was called."""
        self.wait_sampled()
        when, given = self._when(playbook), ("-e", json.dumps(variables))
        path, environment = f"playbooks/{playbook}.yml", {**self.environment, TOKEN: self.token}
        done = self.fleet.playbook(path, *given, environment=environment, timeout=LONGEST_S)
        self.runs[when] = Run(done.returncode, done.stdout + done.stderr)

    def _when(self, name: str) -> str:
        here = self.clock.now().astimezone(self.zone)
        return f"{self.day_of(here):02} {here:%H:%M} {name}"


def _join_network(pid: int) -> None:
    """From here on this thread is in the network of a process."""
    with Path("/proc", str(pid), "ns/net").open("rb") as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"the network of pid {pid} cannot be joined")


def _disks(lab: Lab, base: Path) -> None:
    """Each host has a small disk of its own for the service's data."""
    for host in HOSTS:
        image = base / f"{host}.ext4"
        with image.open("wb") as file:
            file.truncate(DISK_BYTES)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True, timeout=60)
        mount = ["mount", "-o", "loop", str(image), str(lab.hosts[host].root / "srv")]
        subprocess.run(mount, check=True, timeout=60)


def _clock(lab: Lab, base: Path) -> MovedClock:
    """All that will be started on the hosts has the clock. They are in UTC, as hosts are, and the site is not."""
    roots = [lab.hosts[host].root for host in HOSTS]
    for root in roots:
        target = root / LIBRARY.lstrip("/")
        shutil.copy(library(), target)
        target.chmod(0o755)
        (root / "etc/ld.so.preload").write_text(f"{LIBRARY}\n", encoding="ascii")
        # It is started when the clock says so.
        (root / "etc/systemd/system/timers.target.wants/logrotate.timer").unlink(missing_ok=True)
        shutil.rmtree(root / "etc/logrotate.d")
        (root / "etc/logrotate.d").mkdir(mode=0o755)
    clock = MovedClock(base / "clock", *(root / "etc/moved-clock" for root in roots))
    for root in roots:
        (root / "etc/moved-clock").chmod(0o644)
    return clock


def _boot(lab: Lab) -> None:
    with ThreadPoolExecutor(len(HOSTS)) as pool:
        list(pool.map(lab.start, HOSTS))


def _variables(base: Path, store: Store, channels: Receiver) -> dict[str, Any]:
    return {
        "media_ops_api_token": "{{ lookup('ansible.builtin.env', 'MEDIA_OPS_API_TOKEN') }}",
        "policy_state_dir": STATE,
        "policy_zone": ZONE,
        "policy_archive_copy_bucket": store.bucket,
        # As logrotate is set.
        "policy_log_limits": [
            {"log": f"{name}.log", "max_bytes": 100 << 20, "keep": 60}
            for name in ("application", "media_processing", "errors", "performance")
        ],
        # Some seven operations a day do.
        "policy_review": {
            "coverage_known": 0.5, "coverage_min": 0.8, "days_min": 5, "operations_min": 5,
            "change_min": 0.10, "p_max": 0.01, "operations_cap": 1000,
        },
        # The hosts share two processors with other tests: that they are slow is no finding.
        "policy_cpu_critical": 101,
        "media_ops_api_read_timeout": 60,
        "media_ops_api_total_timeout": 120,
        "policy_verify_samples": 3,
        "policy_verify_interval": 1,
        "policy_verify_good": 2,
        "report_dir": str(base / "reports"),
        "report_keep": 2000,
        "report_channels": [
            {"name": "chat", "type": "slack", "url": channels.slack_url},
            {"name": "hook", "type": "webhook", "url": channels.webhook_url},
        ],
    }  # fmt: skip


def _furnish(site: Site) -> None:
    """What a site's own people do on each host, beside role prepare."""

    def one(host: str) -> None:
        site.sh(host, f"install -d -o media -g media -m 0750 {ARCHIVES}")
        own = LOGROTATE.replace("OWN", ROTATION[host])
        site.sh(host, "cat > /etc/logrotate.d/media; chmod 0644 /etc/logrotate.d/media", stdin=own)
        # On processors that are shared with other tests it may take its time to end, and is not to be killed for that.
        place = f"/etc/systemd/system/{UNIT}.service.d"
        unit = "[Service]\nTimeoutStopSec=90\n"
        site.sh(host, f"mkdir -p {place}; cat > {place}/weeks.conf; systemctl daemon-reload", stdin=unit)
        site.wait_healthy(host)

    site.everywhere(one)


@contextlib.contextmanager
def weeks_site(lab_name: str, base: Path, first: date, ahead: date, back: date) -> Iterator[Site]:
    """The hosts, at real time, ready for what is to come from `first` on."""
    lab = Lab(lab_name)
    zones = base / "zoneinfo"
    zones.mkdir()
    zone = make_zone(zones, ahead, back)
    with contextlib.ExitStack() as stack:
        stack.callback(lab.down)
        lab.up(list(HOSTS), "media")
        keep_code(lab)
        for host in HOSTS:
            lab.stop(host)
        _disks(lab, base)
        clock = _clock(lab, base)
        _boot(lab)
        gateway = f"{lab.hosts['media1'].address.rpartition('.')[0]}.1"
        store = stack.enter_context(s3_store(base / "store"))
        known = {store.access_key: store.secret_key}
        proxy = stack.enter_context(s3_proxy(store.endpoint_url, bind=gateway, secrets=known))
        channels = stack.enter_context(receiver())
        settings = "".join(
            f"{name}={value}\n" for name, value in {**store.env, "AWS_S3_ENDPOINT_URL": proxy.url}.items()
        )
        with _zones_seen(zones):
            fleet = made_fleet(lab, base, SETTINGS + settings, timeout=900, **_variables(base, store, channels))
        site = Site(base, first, zone, clock, fleet, store, proxy, channels)
        _furnish(site)
        token = site.sh(
            "media1",
            f"runuser -u media -- sh -c 'set -a; . /etc/media-processing/service.env; cd {BASE}/app; "
            "exec python3 -m media_pipeline token --ttl 100000000'",
        )
        secrets = base / "environment"
        secrets.touch(mode=0o600)
        secrets.write_text(f"{TOKEN}={token.strip()}\n", encoding="ascii")
        write_schedule(base / "schedule", SCHEDULE, base / "hosts.json", secrets)
        yield site


@contextlib.contextmanager
def _zones_seen(zones: Path) -> Iterator[None]:
    """What is started meanwhile knows the site's zone by its name."""
    os.environ["PYTHONTZPATH"] = f"{zones}:/usr/share/zoneinfo"
    try:
        yield
    finally:
        del os.environ["PYTHONTZPATH"]
