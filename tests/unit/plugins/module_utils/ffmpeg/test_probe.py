"""The service's ffmpeg: real programs, sound and broken in every way, found on a PATH and run as another user does."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.ffmpeg import ffmpeg_info as diagnosis
from ansible_collections.media_ops.runbook.plugins.module_utils.ffmpeg import packages
from ansible_collections.media_ops.runbook.plugins.module_utils.ffmpeg.ffmpeg_info import STATES, ffmpeg_info
from ansible_collections.media_ops.runbook.plugins.module_utils.ffmpeg.probe import judge, wanted
from ansible_collections.media_ops.runbook.plugins.module_utils.system.privilege import Ran
from ansible_collections.media_ops.runbook.plugins.module_utils.times import to_text

ME = pwd.getpwuid(os.geteuid()).pw_name
REAL = imageio_ffmpeg.get_ffmpeg_exe()
OPTIONS: dict[str, Any] = {
    "unit": "media-ops-no-such-unit",
    "service_user": ME,
    "path_env": None,
    "package": "ffmpeg",
    "timeout": 60.0,
    "video_encoders": ["libx264"],
    "audio_encoders": ["aac"],
    "muxers": ["mp4"],
    "decoders": ["h264", "aac"],
    "ffprobe": False,
    "hardware_device": "/dev/dri/renderD128",
}


class Places:
    """Two directories of a PATH, which every user may look into."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.first, self.second = root / "first", root / "second"
        for directory in (root, self.first, self.second):
            directory.mkdir(exist_ok=True)
            directory.chmod(0o755)

    def script(self, text: str, directory: Path | None = None, mode: int = 0o755) -> Path:
        path = (directory or self.first) / "ffmpeg"
        path.write_text(text)
        path.chmod(mode)
        return path

    def sound(self, directory: Path | None = None) -> Path:
        path = (directory or self.first) / "ffmpeg"
        path.symlink_to(REAL)
        return path

    def info(self, *, path: str | None = None, **options: Any) -> dict[str, Any]:
        found = ffmpeg_info(wanted({**OPTIONS, "path_env": path or f"{self.first}:{self.second}", **options}))
        assert found["state"] in STATES
        assert (found["reason"] == "") is (found["state"] == "ok")
        assert "\n" not in found["reason"]
        return found


@pytest.fixture
def places() -> Iterator[Places]:
    # Not tmp_path, which only its owner may enter
    with tempfile.TemporaryDirectory(prefix="ffmpeg-places-") as root:
        yield Places(Path(root))


# runbook: P0-3D, P0-3E, P1-2A, P1-2C
def test_a_sound_one(places: Places) -> None:
    places.sound()
    found = places.info()
    assert (found["state"], found["reason"], found["reinstall_cures"]) == ("ok", "", False)
    assert found["binary"] == f"{places.first}/ffmpeg"
    assert any(digit in found["version"] for digit in "0123456789")
    assert [(one["check"], one["ok"], one["rc"]) for one in found["checks"]] == [
        (name, True, 0) for name in ("encode", "decode", "version", "decoders")
    ]
    assert found["path_env"] == f"{places.first}:{places.second}"
    assert (found["path_source"], found["user"]) == ("option", ME)
    only = found["candidates"][0]
    assert (only["target"], only["executable"], only["package"]) == (os.path.realpath(REAL), True, None)
    assert (only["mode"], found["mode"]) == (f"{Path(REAL).stat().st_mode & 0o7777:04o}",) * 2


def test_of_a_service_without_a_unit_the_site_says_where_its_ffmpeg_lies(places: Places, tmp_path: Path) -> None:
    places.sound()
    with subprocess.Popen(["/bin/sleep", "300"], env={"PATH": "/nowhere"}) as service:
        try:
            (tmp_path / "pid").write_text(str(service.pid), encoding="ascii")
            process = {"user": ME, "pid_file": str(tmp_path / "pid")}
            found = places.info(unit="", process=process)
            assert (found["state"], found["path_source"]) == ("ok", "option"), found["reason"]
        finally:
            service.kill()


def test_what_was_encoded_is_removed_whatever_happens(places: Places) -> None:
    seen = places.root / "seen"
    for ending in (f'exec {REAL} "$@"', "exit 1", "exec /bin/sleep 300"):
        seen.write_text("")
        # The last argument of the encode is its output.
        places.script(f'#!/bin/sh\nfor last do :; done\n/bin/ls -d "${{last%/*}}" >>{seen}\n{ending}\n')
        seen.chmod(0o666)
        places.info(timeout=60.0 if REAL in ending else 1.0)
        directories = [line for line in seen.read_text().split() if "media-ops-ffmpeg." in line]
        assert directories
        assert not any(Path(one).exists() for one in directories)


# runbook: P0-3D
def test_none_on_the_path(places: Places) -> None:
    found = places.info()
    assert (found["state"], found["binary"], found["candidates"]) == ("missing", None, [])
    assert not found["reinstall_cures"], "the package would put it where this PATH does not look"
    assert "/usr/bin" in found["reason"]
    (places.first / "ffmpeg").symlink_to(places.root / "gone")
    found = places.info()
    assert found["state"] == "missing"
    assert f"{places.first}/ffmpeg is a link that leads nowhere" in found["reason"]


# runbook: P0-3E
def test_one_that_nobody_may_run(places: Places) -> None:
    places.script("#!/bin/sh\n", mode=0o000)
    found = places.info()
    assert (found["state"], found["mode"], found["checks"]) == ("not_executable", "0000", [])
    assert "mode 0000" in found["reason"]
    assert not found["reinstall_cures"]


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_one_that_root_alone_may_run(places: Places) -> None:
    path = places.first / "ffmpeg"
    shutil.copyfile(REAL, path)
    path.chmod(0o700)
    assert places.info()["state"] == "ok"
    found = places.info(service_user="nobody")
    assert (found["state"], found["user"], found["owner"]) == ("not_executable", "nobody", "root:root")
    path.chmod(0o711)
    assert places.info(service_user="nobody")["state"] == "ok", "to run it, it need not be readable"


def test_one_that_may_not_be_run_is_passed_over(places: Places) -> None:
    places.script("#!/bin/sh\nexit 1\n", mode=0o644)
    (places.second / "ffmpeg").mkdir()
    assert places.info()["binary"] == f"{places.first}/ffmpeg"
    (places.second / "ffmpeg").rmdir()
    places.sound(places.second)
    found = places.info()
    assert (found["state"], found["binary"]) == ("ok", f"{places.second}/ffmpeg")
    assert [one["executable"] for one in found["candidates"]] == [False, True]


def test_a_truncated_one(places: Places) -> None:
    path = places.first / "ffmpeg"
    for size in (64, 4096, 50_000_000):
        with Path(REAL).open("rb") as whole:
            path.write_bytes(whole.read(size))
        path.chmod(0o755)
        found = places.info()
        assert found["state"] == "broken_binary", found
        assert "no package owns" in found["reason"]


@pytest.mark.parametrize("text", ["", "touch {0}\n", "\x7fE"])
def test_what_is_neither_program_nor_script_is_not_handed_to_a_shell(places: Places, text: str) -> None:
    mark = places.root / "mark"
    places.root.chmod(0o777)
    places.script(text.format(mark))
    assert places.info()["state"] == "broken_binary"
    assert not mark.exists()


def test_one_that_does_nothing_and_says_it_is_well(places: Places) -> None:
    places.script("#!/bin/sh\nexit 0\n")
    found = places.info()
    assert found["state"] == "broken_binary"
    assert "has written nothing" in found["reason"]
    assert found["checks"][0]["ok"] is False


def test_a_script_whose_interpreter_is_gone(places: Places) -> None:
    places.script("#!/no/such/shell\n")
    assert places.info()["state"] == "broken_binary"


def test_a_library_that_is_gone(places: Places) -> None:
    path = places.first / "ffmpeg"
    path.write_bytes(Path("/bin/ls").read_bytes().replace(b"\0libc.so.6\0", b"\0libq.so.6\0"))
    path.chmod(0o755)
    found = places.info()
    assert found["state"] == "broken_library"
    assert "libq.so.6" in found["reason"]


def test_one_that_hangs_is_ended_with_its_children(places: Places) -> None:
    pids = places.root / "pids"
    pids.write_text("")
    pids.chmod(0o666)
    places.script(f"#!/bin/sh\n/bin/sleep 300 & echo $! >>{pids}\necho $$ >>{pids}\nwait\n")
    found = places.info(timeout=1.0)
    assert found["state"] == "hangs"
    assert found["checks"][0]["rc"] is None
    numbers = [int(line) for line in pids.read_text().split()]
    assert len(numbers) == 2, "it is run once, and not again for its version"
    deadline = time.monotonic() + 20
    while any(_lives(pid) for pid in numbers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_lives(pid) for pid in numbers)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


# runbook: P1-2C
def test_an_encoder_that_is_listed_and_does_not_work(places: Places) -> None:
    refuse = "echo \"Unknown encoder 'libx264'\" >&2; exit 8"
    places.script(f'#!/bin/sh\ncase "$*" in *libx264*) {refuse};; esac\nexec {REAL} "$@"\n')
    found = places.info()
    assert found["state"] == "codec_missing"
    assert "Unknown encoder 'libx264'" in found["reason"]
    assert found["version"]


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"video_encoders": ["libx264", "libnone"]}, "libnone"),
        ({"audio_encoders": ["aac", "libnone"]}, "libnone"),
        ({"muxers": ["mp4", "nomux"]}, "nomux"),
        ({"decoders": ["h264", "nodec"]}, "nodec"),
    ],
)
def test_what_the_real_one_lacks(places: Places, options: dict[str, Any], name: str) -> None:
    places.sound()
    found = places.info(**options)
    assert found["state"] == "codec_missing"
    assert name in found["reason"]


def test_more_of_what_the_real_one_has(places: Places) -> None:
    places.sound()
    found = places.info(video_encoders=["libx264", "mpeg4"], audio_encoders=["aac", "flac"], muxers=["mp4", "matroska"])
    assert found["state"] == "ok", found
    assert places.info(audio_encoders=[])["state"] == "ok"


# An ffprobe that is sound, as far as is asked: imageio has none.
FFPROBE = f'#!/bin/sh\nfor last do :; done\n{REAL} -v error -i "$last" -f null - && echo video\n'


def test_formats_of_several_files_and_encoders_with_hyphens(places: Places) -> None:
    places.sound()
    found = places.info(muxers=["hls", "mp4", "dash", "segment", "matroska"])
    assert found["state"] == "ok", found
    found = places.info(
        video_encoders=["libx264", "libvpx-vp9"], audio_encoders=["aac", "libopus"], muxers=["mp4", "webm"]
    )
    assert found["state"] == "ok", found


def test_an_encoder_of_hardware_without_a_device_is_told_apart(places: Places) -> None:
    seen = places.root / "seen"
    places.script(f'#!/bin/sh\necho "$*" >>{seen}\nexec {REAL} "$@"\n')
    seen.touch(0o666)
    seen.chmod(0o666)
    for encoder in ("h264_vaapi", "h264_nvenc"):
        found = places.info(video_encoders=["libx264", encoder])
        assert found["state"] in ("ok", "no_device", "codec_missing"), found
        assert f"encode {encoder}" in [one["check"] for one in found["checks"]]
        assert not found["reinstall_cures"]
    asked = seen.read_text()
    assert "-vaapi_device /dev/dri/renderD128" in asked
    assert "hwupload -c:v h264_vaapi" in asked
    assert "hwupload -c:v h264_nvenc" not in asked


def test_a_device_that_is_not_there_is_no_broken_program(places: Places) -> None:
    said = "[AVHWDeviceContext @ 0x5] No VA display found for device /dev/dri/renderD128."
    places.script(f'#!/bin/sh\ncase "$*" in *h264_vaapi*) echo "{said}" >&2; exit 1;; esac\nexec {REAL} "$@"\n')
    found = places.info(video_encoders=["libx264", "h264_vaapi"])
    assert (found["state"], found["reinstall_cures"]) == ("no_device", False)
    assert "No VA display" in found["reason"]
    with pytest.raises(OptionError, match="works without a device"):
        places.info(video_encoders=["h264_vaapi"])


@pytest.mark.parametrize(
    ("text", "mode", "state"),
    [
        (FFPROBE, 0o755, "ok"),
        (None, 0, "missing"),
        (FFPROBE, 0o644, "not_executable"),
        ("#!/bin/sh\nexit 0\n", 0o755, "broken_binary"),
        ("#!/bin/sh\nexit 1\n", 0o755, "failed"),
        ("#!/bin/sh\nexec /bin/sleep 300\n", 0o755, "hangs"),
        ("no program", 0o755, "broken_binary"),
        (
            "#!/bin/sh\necho 'x: error while loading shared libraries: libavutil.so.57: none' >&2; exit 127\n",
            0o755,
            "broken_library",
        ),
    ],
)
def test_ffprobe_can_be_missing_or_broken_alone(places: Places, text: str | None, mode: int, state: str) -> None:
    places.sound()
    if text is not None:
        (places.first / "ffprobe").write_text(text)
        (places.first / "ffprobe").chmod(mode)
    found = places.info(ffprobe=True, timeout=10.0)
    assert found["state"] == state, found
    assert state == "ok" or "ffprobe" in found["reason"]
    assert places.info(ffprobe=False)["state"] == "ok"


def test_a_full_disk_is_no_broken_ffmpeg(places: Places) -> None:
    places.script('#!/bin/sh\necho "av_interleaved_write_frame(): No space left on device" >&2\nexit 228\n')
    found = places.info()
    assert found["state"] == "failed"
    assert "No space left on device" in found["reason"]


def test_a_broken_one_before_a_sound_one(places: Places) -> None:
    places.script("#!/bin/sh\nexit 1\n")
    places.sound(places.second)
    found = places.info()
    assert (found["state"], found["reinstall_cures"]) == ("failed", False)
    assert f"{places.first}/ffmpeg, which no package owns" in found["reason"]
    assert found["candidate_count"] == 2


class Dpkg:
    """A package ``ffmpeg`` that owns what lies in a directory, and of which these paths are altered."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, directory: Path, *altered: str, installed: bool = True) -> None:
        state = "ii" if installed else "un"
        known = {"ffmpeg": packages.Installed("ffmpeg", "7:5.1" if installed else "", state, "ffmpeg")}
        monkeypatch.setattr(packages, "known", lambda: known)
        monkeypatch.setattr(packages, "needed_by", lambda _package: [])
        monkeypatch.setattr(packages, "unpacked_at", lambda _package: None)
        monkeypatch.setattr(
            packages,
            "owners",
            lambda paths: {p: "ffmpeg" for p in paths if os.path.realpath(p).startswith(f"{directory}/")},
        )
        monkeypatch.setattr(
            packages, "altered", lambda names, timeout_s: {"ffmpeg": list(altered)} if altered and names else {}
        )
        monkeypatch.setattr(diagnosis, "_PACKAGED", str(directory))


@pytest.mark.parametrize("alone", [True, False], ids=["PATH without the package's", "PATH with the package's"])
@pytest.mark.parametrize(
    "wrapper",
    ['#!/bin/sh\nexec nice {real} "$@"\n', '#!/bin/sh\n{real} "$@" 2>/dev/null || exit 1\n'],
    ids=["which passes on what is said", "which says nothing"],
)
def test_a_wrapper_around_a_deleted_one_is_mended_by_its_package(
    places: Places, monkeypatch: pytest.MonkeyPatch, wrapper: str, alone: bool
) -> None:
    Dpkg(monkeypatch, places.second)
    places.script(wrapper.format(real=places.second / "ffmpeg"))
    found = places.info(path=str(places.first) if alone else None)
    assert (found["state"], found["reinstall_cures"], found["broken_packages"]) == ("missing", True, ["ffmpeg"])
    assert "is not there" in found["reason"]


def test_a_wrapper_around_a_purged_one_is_known_by_what_it_says(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    Dpkg(monkeypatch, places.second, installed=False)
    places.script(f'#!/bin/sh\nexec {places.second}/ffmpeg "$@"\n')
    assert places.info()["broken_packages"] == ["ffmpeg"]
    places.script("#!/bin/sh\nexec /opt/nowhere/ffmpeg\n")
    found = places.info()
    assert (found["reinstall_cures"], found["broken_packages"]) == (False, [])


@pytest.mark.parametrize("kind", ["not executable", "truncated"])
def test_a_wrapper_around_a_broken_one_is_mended_by_its_package(
    places: Places, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    real = places.second / "ffmpeg"
    real.write_bytes(Path(REAL).read_bytes()[:4096])
    real.chmod(0o644 if kind == "not executable" else 0o755)
    Dpkg(monkeypatch, places.second, str(real))
    places.script(f'#!/bin/sh\nexec {real} "$@"\n')
    found = places.info()
    assert (found["reinstall_cures"], found["broken_packages"]) == (True, ["ffmpeg"])
    assert found["state"] == ("not_executable" if kind == "not executable" else "broken_binary")


def test_what_is_no_wrapper_is_not_mended_by_a_package_that_is_gone(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    Dpkg(monkeypatch, places.second)
    (places.first / "ffmpeg").symlink_to("/usr/bin/false")
    found = places.info()
    assert (found["state"], found["reinstall_cures"]) == ("failed", False)


def test_a_link_to_a_deleted_one_is_mended_by_its_package_wherever_it_lies(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    Dpkg(monkeypatch, places.second)
    (places.first / "ffmpeg").symlink_to(places.second / "ffmpeg")
    found = places.info(path=str(places.first))
    assert (found["state"], found["broken_packages"]) == ("missing", ["ffmpeg"])
    assert f"{places.second}/ffmpeg is of package ffmpeg" in found["reason"]


def test_since_when_it_is_as_it_is(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    Dpkg(monkeypatch, places.second)
    real = places.script(f'#!/bin/sh\nexec {REAL} "$@"\n', places.second)
    began = to_text(datetime.fromtimestamp(real.stat().st_ctime, UTC))
    assert places.info()["changed_at"] == began
    later = datetime(2036, 11, 24, tzinfo=UTC)
    monkeypatch.setattr(packages, "unpacked_at", lambda _package: later.timestamp())
    assert places.info()["changed_at"] == to_text(later)


def test_packages_that_are_as_installed_are_not_to_blame(places: Places) -> None:
    if shutil.which("dpkg") is None:
        pytest.skip("no dpkg here")
    # Of a package, and surely no ffmpeg
    (places.first / "ffmpeg").symlink_to("/usr/bin/false")
    found = places.info()
    assert found["package"]["name"] == "coreutils"
    assert (found["state"], found["broken_packages"], found["reinstall_cures"]) == ("failed", [], False)
    assert "as it was installed" in found["reason"]


def test_one_directory_by_two_names_counts_once(places: Places) -> None:
    alias = places.root / "alias"
    alias.symlink_to(places.first)
    places.sound()
    found = places.info(path=f"{alias}:{places.first}:{alias}")
    assert [one["path"] for one in found["candidates"]] == [f"{alias}/ffmpeg"]


def test_a_path_without_the_system_s_programs_and_with_odd_ones(places: Places) -> None:
    odd = places.root / "a |b\t'$(id)"
    odd.mkdir(mode=0o755)
    places.sound(odd)
    found = places.info(path=f"nowhere::/no/such:{odd}")
    assert found["state"] == "ok", found
    assert found["binary"] == f"{odd}/ffmpeg"


def test_nothing_of_our_own_environment_is_passed_on(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "canary")
    places.script(f'#!/bin/sh\n[ -z "$SECRET" ] || exit 9\nexec {REAL} "$@"\n')
    assert places.info()["state"] == "ok"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("service_user", "no-such-user"),
        ("service_user", "-x"),
        ("service_user", ""),
        ("unit", "a/b"),
        ("timeout", float("nan")),
        ("timeout", 0.0),
        ("package", "ffmpeg-"),
        ("package", "-o"),
        ("video_encoders", []),
        ("video_encoders", ["x;y"]),
        ("audio_encoders", ["-f"]),
        ("muxers", ["../mp4"]),
        ("muxers", []),
        ("decoders", ["a b"]),
    ],
)
def test_misuse_is_refused(option: str, value: Any) -> None:
    with pytest.raises(OptionError, match=f"option '{option}'"):
        wanted({**OPTIONS, option: value})


@pytest.mark.parametrize(
    ("rc", "err", "state"),
    [
        (0, "", "ok"),
        (0, "[mp4 @ 0x5] No space left on device", "failed"),
        (None, "", "hangs"),
        (-11, "", "broken_binary"),
        (139, "", "broken_binary"),
        (135, "", "broken_binary"),
        (137, "", "failed"),
        (126, "bash: line 1: /x/ffmpeg: Permission denied", "not_executable"),
        (126, "bash: line 1: /x/ffmpeg: cannot execute binary file: Exec format error", "broken_binary"),
        (127, "/x/ffmpeg: error while loading shared libraries: libavcodec.so.59: file too short", "broken_library"),
        (127, "/x/ffmpeg: symbol lookup error: /lib/libavcodec.so.59: undefined symbol: x", "broken_library"),
        (1, "Unknown encoder 'libx264'", "codec_missing"),
        (1, "[NULL @ 0x5] Unable to find a suitable output format for 'x'", "codec_missing"),
        (228, "No space left on device", "failed"),
    ],
)
def test_what_an_end_means(rc: int | None, err: str, state: str) -> None:
    assert judge(Ran(("ffmpeg",), rc, "", err, 0.1), 30)[0] == state
