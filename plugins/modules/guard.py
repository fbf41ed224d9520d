#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: guard
short_description: Lease, ledger, caps, pause switch and mutes of a host
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Says whether automation may act on this host, and keeps the record of what it did. Everything lives in
    O(state_dir) on the host, so it survives the loss of a controller and serves every controller.
  - Two calls never decide at once, since each holds a kernel's lock. Between calls a lease with an owner and an end
    says who may act. An expired lease is taken over, and RV(took_over) says from whom.
  - Only a file that is not there means that there is no pause, lease or ledger. One that cannot be read, is a link or
    no regular file, or is larger than any of ours, holds the host until a person says V(resumed) of O(state). A lease
    that was torn by a power cut holds it for one O(ttl) at most. A ledger that cannot be read fails the module.
  - A refusal is a value, RV(permitted) with RV(refusals). The module fails only for misuse, and when the state
    directory cannot be used.
  - Bookkeeping in O(state_dir) is not reported as a change; pausing and resuming are.
extends_documentation_fragment:
  - media_ops.runbook.action
attributes:
  check_mode:
    support: full
    details: Everything is decided as it would be, and nothing is written.
options:
  state:
    description:
      - V(observed) only says how the host stands.
      - V(prepared) takes the room for lease, pause and ledger, which are written in place from then on, so that a disk
        without a byte or an inode left stops neither what frees it nor the pause. V(leased) takes what is lacking too,
        where there is room.
      - V(leased) takes the lease, or renews it for the same O(run_id). It is refused while automation is paused, while
        another run holds the lease, when the run starts too late (O(scheduled_for)), when one of O(actions) was
        carried out too often (O(caps)), and when what must come before has not succeeded on this host (O(after)).
      - V(released) gives the lease back, also where the ledger cannot be written. A lease of another run is left alone.
      - V(recorded) appends O(entries) to the ledger; they are on disk when the module returns. V(leased) does so too
        when it gives the lease, and V(released) before the lease is given back.
      - V(paused) stops all automation on the host for O(pause_for) seconds. V(resumed) ends that. It is a person's
        word, and so sets aside a pause or lease that cannot be read as well (RV(cleared)).
      - V(muted) keeps O(mute), in the place of an earlier one of the same thing, and records it. V(unmuted) ends what
        O(unmute) names. Either sets aside mutes that cannot be read (RV(cleared)). What a mute means is for
        M(media_ops.runbook.check) to know.
    type: str
    choices: [observed, prepared, leased, released, recorded, paused, resumed, muted, unmuted]
    default: observed
  state_dir:
    description: The directory, absolute. It must exist; the playbook C(media_ops.runbook.prepare_hosts) makes it.
    type: path
    default: /var/lib/media-ops
  run_id:
    description: What names the run. Needed with V(leased), V(released), V(recorded), V(muted), V(unmuted) of O(state).
    type: str
  reason:
    description: Why, in one line for people. Needed with V(leased) and V(paused) of O(state).
    type: str
  owner:
    description: Who started the run.
    type: str
  controller:
    description: Host name of the controller.
    type: str
  controller_process:
    description:
      - The run's process on the controller, with C(machine_id), C(boot_id), C(namespaces), C(pid) and C(start). It is
        kept in the lease, so that only a run that is known to be dead loses it before its time.
    type: dict
  ttl:
    description: Seconds until the lease ends by itself, unless it is renewed.
    type: int
    default: 900
  take_over:
    description: O(run_id) of a run that is known to be dead, whose lease may be taken before its end.
    type: str
  actions:
    description: Kinds of action that the run is about to carry out, checked against O(caps).
    type: list
    elements: str
    default: []
  caps:
    description:
      - How often an action may be carried out on this host for what O(taken_for) says. A run counts once, whatever its
        number of targets. What was refused or never ran counts nothing; what was begun by a run that then said no more
        does.
    type: list
    elements: dict
    default: []
    suboptions:
      action:
        description: Kind of action.
        type: str
        required: true
      at_most:
        description: How many runs may carry it out.
        type: int
        required: true
      within:
        description: In how many seconds.
        type: float
        required: true
      of_all:
        description: Whether it counts whatever the action was carried out for.
        type: bool
        default: false
  taken_for:
    description:
      - What the run acts for, the cause of an incident or the name of a procedure. Without it, O(caps) count whatever
        the actions were carried out for.
    type: str
  scheduled_for:
    description: When a scheduled run was due, ISO 8601, UTC where no zone is given.
    type: str
  window:
    description: How many seconds after O(scheduled_for) the run may still act.
    type: float
  after:
    description: Procedures that must have succeeded on this host lately, by its own ledger.
    type: list
    elements: dict
    default: []
    suboptions:
      procedure:
        description: Name of the procedure.
        type: str
        required: true
      act:
        description: The part of it that must have been done, by the module's name. Without it, all of it.
        type: str
      hours:
        description: How many hours ago it may have ended.
        type: float
        required: true
  entries:
    description: Entries for the ledger. Each needs C(action); C(at) and C(run_id) are added.
    type: list
    elements: dict
    default: []
  pause_for:
    description: How long to pause in seconds, at most 30 days.
    type: int
  mute:
    description: What is muted, needed with V(muted) of O(state).
    type: dict
    suboptions:
      what:
        description: Kind of what is muted.
        type: str
        choices: [component, check, host]
        required: true
      name:
        description: Its name; none of a host.
        type: str
        default: ""
      reason:
        description: Why, for all who meet the mute.
        type: str
        required: true
      by:
        description: Who muted it.
        type: str
        default: ""
      since:
        description: When it began, ISO 8601.
        type: str
        required: true
      until:
        description: When it ends by itself, ISO 8601.
        type: str
        required: true
  unmute:
    description: What is muted no longer, such as V(component:ffmpeg), V(check:clock) or V(host); V(all) for all of it.
    type: str
  hours:
    description: How many hours back RV(recent) looks.
    type: float
    default: 24
  ledger_max_bytes:
    description: Size at which the ledger is rotated; five rotated files are kept.
    type: int
    default: 1048576
"""

EXAMPLES = r"""
- name: Who acts on this host, and what was done in the last day?
  media_ops.runbook.guard:
  register: stands

- name: Take the host for a restart, unless one was made within the hour
  media_ops.runbook.guard:
    state: leased
    run_id: 20261124T060000Z
    owner: alice
    reason: service does not answer
    actions: [restart]
    caps:
      - {action: restart, at_most: 1, within: 3600}
  register: lease

- name: Stop automation on the host for two hours
  media_ops.runbook.guard:
    state: paused
    owner: alice
    reason: new disk is being built in
    pause_for: 7200

- name: Let a component that is broken by a bug of the service count for nothing, for a week
  media_ops.runbook.guard:
    state: muted
    run_id: 20261124T060000Z
    mute:
      what: component
      name: cloud_storage
      reason: MEDIA-123, uploads work
      by: alice
      since: 2026-11-24T06:00:00Z
      until: 2026-12-01T06:00:00Z
"""

RETURN = r"""
permitted:
  description: Whether the run may act.
  type: bool
  returned: with O(state=leased)
refusals:
  description: Why it may not, in lines for people.
  type: list
  elements: str
  returned: with O(state=leased)
took_over:
  description: The expired or dead lease that was taken over, as RV(lease). Null when there was none.
  type: dict
  returned: with O(state=leased)
recorded:
  description: How many entries were appended.
  type: int
  returned: with O(state=recorded) and O(state=released), and with O(state=leased) when the lease was given
cleared:
  description: Names of files that could not be read and were set aside, as NAME.broken.
  type: list
  elements: str
  returned: with O(state=resumed), O(state=muted) and O(state=unmuted)
lease:
  description:
    - The lease, with C(run_id), C(owner), C(controller), C(controller_process), C(reason), C(taken_at), C(expires_at)
      and C(expired). Null when there is none.
    - Of one that cannot be read C(run_id) is C(?), and C(reason) says why.
  type: dict
  returned: success
pause:
  description:
    - The pause that is on, with C(reason), C(by), C(since) and C(until). Null when there is none.
    - Of one that cannot be read C(reason) says why, and C(until) is null.
  type: dict
  returned: success
held:
  description:
    - Why nothing may be done on the host until a known time, for people. It is a pause, or the lease of another run
      than O(run_id). Empty where there is none, and where it cannot be read.
  type: str
  returned: success
mutes:
  description: What is muted by this host's clock, each with the keys of O(mute).
  type: list
  elements: dict
  returned: success
mutes_unreadable:
  description: Why it is not known what is muted. Then nothing is.
  type: str
  returned: success
recent:
  description: The ledger's entries of the last O(hours), oldest first, the newest 200.
  type: list
  elements: dict
  returned: success
acted_for:
  description:
    - By cause, how many seconds ago by this host's clock something was done for it last, or begun. Of the last
      O(hours), and however many entries there are; the newest 50 causes. 0 where the entry's time lies ahead.
  type: dict
  returned: success
  sample: {"service": 620}
caps_reached:
  description:
    - What may not be done once more by O(caps), each with C(action), C(why), and C(taken_for), for what it was done;
      empty where it counts for whatever.
  type: list
  elements: dict
  returned: success
counts:
  description: Number of recent entries by action and result.
  type: dict
  returned: success
  sample: {"restart done": 1}
repeated:
  description: Actions that more than one recent run carried out, with the number of runs.
  type: dict
  returned: success
bad_lines:
  description: Lines of the ledger that could not be read.
  type: int
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import run_module
from ..module_utils.state.guard import LEDGER_MAX_BYTES, STATES, guard

_CAP = {
    "action": {"type": "str", "required": True},
    "at_most": {"type": "int", "required": True},
    "within": {"type": "float", "required": True},
    "of_all": {"type": "bool", "default": False},
}
_NEED = {
    "procedure": {"type": "str", "required": True},
    "act": {"type": "str"},
    "hours": {"type": "float", "required": True},
}
_MUTE = {
    "what": {"type": "str", "required": True, "choices": ["component", "check", "host"]},
    "name": {"type": "str", "default": ""},
    "reason": {"type": "str", "required": True},
    "by": {"type": "str", "default": ""},
    "since": {"type": "str", "required": True},
    "until": {"type": "str", "required": True},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"choices": list(STATES), "default": "observed"},
            "state_dir": {"type": "path", "default": "/var/lib/media-ops"},
            **{
                name: {"type": "str"}
                for name in ("run_id", "reason", "owner", "controller", "take_over", "taken_for", "scheduled_for")
            },
            "controller_process": {"type": "dict"},
            "pause_for": {"type": "int"},
            "mute": {"type": "dict", "options": _MUTE},
            "unmute": {"type": "str"},
            "ttl": {"type": "int", "default": 900},
            "actions": {"type": "list", "elements": "str", "default": []},
            "caps": {"type": "list", "elements": "dict", "default": [], "options": _CAP},
            "window": {"type": "float"},
            "after": {"type": "list", "elements": "dict", "default": [], "options": _NEED},
            "entries": {"type": "list", "elements": "dict", "default": []},
            "hours": {"type": "float", "default": 24},
            "ledger_max_bytes": {"type": "int", "default": LEDGER_MAX_BYTES},
        },
        supports_check_mode=True,
    )
    run_module(module, lambda: guard(module.params, check_mode=module.check_mode))


if __name__ == "__main__":
    main()
