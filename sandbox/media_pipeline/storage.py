# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where results go: a bucket when one is configured, a local directory otherwise."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from .config import Settings, Storage


class StorageError(Exception):
    """The store refused or did not answer; the message says why, without secrets."""


def _client(storage: Storage, timeout: float, attempts: int) -> Any:
    import boto3
    from botocore.config import Config

    return boto3.session.Session().client(
        "s3",
        region_name=storage.region,
        endpoint_url=storage.endpoint_url or None,
        aws_access_key_id=storage.access_key,
        aws_secret_access_key=storage.secret_key,
        config=Config(
            connect_timeout=timeout,
            read_timeout=timeout,
            retries={"total_max_attempts": attempts},
            s3={"addressing_style": "path" if storage.endpoint_url else "auto"},
        ),
    )


def list_one(storage: Storage) -> int:
    """List one object of the bucket with a limit of 5 s; return how many came."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answer = _client(storage, 5, 1).list_objects_v2(Bucket=storage.bucket, MaxKeys=1)
    except (BotoCoreError, ClientError, ValueError) as error:
        raise StorageError(str(error)) from error
    return int(answer.get("KeyCount", 0))


def store(settings: Settings, source: Path, session_id: str) -> str:
    """Put a result away; return where it is."""
    name = f"{session_id}/{source.name}"
    if settings.storage is None:
        target = settings.result_dir / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        return str(target)

    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client = _client(settings.storage, min(30, settings.processing_timeout), 2)
        client.upload_file(str(source), settings.storage.bucket, f"merged/{name}")
    except (Boto3Error, BotoCoreError, ClientError, ValueError) as error:
        raise StorageError(str(error)) from error
    return f"s3://{settings.storage.bucket}/merged/{name}"
