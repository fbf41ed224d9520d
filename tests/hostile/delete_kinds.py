"""The kinds of situations around files: what is due and free and must go, and everything that must not."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from ansible_collections.media_ops.runbook.plugins.module_utils.system.tree import LOCK

from .deletions import DAY, NOBODY, Deletion
from .stage import EITHER, END, KEEP, kind

# Due and free: these go


@kind("delete", END, 6)
def plain(s: Deletion) -> None:
    """due and free"""
    s.must_go(s.file(s.dir() / s.rng.choice(["a.tmp", "film.mp4", "x", "core.1"])))


@kind("delete", END, 6)
def barely_due(s: Deletion) -> None:
    """older than its rule by a minute, beside one that is younger by a minute"""
    s.must_go(s.file(s.dir() / "due.tmp", age_s=s.scene.due_s + 60))
    s.must_stay(s.file(s.dir() / "not.tmp", age_s=s.scene.due_s - 60))
    s.unless.append(lambda: "it is due by now" if time.time() > s.scene.began + 60 else "")


@kind("delete", END, 0)
def empty(s: Deletion) -> None:
    """due and free, of no size"""
    s.must_go(s.file(s.dir() / "empty.tmp", content=b""))


@kind("delete", END, 0)
def big(s: Deletion) -> None:
    """due and free, of a gigabyte, most of it holes"""
    path = s.file(s.dir() / "big.tmp")
    os.truncate(path, 1 << 30)
    s.must_go(s.dated(path))


@kind("delete", END, 7)
def odd_names(s: Deletion) -> None:
    """due and free, with names that make trouble"""
    names = [
        b"a\nb.tmp",
        b"\xff\xfe.tmp",
        b"-rf",
        b" ",
        b"a b\t.tmp",
        "Größe é.mp4".encode(),
        b"*",
        b"$(x)",
        b"\x1b[31m",
        b"a\\b",
        "\u202etxt.exe".encode(),
        b".hidden",
    ]
    for name in s.rng.sample(names, 3):
        s.must_go(s.file(s.dir() / os.fsdecode(name)))


@kind("delete", END, 7)
def long_names(s: Deletion) -> None:
    """due and free, with names of 240 to 255 bytes"""
    s.must_go(s.file(s.dir() / ("n" * s.rng.randint(240, 255))))


@kind("delete", END, 7)
def deep(s: Deletion) -> None:
    """due and free, many directories down"""
    path = s.dir()
    for number in range(s.rng.randint(10, 40)):
        path = path / f"d{number}"
    s.must_go(s.file(path / "a.tmp"))


@kind("delete", END, 0)
def several_links(s: Deletion) -> None:
    """due and free, under several names that all are due"""
    first = s.file(s.dir() / "one.tmp")
    names = [s.dir() / "two.tmp", s.dir() / "sub" / "three.tmp"]
    for name in names:
        name.parent.mkdir(exist_ok=True)
        os.link(first, name)
    s.must_go(first, *names)


@kind("delete", END, 0)
def link_elsewhere(s: Deletion) -> None:
    """due and free; another name of it lies elsewhere and stays"""
    first = s.file(s.dir() / "one.tmp")
    other = s.scene.outside / f"kept{s.number}"
    os.link(first, other)
    s.must_stay(other)
    s.must_go(first)


@kind("delete", END, 0)
def modes(s: Deletion) -> None:
    """due and free, without permissions or with odd ones, of another user"""
    path = s.file(s.dir() / "mode.tmp")
    path.chmod(s.rng.choice([0o000, 0o400, 0o444, 0o4755, 0o1777]))
    os.chown(path, s.rng.choice([0, 1000, NOBODY]), 0)
    s.must_go(path)


@kind("delete", END, 0)
def many(s: Deletion) -> None:
    """due and free, many in one directory"""
    s.must_go(*(s.file(s.dir() / f"{number}.tmp", content=b"x") for number in range(s.rng.randint(20, 60))))


@kind("delete", END, 5)
def unlisted_session(s: Deletion) -> None:
    """due and free, in the directory of a session that is not listed"""
    s.must_go(s.file(s.dir(s.scene.sessions, s.id()) / "segment_00.mp4"))


@kind("delete", END, 5)
def prefix_of_listed(s: Deletion) -> None:
    """due and free, in the directory of a session with whose id that of a listed one begins"""
    listed = s.id()
    s.enlist(listed)
    s.must_stay(s.file(s.dir(s.scene.sessions, listed) / "a.mp4"))
    s.must_go(s.file(s.dir(s.scene.sessions, listed[:-2]) / "a.mp4"))


@kind("delete", END, 1)
def beside_an_open_one(s: Deletion) -> None:
    """due and free, beside a file that is open"""
    held = s.file(s.dir() / "held.tmp")
    s.spawn(f"open\t{held}\tr", "ready", "hold")
    s.must_stay(held)
    s.must_go(s.file(s.dir() / "free.tmp"), s.file(s.dir() / "held.tmp2"))


@kind("delete", END, 1)
def once_open(s: Deletion) -> None:
    """due and free; the process that had it open has ended"""
    path = s.file(s.dir() / "once.tmp")
    made = s.spawn(f"open\t{path}\tr", "ready", "hold")
    os.kill(made[0].pid, 9)
    while made[0].alive:
        os.sched_yield()
    s.made.clear()
    s.must_go(path)


@kind("delete", END, 1)
def argument_of_somebody(s: Deletion) -> None:
    """due and free; its path is among the arguments of a process that has it not open"""
    path = s.file(s.dir() / "named.tmp")
    s.made += s.scene.stranger.spawn(s.scene.bin / "vi", ["vi", str(path)], ["ready", "hold"])
    s.must_go(path)


@kind("delete", END, 6)
def by_mtime_where_said(s: Deletion) -> None:
    """a rotated log, whose rule goes by mtime and says so: its ctime is young"""
    root = s.root(min_age=s.scene.old_s, age_of="mtime", patterns=["*.log.*"])
    s.must_go(s.file(root / "service.log.3.gz"))
    s.must_stay(s.file(root / "service.log", age_s=60))


@kind("delete", END, 0)
def size_of_rule(s: Deletion) -> None:
    """large enough for its rule, beside one that is too small"""
    root = s.root(min_size=1000)
    s.must_go(s.file(root / "large", content=bytes(1000)))
    s.must_stay(s.file(root / "small", content=bytes(999)))


@kind("delete", END, 0)
def pattern_of_rule(s: Deletion) -> None:
    """of a name that its rule takes, beside others"""
    root = s.root(patterns=["*.tmp", "core.?"])
    s.must_go(s.file(root / "a.tmp"), s.file(root / "core.7"))
    s.must_stay(s.file(root / "a.tmp.mp4"), s.file(root / "core.77"), s.file(root / "A.TMP"), s.file(root / "film.mp4"))


@kind("delete", END, 0)
def empty_directory(s: Deletion) -> None:
    """an empty directory that is due, of a rule that takes such"""
    path = s.dir(s.scene.pruned) / "empty"
    path.mkdir()
    s.must_go(s.dated(path))
    s.dated(s.dir(s.scene.pruned))


@kind("delete", END, 0)
def on_tmpfs(s: Deletion) -> None:
    """due and free, on a tmpfs"""
    root = s.root()
    s.mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", str(root))
    s.must_go(s.file(root / "a.tmp"))


@kind("delete", END, 7, alone=True)
def beside_an_odd_date(s: Deletion) -> None:
    """due and free, beside a file whose date is before 1677"""
    root = s.root()
    s.mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", str(root))
    odd = s.file(root / "odd.tmp")
    os.utime(odd, ns=(0, -s.rng.choice([9_300_000_000, 10_000_000_000, 60_000_000_000]) * 10**9))
    s.must_go(s.file(root / "a.tmp"))


@kind("delete", END, 7, alone=True)
def date_of_1901(s: Deletion) -> None:
    """due and free, with the oldest date that its file system can tell, or that of 1970"""
    path = s.file(s.dir() / "old.tmp")
    os.utime(path, (0, s.rng.choice([-(1 << 31), 0, -1])))
    s.must_go(path)


@kind("delete", END, 7, alone=True)
def endless_age(s: Deletion) -> None:
    """due and free, while another rule of the same run has an age of 1e300 seconds, and takes nothing"""
    root = s.root(min_age=s.rng.choice([1e300, 1e18, 1e12]))
    s.must_stay(s.file(root / "a.tmp"))
    s.must_go(s.file(s.dir() / "a.tmp"))


@kind("delete", END, 0)
def missing_root(s: Deletion) -> None:
    """due and free, while the root of another rule is not there, and is not made"""
    s.scene.rules.append(s.scene.rule(f"missing{s.number}", s.scene.base / f"missing{s.number}"))
    s.must_go(s.file(s.dir() / "a.tmp"))


# In use


def _used(s: Deletion, script: Callable[[Path], list[str]], *, says: bool = True) -> Path:
    path = s.file(s.dir() / "used.tmp", content=s.rng.randbytes(5000))
    made = s.spawn(*script(path), "ready", "hold")
    s.must_stay(path)
    s.says = rf"\b{made[0].pid}\b" if says else "."
    return path


@kind("delete", KEEP, 1)
def open_to_read(s: Deletion) -> None:
    """open for reading"""
    _used(s, lambda path: [f"open\t{path}\tr"])


@kind("delete", KEEP, 1)
def watched_directory(s: Deletion) -> None:
    """an empty directory that a process watches for what comes: its inbox"""
    path = s.dir(s.scene.pruned) / "inbox"
    path.mkdir()
    made = s.spawn(f"watch\t{path}", "hold")
    s.dated(path)
    s.must_stay(path)
    s.says = rf"watched by pid {made[-1].pid}\b"


@kind("delete", KEEP, 1)
def mapped(s: Deletion) -> None:
    """only mapped"""
    mode = s.rng.choice(["r", "w"])
    _used(s, lambda path: [f"map\t{path}\t{mode}"])


@kind("delete", KEEP, 1)
def dead_first_thread(s: Deletion) -> None:
    """open by a process whose first thread has ended"""
    _used(s, lambda path: [f"open\t{path}\tr", "thread", "ready", "hold", "end", "exitmain"])


@kind("delete", KEEP, 1)
def many_descriptors(s: Deletion) -> None:
    """open by a process with thousands of descriptors before"""
    _used(s, lambda path: ["openmany\t/dev/null\t4200", f"open\t{path}\tr"])


@kind("delete", KEEP, 1)
def bind_mount(s: Deletion) -> None:
    """open through a bind mount in another mount namespace"""
    place = s.scene.outside / f"bound{s.number}"
    place.mkdir()
    _used(s, lambda path: ["ownmounts", f"bind\t{path.parent}\t{place}", f"open\t{place}/{path.name}\tr"])


@kind("delete", KEEP, 1)
def other_namespace(s: Deletion) -> None:
    """open in another mount namespace, where its path is hidden by now"""
    _used(s, lambda path: ["ownmounts", f"open\t{path}\tr", f"tmpfs\t{path.parent}"])


@kind("delete", KEEP, 1)
def in_flight(s: Deletion) -> None:
    """open in a message that nobody has taken"""
    _used(s, lambda path: [f"flight\t{path}"], says=False)


@kind("delete", KEEP, 1)
def child_has_it(s: Deletion) -> None:
    """open by a child only"""
    path = s.file(s.dir() / "used.tmp")
    s.spawn("fork", f"open\t{path}\tr", "ready", "hold", "end", "ready", "hold")
    s.must_stay(path)
    s.says = rf"\b{s.made[-1].pid}\b"


@kind("delete", KEEP, 1)
def running_program(s: Deletion) -> None:
    """a program that runs"""
    path = s.dir() / "tool"
    path.write_bytes((s.scene.bin / "bash").read_bytes())
    path.chmod(0o755)
    s.dated(path)
    made = s.spawn("ready", "hold", name="tool", exe=path)
    s.must_stay(path)
    s.says = rf"\b{made[0].pid}\b"


@kind("delete", KEEP, 1)
def other_name_open(s: Deletion) -> None:
    """open under another name, which lies elsewhere"""
    path = s.file(s.dir() / "used.tmp")
    other = s.scene.outside / f"name{s.number}"
    os.link(path, other)
    made = s.spawn(f"open\t{other}\tr", "ready", "hold")
    s.must_stay(path, other)
    s.says = rf"\b{made[0].pid}\b"


@kind("delete", KEEP, 1)
def loop_device(s: Deletion) -> None:
    """the image of a loop device"""
    path = s.file(s.dir() / "disk.img", content=bytes(1 << 16))
    done = subprocess.run(["losetup", "--find", "--show", str(path)], check=True, capture_output=True, text=True)
    s.dated(path)
    # Nobody has it open any more once the device is told so: it goes when the scene's last process has ended.
    s.scene.loops.append(done.stdout.strip())
    s.must_stay(path)


@kind("delete", KEEP, 1)
def overlay_lower(s: Deletion) -> None:
    """open through an overlay of which its directory is the lower layer"""
    _overlaid(s, "lower")


@kind("delete", KEEP, 1)
def overlay_upper(s: Deletion) -> None:
    """open through an overlay of which its directory is the upper layer"""
    _overlaid(s, "upper")


def _overlaid(s: Deletion, layer: str) -> None:
    top = s.scene.outside / f"overlay{s.number}"
    other, work, merged = (top / name for name in ("other", "work", "merged"))
    for path in (other, work, merged):
        path.mkdir(parents=True)
    mine = s.dir() / "layer"
    path = s.file(mine / "used.tmp")
    lower, upper = (mine, other) if layer == "lower" else (other, mine)
    s.mount("-t", "overlay", "-o", f"lowerdir={lower},upperdir={upper},workdir={work}", "overlay", str(merged))
    s.spawn(f"open\t{merged}/used.tmp\tr", "ready", "hold")
    s.must_stay(path)


@kind("delete", KEEP, 1)
def overlay_merged(s: Deletion) -> None:
    """on an overlay, open through one of its layers"""
    root = s.root()
    top = s.scene.outside / f"overlay{s.number}"
    lower, upper, work = (top / name for name in ("lower", "upper", "work"))
    for path in (lower, upper, work):
        path.mkdir(parents=True)
    layer = s.rng.choice([lower, upper])
    s.file(layer / "used.tmp")
    s.mount("-t", "overlay", "-o", f"lowerdir={lower},upperdir={upper},workdir={work}", "overlay", str(root))
    s.spawn(f"open\t{layer}/used.tmp\tr", "ready", "hold")
    s.must_stay(root / "used.tmp")


@kind("delete", KEEP, 1)
def working_directory(s: Deletion) -> None:
    """an empty directory that is somebody's current directory, or open"""
    path = s.dir(s.scene.pruned) / "empty"
    path.mkdir()
    s.dated(path)
    made = s.spawn(s.rng.choice(["cd", "opendir"]) + f"\t{path}", "ready", "hold")
    s.must_stay(path)
    s.says = rf"\b{made[0].pid}\b"


@kind("delete", KEEP, 1)
def root_directory(s: Deletion) -> None:
    """an empty directory that is somebody's root directory"""
    path = s.dir(s.scene.pruned) / "empty"
    path.mkdir()
    s.dated(path)
    s.spawn(f"chroot\t{path}", "ready", "hold")
    s.must_stay(path)


# Of a session that is listed


def _session_file(s: Deletion, session: str, shape: str, root: Path) -> None:
    path = s.dir(root, f"t{s.number}") / shape.format(session)
    s.enlist(session)
    s.must_stay(s.file(path))
    s.says = "session"


@kind("delete", KEEP, 5)
def listed_directory(s: Deletion) -> None:
    """in the directory of a listed session, at any depth"""
    session = s.id()
    s.enlist(session)
    deep = s.rng.choice(["a.mp4", "sub/a.mp4", "sub/sub/a.tmp"])
    s.must_stay(s.file(s.dir(s.scene.sessions, session) / deep))
    s.says = "session"


@kind("delete", KEEP, 5)
def listed_directory_elsewhere(s: Deletion) -> None:
    """in a directory of a listed session below another root"""
    session = s.id()
    s.enlist(session)
    s.must_stay(s.file(s.dir() / session / "a.tmp"))
    s.says = "session"


@kind("delete", KEEP, 5)
def listed_name(s: Deletion) -> None:
    """a file named after a listed session"""
    shape = s.rng.choice(["{}.tmp", "{}_clip.mp4", "{}.part.mp4", "{}", "{}.mp4.part", "{}_00.ts"])
    _session_file(s, s.id(), shape, s.rng.choice([s.scene.data, s.scene.sessions]))


@kind("delete", KEEP, 5)
def listed_id_written_otherwise(s: Deletion) -> None:
    """a file named after a listed session, without or with other signs between the parts of its id"""
    session = s.id()
    s.enlist(session)
    words = session.replace("_", "-").split("-")
    name = s.rng.choice(["".join(words), "_".join(words).upper(), "%2D".join(words), "x" + "".join(words[-3:])])
    s.must_stay(s.file(s.dir() / f"{name}.mp4"))
    s.says = "session"


@kind("delete", KEEP, 5)
def listed_id_in_a_name(s: Deletion) -> None:
    """with the id of a listed session anywhere in its name, or in capitals"""
    session = s.id()
    names = ["{}7f/a.mp4", "{} (1).mp4", "{}~", "merge-{}/a.mp4", "ffmpeg2pass-{}-0.log", "[{}].ts"]
    name = s.rng.choice([*(name.format(session) for name in names), f"{session.upper()}.mp4"])
    s.enlist(session)
    s.must_stay(s.file(s.dir() / name))
    s.says = "session"


@kind("delete", KEEP, 5)
def listed_directory_is_a_link(s: Deletion) -> None:
    """in what the directory of a listed session is a symbolic link to"""
    session = s.id()
    s.enlist(session)
    target = s.dir()
    s.must_stay(s.file(target / "deep" / "a.tmp"))
    (s.scene.sessions / session).symlink_to(target)
    s.says = "session"


@kind("delete", KEEP, 5)
def listed_temporary_directory(s: Deletion) -> None:
    """in a directory named after a listed session with a suffix: ID.tmp"""
    session = s.id()
    s.enlist(session)
    name = s.rng.choice(["{}.tmp", "{}.part", "{}_work"]).format(session)
    s.must_stay(s.file(s.dir(s.scene.sessions, name) / "a.mp4"))


@kind("delete", KEEP, 5)
def dotted_id(s: Deletion) -> None:
    """of a listed session whose id has a dot"""
    session = s.rng.choice(["{}.{}", "user.{}.{}"]).format(s.id(), s.rng.randint(1, 99))
    _session_file(s, session, s.rng.choice(["{}.mp4", "{}/a.mp4", "{}_a.ts", "{}.part.mp4"]), s.scene.sessions)


@kind("delete", KEEP, 5, alone=True)
def id_of_a_path(s: Deletion) -> None:
    """of a listed session whose id is a path below the directory of sessions"""
    user = f"user{s.number}"
    session = f"{user}/{s.id()}"
    s.enlist(session)
    s.must_stay(s.file(s.dir(s.scene.sessions, user) / session.partition("/")[2] / "a.mp4"))


@kind("delete", KEEP, 4)
def session_begins(s: Deletion) -> None:
    """of a session that is listed from the second time that the API is asked"""
    session = s.id()
    path = s.file(s.dir(s.scene.sessions, session) / "a.mp4")
    s.must_stay(path)
    s.scene.api.before.setdefault(2, []).append(lambda: s.enlist(session))


# Young


@kind("delete", KEEP, 6)
def young_by_mtime(s: Deletion) -> None:
    """too young"""
    s.must_stay(s.file(s.dir() / "young.tmp", age_s=s.rng.uniform(0.01, 0.95) * s.scene.due_s))


@kind("delete", KEEP, 6)
def arrived_lately(s: Deletion) -> None:
    """has come lately with an old date, as tar and rsync leave it"""
    s.must_stay(s.file(s.dir(s.scene.young) / "arrived.tmp"))


@kind("delete", KEEP, 6)
def renamed_lately(s: Deletion) -> None:
    """has an old date and was renamed or moved lately"""
    path = s.file(s.scene.outside / f"moved{s.number}.tmp")
    s.must_stay(path.rename(s.dir(s.scene.young) / "moved.tmp"))


@kind("delete", KEEP, 6)
def chmod_lately(s: Deletion) -> None:
    """has an old date, and its mode or owner was changed lately"""
    path = s.file(s.dir(s.scene.young) / "mode.tmp")
    path.chmod(0o600)
    s.must_stay(path)


@kind("delete", KEEP, 6)
def linked_lately(s: Deletion) -> None:
    """has an old date and got a second name lately"""
    path = s.file(s.dir(s.scene.young) / "one.tmp")
    os.link(path, s.dir(s.scene.young) / "two.tmp")
    s.must_stay(path, s.dir(s.scene.young) / "two.tmp")


@kind("delete", KEEP, 6)
def young_directory(s: Deletion) -> None:
    """an empty directory with an old date that has come lately"""
    path = s.dir(s.scene.young) / "empty"
    path.mkdir()
    s.must_stay(s.dated(path))


@kind("delete", KEEP, 6)
def dated_ahead(s: Deletion) -> None:
    """dated ahead of now"""
    ahead = s.rng.choice([DAY, 3600, 100 * 365 * DAY])
    s.must_stay(s.file(s.dir() / "ahead.tmp", age_s=-ahead))
    s.says = "future"


# Not to be taken for a file


@kind("delete", KEEP, 0)
def symbolic_link(s: Deletion) -> None:
    """a symbolic link; what it leads to stays"""
    target = s.file(s.scene.outside / f"target{s.number}")
    link = s.dir() / "link.tmp"
    link.symlink_to(target)
    s.must_stay(target, s.dated(link))
    s.says = "link"


@kind("delete", KEEP, 5)
def input_of_a_listed_session(s: Deletion) -> None:
    """below another root; a link in the directory of a listed session leads to it"""
    session = s.id()
    s.enlist(session)
    path = s.file(s.dir() / "uploaded" / "film.mp4")
    link = s.dir(s.scene.sessions, session) / s.rng.choice(["in.mp4", "in"])
    link.symlink_to(path if link.suffix else path.parent)
    s.must_stay(path)
    s.says = "session"


@kind("delete", KEEP, 0)
def no_file(s: Deletion) -> None:
    """a FIFO, a socket or a device"""
    path = s.dir() / "odd.tmp"
    what = s.rng.choice(["fifo", "socket", "device"])
    if what == "fifo":
        os.mkfifo(path)
    elif what == "socket":
        here = Path.cwd()
        os.chdir(s.dir())
        socket.socket(socket.AF_UNIX).bind(path.name)
        os.chdir(here)
    else:
        os.mknod(path, 0o600 | 0o020000, os.makedev(1, 3))
    s.must_stay(s.dated(path))


@kind("delete", KEEP, 7)
def mount_below(s: Deletion) -> None:
    """below a mount inside the root"""
    place, target = s.dir() / "mounted", s.scene.outside / f"mounted{s.number}"
    for path in (place, target):
        path.mkdir()
    inside = s.file(target / "a.tmp")
    s.mount("--bind", str(target), str(place))
    s.must_stay(inside)


@kind("delete", KEEP, 7)
def mount_point_elsewhere(s: Deletion) -> None:
    """an empty directory, or a file, on which something is mounted in another mount namespace"""
    target = s.scene.outside / f"mounted{s.number}"
    if s.rng.random() < 0.5:
        place = s.dir(s.scene.pruned) / "empty"
        place.mkdir()
        s.file(target / "a.tmp")
    else:
        place = s.file(s.dir() / "place.tmp")
        s.file(target)
    made = s.spawn("ownmounts", f"bind\t{target}\t{place}", "ready", "hold")
    s.dated(place)
    s.must_stay(place)
    s.says = rf"\b{made[0].pid}\b"


@kind("delete", KEEP, 8)
def immutable(s: Deletion) -> None:
    """immutable, or only to be appended to"""
    path = s.file(s.dir() / "fixed.tmp")
    subprocess.run(["chattr", s.rng.choice(["+i", "+a"]), str(path)], check=True)
    s.must_stay(path)
    s.says = "immutable|append"


@kind("delete", KEEP, 8)
def fixed_directory(s: Deletion) -> None:
    """in a directory that is immutable"""
    path = s.file(s.dir() / "fixed" / "a.tmp")
    subprocess.run(["chattr", "+i", str(path.parent)], check=True)
    s.must_stay(path)
    s.says = "immutable|append"


@kind("delete", KEEP, 8)
def read_only_mount(s: Deletion) -> None:
    """on a mount that is read-only"""
    root = s.root()
    path = s.file(root / "a.tmp")
    s.mount("--bind", str(root), str(root))
    s.mount("-o", "remount,bind,ro", str(root))
    s.must_stay(path)
    s.says = "read.only"


@kind("delete", KEEP, 7)
def locked_by_archive(s: Deletion) -> None:
    """in a directory that log_archive has for itself"""
    directory = s.dir() / "logs"
    path = s.file(directory / "service.log.1.gz")
    s.spawn(f"lock\t{directory}/{LOCK}", "ready", "hold")
    s.must_stay(path)
    s.says = "lock"


# While it runs


def _after_the_first(s: Deletion, script: Callable[[Path], list[str]]) -> Path:
    """Let something happen once the first of many files of a rule has gone; `late` where the file had gone too."""
    root = s.root()
    watched = root / "first"
    watched.mkdir()
    s.file(watched / "canary.tmp", age_s=s.old_s() + 900 * DAY)
    for number in range(150):
        s.file(root / "more" / f"{number}.tmp", age_s=s.scene.old_s + (700 - number) * DAY, content=b"")
    path = s.file(root / "last" / "target.tmp", age_s=s.scene.old_s + 60, content=s.rng.randbytes(100))
    s.spawn(f"watch\t{watched}", f"must\t{root}/more/110.tmp", *script(path), "event\tdone", "hold")
    s.unless.append(lambda: "it came too late" if s.event("late") or not s.event("done") else "")
    return path


@kind("delete", KEEP, 4)
def swapped(s: Deletion) -> None:
    """replaced while it runs by another file of the same size and date"""
    new = s.file(s.scene.outside / f"new{s.number}.tmp", content=s.rng.randbytes(100))
    path = _after_the_first(s, lambda path: [f"exchange\t{new}\t{path}"])
    facts = path.stat()
    os.utime(new, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    s.later[path] = new.read_bytes()


@kind("delete", KEEP, 4)
def opened_meanwhile(s: Deletion) -> None:
    """opened by somebody while it runs"""
    path = _after_the_first(s, lambda path: [f"openif\t{path}"])
    s.must_stay(path)


@kind("delete", KEEP, 4)
def directory_swapped(s: Deletion) -> None:
    """its directory is replaced while it runs by a symbolic link to one elsewhere, with a file of the same name"""
    outside = s.scene.outside / f"elsewhere{s.number}"
    target = s.file(outside / "target.tmp")
    away = s.scene.outside / f"away{s.number}"
    _after_the_first(s, lambda path: [f"rename\t{path.parent}\t{away}", f"symlink\t{outside}\t{path.parent}"])
    s.must_stay(target)


@kind("delete", KEEP, 7)
def root_moved(s: Deletion) -> None:
    """its root is moved away while it runs: somebody saves it"""
    saved = s.scene.outside / f"saved{s.number}"
    path = _after_the_first(s, lambda path: [f"rename\t{path.parent.parent}\t{saved}"])
    content = path.read_bytes()
    s.later[saved / "last" / "target.tmp"] = content


@kind("delete", KEEP, 4)
def renamed_meanwhile(s: Deletion) -> None:
    """renamed while it runs: it lies elsewhere and stays"""
    saved = s.scene.outside / f"saved{s.number}.mp4"
    path = _after_the_first(s, lambda path: [f"renameif\t{path}\t{saved}"])
    s.later[saved] = path.read_bytes()


@kind("delete", KEEP, 4)
def rewritten_meanwhile(s: Deletion) -> None:
    """written anew in place while it runs, with its old size and date"""
    path = _after_the_first(s, lambda path: [f"rewrite\t{path}"])
    s.later[path] = b"x" * path.stat().st_size


@kind("delete", KEEP, 4)
def linked_meanwhile(s: Deletion) -> None:
    """replaced while it runs by a symbolic link to a file elsewhere, which stays"""
    target = s.file(s.scene.outside / f"target{s.number}")
    _after_the_first(s, lambda path: [f"unlink\t{path}", f"symlink\t{target}\t{path}"])
    s.must_stay(target)


@kind("delete", KEEP, 1)
def of_another_user(s: Deletion) -> None:
    """open by a process of another user"""
    path = s.file(s.dir() / "used.tmp")
    path.chmod(0o644)
    s.dated(path)
    made = s.scene.stranger.spawn(s.scene.bin / "tail", ["tail", "-f"], [f"open\t{path}\tr", "ready", "hold"], NOBODY)
    s.made += made
    s.must_stay(path)
    s.says = rf"\b{made[0].pid}\b"


# What holds for a whole scene


def _below_sessions(s: Deletion) -> None:
    s.must_stay(s.file(s.dir(s.scene.sessions, s.id()) / "a.mp4"))


@kind("delete", KEEP, 5, alone=True)
def no_list(s: Deletion) -> None:
    """what the API answers is no list: all below the directory of sessions stays, and nothing else"""
    _below_sessions(s)
    s.must_go(s.file(s.dir() / "a.tmp"))
    answers: list[tuple[int, dict[str, str], bytes]] = [
        (200, {"Content-Type": "text/html"}, b"<html><body>busy</body></html>"),
        (302, {"Location": "http://127.0.0.1:9/"}, b""),
        (401, {}, b"{}"),
        (500, {}, b"{}"),
        (200, {}, b'{"active_sessions": {}, "total_active": 0}'),
        (200, {}, b'{"active_sessions": []'),
        (200, {}, b"[]"),
        (200, {}, b"{}"),
        (200, {}, b'{"active_sessions": [], "total_active": NaN}'),
    ]
    chosen = s.rng.choice(answers)
    s.scene.api.answer = lambda _n, _body: chosen


@kind("delete", KEEP, 5, alone=True)
def short_list(s: Deletion) -> None:
    """the list has fewer sessions than its own total"""
    _below_sessions(s)
    s.scene.api.answer = lambda _n, body: (200, {}, body.replace(b'"total_active": ', b'"total_active": 3'))


@kind("delete", KEEP, 5, alone=True)
def row_without_id(s: Deletion) -> None:
    """one entry of the list has no id that can be read"""
    _below_sessions(s)
    s.scene.api.rows.append({"session_id": s.rng.choice(["", None, 7, " "])})


@kind("delete", KEEP, 5, alone=True)
def api_away(s: Deletion) -> None:
    """nobody answers at the API's address"""
    _below_sessions(s)
    s.scene.options["api_url"] = "http://127.0.0.1:9"


@kind("delete", KEEP, 5, alone=True)
def second_answer_fails(s: Deletion) -> None:
    """the API answers once, and fails the next time, if it is asked"""
    _below_sessions(s)
    s.scene.api.answer = lambda n, body: (200, {}, body) if n == 1 else (500, {}, b"{}")
    s.unless.append(lambda: "it was asked once" if s.scene.api.asked < 2 else "")


@kind("delete", KEEP, 7, alone=True)
def empty_hash(s: Deletion) -> None:
    """approved by an empty hash, which is an error"""
    s.must_stay(s.file(s.dir() / "a.tmp"))
    s.scene.options["plan_hash"] = ""
    s.says = "hash"


@kind("delete", KEEP, 7, alone=True)
def linked_root(s: Deletion) -> None:
    """its root is a symbolic link: nothing is done"""
    target = s.scene.outside / f"real{s.number}"
    s.must_stay(s.file(target / "a.tmp"))
    root = s.scene.base / f"linked{s.number}"
    root.symlink_to(target)
    s.scene.rules.append(s.scene.rule(f"linked{s.number}", root))
    s.says = "link"


@kind("delete", KEEP, 7, alone=True)
def bad_root(s: Deletion) -> None:
    """a rule has a root that no rule may have: nothing is done"""
    s.must_stay(s.file(s.dir() / "a.tmp"))
    root = s.rng.choice(
        ["/", "", "/home", "/root", "/root/x/..", "/tmp", "relative/path", "/etc/../root", "//", "/home/x"]
    )
    s.scene.rules.append(s.scene.rule(f"bad{s.number}", root))
    s.says = "root"


@kind("delete", END, 4, alone=True)
def enough_free(s: Deletion) -> None:
    """a small disk is to have some space: the oldest go, and no more than that"""
    if s.scene.situations:
        s.right = EITHER
        return
    # By mtime: that all of them came in the same second would leave none the oldest.
    image, root = s.scene.outside / "disk.img", s.root(age_of="mtime")
    with image.open("wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True, capture_output=True)
    s.mount("-o", "loop", str(image), str(root))
    files = [
        s.file(root / f"{number:02}.tmp", age_s=s.scene.old_s + (99 - number) * DAY, content=bytes(1 << 20))
        for number in range(10)
    ]
    figures = os.statvfs(root)
    total = figures.f_blocks - figures.f_bfree + figures.f_bavail
    s.scene.options["target_free_percent"] = (
        100 * (figures.f_bavail * figures.f_frsize + 2.5 * (1 << 20)) / (total * figures.f_frsize)
    )
    s.must_go(*files[:2])
    s.must_stay(*files[4:])


@kind("delete", KEEP, 7, alone=True)
def home_by_its_real_path(s: Deletion) -> None:
    """its root is somebody's home, which the list of users has under another name: nothing is done"""
    real = s.scene.base / f"real{s.number}"
    s.must_stay(s.file(real / "a.tmp"))
    link = s.scene.base / f"home{s.number}"
    link.symlink_to(real)
    s.scene.rules.append(s.scene.rule(f"home{s.number}", real))
    s.says = "home"
    users = s.scene.outside / "passwd"
    if not users.exists():
        users.write_bytes(Path("/etc/passwd").read_bytes())
        s.mount("--bind", str(users), "/etc/passwd")
    with users.open("a", encoding="utf-8") as file:
        file.write(f"somebody{s.number}:x:{70000 + s.number}:70000::{link}:/bin/sh\n")


def _as_nobody(s: Deletion) -> Path:
    """The cleanup runs as a user, whose the root is."""
    s.scene.uid = NOBODY
    root = s.root()
    os.chown(root, NOBODY, NOBODY)
    return root


@kind("delete", END, 1, alone=True)
def own_file_of_a_user(s: Deletion) -> None:
    """due and free, the cleanup runs as its owner"""
    path = s.file(_as_nobody(s) / "a.tmp")
    os.chown(path, NOBODY, NOBODY)
    s.must_go(path)


@kind("delete", KEEP, 1, alone=True)
def open_file_of_a_user(s: Deletion) -> None:
    """open by root, the cleanup runs as its owner and cannot see who has it open"""
    path = s.file(_as_nobody(s) / "a.tmp")
    os.chown(path, NOBODY, NOBODY)
    s.spawn(f"open\t{path}\tr", "ready", "hold")
    s.must_stay(path)


@kind("delete", KEEP, 1, alone=True)
def file_of_another_owner(s: Deletion) -> None:
    """open or not, the cleanup runs as a user who may delete it but can prove nothing: it is another's"""
    path = s.file(_as_nobody(s) / "a.tmp")
    if s.rng.random() < 0.5:
        s.spawn(f"map\t{path}\tr", "ready", "hold")
    s.must_stay(path)
    s.says = "unproven"
