#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: log_digest_info
short_description: Counts, last entries and figures of a log of JSON lines
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Reads a log of one JSON object a line on the host, as a stream, and returns what is worth knowing of it - how many
    entries match, how they are distributed over values of a field, the last of them, and percentiles of a number.
  - A log that is missing or cannot be read is a value (RV(state)), not a failure. The module fails only for options
    that cannot be right, and when the cursor cannot be written.
  - Files are opened before any is read, and followed to their end. A rotation meanwhile neither loses nor doubles a
    line.
  - Memory is bounded whatever the size of the log and of its lines.
  - Entries are parsed as JSON, so that spaces, the order of keys and escaped characters do not matter. To be fast on a
    large log, lines that cannot match O(where) are not parsed, see RV(parsed).
extends_documentation_fragment:
  - media_ops.runbook.action
  - media_ops.runbook.log_fields
  - media_ops.runbook.process
attributes:
  check_mode:
    support: full
    details: The cursor is not written.
  platform:
    platforms: linux
options:
  path:
    description: The log, an absolute path. Where it is a symbolic link, rotated files are looked for beside its target.
    type: path
    required: true
  include_rotated:
    description:
      - Read C(PATH.0), C(PATH.1), C(PATH.2.gz) and so on before it, oldest first, also those with a date
        (C(PATH-20261128.xz), C(PATH.2026-11-28_14)), and those with a date or a number before the extension. Where both
        C(PATH.1) and C(PATH.1.gz) exist, as during compression, the one that is not compressed is read. At most 500
        files.
      - C(.gz), C(.bz2) and C(.xz) are unpacked by Python, C(.zst) by the command C(zstd). What looks like a rotated
        file and is none of these is in RV(left_out).
    type: bool
    default: false
  hours:
    description:
      - Only entries whose O(time_field) is so many hours old at most, 0.001 to 87840, by the host's clock.
      - Entries without a time that can be read are left out then, and counted in RV(undated).
      - Rotated files that were last changed more than an hour before the window are not read.
    type: float
  time_field:
    description:
      - Field with the time of an entry. Where it is not there or holds no time, those that writers use are read
        (C(@timestamp), C(time), C(ts), C(asctime), C(timeMillis) and others), last the time that Docker, Kubernetes,
        the journal or syslog has for it.
      - ISO 8601 in any format, the formats of web servers and mail, or seconds, milliseconds, microseconds or
        nanoseconds since 1970. Without a zone mark it is UTC.
    type: str
    default: timestamp
  where:
    description:
      - Conditions, all of which an entry must fulfil. At most 20.
      - Field C(level) is the entry's level as C(DEBUG), C(INFO), C(WARNING), C(ERROR) or C(CRITICAL), whatever its
        writer calls it (C(err), 50 of pino, 3 of syslog) and in whatever field. Compare it with such a name, also by
        V(ge).
    type: list
    elements: dict
    default: []
    suboptions:
      field:
        description:
          - Name of a field, a dot leads into an object (C(extra.error_code)).
          - V(*) stands for all texts and whole numbers of the entry, at any depth, with V(contains) and
            V(contains_token).
        type: str
        required: true
      op:
        description:
          - V(eq) and V(ne), equal to the value or not. A text is never equal to a number, nor 1 to V(true). A missing
            field is equal to nothing.
          - V(gt), V(ge), V(lt), V(le), the field is a number above, not below, below, not above the value.
          - V(in) and V(not_in), equal to one of a list of at most 100 values, or to none.
          - V(exists), the field is there and not null; with the value V(false), it is missing or null.
          - V(contains), the text is found within the field, capital letters told apart.
          - V(contains_token), it is found as a whole - neither preceded nor followed by a letter, a digit, C(_) or
            C(-). So the id V(abc) is not found in C(abc-2).
        type: str
        choices: [eq, ne, gt, ge, lt, le, in, not_in, exists, contains, contains_token]
        default: eq
      value:
        description: What to compare with. It has the type of the field, quote a text that looks like a number.
        type: raw
  failures_only:
    description:
      - Only entries of operations that failed. C(success) or C(status) in C(extra) or beside it tells; where the writer
        has neither, an entry of level C(ERROR) or above with a session, a stage or an error code is one.
    type: bool
    default: false
  count_by:
    description: Fields by whose values to count the matching entries. At most 20.
    type: list
    elements: str
    default: []
  numeric:
    description: Fields with numbers to give figures of. At most 20.
    type: list
    elements: str
    default: []
  count_scope:
    description: Whether O(count_by) and O(numeric) are over all matching entries, or over the O(last) ones only.
    type: str
    choices: [all, last]
    default: all
  max_values:
    description:
      - How many different values of a field to tell apart, 1 to 10000. The first ones in the log are; all others are
        counted together as V(OTHER), and the field is named in RV(counts_capped).
    type: int
    default: 100
  last:
    description: How many of the matching entries to return, 0 to 500, the last ones in the log.
    type: int
    default: 0
  fields:
    description: Only these fields of the last entries, by their dotted names. By default whole entries. At most 20.
    type: list
    elements: str
    default: []
  max_text:
    description:
      - Shorten longer texts of the last entries to so many characters, 20 to 100000. An entry is limited to about 16384
        characters in total besides.
    type: int
    default: 2000
  cursor:
    description:
      - Name of a cursor. Only what was added to the log since the last run with this cursor is read, also when the log
        was rotated, compressed or copied and emptied meanwhile. With none yet, everything is read.
      - A line without its end is left for the next run, so that each line is read exactly once.
      - Kept as C(log_cursor_NAME.json) with mode 0600. Runs with the same cursor must not overlap.
      - A lower case letter, then lower case letters, digits and C(_), 64 characters at most. Needs O(state_dir).
    type: str
  state_dir:
    description: The directory of the cursor, an absolute path. It must exist, and not be writable by everybody.
    type: path
  unit:
    description:
      - The systemd unit of the service. What is returned is without the secrets of its environment, as far as the
        user of the module may read it, besides those that are known by their form or name.
    type: str
  max_line_bytes:
    description: Longer lines are skipped without being held in memory, and are bad. 131072 to 8388608.
    type: int
    default: 1048576
  max_bytes:
    description:
      - Read at most about so many bytes, 1048576 or more, and say so in RV(complete).
      - Without O(cursor), the newest; compressed files that do not fit as a whole are left out. With O(cursor), the
        oldest that were not read yet, to go on in the next run.
    type: int
  parse_all:
    description: Parse every line, so that RV(bad_lines) is exact. Several times slower where few entries match.
    type: bool
    default: false
seealso:
  - module: media_ops.runbook.state_report
    description: Keeps figures of a day on the host.
"""

EXAMPLES = r"""
- name: Count the errors of the last day by their code
  media_ops.runbook.log_digest_info:
    path: /srv/media-processing/temp/logs/media_processing.log
    include_rotated: true
    hours: 24
    where:
      - {field: level, op: in, value: [ERROR, CRITICAL]}
    count_by: [extra.error_code]

- name: Count the codes of the last 20 errors
  media_ops.runbook.log_digest_info:
    path: /srv/media-processing/temp/logs/media_processing.log
    where:
      - {field: level, value: ERROR}
    last: 20
    count_by: [extra.error_code]
    count_scope: last

- name: Show the last 10 sessions that failed
  media_ops.runbook.log_digest_info:
    path: /srv/media-processing/temp/logs/media_processing.log
    where:
      - {field: logger, value: media_pipeline.processing}
    failures_only: true
    last: 10

- name: Show duration and memory of operations above 5 minutes
  media_ops.runbook.log_digest_info:
    path: /srv/media-processing/temp/logs/performance.log
    where:
      - {field: extra.duration_seconds, op: gt, value: 300}
    last: 50
    fields: [extra.duration_seconds, extra.memory_usage_mb]
    numeric: [extra.duration_seconds]

- name: Show the last 10 entries that have to do with a session
  media_ops.runbook.log_digest_info:
    path: /srv/media-processing/temp/logs/media_processing.log
    include_rotated: true
    where:
      - {field: "*", op: contains_token, value: 6f1c2a9e}
    last: 10

- name: Count the errors since the last run
  media_ops.runbook.log_digest_info:
    path: /srv/media-processing/temp/logs/errors.log
    cursor: errors_watch
    state_dir: /var/lib/media-ops
    count_by: [extra.error_code]
"""

RETURN = r"""
state:
  description:
    - V(ok), all files that were asked for were read. Otherwise the other figures are of what could be read.
    - V(missing), there is no such log.
    - V(denied), a file may not be read by this user.
    - V(invalid), a file is no regular file, is reached by a link of another user, is damaged, or cannot be read for
      another reason.
    - V(timeout), it was not read within the module's time, a minute and one more for each 240 MB of O(max_bytes).
      No cursor is moved then.
  returned: success
  type: str
  sample: ok
reason:
  description: Why O(path) or a rotated file was not read, in one line. Empty when RV(state) is V(ok).
  returned: success
  type: str
  sample: ""
complete:
  description:
    - Whether everything that was asked for was read. V(false) when O(max_bytes) left something out, too, and when
      RV(left_out) is not empty.
  returned: success
  type: bool
left_out:
  description:
    - With O(include_rotated), files that may be rotated ones of this log, changed within the window, and that cannot be
      read. At most 20.
  returned: success
  type: list
  elements: str
  sample: []
files:
  description: The files that were read, in this order.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: Its path when it was opened.
      type: str
    offset:
      description: Where reading began, in bytes of the content.
      type: int
    bytes:
      description: Bytes that were read, of a compressed file those of its content.
      type: int
    lines:
      description: Lines that were read.
      type: int
  sample: [{path: /srv/media-processing/temp/logs/errors.log, offset: 0, bytes: 48211, lines: 112}]
bytes_read:
  description: Bytes that were read in total.
  returned: success
  type: int
  sample: 48211
lines:
  description:
    - Lines that were read, bad ones included. A last line without line end counts where it is a whole JSON object and
      there is no O(cursor).
  returned: success
  type: int
  sample: 112
bad_lines:
  description:
    - Lines that are no JSON object, and carry none, empty lines and too long ones included. Invalid UTF-8 and control
      characters within a text do not make a line bad, nor does C(NaN), which is read as null.
    - Where RV(parsed) is V(matching), of the lines that cannot match only those are looked at that start otherwise than
      other lines, do not end with a brace, or hold a NUL byte. A line that is broken in its middle is not found then.
  returned: success
  type: int
  sample: 1
too_long_lines:
  description: Lines longer than O(max_line_bytes). They are among RV(bad_lines).
  returned: success
  type: int
  sample: 0
partial_last_line:
  description: Files whose last line has no line end and was not taken - one that is being written, or was cut off.
  returned: success
  type: int
  sample: 0
unlevelled:
  description:
    - Of the entries that were looked at for a condition on C(level), those that say no level that is known. Such a
      condition cannot be told of them.
  returned: success
  type: int
  sample: 0
parsed:
  description:
    - V(all), every line was parsed. V(matching), only those that could match O(where), and suspicious ones.
  returned: success
  type: str
  sample: all
matched:
  description: Entries that match.
  returned: success
  type: int
  sample: 15
undated:
  description:
    - Entries that fulfil O(where) and whose time cannot be read. With O(hours) they are not among RV(matched).
  returned: success
  type: int
  sample: 0
first_at:
  description: The earliest time of the matching entries, in UTC. Null where there is none.
  returned: success
  type: str
  sample: "2026-11-24T05:12:44Z"
last_at:
  description: The latest time of the matching entries.
  returned: success
  type: str
  sample: "2026-11-24T05:58:01Z"
counts:
  description:
    - For each field of O(count_by), its values and how many entries have them, most first, then by value. V(UNKNOWN) is
      of the entries without the field or with null.
    - Values other than texts are given as JSON, and all shortened to 200 characters. V(OTHER) comes last.
  returned: success
  type: dict
  sample: {"extra.error_code": [{value: FFMPEG_FAILED, count: 12}, {value: UNKNOWN, count: 3}]}
counts_capped:
  description: Fields with more than O(max_values) values.
  returned: success
  type: list
  elements: str
  sample: []
numeric:
  description:
    - For each field of O(numeric), its figures. They are null where there is no number.
    - C(ignored) counts values that are there and no finite numbers.
    - Percentiles are by nearest rank, C(exact) up to 50000 numbers. Beyond, they are C(approximate), off by at most
      C(relative_error) of the value, from buckets that grow by this factor.
  returned: success
  type: dict
  sample:
    extra.duration_seconds:
      count: 3
      ignored: 0
      min: 301.5
      max: 412.0
      mean: 341.5
      sum: 1024.5
      p50: 311.0
      p95: 412.0
      p99: 412.0
      percentiles: exact
      relative_error: 0.0
last:
  description: The last matching entries, oldest first, with texts shortened. With O(fields), only these.
  returned: success
  type: list
  elements: dict
  sample:
    - timestamp: "2026-11-24T05:58:01.220114"
      level: ERROR
      message: Stage merging failed
      extra: {session_id: 6f1c2a9e, stage: merging, error_code: FFMPEG_FAILED}
cursor:
  description: The cursor. Null without O(cursor).
  returned: success
  type: dict
  contains:
    path:
      description: Its file.
      type: str
    found:
      description: Whether there was one from an earlier run.
      type: bool
    written:
      description: Whether it was written now. V(false) in check mode, and where nothing has changed.
      type: bool
  sample: {path: /var/lib/media-ops/log_cursor_errors_watch.json, found: true, written: true}
cursor_reset:
  description:
    - Why the cursor could not be used and reading started over, so that lines may have been counted before, or missed.
      Empty otherwise.
  returned: success
  type: str
  sample: ""
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import run_module
from ..module_utils.logs.log_digest_info import argument_spec, log_digest
from ..module_utils.redact import Redactor
from ..module_utils.system.environment import secrets_of
from ..module_utils.system.operated import operated, service_spec


def main() -> None:
    module = AnsibleModule(argument_spec={**argument_spec(), **service_spec()}, supports_check_mode=True)

    def digest() -> dict[str, Any]:
        found = log_digest(module.params, check_mode=module.check_mode)
        secrets = secrets_of(operated(module.params))
        redacted: dict[str, Any] = Redactor(secrets).data(found, keep=("path", "cursor", "files"))
        return redacted

    run_module(module, digest)


if __name__ == "__main__":
    main()
