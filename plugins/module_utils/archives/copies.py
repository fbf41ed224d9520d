# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copies of archives in an S3 store: uploaded, read back and compared, and only then marked as verified.

The mark is a small object beside the copy, NAME.sha256, written as sha256sum writes it. A run that ends before it
leaves a copy without a mark, which the next run reads back. Stores differ in which checksums they keep; this asks none
of them. Nothing in the store is overwritten but a mark, and nothing is deleted but an upload of our own that was begun
and not ended: its id stands in the register of the archives from its beginning to its end.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, Callable, NamedTuple

from ..opener import open_regular_at
from ..shapes import one_line
from ..storage.client import new_client, within
from ..storage.faults import Fault, explain, fault
from ..storage.settings import Settings, clean, hiding
from ..system.tree import Root
from .archive import ARCHIVES_BEGIN
from .register import Upload, read_register, write_register

_CHANGED = "the archive was changed while it was read: nothing of it is in the store"
_MARK = ".sha256"
_MARKED = re.compile(r"([0-9a-f]{64})  (\S+)\n")
_MARK_MAX = 512
_CHUNK = 1 << 18
_PARTS_MAX = 10_000
_ABORT_S = 10.0


class Job(NamedTuple):
    """One archive to be copied (``copy``), or whose copy is to be compared (``verify``)."""

    kind: str
    name: str
    size: int
    sha256: str


class Leftover(NamedTuple):
    """An upload of an archive that a run before began, and did not end."""

    name: str
    upload: str


class DiffersError(Exception):
    """There is an object of this name, and it is not this archive."""


class ChangedError(Exception):
    """The archive is not any more what it was when it was looked at."""


def look(settings: Settings, names: Sequence[str], seconds: float) -> dict[str, Any]:
    """What the store has of these archives. For the child with the service's environment.

    Returns:
        ``state`` ok, or a class of fault with its ``reason``; ``copies``, by name ``bytes``; ``mark``, the SHA-256 that
        its mark says, "" where it has none; ``marked``, the same where the copy was not changed after it was marked;
        ``archived``, whether its mark is in a cold class, so that nobody can say.
    """
    store = _Store(settings)
    found: dict[str, Any] = {"state": "ok", "reason": "", "copies": {}}
    try:
        found["copies"] = within(lambda: store.copies(names), seconds, store.late(seconds))
    except Exception as error:  # noqa: BLE001  whatever a library raises is a state
        why = store.explained(error)
        found.update(state=why.state, reason=why.reason)
    return store.shown(found)  # type: ignore[no-any-return]


def carry_out(
    settings: Settings, root: Root, jobs: Sequence[Job | Leftover], part_size: int, seconds: float
) -> dict[str, Any]:
    """Copy and compare. For the child with the service's environment.

    A fault of the store ends it: what is left is skipped, and for the next run.

    Args:
        settings: of the store.
        root: directory of the archives, open, with their register.
        jobs: what is to be done, in order.
        part_size: bytes of an archive that are in memory at a time, and sent in one request.
        seconds: for all of it.

    Returns:
        ``outcomes``: for each job ``result``, ``said``, and the ``state`` ok, differing, or a class of fault.
    """
    store = _Store(settings, root)
    # What is kept back is for removing what was begun.
    deadline = time.monotonic() + seconds - min(_ABORT_S, seconds / 4)
    outcomes: list[dict[str, str]] = []
    ended = ""
    for job in jobs:
        if ended:
            outcomes.append(_outcome("skipped", ended, "not tried after what went wrong before"))
            continue
        outcome = _one(store, root.fd, job, part_size, deadline - time.monotonic())
        outcome["msg"] += store.abort()
        outcomes.append(outcome)
        ended = outcome["state"] if outcome["state"] not in ("ok", "differing", "archived") else ""
    return store.shown({"outcomes": outcomes})  # type: ignore[no-any-return]


def _one(store: _Store, directory: int, job: Job | Leftover, part_size: int, seconds: float) -> dict[str, str]:
    if isinstance(job, Leftover):
        return _tried(store, lambda: store.remove(job), seconds)
    try:
        fd = _opened(directory, job)
    except OSError as error:
        return _outcome("skipped", "ok", f"the archive cannot be read: {error.strerror}")
    try:
        return _tried(store, lambda: store.do(job, fd, part_size), seconds)
    finally:
        os.close(fd)


def _tried(store: _Store, work: Callable[[], str], seconds: float) -> dict[str, str]:
    try:
        return _outcome("done", "ok", within(work, seconds, store.late(seconds)))
    except DiffersError:
        return _outcome("failed", "differing", "")
    except ChangedError as error:
        return _outcome("skipped", "ok", str(error))
    except Exception as error:  # noqa: BLE001  whatever a library raises is a state
        why = store.explained(error)
        if why.state == "archived":
            return _outcome("skipped", why.state, f"{why.state}: {store.step}: {why.reason}")
        return _outcome("failed", why.state, f"{why.state}: {store.step}: {why.reason}")


def _outcome(result: str, state: str, said: str) -> dict[str, str]:
    return {"result": result, "state": state, "msg": one_line(said, 600)}


def _opened(directory: int, job: Job) -> int:
    fd = open_regular_at(directory, job.name)
    if os.fstat(fd).st_size != job.size:
        os.close(fd)
        raise OSError(0, "it was changed meanwhile")
    return fd


class _Store:
    """A bucket, and what begins the names of copies in it."""

    def __init__(self, settings: Settings, root: Root | None = None) -> None:
        self._settings = settings
        self._root = root
        self._hidden = settings.hidden()
        self._s3: Any = None
        self._status = 0
        self._unfinished: dict[str, str] | None = None
        # Whether a write must fail where there is something already, and whether the store knows that condition.
        self._only_new = False
        self._conditional = True
        self.step = "credentials"

    def late(self, seconds: float) -> Fault:
        """That the time is up."""
        return fault("timeout", f"not done within {seconds:.3g} s")

    def shown(self, value: Any) -> Any:
        """A value without secrets."""
        return clean(value, self._hidden)

    def explained(self, error: BaseException) -> Fault:
        """What an error means."""
        where = self._s3.meta.endpoint_url if self._s3 else "the settings"
        return explain(error, self.step, where=where, show=self.shown, status=self._status)

    # Looking

    def copies(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """What the store has of these archives. One in a cold class stops no other."""
        from botocore.exceptions import ClientError

        listed = self._listed(ARCHIVES_BEGIN, {name + end for name in names for end in ("", _MARK)})
        found: dict[str, dict[str, Any]] = {}
        for name in names:
            copy, mark = listed.get(name), listed.get(name + _MARK)
            if copy:
                found[name] = {"bytes": copy["Size"], "mark": "", "marked": "", "archived": False}
                if mark is None:
                    continue
                try:
                    found[name]["mark"] = said = self._marked(name)
                    found[name]["marked"] = said if mark["LastModified"] >= copy["LastModified"] else ""
                except ClientError as error:
                    if self.explained(error).state != "archived":
                        raise
                    found[name]["archived"] = True
        return found

    def _listed(self, begin: str, names: set[str]) -> dict[str, Any]:
        self._connect()
        self.step = "list"
        bucket, prefix, found = self._settings.bucket, self._settings.prefix, {}
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix + begin):
            # A login page with status 200 can be read as well, as a list of nothing.
            if not page.get("Name"):
                raise fault("invalid", "HTTP 200, and no list of a bucket")
            for entry in page.get("Contents", []):
                name = entry["Key"][len(prefix) :]
                if name in names:
                    found[name] = entry
        return found

    def _marked(self, name: str) -> str:
        """The SHA-256 that a mark says, "" where it is no mark of this archive."""
        self.step = "get"
        said = self._s3.get_object(**self._at(name + _MARK))
        with contextlib.closing(said["Body"]) as body:
            mark = _MARKED.fullmatch(body.read(_MARK_MAX).decode("latin-1"))
        return mark.group(1) if mark and mark.group(2) == name else ""

    # Copying

    def do(self, job: Job, fd: int, part_size: int) -> str:
        """Bring an archive there if it is not, compare what is there, mark it; what came of it, for people."""
        self._connect()
        sent = job.kind == "copy" and not self._listed(job.name, {job.name}) and self._send(job, fd, part_size)
        self._compare(job)
        self.step = "put"
        mark = f"{job.sha256}  {job.name}\n".encode()
        self._s3.put_object(**self._at(job.name + _MARK), **_body(mark), ContentType="text/plain")
        how = "copied, read back and compared" if sent else "read back and compared"
        return f"{job.size} bytes {how}, SHA-256 {job.sha256[:12]}…"

    def _send(self, job: Job, fd: int, part_size: int) -> bool:
        """Whether the archive was created in the store; not where an object of this name came first."""
        self.step = "put"
        about = {**self._at(job.name), "ContentType": "application/octet-stream", "Metadata": {"sha256": job.sha256}}
        sha256 = hashlib.sha256()
        if job.size <= part_size:
            data = _piece(job, fd, 0, part_size, sha256)
            _require_whole(job, sha256)
            return self._create(lambda: self._s3.put_object(**about, **_body(data)))
        upload = {**self._at(job.name), "UploadId": self._s3.create_multipart_upload(**about)["UploadId"]}
        self._unfinished = upload
        self._note(upload["UploadId"], Upload(self._settings.destination, job.name))
        size, parts = max(part_size, -(-job.size // _PARTS_MAX)), []
        for number, start in enumerate(range(0, job.size, size), 1):
            said = self._s3.upload_part(**upload, PartNumber=number, **_body(_piece(job, fd, start, size, sha256)))
            parts.append({"PartNumber": number, "ETag": said["ETag"]})
        _require_whole(job, sha256)
        created = self._create(lambda: self._s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}))
        if created:
            self._unfinished = None
            self._note(upload["UploadId"], None)
        return created

    def _note(self, upload: str, begun: Upload | None) -> None:
        """Keep that an upload was begun, or that it ended, so that whoever comes after a kill can remove it."""
        if self._root is None:
            return
        register = read_register(self._root)
        if begun:
            register.uploads[upload] = begun
        else:
            register.uploads.pop(upload, None)
        write_register(self._root, register)

    def _create(self, write: Callable[[], Any]) -> bool:
        """Write where there is nothing; what came meanwhile stays, and is compared as ours would be."""
        from botocore.exceptions import ClientError

        self._only_new = self._conditional
        try:
            write()
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            code = error.response.get("Error", {}).get("Code")
            if status == 412 or code == "ConditionalRequestConflict":
                return False
            if status != 501 or not self._only_new:
                raise
            # A store that does not know the condition: that there is nothing was seen a moment ago.
            self._conditional = False
            return self._create(write)
        finally:
            self._only_new = False
        return True

    def _compare(self, job: Job) -> None:
        self.step = "get"
        sha256, size = hashlib.sha256(), 0
        with contextlib.closing(self._s3.get_object(**self._at(job.name))["Body"]) as body:
            while size <= job.size and (data := body.read(_CHUNK)):
                sha256.update(data)
                size += len(data)
        if (size, sha256.hexdigest()) != (job.size, job.sha256):
            raise DiffersError

    def remove(self, leftover: Leftover) -> str:
        """Remove an upload that a run before began; what came of it, for people."""
        from botocore.exceptions import ClientError

        self._connect()
        self.step = "delete"
        said = "removed, with the parts that were sent"
        try:
            self._s3.abort_multipart_upload(**self._at(leftover.name), UploadId=leftover.upload)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "NoSuchUpload":
                raise
            said = "the store has it no more"
        self._note(leftover.upload, None)
        return said

    def abort(self) -> str:
        """Remove an upload that was begun and not ended; empty, or what people should know where that fails."""
        upload, self._unfinished = self._unfinished, None
        if upload is None:
            return ""
        try:
            within(lambda: self._s3.abort_multipart_upload(**upload), _ABORT_S / 2, self.late(_ABORT_S / 2))
        except Exception as error:  # noqa: BLE001  whatever a library raises
            return f"; the parts that were sent stay in the store until the next run ({self.explained(error).state})"
        self._note(upload["UploadId"], None)
        return ""

    # boto3

    def _at(self, name: str) -> dict[str, str]:
        return {"Bucket": self._settings.bucket, "Key": self._settings.prefix + name}

    def _connect(self) -> None:
        if self._s3:
            return
        import boto3.session

        session = boto3.session.Session()
        self._s3 = new_client(session, "s3", self._settings, self._settings.endpoint_url)
        self._s3.meta.events.register("response-received", self._see)
        for write in ("PutObject", "CompleteMultipartUpload"):
            self._s3.meta.events.register(f"before-call.s3.{write}", self._condition)
        found = session.get_credentials()
        if found is None:
            raise fault("not_configured", "no credentials were found where the environment says")
        self._hidden.update(hiding(found.get_frozen_credentials()))

    def _see(self, response_dict: Mapping[str, Any] | None, **_event: Any) -> None:
        self._status = response_dict["status_code"] if response_dict else 0

    def _condition(self, params: dict[str, Any], **_event: Any) -> None:
        # An argument of its own for it came with boto3 1.35.
        if self._only_new:
            params["headers"]["If-None-Match"] = "*"


def _body(data: bytes) -> dict[str, Any]:
    """What is sent, with the checksum that buckets with a retention ask for and that every store knows."""
    md5 = hashlib.md5(data, usedforsecurity=False).digest()  # the read-back is what proves it
    return {"Body": data, "ContentMD5": base64.b64encode(md5).decode()}


def _piece(job: Job, fd: int, start: int, size: int, sha256: Any) -> bytes:
    data = os.pread(fd, size, start)
    if len(data) != min(size, job.size - start):
        raise ChangedError(_CHANGED)
    sha256.update(data)
    return data


def _require_whole(job: Job, sha256: Any) -> None:
    """What is sent is what was looked at, and proved to be whole."""
    if sha256.hexdigest() != job.sha256:
        raise ChangedError(_CHANGED)
