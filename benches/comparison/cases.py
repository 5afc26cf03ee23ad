"""The table of what is measured, and how.

A case names its kind; a kind is a function from a case and a peer to numbers, and the columns that
show them. One more case is one more entry in CASES.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import drivers
import machine
import peers

# Exchanges that come before what is counted.
WARM_UP_SHARE = 0.15
# Hosts with a rule each, in the cases about rules.
HOSTS = 10_000
# Connections and requests per second where the rate is fixed.
PACE_CONNECTIONS = 32
PACE_RATE = 5_000
# Idle connections: those that come before the first look at the memory, and those after.
CROWD_FIRST = 200
CROWD = 8_000
# Connections that the upstream can have: a forwarder that pools nothing brings the whole crowd.
UPSTREAM_CONNECTIONS = 9_000


@dataclass(frozen=True)
class Case:
    """What is measured."""

    name: str
    title: str
    kind: str
    path: str = "/"
    connections: int = 64
    # One worker, pinned; or as many as there are cores, anywhere.
    all_cores: bool = False
    # For load.lua.
    script: tuple = ("get",)
    # What a peer must be able to do.
    needs: str = "http"
    # It stands in the plot.
    plotted: bool = False


CASES = [
    Case("small", "2-byte responses, 64 connections, one worker", "exchange", plotted=True),
    Case("small-256", "2-byte responses, 256 connections, one worker", "exchange", connections=256, plotted=True),
    Case("small-all", "2-byte responses, 64 connections, workers on all cores", "exchange", all_cores=True),
    Case("small-256-all", "2-byte responses, 256 connections, workers on all cores", "exchange", connections=256,
         all_cores=True),
    Case("1k", "1 KiB responses, 64 connections, one worker", "exchange", "/1k", plotted=True),
    Case("64k", "64 KiB responses, 64 connections, one worker", "exchange", "/64k", plotted=True),
    Case("close", "A new connection for each request, 64 at once, one worker", "exchange", script=("close",),
         plotted=True),
    Case("post", "10 KB POSTs, 64 connections, one worker", "exchange", script=("post",), plotted=True),
    Case("chunked", "8 KiB in chunks, 64 connections, one worker", "exchange", "/chunked.html", plotted=True),
    Case("hosts", "10,000 rules: each request another host, 64 connections, one worker", "exchange",
         script=("hosts", str(HOSTS)), needs="hosts"),
    Case("bulk", "10 MB responses, 8 connections, one worker", "bulk", "/10m", connections=8),
    Case("bulk-tcp", "Raw TCP: 10 MB one way, 8 connections, one worker", "bulk", "/10m", connections=8,
         needs="tcp"),
    Case("pace", "5,000 requests/s, 32 connections, one worker", "pace", connections=PACE_CONNECTIONS),
    Case("reload", "10,000 rules read anew, each moved, at 5,000 requests/s, one worker", "reload",
         connections=PACE_CONNECTIONS, needs="reload"),
    Case("idle", "8,000 idle connections, one worker", "idle"),
    Case("start", "From start to listening, and what is idle then, workers for all cores", "start", all_cores=True),
]


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


class Bench:
    """What all measurements share: options, programs, upstreams."""

    def __init__(self, options, folder, files_max):
        self.options = options
        self.folder = folder
        self.files_max = files_max
        self.upstreams = {}

    def start_upstreams(self):
        """One beside pinned proxies, one for all cores."""
        for all_cores in (False, True):
            workers = len(machine.cores()) if all_cores else max(1, len(machine.cores()) - 1)
            setting = peers.Setting(self.folder, 0, workers, UPSTREAM_CONNECTIONS, files_max=self.files_max)
            cores = None if all_cores else machine.other_cores()
            self.upstreams[all_cores] = (setting.http_port, peers.start_upstream(setting, cores))

    def stop_upstreams(self):
        for _, program in self.upstreams.values():
            program.stop()

    def check_upstreams(self):
        """Ends everything when one has ended: whatever was measured now would be its absence."""
        for _, program in self.upstreams.values():
            if program.process.poll() is not None:
                code, text = program.process.returncode, Path(program.log).read_text(errors="replace")
                raise SystemExit(f"the upstream ended with {code}:\n{text[-2000:]}")

    def setting(self, case, hosts=0):
        workers = len(machine.cores()) if case.all_cores else 1
        return peers.Setting(self.folder, self.upstreams[case.all_cores][0], workers, hosts=hosts,
                             same_headers=self.options.same_headers, files_max=self.files_max)

    def start(self, peer, case, setting):
        """A peer that listens."""
        program = peer.start(setting, None if case.all_cores else machine.proxy_core())
        try:
            program.wait_for(setting.tcp_port if case.needs == "tcp" else setting.http_port)
            # Further workers may come after the listener.
            time.sleep(0.1)
        except Exception:
            program.stop()
            raise
        return program

    def wrk(self, case, port, seconds):
        threads, cores = (len(machine.cores()), None) if case.all_cores else (1, machine.other_cores())
        url = f"http://127.0.0.1:{port}{case.path}"
        return drivers.wrk(url, case.script, case.connections, seconds, threads, cores)

    def load(self, peer, case):
        """Runs wrk; its result with the peer's CPU seconds and peak memory."""
        setting = self.setting(case, HOSTS if case.needs == "hosts" else 0)
        with self.start(peer, case, setting) as program:
            port = setting.tcp_port if case.needs == "tcp" else setting.http_port
            self.wrk(case, port, self.options.seconds * WARM_UP_SHARE)
            before = program.cpu()
            result = self.wrk(case, port, self.options.seconds)
            after = program.cpu()
            memory = program.memory("VmHWM")
        return result, after[0] - before[0], after[1] - before[1], memory

    def pace(self, case, port, during=None):
        """Runs pace, and `during` when half of the time is over."""
        host = f"host-{HOSTS * 3 // 4}.example.test" if case.needs == "reload" else "localhost"
        process = drivers.start_pace(self.options.pace, port, case.path, host, case.connections, PACE_RATE,
                                     self.options.seconds, machine.other_cores())
        if during:
            time.sleep(self.options.seconds / 2)
            during()
        return drivers.end_pace(process)


def exchange(bench, case, peer):
    """CPU per request under full load."""
    result, user, system, memory = bench.load(peer, case)
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
    result, user, system, memory = bench.load(peer, case)
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
    """The slowest exchange, with and without a reload in between."""
    setting = bench.setting(case, HOSTS)
    took = []

    def read_anew():
        peer.configure(setting, turned=True)
        begin = time.perf_counter()
        if peer.reload(program, setting):
            took.append((time.perf_counter() - begin) * 1e3)

    with bench.start(peer, case, setting) as program:
        # Pools, tables and the processor's cache are filled.
        bench.pace(case, setting.http_port)
        quiet = bench.pace(case, setting.http_port)
        result = bench.pace(case, setting.http_port, read_anew)
    numbers = {
        "slowest": result["slowest"] / 1e3,
        "slowest-quiet": quiet["slowest"] / 1e3,
        "p999": result["p999"] / 1e3,
        "reopened": result["reopened"],
        "failed": result["failed"] + quiet["failed"],
    }
    return numbers | ({"took": took[0]} if took else {})


def idle(bench, case, peer):
    """Memory of connections that wait."""
    setting = bench.setting(case)
    setting.connections = CROWD_FIRST + CROWD + 100
    # Both ends, at a peer that pools nothing.
    crowd_size = min(CROWD, (bench.files_max - 1000) // 2)
    if bench.options.short:
        crowd_size //= 8
    with bench.start(peer, case, setting) as program:
        crowd = drivers.Crowd(setting.http_port)
        try:
            crowd.grow(CROWD_FIRST)
            before = program.memory("VmRSS")
            crowd.grow(crowd_size)
            after = program.memory("VmRSS")
        finally:
            crowd.leave()
    return {"each": (after - before) / crowd_size, "memory": after / 2**20, "failed": 0}


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
        Column("p999", "p99.9, ms", 2), Column("took", "reload, ms", 1),
        Column("reopened", "connections closed on the client")), "slowest"),
    "idle": Kind(idle, (Column("each", "bytes each"), Column("memory", "RSS then, MiB", 1)), "each"),
    "start": Kind(start, (Column("took", "to listening, ms", 1), Column("memory", "idle RSS, MiB", 1)), "took"),
}
