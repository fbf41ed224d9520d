# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bundles of evidence: read back, searched for canaries, and bounded. With a real service in tests/lab."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils import deadline
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import MediaOpsError, OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.evidence.bundles import Part, pack
from ansible_collections.media_ops.runbook.plugins.module_utils.evidence.evidence_bundle import (
    evidence_bundle,
    read_tail,
)

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlLWNhbmFyeQ"
CANARIES = [
    "AKIAIOSFODNN7CANARY2",
    JWT,
    "https://hooks.slack.com/services/T000/B000/canaryslack",
    "password=canary-password",
    '{"routing_key": "canary0123456789abcdef"}',
    "https://user:canary-url@example.com/x",
    "https://b/k?X-Amz-Signature=canarysignature&x=1",
    "AWS_SECRET_ACCESS_KEY=canary/secret+key",
    "ACME-canary-licence",
    "a canary-of-the-site alone",
]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir(mode=0o750)
    logs = tmp_path / "logs"
    logs.mkdir()
    for name in ("application.log", "media_processing.log", "errors.log", "performance.log"):
        (logs / name).write_text("".join(f'{{"line": {number}, "of": "{name}"}}\n' for number in range(600)))
    return tmp_path


def bundle(site: Path, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    plain = {
        "run_id": "run1",
        "unit": "media-ops-no-such-unit",
        "log_dir": str(site / "logs"),
        "log_files": ["application.log", "media_processing.log", "errors.log", "performance.log"],
        "tail_lines": 500,
        "tail_bytes": 262144,
        "journal_lines": 50,
        "documents": {},
        "max_bytes": 1 << 20,
        "redact_patterns": [],
        "secret_values": [],
        "harmless": [],
        "state_dir": str(site / "state"),
        "keep": 20,
        "keep_bytes": 200 << 20,
        "send_bytes": 0,
    }
    return evidence_bundle({**plain, **options}, check_mode=check_mode)


def contents(path: str) -> dict[str, bytes]:
    """The files of an archive by name, without the directory of its run."""
    found = {}
    with tarfile.open(path) as archive:
        for entry in archive:
            assert (entry.mode, entry.isfile()) == (0o600, True)
            file = archive.extractfile(entry)
            assert file
            found[entry.name.partition("/")[2]] = file.read()
    return found


def missing(found: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["why"] for one in found["missing"]}


# runbook: P0-1C
def test_it_is_read_back_as_the_manifest_says(site: Path) -> None:
    found = bundle(site, documents={"health_detailed": {"overall_status": "critical"}, "plan": [1, 2]})
    path = Path(found["path"])
    assert path == site / "state/bundles/run1.tar.gz"
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == found["sha256"]
    assert path.stat().st_size == found["bytes"]

    files = contents(str(path))
    manifest = json.loads(files.pop("MANIFEST.json"))
    assert manifest["files"] == found["files"]
    assert [one["name"] for one in manifest["files"]] == sorted(files)
    for one in manifest["files"]:
        assert (hashlib.sha256(files[one["name"]]).hexdigest(), len(files[one["name"]])) == (
            one["sha256"],
            one["bytes"],
        )
    assert json.loads(files["documents/health_detailed.json"]) == {"overall_status": "critical"}
    errors = files["logs/errors.log"].decode().splitlines()
    assert json.loads(errors[-1])["line"] == 599
    assert len(errors) == 500, "the last 50 entries of errors.log and more"
    assert {"host/disk_bytes.txt", "host/disk_inodes.txt", "host/kernel.txt", "host/versions.json"} <= set(files)
    assert b"MemAvailable" in files["host/kernel.txt"]


def test_no_secret_is_anywhere_in_it(site: Path) -> None:
    for name in ("application.log", "errors.log"):
        with (site / "logs" / name).open("a") as log:
            for canary in CANARIES:
                log.write(f"plain {canary} text\n" + json.dumps({"message": f"x {canary} y"}) + "\n")
    documents = {
        "alerts": {
            "alerts": [{"message": canary, "metadata": {"traceback": f"line\n{canary}\n"}} for canary in CANARIES]
        },
        "text": "\n".join(CANARIES),
        "named": {"api_token": "canary-token", "credentials": ["canary-list"], "webhook_url": "canary-webhook"},
        JWT[:3]: dict.fromkeys(CANARIES, "as a key"),
    }
    found = bundle(
        site, documents=documents, redact_patterns=["ACME-[a-z-]+"], secret_values=["canary-of-the-site", "", "x"]
    )
    whole = gzip.decompress(Path(found["path"]).read_bytes())
    assert b"canary" not in whole.lower()
    assert JWT.encode() not in whole
    assert "canary" not in json.dumps(found).lower()
    assert whole.count(b"[removed]") > 50
    files = contents(found["path"])
    for name in ("documents/alerts.json", "documents/named.json"):
        json.loads(files[name])


def test_what_comes_after_the_deadline_is_missing_with_the_reason(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(deadline._LONGEST, "evidence_bundle", ({}, lambda _: 0))
    found = bundle(site)
    assert found["files"] == []
    assert missing(found)["logs/application.log"] == "the bundle: not done within 0 s"


def test_links_and_what_is_no_file_are_not_followed(site: Path, tmp_path: Path) -> None:
    secret = tmp_path / "elsewhere"
    secret.write_text("not to be read\n")
    logs = site / "logs"
    for name in ("application.log", "errors.log", "performance.log", "media_processing.log"):
        (logs / name).unlink()
    (logs / "application.log").symlink_to(secret)
    os.mkfifo(logs / "errors.log")
    (logs / "performance.log").mkdir()
    (logs / "application.log.1").symlink_to(secret)
    found = bundle(site)
    assert set(missing(found)) >= {
        "logs/application.log",
        "logs/application.log.1",
        "logs/errors.log",
        "logs/performance.log",
        "logs/media_processing.log",
    }
    assert missing(found)["logs/errors.log"] == "it is a FIFO, not a regular file"
    assert missing(found)["logs/media_processing.log"] == "No such file or directory"
    assert b"not to be read" not in gzip.decompress(Path(found["path"]).read_bytes())

    (site / "link").symlink_to(logs)
    again = bundle(site, run_id="run2", log_dir=str(site / "link"))
    assert not [one for one in again["files"] if one["name"].startswith("logs/")]


def test_the_end_of_a_sparse_log_of_two_gigabytes(site: Path) -> None:
    log = site / "logs/errors.log"
    with log.open("wb") as file:
        file.truncate(2 << 30)
        file.seek(2 << 30)
        file.write(b"\n" + b'{"last": true}\n')
    began = time.process_time()
    found = bundle(site)
    assert time.process_time() - began < 10
    [part] = [one for one in found["files"] if one["name"] == "logs/errors.log"]
    assert part["truncated"]
    assert contents(found["path"])["logs/errors.log"] == b'{"last": true}\n'


def test_a_cut_line_goes_whole(tmp_path: Path) -> None:
    """Else the half of a secret whose name was cut off would be left."""
    secret = "canary" * 50
    (tmp_path / "x.log").write_text(f"first\npassword={secret}\nlast\n")
    for size in range(6, 320, 7):
        text, cut = read_tail(str(tmp_path), "x.log", size, 100)
        assert cut
        assert text == "last\n" or text.startswith("password=") or text == ""
    (tmp_path / "y.log").write_text(secret * 10)
    assert read_tail(str(tmp_path), "y.log", 100, 10) == ("", True)


def test_bytes_that_are_no_text_and_a_last_line_that_is_not_whole(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_bytes(b"\0\0\xff\xfe bad\nlast without end")
    text, cut = read_tail(str(tmp_path), "x.log", 1000, 1000)
    assert (cut, text.splitlines()[1]) == (False, "last without end")


def test_of_a_log_that_was_just_rotated_the_one_before_is_taken(site: Path) -> None:
    log = site / "logs/errors.log"
    log.rename(log.with_name("errors.log.1"))
    log.write_text('{"line": "new"}\n')
    files = contents(bundle(site)["path"])
    assert files["logs/errors.log"] == b'{"line": "new"}\n'
    assert len(files["logs/errors.log.1"].splitlines()) == 500
    assert "logs/application.log.1" not in files


def test_check_mode_says_the_same_and_writes_nothing(site: Path) -> None:
    planned = bundle(site, check_mode=True, documents={"a": {"b": 1}})
    assert list((site / "state").iterdir()) == []
    done = bundle(site, documents={"a": {"b": 1}})
    assert (planned["changed"], planned["path"]) == (True, done["path"])
    assert [one["name"] for one in planned["files"]] == [one["name"] for one in done["files"]]


def test_a_second_bundle_of_a_run_overwrites_none(site: Path) -> None:
    first = bundle(site)
    data = Path(first["path"]).read_bytes()
    assert [Path(bundle(site)["path"]).name for _again in range(2)] == ["run1-2.tar.gz", "run1-3.tar.gz"]
    assert Path(first["path"]).read_bytes() == data


def test_the_oldest_go_beyond_the_number_and_the_size(site: Path) -> None:
    place = site / "state/bundles"
    for number in range(4):
        path = Path(bundle(site, run_id=f"run{number}")["path"])
        os.utime(path, (1000 + number, 1000 + number))
    (place / "notes.txt").write_text("of somebody")
    (place / "link.tar.gz").symlink_to(site / "logs/errors.log")
    found = bundle(site, run_id="run4", keep=3)
    assert [Path(path).name for path in found["removed"]] == ["run0.tar.gz", "run1.tar.gz"]
    names = {"run2.tar.gz", "run3.tar.gz", "run4.tar.gz", "notes.txt", "link.tar.gz"}
    assert {path.name for path in place.iterdir()} == names

    (place / "run3.tar.gz").write_bytes(b"x" * (2 << 20))
    bundle(site, run_id="run5", keep_bytes=1 << 20)
    kept = {path.name for path in place.iterdir()} - {"notes.txt", "link.tar.gz"}
    assert "run5.tar.gz" in kept
    assert "run3.tar.gz" not in kept


@pytest.fixture
def full(site: Path) -> Iterator[Path]:
    """A state directory on a file system that has no room left."""
    if os.geteuid() != 0:
        pytest.skip("mounts a small file system")
    state = site / "state"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(state)], check=True)
    try:
        (state / "bundles").mkdir()
        (state / "bundles/old.tar.gz").write_bytes(b"old evidence")
        with (state / "ballast").open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(os.urandom(4096))
        yield state
    finally:
        subprocess.run(["umount", str(state)], check=True)


def test_a_full_directory_is_said_and_nothing_is_left_half_written(site: Path, full: Path) -> None:
    with pytest.raises(MediaOpsError, match=r"cannot write .*run1\.tar\.gz: No space left on device"):
        bundle(site)
    assert {path.name: path.read_bytes() for path in (full / "bundles").iterdir()} == {"old.tar.gz": b"old evidence"}


def test_what_a_full_directory_has_no_room_for_is_sent_where_it_is_small_enough(site: Path, full: Path) -> None:
    made = bundle(site, send_bytes=4 << 20)
    archive = base64.b64decode(made["archive"])
    assert (len(archive), hashlib.sha256(archive).hexdigest()) == (made["bytes"], made["sha256"])
    assert "No space left on device" in made["not_kept"]
    with pytest.raises(MediaOpsError, match="No space left"):
        bundle(site, send_bytes=made["bytes"] - 100)
    assert [path.name for path in (full / "bundles").iterdir()] == ["old.tar.gz"]


def test_a_directory_of_bundles_that_is_a_link_is_refused(site: Path) -> None:
    (site / "elsewhere").mkdir()
    (site / "state/bundles").symlink_to(site / "elsewhere")
    with pytest.raises(MediaOpsError, match="cannot use the directory"):
        bundle(site)
    assert list((site / "elsewhere").iterdir()) == []


def test_each_part_is_bounded(site: Path) -> None:
    found = bundle(site, documents={"big": ["x" * 1000] * 100}, max_bytes=4096)
    sizes = {one["name"]: (one["bytes"], one["truncated"]) for one in found["files"]}
    assert sizes["documents/big.json"] == (4096, True)
    assert all(size <= 4096 for size, _truncated in sizes.values())
    assert sizes["logs/errors.log"][1]
    assert contents(found["path"])["logs/errors.log"].endswith(b'{"line": 599, "of": "errors.log"}\n')


def test_of_equal_parts_the_archive_is_equal() -> None:
    parts = [Part("a", "x", b"1" * 1000, False), Part("b/c", "y", b"2", True)]
    packed = pack("run1", 1000, "{}", parts)
    assert packed == pack("run1", 1000, "{}", parts)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        assert archive.getnames() == ["run1/MANIFEST.json", "run1/a", "run1/b/c"]


def test_without_systemd_or_the_unit_the_rest_is_had(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    found = bundle(site)
    assert "systemd cannot be asked" in missing(found)["service"]
    assert "logs/errors.log" in {one["name"] for one in found["files"]}
    assert found["redaction"] == {"environment": "none", "secrets_known": 0}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("run_id", ""),
        ("run_id", "../x"),
        ("run_id", ".x"),
        ("run_id", "a/b"),
        ("run_id", "a" * 81),
        ("unit", "a b"),
        ("documents", {"../x": 1}),
        ("documents", {"": 1}),
        ("log_files", ["../errors.log"]),
        ("log_files", ["/etc/shadow"]),
        ("redact_patterns", ["("]),
        ("keep", 0),
        ("tail_bytes", 0),
        ("max_bytes", 1 << 40),
        ("state_dir", "relative"),
    ],
)
def test_misuse_names_the_option(site: Path, option: str, value: Any) -> None:
    with pytest.raises(OptionError) as error:
        bundle(site, **{option: value})
    assert error.value.details["option"] == option
