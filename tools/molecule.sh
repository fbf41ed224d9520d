#!/usr/bin/env bash
# Every molecule scenario, one after the other. Its hosts are real ones, which takes root. Arguments go to molecule test.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ "$(id -u)" != 0 ]; then
  echo "the molecule scenarios make hosts of their own, for which they need root"
  exit 77
fi
tools/need.sh mmdebstrap systemd-container iproute2 iptables openssh-client
found=0
for scenario in molecule/*/molecule.yml; do
  [ -e "$scenario" ] || continue
  found=$((found + 1))
  molecule test --scenario-name "$(basename "$(dirname "$scenario")")" "$@" </dev/null
done
if [ "$found" = 0 ]; then
  echo "error: there is no scenario below molecule/"
  exit 1
fi
