# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Archives copied to a real S3 store, also through a proxy that breaks single requests: what is there is verified."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.archives import copies
from ansible_collections.media_ops.runbook.plugins.module_utils.archives.archive_copy import archive_copy
from ansible_collections.media_ops.runbook.plugins.module_utils.archives.register import (
    REGISTER,
    Made,
    read_register,
    write_register,
)
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import MediaOpsError, OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.system import tree

from tests.s3_proxy import s3_proxy
from tests.s3_store import SECRET_KEY, Store, data_files_read_once, s3_store

# A real store, which takes seconds to start.
pytestmark = pytest.mark.slow

MIB = 1 << 20
SMALL, LARGE = "archived_logs_20261101.tar.gz", "archived_logs_20261108.tar.zst"
OPTIONS: dict[str, Any] = {
    "unit": None,
    "bucket": "media",
    "endpoint_url": None,
    "region": None,
    "path_style": None,
    "credentials": "environment",
    "part_size": 5 * MIB,
    "connect_timeout": 2.0,
    "read_timeout": 5.0,
    "total_timeout": 60.0,
    "retries": 0,
    "plan_hash": None,
}


@pytest.fixture(scope="module", autouse=True)
def _data_files_read_once() -> Iterator[None]:
    with data_files_read_once():
        yield


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with s3_store(tmp_path_factory.mktemp("store")) as running:
        yield running


class Site:
    """An archive directory, and a prefix of one's own in the store."""

    def __init__(self, top: Path, store: Store, client: Any) -> None:
        self.store, self.top, self.client = store, top, client
        self.archives = top / "backup"
        self.archives.mkdir()
        self.prefix = f"{top.name}/"
        self.env = store.env

    def make(self, name: str = SMALL, size: int = 1000) -> bytes:
        content = os.urandom(size)
        (self.archives / name).write_bytes(content)
        return content

    def options(self, **options: Any) -> dict[str, Any]:
        environment = self.top / "service.env"
        environment.write_text("".join(f"{name}={value}\n" for name, value in self.env.items()))
        given = {"archive_dir": str(self.archives), "prefix": self.prefix, "environment_file": str(environment)}
        return {**OPTIONS, **given, **options}

    def run(self, *, check: bool = False, **options: Any) -> dict[str, Any]:
        before = self.local()
        found = archive_copy(self.options(**options), check_mode=check, hide=lambda secret: None)
        assert self.local() == before, "archives on the host are only read"
        assert SECRET_KEY not in json.dumps(found)
        assert "\n" not in found["msg"]
        return found

    def local(self) -> dict[str, tuple[int, int]]:
        return {path.name: (path.lstat().st_size, path.lstat().st_mtime_ns) for path in self.archives.glob("[!.]*")}

    def made(self, name: str, content: bytes) -> None:
        """Write what the archive was when it was made, as log_archive does."""
        with contextlib.closing(tree.open_root(str(self.archives))) as root:
            register = read_register(root)
            register.archives[name] = Made(len(content), hashlib.sha256(content).hexdigest())
            write_register(root, register)

    def copied_to(self, name: str) -> str:
        with contextlib.closing(tree.open_root(str(self.archives))) as root:
            made = read_register(root).archives.get(name)
        return made.copied_to if made else ""

    def put(self, name: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.store.bucket, Key=self.prefix + name, Body=content)

    def there(self) -> dict[str, bytes]:
        """What is in the store, by name."""
        bucket = self.store.bucket
        listed = self.client.list_objects_v2(Bucket=bucket, Prefix=self.prefix).get("Contents", [])
        return {
            entry["Key"][len(self.prefix) :]: self.client.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
            for entry in listed
        }

    def unfinished(self) -> list[str]:
        said = self.client.list_multipart_uploads(Bucket=self.store.bucket, Prefix=self.prefix)
        return [upload["Key"] for upload in said.get("Uploads", [])]


@pytest.fixture(scope="module")
def client(store: Store) -> Any:
    return store.client()


@pytest.fixture
def site(tmp_path: Path, store: Store, client: Any) -> Site:
    return Site(tmp_path, store, client)


def results(found: dict[str, Any]) -> list[str]:
    return [action["result"] for action in found["plan"]]


def states(found: dict[str, Any]) -> dict[str, str]:
    return {one["archive"]: one["state"] for one in found["archives"]}


def mark(name: str, content: bytes) -> bytes:
    return f"{hashlib.sha256(content).hexdigest()}  {name}\n".encode()


# --- a store that works


# runbook: WL-3
def test_plan_approve_copy_and_nothing_more_to_do(site: Site) -> None:
    content = site.make()
    planned = site.run(check=True)
    assert (planned["changed"], planned["state"], results(planned)) == (True, "ok", ["planned"])
    assert planned["msg"] == f"0 of 1 archives have a verified copy in s3://media/{site.prefix}"
    assert site.there() == {}
    with pytest.raises(MediaOpsError, match="the plan has drifted"):
        site.run(plan_hash="0" * 12)
    assert site.there() == {}
    done = site.run(plan_hash=planned["hash"])
    assert (done["changed"], done["state"], results(done), done["verified"]) == (True, "ok", ["done"], 1)
    assert done["hash"] == planned["hash"]
    assert states(done) == {SMALL: "verified"}
    assert site.there() == {SMALL: content, f"{SMALL}.sha256": mark(SMALL, content)}
    for check in (True, False):
        again = site.run(check=check)
        assert (again["changed"], again["plan"], again["verified"]) == (False, [], 1)


def test_the_mark_is_what_sha256sum_checks(site: Site, tmp_path: Path) -> None:
    site.make()
    site.run()
    fetched = tmp_path / "fetched"
    fetched.mkdir()
    for name, content in site.there().items():
        (fetched / name).write_bytes(content)
    check = ["sha256sum", "--check", "--strict", f"{SMALL}.sha256"]
    assert subprocess.run(check, cwd=fetched, capture_output=True, text=True, check=True).stdout == f"{SMALL}: OK\n"


def test_a_large_archive_goes_in_parts(site: Site, store: Store) -> None:
    content = site.make(LARGE, 12 * MIB + 1)
    with s3_proxy(store.endpoint_url) as proxy:
        assert results(site.run(endpoint_url=proxy.url)) == ["done"]
        sent = [what for what in proxy.seen if what not in ("leftovers", "get")]
        assert sent == ["begin", "part", "part", "part", "complete", "put"]
    assert site.there()[LARGE] == content
    assert site.unfinished() == []


def test_no_more_of_an_archive_is_in_memory_than_a_part(site: Site, tmp_path: Path) -> None:
    """The largest memory of the module's processes with an archive of 60 MiB, sent in parts and read back."""
    for _number in range(6):
        with (site.archives / LARGE).open("ab") as file:
            file.write(os.urandom(10 * MIB))
    program = (
        "import json, resource, sys\n"
        "from ansible_collections.media_ops.runbook.plugins.module_utils.archives.archive_copy import archive_copy\n"
        "found = archive_copy(json.load(sys.stdin), check_mode=False, hide=print)\n"
        # Its own maxrss begins with that of the process which it was forked from: pytest.
        "own = next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "most = max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
        "print(found['plan'][0]['result'], most)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(site.options()),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    result, most = ran.stdout.split()
    assert result == "done"
    assert int(most) < 105_000


def test_only_archives_are_copied(site: Site) -> None:
    site.make()
    for name in ("application.log.1", ".archived_logs.0a1b2c3d.journal", "archived_logs_2026.tar.gz", "x.tar.gz"):
        site.make(name)
    (site.archives / "archived_logs_20261102.tar.gz").mkdir()
    (site.archives / "archived_logs_20261103.tar.gz").symlink_to("/etc/passwd")
    os.mkfifo(site.archives / "archived_logs_20261104.tar.gz")
    found = site.run()
    assert sorted(site.there()) == [SMALL, f"{SMALL}.sha256"]
    assert [one["archive"][14:22] for one in found["unread"]] == ["20261102", "20261103", "20261104"]
    assert "archived_logs_20261102.tar.gz cannot be read: it is a directory, not a regular file" in found["msg"]


def test_hosts_with_prefixes_of_their_own_do_not_meet(site: Site) -> None:
    first = site.make()
    site.run(prefix=f"{site.prefix}web1/")
    # Another host, which knows nothing of what the first one has made.
    (site.archives / REGISTER).unlink()
    second = site.make()
    found = site.run(prefix=f"{site.prefix}web2/")
    assert (found["state"], found["verified"]) == ("ok", 1)
    assert site.there()[f"web1/{SMALL}"] == first
    assert site.there()[f"web2/{SMALL}"] == second


# --- what is in the store already


@pytest.mark.parametrize("size", [1000, 1001])
def test_an_object_with_other_content_is_never_overwritten(site: Site, size: int) -> None:
    site.make()
    beside = site.make(LARGE)
    other = os.urandom(size)
    site.put(SMALL, other)
    for _run in range(2):
        found = site.run()
        assert site.there() == {SMALL: other, LARGE: beside, f"{LARGE}.sha256": mark(LARGE, beside)}
        assert states(found) == {SMALL: "differing", LARGE: "verified"}
        assert (found["state"], found["plan"][0]["result"]) == ("differing", "failed")
        assert "nobody can say which of both is what was made. Keep both" in found["plan"][0]["msg"]
    assert found["changed"] is False


def test_a_copy_without_a_mark_is_read_back(site: Site, store: Store) -> None:
    content = site.make()
    site.put(SMALL, content)
    planned = site.run(check=True)
    assert [action["action"] for action in planned["plan"]] == ["verify"]
    with s3_proxy(store.endpoint_url) as proxy:
        done = site.run(endpoint_url=proxy.url, plan_hash=planned["hash"])
        assert proxy.seen == ["leftovers", "get", "put"], "read back and marked, not sent"
    assert results(done) == ["done"]
    assert site.there()[f"{SMALL}.sha256"] == mark(SMALL, content)


@pytest.mark.parametrize("text", [b"", b"\xff\xfe", b"0" * 64 + b"  other.tar.gz\n", b"x" * 5000])
def test_a_mark_that_is_none_proves_nothing(site: Site, text: bytes) -> None:
    content = site.make()
    site.put(SMALL, content)
    site.put(f"{SMALL}.sha256", text)
    assert states(site.run(check=True)) == {SMALL: "unverified"}
    assert states(site.run()) == {SMALL: "verified"}
    assert site.there()[f"{SMALL}.sha256"] == mark(SMALL, content)


def test_a_copy_that_is_younger_than_its_mark_is_read_back(site: Site, store: Store) -> None:
    site.make()
    site.run()
    client, at = site.client, {"Bucket": store.bucket}
    marked = client.head_object(**at, Key=f"{site.prefix}{SMALL}.sha256")["LastModified"]
    deadline = time.monotonic() + 30
    other = os.urandom(1000)
    while True:  # the store's times are whole seconds
        site.put(SMALL, other)
        if client.head_object(**at, Key=site.prefix + SMALL)["LastModified"] > marked:
            break
        assert time.monotonic() < deadline
    assert states(site.run(check=True)) == {SMALL: "unverified"}
    assert states(site.run()) == {SMALL: "differing"}
    assert site.there()[SMALL] == other


@pytest.mark.parametrize("name", [SMALL, LARGE])
@pytest.mark.parametrize("same", [False, True])
def test_what_comes_meanwhile_stays_and_is_compared(
    site: Site, monkeypatch: pytest.MonkeyPatch, name: str, same: bool
) -> None:
    """Somebody puts an object of this name there while the archive is being sent."""
    content = site.make(name, 1000 if name == SMALL else 6 * MIB)
    other = content if same else os.urandom(len(content))
    piece = copies._piece

    def meanwhile(*arguments: Any) -> bytes:
        if name not in site.there():
            site.put(name, other)
        return piece(*arguments)

    monkeypatch.setattr(copies, "_piece", meanwhile)
    found = site.run()
    assert states(found) == {name: "verified" if same else "differing"}
    assert site.there() == ({name: other, f"{name}.sha256": mark(name, other)} if same else {name: other})
    assert site.unfinished() == []


def test_what_came_since_the_look_stays_where_the_store_knows_no_condition(
    site: Site, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.make()
    other = os.urandom(1000)
    carry_out = copies.carry_out

    def put_first(*arguments: Any) -> Any:
        site.put(SMALL, other)
        return carry_out(*arguments)

    monkeypatch.setattr(copies, "carry_out", put_first)
    with s3_proxy(store.endpoint_url, {"put": "no_conditions"}) as proxy:
        found = site.run(endpoint_url=proxy.url)
        assert proxy.seen == ["leftovers", "leftovers", "get"]
    assert (site.there(), states(found)) == ({SMALL: other}, {SMALL: "differing"})


@pytest.mark.parametrize("size", [1000, 6 * MIB])
@pytest.mark.parametrize(
    "faults", [{"put": "no_conditions", "complete": "no_conditions"}, {"put": "wants_md5", "part": "wants_md5"}]
)
def test_a_store_that_knows_no_condition_and_one_that_wants_checksums(
    site: Site, store: Store, size: int, faults: dict[str, str]
) -> None:
    content = site.make(SMALL, size)
    with s3_proxy(store.endpoint_url, faults) as proxy:
        assert results(site.run(endpoint_url=proxy.url)) == ["done"]
    assert site.there()[SMALL] == content
    assert site.unfinished() == []


# --- the archive on the host, or its copy, has changed since it was made


def test_an_archive_that_is_not_what_was_made_is_not_copied(site: Site) -> None:
    site.made(SMALL, site.make())
    site.make()
    for _run in range(2):
        found = site.run()
        assert (found["state"], states(found), results(found)) == ("damaged", {SMALL: "damaged"}, ["failed"])
        assert "has changed" in found["plan"][0]["msg"]
        assert "The store has no proved copy of what was made" in found["plan"][0]["msg"]
    assert site.there() == {}


@pytest.mark.parametrize("size", [1000, 900])
@pytest.mark.parametrize("written", [True, False])
def test_where_the_archive_has_changed_the_copy_is_saved(site: Site, written: bool, size: int) -> None:
    """Without the SHA-256 that is written when an archive is made, the mark says what it was."""
    content = site.make()
    if written:
        site.made(SMALL, content)
    site.run()
    there = site.there()
    site.make(size=size)
    if not written:
        (site.archives / REGISTER).unlink()
    for check in (True, False):
        found = site.run(check=check)
        assert (found["state"], states(found)) == ("damaged", {SMALL: "damaged"})
        assert "The copy in the store is the good one, as its mark says. Keep it: fetch it" in found["msg"]
    assert (site.there(), site.copied_to(SMALL)) == (there, "")
    (site.archives / SMALL).write_bytes(there[SMALL])
    done = site.run()
    assert (states(done), site.copied_to(SMALL)) == ({SMALL: "verified"}, f"s3://media/{site.prefix}")


@pytest.mark.parametrize("size", [1000, 900])
def test_where_the_copy_has_changed_the_archive_is_saved(site: Site, size: int) -> None:
    site.made(SMALL, site.make())
    other = os.urandom(size)
    site.put(SMALL, other)
    found = site.run()
    assert (states(found), site.copied_to(SMALL)) == ({SMALL: "differing"}, "")
    assert "The archive on the host is the good one, as the SHA-256 that was written" in found["plan"][0]["msg"]
    assert site.there() == {SMALL: other}


def test_a_copy_that_is_proved_is_noted_and_one_that_is_gone_no_more(site: Site, store: Store) -> None:
    site.made(SMALL, site.make())
    site.run(check=True)
    assert site.copied_to(SMALL) == ""
    site.run()
    assert site.copied_to(SMALL) == f"s3://media/{site.prefix}"
    assert site.run(endpoint_url="http://127.0.0.1:1")["state"] == "refused"
    assert site.copied_to(SMALL) == f"s3://media/{site.prefix}", "who cannot ask knows nothing new"
    site.client.delete_object(Bucket=store.bucket, Key=site.prefix + SMALL)
    with store.denying("s3:PutObject"):
        site.run()
    assert site.copied_to(SMALL) == ""


# --- a store that does not work


# runbook: WL-3
@pytest.mark.parametrize(
    ("operation", "fault", "state"),
    [
        ("leftovers", "slow_down", "throttled"),
        ("leftovers", "hang", "timeout"),
        ("leftovers", "login_page_xml", "invalid"),
        ("put", "slow_down", "throttled"),
        ("put", "access_denied", "denied_put"),
        ("put", "storage_full", "full"),
        ("put", "hang", "timeout"),
        ("put", "closed", "dropped"),
        ("put", "cut", "dropped"),
        ("get", "access_denied", "denied_get"),
        ("get", "truncate", "dropped"),
    ],
)
def test_a_fault_of_the_store_is_told_and_the_next_run_copies(
    site: Site, store: Store, operation: str, fault: str, state: str
) -> None:
    first, second = site.make(), site.make(LARGE)
    with s3_proxy(store.endpoint_url, {operation: fault}) as proxy:
        options: dict[str, Any] = {"endpoint_url": proxy.url, "read_timeout": 1.0}
        planned = site.run(check=True, **options) if operation == "leftovers" else None
        found = site.run(**options)
    assert found["state"] == state
    assert found["changed"] is False
    assert found["verified"] == 0
    assert results(found) == (["failed"] if operation == "leftovers" else ["failed", "skipped"])
    assert found["plan"][0]["msg"].startswith(f"{state}: ")
    assert state in found["msg"]
    if planned:
        assert (planned["state"], planned["changed"], results(planned)) == (state, False, ["planned"])
        assert set(states(found).values()) == {"unknown"}
    done = site.run()
    assert (done["state"], done["verified"]) == ("ok", 2)
    assert {name: site.there()[name] for name in (SMALL, LARGE)} == {SMALL: first, LARGE: second}


@pytest.mark.parametrize(
    ("settings", "state"),
    [
        ({"AWS_S3_ENDPOINT_URL": "http://127.0.0.1:1"}, "refused"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong" * 8}, "bad_signature"),
        ({"AWS_ACCESS_KEY_ID": "AKIANOBODYNOBODY0001"}, "unknown_key"),
        ({"AWS_ACCESS_KEY_ID": ""}, "not_configured"),
        ({"AWS_S3_ENDPOINT_URL": "nonsense"}, "not_configured"),
    ],
)
def test_wrong_settings_are_told(site: Site, settings: dict[str, str], state: str) -> None:
    site.make()
    site.env = {**site.env, **settings}
    for check in (True, False):
        found = site.run(check=check)
        assert (found["state"], found["changed"]) == (state, False)
        assert results(found) == ["planned" if check else "failed"]
        assert "wrong" * 8 not in json.dumps(found)
    assert site.there() == {}


def test_a_bucket_that_is_not_there(site: Site) -> None:
    site.make()
    assert site.run(bucket="nowhere")["state"] == "no_such_bucket"


def test_a_policy_that_denies_writing(site: Site, store: Store) -> None:
    content = site.make()
    with store.denying("s3:PutObject"):
        found = site.run()
    assert (found["state"], results(found)) == ("denied_put", ["failed"])
    assert "allow s3:PutObject" in found["msg"]
    site.run()
    assert site.there()[SMALL] == content


def test_a_mark_that_cannot_be_written_leaves_a_copy_to_verify(site: Site, store: Store) -> None:
    content = site.make(LARGE, 6 * MIB)
    with s3_proxy(store.endpoint_url, {"put": "slow_down"}) as proxy:
        found = site.run(endpoint_url=proxy.url)
    assert (found["state"], results(found)) == ("throttled", ["failed"])
    assert site.there() == {LARGE: content}
    done = site.run()
    assert ([action["action"] for action in done["plan"]], results(done)) == (["verify"], ["done"])


def test_an_answer_that_is_lost_is_no_second_upload(site: Site, store: Store) -> None:
    content = site.make()
    with s3_proxy(store.endpoint_url, {"put": "hang_after"}) as proxy:
        assert site.run(endpoint_url=proxy.url, read_timeout=1.0)["state"] == "timeout"
    assert site.there() == {SMALL: content}
    with s3_proxy(store.endpoint_url) as proxy:
        assert states(site.run(endpoint_url=proxy.url)) == {SMALL: "verified"}
        assert proxy.seen == ["leftovers", "get", "put"]


def test_a_retry_that_meets_its_own_object(site: Site, store: Store) -> None:
    """The first answer was lost, the second says that there is an object: it is compared."""
    content = site.make()
    with s3_proxy(store.endpoint_url, {"put": "lost_once"}) as proxy:
        found = site.run(endpoint_url=proxy.url, read_timeout=1.0, retries=1)
    assert states(found) == {SMALL: "verified"}
    assert site.there() == {SMALL: content, f"{SMALL}.sha256": mark(SMALL, content)}


def test_a_copy_that_comes_back_otherwise_is_not_marked(site: Site, store: Store) -> None:
    content = site.make()
    with s3_proxy(store.endpoint_url, {"get": "corrupt"}) as proxy:
        found = site.run(endpoint_url=proxy.url)
    assert (found["state"], results(found), found["verified"]) == ("differing", ["failed"], 0)
    assert site.there() == {SMALL: content}
    assert states(site.run()) == {SMALL: "verified"}


@pytest.mark.parametrize("fault", ["slow_down", "cut", "hang", "access_denied"])
def test_a_part_that_fails_leaves_nothing_in_the_store(site: Site, store: Store, fault: str) -> None:
    content = site.make(LARGE, 6 * MIB)
    with s3_proxy(store.endpoint_url, {"part": fault}) as proxy:
        found = site.run(endpoint_url=proxy.url, read_timeout=1.0)
        assert proxy.seen[-2:] == ["part", "abort"]
    assert results(found) == ["failed"]
    assert (site.there(), site.unfinished()) == ({}, [])
    site.run()
    assert site.there()[LARGE] == content


def test_parts_that_cannot_be_removed_are_told_and_removed_by_the_next_run(site: Site, store: Store) -> None:
    content = site.make(LARGE, 6 * MIB)
    with s3_proxy(store.endpoint_url, {"part": "slow_down", "abort": "internal_error"}) as proxy:
        found = site.run(endpoint_url=proxy.url)
    assert found["plan"][0]["msg"].endswith("stay in the store until the next run (server_error)")
    assert site.unfinished() == [site.prefix + LARGE]
    # One of somebody else, of the same name, is not ours to remove.
    site.client.create_multipart_upload(Bucket=store.bucket, Key=site.prefix + LARGE)
    planned = site.run(check=True)
    assert [action["stable"]["kind"] for action in planned["plan"]] == ["missing", "unfinished"]
    assert planned["plan"][1]["target"].startswith(f"what was sent of {LARGE} to s3://media/")
    assert len(site.unfinished()) == 2
    with s3_proxy(store.endpoint_url, {"abort": "access_denied"}) as proxy:
        assert results(site.run(endpoint_url=proxy.url)) == ["done", "failed"], "what cannot be removed stops no copy"
    assert results(site.run()) == ["done"]
    assert site.there()[LARGE] == content
    assert site.unfinished() == [site.prefix + LARGE]
    assert site.run()["plan"] == []


def test_a_run_that_is_killed_is_finished_by_the_next(site: Site, store: Store) -> None:
    content = site.make(LARGE, 6 * MIB)
    program = (
        "import json, sys\n"
        "from ansible_collections.media_ops.runbook.plugins.module_utils.archives.archive_copy import archive_copy\n"
        "archive_copy(json.load(sys.stdin), check_mode=False, hide=print)\n"
    )
    with s3_proxy(store.endpoint_url, {"part": "hang"}) as proxy:
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            start_new_session=True,
        )
        assert process.stdin
        process.stdin.write(json.dumps(site.options(endpoint_url=proxy.url, read_timeout=60.0)).encode())
        process.stdin.close()
        deadline = time.monotonic() + 60
        while "part" not in proxy.seen:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)  # with its child, which would remove the parts
        process.wait()
    assert site.unfinished() == [site.prefix + LARGE]
    assert results(site.run()) == ["done", "done"]
    assert site.there()[LARGE] == content
    assert site.unfinished() == []


@pytest.mark.parametrize("operation", ["leftovers", "part"])
def test_a_slow_drip_ends_with_the_time(site: Site, store: Store, operation: str) -> None:
    site.make(LARGE, 6 * MIB)
    site.make("archived_logs_20261115.tar.gz")
    with s3_proxy(store.endpoint_url, {operation: "drip"}) as proxy:
        began = time.monotonic()
        found = site.run(endpoint_url=proxy.url, total_timeout=4.0)
        assert time.monotonic() - began < 20
    assert found["state"] == "timeout"
    assert results(found) == (["failed"] if operation == "leftovers" else ["failed", "skipped"])
    assert (site.there(), site.unfinished()) == ({}, [])


# --- the host


def test_an_archive_that_is_changed_or_gone_meanwhile_is_left_to_the_next_run(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.make()
    site.make(LARGE)
    look = copies.look

    def look_and_meddle(*arguments: Any) -> Any:
        (site.archives / SMALL).unlink()
        (site.archives / LARGE).write_bytes(b"other")
        return look(*arguments)

    monkeypatch.setattr(copies, "look", look_and_meddle)
    found = archive_copy(site.options(), check_mode=False, hide=lambda secret: None)
    assert results(found) == ["skipped", "skipped"]
    assert "it was changed meanwhile" in found["plan"][1]["msg"]
    assert site.there() == {}


@pytest.mark.parametrize("name", [SMALL, LARGE])
def test_content_that_changes_between_plan_and_upload_is_not_sent(
    site: Site, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    size = 1000 if name == SMALL else 6 * MIB
    site.make(name, size)
    look = copies.look

    def look_and_meddle(*arguments: Any) -> Any:
        site.make(name, size)
        return look(*arguments)

    monkeypatch.setattr(copies, "look", look_and_meddle)
    found = archive_copy(site.options(), check_mode=False, hide=lambda secret: None)
    assert (states(found), results(found)) == ({name: "missing"}, ["skipped"])
    assert "nothing of it is in the store" in found["plan"][0]["msg"]
    assert (site.there(), site.unfinished()) == ({}, [])


def test_two_runs_do_not_meet(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.make()
    monkeypatch.setattr(tree, "_LOCK_WAIT_S", 0.1)
    with contextlib.closing(tree.open_root(str(site.archives))) as root, tree.locked(root):
        with pytest.raises(MediaOpsError, match=rf"another run works on .* \(process {os.getpid()}\)"):
            site.run()
        assert results(site.run(check=True)) == ["planned"]
    assert site.there() == {}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("part_size", 5 * MIB - 1),
        ("total_timeout", 0.5),
        ("retries", 2),
        ("prefix", "/absolute/"),
        ("archive_dir", "relative"),
        ("archive_dir", "/nowhere/at/all"),
        ("endpoint_url", "http://user:secret@127.0.0.1:1"),
        ("environment_file", "/nowhere/service.env"),
    ],
)
def test_misuse_names_the_option(site: Site, option: str, value: object) -> None:
    given: dict[str, Any] = {option: value}
    with pytest.raises(OptionError, match=f"option '{option}'"):
        site.run(**given)


def test_no_secret_is_shown(site: Site, store: Store) -> None:
    site.make()
    token = "canarySessionToken" + "x" * 60
    with s3_proxy(store.endpoint_url, {"put": "echo_secrets", "leftovers": "echo_secrets"}) as proxy:
        site.env = {**site.env, "AWS_SESSION_TOKEN": token}
        shown = json.dumps(site.run(endpoint_url=proxy.url))
    assert "400 Odd" in shown
    assert token[:24] not in shown
    assert SECRET_KEY not in shown
    assert store.access_key not in shown


def test_a_copy_in_a_cold_class_stops_no_other(site: Site, store: Store) -> None:
    """A lifecycle moved all that was there: neither marks nor copies can be read, and what is new is copied."""
    site.make("archived_logs_20261101.tar.gz")
    site.make("archived_logs_20261108.tar.gz")
    assert site.run()["verified"] == 2
    site.make("archived_logs_20261115.tar.gz")
    with s3_proxy(store.endpoint_url, {"get": "archived"}) as proxy:
        found = site.run(endpoint_url=proxy.url)
    assert list(states(found).values()) == ["archived", "archived", "archived"]
    assert "3 copies are in a cold class" in found["msg"]
    assert found["state"] == "ok"
    assert "archived_logs_20261115.tar.gz" in site.there()
    assert site.run()["verified"] == 3
