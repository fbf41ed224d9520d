# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What speaks to the storage works with: the service's own environment, completed by options. Secrets stay inside."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Callable

from ..errors import MediaOpsError, OptionError
from ..options import check_range
from ..shapes import one_line
from ..system.environment import ServiceEnvironment, service_environment
from ..system.environment_files import read_environment_file
from ..system.operated import require_operated, service_properties, service_spec
from ..system.systemd import main_pid
from ..web_address import is_web_address
from .faults import Fault

BUCKET = ("AWS_S3_BUCKET_NAME",)
REGION = ("AWS_S3_REGION", "AWS_REGION", "AWS_DEFAULT_REGION")
ENDPOINT = ("AWS_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
KEY_ID, SECRET, TOKEN = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
# Variables by which an environment names credentials that are not in it
ELSEWHERE = (
    *("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_SHARED_CREDENTIALS_FILE"),
    *("AWS_CONFIG_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
)
_SECRET_WORDS = ("SECRET", "TOKEN", "PASSWORD", "CREDENTIALS_FULL_URI")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_DEFAULT_REGION = "us-east-1"
_MAX_NAMES = 40
_SECRET_MIN = 4
_KEY_ID_MIN = 16


def storage_argument_spec() -> dict[str, Any]:
    """The options that doc fragment ``storage`` describes; ``unit`` or ``environment_file`` is required."""
    return {
        **service_spec(),
        "environment_file": {"type": "path"},
        "endpoint_url": {"type": "str"},
        "region": {"type": "str"},
        "path_style": {"type": "bool"},
        "credentials": {"type": "str", "choices": ["environment", "chain"], "default": "environment"},
        "retries": {"type": "int", "default": 1},
    }


@dataclass(frozen=True)
class Settings:
    """Checked settings for one call.

    Attributes:
        variables: the environment to run with.
        source: ``process``, ``unit`` or ``file``; "" where there is none.
        addressing: ``path``, ``virtual`` (the bucket stands in the host name), or ``auto`` as boto3 decides.
        metadata: whether the instance's metadata service may be asked for a role.
        no_write: why nothing is to be written, or "".
        trouble: why nothing can be probed.
    """

    variables: dict[str, str] = field(repr=False)
    source: str
    bucket: str
    region: str
    endpoint_url: str
    addressing: str
    metadata: bool
    prefix: str
    no_write: str
    connect_timeout: float
    read_timeout: float
    total_timeout: float
    retries: int
    trouble: Fault | None = None

    @property
    def destination(self) -> str:
        """Bucket and prefix, for people."""
        return f"s3://{self.bucket}/{self.prefix}"

    def hidden(self) -> dict[str, str]:
        """Secrets, and what is shown in their place."""
        found: dict[str, str] = {}
        for name, value in self.variables.items():
            if name.startswith("AWS_") and any(word in name for word in _SECRET_WORDS):
                found[value.strip()] = "***"
            if name.upper() in _PROXIES or name in ENDPOINT:
                found[userinfo(value)] = "***"
        found[userinfo(self.endpoint_url)] = "***"
        found |= masking(self.variables.get(KEY_ID, "").strip())
        return {secret: shown for secret, shown in found.items() if len(secret) >= _SECRET_MIN}

    def environment(self) -> dict[str, str]:
        """Which AWS variables the service has, without their values."""
        names = [*BUCKET, *REGION, *ENDPOINT, KEY_ID, SECRET, TOKEN]
        names += sorted(name for name in self.variables if name.startswith("AWS_") and name not in names)
        return {one_line(name, 60): "set" if self.variables.get(name) else "not set" for name in names[:_MAX_NAMES]}


def userinfo(url: str) -> str:
    """User and password of a URL, as they stand in it."""
    authority = url.partition("://")[2].partition("/")[0]
    return authority.rpartition("@")[0]


def masked(key_id: str) -> str:
    """An access key id as it may be shown."""
    return f"{one_line(key_id[:4], 4)}… ({len(key_id)} characters)" if key_id else ""


def masking(key_id: str) -> dict[str, str]:
    """What an access key id is replaced by. Short ones, of stores other than AWS, are words that occur elsewhere."""
    return {key_id: masked(key_id)} if len(key_id) >= _KEY_ID_MIN else {}


def hiding(credentials: Any) -> dict[str, str]:
    """What credentials that boto3 found (frozen ones) are replaced by."""
    secrets = {secret: "***" for secret in (credentials.secret_key, credentials.token) if secret}
    return secrets | masking(credentials.access_key or "")


def clean(value: Any, hidden: Mapping[str, str]) -> Any:
    """A result without secrets, longest first, as one may hold the other."""
    if isinstance(value, str):
        for secret in sorted(hidden, key=len, reverse=True):
            value = value.replace(secret, hidden[secret])
        return value
    if isinstance(value, list):
        return [clean(entry, hidden) for entry in value]
    if isinstance(value, dict):
        return {key: clean(entry, hidden) for key, entry in value.items()}
    return value


def read_settings(
    params: Mapping[str, Any], *, check_mode: bool, hide: Callable[[str], None], longest: float = 600
) -> Settings:
    """Read the environment that the options name, and check the options.

    Args:
        params: the module's parameters.
        check_mode: whether nothing is to be written.
        hide: takes each secret that must not be in the module's output.
        longest: the most that total_timeout may be.

    Raises:
        OptionError: an option cannot be right.
    """
    _check(params, hide, longest)
    found, home, trouble = ServiceEnvironment({}, ""), os.path.expanduser("~"), None
    try:
        found, home = _environment(params)
    except Fault as fault:
        trouble = fault
    variables = {"HOME": home, **found.variables}
    endpoint_url = params["endpoint_url"] or _first(variables, ENDPOINT)
    no_write = "check mode" if check_mode else ""
    settings = Settings(
        variables=variables,
        source=found.source,
        bucket=params["bucket"] or _first(variables, BUCKET),
        region=params["region"] or _first(variables, REGION) or _DEFAULT_REGION,
        endpoint_url=endpoint_url,
        addressing=_addressing(params["path_style"], endpoint_url),
        metadata=params["credentials"] == "chain",
        prefix=params["prefix"],
        no_write=no_write if params["write"] else "option write is false",
        connect_timeout=params["connect_timeout"],
        read_timeout=params["read_timeout"],
        total_timeout=params["total_timeout"],
        retries=params["retries"],
    )
    problem = "" if trouble else _problem(settings)
    if problem and found.unreadable:
        shown = ", ".join(one_line(path, 80) for path in found.unreadable[:5])
        trouble = Fault("unknown", f"{problem}; {shown} cannot be read by this user (become the service's user)")
    elif problem:
        trouble = Fault("not_configured", problem)
    return replace(settings, trouble=trouble)


def _check(params: Mapping[str, Any], hide: Callable[[str], None], longest: float) -> None:
    if login := userinfo(params["endpoint_url"] or ""):
        hide(login)
        raise OptionError("endpoint_url", "(hidden)", "must have no credentials")
    for option in ("connect_timeout", "read_timeout"):
        check_range(params, option, 0.05, 60)
    check_range(params, "total_timeout", 1, longest)
    check_range(params, "retries", 0, 1)
    prefix = params["prefix"]
    if not prefix or prefix.startswith("/") or len(prefix) > 200 or not (prefix.isascii() and prefix.isprintable()):
        raise OptionError("prefix", prefix, "must be 1 to 200 printable ASCII characters, not beginning with /")


def _addressing(path_style: bool | None, endpoint_url: str) -> str:
    if path_style is None:
        return "path" if endpoint_url else "auto"
    return "path" if path_style else "virtual"


def _environment(params: Mapping[str, Any]) -> tuple[ServiceEnvironment, str]:
    """The environment, and the home directory that goes with it."""
    home, path = os.path.expanduser("~"), params["environment_file"]
    if path:
        try:
            return ServiceEnvironment(read_environment_file(path), "file"), home
        except OSError as error:
            raise OptionError("environment_file", path, f"cannot be read: {error.strerror}") from error
    service = require_operated(params)
    try:
        properties = service_properties(service)
    except OptionError:
        raise
    except MediaOpsError as error:
        raise Fault("unknown", one_line(error)) from error
    if properties.get("LoadState") == "not-found":
        raise Fault("not_configured", f"there is no unit {params['unit']} on this host")
    if service.process and not main_pid(properties):
        raise Fault("unknown", "the service does not run, and has no unit that would say what it runs with")
    with contextlib.suppress(KeyError):
        home = pwd.getpwnam(properties.get("User") or "root").pw_dir
    return service_environment(properties), home


def _first(variables: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((variables[name].strip() for name in names if variables.get(name, "").strip()), "")


def _problem(settings: Settings) -> str:
    """Why these settings cannot work, seen without asking anybody."""
    if not settings.bucket:
        return f"no bucket: {BUCKET[0]} is not set"
    url = settings.endpoint_url
    if url and (not is_web_address(url) or userinfo(url)):
        return f"{ENDPOINT[0]} must be http://HOST[:PORT] or https://HOST[:PORT], without credentials"
    return _credentials_problem(settings)


def _credentials_problem(settings: Settings) -> str:
    variables = settings.variables
    have = {name: variables.get(name, "") for name in (KEY_ID, SECRET)}
    if not any(have.values()):
        if settings.metadata or any(variables.get(name) for name in ELSEWHERE):
            return ""
        return f"no credentials: {KEY_ID} and {SECRET} are not set, and nothing else names any (option credentials)"
    for name, value in have.items():
        if not value:
            return f"{name} is not set while the other half of the credentials is"
        if not all("!" <= character <= "~" for character in value):
            return f"{name} has a blank, a line break or a character that no key has"
    return ""
