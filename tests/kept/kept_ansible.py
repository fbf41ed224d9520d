"""Keep between runs of Ansible what it otherwise works out anew in each of them, though nothing has changed.

    the code of a collection's plugins    Ansible compiles their source in every run, and once more in each worker, and
                                          Python that of a module, with all that it needs, for each task (kept_code)
    the payloads of modules               in every run it parses the source of a module and of the hundred files that
                                          it needs, to find them
    the code of templates and expressions Jinja makes it anew in every worker, of each template at every look at it
    YAML of Ansible and of this project   its own settings and routes, the documentation of plugins, roles, playbooks

What is kept has a name made of the content of all that it comes from, so that nothing outdated is ever used. It lies
in the directory that MEDIA_OPS_KEPT names; where that cannot be written, Ansible works as it does without.
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import os
import pickle
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import kept_code
from ansible.release import __version__
from kept_code import compiled, keep

KEPT = Path(kept_code.KEPT)
OURS = "ansible_collections.media_ops.runbook.plugins.modules."
PYTHON = kept_code.KIND.encode()
ANSIBLE = __version__.encode()
ROOT = Path(__file__).resolve().parents[2]
FILES = tuple(f"{ROOT / name}/" for name in ("playbooks", "roles"))


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
        case "_jinja_bits":
            templates(changed)
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
        keep(str(kept), pickle.dumps(made, pickle.HIGHEST_PROTOCOL))
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


def templates(changed: Any) -> None:
    """Let Ansible's environment of Jinja keep the code of templates that are texts, and of expressions."""
    from jinja2.environment import TemplateExpression

    environment = changed.AnsibleEnvironment
    plain, plain_expression = environment.compile, environment.compile_expression

    def code_of(self: Any, kind: str, source: str, work: Callable[[], Any]) -> Any:
        escapes = changed._TemplateCompileContext.current(optional=True)
        settings = [getattr(self, name) for name in changed._TEMPLATE_OVERRIDE_FIELD_NAMES]
        inputs = [ANSIBLE, repr([settings, escapes and escapes.escape_backslashes]).encode(), _bytes(source)]
        return marshal.loads(remembered(kind, inputs, lambda: marshal.dumps(work())))

    def compile_template(self: Any, source: Any, *given: Any, **named: Any) -> Any:
        def work() -> Any:
            return plain(self, source, *given, **named)

        is_of_text = isinstance(source, str) and not given and not named
        return code_of(self, "template", source, work) if is_of_text else work()

    def compile_expression(self: Any, source: str, undefined_to_none: bool = True) -> Any:
        def work() -> Any:
            # What an expression becomes goes to compile_template as nodes.
            made: list[Any] = []

            def take(nodes: Any) -> Any:
                made.append(plain(self, nodes))
                return made[0]

            self.compile = take
            try:
                plain_expression(self, source, undefined_to_none)
            finally:
                del self.compile
            return made[0]

        code = code_of(self, "expression", source, work)
        template = self.template_class.from_code(self, code, self.make_globals(None))
        return TemplateExpression(template, undefined_to_none)

    environment.compile, environment.compile_expression = compile_template, compile_expression


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
                keep(str(of_run), content)
        built = self._plain(**given)
        if of_run.exists() and not kept.exists():
            keep(str(kept), of_run.read_bytes())
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


def _digest(*parts: bytes) -> str:
    made = hashlib.blake2b(digest_size=20)
    for part in parts:
        made.update(b"%d " % len(part))
        made.update(part)
    return made.hexdigest()
