# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How this ansible-playbook was called, as far as a command that follows on it must say the same; never a secret."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import join, quote
from typing import Any, TypedDict

import yaml
from ansible import context
from ansible.errors import AnsibleError
from ansible.parsing.splitter import parse_kv

from ..module_utils.commands import AWX
from .host_action import plain, secrets_in

# Of these a plan depends, on the second group only where the same playbook is run again.
_KEPT, _KEPT_AGAIN = ("media_ops_", "policy_"), ("incident_", "automation_")
_ANSWERED_ANEW = frozenset(
    {"incident_mode", "incident_plan", "incident_breaker_reset", "automation_plan", "automation_scheduled_for"}
)
_FLAGS = {"become": "-b", "ask_pass": "-k", "become_ask_pass": "-K", "ask_vault_pass": "-J"}
_VALUES = {"remote_user": "-u", "private_key_file": "--private-key"}
_LISTS = {"vault_ids": "--vault-id", "vault_password_files": "--vault-password-file"}
_SIMPLE = re.compile(r"[\w.,:/@+-]+")


class Call(TypedDict):
    """How a playbook is called.

    Attributes:
        prefix: what stands before the name of a playbook of this collection.
        again: the same playbook once more, without its limit; empty where that is not known.
        limit: the limit of this run.
    """

    prefix: str
    again: str
    limit: str


def call_of(variables: Mapping[str, Any], prefix: str = "") -> Call:
    """The call of this run.

    Args:
        variables: of a task of it.
        prefix: ``report_command_prefix``, where the site sets it.
    """
    asked: Mapping[str, Any] = context.CLIARGS
    template = str(variables.get("awx_job_template_name") or variables.get("tower_job_template_name") or "")
    limit = str(asked.get("subset") or "")
    if template and not prefix:
        return {"prefix": f"{AWX}the job template of ", "again": f"{AWX}the job template '{template}'", "limit": limit}
    directory = str(variables.get("playbook_dir") or "")
    sources = [str(source) for source in plain(variables.get("ansible_inventory_sources") or [])]
    options = [*(part for source in sources for part in ("-i", source)), *_options(asked)]
    where = (
        "media_ops.runbook."
        if "/ansible_collections/" in f"{directory}/"
        else quote(f"{directory}/")
        if directory
        else ""
    )
    own = _own(list(asked.get("args") or []))
    again = ["ansible-playbook", *options, *_variables(asked, (*_KEPT, *_KEPT_AGAIN)), own]
    return {
        "prefix": prefix or f"{join(['ansible-playbook', *options, *_variables(asked, _KEPT)])} {where}",
        "again": join(again) if own else "",
        "limit": limit,
    }


def _own(playbooks: Sequence[str]) -> str:
    """The playbook that runs; one of a collection by its name."""
    if len(playbooks) != 1:
        return ""
    return str(Path(playbooks[0]).resolve()) if Path(playbooks[0]).exists() else playbooks[0]


def _options(asked: Mapping[str, Any]) -> list[str]:
    found = [flag for name, flag in _FLAGS.items() if asked.get(name)]
    for name, option in _VALUES.items():
        found += [option, str(asked[name])] if asked.get(name) else []
    for name, option in _LISTS.items():
        found += [part for value in asked.get(name) or () for part in (option, str(value))]
    return found


def _variables(asked: Mapping[str, Any], kept: tuple[str, ...]) -> list[str]:
    """The extra variables in their order: files, and of others what is ours and no secret."""
    found: list[str] = []
    for given in map(str, asked.get("extra_vars") or ()):
        if given.startswith("@"):
            found += ["-e", f"@{Path(given[1:]).resolve()}"]
            continue
        for name, value in _parsed(given).items():
            if name.startswith(kept) and name not in _ANSWERED_ANEW and not secrets_in(value, name):
                simple = isinstance(value, str) and _SIMPLE.fullmatch(value)
                found += ["-e", f"{name}={value}" if simple else json.dumps({name: value}, ensure_ascii=False)]
    return found


def _parsed(given: str) -> dict[str, Any]:
    try:
        known = yaml.safe_load(given) if given[:1] in "{[" else parse_kv(given)
        made = plain(known)
    except (AnsibleError, yaml.YAMLError):
        return {}
    return made if isinstance(made, dict) else {}
