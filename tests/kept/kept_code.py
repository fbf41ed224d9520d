"""Keep the code of a source that Python would compile anew: imported by every Python that has this on its path."""

from __future__ import annotations

import _imp
import marshal
import os
import sys
import zipimport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

KEPT = os.environ.get("MEDIA_OPS_KEPT", os.devnull)
KIND = f"{sys.implementation.cache_tag}-{sys.flags.optimize}"
# Python's own hash of sources, by which it knows whether a .pyc is of one
_KEY = int.from_bytes(b"kept", "big")


def keep_code_of_zips() -> None:
    """A module of Ansible comes to its host as an archive of a hundred sources."""
    zipimport._compile_source = lambda path, source: compiled(_normal(source), path)  # type: ignore[attr-defined]


def keep_on_host(directory: str) -> None:
    """On a lab's host, whose users each keep their own: nobody runs what another one wrote."""
    global KEPT  # noqa: PLW0603  once, as Python starts
    KEPT = f"{directory}/{os.geteuid()}"
    try:
        os.mkdir(KEPT, 0o700)
    except OSError:
        pass
    keep_code_of_zips()


def compiled(
    source: str | bytes, filename: str, mode: str = "exec", flags: int = 0, dont_inherit: bool = True
) -> CodeType:
    """The code of a source, as compile() makes it."""
    content = source.encode("utf-8", "surrogatepass") if isinstance(source, str) else source
    name = f"{KEPT}/code-{KIND}-{mode}-{flags}-{len(content)}-{_imp.source_hash(_KEY, content).hex()}"
    try:
        with open(name, "rb") as file:
            code: CodeType = marshal.loads(file.read())
    except OSError:
        code = compile(source, filename, mode, flags=flags, dont_inherit=dont_inherit)
        keep(name, marshal.dumps(code))
    else:
        _imp._fix_co_filename(code, filename)  # type: ignore[attr-defined]
    return code


def keep(name: str, content: bytes) -> None:
    """Write a file at once with all its content, where it can be."""
    part = f"{name}.{os.getpid()}"
    try:
        with open(part, "wb") as file:
            file.write(content)
        os.replace(part, name)
    except OSError:
        _remove(part)


def _remove(name: str) -> None:
    try:
        os.unlink(name)
    except OSError:
        pass


def _normal(source: bytes) -> bytes:
    """As zipimport itself passes it to compile()."""
    return source.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
