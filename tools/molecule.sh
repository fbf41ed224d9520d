#!/usr/bin/env bash
# Every molecule scenario, one after the other, or those named. Their hosts are real ones (tools/lab), which takes root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
reason=$(python -c 'from tools.lab.system import missing_reason; print(missing_reason())')
if [ -n "$reason" ]; then
  echo "$reason"
  exit 77
fi
if [ $# = 0 ]; then
  for file in molecule/*/molecule.yml; do
    [ ! -e "$file" ] || set -- "$@" "$(basename "${file%/molecule.yml}")"
  done
fi
if [ $# = 0 ]; then
  echo "error: there is no scenario below molecule/"
  exit 1
fi
failed=()
for scenario in "$@"; do
  molecule test --scenario-name "$scenario" </dev/null || failed+=("$scenario")
done
if [ "${#failed[@]}" -gt 0 ]; then
  echo "failed scenarios: ${failed[*]}"
  exit 1
fi
echo "scenarios that passed: $*"
