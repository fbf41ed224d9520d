"""The real programs of the Prometheus project, from Debian's packages: promtool, node_exporter, Alertmanager.

They are unpacked into the cache, not installed. ``program`` skips the test where they cannot be had.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGES = {
    "promtool": "prometheus",
    "prometheus-node-exporter": "prometheus-node-exporter",
    "prometheus-alertmanager": "prometheus-alertmanager",
}


def program(name: str) -> str:
    """The path of a program."""
    installed = shutil.which(name)
    if installed:
        return installed
    cache = (
        Path(os.environ.get("MEDIA_OPS_CACHE", Path.home() / ".cache/media_ops_runbook")) / "debian" / PACKAGES[name]
    )
    path = cache / "usr/bin" / name
    if not path.exists():
        _unpack(PACKAGES[name], cache)
    return str(path)


def _cache(name: str) -> Path:
    cache = os.environ.get("MEDIA_OPS_CACHE") or Path.home() / ".cache/media_ops_runbook"
    return Path(cache) / "debian" / PACKAGES[name]


def command(name: str) -> list[str]:
    """What runs a server. Alertmanager reads a template at a fixed place, which it is shown in a mount namespace."""
    path = program(name)
    share = _cache(name) / "usr/share"
    if name != "prometheus-alertmanager" or not path.startswith(str(_cache(name))):
        return [path]
    if os.geteuid() != 0:
        pytest.skip(f"{name} is not installed, and only root can run it from elsewhere")
    mount = f'mount -t overlay overlay -o "lowerdir={share}:/usr/share" /usr/share && exec "$@"'
    return ["unshare", "--mount", "/bin/sh", "-c", mount, "sh", path]


def _unpack(package: str, target: Path) -> None:
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        pytest.skip(f"{package} is not installed, and this is no Debian to fetch it from")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        # As nobody but us reads it, apt's own user need not.
        fetch = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package]
        ran = subprocess.run(fetch, cwd=scratch, capture_output=True, text=True, timeout=300, check=False)
        files = list(Path(scratch).glob("*.deb"))
        if ran.returncode or not files:
            pytest.skip(f"apt cannot fetch {package}: {ran.stderr.strip()[-200:]}")
        tree = Path(scratch) / "tree"
        subprocess.run(["dpkg-deb", "-x", files[0], tree], check=True, timeout=120)
        with contextlib.suppress(OSError):  # another test process was faster
            tree.rename(target)


@contextlib.contextmanager
def serving(name: str, path: str, *arguments: str) -> Iterator[str]:
    """A server of the project on a port from the kernel, which answers at ``path``; gives its URL."""
    for _attempt in range(5):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        run = [*command(name), f"--web.listen-address=127.0.0.1:{port}", *arguments]
        process = subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            url = f"http://127.0.0.1:{port}"
            if _answers(f"{url}{path}", process):
                yield url
                return
        finally:
            process.terminate()
            process.wait(30)
    raise RuntimeError(f"{name} does not come up")


def _answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return True
        except (OSError, urllib.error.URLError):
            time.sleep(0.05)
    return False
