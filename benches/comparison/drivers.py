"""Load: wrk for throughput, pace for a fixed rate, and a crowd that only waits."""

import json
import signal
import socket
import subprocess
import time
from pathlib import Path

import machine

HERE = Path(__file__).parent

# wrk is stopped by a signal, so that fractions of a second can be asked for.
WRK_SECONDS_MAX = "1h"


def wrk(url, script, connections, seconds, threads=1, cores=None):
    """Kept busy connections: what load.lua reports, times in microseconds."""
    command = ["wrk", "-t", str(threads), "-c", str(connections), "-d", WRK_SECONDS_MAX, "--timeout", "10s",
               "-s", str(HERE / "load.lua"), url, "--", *script]
    process = subprocess.Popen(machine.pinned(cores, command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
    output, _ = process.communicate()
    for line in output.splitlines():
        if line.startswith("RESULT "):
            return json.loads(line.removeprefix("RESULT "))
    raise RuntimeError(f"wrk said:\n{output}")


def start_pace(program, port, path, host, connections, rate, seconds, cores=None):
    """Requests at a fixed rate; `end_pace` waits for their result."""
    command = [program, str(port), path, host, str(connections), str(rate), str(seconds)]
    return subprocess.Popen(machine.pinned(cores, command), stdout=subprocess.PIPE, text=True)


def end_pace(process):
    """What pace reports, times in microseconds."""
    output, _ = process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"pace ended with {process.returncode}")
    return json.loads(output)


class Crowd:
    """Connections that have had one exchange and then wait."""

    def __init__(self, port):
        self.port = port
        self.members = []

    def grow(self, count):
        for _ in range(count):
            member = socket.create_connection(("127.0.0.1", self.port), timeout=10)
            member.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = b""
            while not answer.endswith(b"\r\n\r\nok"):
                got = member.recv(4096)
                if not got:
                    raise RuntimeError(f"closed after {len(self.members)} connections: {answer!r}")
                answer += got
            self.members.append(member)
        # What is freed late is freed.
        time.sleep(0.3)

    def leave(self):
        for member in self.members:
            member.close()
        self.members.clear()
