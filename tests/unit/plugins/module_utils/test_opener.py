"""The opener of what belongs to others: real files of every kind, and links that another user made."""

from __future__ import annotations

import ast
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils import opener

NOBODY = 65534
PLUGINS = Path(__file__).resolve().parents[4] / "plugins"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: files of another user")


def bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as there:
        there.bind(str(path))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (os.mkfifo, "it is a FIFO, not a regular file"),
        (Path.mkdir, "it is a directory, not a regular file"),
        (bind, "it is a socket, not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "it is a device, not a regular file"),
        (lambda path: path.symlink_to(path.name), "leads to no end"),
        (lambda path: None, "No such file or directory"),
    ],
)
def test_what_is_no_regular_file_is_named_and_never_opened(
    tmp_path: Path, make: Callable[[Path], object], said: str
) -> None:
    make(tmp_path / "there")
    with pytest.raises(OSError, match=said):
        opener.open_regular(str(tmp_path / "there"), follow=True)


def test_a_writer_that_waits_at_a_fifo_is_not_let_go(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(opener.NotRegularError):
        opener.open_regular(str(tmp_path / "fifo"))
    with pytest.raises(OSError, match="No such device or address"):  # nobody reads there
        os.open(tmp_path / "fifo", os.O_WRONLY | os.O_NONBLOCK)


def test_more_than_the_limit_is_an_error_and_reads_no_more(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 100)
    assert opener.read_regular(str(file), 100) == b"x" * 100
    os.truncate(file, 1 << 40)  # a hole: it would fill the memory
    with pytest.raises(OSError, match="it has more than 100 bytes"):
        opener.read_regular(str(file), 100)


def test_ones_own_links_are_followed_and_the_last_only_where_it_is_meant(tmp_path: Path) -> None:
    (tmp_path / "real/deep").mkdir(parents=True)
    (tmp_path / "real/file").write_text("content")
    (tmp_path / "way").symlink_to("real/deep")
    (tmp_path / "real/deep/last").symlink_to("../file")
    path = str(tmp_path / "way/./last")
    assert opener.read_regular(path, 100, follow=True) == b"content"
    assert opener.resolved(path) == f"{tmp_path}/real/file"
    assert opener.resolved(f"{tmp_path}/way/none") == f"{tmp_path}/real/deep/none"
    assert opener.resolved(f"{tmp_path}/way/../file") == f"{tmp_path}/real/file", "as the kernel goes"
    with pytest.raises(opener.NotRegularError, match="it is a symbolic link"):
        opener.open_regular(path)


@needs_root
@pytest.mark.parametrize("follow", [False, True])
def test_a_link_of_another_user_is_not_followed(tmp_path: Path, follow: bool) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/application.log").write_text("root's")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, NOBODY, NOBODY)
    subprocess.run([sys.executable, "-c", MAKE_LINKS, str(tmp_path / "secret")], cwd=theirs, check=True)
    assert (theirs / "logs/application.log").read_text() == "root's", "the link leads there"
    for path in (theirs / "logs/application.log", theirs / "application.log"):
        refused = "it is a symbolic link" if path.parent == theirs and not follow else f"of uid {NOBODY}"
        with pytest.raises(opener.NotRegularError, match=refused):
            opener.open_regular(str(path), follow=follow)
    with pytest.raises(opener.NotRegularError, match=f"of uid {NOBODY}"):
        opener.resolved(str(theirs / "logs/application.log"))
    with pytest.raises(opener.NotRegularError, match=f"of uid {NOBODY}"):
        opener.open_directory(str(theirs / "logs/deeper"))


MAKE_LINKS = f"""
import os, sys
os.setgid({NOBODY}); os.setuid({NOBODY})
os.symlink(sys.argv[1], "logs")
os.symlink(sys.argv[1] + "/application.log", "application.log")
"""


@needs_root
@pytest.mark.parametrize(("owner", "mode"), [(NOBODY, 0o755), (0, 0o1777), (0, 0o777)])
def test_a_link_of_ones_own_where_another_may_have_put_it_is_not_followed(
    tmp_path: Path, owner: int, mode: int
) -> None:
    (tmp_path / "file").touch()
    place = tmp_path / "place"
    place.mkdir()
    (place / "link").symlink_to("../file")
    os.close(opener.open_regular(str(place / "link"), follow=True))
    os.chown(place, owner, owner)
    place.chmod(mode)
    with pytest.raises(opener.NotRegularError, match="another user may change"):
        opener.open_regular(str(place / "link"), follow=True)


def test_a_lease_of_another_process_makes_nobody_wait(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("content")
    script = "import fcntl, os, signal, sys; signal.signal(signal.SIGIO, signal.SIG_IGN); "
    script += "fcntl.fcntl(os.open(sys.argv[1], os.O_RDWR), fcntl.F_SETLEASE, fcntl.F_WRLCK); "
    script += "print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout
        assert holder.stdin
        assert holder.stdout.readline() == b"\n"
        with pytest.raises(BlockingIOError):
            opener.open_regular(str(file))
        holder.stdin.close()


# --- no other way to open a file

# What is opened otherwise, and cannot be another's: by the file and the call as it stands there.
ALLOWED = {
    ("archives/archive.py", 'tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT, bufsize=_CHUNK)'),
    ("archives/archive.py", 'tarfile.open(fileobj=unpacked, mode="r|", bufsize=_CHUNK)'),
    ("archives/making.py", "os.open(self._between.temp_name, NEW_FILE, 0o600, dir_fd=self._archives.fd)"),
    ("archives/redacted.py", "os.open(name, NEW_FILE, 0o600, dir_fd=directory)"),
    # By O_PATH nothing is opened, which could hold anybody up.
    ("disk/sweep.py", "os.open(file.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)"),
    ("evidence/bundles.py", 'tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT)'),
    ("evidence/bundles.py", "os.open(BUNDLES, flags, dir_fd=state_dir)"),
    ("storage/client.py", "os.open(os.devnull, os.O_RDWR)"),
}
READS = {"open", "read_text", "read_bytes", "open_code"}


def opened_in(path: Path) -> set[str]:
    """The calls of a file that open something by its name."""
    text = path.read_text(encoding="utf-8")
    names = (
        (node, node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", ""))
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
    )
    return {ast.get_source_segment(text, node) or "" for node, name in names if name in READS}


def test_what_belongs_to_others_is_opened_by_the_opener_alone() -> None:
    """The kernel's own files are read in `system`, and the state directory's in `state`, by their open directory."""
    below = PLUGINS / "module_utils"
    found = {
        (str(path.relative_to(below)), call)
        for path in sorted(below.rglob("*.py"))
        if path.relative_to(below).parts[0] not in ("system", "state", "opener.py")
        for call in opened_in(path)
    }
    found |= {(path.name, call) for path in sorted((PLUGINS / "modules").glob("*.py")) for call in opened_in(path)}
    assert sorted(found - ALLOWED) == [], "open it by module_utils/opener.py"
    assert sorted(ALLOWED - found) == [], "take it out of the table"


def test_an_open_by_its_name_is_found(tmp_path: Path) -> None:
    code = 'import os\nfrom pathlib import Path\nopen("a")\nos.open("b", 0)\nPath("c").read_text()\nos.fdopen(3)\n'
    (tmp_path / "code.py").write_text(code)
    assert opened_in(tmp_path / "code.py") == {'open("a")', 'os.open("b", 0)', 'Path("c").read_text()'}
