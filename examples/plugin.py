#!/usr/bin/env python3
import json, os, socketserver, struct, sys, threading

KEYS = {"sesame": "ann"}

def decide(request):
    user = KEYS.get(request["h"].get("X-Key"))
    return {"ok": True, "h": {"X-User": user}} if user else {"ok": False, "s": 401, "b": "no key\n"}

class Calls(socketserver.StreamRequestHandler):
    def handle(self):
        while length := self.rfile.read(4):
            call = json.loads(self.rfile.read(*struct.unpack(">I", length)))
            answer = json.dumps(decide(call["d"])).encode()
            self.wfile.write(struct.pack(">I", len(answer)) + answer)

socket = f"/tmp/plugin-{os.getpid()}.sock"
server = socketserver.ThreadingUnixStreamServer(socket, Calls)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
for line in sys.stdin:
    ready = {"socket": socket, "hooks": ["on_request"], "encoding": "json"}
    print(json.dumps({"method": "ready", "params": ready}), flush=True)
os.remove(socket)
