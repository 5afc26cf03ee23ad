"""Starts peers and their load."""

import sys
import time
from pathlib import Path

import drivers
import machine
import peers
from cases import HOSTS, TARGETS

# Requests per second at a fixed rate.
PACE_RATE = 5_000
# Connections that the upstream can have. A forwarder without a pool brings the whole crowd.
UPSTREAM_CONNECTIONS = 9_000


class Bench:
    """The options, programs and upstreams of all measurements."""

    def __init__(self, options, folder, files_max):
        self.options = options
        self.folder = folder
        self.files_max = files_max
        self.upstreams = {}
        peers.write_certificate(folder)

    def start_upstreams(self):
        """Starts one upstream beside pinned proxies, and one for all cores. Each has a port for each target."""
        for all_cores in (False, True):
            workers = len(machine.cores()) if all_cores else max(1, len(machine.cores()) - 1)
            # The last one speaks HTTP/2.
            ports = set()
            while len(ports) < TARGETS + 1:
                ports.add(machine.free_port())
            ports = list(ports)
            setting = peers.Setting(self.folder, ports, workers, UPSTREAM_CONNECTIONS, files_max=self.files_max)
            cores = None if all_cores else machine.other_cores()
            self.upstreams[all_cores] = (ports, peers.start_upstream(setting, cores))

    def stop_upstreams(self):
        for _, program in self.upstreams.values():
            program.stop()

    def check_upstreams(self):
        """Stops the run if an upstream has ended, because later measurements would be wrong."""
        for _, program in self.upstreams.values():
            if program.process.poll() is not None:
                code, text = program.process.returncode, Path(program.log).read_text(errors="replace")
                raise SystemExit(f"the upstream ended with {code}:\n{text[-2000:]}")

    def setting(self, case, hosts=0):
        workers = len(machine.cores()) if case.all_cores else 1
        ports = self.upstreams[case.all_cores][0]
        ports = ports[-1:] if case.http2_target else ports[:case.targets]
        return peers.Setting(self.folder, ports, workers, hosts=hosts, encrypted=case.encrypted, same_headers=self.options.same_headers,
                             serves_files=case.needs == "files", policy=case.needs,
                             files_max=self.files_max, http2=case.needs == "h2", http2_target=case.http2_target)

    def start(self, peer, case, setting, limit=None):
        """Starts a peer and waits until it listens. It has the memory limit, if there is one."""
        program = peer.start(setting, None if case.all_cores else machine.proxy_core(), limit)
        try:
            program.wait_for(setting.tcp_port if case.needs == "tcp" else setting.http_port)
            # Further workers may start after the listener.
            time.sleep(0.1)
        except Exception:
            program.stop()
            raise
        return program

    def wrk(self, case, port, seconds):
        threads, cores = (len(machine.cores()), None) if case.all_cores else (1, machine.other_cores())
        url = f"{'https' if case.encrypted else 'http'}://127.0.0.1:{port}{case.path}"
        return drivers.wrk(url, case.script, case.connections, seconds, threads, cores)

    def h2load(self, case, port, seconds):
        url = f"{'https' if case.encrypted else 'http'}://127.0.0.1:{port}{case.path}"
        return drivers.h2load(url, case.script, (case.connections, case.streams), seconds, self.folder, machine.other_cores())

    def handshakes(self, case, port, seconds):
        return drivers.handshakes(self.options.handshake, port, case.connections, seconds, case.script,
                                  machine.other_cores())

    def attempt(self, case, peer, measure):
        """The result of `measure()`, or None: an error of one peer does not end a run of half an hour."""
        try:
            return measure()
        except (RuntimeError, OSError) as error:
            print(f"{case.name}: {peer.name}: {error}", file=sys.stderr)
            return None
        finally:
            self.check_upstreams()

    def pace(self, case, port, seconds=None, during=None):
        """Runs pace, and `during` at the same time."""
        process = drivers.start_pace(self.options.pace, port, case.path, host(case), case.connections, PACE_RATE,
                                     seconds or self.options.seconds, machine.other_cores())
        if during:
            during()
        return drivers.end_pace(process)

    def pace_and_direct(self, case, port, seconds):
        """Sends at a fixed rate to the upstream itself, and then to a peer."""
        direct = self.pace(case, self.upstreams[case.all_cores][0][0], seconds)
        return {**self.pace(case, port, seconds), "direct": direct}


class Contender:
    """A peer that runs until the end of the `with` block, with load from time to time."""

    def __init__(self, bench, case, peer, drive):
        setting = bench.setting(case, HOSTS if case.needs == "hosts" else 0)
        port = setting.tcp_port if case.needs == "tcp" else setting.http_port
        self.drive = lambda seconds: drive(bench, case, port, seconds)
        self.program = bench.start(peer, case, setting)
        # CPU seconds of its start, which do not count.
        self.before = self.program.cpu()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.program.stop()

    def load(self, seconds):
        """The result of the load, with its CPU seconds."""
        before = self.program.cpu_exact()
        result = self.drive(seconds)
        return {**result, "cpu": self.program.cpu_exact() - before}

    def user_share(self):
        """The share of user time in its CPU time under load. One turn is too short to measure it."""
        user, system = (after - before for after, before in zip(self.program.cpu(), self.before))
        return user / (user + system) if user + system else 0


def host(case):
    """The host of a case with only one host."""
    return f"host-{HOSTS * 3 // 4}.example.test" if case.needs == "reload" else "localhost"
