# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service's logs and directories, and the room on their file systems. Pure."""

from __future__ import annotations

from ...module_utils.shapes import Json, mapping, number
from .rows import PREPARE, Rows
from .seen import LISTED_MAX, Seen, Settings, listed


def log_rows(found: Rows, seen: Seen, site: Settings) -> None:
    """The log directory, and each log that playbooks read."""
    logs = mapping(seen.info.get("logs"))
    dirs = [one for one in listed(seen.of("service", "log_dirs")) if isinstance(one, str) and one != site.log_dir]
    if logs.get("state") != "there":
        why = f"{site.log_dir}: {logs.get('reason') or 'not seen'}"
        if logs.get("state") == "unreadable":
            found.add("logs", "critical", why, playbook=PREPARE)
        elif len(dirs) == 1:
            cure = _set_logs(found, dirs[0], seen, site)
            found.add("logs", "critical", f"{why}; the service logs to {dirs[0]}", cure)
        else:
            also = f"; it has logs open in {', '.join(dirs[:LISTED_MAX])}" if dirs else ""
            found.add("logs", "critical", why + also, "Set policy_log_dir to where the service logs")
        return
    files = {str(one.get("name")): one for one in map(mapping, listed(logs.get("files")))}
    named = ", ".join(list(files)[:LISTED_MAX])
    if files:
        found.add("logs", "ok", f"{site.log_dir} has {named}")
    else:
        found.add("logs", "warning", f"{site.log_dir} has no file that ends with .log")
    for name in site.log_names:
        _log(found, name, files.get(name))


def _set_logs(found: Rows, directory: str, seen: Seen, site: Settings) -> str:
    """By its base directory where the logs are where they always are, else by their own."""
    base = directory.removesuffix("/temp/logs")
    if base != directory and site.log_dir == f"{site.base_dir}/temp/logs" and _base_missing(seen, site):
        return found.set("policy_base_dir", base)
    return found.set("policy_log_dir", directory)


def _log(found: Rows, name: str, row: Json | None) -> None:
    check = f"log {name}"
    if row is None:
        found.add(check, "warning", "not there: what is counted in it is unknown")
        return
    if row.get("state") != "there":
        found.add(check, "critical", f"cannot be read: {row.get('reason')}", playbook=PREPARE)
        return
    lines, entries, dated = (number(row.get(key)) or 0 for key in ("lines", "json_lines", "dated_lines"))
    fields = ", ".join(map(str, listed(row.get("fields"))[:12]))
    if not lines:
        found.add(check, "ok", "empty so far")
    elif not entries:
        cure = "What is counted by fields and dates is unknown, until it logs JSON lines"
        found.add(check, "critical", f"none of its last {lines} lines is a JSON object", cure)
    elif not dated:
        cure = "Its lines count for no time: set time in policy_log_fields to the field that holds their date"
        found.add(check, "critical", f"its lines have no date that can be read; fields: {fields}", cure)
    else:
        levels = "levels" if row.get("leveled_lines") else "no levels"
        dates = f"dates in {row.get('time_field')} (last {row.get('last_at')}), {levels}"
        few = f"{entries} of {lines} lines are JSON, " if entries < lines else ""
        found.add(check, "ok", f"{few}{dates}; fields {fields}")


def _base_missing(seen: Seen, site: Settings) -> bool:
    rows = [mapping(one) for one in listed(seen.info.get("directories"))]
    return any(one.get("path") == site.base_dir and one.get("state") == "missing" for one in rows)


def directory_rows(found: Rows, seen: Seen, site: Settings) -> None:
    """The directories in which playbooks delete."""
    rows = [mapping(one) for one in listed(seen.info.get("directories"))]
    user = site.service_user if site.becomes else seen.info.get("user")
    if _base_missing(seen, site):
        others = [str(one.get("path")) for one in map(mapping, listed(seen.info.get("service_directories")))
                  if one.get("state") == "there"]  # fmt: skip
        cure = "Set policy_base_dir to the service's directory"
        if others:
            cure = f"The service works in {others[0]}: {found.set('policy_base_dir', others[0])}"
        found.add("directories", "critical", f"policy_base_dir is {site.base_dir}, which is not there", cure)
        return
    # In the base directory itself nothing is deleted.
    below = [row for row in rows if row.get("path") != site.base_dir]
    bad = [row for row in below if row.get("state") == "there" and row.get("deletes") is False]
    # Of the logs' own it is said with the logs.
    absent = [row for row in rows if row.get("state") != "there" and row.get("path") != site.log_dir]
    for own in (False, True):
        # prepare_hosts makes the one for archives, the others are the service's.
        named = [
            f"{row.get('path')} ({row.get('owner')}:{row.get('group')} {row.get('mode')})"
            for row in bad
            if (row.get("path") == site.archive_dir) == own
        ]
        if named:
            cure = "" if own else f"Let {user} write there, or nothing can be cleaned up there"
            check = "archives" if own else "directories"
            found.add(check, "critical", f"{user} may not delete in {', '.join(named)}", cure, PREPARE if own else "")
    for row in absent:
        path = str(row.get("path"))
        if row.get("state") == "unknown":
            found.add(f"directory {path}", "unknown", f"{path}: {row.get('reason')}", playbook=PREPARE)
        elif path == site.archive_dir:
            found.add("archives", "critical", f"{path} is not there", playbook=PREPARE)
        else:
            why = f"{path}: {row.get('reason') or row.get('state')}"
            found.add(f"directory {path}", "warning", why, "Set its variable where the service has another")
    if not bad:
        known = [str(row.get("path")) for row in below if row.get("deletes") is True]
        if known:
            found.add("directories", "ok", f"{user} may delete in {', '.join(known[:LISTED_MAX])}")


def disk_row(found: Rows, seen: Seen, site: Settings) -> None:
    """Which file systems are full."""
    rows = [mapping(one) for one in listed(seen.info.get("disks"))]
    used = [(str(row.get("path")), number(row.get("used_percent"))) for row in rows]
    known = [(path, share) for path, share in used if share is not None]
    full = [f"{path} {share:.0f} %" for path, share in known if share >= site.disk_percent]
    if not known:
        found.add("disk", "unknown", "no file system could be looked at")
    elif full:
        cure = "emergency_disk_cleanup --check shows what could go"
        found.add("disk", "critical", f"full: {', '.join(full)}", cure)
    else:
        found.add("disk", "ok", ", ".join(f"{path} {share:.0f} %" for path, share in known[:LISTED_MAX]))
