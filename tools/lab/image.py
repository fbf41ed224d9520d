"""The root file systems that lab hosts share: `plain`, and `media` as a layer on top of it."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from pathlib import Path

from .system import LabError, locked, mount_overlay, mounts_below, run, unmount_below

PLAIN = (
    "systemd", "systemd-sysv", "dbus", "openssh-server", "python3", "python3-apt",
    "sudo", "iproute2", "procps", "ca-certificates",
)  # fmt: skip
MEDIA = (
    "ffmpeg", "python3-psutil", "python3-requests", "python3-boto3", "python3-jmespath",
    "python3-fastapi", "python3-uvicorn", "runit", "logrotate",
)  # fmt: skip
# An older image is made anew, so that the packages in it are those that the archive has.
MAX_AGE_S = 14 * 86400
BUILD_LIMIT_S = 900

# First boot asks nothing, host keys come with each host, and apt may be used as in any other host.
SET_UP = """
set -eu
systemctl --root="$1" enable ssh.service systemd-networkd.service
systemctl --root="$1" mask systemd-firstboot.service systemd-networkd-wait-online.service
systemctl --root="$1" disable apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer
rm -f "$1"/etc/ssh/ssh_host_* "$1"/etc/machine-id "$1"/var/lib/dbus/machine-id
printf 'HostKey /etc/ssh/ssh_host_ed25519_key\\nPasswordAuthentication no\\nUseDNS no\\nMaxStartups 100\\n' \\
  >"$1"/etc/ssh/sshd_config.d/lab.conf
chroot "$1" useradd --create-home --shell /bin/bash ops
printf 'ops ALL=(ALL) NOPASSWD: ALL\\n' >"$1"/etc/sudoers.d/ops
chmod 0440 "$1"/etc/sudoers.d/ops
"""


def cache_dir() -> Path:
    """Where images and the hosts' disks are kept."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "media_ops_runbook")
    return Path(os.environ.get("MEDIA_OPS_CACHE") or default).resolve() / "lab"


def layers(image: str) -> list[Path]:
    """Return an image's layers, topmost first; what is missing is made."""
    if image not in ("plain", "media"):
        raise LabError(f"image {image!r}: there are plain and media")
    suite = _suite()
    cache = cache_dir()
    plain = cache / f"plain-{_key(suite, *PLAIN)}"
    media = cache / f"media-{_key(plain.name, *MEDIA)}"
    with locked(cache / "images.lock"):
        _drop_old(cache)
        if not _complete(plain).exists():
            _complete(media).unlink(missing_ok=True)  # a layer fits only what it was made upon
            _make_plain(suite, plain)
        if image == "plain":
            return [plain]
        if not _complete(media).exists():
            _make_media(plain, media)
        return [media, plain]


def _suite() -> str:
    for line in Path("/etc/os-release").read_text(encoding="utf-8").splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    raise LabError("/etc/os-release: no VERSION_CODENAME; lab hosts are made with this machine's own release of Debian")


def _key(*parts: str) -> str:
    return hashlib.sha256("\n".join((*parts, SET_UP)).encode()).hexdigest()[:12]


def _complete(image: Path) -> Path:
    return image.with_name(image.name + ".complete")


def _drop_old(cache: Path) -> None:
    """Remove images past their age that no host uses."""
    mounted = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    for mark in cache.glob("*.complete"):
        image = mark.with_suffix("")
        if time.time() - mark.stat().st_mtime > MAX_AGE_S and str(image) not in mounted:
            mark.unlink()
            shutil.rmtree(image, ignore_errors=True)


def _sources(suite: str) -> str:
    """Return this machine's apt sources of the suite, one a line."""
    found = run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"])
    lines = [f"deb {line}" for line in found.splitlines() if line.split()[1].startswith(suite)]
    if not lines:
        raise LabError(f"apt has no source for {suite}; an `apt-get update` may be missing")
    return "\n".join(dict.fromkeys(lines)) + "\n"


def _make_plain(suite: str, image: Path) -> None:
    _discard(image)
    run(
        [
            "mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory", "--skip=cleanup/apt/lists",
            f"--include={','.join(PLAIN)}", suite, str(image), "-",
        ],
        stdin=_sources(suite), timeout=BUILD_LIMIT_S,
    )  # fmt: skip
    run(["sh", "-c", SET_UP, "sh", str(image)])
    _complete(image).touch()


def _make_media(plain: Path, image: Path) -> None:
    _discard(image)
    scratch = image.with_name(image.name + ".build")
    merged = scratch / "merged"
    mount_overlay([plain], image, scratch / "work", merged)
    try:
        for name in ("resolv.conf", "hosts"):
            shutil.copy(Path("/etc", name), merged / "etc" / name)
        nspawn = ["systemd-nspawn", "-q", "-D", str(merged), "--register=no", "--keep-unit", "--resolv-conf=off"]
        install = ["apt-get", "-qq", "-o", "DPkg::Options::=--force-unsafe-io", "install", "--no-install-recommends"]
        run(
            [*nspawn, "--setenv=DEBIAN_FRONTEND=noninteractive", "--console=pipe", *install, *MEDIA],
            timeout=BUILD_LIMIT_S,
        )
    finally:
        unmount_below(scratch)
    shutil.rmtree(scratch)
    for log in (image / "var/log").glob("**/*.log"):
        log.unlink()
    _complete(image).touch()


def _discard(image: Path) -> None:
    """Remove what a build that was cut short has left."""
    for directory in (image, image.with_name(image.name + ".build")):
        unmount_below(directory)
        if mounts_below(directory):
            raise LabError(f"{directory} is still mounted")
        shutil.rmtree(directory, ignore_errors=True)
