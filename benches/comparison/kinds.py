"""The ways to measure: when peers start, functions to numbers, and the columns that show them."""

import contextlib
import itertools
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import drivers
import machine
from bench import Bench, Contender, host
from cases import HOSTS

# Exchanges before those that count, as a share of their time.
WARM_UP_SHARE = 0.15
# Idle connections before the first look at the memory.
CROWD_FIRST = 200
# The number of reloads, and that of the short form.
RELOADS, RELOADS_SHORT = 8, 1
# Seconds of load with one reload or none; and seconds before them, in which a configuration is written.
RELOAD_WINDOW, RELOAD_PAUSE = 0.4, 0.2
# Connections that wait during a reload without load.
RELOAD_WATCHERS = 4


@dataclass(frozen=True)
class Column:
    """A number of a kind: its key in the measurement, its title, its decimal digits."""

    key: str
    title: str
    digits: int = 0


@dataclass(frozen=True)
class Kind:
    """A way to measure: each peer is started, measured and stopped before the next."""

    # Returns the numbers of a case and a peer.
    measure: callable
    columns: tuple
    # The column whose ratio to the gate's is shown.
    main: str
    # Whether a failure is a result, and no defect of the harness.
    may_fail: bool = False

    def measure_all(self, bench, case, peers):
        """A list of numbers for each peer, by its name. Numbers with one index were measured at about one time; None
        if the peer failed."""
        return {peer.name: [bench.attempt(case, peer, lambda: self.measure(bench, case, peer))] for peer in peers}


@dataclass(frozen=True)
class Load(Kind):
    """A way to measure under load: all peers run and take turns repeatedly, so a disturbance that is longer than a
    turn affects all of them. `measure` turns the result of a turn into numbers."""

    # Loads a peer.
    drive: callable = Bench.wrk

    def measure_all(self, bench, case, peers):
        turns = max(1, round(bench.options.seconds / case.turn_seconds))
        numbers = {peer.name: [] for peer in peers}
        with contextlib.ExitStack() as stack:
            alive = {peer.name: bench.attempt(case, peer, lambda: self.begin(bench, case, peer, stack))
                     for peer in peers}
            for turn in range(turns):
                for peer in rotated(peers, turn):
                    contender = alive[peer.name]
                    told = contender and bench.attempt(
                        case, peer, lambda: self.measure(contender.load(bench.options.seconds / turns)))
                    numbers[peer.name].append(told)
            for name, contender in alive.items():
                numbers[name] = [told and self.completed(told, contender) for told in numbers[name]]
        return numbers

    def begin(self, bench, case, peer, stack):
        """A peer that is warm and runs until the stack is left."""
        contender = stack.enter_context(Contender(bench, case, peer, self.drive))
        contender.load(bench.options.seconds * WARM_UP_SHARE)
        return contender

    def completed(self, told, contender):
        """Adds the numbers that are known after all turns."""
        share = contender.user_share()
        memory = contender.program.memory("VmHWM") / 2**20
        return {**told, "user": told["cpu"] * share, "system": told["cpu"] * (1 - share), "memory": memory}


def rotated(peers, turn):
    """Rotates the peers, so that none is always first or always behind the same peer."""
    first = turn % max(1, len(peers))
    return peers[first:] + peers[:first]


def by_request(told):
    """CPU per request, or per TLS connection with one exchange."""
    return {
        "cpu": told["cpu"] / max(1, told["requests"]) * 1e6,
        "rate": told["requests"] / told["seconds"],
        "p50": told["p50"],
        "p99": told["p99"],
        "failed": told["failed"],
    }


def by_stream(told):
    """CPU per request, without times: h2load tells none."""
    return {
        "cpu": told["cpu"] / max(1, told["requests"]) * 1e6,
        "rate": told["requests"] / told["seconds"],
        "failed": told["failed"],
    }


def by_byte(told):
    """CPU per GB."""
    gigabytes = max(1, told["bytes"]) / 1e9
    return {
        "cpu": told["cpu"] / gigabytes,
        "rate": gigabytes / told["seconds"],
        "failed": told["failed"],
    }


def by_time_added(told):
    """The time that a proxy adds to an exchange, against the upstream asked directly just before."""
    direct = told["direct"]
    numbers = {"added-" + key: told[key] - direct[key] for key in ("p50", "p99", "p999")}
    numbers |= {"direct-" + key: direct[key] for key in ("p50", "p99", "p999")}
    return {**numbers, "cpu": told["cpu"] / max(1, told["requests"]) * 1e6, "failed": told["failed"]}


def reload(bench, case, peer):
    """The effect of reloads on exchanges: the slowest one with a reload and without, and how long a serving thread
    waited in the queue for its core in either. Also how long such a thread is busy with a reload alone."""
    setting = bench.setting(case, HOSTS)
    turns = RELOADS_SHORT if bench.options.short else RELOADS
    period = RELOAD_PAUSE + 2 * RELOAD_WINDOW
    took, begun, waited, waited_quiet = [], [], [], []
    written = itertools.count()

    def write():
        peer.configure(setting, turned=next(written) % 2 == 0)

    def read_anew():
        begin = time.monotonic()
        if peer.reload(program, setting):
            took.append((time.monotonic() - begin) * 1e3)

    def in_queue(moment):
        """The time that serving threads had waited in a queue by then."""
        time.sleep(max(0, moment - time.monotonic()))
        return program.thread_times(peer.worker_threads)[1] * 1e6

    def in_turn():
        start = time.monotonic()
        for turn in range(turns):
            quiet = start + turn * period + RELOAD_PAUSE
            write()
            before, between = in_queue(quiet), in_queue(quiet + RELOAD_WINDOW)
            begun.append(time.monotonic() - start)
            read_anew()
            waited.append(in_queue(quiet + 2 * RELOAD_WINDOW) - between)
            waited_quiet.append(between - before)

    with bench.start(peer, case, setting) as program, machine.beside_proxy():
        # Fill pools, tables and the processor's cache first.
        bench.pace(case, setting.http_port)
        result = bench.pace(case, setting.http_port, turns * period, in_turn)
        numbers = busy_with(program, peer, setting, host(case), lambda: (write(), read_anew()), turns)
    slices, per_window = result["slices"], round(RELOAD_WINDOW / result["slice"])

    def slowest(moment):
        first = int(moment / result["slice"])
        return max(slices[first:first + per_window], default=0) / 1e3

    numbers |= {
        "slowest": statistics.median(slowest(moment) for moment in begun),
        "slowest-quiet": statistics.median(slowest(moment - RELOAD_WINDOW) for moment in begun),
        "reopened": result["reopened"] / turns,
        "failed": result["failed"],
    }
    if peer.worker_threads:
        numbers |= {"waited": statistics.median(waited), "waited-quiet": statistics.median(waited_quiet)}
    return numbers | ({"took": statistics.median(took)} if took else {})


def busy_with(program, peer, setting, host, read_anew, turns):
    """Microseconds of CPU time that serving threads spend on one reload, and on the requests of waiting connections
    after it. The cost of those alone is not subtracted: it varies by more than the rest, because the cache is
    cold."""
    if not peer.worker_threads:
        return {}
    crowd = drivers.Crowd(setting.http_port, host)
    crowd.grow(RELOAD_WATCHERS)

    try:
        crowd.ask_all()
        before = program.thread_times(peer.worker_threads)[0]
        for _ in range(turns):
            read_anew()
            crowd.ask_all()
            # Wait for work that is postponed until there is time.
            time.sleep(0.05)
        return {"busy": (program.thread_times(peer.worker_threads)[0] - before) / turns * 1e6}
    finally:
        crowd.leave()


def idle(bench, case, peer):
    """Memory of idle connections."""
    setting = bench.setting(case)
    setting.connections = CROWD_FIRST + case.crowd + 100
    # Both ends, for a peer that pools nothing.
    crowd_first, crowd_size = CROWD_FIRST, min(case.crowd, (bench.files_max - 1000) // 2)
    if bench.options.short:
        crowd_first, crowd_size = crowd_first // 8, crowd_size // 8
    with bench.start(peer, case, setting) as program:
        if case.streams:
            crowd = drivers.StreamCrowd(setting.http_port, "browser" in case.script)
        else:
            crowd = drivers.Crowd(setting.http_port, encrypted=case.encrypted)
        try:
            crowd.grow(crowd_first)
            before = program.memory("VmRSS")
            crowd.grow(crowd_size)
            after = program.memory("VmRSS")
        finally:
            crowd.leave()
    return {"each": (after - before) / crowd_size, "memory": after / 2**20, "failed": 0}


def limited(bench, case, peer):
    """The result of load on a peer with a memory limit."""
    setting = bench.setting(case)
    with machine.MemoryLimit(case.memory) as limit:
        numbers = {"failed": 0}
        try:
            with bench.start(peer, case, setting, limit):
                result = bench.wrk(case, setting.http_port, bench.options.seconds)
            numbers = {"rate": result["requests"] / result["seconds"], "failed": result["failed"]}
        except RuntimeError:
            # A killed peer is a result, and no surprise.
            if not limit.kills():
                raise
        peak = limit.peak()
        return {**numbers, **({"peak": peak / 2**20} if peak else {}), "kills": limit.kills()}


def start(bench, case, peer):
    """Time until the peer listens, memory before the first connection, and the size of the program's file."""
    setting = bench.setting(case)
    begin = time.perf_counter()
    with peer.start(setting) as program:
        program.wait_for(setting.http_port, pause=0.0001)
        took = time.perf_counter() - begin
        time.sleep(0.5)
        size = Path(peer.program).stat().st_size
        return {"took": took * 1e3, "memory": program.memory("VmRSS") / 2**20, "size": size / 1e6, "failed": 0}


PEAK = Column("memory", "peak RSS, MiB", 1)

KINDS = {
    "exchange": Load(by_request, (
        Column("cpu", "CPU, us/request", 1), Column("user", "user", 1), Column("system", "system", 1),
        Column("rate", "requests/s"), Column("p50", "p50, us"), Column("p99", "p99, us"), PEAK), "cpu"),
    "handshake": Load(by_request, (
        Column("cpu", "CPU, us/handshake", 1), Column("user", "user", 1), Column("system", "system", 1),
        Column("rate", "handshakes/s"), Column("p50", "p50, us"), Column("p99", "p99, us"), PEAK), "cpu",
        drive=Bench.handshakes),
    "streams": Load(by_stream, (
        Column("cpu", "CPU, us/request", 1), Column("user", "user", 1), Column("system", "system", 1),
        Column("rate", "requests/s"), PEAK), "cpu", drive=Bench.h2load),
    "streams-bulk": Load(by_byte, (
        Column("cpu", "CPU, s/GB", 2), Column("user", "user", 2), Column("system", "system", 2),
        Column("rate", "GB/s", 2), PEAK), "cpu", drive=Bench.h2load),
    "bulk": Load(by_byte, (
        Column("cpu", "CPU, s/GB", 2), Column("user", "user", 2), Column("system", "system", 2),
        Column("rate", "GB/s", 2), PEAK), "cpu"),
    "pace": Load(by_time_added, (
        Column("added-p50", "added p50, us"), Column("added-p99", "added p99, us"),
        Column("added-p999", "added p99.9, us"), Column("direct-p50", "direct p50, us"),
        Column("direct-p99", "direct p99, us"), Column("direct-p999", "direct p99.9, us"),
        Column("cpu", "CPU, us/request", 1)), "added-p99", drive=Bench.pace_and_direct),
    "reload": Kind(reload, (
        Column("slowest", "slowest exchange, ms", 2), Column("slowest-quiet", "without a reload, ms", 2),
        Column("waited", "worker waited, us"), Column("waited-quiet", "without a reload, us"),
        Column("busy", "worker busy, us"), Column("took", "reload, ms", 1),
        Column("reopened", "connections closed on the client")), "slowest"),
    "idle": Kind(idle, (Column("each", "bytes each"), Column("memory", "RSS then, MiB", 1)), "each"),
    "limited": Kind(limited, (
        Column("rate", "requests/s"), Column("failed", "requests failed"), Column("peak", "peak, MiB", 1),
        Column("kills", "killed")), "rate", may_fail=True),
    "start": Kind(start, (
        Column("took", "to listening, ms", 1), Column("memory", "idle RSS, MiB", 1),
        Column("size", "program, MB", 1)), "took"),
}
