#!/usr/bin/env bash
# Make sure that Debian packages are installed: tools/need.sh PACKAGE...
# As root the missing ones are installed. Otherwise it says which are missing and returns 77, "left out" to tools/stages.py.
set -euo pipefail
missing=()
for package in "$@"; do
  status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
  [ "$status" = "install ok installed" ] || missing+=("$package")
done
[ "${#missing[@]}" -gt 0 ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "missing: ${missing[*]}; install with: sudo apt-get install ${missing[*]}"
  exit 77
fi
echo "Installing ${missing[*]} ..."
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "${missing[@]}" >/dev/null
