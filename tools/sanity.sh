#!/usr/bin/env bash
# ansible-test sanity of the collection and its tests, without an ignore file. It refuses the collection's own symbolic
# link, so it runs in a copy of the tracked files, which stays in the cache: with its virtual environments there, later
# runs take seconds. sandbox/ and tools/ are no part of the collection. Arguments go to ansible-test sanity.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
python=$(command -v ansible-test)
python=${python%/ansible-test}/python
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
core=$("$python" -c 'import ansible; print(ansible.__version__)')

# ansible-test bootstraps pip with a script that it downloads from its maintainers. Python's own ensurepip does as well,
# and then nothing but the package index is needed.
pip=$("$python" - <<'PY'
import pathlib, re, ansible_test
source = pathlib.Path(ansible_test.__path__[0], "_internal/python_requirements.py").read_text(encoding="utf-8")
print(re.search(r"""pip='([\d.]+)'""", source).group(1))
PY
)
bootstrap=$HOME/.ansible/test/cache/get_pip_${pip//./_}.py
if [ ! -e "$bootstrap" ]; then
  mkdir -p "${bootstrap%/*}"
  cat > "$bootstrap.new" <<'PY'
"""Written by tools/sanity.sh of media_ops.runbook: pip from Python's own ensurepip instead of a downloaded script."""
import os
import subprocess
import sys

env = {key: value for key, value in os.environ.items() if key != "GET_PIP"}
subprocess.run([sys.executable, "-m", "ensurepip", "--default-pip"], check=True, env=env, stdout=subprocess.DEVNULL)
packages = [arg for arg in sys.argv[1:] if arg not in ("--no-setuptools", "--no-wheel")]
sys.exit(subprocess.run([sys.executable, "-m", "pip", "install", *packages], env=env).returncode)
PY
  mv "$bootstrap.new" "$bootstrap"
fi

cache=${MEDIA_OPS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/media_ops_runbook}
key=$(printf '%s %s %s' "$root" "$core" "$version" | sha256sum | cut -c1-12)
work=$cache/sanity-$key
tree=$work/ansible_collections/media_ops/runbook
mkdir -p "$tree"
exec 9>"$work/lock"
flock 9

# Only what changed is written, so that ansible-test's own caches hold; what is gone goes.
"$python" - "$root" "$tree" <<'PY'
import pathlib, shutil, subprocess, sys
root, tree = map(pathlib.Path, sys.argv[1:])
command = ["git", "-C", root, "ls-files", "-z", "--", ":!playbooks/collections", ":!sandbox", ":!tools"]
listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
wanted = {name for name in listed.split("\0") if name and (root / name).is_file()}
for path in sorted(tree.rglob("*"), reverse=True):
    name = path.relative_to(tree)
    if name.parts[0] == ".git" or name.parts[:2] == ("tests", "output"):
        continue
    if path.is_dir() and not path.is_symlink():
        if not any(path.iterdir()):
            path.rmdir()
    elif str(name) not in wanted:
        path.unlink()
for name in wanted:
    source, target = root / name, tree / name
    if not target.exists() or target.read_bytes() != source.read_bytes() or target.stat().st_mode != source.stat().st_mode:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
PY
cd "$tree"
[ -e .git ] || git init -q
git add -A
exec ansible-test sanity --local --python "$version" --color no "$@"
