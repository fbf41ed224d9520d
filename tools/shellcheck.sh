#!/usr/bin/env bash
# Check every shell script that git knows of.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mapfile -d '' scripts < <(git ls-files -z -- '*.sh' .ci/run)
echo "shellcheck of ${#scripts[@]} scripts"
exec shellcheck "${scripts[@]}"
