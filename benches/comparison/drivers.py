"""Load: wrk for throughput, h2load for HTTP/2, handshake for TLS, pace for a fixed rate, and a crowd that only waits."""

import json
import os
import re
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


# The message of a call of gRPC: no compression, and 95 bytes.
GRPC_MESSAGE = bytes([0, 0, 0, 0, 95]) + bytes(95)
GRPC_FIELDS = ("-H", "content-type: application/grpc", "-H", "te: trailers")


def h2load(url, script, shape, seconds, folder, cores=None):
    """Loads connections with streams, as many as `shape` says. Times of requests are not known."""
    connections, streams = shape
    if "grpc" in script:
        (folder / "grpc").write_bytes(GRPC_MESSAGE)
        script = ("-d", str(folder / "grpc"), *GRPC_FIELDS)
    command = ["h2load", "-t", "1", "-c", str(connections), "-m", str(streams), "-D", f"{max(1, round(seconds * 1000))}ms",
               *script, url]
    process = subprocess.run(machine.pinned(cores, command), capture_output=True, text=True)
    output = process.stdout + process.stderr
    took = re.search(r"^finished in ([\d.]+)(us|ms|s|m)", output, re.M)
    counts = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", output)
    data = re.search(r"\((\d+)\) data$", output, re.M)
    if process.returncode != 0 or not (took and counts and data):
        raise RuntimeError(f"no result from h2load:\n{output[-2000:]}")
    succeeded, *failed = map(int, counts.groups())
    time_taken = float(took[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60}[took[2]]
    return {"requests": succeeded, "failed": sum(failed), "bytes": int(data[1]), "seconds": time_taken}


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


# The fields of a browser beside those of every request.
BROWSER_FIELDS = {
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
    "accept-encoding": "gzip, deflate, br, zstd",
    "accept-language": "en-US,en;q=0.9",
    "cookie": "session=0123456789abcdef0123456789abcdef",
    "sec-ch-ua": '"Chromium";v="140", "Not=A?Brand";v="24"',
    "sec-ch-ua-mobile": "?0",
    "sec-ch-ua-platform": '"Linux"',
    "sec-fetch-dest": "document",
    "sec-fetch-mode": "navigate",
    "sec-fetch-site": "none",
    "upgrade-insecure-requests": "1",
}


class StreamCrowd(Crowd):
    """Connections of HTTP/2 that have had one exchange and then wait."""

    def __init__(self, port, is_browser):
        super().__init__(port)
        fields = {":method": "GET", ":scheme": "http", ":path": "/", ":authority": "localhost"}
        fields |= BROWSER_FIELDS if is_browser else {}
        # Literals that are put into the table of the peer (RFC 7541, section 6.2.1), as browsers do.
        block = b"".join(b"\x40" + text(name) + text(value) for name, value in fields.items())
        settings, acknowledged = frame(4, 0, 0, b""), frame(4, 1, 0, b"")
        self.request = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings + acknowledged + frame(1, 5, 1, block)

    def ask(self, member):
        member.sendall(self.request)
        answer = b""
        while not any(stream == 1 and flags & 1 for flags, stream in frames_of(answer)):
            got = member.recv(4096)
            if not got:
                raise RuntimeError(f"closed, of {len(self.members)} connections: {answer!r}")
            answer += got


def text(value):
    """A string of a header block, shorter than 254 bytes."""
    length = len(value)
    return (bytes([length]) if length < 127 else bytes([127, length - 127])) + value.encode()


def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def frames_of(data):
    """Flags and streams of the whole frames of HEADERS and DATA."""
    while len(data) >= 9 and len(data) >= 9 + int.from_bytes(data[:3], "big"):
        length = int.from_bytes(data[:3], "big")
        if data[3] < 2:
            yield data[4], int.from_bytes(data[5:9], "big")
        data = data[9 + length:]
