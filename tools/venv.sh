#!/usr/bin/env bash
# Print the path of the virtual environment for dependency group $1 (run or dev); make it when it is missing.
# It lives under the cache directory, keyed by the Python and the locked packages, so a change of either makes a new one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
group=${1:?usage: tools/venv.sh run|dev}

works() { "$1" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
python=${PYTHON:-}
if [ -z "$python" ]; then
  for candidate in python3 python3.13 python3.12 python3.11; do
    if works "$candidate"; then python=$candidate; break; fi
  done
fi
if [ -z "$python" ] || ! works "$python"; then
  echo "error: Python 3.11 or newer is needed; ${python:-none} does not do. Set PYTHON=/path/to/python3.11 or newer." >&2
  exit 1
fi

key=$({ "$python" -c 'import sys; print(sys.version, sys.base_prefix)'; cat tools/locks/uv.txt "tools/locks/$group.txt"; } | sha256sum | cut -c1-12)
cache=${MEDIA_OPS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/media_ops_runbook}
venv=$cache/venv-$group-$key
mkdir -p "$cache"
exec 9>"$cache/venv-$group.lock"
flock 9
if [ ! -e "$venv/.complete" ]; then
  echo "Setting up Python environment '$group' in $venv (once; about half a minute) ..." >&2
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
      { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv; } >&2
    else
      echo "error: $python has no venv module. Install it first: sudo apt-get install python3-venv" >&2
      exit 1
    fi
  fi
  rm -rf "$venv"
  "$python" -m venv "$venv" >&2
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r tools/locks/uv.txt >&2
  "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --require-hashes -r "tools/locks/$group.txt" >&2
  touch "$venv/.complete"
fi
echo "$venv"
