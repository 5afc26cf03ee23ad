"""Processes and their resources: cores, CPU time, memory."""

import contextlib
import functools
import os
import platform
import resource
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")

# Seconds that a program may take to listen, and to end.
START_SECONDS = 30
STOP_SECONDS = 5


@functools.cache
def cores():
    """The numbers of the cores that this process could use at its start."""
    return sorted(os.sched_getaffinity(0))


def proxy_core():
    """The core of a pinned proxy."""
    return str(cores()[0])


def other_cores():
    """The cores of the upstream and of the load beside a pinned proxy."""
    return ",".join(str(core) for core in cores()[1:] or cores())


@contextlib.contextmanager
def beside_proxy():
    """Keeps this process on the cores of the load, because it would delay a pinned proxy too."""
    ours = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(core) for core in other_cores().split(",")})
    try:
        yield
    finally:
        os.sched_setaffinity(0, ours)


def pinned(core_list, command):
    """`command`, pinned to these cores; None: not pinned."""
    return ["taskset", "-c", core_list, *command] if core_list else list(command)


def raise_file_limit():
    """Raises the limit on open files for this process and its children, and returns it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def describe():
    """The machine in one line."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    gigabytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    # Leave out the additions of a distribution or a host.
    kernel = ".".join(platform.release().split(".")[:2])
    return f"{model}, {len(cores())} cores, {gigabytes:.0f} GiB, Linux {kernel}"


def found(program):
    """The path of a program; root's folders are searched too, because Debian's servers are there."""
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


class MemoryLimit:
    """A control group with a limit on bytes of memory, including the system's for its sockets. It lasts as long as
    its `with` block."""

    def __init__(self, most):
        self.most = most
        parent, self.version = memory_groups()
        self.folder = parent / f"compare-{os.getpid()}"

    def __enter__(self):
        self.folder.mkdir()
        self.write({1: "memory.limit_in_bytes", 2: "memory.max"}, self.most)
        if self.version == 2:
            with contextlib.suppress(OSError):
                self.write({2: "memory.swap.max"}, 0)
        return self

    def __exit__(self, *_):
        for _ in range(100):
            try:
                self.folder.rmdir()
                return
            except OSError:
                # A killed process may still be ending.
                time.sleep(0.05)

    def around(self, command):
        """`command`, run in the group."""
        enter = 'echo $$ > "$0" && exec "$@"'
        return ["sh", "-c", enter, str(self.folder / "cgroup.procs"), *command]

    def peak(self):
        """The largest number of bytes in use, or None: with version 2, Linux reports it since 5.19."""
        with contextlib.suppress(FileNotFoundError):
            return int(self.read({1: "memory.max_usage_in_bytes", 2: "memory.peak"}))

    def kills(self):
        """Processes that were killed because of the limit."""
        lines = self.read({1: "memory.oom_control", 2: "memory.events"}).splitlines()
        return int(dict(line.split() for line in lines).get("oom_kill", 0))

    def read(self, names):
        return (self.folder / names[self.version]).read_text()

    def write(self, names, value):
        (self.folder / names[self.version]).write_text(f"{value}\n")


def memory_groups():
    """The folder for groups with a memory limit, and the version of control groups."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, folder, kind, options = line.split()[:4]
        folder = Path(folder)
        if not os.access(folder, os.W_OK):
            continue
        if kind == "cgroup" and "memory" in options.split(","):
            return folder, 1
        if kind == "cgroup2" and "memory" in (folder / "cgroup.controllers").read_text().split():
            with contextlib.suppress(OSError):
                (folder / "cgroup.subtree_control").write_text("+memory\n")
            if "memory" in (folder / "cgroup.subtree_control").read_text().split():
                return folder, 2
    return None


class Program:
    """A program with all its children. They are one process group and end with the `with` block."""

    def __init__(self, command, log, env=None):
        self.command = command
        self.log = log
        with open(log, "ab") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                # The environment of this process could affect a program.
                env={"PATH": os.environ.get("PATH", os.defpath), **(env or {})}, start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def wait_for(self, port, pause=0.001):
        """Returns when the program listens on `port`."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(pause)
        text = Path(self.log).read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{' '.join(self.command)} does not listen on {port}:\n{text}")

    def processes(self):
        """The fields of /proc/PID/stat after the name, for each process of the group."""
        found_processes = []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == self.process.pid:
                found_processes.append((folder, fields))
        return found_processes

    def cpu(self):
        """Seconds of CPU so far, (user, system), in ticks of some ten milliseconds each."""
        fields = [fields for _, fields in self.processes()]
        return tuple(sum(int(one[index]) for one in fields) / TICKS for index in (11, 12))

    def cpu_exact(self):
        """Seconds of CPU so far as one number, to the nanosecond."""
        # clock_getcpuclockid(3) derives the clock of another process from its id.
        return sum(time.clock_gettime(~int(folder.name) << 3 | 2) for folder, _ in self.processes())

    def thread_times(self, prefix):
        """Seconds so far that threads with this prefix of their names have run, and have waited for a core. To the
        microsecond, while `cpu` has ticks."""
        ran = waited = 0
        for folder, _ in self.processes():
            for task in (folder / "task").iterdir():
                if prefix and (task / "comm").read_text().startswith(prefix):
                    times = (task / "schedstat").read_text().split()
                    ran, waited = ran + int(times[0]), waited + int(times[1])
        return ran / 1e9, waited / 1e9

    def memory(self, key):
        """Bytes by /proc/PID/status: VmRSS is the resident memory now, VmHWM its maximum so far."""
        total = 0
        for folder, _ in self.processes():
            for line in (folder / "status").read_text().splitlines():
                if line.startswith(key + ":"):
                    total += int(line.split()[1]) * 1024
        return total

    def signal(self, number):
        """Signals the first process, not its children."""
        self.process.send_signal(number)

    def stop(self):
        """Ends the group, first with SIGTERM."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            # Children may outlive the first process and still have its group number.
            if self.process.poll() is None or self.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.process.pid, number)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                pass
