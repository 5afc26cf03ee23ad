"""The ways to measure: functions from a case and a peer to numbers, and the columns that show them."""

import itertools
import statistics
import time
from dataclasses import dataclass

import drivers
import machine
from bench import host
from cases import HOSTS

# Idle connections that come before the first look at the memory.
CROWD_FIRST = 200
# How often a configuration is read anew, and in the short form.
RELOADS, RELOADS_SHORT = 8, 1
# Seconds of load in which one reload falls, or none; and in which a configuration is written before them.
RELOAD_WINDOW, RELOAD_PAUSE = 0.4, 0.2
# Connections that wait during a reload without load.
RELOAD_WATCHERS = 4


@dataclass(frozen=True)
class Column:
    """A number of a kind: its key in the measurement, its title, digits behind the point."""

    key: str
    title: str
    digits: int = 0


@dataclass(frozen=True)
class Kind:
    """A way to measure."""

    measure: callable
    columns: tuple
    # The column whose ratio to the gate's is shown.
    main: str
    # Who fails is a figure, and no defect of the harness.
    may_fail: bool = False


def exchange(bench, case, peer):
    """CPU per request under full load."""
    return by_request(*bench.load(peer, case, bench.wrk))


def handshake(bench, case, peer):
    """CPU per TLS connection with one exchange."""
    return by_request(*bench.load(peer, case, bench.handshakes))


def by_request(result, user, system, memory):
    requests = max(1, result["requests"])
    return {
        "cpu": (user + system) / requests * 1e6,
        "user": user / requests * 1e6,
        "system": system / requests * 1e6,
        "rate": result["requests"] / result["seconds"],
        "p50": result["p50"],
        "p99": result["p99"],
        "memory": memory / 2**20,
        "failed": result["failed"],
    }


def bulk(bench, case, peer):
    """CPU per byte."""
    result, user, system, memory = bench.load(peer, case, bench.wrk)
    gigabytes = max(1, result["bytes"]) / 1e9
    return {
        "cpu": (user + system) / gigabytes,
        "user": user / gigabytes,
        "system": system / gigabytes,
        "rate": gigabytes / result["seconds"],
        "memory": memory / 2**20,
        "failed": result["failed"],
    }


def pace(bench, case, peer):
    """What a proxy adds to the time of an exchange, against the upstream asked directly just before."""
    direct = bench.pace(case, bench.upstreams[case.all_cores][0])
    setting = bench.setting(case)
    with bench.start(peer, case, setting) as program:
        before = program.cpu()
        result = bench.pace(case, setting.http_port)
        after = program.cpu()
    numbers = {"added-" + key: result[key] - direct[key] for key in ("p50", "p99", "p999")}
    numbers |= {"direct-" + key: direct[key] for key in ("p50", "p99", "p999")}
    numbers["cpu"] = (sum(after) - sum(before)) / max(1, result["requests"]) * 1e6
    numbers["failed"] = result["failed"]
    return numbers


def reload(bench, case, peer):
    """What a reload does to exchanges, over some times: the slowest one while a configuration is read anew
    and while none is, and how long a thread that serves stood in the queue for its core in either. And
    how long such a thread is busy with nothing but that."""
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
        """How long threads that serve had stood in a queue by then."""
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
        # Pools, tables and the processor's cache are filled.
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
    """Microseconds of CPU time that the threads which serve spend on one reload. Connections that wait
    meanwhile ask one more thing behind it; what that costs without a reload is subtracted."""
    if not peer.worker_threads:
        return {}
    crowd = drivers.Crowd(setting.http_port, host)
    crowd.grow(RELOAD_WATCHERS)

    def used(before_asking):
        before = program.thread_times(peer.worker_threads)[0]
        for _ in range(turns):
            before_asking()
            crowd.ask_all()
            # What is put off until there is time is done.
            time.sleep(0.05)
        return program.thread_times(peer.worker_threads)[0] - before

    try:
        used(lambda: None)
        quiet = used(lambda: time.sleep(0.1))
        return {"busy": (used(read_anew) - quiet) / turns * 1e6}
    finally:
        crowd.leave()


def idle(bench, case, peer):
    """Memory of connections that wait."""
    setting = bench.setting(case)
    setting.connections = CROWD_FIRST + case.crowd + 100
    # Both ends, at a peer that pools nothing.
    crowd_first, crowd_size = CROWD_FIRST, min(case.crowd, (bench.files_max - 1000) // 2)
    if bench.options.short:
        crowd_first, crowd_size = crowd_first // 8, crowd_size // 8
    with bench.start(peer, case, setting) as program:
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
    """What becomes of a peer under load that may have so much memory and no more."""
    setting = bench.setting(case)
    with machine.MemoryLimit(case.memory) as limit:
        numbers = {"failed": 0}
        try:
            with bench.start(peer, case, setting, limit):
                result = bench.wrk(case, setting.http_port, bench.options.seconds)
            numbers = {"rate": result["requests"] / result["seconds"], "failed": result["failed"]}
        except RuntimeError:
            # Who was killed is a figure, and no surprise.
            if not limit.kills():
                raise
        return {**numbers, "peak": limit.peak() / 2**20, "kills": limit.kills()}


def start(bench, case, peer):
    """Time until somebody listens, and memory before anybody came."""
    setting = bench.setting(case)
    begin = time.perf_counter()
    with peer.start(setting) as program:
        program.wait_for(setting.http_port, pause=0.0001)
        took = time.perf_counter() - begin
        time.sleep(0.5)
        return {"took": took * 1e3, "memory": program.memory("VmRSS") / 2**20, "failed": 0}


PEAK = Column("memory", "peak RSS, MiB", 1)

KINDS = {
    "exchange": Kind(exchange, (
        Column("cpu", "CPU, us/request", 1), Column("user", "user", 1), Column("system", "system", 1),
        Column("rate", "requests/s"), Column("p50", "p50, us"), Column("p99", "p99, us"), PEAK), "cpu"),
    "handshake": Kind(handshake, (
        Column("cpu", "CPU, us/handshake", 1), Column("user", "user", 1), Column("system", "system", 1),
        Column("rate", "handshakes/s"), Column("p50", "p50, us"), Column("p99", "p99, us"), PEAK), "cpu"),
    "bulk": Kind(bulk, (
        Column("cpu", "CPU, s/GB", 2), Column("user", "user", 2), Column("system", "system", 2),
        Column("rate", "GB/s", 2), PEAK), "cpu"),
    "pace": Kind(pace, (
        Column("added-p50", "added p50, us"), Column("added-p99", "added p99, us"),
        Column("added-p999", "added p99.9, us"), Column("direct-p50", "direct p50, us"),
        Column("direct-p99", "direct p99, us"), Column("direct-p999", "direct p99.9, us"),
        Column("cpu", "CPU, us/request", 1)), "added-p99"),
    "reload": Kind(reload, (
        Column("slowest", "slowest exchange, ms", 2), Column("slowest-quiet", "without a reload, ms", 2),
        Column("waited", "worker waited, us"), Column("waited-quiet", "without a reload, us"),
        Column("busy", "worker busy, us"), Column("took", "reload, ms", 1),
        Column("reopened", "connections closed on the client")), "slowest"),
    "idle": Kind(idle, (Column("each", "bytes each"), Column("memory", "RSS then, MiB", 1)), "each"),
    "limited": Kind(limited, (
        Column("rate", "requests/s"), Column("failed", "requests failed"), Column("peak", "peak, MiB", 1),
        Column("kills", "killed")), "rate", may_fail=True),
    "start": Kind(start, (Column("took", "to listening, ms", 1), Column("memory", "idle RSS, MiB", 1)), "took"),
}
