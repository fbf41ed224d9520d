#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_info
short_description: CPU, memory, file systems, disk I/O and top processes of a host
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Observes the host itself, beside what its service says of it, and judges nothing.
  - A path that does not exist, a mount that hangs, and a process that is gone meanwhile are values, not failures. The
    module fails only for options that cannot be right, and for a missing library.
  - What cannot be told is null, never a guess and never NaN.
  - CPU, I/O and processes are measured over O(interval) times O(samples) seconds, for which the module waits when one
    of them is gathered.
  - The module's own process is left out of the top processes.
requirements:
  - psutil 5.9 or newer (Debian package C(python3-psutil)) on the host
extends_documentation_fragment:
  - media_ops.runbook.action
attributes:
  platform:
    platforms: linux
options:
  gather:
    description: What to gather, at least one.
    type: list
    elements: str
    choices: [cpu, memory, load, disks, io, processes]
    default: [cpu, memory, load, disks, io, processes]
  paths:
    description:
      - Absolute paths, at most 64. RV(disks) says of each, once, the file system that it lies on.
    type: list
    elements: path
    default: [/]
  path_timeout:
    description:
      - Seconds to wait for the file systems of all O(paths) together, 0.1 to 60. One that does not answer by then, a
        hung network mount, gets the state V(timeout).
    type: float
    default: 5
  interval:
    description:
      - Seconds of one sample, 0.1 to 60.
    type: float
    default: 1
  samples:
    description:
      - How many samples to take, one after the other, 1 to 60. O(interval) times O(samples) is 600 seconds at most.
      - RV(io) has each sample; RV(cpu) and RV(processes) are over all of them.
    type: int
    default: 1
  top:
    description: How many processes to list by CPU, and by memory, 0 to 100.
    type: int
    default: 10
  with_arguments:
    description:
      - Give the command lines of the top processes too, 200 characters at most.
      - What looks like a secret is shown as C([removed]) - values of options and variables with a name like password or
        token, user and password in a URL, headers, webhook addresses, and the shapes of AWS keys and common tokens. A
        secret that looks like none of these is not recognised; that is why this is off by default.
    type: bool
    default: false
seealso:
  - module: media_ops.runbook.pipeline_info
    description: What the service itself says of CPU, memory and disk.
"""

EXAMPLES = r"""
- name: Look at everything for one second
  media_ops.runbook.host_info:
    paths: [/, /srv/media-processing/temp, /backup/logs]
  register: host

- name: Take five I/O samples a second apart, as iostat -x 1 5 does
  media_ops.runbook.host_info:
    gather: [io, memory]
    samples: 5
  register: host

- name: List what uses most of the CPU, with its arguments
  media_ops.runbook.host_info:
    gather: [cpu, processes]
    interval: 2
    top: 20
    with_arguments: true
  register: host

- name: Say which file systems do not answer
  ansible.builtin.debug:
    msg: "{{ host.disks | selectattr('state', 'ne', 'ok') | items2dict(key_name='path', value_name='state') }}"
"""

RETURN = r"""
unseen:
  description:
    - Parts that could not be seen, by their name the reason in one line. Such a part is null, and of C(clock) the boot;
      the others stand.
  returned: success
  type: dict
  sample: {io: "ValueError: not sure how to interpret line '8 0 sda 0 0 0 0 46'"}
clock:
  description: The host's clock.
  returned: success
  type: dict
  contains:
    at:
      description: Now, in UTC.
      type: str
    booted_at:
      description: When the host was started, in UTC. In a container, when its machine was. Null where nothing says so.
      type: str
    uptime_s:
      description: Seconds since then.
      type: int
  sample: {at: "2026-11-24T06:00:00Z", booted_at: "2026-11-01T04:12:09Z", uptime_s: 1993671}
measured_s:
  description: Seconds over which RV(cpu), RV(io) and RV(processes) were measured.
  returned: when O(gather) has V(cpu), V(io) or V(processes)
  type: float
  sample: 1.001
cpu:
  description: Use of all CPUs together, over RV(measured_s).
  returned: when O(gather) has V(cpu)
  type: dict
  contains:
    count:
      description: Number of logical CPUs.
      type: int
    used_percent:
      description: Share of the time that was neither idle nor waiting for I/O, 0 to 100.
      type: float
    iowait_percent:
      description: Share of the time that was idle while waiting for I/O.
      type: float
    steal_percent:
      description: Share of the time that the hypervisor gave to others.
      type: float
  sample: {count: 8, used_percent: 91.4, iowait_percent: 0.2, steal_percent: 0.0}
load:
  description: Load averages, numbers of processes that ran or waited. They are not divided by the number of CPUs.
  returned: when O(gather) has V(load)
  type: dict
  contains:
    load_1m:
      description: Over one minute.
      type: float
    load_5m:
      description: Over five minutes.
      type: float
    load_15m:
      description: Over fifteen minutes.
      type: float
  sample: {load_1m: 9.12, load_5m: 7.4, load_15m: 6.93}
memory:
  description: Memory and swap.
  returned: when O(gather) has V(memory)
  type: dict
  contains:
    total_bytes:
      description: MemTotal of the host.
      type: int
    free_bytes:
      description: MemFree, memory used for nothing at all. Low on a healthy host.
      type: int
    available_bytes:
      description: MemAvailable, what programs can still get without swapping.
      type: int
    cached_bytes:
      description: Cached and SReclaimable, what C(free) shows as cache.
      type: int
    buffers_bytes:
      description: Buffers.
      type: int
    used_percent:
      description: What is not available, 0 to 100.
      type: float
    swap_total_bytes:
      description: Swap in total.
      type: int
    swap_used_bytes:
      description: Swap in use.
      type: int
    swap_used_percent:
      description: Swap in use, 0 to 100. Null where there is no swap.
      type: float
    limit_bytes:
      description: Memory limit of the container (cgroup v2) that the host is. Null where there is none below the total.
      type: int
    limit_used_bytes:
      description: What is charged against this limit, page cache included.
      type: int
    limit_used_percent:
      description: What is charged against this limit, 0 to 100.
      type: float
  sample:
    total_bytes: 16728883200
    free_bytes: 402653184
    available_bytes: 1073741824
    cached_bytes: 905969664
    buffers_bytes: 51200000
    used_percent: 93.58
    swap_total_bytes: 0
    swap_used_bytes: 0
    swap_used_percent: null
    limit_bytes: null
    limit_used_bytes: null
    limit_used_percent: null
disks:
  description: The file system of each of O(paths), in their order.
  returned: when O(gather) has V(disks)
  type: list
  elements: dict
  contains:
    path:
      description: The path asked for.
      type: str
    state:
      description:
        - V(ok), the figures are known; with every other state they are null.
        - V(missing), the path does not exist.
        - V(timeout), its file system did not answer within O(path_timeout).
        - V(denied), this user may not look there.
        - V(error), another error, in RV(disks[].reason).
      type: str
    reason:
      description: Why there are no figures, in one line. Empty when RV(disks[].state) is V(ok).
      type: str
    mount_point:
      description: Where the file system is mounted. Null where the path is missing.
      type: str
    device:
      description: What is mounted there.
      type: str
    fstype:
      description: Type of the file system.
      type: str
    read_only:
      description: Whether it is mounted read-only.
      type: bool
    total_bytes:
      description: Size.
      type: int
    used_bytes:
      description: In use.
      type: int
    free_bytes:
      description: Not in use, what is reserved for root included.
      type: int
    available_bytes:
      description: What a user other than root can still write.
      type: int
    used_percent:
      description: Use as C(df) counts it, of what is in use and available, 0 to 100. Null where there is no size.
      type: float
    inodes_total:
      description: Number of inodes. 0 where the file system has no fixed number.
      type: int
    inodes_free:
      description: Inodes not in use.
      type: int
    inodes_used_percent:
      description: Inodes in use, 0 to 100. Null where the file system has no fixed number.
      type: float
    held_open:
      description:
        - Deleted files on it that processes keep open, whose space and inodes are not free until they end - C(files),
          C(bytes), the worst C(processes) with C(pid), C(name), C(files) and C(bytes), and C(unseen_processes), into
          which this user must not look. Null where that could not be seen.
      type: dict
  sample:
    - path: /srv/media-processing/temp
      state: ok
      reason: ""
      mount_point: /srv
      device: /dev/vdb1
      fstype: ext4
      read_only: false
      total_bytes: 105089261568
      used_bytes: 94580335411
      free_bytes: 10508926157
      available_bytes: 5253746688
      used_percent: 94.74
      inodes_total: 6553600
      inodes_free: 6512011
      inodes_used_percent: 0.63
      held_open:
        files: 1
        bytes: 3221225472
        processes: [{pid: 812, name: ffmpeg, files: 1, bytes: 3221225472}]
        unseen_processes: 0
io:
  description: Rates of each disk that was used since the host was started, by name. Partitions are not listed.
  returned: when O(gather) has V(io)
  type: list
  elements: dict
  contains:
    device:
      description: Name of the device, without C(/dev).
      type: str
    read_bytes_per_s:
      description: Bytes read per second, over RV(measured_s). Null, as all its rates, where the device was reset.
      type: int
    write_bytes_per_s:
      description: Bytes written per second.
      type: int
    read_ops_per_s:
      description: Reads per second.
      type: float
    write_ops_per_s:
      description: Writes per second.
      type: float
    busy_percent:
      description: Share of the time in which the device had something to do, 0 to 100 (C(%util) of C(iostat)).
      type: float
    wait_ms:
      description: Average milliseconds of a read or write, the queue included. Null where there was none.
      type: float
    samples:
      description: The same rates for each sample, oldest first.
      type: list
      elements: dict
  sample:
    - device: vda
      read_bytes_per_s: 4096
      write_bytes_per_s: 52428800
      read_ops_per_s: 1.0
      write_ops_per_s: 410.5
      busy_percent: 97.2
      wait_ms: 18.41
      samples:
        - read_bytes_per_s: 4096
          write_bytes_per_s: 52428800
          read_ops_per_s: 1.0
          write_ops_per_s: 410.5
          busy_percent: 97.2
          wait_ms: 18.41
processes:
  description: Processes that this user may see.
  returned: when O(gather) has V(processes)
  type: dict
  contains:
    count:
      description: How many there are.
      type: int
    top_cpu:
      description: Those with most CPU time over RV(measured_s), most first.
      type: list
      elements: dict
      contains: &process
        pid:
          description: Process id.
          type: int
        ppid:
          description: Process id of its parent.
          type: int
        user:
          description: Name of its user, or the number where there is no name.
          type: str
        name:
          description: Its name.
          type: str
        status:
          description: Its state in a word (V(running), V(sleeping), V(disk-sleep), V(stopped), V(zombie) ...).
          type: str
        cpu_percent:
          description: CPU time over RV(measured_s). 100 is one CPU, so that it can be above 100.
          type: float
        memory_rss_bytes:
          description: Resident memory.
          type: int
        memory_percent:
          description: Resident memory, as a part of the host's, 0 to 100.
          type: float
        started_at:
          description: When it was started, in UTC.
          type: str
        command_line:
          description: Its command line with secrets hidden, shortened. Null unless O(with_arguments) is set.
          type: str
    top_memory:
      description: Those with most resident memory, most first.
      type: list
      elements: dict
      contains: *process
  sample:
    count: 214
    top_cpu:
      - pid: 4711
        ppid: 903
        user: media
        name: ffmpeg
        status: running
        cpu_percent: 387.2
        memory_rss_bytes: 912261120
        memory_percent: 5.45
        started_at: "2026-11-24T05:51:12Z"
        command_line: null
    top_memory: []
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import run_module
from ..module_utils.system.host_info import PARTS, host_info


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "gather": {"type": "list", "elements": "str", "choices": list(PARTS), "default": list(PARTS)},
            "paths": {"type": "list", "elements": "path", "default": ["/"]},
            "path_timeout": {"type": "float", "default": 5},
            "interval": {"type": "float", "default": 1},
            "samples": {"type": "int", "default": 1},
            "top": {"type": "int", "default": 10},
            "with_arguments": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    run_module(module, lambda: host_info(module.params))


if __name__ == "__main__":
    main()
