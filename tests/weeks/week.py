# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What happens in the weeks: the schedule's runs, the work, and the faults, each at its time by the site's clock.

Days are counted from the first Monday. Summer time begins on the first Sunday (day 6) and ends on the fourth (day 27).
"""

from __future__ import annotations

import contextlib
import threading
from datetime import datetime, timedelta

from ansible_collections.media_ops.runbook.plugins.plugin_utils.site.due import firings

from tests.scheduled import SCHEDULE, Agenda

from .site import ARCHIVES, BASE, WORK, Site

SCHEDULED = [procedure for procedure in SCHEDULE if "at" in procedure]
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
AHEAD, BACK = 6, 27


def weeks_of(agenda: Agenda, site: Site, weeks: int, *, hourly: bool) -> None:
    """All of it: `weeks` weeks, and the Monday after, whose archive and report are those of the last days."""
    days = range(weeks * 7 + 1)
    for day in days:
        _schedule(agenda, site, day)
        _work(agenda, site, day)
        agenda.add(site.at(day, "00:00"), site.rotate)
        agenda.add(site.at(day, "04:30"), site.restart, "media2")
    if hourly:
        _hours(agenda, site, site.at(0, "00:00"), site.at(days[-1], "18:30"))
    for week in range(weeks):
        _host_down(agenda, site, week * 7 + 1)
        _full_disk(agenda, site, week * 7 + 2)
        _failures(agenda, site, week * 7 + 3)
    _refused_copy(agenda, site, 7)
    _power_cut(agenda, site, 7)


def _schedule(agenda: Agenda, site: Site, day: int) -> None:
    """The timers of a day. On those on which the clock is changed all their firings, of which one alone is a run."""
    for procedure in SCHEDULED:
        if procedure.get("weekday", WEEKDAYS[day % 7]) == WEEKDAYS[day % 7]:
            times = {site.at(day, procedure["at"])}
            if day in (AHEAD, BACK):
                clocks = [f"{hour:02}:{minute:02}" for hour, minute, _weekday in firings(procedure)]
                times = {when for clock in clocks for when in site.both(day, clock)}
            for when in times:
                agenda.add(when, site.run, procedure["name"])


def _work(agenda: Agenda, site: Site, day: int) -> None:
    """What the application does: at noon, around midnight, and where the clock is changed before and after that."""
    times = ["00:10", "12:00", "23:50"]
    if day in (AHEAD, BACK):
        times += ["01:50", "03:10"]
    for clock in times:
        agenda.add(site.at(day, clock), _busy, site)
    if day == BACK:
        agenda.add(site.at(day, "02:50"), _busy, site)
        agenda.add(site.at(day, "02:50", second=True), _busy, site)


def _busy(site: Site) -> None:
    """On the hosts that are up: lines, and a job."""
    hosts = site.up()
    site.work(1, *hosts)
    site.write(500, *hosts)


def _hours(agenda: Agenda, site: Site, begin: datetime, end: datetime) -> None:
    """The watches between the others: of the health each hour, and of the performance each sixth."""
    hour = 0
    while (when := begin + timedelta(hours=hour, minutes=20)) < end:
        agenda.add(when, site.run, "watch_health")
        if hour % 6 == 0:
            agenda.add(when + timedelta(minutes=10), site.run, "watch_performance")
        hour += 1


def _watch(agenda: Agenda, site: Site, day: int, *times: str) -> None:
    for clock in times:
        agenda.add(site.at(day, clock), site.run, "watch_health")


def _host_down(agenda: Agenda, site: Site, day: int) -> None:
    """The third host is down on Tuesday, from six to seven in the evening."""
    agenda.add(site.at(day, "06:00"), site.cut, "media3")
    _watch(agenda, site, day, "06:05", "06:10")
    agenda.add(site.at(day, "19:00"), site.boot, "media3")
    _watch(agenda, site, day, "19:05", "19:10")


def _full_disk(agenda: Agenda, site: Site, day: int) -> None:
    """The second host's disk is full on Wednesday; a person who is called frees it."""
    left = f"{WORK}/left"
    space = f"$(($(df --output=avail -B1 {BASE} | tail -1)"
    fill = f"install -d -o media -g media {left} && fallocate -l {space} / 10 * 6)) {left}/part.tmp"
    agenda.add(site.at(day, "05:00"), site.sh, "media2", f"{fill} && chown media: {left}/part.tmp")
    incoming = f"{BASE}/uploads/incoming"
    # To the last byte: one large file leaves some blocks, which only small ones take.
    small = f"n=0; while printf x 2>/dev/null > {incoming}.$n; do n=$((n+1)); done"
    fill_up = f"runuser -u media -- sh -c 'cat /dev/zero 2>/dev/null > {incoming}.bin; {small}'"
    write = f"{fill_up}; test $(df --output=avail -B1 {BASE} | tail -1) -eq 0"
    agenda.add(site.at(day, "10:00"), site.sh, "media2", write)
    _watch(agenda, site, day, "10:05")
    agenda.add(site.at(day, "10:10"), site.by_hand, "emergency_disk_cleanup")
    _watch(agenda, site, day, "10:15")
    agenda.add(site.at(day, "11:00"), site.sh, "media2", f"rm -r {incoming}.* {left}")


def _failures(agenda: Agenda, site: Site, day: int) -> None:
    """Three of ten operations fail on the first host on Thursday."""
    agenda.add(site.at(day, "12:05"), site.work, 3, "media1", fault="empty")
    _watch(agenda, site, day, "12:10", "13:30")


def _refused_copy(agenda: Agenda, site: Site, day: int) -> None:
    """The store refuses Monday's copies, until a person runs it again."""
    agenda.add(site.at(day, "00:58"), site.proxy.faults.update, {"put": "access_denied"})
    agenda.add(site.at(day, "01:25"), site.proxy.faults.clear)


def _power_cut(agenda: Agenda, site: Site, day: int) -> None:
    """The power of the second host goes while Monday's archive is made there; a person runs it again."""
    archive = threading.Event()
    cut = threading.Thread(target=_cut_at_archive, args=(site, archive))

    def begin() -> None:
        cut.start()

    def end() -> None:
        archive.set()
        cut.join()

    # Before Monday's run and after it.
    agenda.add(site.at(day, "00:59"), begin)
    agenda.add(site.at(day, "01:15"), end)
    agenda.add(site.at(day, "01:20"), site.boot, "media2")
    agenda.add(site.at(day, "01:30"), site.run, "weekly_log_management", "--now")


def _cut_at_archive(site: Site, given_up: threading.Event) -> None:
    """Cut the power as soon as something of an archive is there that was not."""
    there = site.root("media2") / ARCHIVES.lstrip("/")
    before = set(there.iterdir())
    while not given_up.wait(0.0005):
        for path in set(there.iterdir()) - before:
            # It may have got its name meanwhile.
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_size:
                    site.cut("media2")
                    return
