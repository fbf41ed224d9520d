#!/usr/bin/env bash
# Every molecule scenario, or those named. Their hosts are real ones (tools/lab), which takes root.
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
# Each has hosts and directories of its own, and they wait more than they work: two at a time, each told whole.
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
run() {
  echo "... scenario $1 runs"
  molecule test --scenario-name "$1" </dev/null >"$logs/$1" 2>&1 || touch "$logs/$1.failed"
  flock "$logs" cat "$logs/$1"
}
export -f run
export logs
printf '%s\n' "$@" | xargs -P 2 -I NAME bash -c 'run NAME'
failed=()
for scenario in "$@"; do
  [ ! -e "$logs/$scenario.failed" ] || failed+=("$scenario")
done
if [ "${#failed[@]}" -gt 0 ]; then
  echo "failed scenarios: ${failed[*]}"
  exit 1
fi
echo "scenarios that passed: $*"
