# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of session_info and session_terminate; the argument spec is in module_utils/sessions/settings.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  api_required:
    description:
      - Whether a session may be ended only while the API answers, so that nothing is ended that the service is still
        busy with.
      - V(false) is for the emergency in which the API is dead. A session's age is then that of its oldest process, and
        everything else must be proved all the same.
    type: bool
    default: true
  unit:
    description: The systemd service whose processes are looked at. Needed unless O(process) or O(service_pid) is
      given.
    type: str
  service_pid:
    description:
      - Main process of a service that no unit knows, such as that of a demo. Its descendants are the service's, which
        is a weaker proof than a control group.
    type: int
  work_dir:
    description: The directory of all sessions. Each session's own is named by its id.
    type: path
    required: true
  log_path:
    description: >-
      The service's log of JSON lines. A new line of a session is progress of it. Where the log is there and cannot be
      read, no session can be said to stand still.
    type: path
  log_lines:
    description: How many of a session's last log entries to return, 0 to 500.
    type: int
    default: 10
  programs:
    description:
      - Names of the programs that are a session's, with C(*) and C(?) as wildcards. Others, such as a worker of the
        service that has a session's file open, are never ended, unless one of these has started them, and keep the
        session alive.
    type: list
    elements: str
    default: [ffmpeg, ffmpeg-linux*, ffprobe]
  samples:
    description: How often to look, 2 to 20. Once is enough where there is no session and no process in one's directory.
    type: int
    default: 2
  interval:
    description: Seconds between two looks, 0.1 to 300.
    type: float
    default: 5
  look_minutes:
    description: Age from which a session is to be looked at.
    type: float
    required: true
  investigate_minutes:
    description: Age from which a session without progress is to be investigated.
    type: float
    required: true
  end_minutes:
    description: Age from which a session without progress may be ended.
    type: float
    required: true
  quiet_seconds:
    description:
      - A session may be ended only when its newest process, and its last write to a file, are at least so old, 0 to
        86400. So a session that works off one clip after the other is not taken for stuck in the moment between.
    type: float
    default: 60
  idle_seconds:
    description:
      - A listed session without a process needs a restart only when its files and its lines in the log are at least so
        old, since a worker may sleep before it tries again, 0 to 31536000.
      - Work that is not listed keeps its files while one of them was changed within that time.
    type: float
    default: 0
  cpu_percent:
    description:
      - Per cent of one processor from which its use by a session is progress, 0.01 to 100. Who asks a dead source again
        and again wakes for ever, and uses less.
      - Less of it is progress where the process works for half a millisecond and more at a time.
    type: float
    default: 1
  look_bytes:
    description:
      - A session that stands still in all looks, and would be ended, is looked at for longer, until it would have moved
        so many bytes at its own pace so far.
    type: float
    default: 262144
  look_max:
    description: Seconds that this longer look takes at most, 0 to 600. All of them where it has moved nothing so far.
    type: float
    default: 120
  min_id_length:
    description: Characters that the id of a session must have to be acted upon, 4 to 128.
    type: int
    default: 8
"""
