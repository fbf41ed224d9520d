"""The storage probe against a real S3 store, a proxy that breaks single requests, and sockets that do worse."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import botocore.auth
import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.storage import settings, steps
from ansible_collections.media_ops.runbook.plugins.module_utils.storage.faults import STATES, state_of_refusal
from ansible_collections.media_ops.runbook.plugins.module_utils.storage.settings import read_settings
from ansible_collections.media_ops.runbook.plugins.module_utils.storage.storage_probe import storage_probe
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.fault_server import fault_server, make_certificate, server_context
from tests.s3_proxy import s3_proxy
from tests.s3_store import SECRET_KEY, Store, access_key, data_files_read_once, s3_store

# Real processes, files and sockets by the hundred: more than the inner loop can wait for.
pytestmark = pytest.mark.slow

CANARY = "canary/Secret+0123456789abcdefghijklmnop"
TOKEN = "canaryTOKEN/" + "x" * 60 + "=="
OPTIONS: dict[str, Any] = {
    "unit": None,
    "bucket": None,
    "endpoint_url": None,
    "region": None,
    "path_style": None,
    "credentials": "environment",
    "write": True,
    "prefix": "media-ops-probe/",
    "connect_timeout": 2.0,
    "read_timeout": 5.0,
    "total_timeout": 20.0,
    "retries": 0,
}
PASSED = ["dns", "tcp", "credentials", "identity", "list", "put", "get", "delete", "leftovers"]


@pytest.fixture(scope="module", autouse=True)
def _data_files_read_once() -> Iterator[None]:
    with data_files_read_once():
        yield


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with s3_store(tmp_path_factory.mktemp("store")) as store:
        yield store


@pytest.fixture
def store(running: Store) -> Iterator[Store]:
    """The store, in which no test may leave anything."""
    yield running
    assert running.keys() == []


@pytest.fixture
def probe(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def call(environment: dict[str, str], *, check_mode: bool = False, **options: Any) -> dict[str, Any]:
        path = tmp_path / "service.env"
        path.write_text("".join(f"{name}={value}\n" for name, value in environment.items()))
        params = {**OPTIONS, "environment_file": str(path), **options}
        result = storage_probe(params, check_mode=check_mode, hide=lambda secret: None)
        assert [entry["step"] for entry in result["steps"]] == list(steps.STEPS)
        assert result["state"] in STATES
        assert (result["state"] == "ok") == (result["reason"] == "")
        assert "\n" not in result["reason"]
        assert result["changed"] is False
        json.dumps(result)
        return result

    return call


def states(result: dict[str, Any]) -> dict[str, str]:
    return {entry["step"]: entry["state"] for entry in result["steps"]}


def made(result: dict[str, Any]) -> list[str]:
    """The steps that were not skipped."""
    return [step for step, state in states(result).items() if state != "skipped"]


def env(url: str = "http://127.0.0.1:1", **more: str) -> dict[str, str]:
    """Settings of a service whose store is somewhere else."""
    return {
        "AWS_S3_BUCKET_NAME": "media",
        "AWS_S3_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": access_key("ops"),
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        **more,
    }


def via(proxy: Any, store: Store) -> dict[str, str]:
    return {**store.env, "AWS_S3_ENDPOINT_URL": proxy.url}


# --- a store that works


# runbook: P0-2C, P0-3G, P0-3H, P1-2D, P1-2E, P1-2F
def test_a_sound_store(store: Store, probe: Any) -> None:
    found = probe(store.env)
    assert (found["state"], found["reason"], found["notes"], found["left_behind"]) == ("ok", "", [], [])
    assert made(found) == PASSED
    assert found["endpoint"] == store.endpoint_url
    assert found["addresses"] == ["127.0.0.1"]
    assert found["identity"]["arn"] == "arn:aws:iam::000000000000:user/ops"
    assert found["key"].startswith("media-ops-probe/20")
    assert found["requests"] == 6
    assert abs(found["clock"]["skew_s"]) <= 2
    assert found["credentials"] == {"found_in": "env", "access_key": "AKIA… (20 characters)"}


def test_two_probes_use_two_keys(store: Store, probe: Any) -> None:
    assert probe(store.env)["key"] != probe(store.env)["key"]


@pytest.mark.parametrize(
    ("how", "why"), [({"check_mode": True}, "check mode"), ({"write": False}, "option write is false")]
)
def test_nothing_is_written(store: Store, probe: Any, how: dict[str, Any], why: str) -> None:
    with s3_proxy(store.endpoint_url) as proxy:
        found = probe(via(proxy, store), **how)
        assert found["state"] == "ok"
        assert proxy.seen == ["identity", "list"]
    assert found["key"] == ""
    assert {entry["reason"] for entry in found["steps"] if entry["step"] in ("put", "get", "delete", "leftovers")} == {
        why
    }


def test_options_come_before_the_environment(store: Store, probe: Any) -> None:
    elsewhere = env(AWS_S3_BUCKET_NAME="another", AWS_S3_REGION="eu-west-3")
    found = probe(elsewhere, bucket=store.bucket, endpoint_url=store.endpoint_url, region=store.region)
    assert (found["state"], found["bucket"], found["region"]) == ("ok", "media", "us-east-1")


def test_other_names_of_endpoint_and_region(store: Store, probe: Any) -> None:
    variables = env(AWS_ENDPOINT_URL_S3=store.endpoint_url, AWS_DEFAULT_REGION="us-east-1")
    del variables["AWS_S3_ENDPOINT_URL"]
    assert probe(variables)["state"] == "ok"


def test_a_bucket_with_versions_keeps_none_of_the_probe(store: Store, probe: Any) -> None:
    client = store.client()
    client.create_bucket(Bucket="versions")
    client.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    assert probe(store.env, bucket="versions")["state"] == "ok"
    listed = client.list_object_versions(Bucket="versions")
    assert not listed.get("Versions")
    assert not listed.get("DeleteMarkers")


@pytest.mark.parametrize("fault", ["hang_after", "closed"])
def test_a_bucket_with_versions_keeps_no_upload_of_which_nobody_knows(store: Store, probe: Any, fault: str) -> None:
    client = store.client()
    client.create_bucket(Bucket=f"versions-{fault.partition('_')[0]}")
    bucket = f"versions-{fault.partition('_')[0]}"
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    with s3_proxy(store.endpoint_url, {"put": fault}) as proxy:
        assert probe(via(proxy, store), bucket=bucket, read_timeout=2.0)["state"] in ("timeout", "dropped")
    assert not client.list_object_versions(Bucket=bucket).get("Versions")


def test_the_bucket_in_the_host_name(probe: Any) -> None:
    found = probe(env("http://store.invalid:9000"), path_style=False, total_timeout=8.0)
    assert (found["state"], found["endpoint"]) == ("dns", "http://media.store.invalid:9000")


def test_without_an_endpoint_it_is_aws(probe: Any) -> None:
    dead = {"HTTPS_PROXY": "http://127.0.0.1:1"}  # nothing leaves this machine
    found = probe({**env(""), **dead, "AWS_S3_REGION": "eu-west-3"})
    assert (found["state"], found["endpoint"]) == ("refused", "https://media.s3.eu-west-3.amazonaws.com:443")
    assert (found["addressing"], found["requests"]) == ("auto", 0)


# --- a store that refuses


@pytest.mark.parametrize(
    ("change", "state", "text"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong-secret"}, "bad_signature", "check AWS_SECRET_ACCESS_KEY"),
        ({"AWS_ACCESS_KEY_ID": "AKIANOBODYNOBODY0000"}, "unknown_key", "check AWS_ACCESS_KEY_ID"),
        ({"AWS_S3_BUCKET_NAME": "nobodys"}, "no_such_bucket", "check AWS_S3_BUCKET_NAME"),
    ],
)
def test_wrong_settings(store: Store, probe: Any, change: dict[str, str], state: str, text: str) -> None:
    found = probe({**store.env, **change})
    assert found["state"] == state
    assert found["reason"].startswith("list: ")
    assert text in found["reason"]
    assert made(found) == ["dns", "tcp", "credentials", "identity", "list"]


def test_a_secret_in_quotes_is_pointed_at(store: Store, probe: Any) -> None:
    # systemd takes one pair of quotes away; the second is part of the secret.
    found = probe({**store.env, "AWS_SECRET_ACCESS_KEY": "\"'quoted-secret'\""})
    assert found["state"] == "bad_signature"
    assert "quotes" in found["reason"]


@pytest.mark.parametrize(
    ("actions", "state", "steps"),
    [
        (["s3:PutObject"], "denied_put", ["put"]),
        (["s3:ListBucket"], "denied_list", ["list"]),
        (["s3:GetObject"], "denied_get", ["get"]),
    ],
)
def test_a_policy_that_denies(store: Store, probe: Any, actions: list[str], state: str, steps: list[str]) -> None:
    with store.denying(*actions):
        found = probe(store.env)
    assert found["state"] == state
    assert [step for step, seen in states(found).items() if seen.startswith("denied")] == steps
    assert actions[0] in found["reason"]


def test_who_may_not_list_may_still_write(store: Store, probe: Any) -> None:
    with store.denying("s3:ListBucket"):
        found = probe(store.env)
    assert states(found) | {"put": "ok", "get": "ok", "delete": "ok", "leftovers": "skipped"} == states(found)


def test_what_may_not_be_deleted_is_named(running: Store, probe: Any) -> None:
    with running.denying("s3:DeleteObject", "s3:DeleteObjectVersion"):
        found = probe(running.env)
        assert found["state"] == "denied_delete"
        assert found["left_behind"] == [found["key"]] == running.keys()
        assert found["key"] in found["notes"][-1]
    running.client().delete_object(Bucket=running.bucket, Key=found["key"])


def test_a_later_probe_names_what_an_earlier_one_left(
    running: Store, probe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.client().put_object(Bucket=running.bucket, Key="media-ops-probe/old", Body=b"")
    running.client().put_object(Bucket=running.bucket, Key="merged/result", Body=b"")
    assert probe(running.env)["left_behind"] == [], "it may belong to a probe that runs on another host"
    monkeypatch.setattr(steps, "_FRESH_S", -1)
    found = probe(running.env)
    assert (found["state"], found["left_behind"]) == ("ok", ["media-ops-probe/old"])
    assert running.keys() == ["media-ops-probe/old", "merged/result"], "it is a person who removes it"
    for key in ("media-ops-probe/old", "merged/result"):
        running.client().delete_object(Bucket=running.bucket, Key=key)


@pytest.mark.parametrize(
    ("identity", "state"), [("reader", "denied_put"), ("lister", "denied_put"), ("writer", "denied_list")]
)
def test_identities_with_less(store: Store, probe: Any, identity: str, state: str) -> None:
    assert probe(store.env_of(identity))["state"] == state


def test_a_client_whose_clock_is_wrong(store: Store, probe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The requests are really signed 20 minutes late; the clock that is wrong is that of botocore's signing alone."""

    def late(**_options: object) -> dt.datetime:
        return (dt.datetime.now(dt.UTC) - dt.timedelta(minutes=20)).replace(tzinfo=None)

    if hasattr(botocore.auth, "get_current_datetime"):
        monkeypatch.setattr(botocore.auth, "get_current_datetime", late)
    else:  # before botocore 1.40
        monkeypatch.setattr(botocore.auth, "datetime", SimpleNamespace(datetime=SimpleNamespace(utcnow=late)))
    found = probe(store.env)
    assert found["state"] == "clock_skew"
    assert "set the host's clock" in found["reason"]
    assert "the store's clock is" in found["reason"]


# --- single requests that go wrong at the wire


@pytest.mark.parametrize(
    ("faults", "state", "steps"),
    [
        ({"put": "slow_down"}, "throttled", ["put"]),
        ({"list": "slow_down"}, "throttled", ["list"]),
        ({"put": "internal_error"}, "server_error", ["put"]),
        ({"put": "bad_gateway"}, "server_error", ["put"]),
        ({"put": "storage_full"}, "full", ["put"]),
        ({"put": "cap_exceeded"}, "full", ["put"]),
        ({"put": "no_checksum_headers"}, "ok", []),
        ({"put": "no_crc32"}, "unsupported", ["put"]),
        ({"get": "archived"}, "archived", ["get"]),
        ({"put": "not_allowed"}, "read_only", ["put"]),
        ({"put": "access_denied"}, "denied_put", ["put"]),
        ({"put": "forbidden_empty"}, "invalid", ["put"]),
        ({"list": "forbidden_empty"}, "invalid", ["list"]),
        ({"list": "just_a_moment"}, "invalid", ["list"]),
        ({"list": "invalid_region_name"}, "wrong_region", ["list"]),
        ({"list": "unexpected_scope"}, "wrong_region", ["list"]),
        ({"list": "has_expired"}, "bad_token", ["list"]),
        ({"list": "expired_token"}, "bad_token", ["list"]),
        ({"list": "too_skewed"}, "clock_skew", ["list"]),
        ({"list": "login_page"}, "invalid", ["list"]),
        ({"list": "login_page_xml"}, "invalid", ["list"]),
        ({"list": "redirect"}, "invalid", ["list"]),
        ({"list": "permanent_redirect", "head": "permanent_redirect"}, "wrong_region", ["list"]),
        ({"list": "malformed_region"}, "wrong_region", ["list"]),
        ({"list": "closed"}, "dropped", ["list"]),
        ({"list": "truncate"}, "invalid", ["list"]),
        ({"put": "created_nothing"}, "invalid", ["put"]),
        ({"put": "closed"}, "dropped", ["put"]),
        ({"get": "slow_down"}, "throttled", ["get"]),
        ({"get": "corrupt"}, "invalid", ["get"]),
        ({"get": "truncate"}, "dropped", ["get"]),
        ({"get": "closed"}, "dropped", ["get"]),
    ],
    ids=lambda value: "-".join(f"{k}_{v}" for k, v in value.items()) if isinstance(value, dict) else "",
)
def test_one_request_goes_wrong(store: Store, probe: Any, faults: dict[str, str], state: str, steps: list[str]) -> None:
    with s3_proxy(store.endpoint_url, faults) as proxy:
        found = probe(via(proxy, store))
    assert found["state"] == state, found["reason"]
    wrong = [step for step, seen in states(found).items() if seen not in ("ok", "skipped")]
    assert wrong == steps
    assert found["reason"].startswith(f"{steps[0]}: " if steps else "")
    assert found["left_behind"] == []
    assert "redirect-secret" not in json.dumps(found)


# runbook: P1-2F
@pytest.mark.parametrize("fault", ["internal_error", "corrupt", "closed", "hang", "drip"])
def test_what_cannot_be_read_is_removed_nevertheless(store: Store, probe: Any, fault: str) -> None:
    with s3_proxy(store.endpoint_url, {"get": fault}) as proxy:
        found = probe(via(proxy, store), total_timeout=6.0 if fault == "drip" else 20.0, read_timeout=2.0)
        assert proxy.seen.count("delete") == 1
    assert states(found) | {"put": "ok", "delete": "ok"} == states(found)
    assert found["left_behind"] == []


@pytest.mark.parametrize("fault", ["hang_after", "internal_error", "closed"])
def test_an_upload_of_which_nobody_knows_is_removed(store: Store, probe: Any, fault: str) -> None:
    with s3_proxy(store.endpoint_url, {"put": fault}) as proxy:
        found = probe(via(proxy, store), read_timeout=2.0)
        assert proxy.seen.count("delete") == 1
    assert states(found)["delete"] == "ok"


def test_when_the_removal_fails_too_the_key_is_named(running: Store, probe: Any) -> None:
    with s3_proxy(running.endpoint_url, {"get": "internal_error", "delete": "internal_error"}) as proxy:
        found = probe(via(proxy, running))
    assert found["state"] == "server_error"
    assert found["left_behind"] == [found["key"]] == running.keys()
    running.client().delete_object(Bucket=running.bucket, Key=found["key"])


def test_one_retry_and_no_more(store: Store, probe: Any) -> None:
    with s3_proxy(store.endpoint_url, {"put": "flaky"}) as proxy:
        assert probe(via(proxy, store), retries=1)["state"] == "ok"
        assert proxy.seen.count("put") == 2
    with s3_proxy(store.endpoint_url, dict.fromkeys(["identity", "list"], "internal_error")) as proxy:
        found = probe(via(proxy, store), retries=1)
        assert proxy.seen == ["identity", "list", "list"]
    assert found["requests"] == 3


def test_requests_are_bounded(store: Store, probe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "MAX_REQUESTS", 3)
    with s3_proxy(store.endpoint_url) as proxy:
        found = probe(via(proxy, store))
        assert len(proxy.seen) == 3
    assert found["left_behind"] == [found["key"]]
    store.client().delete_object(Bucket=store.bucket, Key=found["key"])


@pytest.mark.parametrize("fault", ["internal_error", "forbidden_empty", "not_allowed", "login_page", "hang"])
def test_a_store_without_identities_is_no_fault(store: Store, probe: Any, fault: str) -> None:
    with s3_proxy(store.endpoint_url, {"identity": fault}) as proxy:
        found = probe(via(proxy, store), read_timeout=2.0)
    assert found["state"] == "ok"
    assert found["identity"] is None
    assert states(found)["identity"] != "ok"


def test_the_clock_of_the_store_is_compared(store: Store, probe: Any) -> None:
    with s3_proxy(store.endpoint_url, {"list": "clock_ahead"}) as proxy:
        found = probe(via(proxy, store), write=False)
    assert found["clock"]["store_at"] == "2100-01-01T00:00:00Z"
    assert found["clock"]["skew_s"] > 365 * 86400


# --- ways that lead nowhere


@pytest.mark.parametrize(
    ("mode", "state", "last"),
    [
        ("refused", "refused", "tcp"),
        ("no_connect", "timeout", "tcp"),
        ("no_accept", "timeout", "list"),
        ("hang", "timeout", "list"),
        ("drip_head", "timeout", "list"),
        ("drip_body", "timeout", "list"),
        ("not_http", "invalid", "list"),
        ("reset", "dropped", "list"),
        ("html", "invalid", "list"),
        ("redirect", "invalid", "list"),
    ],
)
def test_sockets_that_are_no_store(probe: Any, mode: str, state: str, last: str) -> None:
    began = time.monotonic()
    with fault_server(mode, target="http://127.0.0.1:1") as url:
        found = probe(
            env(str(url).removesuffix("/api/v1/monitoring")), connect_timeout=0.5, read_timeout=0.5, total_timeout=4.0
        )
    assert time.monotonic() - began < 8
    assert found["elapsed_ms"] < 6500
    assert found["state"] == state, found["reason"]
    assert made(found)[-1] == last


# runbook: P0-3G
def test_a_name_that_does_not_resolve(probe: Any) -> None:
    found = probe(env("https://store.invalid"), total_timeout=8.0)
    assert found["state"] == "dns"
    assert "store.invalid:443" in found["reason"]
    assert made(found) == ["dns"]


def expired(directory: Path) -> Path:
    """A certificate that ended yesterday, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "expired")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=3))
        .not_valid_after(now - dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = directory / "expired.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    path.with_suffix(".key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certs")
    make_certificate(directory, "ca", names="DNS:ca")
    make_certificate(directory, "server", issuer="ca")
    make_certificate(directory, "elsewhere", issuer="ca", names="DNS:elsewhere.example")
    make_certificate(directory, "self_signed")
    expired(directory)
    return directory


@pytest.mark.parametrize(
    ("certificate", "trusted", "text"),
    [
        ("self_signed", "ca", "self"),
        ("server", "self_signed", "unable to get"),
        ("elsewhere", "ca", "mismatch"),
        ("expired", "expired", "expired"),
    ],
)
def test_certificates_that_are_not_trusted(
    store: Store, probe: Any, certs: Path, certificate: str, trusted: str, text: str
) -> None:
    with s3_proxy(store.endpoint_url, tls=server_context(certs / f"{certificate}.pem")) as proxy:
        url = proxy.url.replace("127.0.0.1", "localhost")
        found = probe({**store.env, "AWS_S3_ENDPOINT_URL": url, "AWS_CA_BUNDLE": str(certs / f"{trusted}.pem")})
        assert proxy.seen == []
    assert found["state"] == "tls"
    assert text in found["reason"].lower()
    assert made(found) == ["dns", "tcp", "tls"]


def test_a_certificate_that_is_trusted(store: Store, probe: Any, certs: Path) -> None:
    with s3_proxy(store.endpoint_url, tls=server_context(certs / "server.pem")) as proxy:
        variables = {**via(proxy, store), "AWS_CA_BUNDLE": str(certs / "ca.pem")}
        found = probe(variables)
        assert found["state"] == "ok"
        assert found["certificate"]["expires_at"].endswith("Z")
        missing = probe({**variables, "AWS_CA_BUNDLE": "/nonexistent/ca.pem"})
        assert (missing["state"], made(missing)[-1]) == ("tls", "tls")
        assert "/nonexistent/ca.pem" in missing["reason"]


def test_plain_http_where_tls_is_expected(store: Store, probe: Any) -> None:
    found = probe({**store.env, "AWS_S3_ENDPOINT_URL": store.endpoint_url.replace("http:", "https:")})
    assert found["state"] == "tls"
    assert "does not speak TLS" in found["reason"]


def test_a_handshake_that_is_cut_off(probe: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def cut() -> None:
            for _unused in range(2):  # the first is the step tcp
                connection, _address = listener.accept()
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.recv(1)
                connection.close()

        cutting = threading.Thread(target=cut, daemon=True)
        cutting.start()
        found = probe(env(f"https://127.0.0.1:{listener.getsockname()[1]}"))
        cutting.join(10)
    assert (found["state"], made(found)[-1]) == ("tls", "tls")
    assert "reset by peer" in found["reason"]


# --- proxies


def test_the_proxy_of_the_service_is_used_and_said(store: Store, probe: Any) -> None:
    with s3_proxy() as proxy:
        found = probe({**store.env, "HTTP_PROXY": proxy.url.replace("://", "://user:proxy-secret@")})
        assert proxy.seen == ["identity", "list", "put", "get", "delete", "leftovers"]
    assert (found["state"], found["proxy"]) == ("ok", proxy.url)
    assert "proxy-secret" not in json.dumps(found)
    with s3_proxy() as proxy:
        found = probe({**store.env, "HTTP_PROXY": proxy.url, "NO_PROXY": "127.0.0.1"})
        assert proxy.seen == []
    assert found["proxy"] is None


def test_tls_through_a_proxy(store: Store, probe: Any, certs: Path) -> None:
    with s3_proxy(store.endpoint_url, tls=server_context(certs / "server.pem")) as front, s3_proxy() as proxy:
        variables = {**via(front, store), "AWS_CA_BUNDLE": str(certs / "ca.pem"), "HTTPS_PROXY": proxy.url}
        found = probe(variables)
        assert found["state"] == "ok"
        assert found["certificate"]
        assert set(proxy.seen) == {"connect"}
        with s3_proxy("", {"connect": "forbidden_empty"}) as strict:
            found = probe({**variables, "HTTPS_PROXY": strict.url})
    assert (found["state"], made(found)[-1]) == ("refused", "tls")
    assert "does not connect" in found["reason"]


# --- settings


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"AWS_S3_BUCKET_NAME": ""}, "AWS_S3_BUCKET_NAME is not set"),
        ({"AWS_S3_BUCKET_NAME": "not a bucket"}, "Invalid bucket name"),
        ({"AWS_SECRET_ACCESS_KEY": ""}, "AWS_SECRET_ACCESS_KEY is not set"),
        ({"AWS_ACCESS_KEY_ID": ""}, "AWS_ACCESS_KEY_ID is not set"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "no credentials"),
        ({"AWS_SECRET_ACCESS_KEY": "'a b c d'"}, "AWS_SECRET_ACCESS_KEY has a blank"),
        ({"AWS_S3_ENDPOINT_URL": "store.example:9000"}, "AWS_S3_ENDPOINT_URL must be"),
        ({"AWS_S3_ENDPOINT_URL": "http://user:url-secret@127.0.0.1:1"}, "without credentials"),
        ({"AWS_S3_ENDPOINT_URL": "http://[::1"}, "AWS_S3_ENDPOINT_URL must be"),
    ],
)
def test_settings_that_cannot_work_send_nothing(probe: Any, change: dict[str, str], text: str) -> None:
    found = probe(env(**change))
    assert found["state"] == "not_configured"
    assert text in found["reason"]
    assert (made(found), found["requests"]) == ([], 0)
    assert "url-secret" not in json.dumps(found)


def test_a_profile_that_the_environment_names(store: Store, probe: Any, tmp_path: Path) -> None:
    shared = tmp_path / "credentials"
    shared.write_text(f"[media]\naws_access_key_id = {store.access_key}\naws_secret_access_key = {SECRET_KEY}\n")
    variables = {**store.env, "AWS_SHARED_CREDENTIALS_FILE": str(shared), "AWS_PROFILE": "media"}
    del variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"]
    found = probe(variables)
    assert found["state"] == "ok"
    assert found["credentials"] == {"found_in": "shared-credentials-file", "access_key": "AKIA… (20 characters)"}
    assert SECRET_KEY not in json.dumps(found)
    found = probe({**variables, "AWS_PROFILE": "nobody"})
    assert found["state"] == "not_configured"
    assert "nobody" in found["reason"]


def test_files_of_the_user_count_only_when_asked_for(store: Store, probe: Any, tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    keys = f"[default]\naws_access_key_id = {store.access_key}\naws_secret_access_key = {SECRET_KEY}\n"
    (tmp_path / ".aws" / "credentials").write_text(keys)
    variables = {**store.env, "HOME": str(tmp_path)}
    del variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"]
    assert probe(variables)["state"] == "not_configured"
    assert probe(variables, credentials="chain")["state"] == "ok"


def test_a_metadata_service_that_does_not_answer_holds_nothing_up(store: Store, probe: Any, tmp_path: Path) -> None:
    variables = {**store.env, "HOME": str(tmp_path)}
    del variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"]
    with fault_server("hang") as url:
        variables["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = str(url).removesuffix("/api/v1/monitoring")
        began = time.monotonic()
        found = probe(variables, credentials="chain")
        assert url.seen
    assert time.monotonic() - began < 8
    assert (found["state"], made(found)[-1]) == ("not_configured", "credentials")


@pytest.fixture
def ask_unit(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """A probe by unit. What systemd says of the unit is given; the process and the files that it names are real."""

    def call(**properties: str) -> dict[str, Any]:
        monkeypatch.setattr(settings, "service_properties", lambda _service: properties)
        params = {**OPTIONS, "unit": "media-processing-service", "environment_file": None}
        return storage_probe(params, check_mode=False, hide=lambda secret: None)

    return call


# runbook: P0-3H, P0-3I
def test_the_environment_of_the_running_service(store: Store, ask_unit: Any) -> None:
    service = subprocess.Popen(["sleep", "60"], env={**store.env, "PIPELINE_JWT_SECRET": CANARY})
    try:
        found = ask_unit(LoadState="loaded", MainPID=str(service.pid), User="root")
    finally:
        service.kill()
        service.wait()
    assert (found["state"], found["environment_source"]) == ("ok", "process")
    assert "PIPELINE_JWT_SECRET" not in found["environment"]
    assert CANARY not in json.dumps(found)


def test_a_unit_whose_files_cannot_be_read_is_unknown(ask_unit: Any) -> None:
    found = ask_unit(LoadState="loaded", MainPID="0", EnvironmentFiles="/nonexistent/service.env (ignore_errors=no)")
    assert (found["state"], found["environment_source"]) == ("unknown", "unit")
    assert "/nonexistent/service.env cannot be read" in found["reason"]


def test_an_optional_file_that_is_not_there_is_no_fault(ask_unit: Any) -> None:
    """As that of the overrides is, on nearly every host."""
    files = "/etc/media-ops/nonexistent.env (ignore_errors=yes)\n/nonexistent/more.env (ignore_errors=yes)"
    found = ask_unit(LoadState="loaded", MainPID="0", EnvironmentFiles=files)
    assert (found["state"], "cannot be read" in found["reason"]) == ("not_configured", False)


def test_a_unit_that_is_not_there(ask_unit: Any) -> None:
    found = ask_unit(LoadState="not-found")
    assert (found["state"], made(found)) == ("not_configured", [])
    assert "there is no unit media-processing-service" in found["reason"]


def test_a_short_key_id_hides_no_bucket(probe: Any) -> None:
    found = probe(env(AWS_ACCESS_KEY_ID="media", AWS_S3_ENDPOINT_URL="http://127.0.0.1:1"))
    assert found["bucket"] == "media"
    assert found["credentials"]["access_key"] == "medi… (5 characters)"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("total_timeout", 0.0),
        ("total_timeout", float("nan")),
        ("connect_timeout", -1.0),
        ("read_timeout", 1000.0),
        ("retries", 2),
        ("prefix", ""),
        ("prefix", "/etc"),
        ("prefix", "a\nb"),
        ("environment_file", "/nonexistent/service.env"),
        ("endpoint_url", "http://user:url-secret@127.0.0.1"),
    ],
)
def test_misuse(probe: Any, option: str, value: object) -> None:
    with pytest.raises(OptionError) as caught:
        probe(env(), **{option: value})
    assert f"option '{option}'" in str(caught.value)
    assert "url-secret" not in str(caught.value)


def test_own_environment_has_no_influence(store: Store, probe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "AWS_ENDPOINT_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    before = dict(os.environ)
    assert probe(store.env)["state"] == "ok"
    assert dict(os.environ) == before


# --- secrets


# runbook: P0-3I
def test_no_secret_is_shown_anywhere(
    store: Store, probe: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "debug.log"
    handler = logging.FileHandler(log)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    canary = {"AWS_SECRET_ACCESS_KEY": CANARY, "AWS_SESSION_TOKEN": TOKEN}
    try:
        changes: list[dict[str, str]] = [
            {},
            {"AWS_ACCESS_KEY_ID": "AKIACANARYCANARY0001"},
            {"AWS_S3_ENDPOINT_URL": "http://127.0.0.1:1"},
            {"AWS_SECRET_ACCESS_KEY": f"'{CANARY} x'"},
            {"AWS_S3_BUCKET_NAME": ""},
        ]
        results = [probe({**store.env, **canary, **change}) for change in changes]
        with s3_proxy(store.endpoint_url, {"list": "echo_secrets", "identity": "echo_secrets"}) as proxy:
            results.append(probe({**via(proxy, store), **canary, "AWS_ACCESS_KEY_ID": "AKIACANARYCANARY0001"}))
        root.debug("the log is on")
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        handler.close()
    shown = json.dumps(results, ensure_ascii=False) + repr(results) + "".join(capfd.readouterr()) + log.read_text()
    assert "the log is on" in shown
    for secret in (CANARY, TOKEN, TOKEN[:20], CANARY[:15], "AKIACANARYCANARY0001"):
        assert secret not in shown
    assert (
        results[0]["environment"] | {"AWS_SECRET_ACCESS_KEY": "set", "AWS_SESSION_TOKEN": "set"}
        == (results[0]["environment"])
    )
    assert set(results[0]["environment"].values()) == {"set", "not set"}


def test_a_probe_that_dies_says_nothing(probe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(self: steps.Probe) -> dict[str, Any]:
        raise RuntimeError(repr(self.__dict__) + self._settings.variables["AWS_SECRET_ACCESS_KEY"])

    monkeypatch.setattr(steps.Probe, "run", run)
    found = probe(env(AWS_SECRET_ACCESS_KEY=CANARY))
    assert found["state"] == "unknown"
    assert "ended without a result" in found["reason"]
    assert CANARY not in json.dumps(found)


def test_settings_do_not_show_secrets_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "service.env"
    path.write_text(f"AWS_S3_BUCKET_NAME=media\nAWS_SECRET_ACCESS_KEY={CANARY}\nAWS_ACCESS_KEY_ID=AKIA\n")
    settings = read_settings({**OPTIONS, "environment_file": str(path)}, check_mode=False, hide=print)
    assert settings.variables["AWS_SECRET_ACCESS_KEY"] == CANARY
    assert CANARY not in repr(settings)


# --- codes


@pytest.mark.parametrize(
    ("code", "status", "message", "state"),
    [
        ("RequestTimeTooSkewed", 403, "", "clock_skew"),
        ("SignatureDoesNotMatch", 403, "Signature expired: 20261124T000000Z is now earlier than ...", "clock_skew"),
        ("AccessDenied", 403, "Request has expired", "bad_token"),
        ("AccessDenied", 403, "Your subscription has expired", "account"),
        ("InvalidRegionName", 400, "The region name is not valid", "wrong_region"),
        ("AuthorizationHeaderMalformed", 400, "unexpected scope", "wrong_region"),
        ("SignatureDoesNotMatch", 403, "Credential should be scoped to a valid region, not 'x'", "wrong_region"),
        ("InvalidRequest", 400, "the bucket is not in this region", "wrong_region"),
        ("AccessDenied", 403, "Cannot upload: the storage cap of the account is exceeded", "full"),
        ("AccessDenied", 403, "Cannot upload files, storage cap exceeded. See the Caps & Alerts page", "full"),
        ("Forbidden", 403, "Quota exceeded", "full"),
        ("QuotaExceeded", 403, "", "full"),
        ("AccessDenied", 403, "The account is over quota", "full"),
        ("AccessDenied", 403, "Account is suspended", "account"),
        ("UserSuspended", 403, "", "account"),
        ("AccessDenied", 403, "Rate limit exceeded", "throttled"),
        ("AccessDenied", 403, "not authorized to perform: kms:GenerateDataKey", "kms"),
        ("InvalidObjectState", 403, "not valid for the object's storage class", "archived"),
        ("NotImplemented", 501, "Header x-amz-checksum-crc32 is not implemented", "unsupported"),
        ("InvalidArgument", 400, "x-amz-trailer is not supported", "unsupported"),
        ("", 403, "", "invalid"),
        ("SignatureDoesNotMatch", 403, "The request signature we calculated does not match", "bad_signature"),
        ("ExpiredToken", 400, "The provided token has expired.", "bad_token"),
        ("AuthorizationHeaderMalformed", 400, "the region 'a' is wrong; expecting 'b'", "wrong_region"),
        ("AuthorizationHeaderMalformed", 400, "the Credential is mal-formed", "bad_signature"),
        ("InternalError", 500, "", "server_error"),
        ("RequestTimeout", 400, "", "timeout"),
        ("SlowDown", 503, "", "throttled"),
        ("", 503, "", "server_error"),
        ("429", 429, "", "throttled"),
        ("403", 403, "Forbidden", "invalid"),
        ("401", 401, "", "invalid"),
        ("405", 405, "", "read_only"),
        ("507", 507, "", "full"),
        ("504", 504, "", "timeout"),
        ("404", 404, "", "invalid"),
        ("SomethingNew", 400, "", "invalid"),
        ("SomethingNew", 403, "", "denied"),
        ("SomethingNew", 0, "", "invalid"),
    ],
)
def test_codes(code: str, status: int, message: str, state: str) -> None:
    assert state_of_refusal(code, status, message) == state


def test_a_redirect_is_a_region_only_when_it_names_one() -> None:
    assert state_of_refusal("301", 301, headers={"x-amz-bucket-region": "eu-west-3"}) == "wrong_region"
    assert state_of_refusal("301", 301) == "invalid"


def test_what_has_expired_is_a_clock_only_where_the_clocks_differ() -> None:
    said = ("AccessDenied", 403, "Request has expired")
    assert state_of_refusal(*said, skew_s=1) == "bad_token"
    assert state_of_refusal(*said, skew_s=-4000) == "clock_skew"
