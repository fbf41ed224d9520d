"""Settings of a site: none switches a guard off. A run goes as it does without them, or refuses and says why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        name: for people.
        refusal: a pattern, which a refusal has to name the setting by.
        environment: what the site has in its environment.
        site: variables of its inventory.
        options: further arguments of ansible-playbook.
        config: a configuration file of its own, in place of ours.
    """

    name: str
    refusal: str
    environment: Mapping[str, str] = field(default_factory=dict)
    site: Mapping[str, Any] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    config: str = ""


def _env(refusal: str, **environment: str) -> Setting:
    name = " ".join(f"{key}={value}" for key, value in environment.items())
    return Setting(name, refusal, environment)


SETTINGS = (
    _env("(?i)strategy", ANSIBLE_STRATEGY="free"),
    _env("(?i)strategy", ANSIBLE_STRATEGY="host_pinned"),
    _env("(?i)strategy", ANSIBLE_STRATEGY="debug"),
    _env("any_errors_fatal", ANSIBLE_ANY_ERRORS_FATAL="1"),
    _env("(?i)gathering", ANSIBLE_GATHERING="implicit"),
    _env("(?i)gathering", ANSIBLE_GATHERING="smart"),
    _env("(?i)forks", ANSIBLE_FORKS="1"),
    _env("(?i)become", ANSIBLE_BECOME="1"),
    _env("(?i)cache", ANSIBLE_CACHE_PLUGIN="jsonfile", ANSIBLE_CACHE_PLUGIN_CONNECTION="~/facts"),
    _env("(?i)native", ANSIBLE_JINJA2_NATIVE="1"),
    _env("(?i)callback", ANSIBLE_CALLBACK_RESULT_FORMAT="json"),
    _env("(?i)callback", ANSIBLE_STDOUT_CALLBACK="oneline"),
    _env("(?i)callback", ANSIBLE_STDOUT_CALLBACK="minimal"),
    _env("(?i)callback", ANSIBLE_CALLBACKS_ENABLED=""),
    _env("(?i)time.?out", ANSIBLE_TASK_TIMEOUT="5"),
    _env("(?i)hash_behaviour", ANSIBLE_HASH_BEHAVIOUR="merge"),
    _env("(?i)tags", ANSIBLE_RUN_TAGS="x"),
    _env("(?i)tags", ANSIBLE_SKIP_TAGS="always"),
    _env("(?i)tags", ANSIBLE_SKIP_TAGS="all"),
    _env("(?i)inject", ANSIBLE_INJECT_FACT_VARS="true"),
    _env("(?i)undefined", ANSIBLE_ERROR_ON_UNDEFINED_VARS="false"),
    _env("(?i)skipped", ANSIBLE_DISPLAY_SKIPPED_HOSTS="no"),
    _env("(?i)keep", ANSIBLE_KEEP_REMOTE_FILES="1"),
    _env("(?i)no_log", ANSIBLE_NO_LOG="1"),
    _env("(?i)display", ANSIBLE_DISPLAY_OK_HOSTS="no", ANSIBLE_DISPLAY_FAILED_STDERR="yes"),
    _env("(?i)verbosity", ANSIBLE_VERBOSITY="1"),
    _env("(?i)pipelining", ANSIBLE_PIPELINING="0"),
    _env("(?i)precedence", ANSIBLE_PRECEDENCE="all_inventory"),
    _env("(?i)handlers", ANSIBLE_FORCE_HANDLERS="1"),
    _env("(?i)unreachable", ANSIBLE_TIMEOUT="1"),
    Setting("a site's own ansible.cfg", "(?i)callback|ansible.cfg", config="[defaults]\nnocows = 1\n"),
    Setting("ansible_become in group_vars", "(?i)become|sudo", site={"ansible_become": True}),
    Setting(
        "an extra variable that begins with __",
        "__incident_breaker",
        options=("-e", '{"__incident_breaker": {"open": []}}'),
    ),
    Setting("--tags x", "(?i)tags", options=("--tags", "x")),
    Setting("--skip-tags all", "(?i)tags", options=("--skip-tags", "all")),
    Setting("--start-at-task", "(?i)start.at.task", options=("--start-at-task", "Set the exit code")),
    Setting(
        "--start-at-task in the middle",
        "(?i)start.at.task",
        options=("--start-at-task", "Fail the hosts that are not well"),
    ),
    Setting("--limit without a host", "(?i)limit|no host|matched", options=("--limit", "localhost")),
)
