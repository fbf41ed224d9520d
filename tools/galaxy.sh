#!/usr/bin/env bash
# Build the collection, install it into an empty place, and use it from there by name: what a user of Galaxy gets.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# From a clone of what git tracks: a file of the work tree that nobody committed must not make this pass.
mkdir "$work/source"
git ls-files -z | grep -zv '^playbooks/collections/' | xargs -0 tar -cf - --ignore-failed-read | tar -xf - -C "$work/source"
mkdir -p "$work/source/playbooks/collections/ansible_collections/media_ops"
ln -s ../../../.. "$work/source/playbooks/collections/ansible_collections/media_ops/runbook"
# Away from ansible.cfg of the work tree, so that nothing but the tarball can be found.
mkdir "$work/elsewhere"
cd "$work/elsewhere"
export ANSIBLE_COLLECTIONS_PATH=$work/collections
ansible-galaxy collection build "$work/source" --output-path "$work"
tarball=$(echo "$work"/media_ops-runbook-*.tar.gz)

wanted="CHANGELOG.rst FILES.json LICENSE MANIFEST.json README.md SECURITY.md changelogs docs extensions meta playbooks plugins requirements.yml roles"
for name in $(tar -tzf "$tarball" | cut -d/ -f1 | sort -u); do
  case " $wanted " in
    *" $name "*) ;;
    *) echo "error: $name has no business in the collection: add it to build_ignore of galaxy.yml"; exit 1 ;;
  esac
done
# The example of a site's own collection is documentation, and its folders are as the site lays them.
if tar -tzf "$tarball" | grep -v '^docs/examples/extension/collections/' | grep -E '(^|/)(__pycache__|collections|tests|\.git)(/|$)|\.pyc$'; then
  echo "error: that should not be in the collection"
  exit 1
fi

ansible-galaxy collection install "$tarball" -p "$work/collections" --offline
playbooks=()
for playbook in "$work"/collections/ansible_collections/media_ops/runbook/playbooks/*.yml; do
  [ ! -e "$playbook" ] || playbooks+=("media_ops.runbook.$(basename "$playbook" .yml)")
done
if [ "${#playbooks[@]}" = 0 ]; then
  echo "error: the built collection has no playbook"
  exit 1
fi
ansible-playbook --syntax-check -i localhost, "${playbooks[@]}" | tee "$work/checked"
if [ "$(grep -c '^playbook: ' "$work/checked")" != "${#playbooks[@]}" ]; then
  echo "error: not all of the ${#playbooks[@]} playbooks were looked at"
  exit 1
fi
echo "${#playbooks[@]} playbooks of the built collection pass the syntax check by name"
