#!/usr/bin/env bash
# Write tools/locks/GROUP.txt anew: of every package of a dependency group the newest version that its range allows, with
# the hashes of its files, for every Python from 3.11 on. Commit what it writes; tools/venv.sh installs nothing else.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
uv=$(tools/venv.sh dev)/bin/uv
for group in run dev; do
  "$uv" pip compile --quiet --group "$group" --universal --python-version 3.11 --generate-hashes --upgrade \
    --no-header --no-annotate --no-emit-index-url --output-file "tools/locks/$group.txt"
done
echo uv | "$uv" pip compile --quiet - --universal --python-version 3.11 --generate-hashes --upgrade \
  --no-header --no-annotate --no-emit-index-url --output-file tools/locks/uv.txt
