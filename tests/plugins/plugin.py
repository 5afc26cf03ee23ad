"""A plugin for tests. It has every hook, and does what the fields of the request, and its arguments, tell it to do.

plugin.py FOLDER [MODE]: calls are written to FOLDER/calls, one JSON object a line. Its socket is in FOLDER too.
"""

import json, os, signal, socket, struct, sys, threading, time

folder, mode = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
path = os.path.join(folder, f"{os.getpid()}.sock")
HOOKS = ["on_request", "on_response", "on_connect", "on_disconnect"]
lock = threading.Lock()


def note(value):
    with lock, open(os.path.join(folder, "calls"), "a") as calls:
        calls.write(json.dumps(value) + "\n")


def say(method, **params):
    with lock:
        print(json.dumps({"method": method, "params": params}), flush=True)


def frame(data):
    return struct.pack(">I", len(data)) + data


def misbehave(stream, what):
    """Returns whether the connection stays."""
    if what == "silence":
        time.sleep(3600)
    elif what == "garbage":
        stream.sendall(frame(b"\xc1 no message"))
    elif what == "list":
        stream.sendall(frame(b"[]"))
    elif what == "surplus":
        stream.sendall(frame(b'{"ok":true}') + b"more")
    elif what == "huge":
        try:
            stream.sendall(frame(b"x" * (2 << 20)))
        except OSError:
            pass
    elif what == "slow":
        for byte in frame(b'{"ok":true,"h":{"X-Slow":"yes"}}'):
            stream.sendall(bytes([byte]))
            time.sleep(0.002)
        return True
    elif what == "close":
        return False
    elif what == "half":
        stream.sendall(frame(b'{"ok":true}')[:7])
        return False
    elif what == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "late":
        time.sleep(1.5)
        stream.sendall(frame(b'{"ok":true,"h":{"X-Late":"yes"}}'))
        return True
    return True


def on_request(stream, info):
    headers = info["h"]
    if "X-Do" in headers:
        return misbehave(stream, headers["X-Do"])
    # What is told as JSON is the answer.
    answer = json.loads(headers.get("X-Answer", '{"ok":true}'))
    if answer.get("ok"):
        answer.setdefault("h", {})["X-Plugin"] = str(os.getpid())
    stream.sendall(frame(json.dumps(answer).encode()))
    return True


def serve(stream):
    with stream:
        while True:
            length = stream.recv(4, socket.MSG_WAITALL)
            if len(length) < 4:
                return
            data = stream.recv(struct.unpack(">I", length)[0], socket.MSG_WAITALL)
            if mode == "msgpack":
                # {"t": 1, "d": ...}, and {"ok": true, "h": {"X-User-ID": "42"}}.
                note({"frame": data.hex()})
                stream.sendall(frame(bytes.fromhex("82a26f6bc3a16881a9582d557365722d4944a23432")))
                continue
            call = json.loads(data)
            note(call)
            kind, info = call["t"], call["d"]
            if kind == 1:
                if not on_request(stream, info):
                    return
            elif kind == 2:
                headers = info["req"]["h"]
                if "X-Do-Response" in headers:
                    if not misbehave(stream, headers["X-Do-Response"]):
                        return
                    continue
                stream.sendall(frame(headers.get("X-Change", "{}").encode()))
            elif kind == 3:
                stream.sendall(frame(json.dumps({"ok": mode != "reject"}).encode()))


def listen():
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(64)
    while True:
        stream, _ = server.accept()
        threading.Thread(target=serve, args=(stream,), daemon=True).start()


if mode == "fork":
    # The parent ends, and its child goes on with the socket and the output.
    if os.fork():
        os._exit(0)
if mode == "dies":
    sys.exit(3)
threading.Thread(target=listen, daemon=True).start()
while not os.path.exists(path):
    time.sleep(0.001)
note({"pid": os.getpid()})
if mode == "noisy":
    print("no JSON", flush=True)
    print("x" * (2 << 20), flush=True)
    print("on standard error", file=sys.stderr, flush=True)
for line in sys.stdin:
    configure = json.loads(line)["params"]
    note({"route": configure["route_id"], "match": configure.get("match")})
    while mode == "later" and not os.path.exists(os.path.join(folder, "go")):
        time.sleep(0.005)
    encoding = "msgpack" if mode == "msgpack" else "json"
    place = open(os.path.join(folder, "stranger")).read() if mode == "stranger" else path
    hooks = ["on_request"] if mode == "msgpack" else HOOKS
    say("ready", socket=place, hooks=hooks, encoding=encoding, body=mode == "body")
    say("log", level="info", message="configured", args=["route", configure["route_id"]])
if mode == "stays":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(3600)
note({"end": os.getpid()})
