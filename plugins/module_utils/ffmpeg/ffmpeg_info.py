# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with the service's ffmpeg: the class of fault, and the packages whose reinstallation mends it."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import MediaOpsError
from ..shapes import one_line
from ..times import text_of
from . import packages
from .packages import Installed
from .probe import LOADER_SAID, Candidate, Service, Trial, Wanted, find_candidates, find_service, try_ffmpeg

STATES = (
    "ok",
    "missing",
    "not_executable",
    "broken_binary",
    "broken_library",
    "shadowed",
    "codec_missing",
    "no_device",
    "hangs",
    "failed",
    "unknown",
)
MAX_SHOWN = 20
# Where Debian's package has it
_PACKAGED = "/usr/bin"


@dataclass(frozen=True)
class Damage:
    """What is broken of a package's ffmpeg: the packages whose reinstallation mends it, and the libraries."""

    packages: tuple[str, ...] = ()
    libraries: tuple[dict[str, Any], ...] = ()
    binary: bool = False
    unverified: str = ""


def find_damage(
    service: Service, chosen: Candidate, trial: Trial, known: Mapping[str, Installed], want: Wanted
) -> Damage:
    """Look for what differs from its package: in ffmpeg's own, in those of its source, then in all that it needs."""
    libraries = [*_refused_library(trial), *_foreign_libraries(service, chosen, want)]
    broken = {one["package"] for one in libraries if one["package"]}
    owner = known.get(chosen.package)
    near = [name for name, one in known.items() if owner and one.source == owner.source]
    broken.update(name for name in near if known[name].was_interrupted)
    found: dict[str, list[str]] = {}
    unverified = ""
    try:
        found = packages.altered([one for one in near if known[one].is_installed], timeout_s=want.timeout_s)
        if not found and not broken:
            far = [one for one in packages.needed_by(chosen.package) if one in known and known[one].is_installed]
            found = packages.altered(far, timeout_s=want.timeout_s)
    except MediaOpsError as error:
        unverified = str(error)
    named = {one["path"] for one in libraries}
    is_binary = False
    for package, paths in found.items():
        for path in paths:
            if path in (chosen.path, chosen.target):
                is_binary = True
            elif packages.is_library(path) and path not in named:
                libraries.append(_library(path, package, "differs from what its package installed"))
            elif not packages.is_library(path):
                continue  # another program of the package
            broken.add(package)
    return Damage(tuple(sorted(broken)), tuple(libraries[:MAX_SHOWN]), is_binary, unverified)


def _library(path: str, package: str, fault: str) -> dict[str, Any]:
    return {"name": os.path.basename(path), "path": path, "package": package or None, "fault": fault}


def _refused_library(trial: Trial) -> list[dict[str, Any]]:
    """The library that the loader named when it gave up."""
    match = LOADER_SAID.search(trial.ran.err) if trial.ran else None
    if match is None or not match.group("lib"):
        return []
    path = match.group("lib")
    pattern = path if path.startswith("/") else f"*/{path}"
    package = packages.owners([pattern]).get(pattern, "")
    return [_library(path, package, "cannot be loaded")]


def _foreign_libraries(service: Service, chosen: Candidate, want: Wanted) -> list[dict[str, Any]]:
    """Libraries that ffmpeg gets from a place that no package owns."""
    listed = service.run_ffmpeg(["/usr/bin/ldd", chosen.target or chosen.path], timeout_s=want.timeout_s)
    if listed.rc == 0:
        paths = [match.group(1) for match in re.finditer(r" => (/\S+) \(0x", listed.out)]
    else:  # a library that is damaged ends ldd as it ends ffmpeg: those that take the place of a package's remain
        own = [one for one in re.split("[:;]", service.variables.get("LD_LIBRARY_PATH", "")) if one.startswith("/")]
        seen = service.run(["find", "-H", *own, "-maxdepth", "1", "-name", "*.so*"], timeout_s=10).out if own else ""
        places = {f"*/{os.path.basename(path)}": path for path in seen.splitlines()[:1000]}
        paths = [places[name] for name in packages.owners(places)]
    owned = packages.owners(paths)
    return [_library(path, "", "belongs to no package") for path in paths if path not in owned]


def ffmpeg_info(want: Wanted) -> dict[str, Any]:
    """Find the service's ffmpeg, try it, and say what is wrong with it."""
    service = find_service(want)
    known = packages.known()
    result: dict[str, Any] = {
        "state": "unknown",
        "reason": "",
        "binary": None,
        "version": None,
        "ffprobe": None,
        "mode": None,
        "owner": None,
        "changed_at": None,
        "candidates": [],
        "candidate_count": 0,
        "package": _package(known, want.package),
        "broken_packages": [],
        "libraries": [],
        "checks": [],
        "path_env": one_line(service.path, 1000),
        "path_source": service.path_source,
        "path_of_unit": one_line(service.unit_path, 1000) or None,
        "user": want.user,
        "dpkg_interrupted": packages.interrupted(known)[:MAX_SHOWN],
        "reinstall_cures": False,
    }
    try:
        candidates = find_candidates(service, timeout_s=want.timeout_s)
    except MediaOpsError as error:
        return {**result, "reason": str(error)}
    result.update(candidates=[one.shown() for one in candidates[:MAX_SHOWN]], candidate_count=len(candidates))
    chosen = next((one for one in candidates if one.executable), None) or next(
        (one for one in candidates if one.exists), None
    )
    if chosen is None:
        return {**result, **_missing(service, candidates, known, want)}
    result.update(binary=chosen.path, mode=chosen.mode, owner=chosen.owner)
    if chosen.package:
        result["package"] = _package(known, chosen.package)
    if not chosen.executable:
        return {**result, **_not_executable(chosen, want)}
    ffprobes = find_candidates(service, timeout_s=want.timeout_s, program="ffprobe") if want.ffprobe else []
    ffprobe = next((one for one in ffprobes if one.executable), None)
    trial = _tried(service, chosen, want, ffprobe)
    result.update(version=trial.version or None, checks=trial.checks)
    result.update(ffprobe=ffprobe.path if ffprobe else None)
    if trial.state in ("ok", "no_device", "unknown"):
        seen = trial.state != "unknown" and want.ffprobe
        found = _fault_of_ffprobe(service, ffprobes, trial, known, want) if seen else {}
        changed_at = _changed_at(chosen) if trial.state == "ok" and not found else None
        return {**result, "changed_at": changed_at, **(found or {"state": trial.state, "reason": trial.reason})}
    if not chosen.package:
        return {**result, **_unowned(service, (chosen, trial), candidates, known, want)}
    return {**result, **_diagnosed(chosen, trial, find_damage(service, chosen, trial, known, want))}


def _changed_at(chosen: Candidate) -> str | None:
    """When it, or a package that it needs, was last put in place; None where that cannot be seen."""
    needed = [chosen.package, *packages.needed_by(chosen.package)] if chosen.package else []
    moments = [packages.unpacked_at(name) for name in needed]
    for look, path in ((os.lstat, chosen.path), (os.stat, chosen.target or chosen.path)):
        with contextlib.suppress(OSError):
            moments.append(look(path).st_ctime)
    known = [moment for moment in moments if moment is not None]
    return text_of(max(known)) if known else None


def _package(known: Mapping[str, Installed], name: str) -> dict[str, Any] | None:
    one = known.get(name)
    return {"name": name, "version": one.version, "state": one.state} if one and one.version else None


def _tried(service: Service, candidate: Candidate, want: Wanted, ffprobe: Candidate | None = None) -> Trial:
    if candidate.is_program:
        usable = ffprobe.path if ffprobe and ffprobe.is_program else ""
        return try_ffmpeg(service, candidate.path, want, usable)
    return Trial("broken_binary", f"{candidate.path} begins neither as a program nor as a script, and was not run")


def _fault_of_ffprobe(
    service: Service, candidates: Sequence[Candidate], trial: Trial, known: Mapping[str, Installed], want: Wanted
) -> dict[str, Any]:
    """What is wrong with ffprobe, which can be missing or broken alone; empty where nothing is."""
    chosen = next((one for one in candidates if one.executable), None)
    if chosen is None:
        there = next((one for one in candidates if one.exists), None)
        return _not_executable(there, want) if there else _missing(service, candidates, known, want, "ffprobe")
    if trial.ffprobe is None:
        found = Trial("broken_binary", f"{chosen.path} begins neither as a program nor as a script, and was not run")
    else:
        found = trial.ffprobe
    if found.state == "ok":
        return {}
    if not chosen.package:
        return {"state": found.state, "reason": f"{chosen.path}, which no package owns, is broken ({found.reason})"}
    return _diagnosed(chosen, found, find_damage(service, chosen, found, known, want))


def _missing(
    service: Service,
    candidates: Sequence[Candidate],
    known: Mapping[str, Installed],
    want: Wanted,
    program: str = "ffmpeg",
) -> dict[str, Any]:
    links = [f"{one.path} is a link that leads nowhere" for one in candidates[:2]]
    reason = "; ".join([f"no {program} on the service's PATH", *links])
    found: dict[str, Any] = {"state": "missing"}
    led_to = next((one for one in candidates if one.package), None)
    if led_to:
        reason = f"{reason}; {led_to.target} is of package {led_to.package}"
        return {**found, "reason": reason, "broken_packages": [led_to.package], "reinstall_cures": True}
    package = known.get(want.package)
    if not known:
        return {**found, "reason": f"{reason}; there is no dpkg on this host"}
    if _PACKAGED not in {os.path.realpath(one) for one in service.directories}:
        return {**found, "reason": f"{reason}, which lacks {_PACKAGED}, where the package {want.package} has it"}
    have = "is installed" if package and package.is_installed else "is not wholly installed"
    reason = f"{reason}; the package {want.package} {have}"
    return {**found, "reason": reason, "broken_packages": [want.package], "reinstall_cures": True}


def _not_executable(chosen: Candidate, want: Wanted) -> dict[str, Any]:
    reason = f"user {want.user} may not run {chosen.path} (mode {chosen.mode}, owner {chosen.owner})"
    found = {"state": "not_executable", "reason": reason}
    if not chosen.package:
        return {**found, "reason": f"{reason}, which no package owns"}
    return {**found, "broken_packages": [chosen.package], "reinstall_cures": True}


def _unowned(
    service: Service,
    tried: tuple[Candidate, Trial],
    candidates: Sequence[Candidate],
    known: Mapping[str, Installed],
    want: Wanted,
) -> dict[str, Any]:
    """A broken ffmpeg that no package owns. It may hide one that works, or be a wrapper of one that does not."""
    chosen, trial = tried
    reason = f"{chosen.path}, which no package owns, is broken ({trial.state}: {one_line(trial.reason)})"
    packaged = next((one for one in candidates if one.package and one.exists), None)
    if packaged is None:
        return {"state": trial.state, "reason": reason, **_wrapped(chosen, trial, known, want, reason)}
    name = f"{packaged.path} of package {packaged.package}"
    if not packaged.executable:
        behind = _not_executable(packaged, want)
        return {**behind, "reason": f"{reason}; {name}, which it may start: {behind['reason']}"}
    second = _tried(service, packaged, want)
    checks = [*trial.checks, *second.checks]
    if second.state == "ok":
        reason = f"{reason}, and comes before {name}, which works: remove or rename it"
        return {"state": "shadowed", "reason": reason, "checks": checks}
    behind = _diagnosed(packaged, second, find_damage(service, packaged, second, known, want))
    reason = one_line(f"{reason}; {name} after it is {behind['state']}, too: {behind['reason']}", 600)
    if behind["reinstall_cures"]:
        return {**behind, "reason": reason, "checks": checks}
    return {"state": trial.state, "reason": reason, "checks": checks}


def _wrapped(
    chosen: Candidate, trial: Trial, known: Mapping[str, Installed], want: Wanted, reason: str
) -> dict[str, Any]:
    """What is wrong where a script starts the package's ffmpeg, which is not there; nothing where it starts another."""
    path, package = os.path.join(_PACKAGED, "ffmpeg"), known.get(want.package)
    said = trial.ran.err + trial.ran.out if trial.ran else ""
    if not chosen.is_script or os.path.exists(path) or not known:
        return {}
    if not (package and package.is_installed) and path not in said:
        return {}
    return {
        "state": "missing",
        "reason": f"{reason}; {path} of package {want.package}, which it may start, is not there",
        "broken_packages": [want.package],
        "reinstall_cures": True,
    }


def _diagnosed(chosen: Candidate, trial: Trial, damage: Damage) -> dict[str, Any]:
    state, reasons = trial.state, [trial.reason]
    if damage.binary:
        state = "broken_binary" if state in ("broken_library", "failed") else state
        reasons.insert(0, f"{chosen.path} differs from what package {chosen.package} installed")
    elif (damage.packages and state == "failed") or (damage.libraries and state == "broken_binary"):
        state = "broken_library"
    reasons += [f"{one['path']} ({one['package'] or 'no package'}) {one['fault']}" for one in damage.libraries[:3]]
    if damage.unverified:
        reasons.append(damage.unverified)
    elif not damage.packages and not damage.libraries:
        state = "failed" if state == "broken_binary" else state
        reasons.append("every program and library of its packages is as it was installed")
    return {
        "state": state,
        "reason": one_line("; ".join(reasons), 600),
        "broken_packages": list(damage.packages),
        "libraries": list(damage.libraries),
        "reinstall_cures": bool(damage.packages),
    }
