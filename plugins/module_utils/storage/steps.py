# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of a storage probe, in order, each within its time. They use the environment of the process they run in."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
import ssl
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Callable
from urllib.parse import unquote, urlsplit

from ..shapes import one_line
from ..times import to_text
from ..web_address import host_and_port
from .client import new_client, within
from .faults import Fault, explain, fault
from .settings import SECRET, TOKEN, Settings, clean, hiding, masked

STEPS = ("dns", "tcp", "tls", "credentials", "identity", "list", "put", "get", "delete", "leftovers")
MAX_REQUESTS = 16
_FRESH_S = 900  # younger objects may belong to a probe that runs elsewhere: none lasts longer than 600 s
_MAX_LISTED = 20
_PLAIN = ("ok", "skipped", "not_offered")


class Probe:
    """One probe; :meth:`run` makes it and :attr:`report` is what it found."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._began = time.monotonic()
        # What is kept back is for removing what was written.
        self._end = self._began + settings.total_timeout
        self._deadline = self._end - min(5.0, settings.total_timeout / 4)
        self._hidden = settings.hidden()
        self._key = ""
        self._version = ""
        self._content = b""
        self._written = False
        self._answered = False
        self._where = ""
        self._url = urlsplit("")
        self._proxy = ""
        self._status = 0
        self._looked = False
        self._core: Any = None
        self._session: Any = None
        self._s3: Any = None
        self.report: dict[str, Any] = {
            "steps": [],
            "endpoint": "",
            "proxy": None,
            "addresses": [],
            "certificate": None,
            "credentials": {"found_in": None, "access_key": masked(settings.variables.get("AWS_ACCESS_KEY_ID", ""))},
            "identity": None,
            "clock": None,
            "key": "",
            "left_behind": [],
            "requests": 0,
            "notes": [],
        }

    def run(self) -> dict[str, Any]:
        """Go through the steps; a later one is skipped where an earlier one makes it pointless."""
        try:
            self._locate()
        except Exception as error:  # noqa: BLE001  wrong settings raise whatever they like
            found = explain(error, "credentials", where="the settings", show=self._shown)
            self.skip_all("not_configured", found.reason)
        else:
            pointless = ""
            for step in STEPS:
                pointless = self._step(step, pointless)
            self._sum_up()
        return self._shown(self.report)  # type: ignore[no-any-return]

    def skip_all(self, state: str, reason: str) -> None:
        """Nothing can be probed."""
        self.report["steps"] = [{"step": step, "state": "skipped", "reason": state, "ms": 0} for step in STEPS]
        self.report["state"], self.report["reason"] = state, one_line(reason, 500)

    # --- how a step is made

    def _step(self, step: str, pointless: str) -> str:
        """Make one step and note it; return why those that follow are pointless."""
        why = self._why_not(step, pointless)
        if why:
            self.report["steps"].append({"step": step, "state": "skipped", "reason": why, "ms": 0})
            return pointless
        began = time.monotonic()
        state, reason, self._status = "ok", "", 0
        try:
            self._within(getattr(self, f"_{step}"), self._limit(step), step)
        except Exception as error:  # noqa: BLE001  whatever a library raises is a state of the step
            where = "STS" if step == "identity" else self._where
            clock = self.report["clock"]
            skew_s = clock["skew_s"] if clock else None
            found = explain(error, step, where=where, show=self._shown, status=self._status, skew_s=skew_s)
            state, reason = found.state, found.reason
        spent = round((time.monotonic() - began) * 1000)
        self.report["steps"].append({"step": step, "state": state, "reason": one_line(reason, 500), "ms": spent})
        ends = state not in ("ok", "denied_list") and step in ("dns", "tcp", "tls", "credentials", "list")
        return f"{step}: {state}" if ends and not pointless else pointless

    def _why_not(self, step: str, pointless: str) -> str:
        if step == "delete" and self._written:
            return ""
        done = {entry["step"]: entry["state"] for entry in self.report["steps"]}
        no_write = self._settings.no_write
        reasons = (
            (bool(pointless), pointless),
            (step == "tls" and self._url.scheme != "https", "the endpoint is plain http"),
            (step in ("put", "get", "delete", "leftovers") and bool(no_write), no_write),
            (step in ("get", "delete") and done.get("put") != "ok", f"put: {done.get('put')}"),
            (step == "leftovers" and done.get("list") != "ok", f"list: {done.get('list')}"),
        )
        return next((reason for holds, reason in reasons if holds), "")

    def _limit(self, step: str) -> float:
        left = (self._end if step in ("delete", "leftovers") else self._deadline) - time.monotonic()
        # Not every store has STS; it shall not use up the others' time.
        return min(left, self._settings.total_timeout / 4) if step == "identity" else left

    def _within(self, work: Callable[[], None], limit: float, step: str) -> None:
        if limit <= 0:
            raise fault("timeout", f"the {self._settings.total_timeout:g} s were used up before this step")
        state = "dns" if step == "dns" else "timeout"
        within(work, limit, fault(state, f"{self._where}: no complete answer within {limit:.3g} s"))

    def _shown(self, value: Any) -> Any:
        return clean(value, self._hidden)

    def _note(self, text: str) -> None:
        self.report["notes"].append(one_line(self._shown(text), 300))

    # --- the steps

    def _locate(self) -> None:
        """Where the requests will go, as boto3 has it; nothing is sent."""
        import boto3
        import botocore.session

        self._core = botocore.session.get_session()
        self._session = boto3.session.Session(botocore_session=self._core)
        # Credentials are not looked for yet, as that may need the network.
        none = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}
        client = self._client("s3", self._settings.endpoint_url, retries=0, more=none)
        url = _first_url(client, self._settings.bucket)
        self._url = urlsplit(url)
        self._proxy = _proxy_of(url, self._url.scheme)
        if self._proxy:
            self.report["proxy"] = _place(self._proxy)
            self._note(f"reached through the proxy {_place(self._proxy)} of the service's environment")
        self.report["endpoint"] = _place(url)
        self._where = _authority(self._proxy or url)

    def _dns(self) -> None:
        host, port = host_and_port(self._proxy or self._url.geturl())
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        self.report["addresses"] = list(dict.fromkeys(str(entry[4][0]) for entry in found))[:8]

    def _tcp(self) -> None:
        self._connect().close()

    def _connect(self) -> socket.socket:
        place = host_and_port(self._proxy or self._url.geturl())
        return socket.create_connection(place, self._settings.connect_timeout)

    def _tls(self) -> None:
        context, host = self._tls_context(), self._url.hostname or ""
        raw = self._connect()
        try:
            raw.settimeout(self._settings.read_timeout)
            if self._proxy:
                if urlsplit(self._proxy).scheme == "https":
                    self._note("the handshake through a proxy that itself speaks TLS is left to boto3")
                    return
                _tunnel(raw, self._proxy, _authority(self._url.geturl()))
            raw = context.wrap_socket(raw, server_hostname=host)
            expires = (raw.getpeercert() or {}).get("notAfter")
            if isinstance(expires, str):
                until = datetime.fromtimestamp(ssl.cert_time_to_seconds(expires), timezone.utc)
                self.report["certificate"] = {"expires_at": to_text(until)}
        finally:
            raw.close()

    def _tls_context(self) -> ssl.SSLContext:
        from botocore.httpsession import get_cert_path

        named = self._core.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")
        bundle = str(named or get_cert_path(True))
        try:
            if os.path.isdir(bundle):
                return ssl.create_default_context(capath=bundle)
            return ssl.create_default_context(cafile=bundle)
        except OSError as error:
            raise fault("tls", f"the CA bundle {bundle} cannot be loaded: {error.strerror or error}") from error

    def _credentials(self) -> None:
        found = self._session.get_credentials()
        if found is None:
            raise fault("not_configured", "no credentials were found where the environment says")
        frozen = found.get_frozen_credentials()
        self._hidden.update(hiding(frozen))
        self.report["credentials"] = {
            "found_in": one_line(found.method or "", 60),
            "access_key": masked(frozen.access_key or ""),
        }

    def _identity(self) -> None:
        variables = self._settings.variables
        url = variables.get("AWS_ENDPOINT_URL_STS") or self._settings.endpoint_url
        said = self._client("sts", url, retries=0).get_caller_identity()
        if not said.get("Arn"):
            raise Fault("not_offered", "this store does not say whose credentials these are")
        names = {"arn": "Arn", "account": "Account", "user_id": "UserId"}
        self.report["identity"] = {name: one_line(said.get(key) or "", 200) for name, key in names.items()}

    def _list(self) -> None:
        self._s3 = self._client("s3", self._settings.endpoint_url)
        said = self._s3.list_objects_v2(Bucket=self._settings.bucket, MaxKeys=1)
        # A login page with status 200 can be read as well, as a list of nothing.
        if not said.get("Name"):
            raise fault("invalid", f"{self._where}: HTTP 200, and no list of a bucket")
        region = said["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region")
        if region and region != self._settings.region:
            self._note(f"the bucket is in region {region}, AWS_S3_REGION says {self._settings.region}: boto3 follows")

    def _put(self) -> None:
        host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:60]
        moment = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        self._key = f"{self._settings.prefix}{moment}-{host}-{secrets.token_hex(8)}"
        self._content = f"media_ops.runbook storage_probe {secrets.token_hex(16)}\n".encode()
        self.report["key"] = self._key
        # Until the store refuses by a word of its own, the object may be there.
        self._written = True
        try:
            said = self._s3.put_object(Bucket=self._settings.bucket, Key=self._key, Body=self._content)
        except Exception as error:
            unsent = explain(error, "put", where=self._where).state in ("refused", "dns", "tls", "not_configured")
            self._written = not (unsent or 300 <= self._status < 500)
            raise
        self._answered = True
        if not said.get("ETag"):
            raise fault("invalid", f"{self._where}: HTTP 200 for the upload, and no ETag")
        self._version = said.get("VersionId") or ""

    def _get(self) -> None:
        said = self._s3.get_object(Bucket=self._settings.bucket, Key=self._key)
        with contextlib.closing(said["Body"]) as body:
            read = body.read(len(self._content) + 1)
        if len(read) < min(len(self._content), said.get("ContentLength") or 0):
            raise fault("dropped", f"{self._where}: the answer ended after {len(read)} bytes")
        if read != self._content:
            raise fault("invalid", f"{self._where}: what was read is not what was written")

    def _delete(self) -> None:
        self.report["left_behind"] = [self._key]
        where = {"Bucket": self._settings.bucket, "Key": self._key}
        if not self._answered:
            with contextlib.suppress(Exception):  # it may not be there at all
                self._version = self._s3.head_object(**where).get("VersionId") or ""
        # In a bucket with versions, naming the version removes it; without, a marker is put on top of it.
        version = {"VersionId": self._version} if self._version not in ("", "null") else {}
        try:
            self._s3.delete_object(**where, **version)
        except Exception as error:
            if not version or explain(error, "delete", where=self._where).state != "denied_delete":
                raise
            self._s3.delete_object(**where)
            self._note(f"a version of {self._key} stays in the bucket: s3:DeleteObjectVersion is not allowed")
        self.report["left_behind"] = []

    def _leftovers(self) -> None:
        """What this or earlier probes left behind."""
        said = self._s3.list_objects_v2(Bucket=self._settings.bucket, Prefix=self._settings.prefix, MaxKeys=_MAX_LISTED)
        now = datetime.now(timezone.utc)
        clock = self.report["clock"]
        ahead = clock["skew_s"] if clock else 0.0
        left = set(self.report["left_behind"])
        for entry in said.get("Contents", []):
            age = (now - entry["LastModified"]).total_seconds() + ahead
            if entry["Key"] == self._key or age > _FRESH_S:
                left.add(entry["Key"])
        self.report["left_behind"] = sorted(one_line(key, 300) for key in left)

    # --- boto3

    def _client(
        self, service: str, endpoint_url: str, *, retries: int | None = None, more: Mapping[str, str] | None = None
    ) -> Any:
        client = new_client(self._session, service, self._settings, endpoint_url, retries=retries, more=more)
        client.meta.events.register("before-send", self._count)
        client.meta.events.register("response-received", self._see)
        return client

    def _count(self, event_name: str = "", **_event: Any) -> None:
        # How boto3 looks for the region that it is redirected to. Where that is redirected too, it does not end.
        if event_name.endswith(".HeadBucket"):
            if self._looked:
                raise fault("invalid", f"{self._where}: redirects that do not end")
            self._looked = True
        if self.report["requests"] >= MAX_REQUESTS:
            raise fault("unknown", f"more than {MAX_REQUESTS} requests would be needed")
        self.report["requests"] += 1

    def _see(self, response_dict: Mapping[str, Any] | None, **_event: Any) -> None:
        """Keep the status as it came, and compare the clocks."""
        if response_dict is None:
            return
        self._status = response_dict["status_code"]
        now = datetime.now(timezone.utc)
        try:
            at = parsedate_to_datetime(response_dict["headers"]["date"])
            ahead = round((at - now).total_seconds() + 0.5)  # the header leaves out the fraction of its second
        except (KeyError, ValueError, TypeError, OverflowError):
            return
        self.report["clock"] = {"store_at": to_text(at), "host_at": to_text(now), "skew_s": ahead}

    # --- the end

    def _sum_up(self) -> None:
        report = self.report
        steps = [entry for entry in report["steps"] if entry["step"] not in ("identity", "leftovers")]
        # Whose credentials these are is told by STS, of which a store need not have anything.
        wrong = next((entry for entry in steps if entry["state"] not in _PLAIN), None)
        state, reason = (wrong["state"], f"{wrong['step']}: {wrong['reason']}") if wrong else ("ok", "")
        if report["left_behind"]:
            shown = ", ".join(report["left_behind"][:3])
            more = len(report["left_behind"]) - 3
            self._note(f"left behind in the bucket, remove by hand: {shown}{f' and {more} more' if more > 0 else ''}")
        if state == "clock_skew" and report["clock"]:
            skew = report["clock"]["skew_s"]
            reason += f"; the store's clock is {abs(skew)} s {'ahead of' if skew > 0 else 'behind'} this host's"
        if state == "bad_signature" and any(self._odd(name) for name in (SECRET, TOKEN)):
            reason += "; it stands in quotes, which may be part of it"
        report["state"], report["reason"] = state, reason

    def _odd(self, name: str) -> bool:
        value = self._settings.variables.get(name, "")
        return len(value) > 1 and value[0] in "'\"" and value[-1] == value[0]


class _StoppedError(Exception):
    """A request that was to be sent."""

    def __init__(self, url: str) -> None:
        super().__init__("stopped before it was sent")
        self.url = url


def _first_url(client: Any, bucket: str) -> str:
    """The URL of the list that is asked for first, without asking."""
    client.meta.events.register_first("before-send", _stop)
    try:
        client.list_objects_v2(Bucket=bucket, MaxKeys=1)
    except _StoppedError as stopped:
        return stopped.url
    raise fault("unknown", "where boto3 sends requests to cannot be told")


def _stop(request: Any, **_event: Any) -> None:
    raise _StoppedError(request.url)


def _proxy_of(url: str, scheme: str) -> str:
    """The proxy that boto3 takes from the environment for this URL, or ""."""
    from botocore.utils import get_environ_proxies

    proxies = get_environ_proxies(url)
    proxy = str(proxies.get(scheme) or "")
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


def _authority(url: str) -> str:
    host, port = host_and_port(url)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _place(url: str) -> str:
    """A URL's scheme, host and port, without credentials and path."""
    return f"{urlsplit(url).scheme}://{_authority(url)}"


def _tunnel(raw: socket.socket, proxy: str, target: str) -> None:
    """Have a proxy connect to the target, as an https request through it does."""
    import base64

    parts = urlsplit(proxy)
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if parts.username:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(login.encode()).decode()}")
    raw.sendall("\r\n".join([*lines, "", ""]).encode())
    answer = b""
    while b"\r\n\r\n" not in answer and len(answer) < 65536:
        piece = raw.recv(4096)
        if not piece:
            break
        answer += piece
    status = answer.split(b"\r\n", 1)[0].decode("latin-1")
    if not re.match(r"HTTP/1\.[01] 200\b", status):
        raise fault("refused", f"the proxy {_place(proxy)} does not connect to {target}: {one_line(status, 80)}")
