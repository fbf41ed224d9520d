"""The kinds of situations around sessions: what must be ended, and everything that must not."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from .actor import One
from .kills import INTERVAL_S, NOBODY, SAMPLES, Kill
from .stage import EITHER, END, KEEP, kind

PLAIN = ("-nostdin", "-i", "http://127.0.0.1/in.ts", "-y")
# How long before its signal a process may have begun to do something that no look can have seen any more
MOMENT_S = 0.02
# Of a longer look, which goes on after the first looks by quarters
LOOK_S = 5.0


# Stuck, and proved to be so: these end


@kind("kill", END, 2)
def current_directory(s: Kill) -> None:
    """stuck, its current directory is the session's"""
    s.enlist()
    s.gone_with(s.spawn(f"cd\t{s.dir()}", s.idle(), argv=[*PLAIN, "out.mp4"]))


@kind("kill", END, 3)
def output_open(s: Kill) -> None:
    """stuck, an output in the session's directory is open for writing"""
    s.enlist()
    s.gone_with(s.spawn(f"open\t{s.dir()}/prepared_00.mp4\t{s.rng.choice(['w', 'a', 'rw'])}", s.idle()))


@kind("kill", END, 3)
def output_argument(s: Kill) -> None:
    """stuck, an argument is a path in the session's directory"""
    s.enlist()
    out = s.dir() / "prepared_00.mp4"
    out.write_bytes(b"begun")
    protocol = s.rng.choice(["", "", "file:"])
    s.gone_with(s.spawn(s.idle(), argv=[*PLAIN, f"{protocol}{out}"]))


@kind("kill", END, 3)
def argument_relative(s: Kill) -> None:
    """stuck, an argument is a relative path that leads into the session's directory"""
    s.enlist()
    out = s.dir() / "prepared_00.mp4"
    out.write_bytes(b"begun")
    s.gone_with(s.spawn(f"cd\t{s.scene.work_dir}", s.idle(), argv=[*PLAIN, f"{s.id}/prepared_00.mp4"]))


@kind("kill", END, 3)
def output_mapped(s: Kill) -> None:
    """stuck, an output is only mapped for writing, and no descriptor is left"""
    s.enlist()
    out = s.dir() / "prepared_00.mp4"
    out.write_bytes(bytes(8192))
    # One that wakes up may have read by its mapping, which has no counter: that is another kind.
    s.gone_with(s.spawn(f"map\t{out}\tw", "hold", argv=[*PLAIN, str(out)]))


@kind("kill", END, 2)
def child_of_it(s: Kill) -> None:
    """stuck, with a child that shows nothing of the session"""
    s.enlist()
    lines, argv = s.bound()
    s.gone_with(s.spawn("fork", "cd\t/", "ready", "hold", "end", *lines, s.idle(), argv=argv))


@kind("kill", KEEP, 3)
def child_reads_another(s: Kill) -> None:
    """stuck; a child of it has a file of another, young session open for reading, and lives"""
    s.enlist()
    lines, argv = s.bound()
    other = s.new_id("merge_")
    s.ids.append(other)
    s.enlist(other, minutes=5)
    file = s.dir(other) / "source.mp4"
    file.write_bytes(b"source")
    made = s.spawn("fork", "cd\t/", f"open\t{file}\tr", "ready", "hold", "end", *lines, s.idle(), argv=argv)
    s.must_live(made[1:])
    s.must_stay(s.dir(other))


@kind("kill", KEEP, 3)
def child_dies_with_it(s: Kill) -> None:
    """stuck; a child of it works for another session, and has asked to be killed when its parent ends"""
    s.enlist()
    lines, argv = s.bound()
    other = s.new_id("merge_")
    s.ids.append(other)
    s.enlist(other)
    child = [f"cd\t{s.dir(other)}", "pdeath", f"write\t{s.dir(other)}/prepared_00.mp4\t100\t64"]
    made = s.spawn("fork", *child, "end", *lines, s.idle(), argv=argv)
    s.must_live(made[1:])
    s.must_stay(s.dir(other))
    s.working.append(other)
    s.says = rf"\b{made[1].pid}\b"


@kind("kill", END, 2)
def two_of_them(s: Kill) -> None:
    """two stuck processes of one session"""
    s.gone_with(s.stuck())
    lines, argv = s.bound()
    s.must_end(s.spawn(*lines, s.idle(), argv=argv))


@kind("kill", END, 2)
def ignores_term(s: Kill) -> None:
    """stuck, and deaf to SIGTERM"""
    s.enlist()
    lines, argv = s.bound()
    s.gone_with(s.spawn("ignore", *lines, s.idle(), argv=argv))


@kind("kill", END, 2)
def stopped(s: Kill) -> None:
    """stopped by a signal"""
    s.enlist()
    lines, argv = s.bound()
    made = s.spawn(*lines, "ready", "stop", argv=argv)
    s.gone_with(made)


@kind("kill", END, 2)
def full_pipe(s: Kill) -> None:
    """writes to a pipe that nobody reads"""
    s.enlist()
    lines, argv = s.bound()
    s.gone_with(s.spawn(*lines, "fullpipe", argv=argv))


@kind("kill", END, 2)
def fifo(s: Kill) -> None:
    """waits for the writer of a FIFO in its directory"""
    s.enlist()
    lines, argv = s.bound()
    s.gone_with(s.spawn(*lines, f"fifo\t{s.dir()}/live.ts", argv=argv))


@kind("kill", END, 2)
def dead_source(s: Kill) -> None:
    """asks a dead TCP source, or listens for one, again and again, beside others who send datagrams"""
    s.enlist()
    lines, argv = s.bound()
    s.spawn(f"udp\t{s.port('datagrams')}\t50\t16", name="bash", argv=["-c", "x"], by=s.scene.stranger)
    way = s.rng.choice([f"poll\t{s.port('silent')}\t{s.rng.choice([50, 100, 250])}", "listen\t-\t100"])
    s.gone_with(s.spawn(*lines, way, argv=argv))


@kind("kill", END, 2)
def futex(s: Kill) -> None:
    """waits for a thread that never comes, with a time limit, for ever; or sleeps again and again, and does nothing"""
    s.enlist()
    lines, argv = s.bound()
    way = s.rng.choice(["futex", "naps"])
    s.gone_with(s.spawn(*lines, f"{way}\t-\t{s.rng.choice([40, 100, 250])}", argv=argv))


@kind("kill", END, 2)
def idle_threads(s: Kill) -> None:
    """stuck, with threads that are stuck too"""
    s.enlist()
    lines, argv = s.bound()
    threads = ["thread", "ready", "futex\t-\t200", "end"] * s.rng.randint(1, 6)
    s.gone_with(s.spawn(*lines, *threads, s.rng.choice(["hold", "futex\t-\t100"]), argv=argv))


@kind("kill", END, 2)
def own_group(s: Kill) -> None:
    """stuck, the leader of a process group with another in it"""
    s.enlist()
    lines, argv = s.bound()
    s.gone_with(s.spawn("setpgid", "fork", "ready", "hold", "end", *lines, s.idle(), argv=argv))


@kind("kill", END, 3)
def argument_by_bind_mount(s: Kill) -> None:
    """stuck, an argument leads into the session's directory through a bind mount"""
    s.enlist()
    s.dir()
    other = s.scene.outside / f"view{s.number}"
    other.mkdir()
    (s.dir() / "out.mp4").write_bytes(b"begun")
    lines = ["ownmounts", f"bind\t{s.scene.work_dir}\t{other}"]
    s.gone_with(s.spawn(*lines, s.idle(), argv=[*PLAIN, f"{other}/{s.id}/out.mp4"]))


@kind("kill", END, 5)
def own_zombie(s: Kill) -> None:
    """stuck, with a child that has ended and that it takes no note of"""
    s.enlist()
    lines, argv = s.bound()
    s.gone_with(s.spawn("zombie", *lines, s.idle(), argv=argv)[:1])


@kind("kill", END, 3)
def link_inside(s: Kill) -> None:
    """stuck; in the directory are a link to a file elsewhere and a second name of another"""
    s.enlist()
    lines, argv = s.bound()
    target, twin = (s.scene.outside / f"{name}{s.number}.mp4" for name in ("target", "twin"))
    for path in (target, twin):
        path.write_bytes(s.rng.randbytes(100))
    (s.dir() / "link.mp4").symlink_to(target)
    os.link(twin, s.dir() / "twin.mp4")
    s.must_stay(target, twin)
    s.gone_with(s.spawn(*lines, s.idle(), argv=argv))


@kind("kill", END, 3)
def id_beside_prefix(s: Kill) -> None:
    """stuck; beside it one whose id begins with its id, which works"""
    s.gone_with(s.stuck())
    other = s.id + s.rng.choice(["2", "-2", "_b"])
    s.ids.append(other)
    s.enlist(other, minutes=180)
    s.must_live(s.spawn(f"cd\t{s.dir(other)}", f"write\t{s.dir(other)}/out.mp4\t50\t64"))
    s.must_stay(s.dir(other))
    s.working.append(other)


@kind("kill", END, 3, early=True)
def orphan(s: Kill) -> None:
    """left by a service that has ended, and its session is listed no more; ended only where orphans may be"""
    if not s.scene.orphans_may_end:
        s.right = KEEP
    directory = s.dir()
    made = s.spawn(f"cd\t{directory}", s.idle(), argv=[*PLAIN, "out.mp4"], by=s.scene.old)
    if s.right == END:
        s.gone_with(made)
    else:
        s.must_live(made)


# Progress that hides


def _moving(s: Kill, *body: str) -> None:
    """A session that is old and works, in one way."""
    s.enlist()
    lines, argv = s.bound()
    made = s.spawn(*lines, *body, argv=argv)
    s.must_live(made)
    s.must_stay(s.dir())
    s.working.append(s.id)


@kind("kill", KEEP, 2)
def slow_cpu(s: Kill) -> None:
    """works: some milliseconds of CPU now and then, or much CPU, and nothing else"""
    on_us, off_ms = s.rng.choice([(3000, 100), (3000, 200), (6000, 100), (6000, 200), (15000, 60)])
    _moving(s, f"burn\t{on_us}\t{off_ms}")


@kind("kill", KEEP, 2)
def slow_write(s: Kill) -> None:
    """works: some bytes are appended to its output now and then, or written again in place so that it does not grow"""
    way = s.rng.choice(["write", "pwrite"])
    _moving(s, f"{way}\t{s.dir()}/prepared_01.mp4\t{s.rng.choice([100, 400])}\t{s.rng.choice([1, 300])}")


@kind("kill", KEEP, 2)
def write_elsewhere(s: Kill) -> None:
    """works: its output is written to another place"""
    _moving(s, f"write\t{s.scene.outside}/out{s.number}.mp4\t{s.rng.choice([100, 400])}\t64")


@kind("kill", KEEP, 2)
def map_write(s: Kill) -> None:
    """works: writes through a map, of its output or of memory that it shares with others, without a system call"""
    out = s.rng.choice([s.dir() / "mapped.mp4", s.scene.outside / f"ring{s.number}"])
    out.write_bytes(bytes(1 << 20))
    _moving(s, f"mwrite\t{out}\t{s.rng.choice([20, 100])}")


@kind("kill", KEEP, 2)
def tcp_relay(s: Kill) -> None:
    """works: relays 64 kbit/s from TCP to TCP"""
    _moving(s, f"relay\t{s.port('feed')}\t{s.port('sink')}")


@kind("kill", KEEP, 2)
def tcp_sender(s: Kill) -> None:
    """works: sends by TCP, slowly, over one connection or by a new one each time"""
    _moving(
        s, f"{s.rng.choice(['tcp', 'newtcp'])}\t{s.port('sink')}\t{s.rng.choice([50, 300])}\t{s.rng.choice([1, 160])}"
    )


@kind("kill", KEEP, 2)
def udp_sender(s: Kill) -> None:
    """works: sends by UDP or a raw socket, slowly"""
    way = s.rng.choice([f"udp\t{s.port('datagrams')}", "raw\t-"])
    _moving(s, f"{way}\t{s.rng.choice([50, 300])}\t{s.rng.choice([1, 160])}")


@kind("kill", KEEP, 2)
def unix_sender(s: Kill) -> None:
    """works: sends to a Unix socket, slowly"""
    _moving(s, f"unix\t{s.scene.sockets.unix_path}\t{s.rng.choice([50, 300])}\t16")


@kind("kill", KEEP, 2)
def queue_sender(s: Kill) -> None:
    """works: passes messages by a queue, slowly"""
    _moving(s, f"queue\t-\t{s.rng.choice([50, 300])}")


@kind("kill", KEEP, 2)
def splicing(s: Kill) -> None:
    """works: lets the kernel move bytes from a socket to a file"""
    _moving(s, f"splice\t{s.port('feed')}\t{s.scene.outside}/spliced{s.number}")


@kind("kill", KEEP, 2)
def sendfile(s: Kill) -> None:
    """works: lets the kernel send a file"""
    source = s.scene.outside / f"source{s.number}"
    source.write_bytes(bytes(4096))
    _moving(s, f"sendfile\t{s.port('sink')}\t{s.rng.choice([50, 300])}\t{source}")


@kind("kill", KEEP, 2)
def slow_reader(s: Kill) -> None:
    """works: reads one byte now and then"""
    source = s.scene.outside / f"source{s.number}"
    source.write_bytes(bytes(4096))
    _moving(s, f"read\t{source}\t{s.rng.choice([100, 400])}\t1")


@kind("kill", KEEP, 2)
def log_lines(s: Kill) -> None:
    """works, as only its log lines tell, which another process writes"""
    s.must_live(s.stuck())
    line = f'{{"level": "INFO", "message": "m", "extra": {{"session_id": "{s.id}"}}}}'
    s.must_live(s.spawn(f"log\t{s.scene.log}\t200\t{line}", name="python3", by=s.scene.stranger))
    s.working.append(s.id)


@kind("kill", KEEP, 2)
def output_by_another(s: Kill) -> None:
    """works, as only a file shows that grows by another process under another name"""
    s.must_live(s.stuck())
    s.must_live(
        s.spawn(
            f"grow\t{s.dir()}/{s.rng.choice(['x.part', '.hidden', 'log.txt'])}\t200\t7",
            name="python3",
            by=s.scene.stranger,
        )
    )
    s.working.append(s.id)


@kind("kill", KEEP, 2)
def child_works(s: Kill) -> None:
    """works: it is its child that has CPU"""
    _moving(s, "fork", f"burn\t4000\t{s.rng.choice([80, 200])}", "end", "hold")


@kind("kill", KEEP, 2)
def thread_works(s: Kill) -> None:
    """works: a thread beside the first one writes"""
    _moving(s, "thread", f"write\t{s.scene.outside}/thread{s.number}\t200\t9", "end", "ready", "hold")


@kind("kill", KEEP, 2)
def dead_first_thread(s: Kill) -> None:
    """works: its first thread has ended, another one writes"""
    _moving(s, "thread", f"write\t{s.dir()}/prepared_01.mp4\t100\t64", "end", "exitmain")


@kind("kill", KEEP, 2)
def subdirectory_grows(s: Kill) -> None:
    """works: what grows lies deep below the directory"""
    deep = s.dir() / "a" / "b" / "c"
    deep.mkdir(parents=True)
    _moving(s, f"grow\t{deep}/part.ts\t200\t5")


@kind("kill", KEEP, 4)
def next_stage(s: Kill) -> None:
    """goes on, as only the API tells: another stage has begun while it was looked at"""
    s.must_live(s.stuck())
    row = s.row
    s.at_ask(
        2,
        lambda: row.update(
            stage="merging",
            start_time=datetime.now(UTC).replace(tzinfo=None).isoformat(),
            duration_minutes=0.0,
            duration_seconds=0.5,
        ),
    )


@kind("kill", KEEP, 4)
def begun_anew(s: Kill) -> None:
    """stuck, and ended; before its files go, the API lists it with a new start: they are the new one's"""
    s.must_end(s.stuck())
    s.must_stay(s.dir())
    row = s.row
    s.at_ask(
        4,
        lambda: row.update(
            start_time=datetime.now(UTC).replace(tzinfo=None).isoformat(), duration_minutes=0.0, duration_seconds=0.5
        ),
    )


@kind("kill", KEEP, 2, alone=True)
def moves_late(s: Kill) -> None:
    """works, and moves only after the first interval of the longer look"""
    s.scene.params |= {"look_max": LOOK_S, "look_bytes": 1e12}
    s.enlist()
    lines, argv = s.bound()
    to = s.scene.outside / f"late{s.number}"
    way = s.rng.choice([f"write\t{to}", f"pwrite\t{to}", f"tcp\t{s.port('sink')}"])
    made = s.spawn(*lines, "ready", "await", "event\ton", f"{way}\t5000\t64", argv=argv)
    s.must_live(made)
    s.must_stay(s.dir())
    s.working.append(s.id)
    s.at_ask(1, threading.Timer(SAMPLES * INTERVAL_S + LOOK_S / 4, s.wake(made[0])).start)
    s.unless.append(lambda: "" if s.event(made[0], "on") else "it did not go on in time")


# More of all causes


@kind("kill", KEEP, 3, early=True)
def orphan_of_another_unit(s: Kill) -> None:
    """left by nobody knows whom, in the control group of another unit; works in a directory that is not listed"""
    made = s.spawn(f"cd\t{s.dir()}", s.idle(), argv=[*PLAIN, "out.mp4"], by=s.scene.old)
    if s.group("service", made[0]) is None:
        s.right = EITHER
        return
    s.must_live(made)
    s.must_stay(s.dir(), s.dir() / "segment_00.mp4")


@kind("kill", EITHER, 4)
def frozen(s: Kill) -> None:
    """its control group is frozen: it can do nothing, and somebody wants it so"""
    made = s.stuck()
    group = s.group("slice", made[0])
    if group:
        (group / "cgroup.freeze").write_text("1", encoding="ascii")


@kind("kill", KEEP, 2)
def short_children(s: Kill) -> None:
    """works: by children that each live for a moment"""
    _moving(s, f"children\t-\t{s.rng.choice([50, 150])}")


@kind("kill", EITHER, 5)
def dotted_id(s: Kill) -> None:
    """stuck, with an id that has a dot"""
    dotted = s.id.replace("-", ".", 1) if "-" in s.id else f"{s.id}.7"
    s.ids.append(dotted)
    s.stuck(dotted)
    s.working.append(dotted)


@kind("kill", EITHER, 3)
def long_program_name(s: Kill) -> None:
    """stuck, an ffmpeg by a long name; in no case one that needs a restart, as it lives"""
    s.stuck(name="ffmpeg-linux-x86_64-v7.0.2")
    s.working.append(s.id)


@kind("kill", EITHER, 3)
def ffprobe(s: Kill) -> None:
    """its only process is an ffprobe that reads, and does so no more"""
    s.enlist()
    file = s.dir() / "segment_00.mp4"
    s.spawn(f"open\t{file}\tr", s.idle(), name="ffprobe", argv=["-v", "error", str(file)])
    s.working.append(s.id)


@kind("kill", KEEP, 4)
def debugger_comes(s: Kill) -> None:
    """stuck; before the first signal somebody attaches a debugger"""
    made = s.stuck()
    s.must_live(made)

    def come() -> None:
        s.must_live(s.spawn(f"trace\t{made[0].pid}", "hold", name="bash", argv=["gdb"], by=s.scene.stranger))

    s.at_ask(2, come)


@kind("kill", KEEP, 4)
def log_line_comes(s: Kill) -> None:
    """stuck; before the first signal it has a line in the log"""
    s.must_live(s.stuck())
    s.must_stay(s.dir())

    def come() -> None:
        with s.scene.log.open("a", encoding="utf-8") as file:
            file.write(f'{{"level": "INFO", "message": "m", "extra": {{"session_id": "{s.id}"}}}}\n')

    s.at_ask(2, come)


@kind("kill", KEEP, 4)
def stage_comes(s: Kill) -> None:
    """stuck; another stage has begun, as everybody learns who asks again before the first signal"""
    s.must_live(s.stuck())
    s.must_stay(s.dir())
    row = s.row
    now = datetime.now(UTC).replace(tzinfo=None).isoformat()
    s.after_ask(2, lambda: row.update(stage="merging", start_time=now, duration_minutes=0.0, duration_seconds=0.5))


@kind("kill", KEEP, 4)
def output_comes(s: Kill) -> None:
    """stuck; before the first signal an output of it has grown"""
    s.must_live(s.stuck())
    s.must_stay(s.dir())
    path = s.dir() / "segment_00.mp4"

    def come() -> None:
        with path.open("ab") as file:
            file.write(b"more")

    s.at_ask(2, come)


@kind("kill", KEEP, 7)
def directory_moved(s: Kill) -> None:
    """stuck; before its files go, somebody saves its directory and leaves a link there"""
    s.stuck()
    saved = s.scene.outside / f"saved{s.number}"
    directory = s.dir()

    def move() -> None:
        directory.rename(saved)
        directory.symlink_to(saved)
        s.must_stay(saved, saved / "segment_00.mp4")

    s.at_ask(2, move)


@kind("kill", KEEP, 4)
def reader_while_neighbour_ends(s: Kill) -> None:
    """stuck; somebody opens one of its files while another session is being ended"""
    second = s.id
    s.enlist(second, minutes=90)
    directory = s.dir(second)
    made = s.spawn(f"cd\t{directory}", "onterm", "hold", argv=["-y", "out.mp4"])
    reader = s.spawn(
        "ready",
        "await",
        f"open\t{directory}/segment_00.mp4\tr",
        "event\ton",
        "hold",
        name="rsync",
        argv=["x"],
        by=s.scene.stranger,
    )
    _neighbour(s, reader[0])
    s.must_live([*made, *reader])
    s.must_stay(directory, directory / "segment_00.mp4")
    s.unless.append(lambda: _order(s, reader[0], made[0]))


# Whose it is


def _with_editor(s: Kill, name: str, argv: list[str], *script: str) -> None:
    s.must_live(s.spawn(*script, "hold", name=name, argv=argv, by=s.scene.stranger))


@kind("kill", END, 3)
def editor(s: Kill) -> None:
    """stuck; an editor and a search of other people have its path or id among their arguments"""
    s.gone_with(s.stuck())
    _with_editor(s, "vi", [str(s.dir() / "segment_00.mp4")])
    _with_editor(s, "bash", ["-c", f"grep {s.id} log"])


@kind("kill", KEEP, 3)
def comment(s: Kill) -> None:
    """the service's, works elsewhere; a comment among its arguments has the path of a listed session"""
    s.enlist()
    text = s.rng.choice(
        [f"comment={s.dir()}/prepared_00.mp4", f"title=from {s.dir()}/segment_00.mp4", f"see '{s.dir()}/x'"]
    )
    s.must_live(s.spawn(s.idle(), argv=[*PLAIN, "-metadata", text, "/dev/null"]))


@kind("kill", KEEP, 3)
def source_only_read(s: Kill) -> None:
    """the service's, of a young session, reads a file of an old session, which therefore stays"""
    s.must_live(s.stuck())
    other = s.new_id()
    s.ids.append(other)
    s.enlist(other, minutes=3)
    reader = s.spawn(
        f"cd\t{s.dir(other)}",
        f"open\t{s.dir()}/segment_00.mp4\tr",
        "hold",
        argv=["-i", f"{s.dir()}/segment_00.mp4", "out.mp4"],
    )
    s.must_live(reader)
    s.must_stay(s.dir(), s.dir() / "segment_00.mp4", s.dir(other))
    s.says = str(reader[0].pid)


@kind("kill", KEEP, 3)
def other_namespace(s: Kill) -> None:
    """its path is the same, but in a mount namespace where that is another directory"""
    s.enlist()
    s.dir()
    (s.dir() / "out.mp4").write_bytes(b"theirs")
    hidden = [
        "ownmounts",
        f"tmpfs\t{s.scene.work_dir}",
        f"mkdir\t{s.dir()}",
        f"cd\t{s.dir()}",
        f"open\t{s.dir()}/out.mp4\tw",
    ]
    made = s.spawn(*hidden, s.idle(), argv=[*PLAIN, str(s.dir() / "out.mp4")])
    s.must_live(made)


@kind("kill", KEEP, 3)
def another_units(s: Kill) -> None:
    """not the service's nor left by it, and works in the directory: named, and left alone"""
    s.enlist()
    made = s.spawn(f"cd\t{s.dir()}", f"open\t{s.dir()}/out.mp4\tw", s.idle(), by=s.scene.stranger)
    s.must_live(made)
    s.must_stay(s.dir(), s.dir() / "segment_00.mp4")
    s.working.append(s.id)
    s.says = str(made[0].pid)


@kind("kill", KEEP, 3)
def another_user(s: Kill) -> None:
    """the service started it as another user, and it has a file open: named, and left alone with the stuck one"""
    s.must_live(s.stuck())
    made = s.spawn(f"open\t{s.dir()}/segment_00.mp4\tr", s.idle(), uid=NOBODY)
    s.must_live(made)
    s.must_stay(s.dir(), s.dir() / "segment_00.mp4")
    s.says = str(made[0].pid)


@kind("kill", KEEP, 3)
def two_sessions(s: Kill) -> None:
    """works in the directories of two sessions"""
    other = s.new_id()
    s.ids.append(other)
    s.enlist(other)
    s.enlist()
    made = s.spawn(f"cd\t{s.dir(other)}", f"open\t{s.dir()}/out.mp4\tw", s.idle(), argv=[*PLAIN, f"{s.dir()}/out.mp4"])
    s.must_live(made)
    s.must_stay(s.dir(), s.dir(other))
    s.working += s.ids
    s.says = str(made[0].pid)


@kind("kill", KEEP, 2)
def young(s: Kill) -> None:
    """stuck, but too young to be ended"""
    s.must_live(s.stuck(minutes=s.rng.choice([3, 20, 45, 59])))
    s.must_stay(s.dir())


@kind("kill", KEEP, 3)
def before_its_session(s: Kill) -> None:
    """older than its session: a process that only looks like its own"""
    lines, argv = s.bound()
    made = s.spawn(*lines, s.idle(), argv=argv)
    later = datetime.now(UTC) + timedelta(minutes=30)
    s.enlist(minutes=180, start_time=later.replace(tzinfo=None).isoformat())
    s.must_live(made)
    s.must_stay(s.dir())


@kind("kill", KEEP, 3)
def short_id(s: Kill) -> None:
    """stuck, with an id that is too short to be trusted"""
    short = f"{s.rng.getrandbits(24):06x}"
    s.ids.append(short)
    s.must_live(s.stuck(short))
    s.must_stay(s.dir(short))


@kind("kill", KEEP, 5)
def odd_id(s: Kill) -> None:
    """listed under an id with characters of paths or wildcards; what it would reach is left alone"""
    name = s.id
    odd = s.rng.choice([f"../video_merge/{name}", f"{name}/", f"{name[:6]}*", f"./{name}", f"{name}/segment_00.mp4"])
    s.ids.append(odd)
    s.dir(name)
    s.enlist(odd)
    lines, argv = s.bound()
    s.must_live(s.spawn(*lines, s.idle(), argv=argv))
    s.must_stay(s.dir(name), s.dir(name) / "segment_00.mp4")


@kind("kill", KEEP, 3)
def directory_is_link(s: Kill) -> None:
    """stuck; its directory is a symbolic link to one elsewhere, whose files stay"""
    target = s.scene.outside / f"real{s.number}"
    target.mkdir()
    (target / "film.mp4").write_bytes(b"the only copy")
    (s.scene.work_dir / s.id).symlink_to(target)
    s.enlist()
    s.spawn(f"cd\t{target}", s.idle())
    s.must_stay(target, target / "film.mp4")


@kind("kill", KEEP, 7)
def mount_inside(s: Kill) -> None:
    """stuck; a directory from elsewhere is mounted in its own, and keeps its files"""
    target, place = s.scene.outside / f"mounted{s.number}", s.dir() / "mounted"
    for path in (target, place):
        path.mkdir()
    (target / "film.mp4").write_bytes(b"the only copy")
    subprocess.run(["mount", "--bind", str(target), str(place)], check=True)
    s.stuck()
    s.must_stay(target / "film.mp4", target)


# Who keeps a session alive


def _kept_by(s: Kill, *script: str, name: str = "", by: str = "", says: bool = True) -> None:
    """A stuck session one of whose files somebody else has in use: all of it stays, and who it is is said."""
    s.must_live(s.stuck())
    name = name or s.rng.choice(["rsync", "python3", "bash", "transcoder", "vi"])
    spawner = s.scene.service if by == "service" else s.scene.stranger
    made = s.spawn(*script, "ready", "hold", name=name, argv=["--quiet"], by=spawner)
    s.must_live(made)
    s.must_stay(s.dir(), s.dir() / "segment_00.mp4")
    s.working.append(s.id)
    if says:
        s.says = rf"\b{made[0].pid}\b"


@kind("kill", KEEP, 3)
def backup_reads(s: Kill) -> None:
    """stuck; a backup of somebody else, or a worker of the service by another name, has a file open for reading"""
    name, by = s.rng.choice([("rsync", ""), ("python3", "service")])
    _kept_by(s, f"open\t{s.dir()}/segment_00.mp4\tr", name=name, by=by)


@kind("kill", KEEP, 1)
def mapped_only(s: Kill) -> None:
    """stuck; somebody has a file only mapped"""
    _kept_by(s, f"map\t{s.dir()}/segment_00.mp4\tr")


@kind("kill", KEEP, 1)
def behind_dead_thread(s: Kill) -> None:
    """stuck; who has a file open has a first thread that has ended"""
    _kept_by(s, f"open\t{s.dir()}/segment_00.mp4\tr", "thread", "ready", "hold", "end", "exitmain")


@kind("kill", KEEP, 1)
def many_descriptors(s: Kill) -> None:
    """stuck; who has a file open has thousands of others open before it"""
    _kept_by(s, "openmany\t/dev/null\t4200", f"open\t{s.dir()}/segment_00.mp4\tr")


@kind("kill", KEEP, 1)
def open_by_bind_mount(s: Kill) -> None:
    """stuck; a file is open through a bind mount in another mount namespace"""
    place = s.scene.outside / f"bound{s.number}"
    place.mkdir()
    directory = s.dir()
    _kept_by(s, "ownmounts", f"bind\t{directory}\t{place}", f"open\t{place}/segment_00.mp4\tr")


@kind("kill", KEEP, 1)
def in_flight(s: Kill) -> None:
    """stuck; a file is open in a message that nobody has taken: its files stay"""
    s.stuck()
    s.must_live(
        s.spawn(
            f"flight\t{s.dir()}/segment_00.mp4", "ready", "hold", name="transcoder", argv=["x"], by=s.scene.stranger
        )
    )
    s.must_stay(s.dir() / "segment_00.mp4")


@kind("kill", KEEP, 1)
def program_from_there(s: Kill) -> None:
    """stuck; somebody runs a program that lies in the directory"""
    s.must_live(s.stuck())
    program = s.dir() / "tool"
    # A link would be the program of all others in the scene as well.
    shutil.copy(s.scene.bin / "python3", program)
    made = s.spawn("ready", "hold", name="tool", argv=["x"], exe=program, by=s.scene.stranger)
    s.must_live(made)
    s.must_stay(program)


@kind("kill", KEEP, 1)
def root_there(s: Kill) -> None:
    """stuck; somebody's root directory is the session's: its files stay"""
    s.stuck()
    s.must_live(
        s.spawn(
            f"open\t{s.dir()}/segment_00.mp4\tr",
            f"chroot\t{s.dir()}",
            "ready",
            "hold",
            name="bash",
            argv=["x"],
            by=s.scene.stranger,
        )
    )
    s.must_stay(s.dir() / "segment_00.mp4", s.dir())


@kind("kill", KEEP, 3)
def main_process_holds(s: Kill) -> None:
    """stuck; the service's own main process has a file of it open"""
    s.must_live(s.stuck())
    s.scene.service.do(f"open\t{s.dir()}/segment_00.mp4\tr")
    s.must_live([s.scene.service.one])
    s.must_stay(s.dir(), s.dir() / "segment_00.mp4")
    s.working.append(s.id)


@kind("kill", KEEP, 3)
def main_process_works(s: Kill) -> None:
    """listed without a process of its own, but the service's main process has its file open"""
    s.enlist()
    s.dir()
    s.scene.service.do(f"open\t{s.dir()}/segment_00.mp4\t{s.rng.choice('rw')}")
    s.must_live([s.scene.service.one])
    s.must_stay(s.dir(), s.dir() / "segment_00.mp4")
    s.working.append(s.id)


@kind("kill", KEEP, 3)
def worker_of_any_name(s: Kill) -> None:
    """its only process has another name, has its file open and works: no restart for it"""
    s.enlist()
    name = s.rng.choice(["python3", "transcoder", "ffmpeg-linux-x86_64-v7.0.2"])
    body = s.rng.choice(["burn\t4000\t100", f"write\t{s.scene.outside}/worker{s.number}\t100\t64", "hold"])
    made = s.spawn(f"open\t{s.dir()}/segment_00.mp4\trw", body, name=name, argv=["worker.py"])
    if name.startswith("ffmpeg") and body == "hold":
        s.right = EITHER  # an ffmpeg by its long name, and stuck
    else:
        s.must_live(made)
        s.must_stay(s.dir(), s.dir() / "segment_00.mp4")
    s.working.append(s.id)


@kind("kill", KEEP, 3)
def worker_beside_zombie(s: Kill) -> None:
    """its only process has another name; an ffmpeg of the service has ended as a zombie: no restart for this session"""
    s.spawn("zombie\tffmpeg", "ready", "hold", name="python3", argv=["pool.py"])
    s.enlist()
    made = s.spawn(f"open\t{s.dir()}/segment_00.mp4\tr", "ready", "hold", name="python3", argv=["worker.py"])
    s.must_live(made)
    s.must_stay(s.dir(), s.dir() / "segment_00.mp4")
    s.working.append(s.id)


@kind("kill", KEEP, 2)
def traced(s: Kill) -> None:
    """stuck, with a debugger attached"""
    made = s.stuck()
    s.must_live(made)
    s.must_live(s.spawn(f"trace\t{made[0].pid}", "ready", "hold", name="bash", argv=["gdb"], by=s.scene.stranger))
    s.says = "debug|trac"


@kind("kill", KEEP, 2)
def uninterruptible(s: Kill) -> None:
    """waits in the kernel (D): a signal is no help"""
    s.enlist()
    lines, argv = s.bound()
    made = s.spawn(*lines, "vfork", argv=argv)
    s.must_live(made[:1])
    s.must_stay(s.dir())
    s.says = r"uninterruptible|\(D\)"
    s.working.append(s.id)


# Plans that go stale


def _on_at_the_second_ask(s: Kill, process: One) -> None:
    """Let a process go on before the API answers for the second time, and wait until it has."""

    def act() -> None:
        s.wake(process)()
        _until(lambda: s.event(process, "on"))

    s.at_ask(2, act)
    s.unless.append(lambda: "" if s.event(process, "on") else "it did not go on in time")


def _goes_on(s: Kill, *script: str) -> None:
    """Stuck while it is looked at; goes on before the API answers a second time, when the looks are over."""
    s.enlist()
    lines, argv = s.bound()
    made = s.spawn(*lines, "ready", "await", *script, argv=argv)
    s.must_live(made)
    s.must_stay(s.dir())
    _on_at_the_second_ask(s, made[0])


def _until(check: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not check() and time.monotonic() < deadline:
        time.sleep(0.002)


@kind("kill", KEEP, 4)
def writes_again(s: Kill) -> None:
    """stuck while it is looked at; then it writes again, before the first signal"""
    _goes_on(
        s, f"writeonce\t{s.dir()}/prepared_02.mp4\t-\t3000", "event\ton", f"write\t{s.dir()}/prepared_02.mp4\t20\t64"
    )


@kind("kill", KEEP, 4)
def other_session_by_now(s: Kill) -> None:
    """stuck while it is looked at; before the first signal it has gone on to another session's directory"""
    other = s.new_id()
    s.ids.append(other)
    s.enlist(other, minutes=2)
    directory = s.dir(other)
    s.enlist()
    made = s.spawn(
        f"cd\t{s.dir()}",
        "ready",
        "await",
        f"cd\t{directory}",
        f"open\t{directory}/out.mp4\tw",
        "event\ton",
        "hold",
        argv=["-y", "out.mp4"],
    )
    s.must_live(made)
    s.must_stay(directory)
    _on_at_the_second_ask(s, made[0])


@kind("kill", KEEP, 4)
def other_program_by_now(s: Kill) -> None:
    """stuck while it is looked at; before the first signal it has become another program"""
    s.enlist()
    exe = s.scene.bin / "python3"
    made = s.spawn(
        f"cd\t{s.dir()}",
        "ready",
        "await",
        "cd\t/",
        f"exec\t{exe}\tpython3\tother.py",
        "event\ton",
        "hold",
        argv=["-y", "out.mp4"],
    )
    s.must_live(made)
    _on_at_the_second_ask(s, made[0])


@kind("kill", KEEP, 4)
def pid_of_another_by_now(s: Kill) -> None:
    """stuck while it is looked at; before the first signal it has ended, and its pid is an innocent's"""
    made = s.stuck()

    def reuse() -> None:
        os.kill(made[0].pid, 9)
        _until(lambda: not Path(f"/proc/{made[0].pid}").exists())
        for _try in range(20):
            Path("/proc/sys/kernel/ns_last_pid").write_text(str(made[0].pid - 1), encoding="ascii")
            new = s.spawn("cd\t/", "ready", "hold", name="ffmpeg", argv=["-i", "other"], by=s.scene.stranger)
            s.live[:] = new
            if new[0].pid == made[0].pid:
                return
        s.notes.append("its pid was not given again")

    s.at_ask(2, reuse)


@kind("kill", KEEP, 4)
def reader_comes(s: Kill) -> None:
    """stuck; before the first signal somebody opens one of its files"""
    made = s.stuck()
    s.must_live(made)
    s.must_stay(s.dir(), s.dir() / "segment_00.mp4")

    def come() -> None:
        reader = s.spawn(
            f"open\t{s.dir()}/segment_00.mp4\tr", "ready", "hold", name="rsync", argv=["x"], by=s.scene.stranger
        )
        s.must_live(reader)

    s.at_ask(2, come)


@kind("kill", KEEP, 4)
def file_comes(s: Kill) -> None:
    """stuck; while its process is ended a new file comes into its directory, which stays"""
    s.enlist()
    new = s.dir() / f"new_{s.number}.mp4"
    script = ["ready", "await", f"writeonce\t{new}\t-\t500", "event\ton", "hold"]
    writer = s.spawn(*script, name="python3", argv=["x"], by=s.scene.stranger)
    s.spawn(f"cd\t{s.dir()}", f"tell\t{writer[0].pid}\t100", "hold", argv=["-y", "out.mp4"])
    s.must_live(writer)
    s.keep[new] = None
    s.unless.append(lambda: "" if s.event(writer[0], "on") else "nothing was ended")


@kind("kill", KEEP, 4)
def swapped_file(s: Kill) -> None:
    """stuck; before its files go, one is replaced by another of the same size and date, which stays"""
    s.stuck()
    old = s.dir() / "segment_00.mp4"
    facts = old.stat()
    new = s.scene.outside / f"swapped{s.number}.mp4"
    new.write_bytes(s.rng.randbytes(facts.st_size))
    os.utime(new, ns=(facts.st_atime_ns, facts.st_mtime_ns))

    def swap() -> None:
        new.replace(old)
        s.must_stay(old)

    s.at_ask(2, swap)


@kind("kill", KEEP, 4)
def rewritten_file(s: Kill) -> None:
    """stuck; before its files go, one gets other content in place, with its old size and date: it stays"""
    s.stuck()
    old = s.dir() / "segment_00.mp4"
    facts = old.stat()

    def rewrite() -> None:
        with old.open("r+b") as file:
            file.write(s.rng.randbytes(facts.st_size))
        os.utime(old, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        s.must_stay(old)

    s.at_ask(2, rewrite)


def _neighbour(s: Kill, woken: One) -> None:
    """An older stuck session, which at its signal wakes somebody and gives him time before it ends."""
    other = s.new_id()
    s.ids.append(other)
    s.enlist(other, minutes=2000)
    s.must_end(s.spawn(f"cd\t{s.dir(other)}", f"tell\t{woken.pid}\t150", "hold", argv=["-y", "out.mp4"]))


def _order(s: Kill, woken: One, ended: One) -> str:
    """Why nothing had changed before a process got its own signal, by what both noted; "" where it had.

    Between the last look and the signal lies a moment, which no proof can be younger than.
    """
    noted = {line.split(" ", 1)[1]: float(line.split(" ", 1)[0]) for line in s.scene.events.read_text().splitlines()}
    on, term = noted.get(f"{woken.pid} on"), noted.get(f"{ended.pid} term")
    if on is None:
        return "it was not woken: its neighbour came later, or lives"
    return "its own signal came first" if term is not None and term < on + MOMENT_S else ""


def _while_neighbour_ends(s: Kill, *script: str) -> None:
    """Two stuck sessions; when the older one gets its signal, the other goes on, before the first has ended."""
    second = s.id
    s.enlist(second, minutes=90)
    directory = s.dir(second)
    made = s.spawn(f"cd\t{directory}", "onterm", "ready", "await", *script, argv=["-y", "out.mp4"])
    _neighbour(s, made[0])
    s.must_live(made)
    s.must_stay(directory, directory / "segment_00.mp4")
    s.unless.append(lambda: _order(s, made[0], made[0]))


@kind("kill", KEEP, 4)
def writes_while_neighbour_ends(s: Kill) -> None:
    """stuck; it writes again while another session is being ended"""
    _while_neighbour_ends(
        s, f"writeonce\t{s.dir()}/again.mp4\t-\t3000", "event\ton", f"write\t{s.dir()}/again.mp4\t20\t64"
    )


@kind("kill", KEEP, 4)
def sends_while_neighbour_ends(s: Kill) -> None:
    """stuck; it sends again by TCP while another session is being ended"""
    _while_neighbour_ends(s, "event\ton", f"tcp\t{s.port('sink')}\t5\t160")


@kind("kill", KEEP, 4)
def leaves_while_neighbour_ends(s: Kill) -> None:
    """stuck; it goes to work elsewhere while another session is being ended"""
    _while_neighbour_ends(s, "cd\t/", "event\ton", "hold")
    s.keep.clear()


# What contradicts itself


@kind("kill", KEEP, 5)
def duration_denied(s: Kill) -> None:
    """stuck; its duration says hours, its start says minutes"""
    s.must_live(s.stuck(minutes=180))
    start = datetime.now(UTC) - timedelta(minutes=s.rng.choice([1, 5, 20]))
    s.row["start_time"] = start.replace(tzinfo=None).isoformat()
    s.must_stay(s.dir())


@kind("kill", KEEP, 5)
def duration_odd(s: Kill) -> None:
    """stuck; its duration is no number that can be, and its start is no time"""
    s.must_live(s.stuck(minutes=180))
    s.row.update(
        s.rng.choice(
            [
                {"duration_minutes": None, "duration_seconds": None},
                {"duration_minutes": -5, "duration_seconds": -300},
                {"duration_minutes": "180", "duration_seconds": "x"},
                {"duration_minutes": 1e300, "duration_seconds": 1e300},
            ]
        )
    )
    s.row["start_time"] = s.rng.choice([None, "", "yesterday", 7])
    s.must_stay(s.dir())


@kind("kill", KEEP, 5)
def listed_twice(s: Kill) -> None:
    """stuck by one entry of the list; by another of the same session it has just begun a stage"""
    s.must_live(s.stuck(minutes=180))
    s.enlist(minutes=1, stage="upload")
    # Two stages of one session are no contradiction: the older one decides, unless it is said otherwise.
    s.right = EITHER
    s.live.clear()


@kind("kill", KEEP, 5)
def suffix_claims(s: Kill) -> None:
    """stuck, and its directory is that of another listed, young session by a suffix: ID.tmp beside ID"""
    young_id = s.id
    s.enlist(young_id, minutes=2)
    s.must_live(s.spawn(f"cd\t{s.dir(young_id)}", f"write\t{s.dir(young_id)}/out.mp4\t100\t64"))
    temporary = s.dir(f"{young_id}.tmp")
    s.must_live(s.spawn(f"cd\t{temporary}", s.idle(), argv=["-y", "out.mp4"]))
    s.must_stay(s.dir(young_id), temporary)


@kind("kill", KEEP, 5)
def unlisted(s: Kill) -> None:
    """a process of the running service in a directory whose session is not listed"""
    s.must_live(s.spawn(f"cd\t{s.dir()}", s.idle(), argv=["-y", "out.mp4"]))
    s.must_stay(s.dir())


# What holds for a whole scene


def _all_stuck(s: Kill) -> None:
    s.must_live(s.stuck())
    s.must_stay(s.dir(), s.dir() / "segment_00.mp4")


@kind("kill", KEEP, 5, alone=True)
def short_list(s: Kill) -> None:
    """the list has fewer sessions than its own total"""
    _all_stuck(s)
    s.scene.api.answer = lambda _n, body: (200, {}, body.replace(b'"total_active": ', b'"total_active": 1'))


@kind("kill", KEEP, 5, alone=True)
def second_answer_fails(s: Kill) -> None:
    """the API answers once, and fails the next time"""
    _all_stuck(s)
    s.scene.api.answer = lambda n, body: (200, {}, body) if n == 1 else (500, {}, b"{}")


@kind("kill", KEEP, 5, alone=True)
def first_answer_fails(s: Kill) -> None:
    """the API fails at first, and answers the next time"""
    _all_stuck(s)
    s.scene.api.answer = lambda n, body: (503, {}, b"{}") if n == 1 else (200, {}, body)


@kind("kill", KEEP, 5, alone=True)
def no_list(s: Kill) -> None:
    """what the API answers is no list: a page, a cut document, a redirect, another type, no total"""
    _all_stuck(s)
    answers = [
        (200, {"Content-Type": "text/html"}, b"<html><body>busy</body></html>"),
        (302, {"Location": "http://127.0.0.1:9/"}, b""),
        (401, {}, b"{}"),
        (200, {}, b'{"active_sessions": {}, "total_active": 0}'),
        (200, {}, b'{"active_sessions": []'),
        (200, {}, b"[]"),
        (200, {}, b"{}"),
        (200, {}, b'{"active_sessions": [], "total_active": NaN}'),
    ]
    chosen = s.rng.choice(answers)
    s.scene.api.answer = lambda _n, _body: chosen


@kind("kill", KEEP, 5, alone=True)
def row_without_id(s: Kill) -> None:
    """one entry of the list has no id that can be read"""
    _all_stuck(s)
    s.scene.api.rows.append({"session_id": s.rng.choice(["", None, 7, " "]), "stage": "x"})


@kind("kill", KEEP, 5, alone=True)
def service_down(s: Kill) -> None:
    """the service's main process has ended, its API still answers from elsewhere"""
    s.stuck()
    s.right = EITHER
    if not s.scene.situations:
        s.scene.late.append(s.scene.service.stop)


@kind("kill", KEEP, 5, alone=True)
def no_log(s: Kill) -> None:
    """its log cannot be read: nobody can say that a session stands still"""
    _all_stuck(s)
    if not s.scene.situations:
        s.scene.log.unlink()
        s.scene.log.mkdir()


@kind("kill", KEEP, 7, alone=True)
def empty_hash(s: Kill) -> None:
    """approved by an empty hash, which is an error"""
    _all_stuck(s)
    s.scene.params["plan_hash"] = ""


@kind("kill", KEEP, 5, alone=True)
def odd_name_given(s: Kill) -> None:
    """among the sessions that are named is one that is no id: nothing is done"""
    _all_stuck(s)
    s.scene.params["session_ids"] = [
        s.id,
        s.rng.choice(["", "*", "..", "a/b", "short", s.id[:6] + "*", " " + s.id, "../" + s.id]),
    ]


@kind("kill", END, 0, alone=True)
def one_named(s: Kill) -> None:
    """one session is named: it ends, and those beside it live"""
    made = s.stuck()
    if s.scene.situations:
        s.right = KEEP
        s.must_live(made)
        s.must_stay(s.dir())
    else:
        s.gone_with(made)
        s.scene.params["session_ids"] = [s.id]


@kind("kill", END, 4, alone=True)
def ended_by_the_api(s: Kill) -> None:
    """stuck; the API's own cleanup ends it, and its files go"""
    made = s.stuck()
    s.gone_with(made)
    _cleanup(s, lambda: os.kill(made[0].pid, 9))


@kind("kill", KEEP, 4, alone=True)
def elsewhere_after_cleanup(s: Kill) -> None:
    """stuck; at the API's own cleanup it goes on to work for another session"""
    other = s.new_id()
    s.ids.append(other)
    s.enlist(other, minutes=2)
    directory = s.dir(other)
    s.enlist()
    script = ["ready", "await", f"cd\t{directory}", "event\ton", f"write\t{directory}/out.mp4\t50\t64"]
    made = s.spawn(f"cd\t{s.dir()}", *script, argv=["-y", "out.mp4"])
    s.must_live(made)
    s.must_stay(directory)

    def go_on() -> None:
        s.wake(made[0])()
        _until(lambda: s.event(made[0], "on"))

    _cleanup(s, go_on)


@kind("kill", KEEP, 4, alone=True)
def file_after_cleanup(s: Kill) -> None:
    """stuck; at the API's own cleanup it ends, and a new file is left by somebody else, which stays"""
    made = s.stuck()
    new = s.dir() / "result.mp4"

    def end() -> None:
        os.kill(made[0].pid, 9)
        new.write_bytes(b"the only copy")
        s.must_stay(new)

    _cleanup(s, end)


def _cleanup(s: Kill, act: Callable[[], None]) -> None:
    """Let the API offer a cleanup, which does that for this session."""
    s.scene.params["cleanup_path"] = "/sessions/{session_id}/cleanup"
    s.scene.cleanups[s.id] = act
    s.scene.api.cleanup = lambda session_id: s.scene.cleanups.get(session_id, lambda: None)()
