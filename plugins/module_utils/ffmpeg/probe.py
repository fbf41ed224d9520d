# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ffmpeg that the service finds, and whether it really encodes.

Everything is seen as the service's user with the service's PATH: what works for root may well not work for it.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import MediaOpsError, OptionError
from ..options import check_range
from ..shapes import one_line
from ..system.environment import DEFAULT_PATH, environ_path, unit_environment
from ..system.environment_files import environment_files, parse_environment_file
from ..system.operated import Operated, require_operated, service_properties, service_spec
from ..system.privilege import Ran, run_as
from ..system.systemd import main_pid
from . import packages

_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}\Z")
_CODEC = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,39}\Z")
_DEVICE = re.compile(r"/dev/[A-Za-z0-9/_.-]{1,100}\Z")
# What a format's file has to be called, and what stands there afterwards where that is another.
_FILES = {
    "hls": ("probe.m3u8", "probe.m3u8"),
    "dash": ("probe.mpd", "probe.mpd"),
    "segment": ("probe-%03d.ts", "probe-000.ts"),
    "stream_segment": ("probe-%03d.ts", "probe-000.ts"),
    "image2": ("probe-%03d.png", "probe-001.png"),
}
# A format that takes few codecs; any other gets the first encoders.
_TAKES = {"webm": re.compile(r"vp[89]|av1|opus|vorbis"), "ogg": re.compile(r"theora|vp8|opus|vorbis|flac")}
_VAAPI = ("-vf", "format=nv12,hwupload")
# Encoders of hardware, by the ends of their names: what prepares their device, and how they get their frames.
_HARDWARE: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "vaapi": (("-vaapi_device", "{device}"), _VAAPI),
    "qsv": (
        ("-init_hw_device", "qsv=hw:{device}", "-filter_hw_device", "hw"),
        ("-vf", "hwupload=extra_hw_frames=64,format=qsv"),
    ),
    "vulkan": (("-init_hw_device", "vulkan=hw", "-filter_hw_device", "hw"), _VAAPI),
    "nvenc": ((), ("-pix_fmt", "yuv420p")),
    "amf": ((), ("-pix_fmt", "yuv420p")),
    "mf": ((), ("-pix_fmt", "yuv420p")),
    "v4l2m2m": ((), ("-pix_fmt", "yuv420p")),
    "omx": ((), ("-pix_fmt", "yuv420p")),
    "rkmpp": ((), ("-pix_fmt", "nv12")),
    "videotoolbox": ((), ("-pix_fmt", "yuv420p")),
}
_NO_DEVICE = re.compile(
    r"[^\n]*(?:Device creation failed|Failed to set value '[^']*' for option '(?:vaapi_device|init_hw_device)'"
    r"|No VA display found|Cannot load lib(?:cuda|nvidia-encode|amfrt)|No capable devices found|No device available"
    r"|Could not find a valid device|Cannot open the drm device|DLL amfrt|[Nn]o such device|hwdevice|hw_device"
    r"|Error initializing (?:the|an internal) (?:MFX|VAAPI)|CUDA_ERROR|Instance creation failure)[^\n]*"
)
# What decides which ffmpeg is run and which libraries it gets; nothing else of the service's environment is looked at.
_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "LD_PRELOAD")
_ASSIGNMENT = f"^[[:space:]]*({'|'.join(_VARIABLES)})[[:space:]]*="
_DIRECTORY = re.compile(r"/[^\0\n]*/media-ops-ffmpeg\.[A-Za-z0-9]{6}\Z")
# For each directory that holds a program, or a link of its name: its number, whether we may run it, mode and owner,
# its first two bytes, and where it really is.
_LOOK = r"""
echo looked
program=$1
shift
number=0
for directory do
  file=$directory/$program
  if [ -e "$file" ] || [ -L "$file" ]; then
    may=no; [ -f "$file" ] && [ -x "$file" ] && may=yes
    facts=$(stat -L -c '%04a|%U:%G' -- "$file" 2>/dev/null) || facts='|'
    first=-; [ -r "$file" ] && first=$(head -c 2 -- "$file" 2>/dev/null | od -An -tx1 | tr -d ' \n')
    printf '%s|%s|%s|%s|%s\n' "$number" "$may" "$facts" "$first" "$(readlink -f -- "$file")"
  fi
  number=$((number + 1))
done
"""
# Runs a command with variables of its own. Not env: what the kernel takes for no program, env would hand to the shell.
_START = 'while [ "$1" != -- ]; do export "$1"; shift; done; shift; exec "$@"'
_CRASHES = {
    128 + one: one.name
    for one in (signal.SIGILL, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV, signal.SIGSYS)
}
LOADER_SAID = re.compile(
    r"error while loading shared libraries: (?P<lib>[^\s:]+)|symbol lookup error: (?P<in>[^\s:]+)|"
    r"(?P<version>/[^\s:]+): version `[^']*' not found"
)
_NO_CODEC = re.compile(
    r"Unknown encoder '[^']*'|Unknown decoder '[^']*'|Encoder not found|Automatic encoder selection failed[^\n]*"
    r"|Requested output format '[^']*' is not[^\n]*|Unable to (?:find a suitable|choose an) output format[^\n]*"
    r"|Unknown input format: '[^']*'|No such filter: '[^']*'|Error selecting an encoder[^\n]*"
)


def ffmpeg_argument_spec() -> dict[str, Any]:
    """The options that doc fragment ``ffmpeg`` describes."""
    return {
        **service_spec(default="media-processing-service"),
        "service_user": {"type": "str", "default": "media"},
        "path_env": {"type": "str"},
        "package": {"type": "str", "default": "ffmpeg"},
        "timeout": {"type": "float", "default": 30},
        "video_encoders": {"type": "list", "elements": "str", "default": ["libx264"]},
        "audio_encoders": {"type": "list", "elements": "str", "default": ["aac"]},
        "muxers": {"type": "list", "elements": "str", "default": ["mp4"]},
        "decoders": {"type": "list", "elements": "str", "default": ["h264", "aac"]},
        "ffprobe": {"type": "bool", "default": True},
        "hardware_device": {"type": "str", "default": "/dev/dri/renderD128"},
    }


@dataclass(frozen=True)
class Wanted:
    """Options that were checked: where to look, and what ffmpeg must be able to do."""

    service: Operated
    user: str
    path_env: str
    package: str
    timeout_s: float
    video_encoders: tuple[str, ...]
    audio_encoders: tuple[str, ...]
    muxers: tuple[str, ...]
    decoders: tuple[str, ...]
    ffprobe: bool = True
    hardware_device: str = "/dev/dri/renderD128"


def wanted(params: Mapping[str, Any]) -> Wanted:
    """Check the options.

    Raises:
        OptionError: one that cannot be right.
    """
    service = require_operated(params)
    check_range(params, "timeout", 0.5, 600)
    if not packages.NAME.match(params["package"]):
        raise OptionError("package", params["package"], "must be the name of a Debian package")
    user = params["service_user"]
    if not _USER.match(user) or not _is_user(user):
        raise OptionError("service_user", user, "there is no such user on this host")
    for option in ("video_encoders", "audio_encoders", "muxers", "decoders"):
        for name in params[option]:
            if not _CODEC.match(name):
                raise OptionError(option, name, "must be names as ffmpeg lists them, of letters, digits, _ and -")
    for option in ("video_encoders", "muxers"):
        if not params[option]:
            raise OptionError(option, [], "must name at least one: without it nothing can be encoded")
    if not _DEVICE.match(params["hardware_device"]):
        raise OptionError("hardware_device", params["hardware_device"], "must be a path below /dev")
    if all(hardware_of(name) for name in params["video_encoders"]):
        raise OptionError("video_encoders", params["video_encoders"], "must name one that works without a device, too")
    return Wanted(
        service=service,
        user=user,
        path_env=params["path_env"] or "",
        package=params["package"],
        timeout_s=params["timeout"],
        video_encoders=tuple(params["video_encoders"]),
        audio_encoders=tuple(params["audio_encoders"]),
        muxers=tuple(params["muxers"]),
        decoders=tuple(params["decoders"]),
        ffprobe=params["ffprobe"],
        hardware_device=params["hardware_device"],
    )


def hardware_of(encoder: str) -> str:
    """The kind of hardware that an encoder needs, "" for one that needs none."""
    ending = encoder.rpartition("_")[2]
    return ending if "_" in encoder and ending in _HARDWARE else ""


def _is_user(name: str) -> bool:
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(name).pw_name == name
    return False


@dataclass(frozen=True)
class Service:
    """What the service's user runs commands with; ``unit_path`` is what its unit says where the process has another."""

    user: str
    variables: dict[str, str]
    path_source: str
    directory: str = "/"
    unit_path: str = ""

    @property
    def path(self) -> str:
        """The service's PATH."""
        return self.variables.get("PATH", DEFAULT_PATH)

    @property
    def directories(self) -> list[str]:
        """The directories of its PATH, in order; what is relative, or empty, is meant from its working directory."""
        return list(dict.fromkeys(os.path.join(self.directory, one) for one in self.path.split(":")))

    def run(self, argv: Sequence[str], *, timeout_s: float) -> Ran:
        """Run a helper of the system as the service's user."""
        return run_as(self.user, argv, timeout_s=timeout_s, env={"PATH": DEFAULT_PATH, "LC_ALL": "C.UTF-8"})

    def run_ffmpeg(self, argv: Sequence[str], *, timeout_s: float) -> Ran:
        """Run ffmpeg with the service's PATH and libraries, which the helpers that start it do not get."""
        own = [f"{name}={value}" for name, value in self.variables.items()]
        return self.run(["/bin/bash", "-c", _START, "bash", *own, "--", *argv], timeout_s=timeout_s)


def find_service(want: Wanted) -> Service:
    """What the service runs with: its process, else its unit, else option ``path_env``, else systemd's default.

    Of a service without a unit ``path_env`` stands above its process: it may start ffmpeg by a path of its own.
    """
    fallback = Service(want.user, {"PATH": want.path_env or DEFAULT_PATH}, "option" if want.path_env else "default")
    try:
        properties = service_properties(want.service)
    except MediaOpsError:
        return fallback
    if properties.get("LoadState") != "loaded":
        return fallback
    directory = properties.get("WorkingDirectory", "").lstrip("!-")
    fallback = replace(fallback, directory=directory if directory.startswith("/") else "/")
    pid = main_pid(properties)
    if pid:
        # As the service's user, since it is not for others to read; the secrets in it stay where they are.
        pattern = ["grep", "--null-data", "--text", "--extended-regexp", f"^({'|'.join(_VARIABLES)})="]
        seen = fallback.run([*pattern, environ_path(pid)], timeout_s=10)
        variables = dict(one.split("=", 1) for one in seen.out.split("\0") if "=" in one)
        if want.service.process and want.path_env:
            return replace(fallback, variables={**variables, "PATH": want.path_env})
        if "PATH" in variables:
            said = "" if want.service.process else unit_environment(properties).variables.get("PATH", "")
            other = said if said != variables["PATH"] else ""
            return replace(fallback, variables=variables, path_source="process", unit_path=other)
    if want.service.process:
        return fallback
    environment = unit_environment(properties)
    variables = environment.variables
    if environment.unreadable:
        readable = [one for one in environment_files(properties) if one in environment.unreadable]
        lines = fallback.run(["grep", "-h", "-s", "-E", "-e", _ASSIGNMENT, "--", *readable], timeout_s=10)
        variables = {**variables, **parse_environment_file(lines.out)}
    return replace(
        fallback, variables={name: variables[name] for name in _VARIABLES if name in variables}, path_source="unit"
    )


@dataclass(frozen=True)
class Candidate:
    """An ffmpeg on the service's PATH. ``target`` is where links lead to, ``package`` "" where no package owns it."""

    path: str
    executable: bool
    mode: str
    owner: str
    first_bytes: str
    target: str
    package: str = ""

    @property
    def exists(self) -> bool:
        """Whether there is more than a link that leads nowhere."""
        return self.mode != ""

    @property
    def is_program(self) -> bool:
        """Whether it begins as a program or a script does, as far as its user may read it."""
        return self.first_bytes in ("7f45", "2321", "-")

    @property
    def is_script(self) -> bool:
        """Whether it begins as a script does, or may do so."""
        return self.first_bytes in ("2321", "-")

    def shown(self) -> dict[str, Any]:
        """Its part of the result."""
        return {
            "path": one_line(self.path),
            "target": one_line(self.target),
            "mode": self.mode,
            "owner": self.owner,
            "executable": self.executable,
            "package": self.package or None,
        }


def find_candidates(service: Service, *, timeout_s: float, program: str = "ffmpeg") -> list[Candidate]:
    """Every program of a name on the service's PATH, first the one that a start by name finds first.

    Raises:
        MediaOpsError: the service's user cannot be asked.
    """
    directories = service.directories
    looked = service.run(["sh", "-c", _LOOK, "sh", program, *directories], timeout_s=timeout_s)
    lines = looked.out.splitlines()
    if looked.rc != 0 or lines[:1] != ["looked"]:
        why = f"no answer within {timeout_s:g} s" if looked.timed_out else one_line(looked.msg) or "no answer"
        raise MediaOpsError(f"user {service.user} cannot look at its PATH: {why}")
    found: dict[str, Candidate] = {}
    for line in lines[1:]:
        parts = line.split("|", 5)
        if len(parts) == 6 and parts[0].isdigit():
            number, may, mode, owner, first, target = parts
            path = os.path.join(directories[int(number)], program)
            # /bin and /usr/bin may be one directory
            found.setdefault(target or path, Candidate(path, may == "yes", mode, owner, first, target))
    owned = packages.owners(one.path for one in found.values())
    return [replace(one, package=owned.get(one.path, "")) for one in found.values()]


@dataclass
class Trial:
    """What came of one ffmpeg: its state, and each thing that was tried."""

    state: str = "ok"
    reason: str = ""
    version: str = ""
    ran: Ran | None = None
    ffprobe: Trial | None = None
    checks: list[dict[str, Any]] = field(default_factory=list)

    def note(self, check: str, path: str, ran: Ran, wrong: str) -> None:
        """Take down a check."""
        code = _exit_code(ran)
        self.checks.append(
            {
                "check": check,
                "path": one_line(path),
                "ok": not wrong,
                "rc": code,
                "msg": wrong or one_line(ran.out.partition("\n")[0]),
                "seconds": ran.seconds,
            }
        )

    def fail(self, state: str, reason: str) -> None:
        """Let the last check fail after all."""
        self.checks[-1].update(ok=False, msg=reason)
        self.state, self.reason = state, f"{self.checks[-1]['check']}: {reason}"


def _exit_code(ran: Ran) -> int | None:
    """The exit code as a shell gives it: a signal is 128 and its number, whoever passed it on."""
    return ran.rc if ran.rc is None or ran.rc >= 0 else 128 - ran.rc


def try_ffmpeg(service: Service, path: str, want: Wanted, ffprobe: str = "") -> Trial:
    """Encode a second of picture and sound with each encoder that is wanted, and decode it again.

    Args:
        service: what it is run as.
        path: the ffmpeg.
        want: what it must be able to do.
        ffprobe: what is to look at the result, "" for none. Its fault is in ``Trial.ffprobe``.
    """
    trial = Trial()

    def check(name: str, argv: Sequence[str], *, needs_device: bool = False) -> Ran | None:
        ran = service.run_ffmpeg([path, *argv], timeout_s=want.timeout_s)
        state, reason = judge(ran, want.timeout_s)
        lacking = _NO_DEVICE.search(ran.err) if needs_device and state == "failed" else None
        if lacking:
            state, reason = "no_device", one_line(lacking.group(0), 300)
        trial.note(name, path, ran, reason)
        if state != "ok" and trial.state == "ok":
            trial.state, trial.reason, trial.ran = state, f"{name}: {reason}", ran
        return ran if state == "ok" else None

    try:
        with _private_directory(service) as directory:
            if check("encode", encode_arguments(want, directory)) and _is_written(service, trial, want, directory):
                check("decode", [*_QUIET, "-i", _written(directory, want.muxers[0]), "-f", "null", "-"])
                if ffprobe:
                    trial.ffprobe = _try_ffprobe(service, ffprobe, _written(directory, want.muxers[0]), want, trial)
                for encoder in filter(hardware_of, want.video_encoders):
                    check(f"encode {encoder}", hardware_arguments(want, encoder), needs_device=True)
    except MediaOpsError as error:
        return Trial("unknown", str(error))
    if trial.state in ("ok", "codec_missing", "failed"):
        version = check("version", ["-version"])
        named = re.match(r"ffmpeg version (\S+)", version.out) if version else None
        trial.version = named.group(1)[:80] if named else ""
    listed = check("decoders", ["-hide_banner", "-decoders"]) if trial.state == "ok" and want.decoders else None
    if listed is not None:
        _look_for_decoders(trial, listed.out, want.decoders)
    return trial


def _look_for_decoders(trial: Trial, listed: str, wanted_ones: Sequence[str]) -> None:
    names = set(re.findall(r"^ [VAS][A-Z.]{5} (\S+)", listed, re.MULTILINE))
    lacking = [name for name in wanted_ones if name not in names]
    trial.checks[-1]["msg"] = f"{len(wanted_ones) - len(lacking)} of {len(wanted_ones)} wanted"
    if lacking:
        trial.fail("codec_missing", f"no decoder {', '.join(lacking)}")


_QUIET = ("-hide_banner", "-nostdin", "-loglevel", "error")


def encode_arguments(want: Wanted, directory: str) -> list[str]:
    """ffmpeg's arguments for one second with every wanted encoder and muxer, from sources that ffmpeg makes itself."""
    sources = ["-f", "lavfi", "-i", "testsrc=duration=1:size=320x240:rate=10"]
    software = [name for name in want.video_encoders if not hardware_of(name)]
    if want.audio_encoders:
        sources += ["-f", "lavfi", "-i", "sine=duration=1"]
    outputs: list[str] = []
    for muxer in want.muxers:
        outputs += ["-map", "0:v", "-pix_fmt", "yuv420p", "-c:v", _fitting(muxer, software)]
        if want.audio_encoders and muxer != "image2":
            outputs += ["-map", "1:a", "-c:a", _fitting(muxer, want.audio_encoders)]
        outputs += ["-f", muxer, _output(directory, muxer)]
    for encoder in software[1:]:
        outputs += ["-map", "0:v", "-pix_fmt", "yuv420p", "-c:v", encoder, "-f", "null", "-"]
    for encoder in want.audio_encoders[1:]:
        outputs += ["-map", "1:a", "-c:a", encoder, "-f", "null", "-"]
    return [*_QUIET, "-y", *sources, *outputs]


def hardware_arguments(want: Wanted, encoder: str) -> list[str]:
    """ffmpeg's arguments for one second with an encoder of hardware, with its device and the frames that it takes."""
    device, frames = _HARDWARE[hardware_of(encoder)]
    prepared = [one.format(device=want.hardware_device) for one in device]
    source = ["-f", "lavfi", "-i", "testsrc=duration=1:size=320x240:rate=10"]
    return [*_QUIET, "-y", *prepared, *source, *frames, "-c:v", encoder, "-f", "null", "-"]


def _fitting(muxer: str, encoders: Sequence[str]) -> str:
    """The first encoder that a format takes, as far as that is known."""
    takes = _TAKES.get(muxer)
    return next((name for name in encoders if takes is None or takes.search(name)), encoders[0])


def _output(directory: str, muxer: str) -> str:
    return f"{directory}/{_FILES.get(muxer, (f'probe.{muxer}', ''))[0]}"


def _written(directory: str, muxer: str) -> str:
    """The file that a format leaves, the first where there are several."""
    return f"{directory}/{_FILES.get(muxer, ('', f'probe.{muxer}'))[1]}"


def _try_ffprobe(service: Service, path: str, file: str, want: Wanted, trial: Trial) -> Trial:
    """What ffprobe says of the file that was encoded."""
    ran = service.run_ffmpeg(
        [path, "-v", "error", "-show_entries", "stream=codec_type", "-of", "csv=p=0", file], timeout_s=want.timeout_s
    )
    state, reason = judge(ran, want.timeout_s)
    if state == "ok" and "video" not in ran.out:
        state, reason = "broken_binary", "ended with exit code 0, and has seen no picture"
    trial.note("ffprobe", path, ran, reason)
    return Trial(state, f"ffprobe: {reason}" if reason else "", ran=ran)


@contextlib.contextmanager
def _private_directory(service: Service) -> Iterator[str]:
    """A directory of the service's user that is gone afterwards."""
    made = service.run(["mktemp", "-d", "--tmpdir", "media-ops-ffmpeg.XXXXXX"], timeout_s=10)
    directory = made.out.strip()
    if made.rc != 0 or not _DIRECTORY.match(directory):
        raise MediaOpsError(f"nothing could be tried: no directory could be made: {one_line(made.msg)}")
    try:
        yield directory
    finally:
        service.run(["rm", "-rf", "--", directory], timeout_s=30)


def _is_written(service: Service, trial: Trial, want: Wanted, directory: str) -> bool:
    """Whether the encode left its files: a program that does nothing ends with 0, too."""
    paths = [_written(directory, muxer) for muxer in want.muxers]
    seen = service.run(["stat", "-c", "%s", "--", *paths], timeout_s=10)
    sizes = [int(line) for line in seen.out.split() if line.isdigit()]
    if len(sizes) == len(paths) and all(size > 0 for size in sizes):
        return True
    trial.fail("broken_binary", "ended with exit code 0, and has written nothing")
    return False


def judge(ran: Ran, timeout_s: float) -> tuple[str, str]:
    """What the end of one run of ffmpeg means by itself: a state and a reason."""
    code = _exit_code(ran)
    said = one_line(ran.err, 300)
    lacking = _NO_CODEC.search(ran.err)
    # With a full disk, ffmpeg 5.1 leaves half a file and ends with 0.
    if code == 0 and "No space left on device" not in ran.err:
        found = ("ok", "")
    elif code is None:
        found = ("hangs", f"still running after {timeout_s:g} s, and was ended")
    elif LOADER_SAID.search(ran.err):
        found = ("broken_library", said)
    elif code in _CRASHES:
        found = ("broken_binary", f"ended by {_CRASHES[code]}")
    elif code in (126, 127):
        found = ("not_executable" if "Permission denied" in ran.err else "broken_binary", said or f"exit code {code}")
    elif lacking:
        found = ("codec_missing", one_line(lacking.group(0)))
    else:
        found = ("failed", said or f"exit code {code}")
    return found
