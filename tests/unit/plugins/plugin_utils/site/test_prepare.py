"""What role prepare refuses, by what a site sets and by what the host is."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.plugin_utils.site.prepare import prepare_problems

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKUVx6ww8RwnDMgXb9e/moh720S0KKB/PsXqKIhjz0dS someone@example.com"
SITE: dict[str, Any] = {
    "inventory_hostname": "media1",
    "ansible_facts": {"os_family": "Debian"},
    "policy_service_user": "media",
    "policy_state_dir": "/var/lib/media-ops",
    "policy_archive_dir": "/var/backups/media",
    "prepare_user": "media-ops",
    "prepare_sudo": True,
    "prepare_libraries": ["psutil", "boto3"],
    "prepare_textfile_dir": "",
    "prepare_root_commands": ["/bin/systemctl restart media", '/usr/local/libexec/media-ops/overrides ""'],
    "policy_overrides_allowed": {"LOG_LEVEL": {"type": "choice", "choices": ["DEBUG", "INFO"]}},
    "prepare_authorized_keys": [KEY, f'command="/bin/true",no-pty {KEY}', "sk-ssh-ed25519@openssh.com AAAAGnNr"],
}


def problems(**more: Any) -> list[str]:
    return prepare_problems({**SITE, **more}.get)


def test_a_host_of_debian_is_prepared() -> None:
    assert problems(prepare_textfile_dir="/var/lib/node_exporter") == []
    assert problems(policy_service_user="root", prepare_sudo="false") == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"prepare_user": "a" * 33}, "prepare_user is 'aaa"),
        ({"prepare_user": "ops\n"}, r"prepare_user is 'ops\n': must be a user's name"),
        ({"policy_service_user": "Media"}, "policy_service_user is 'Media': must be a user's name"),
        (
            {"policy_service_user": "root", "prepare_sudo": "yes"},
            "policy_service_user is 'root': must be a user's name",
        ),
        ({"policy_state_dir": "//etc"}, "policy_state_dir is '//etc': must be an absolute path, and not /"),
        ({"policy_state_dir": "/a/../b"}, "policy_state_dir is '/a/../b'"),
        ({"prepare_textfile_dir": "/var"}, "prepare_textfile_dir is '/var': must be empty, or an absolute path"),
        ({"policy_archive_dir": "/var"}, "policy_archive_dir is '/var': must be an absolute path of at least two"),
        ({"policy_archive_dir": "/var/../etc"}, "policy_archive_dir is '/var/../etc'"),
        ({"prepare_libraries": ["boto3", "-x"]}, "prepare_libraries is ['boto3', '-x']: must be names"),
        ({"prepare_libraries": "boto3"}, "prepare_libraries is 'boto3': must be names"),
        ({"prepare_root_commands": ["/bin/a", "/bin/b c", "/bin/a *"]}, 'has ["/bin/a", "/bin/a *"]: each must be'),
        ({"prepare_root_commands": ["/bin/a b  c", "/bin/a b\n"]}, r'has ["/bin/a b  c", "/bin/a b\n"]: each'),
        (
            {"prepare_root_commands": ["/usr/bin/dpkg --configure -a", "/bin/a dpkg"]},
            'has ["/usr/bin/dpkg --configure -a"]',
        ),
        ({"prepare_root_commands": ["/usr/bin/apt-get install ffmpeg"]}, "would be a root shell"),
        ({"prepare_root_commands": ['/bin/a "" b', '/bin/a ""']}, r'has ["/bin/a \"\" b"]: each'),
        ({"policy_overrides_allowed": None}, "option 'policy_overrides_allowed'"),
        (
            {"policy_overrides_allowed": {"PATH": {"type": "int"}}},
            "changes how programs load",
        ),
        ({"policy_overrides_allowed": {"X": {"type": "choice", "choices": ["a\nb"]}}}, "X needs choices of letters"),
        ({"prepare_authorized_keys": [KEY, "canary", f"{KEY}\n"]}, "prepare_authorized_keys has 2 entries that are no"),
        ({"prepare_authorized_keys": "canary"}, "prepare_authorized_keys has 1 entries"),
    ],
)
def test_it_names_what_is_wrong_and_its_value(more: dict[str, Any], said: str) -> None:
    (problem,) = problems(**more)
    assert said in problem
    assert "canary" not in problem


def test_another_distribution_is_told_what_it_would_need() -> None:
    facts = {"os_family": "RedHat", "distribution": "Fedora", "distribution_version": "41"}
    said = (
        "media1 runs Fedora 41, and this role prepares Debian and Ubuntu only. Prepare it by other means: the Python "
        "libraries psutil, boto3, the user media-ops, and /var/lib/media-ops owned by it. Nothing was changed"
    )
    assert problems(ansible_facts=facts) == [said]


def test_all_that_is_wrong_is_told_at_once() -> None:
    fedora = {"os_family": "RedHat", "distribution": "Fedora"}
    assert len(problems(ansible_facts=fedora, prepare_user="", policy_state_dir="/")) == 3
