"""The table of measurements: each case is one entry in CASES."""

from dataclasses import dataclass

import tokens

# Hosts with a rule each, in the cases about rules.
HOSTS = 10_000
# Targets in the case about the balance.
TARGETS = 3
# The windows of h2load, 16 MiB a stream and 64 MiB a connection. Its own would be the brake.
LARGE_WINDOWS = ("-w", "24", "-W", "26")
# Connections at a fixed rate.
PACE_CONNECTIONS = 32


@dataclass(frozen=True)
class Case:
    """One measurement."""

    name: str
    title: str
    kind: str
    path: str = "/"
    connections: int = 64
    # One worker, pinned; or one per core, not pinned.
    all_cores: bool = False
    # Streams at once on each connection of HTTP/2.
    streams: int = 0
    # Arguments of load.lua or of h2load; or the version of TLS and the kind of handshakes.
    script: tuple = ("get",)
    # The number of targets.
    targets: int = 1
    # The ability that a peer must have, beside TLS if the case is encrypted.
    needs: str = "http"
    # Whether the target speaks HTTP/2.
    http2_target: bool = False
    # Whether the peer terminates TLS.
    encrypted: bool = False
    # Seconds of full load per turn, while the other peers wait.
    turn_seconds: float = 0.5
    # Connections at once, for idle connections.
    crowd: int = 8_000
    # The memory limit in bytes, including the system's memory for its sockets; 0: no limit.
    memory: int = 0
    # The most rounds: some figures hardly change and take long.
    rounds: int = 100
    # Whether it is in the plot.
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
    Case("headers", "Two fields set and one removed in each message, 64 connections, one worker", "exchange",
         needs="headers"),
    Case("rate_limit", "A rate limit by client that refuses nothing, 64 connections, one worker", "exchange",
         needs="rate_limit"),
    Case("jwt", "A token with HS256 in each request, 64 connections, one worker", "exchange",
         script=("bearer", tokens.token()), needs="jwt"),
    Case("files", "Files of 4 KiB, 64 connections, one worker", "exchange", "/4k", needs="files"),
    Case("files-1m", "Files of 1 MiB, 8 connections, one worker", "bulk", "/1m", connections=8, needs="files"),
    Case("files-tls", "TLS: files of 1 MiB, 8 connections, one worker", "bulk", "/1m", connections=8, needs="files",
         encrypted=True),
    Case("balance", "2-byte responses of three targets in turn, 64 connections, one worker", "exchange", targets=TARGETS,
         needs="balance"),
    Case("bulk", "10 MB responses, 8 connections, one worker", "bulk", "/10m", connections=8),
    Case("bulk-tcp", "Raw TCP: 10 MB one way, 8 connections, one worker", "bulk", "/10m", connections=8,
         needs="tcp"),
    Case("bulk-tls", "TLS: 10 MB responses, 8 connections, one worker", "bulk", "/10m", connections=8,
         encrypted=True),
    # Each turn begins with 64 handshakes, which count.
    Case("tls", "TLS: 2-byte responses, 64 connections, one worker", "exchange", encrypted=True, turn_seconds=2.0,
         plotted=True),
    Case("handshake", "TLS: new sessions, 64 at once, one worker", "handshake", script=("1.3", "new"),
         encrypted=True),
    Case("handshake-tls12", "TLS 1.2: new sessions, 64 at once, one worker", "handshake", script=("1.2", "new"),
         encrypted=True),
    Case("handshake-resumed", "TLS: resumed sessions, 64 at once, one worker", "handshake",
         script=("1.3", "resumed"), encrypted=True),
    Case("h2", "HTTP/2: 2-byte responses, 8 connections of 32 streams, one worker", "streams", connections=8, streams=32,
         script=(), needs="h2"),
    Case("h2-one-each", "HTTP/2: 2-byte responses, 64 connections of one stream, one worker", "streams", streams=1,
         script=(), needs="h2"),
    Case("h2-tls", "HTTP/2 over TLS: 2-byte responses, 8 connections of 32 streams, one worker", "streams", connections=8,
         streams=32, script=(), needs="h2", encrypted=True, turn_seconds=2.0),
    Case("h2-h2", "HTTP/2 to a target of HTTP/2: 2-byte responses, 8 connections of 32 streams, one worker", "streams",
         connections=8, streams=32, script=(), needs="h2", http2_target=True),
    Case("h2-bulk", "HTTP/2: 10 MB responses, 8 connections, one worker", "streams-bulk", "/10m", connections=8, streams=1,
         script=LARGE_WINDOWS, needs="h2"),
    Case("h2-bulk-tls", "HTTP/2 over TLS: 10 MB responses, 8 connections, one worker", "streams-bulk", "/10m", connections=8,
         streams=1, script=LARGE_WINDOWS, needs="h2", encrypted=True),
    Case("grpc", "gRPC: unary calls of 100 bytes, 8 connections of 32 streams, one worker", "streams", "/grpc",
         connections=8, streams=32, script=("grpc",), needs="h2", http2_target=True),
    # The gate with a certificate in a file, beside one with the same certificate in the store of its orders.
    Case("handshake-acme", "TLS: new sessions with a certificate in the store, 64 at once, one worker", "handshake",
         script=("1.3", "new"), needs="acme", encrypted=True),
    Case("handshake-acme-resumed", "TLS: resumed sessions with a certificate in the store, 64 at once, one worker",
         "handshake", script=("1.3", "resumed"), needs="acme", encrypted=True),
    Case("pace", "5,000 requests/s, 32 connections, one worker", "pace", connections=PACE_CONNECTIONS,
         turn_seconds=0.25),
    Case("reload", "10,000 rules read anew, each moved, at 5,000 requests/s, one worker", "reload",
         connections=PACE_CONNECTIONS, needs="reload"),
    Case("idle", "8,000 idle connections, one worker", "idle", rounds=2),
    Case("idle-tls", "4,000 idle TLS connections, one worker", "idle", encrypted=True, crowd=4_000, rounds=2),
    Case("idle-h2", "8,000 idle connections of HTTP/2, one worker", "idle", streams=1, script=(), needs="h2", rounds=2),
    Case("idle-h2-browser", "8,000 idle connections of HTTP/2 with the fields of a browser, one worker", "idle", streams=1,
         script=("browser",), needs="h2", rounds=2),
    Case("limited", "256 busy connections in a control group of 10 MiB, one worker", "limited", connections=256,
         memory=10 * 2**20, rounds=2),
    Case("start", "From start to listening, and what is idle then, workers for all cores", "start", all_cores=True),
]
