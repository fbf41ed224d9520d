#!/usr/bin/env bash
# The documentation of every plugin and role renders, and antsibull-docs has no complaint.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
collection=media_ops.runbook
shown=0

for type in module filter test lookup inventory callback strategy role; do
  listed=$(ansible-doc --list --json --type "$type" "$collection")
  mapfile -t names < <(python -c 'import json, sys; print(*json.load(sys.stdin), sep="\n")' <<<"$listed")
  [ -n "${names[*]}" ] || continue
  # ansible-doc warns, or shows nothing, and exits with 0 for documentation that is missing or broken.
  text=$(ansible-doc --type "$type" "${names[@]}" 2>&1) || { echo "$text"; exit 1; }
  # (core 2.21 also warns of a collection inside itself.)
  if grep -E '^\[(WARNING|ERROR)' <<<"$text" | grep -v /ansible/_internal/; then exit 1; fi
  for name in "${names[@]}"; do
    grep -Eq "^> .*$name([^a-z_]|$)" <<<"$text" || { echo "error: ansible-doc -t $type $name shows nothing"; exit 1; }
    shown=$((shown + 1))
  done
done
if [ "$shown" = 0 ]; then
  echo "error: nothing to render was found"
  exit 1
fi
echo "ansible-doc renders $shown plugins and roles"
exec antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs=self .
