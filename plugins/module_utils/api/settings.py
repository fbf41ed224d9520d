# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The connection options of the action group ``api``: their argument spec, and their check before anything is sent."""

from __future__ import annotations

import os
import re
import ssl
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable

from ..errors import OptionError
from ..opener import open_regular, read_whole
from ..options import check_range
from ..web_address import is_web_address
from .endpoints import Endpoint, offered, read_endpoints
from .login import Login, read_login

TOKEN_VARIABLE = "MEDIA_OPS_API_TOKEN"  # noqa: S105
_TOKEN_FILE_MAX = 64 * 1024
_HIDDEN = "(hidden)"
_TOKEN_OF_HTTP = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,60}")


def api_argument_spec() -> dict[str, Any]:
    """The options that doc fragment ``api`` describes."""
    return {
        "api_url": {"type": "str", "default": "http://localhost:8000/api/v1/monitoring"},
        "api_token": {"type": "str", "no_log": True},
        "api_token_file": {"type": "path", "no_log": False},
        "ca_path": {"type": "path"},
        "client_cert": {"type": "path"},
        "client_key": {"type": "path", "no_log": False},
        "validate_certs": {"type": "bool", "default": True},
        "connect_timeout": {"type": "float", "default": 3},
        "read_timeout": {"type": "float", "default": 10},
        "total_timeout": {"type": "float", "default": 20},
        "overall_timeout": {"type": "float", "default": 45},
        "retries": {"type": "int", "default": 2},
        "max_body_bytes": {"type": "int", "default": 8388608},
        "api_offered": {"type": "bool", "default": True},
        "api_map": {"type": "dict", "default": {}},
        "api_header": {"type": "str", "default": "Authorization"},
        "api_scheme": {"type": "str", "default": "Bearer"},
        "api_login": {"type": "dict", "default": {}},
        "api_username": {"type": "str"},
        "api_password": {"type": "str", "no_log": True},
        "api_refresh_token": {"type": "str", "no_log": True},
        "api_state_dir": {"type": "path"},
    }


@dataclass(frozen=True)
class ApiSettings:
    """Connection options that were checked."""

    url: str
    token: str = field(repr=False)
    verify: bool | str
    cert: tuple[str, str | None] | None
    connect_timeout: float
    read_timeout: float
    total_timeout: float
    overall_timeout: float
    retries: int
    max_body_bytes: int
    header: str = "Authorization"
    scheme: str = "Bearer"
    login: Login | None = None
    endpoints: Mapping[str, Endpoint | None] = field(default_factory=lambda: read_endpoints({}))


def api_settings(
    params: Mapping[str, Any],
    *,
    warn: Callable[[str], None],
    hide: Callable[[str], None],
    environ: Mapping[str, str] | None = None,
) -> ApiSettings:
    """Check the connection options.

    Args:
        params: the module's parameters.
        warn: takes a warning for the user.
        hide: takes each secret that must not be in the module's output.
        environ: where the token may come from, by default the environment of the process.
    """
    url = _url(params["api_url"], hide)
    for option in ("connect_timeout", "read_timeout", "total_timeout"):
        check_range(params, option, 0.05, 600)
    check_range(params, "overall_timeout", 0.05, 3600)
    check_range(params, "retries", 0, 10)
    check_range(params, "max_body_bytes", 1024, 1 << 30)
    verify, cert = _tls(params) if url.startswith("https:") else (True, None)
    login = read_login(params, url, hide)
    return ApiSettings(
        url=url,
        # Whoever logs in has a token of his own.
        token="" if login else _token(params, os.environ if environ is None else environ, warn, hide),
        verify=verify,
        cert=cert,
        connect_timeout=params["connect_timeout"],
        read_timeout=params["read_timeout"],
        total_timeout=params["total_timeout"],
        overall_timeout=params["overall_timeout"],
        retries=params["retries"],
        max_body_bytes=params["max_body_bytes"],
        header=_header(params["api_header"], params["api_scheme"]),
        scheme=params["api_scheme"],
        login=login,
        endpoints=offered(params),
    )


def _url(given: str, hide: Callable[[str], None]) -> str:
    before, at, rest = given.rpartition("@")
    if at:
        hide(before.rpartition("//")[2])
        raise OptionError(
            "api_url",
            f"{_HIDDEN}@{rest.partition('?')[0]}",
            "must have no credentials; use api_token or api_token_file",
        )
    base, mark, query = given.replace("#", "?").partition("?")
    if mark:
        hide(query)
        raise OptionError("api_url", f"{base}?{_HIDDEN}", "must have no query and no fragment")
    if not is_web_address(given) or not given.isprintable() or " " in given:
        raise OptionError("api_url", given, "must be http://HOST[:PORT][/PATH] or https://HOST[:PORT][/PATH]")
    return given.rstrip("/")


def _header(name: str, scheme: str) -> str:
    if not _TOKEN_OF_HTTP.fullmatch(name):
        raise OptionError("api_header", name, "must be the name of an HTTP header, as X-Api-Key")
    if scheme and not _TOKEN_OF_HTTP.fullmatch(scheme):
        raise OptionError("api_scheme", scheme, "must be a word, as Bearer, or empty")
    return name


def _token(
    params: Mapping[str, Any], environ: Mapping[str, str], warn: Callable[[str], None], hide: Callable[[str], None]
) -> str:
    if params["api_token"]:
        source, token = "api_token", params["api_token"]
    elif params["api_token_file"]:
        source, token = "api_token_file", _token_of_file(params["api_token_file"], warn)
    else:
        source, token = f"api_token, from the environment variable {TOKEN_VARIABLE},", environ.get(TOKEN_VARIABLE, "")
    if token:
        hide(token)
    if not all("!" <= character <= "~" for character in token):
        raise OptionError(source, _HIDDEN, "must be visible ASCII characters only, with no space or line break")
    return str(token)


def _token_of_file(path: str, warn: Callable[[str], None]) -> str:
    try:
        handle = open_regular(path, follow=True)
        with os.fdopen(handle):
            mode = os.fstat(handle).st_mode
            content = read_whole(handle, _TOKEN_FILE_MAX)
    except OSError as error:
        raise OptionError("api_token_file", path, f"cannot be read: {error.strerror}") from error
    if mode & stat.S_IROTH:
        warn(f"{path} (option 'api_token_file') can be read by everybody on this host: set its mode to 0600")
    # Characters that no token has are kept by latin-1, for the check of all tokens to refuse.
    token = content.decode("latin-1").strip()
    if not token:
        raise OptionError("api_token_file", path, "is empty")
    return token


def _tls(params: Mapping[str, Any]) -> tuple[bool | str, tuple[str, str | None] | None]:
    """Load what the options name once, for an error that names the option instead of a connection that fails."""
    ca, cert, key = params["ca_path"], params["client_cert"], params["client_key"]
    if key and not cert:
        raise OptionError("client_key", key, "needs client_cert")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca:
        try:
            context.load_verify_locations(**{"capath" if os.path.isdir(ca) else "cafile": ca})
        except (OSError, ssl.SSLError) as error:
            raise OptionError("ca_path", ca, f"cannot be loaded: {error.strerror or error}") from error
    if cert:
        try:
            # With an empty password, an encrypted key is an error; without, it would wait at a prompt.
            context.load_cert_chain(cert, key, password="")
        except (OSError, ssl.SSLError, ValueError) as error:
            raise OptionError(
                "client_cert", cert, f"cannot be loaded with its key: {getattr(error, 'strerror', None) or error}"
            ) from error
    return (ca or True) if params["validate_certs"] else False, (cert, key) if cert else None
