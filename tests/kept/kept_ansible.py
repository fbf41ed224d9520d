"""Keep between runs of Ansible what it otherwise works out anew in each of them, though nothing has changed.

    the code of a collection's plugins    Ansible compiles their source in every run, and once more in each worker
    the payloads of modules               in every run it parses the source of a module and of the hundred files that
                                          it needs, to find them; and on the host Python compiles all of these for
                                          every task. A kept payload has them compiled beside their source.
    YAML of Ansible and of this project   its own settings and routes, the documentation of plugins, roles, playbooks

What is kept has a name made of the content of all that it comes from, so that nothing outdated is ever used. It lies
in the directory that MEDIA_OPS_KEPT names; where that cannot be written, Ansible works as it does without.
"""

from __future__ import annotations

import _imp
import base64
import contextlib
import dataclasses
import hashlib
import io
import marshal
import os
import pickle
import sys
import zipfile
from collections.abc import Callable, Iterable
from importlib.util import MAGIC_NUMBER, source_hash
from pathlib import Path
from types import CodeType, ModuleType, SimpleNamespace
from typing import Any

from ansible.release import __version__

KEPT = Path(os.environ.get("MEDIA_OPS_KEPT", os.devnull))
OURS = "ansible_collections.media_ops.runbook.plugins.modules."
PYTHON = f"{sys.implementation.cache_tag}-{sys.flags.optimize}".encode()
ANSIBLE = __version__.encode()
ROOT = Path(__file__).resolve().parents[2]
FILES = tuple(f"{ROOT / name}/" for name in ("playbooks", "roles"))
_UNCHECKED_HASH = 1


def patch(module: ModuleType) -> None:
    """Let a module of Ansible that was just loaded use what is kept."""
    with contextlib.suppress(OSError):
        KEPT.mkdir(parents=True, exist_ok=True)
    changed: Any = module
    match module.__name__.rpartition(".")[2]:
        case "manager":
            plain_file = changed.ConfigManager._read_config_yaml_file
            changed.ConfigManager._read_config_yaml_file = lambda self, path: remembered(
                "settings", [Path(os.fsdecode(path)).read_bytes()], lambda: plain_file(self, path)
            )
        case "module_common":
            changed._find_module_utils = Payloads(module).find
        case "dataloader":
            changed.from_yaml = from_yaml(changed.from_yaml)
            changed.copy = SimpleNamespace(deepcopy=copied)
        case "loader":
            changed.yaml = SimpleNamespace(load=load_yaml(changed.yaml.load))
        case "_collection_finder":
            changed.compile = compiled
        case "_collection_meta":
            plain_meta = changed._meta_yml_to_dict
            changed._meta_yml_to_dict = lambda data, content_id: remembered(
                "meta", [_bytes(data)], lambda: plain_meta(data, content_id)
            )


def remembered(kind: str, inputs: Iterable[bytes], work: Callable[[], Any]) -> Any:
    """What some work makes of its inputs."""
    kept = KEPT / f"{kind}-{_digest(PYTHON, *inputs)}"
    try:
        return pickle.loads(kept.read_bytes())
    except OSError:
        made = work()
        _keep(kept, pickle.dumps(made, pickle.HIGHEST_PROTOCOL))
        return made


def copied(value: Any) -> Any:
    """A deep copy of what was read from a file, five times as fast as copy.deepcopy() makes it."""
    return pickle.loads(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))


def from_yaml(plain: Callable[..., Any]) -> Callable[..., Any]:
    """The function, for files of the project by what is kept: those of a test may have what Ansible warns about."""

    def read(data: str, file_name: str = "", **given: Any) -> Any:
        def work() -> Any:
            return plain(data=data, file_name=file_name, **given)

        if not str(file_name).startswith(FILES) or given.get("json_only"):
            return work()
        return remembered("yaml", [file_name.encode(), *_tagged(data)], work)

    return read


def load_yaml(plain: Callable[..., Any]) -> Callable[..., Any]:
    """yaml.load() for documentation of plugins."""

    def load(source: Any, Loader: Any) -> Any:  # noqa: N803
        if not isinstance(source, str):
            return plain(source, Loader=Loader)
        return remembered("documentation", [Loader.__name__.encode(), *_tagged(source)], lambda: plain(source, Loader))

    return load


def _tagged(text: str) -> list[bytes]:
    """A text and what Ansible notes of it: where it comes from, and whether it is trusted."""
    from ansible.module_utils._internal._datatag import AnsibleTagHelper

    return [ANSIBLE, _bytes(text), *sorted(repr(tag).encode() for tag in AnsibleTagHelper.tags(text))]


def _bytes(text: str | bytes) -> bytes:
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text


def compiled(source: str | bytes, filename: str, mode: str, flags: int, dont_inherit: bool) -> CodeType:
    """The code of a source, as compile() makes it."""
    kept = KEPT / f"code-{_digest(_bytes(source), mode.encode(), str(flags).encode(), PYTHON)}"
    try:
        code = marshal.loads(kept.read_bytes())
    except OSError:
        code = compile(source, filename, mode, flags=flags, dont_inherit=dont_inherit)
        _keep(kept, marshal.dumps(code))
    else:
        _imp._fix_co_filename(code, filename)  # type: ignore[attr-defined]
    assert isinstance(code, CodeType)
    return code


class Payloads:
    """The payloads of the modules of Ansible itself and of our collection."""

    def __init__(self, module_common: Any) -> None:
        self._ansible = module_common
        self._plain = module_common._find_module_utils

    def find(self, **given: Any) -> Any:
        """As `_find_module_utils` does, with the directory of payloads of this run filled from what is kept."""
        name = self._name(given)
        if not name:
            return self._plain(**given)
        from ansible import constants

        kept = KEPT / f"payload-{self._inputs(given)}"
        of_run = Path(constants.DEFAULT_LOCAL_TMP, "ansiballz_cache", name)
        if not of_run.exists():
            with contextlib.suppress(OSError):
                content = kept.read_bytes()
                of_run.parent.mkdir(exist_ok=True)
                _keep(of_run, content)
        built = self._plain(**given)
        if of_run.exists() and not kept.exists():
            made = self._ansible._CachedModule.load(of_run)
            data = base64.b64encode(with_code(base64.b64decode(made.zip_data)))
            _keep(kept, self._ansible.pickle.dumps(dataclasses.replace(made, zip_data=data)))
        return built

    def _name(self, given: dict[str, Any]) -> str:
        """The name that Ansible gives to a payload within a run; "" for one that is not kept."""
        try:
            full = str(self._ansible._get_ansible_module_fqn(given["module_path"]))
        except ValueError:
            return ""
        places = {Path(path).resolve() for path in self._ansible.module_utils_loader._get_paths(subdirs=False)}
        elsewhere = [
            path for path in places if path.is_dir() and path != Path(self._ansible._MODULE_UTILS_PATH).resolve()
        ]
        options = self._ansible._builder.ExtensionManager.create(task_vars=given["task_vars"]).extension_names
        ours = full.startswith(("ansible.modules.", OURS))
        return f"{full}-{given['module_compression']}-none" if ours and not elsewhere and not options else ""

    def _inputs(self, given: dict[str, Any]) -> str:
        """A name for all that a payload is made of."""
        path = Path(given["module_path"])
        parts = [PYTHON, self._ansible.__file__.encode(), self._ansible.__version__.encode(), str(path.name).encode()]
        parts += [given["module_compression"].encode(), given["b_module_data"], str(path).encode()]
        root = path.parents[2]
        if root.joinpath("plugins", "module_utils").is_dir():
            routes = root / "meta" / "runtime.yml"
            for file in [*sorted(root.glob("plugins/module_utils/**/*.py")), *([routes] if routes.exists() else [])]:
                parts += [str(file.relative_to(root)).encode(), file.read_bytes()]
        return _digest(*parts)


def with_code(payload: bytes) -> bytes:
    """A payload with the code of each source beside it. A Python of another version passes over it."""
    made = io.BytesIO(payload)
    with zipfile.ZipFile(made, "a", zipfile.ZIP_DEFLATED) as archive:
        for entry in archive.infolist().copy():
            source = archive.read(entry)
            code = compile(source, entry.filename, "exec", dont_inherit=True)
            head = MAGIC_NUMBER + _UNCHECKED_HASH.to_bytes(4, "little") + source_hash(source)
            new = zipfile.ZipInfo(f"{entry.filename}c", entry.date_time)
            new.compress_type = entry.compress_type
            archive.writestr(new, head + marshal.dumps(code))
    return made.getvalue()


def _digest(*parts: bytes) -> str:
    made = hashlib.blake2b(digest_size=20)
    for part in parts:
        made.update(b"%d " % len(part))
        made.update(part)
    return made.hexdigest()


def _keep(file: Path, content: bytes) -> None:
    """Write a file at once with all its content, where it can be."""
    part = file.with_name(f"{file.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        try:
            part.write_bytes(content)
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
