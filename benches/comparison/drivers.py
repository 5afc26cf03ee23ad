"""Load: wrk for throughput, handshake for TLS, pace for a fixed rate, and a crowd that only waits."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import machine

HERE = Path(__file__).parent
# What is offered over TLS by those who use OpenSSL.
OPENSSL = HERE / "templates" / "openssl.cnf"

# wrk is stopped by a signal, so that fractions of a second can be asked for.
WRK_SECONDS_MAX = "1h"


def wrk(url, script, connections, seconds, threads=1, cores=None):
    """Kept busy connections: what load.lua reports, times in microseconds."""
    command = ["wrk", "-t", str(threads), "-c", str(connections), "-d", WRK_SECONDS_MAX, "--timeout", "10s",
               "-s", str(HERE / "load.lua"), url, "--", *script]
    process = subprocess.Popen(machine.pinned(cores, command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, env={**os.environ, "OPENSSL_CONF": str(OPENSSL)}, preexec_fn=deaf)
    output, patience = None, seconds
    while output is None:
        try:
            output, _ = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            # Again and again: until its threads run it ignores the signal, and some take long to begin.
            process.send_signal(signal.SIGINT)
            patience = 0.2
    for line in output.splitlines():
        if line.startswith("RESULT "):
            return json.loads(line.removeprefix("RESULT "))
    raise RuntimeError(f"wrk said:\n{output}")


def deaf():
    """What is started now is not ended by the signal that stops wrk before wrk has come to listen for it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def handshakes(program, port, connections, seconds, script, cores=None):
    """TLS connections with one exchange each, of the version and kind in `script`; times in microseconds."""
    command = machine.pinned(cores, [program, str(port), str(connections), str(seconds), *script])
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode != 0:
        raise RuntimeError(f"handshake ended with {process.returncode}: {process.stderr[-2000:]}")
    # The first sentences tell why some failed.
    print("".join(process.stderr.splitlines(keepends=True)[:3]), end="", file=sys.stderr)
    return json.loads(process.stdout)


def start_pace(program, port, path, host, connections, rate, seconds, cores=None):
    """Requests at a fixed rate, the first of them now; `end_pace` waits for their result."""
    command = [program, str(port), path, host, str(connections), str(rate), str(seconds)]
    process = subprocess.Popen(machine.pinned(cores, command), stdout=subprocess.PIPE, text=True)
    # It says when it begins.
    process.stdout.readline()
    return process


def end_pace(process):
    """What pace reports, times in microseconds."""
    output, _ = process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"pace ended with {process.returncode}")
    return json.loads(output)


class Crowd:
    """Connections that have had one exchange and then wait."""

    def __init__(self, port, host="localhost", encrypted=False):
        self.port = port
        self.request = f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        self.members = []
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if encrypted else None
        if self.tls:
            self.tls.check_hostname = False
            self.tls.verify_mode = ssl.CERT_NONE

    def grow(self, count):
        for _ in range(count):
            member = socket.create_connection(("127.0.0.1", self.port), timeout=10)
            # A request behind a handshake must not wait until that is acknowledged.
            member.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls:
                member = self.tls.wrap_socket(member, server_hostname="localhost")
            self.members.append(member)
            self.ask(member)
        # What is freed late is freed.
        time.sleep(0.3)

    def ask_all(self):
        """One exchange on each."""
        for member in self.members:
            self.ask(member)

    def ask(self, member):
        member.sendall(self.request)
        answer = b""
        while not answer.endswith(b"\r\n\r\nok"):
            got = member.recv(4096)
            if not got:
                raise RuntimeError(f"closed, of {len(self.members)} connections: {answer!r}")
            answer += got

    def leave(self):
        for member in self.members:
            member.close()
        self.members.clear()
