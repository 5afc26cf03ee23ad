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
# The TLS offer of clients with OpenSSL.
OPENSSL = HERE / "templates" / "openssl.cnf"

# A signal stops wrk, so that fractions of a second are possible.
WRK_SECONDS_MAX = "1h"


def wrk(url, script, connections, seconds, threads=1, cores=None):
    """Loads kept connections. Returns the report of load.lua, with times in microseconds."""
    command = ["wrk", "-t", str(threads), "-c", str(connections), "-d", WRK_SECONDS_MAX, "--timeout", "10s",
               "-s", str(HERE / "load.lua"), url, "--", *script]
    process = subprocess.Popen(machine.pinned(cores, command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, env={**os.environ, "OPENSSL_CONF": str(OPENSSL)}, preexec_fn=deaf)
    output, patience = None, seconds
    while output is None:
        try:
            output, _ = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            # Repeat the signal, because wrk ignores it until its threads run, and some start late.
            process.send_signal(signal.SIGINT)
            patience = 0.2
    for line in output.splitlines():
        if line.startswith("RESULT "):
            return json.loads(line.removeprefix("RESULT "))
    raise RuntimeError(f"no result from wrk:\n{output}")


def deaf():
    """Ignores SIGINT, so that the signal cannot end wrk before it handles it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def handshakes(program, port, connections, seconds, script, cores=None):
    """TLS connections with one exchange each, of the version and kind in `script`; times in microseconds."""
    command = machine.pinned(cores, [program, str(port), str(connections), str(seconds), *script])
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode != 0:
        raise RuntimeError(f"handshake ended with {process.returncode}: {process.stderr[-2000:]}")
    # The first sentences explain failures.
    print("".join(process.stderr.splitlines(keepends=True)[:3]), end="", file=sys.stderr)
    return json.loads(process.stdout)


def start_pace(program, port, path, host, connections, rate, seconds, cores=None):
    """Starts requests at a fixed rate, the first of them now; `end_pace` waits for the result."""
    command = [program, str(port), path, host, str(connections), str(rate), str(seconds)]
    process = subprocess.Popen(machine.pinned(cores, command), stdout=subprocess.PIPE, text=True)
    # The line says that the first request is due.
    process.stdout.readline()
    return process


def end_pace(process):
    """The report of pace, with times in microseconds."""
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
            # A request after a handshake must not wait for the acknowledgement.
            member.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls:
                member = self.tls.wrap_socket(member, server_hostname="localhost")
            self.members.append(member)
            self.ask(member)
        # Wait for memory that is freed late.
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
