#!/usr/bin/env bash
# Calls of gRPC by grpcio through the gate, and responses of nghttpd. Needs the Debian packages python3-venv, curl and
# nghttp2-server, and PyPI for grpcio.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --locked
work=$(mktemp -d)
readonly work
pids=()
cleanup() {
    local code=$? pid
    trap - EXIT
    for pid in "${pids[@]}"; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    if [[ $code -ne 0 ]]; then
        tail -n 40 "$work"/*.log >&2 || true
    fi
    rm -rf "$work"
    exit "$code"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# Four ports that are free now. Nothing listens on the last one.
read -r port calls files nothing < <(python3 - <<'PY'
import socket
sockets = [socket.socket() for _ in range(4)]
for one in sockets:
    one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in sockets))
PY
)

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'grpcio>=1.60'

mkdir "$work/site"
head -c 3000000 /dev/urandom >"$work/site/large"
cat >"$work/smolgate.yml" <<YAML
internal_api: { bind: "unix:$work/api.sock" }
listeners:
  - name: http
    bind: "127.0.0.1:$port"
    rules:
      - { path: "/none.Calls/**", target: "h2c://127.0.0.1:$nothing" }
      - { path: "/test.Calls/**", target: "h2c://127.0.0.1:$calls" }
      - { path: "/**", target: "h2c://127.0.0.1:$files" }
YAML

"$work/venv/bin/python" tests/grpc_peers.py server "$calls" >"$work/calls.log" 2>&1 &
pids+=($!)
nghttpd --no-tls --htdocs "$work/site" --trailer x-end:1 "$files" >"$work/files.log" 2>&1 &
pids+=($!)
target/debug/smolgate run -c "$work/smolgate.yml" >"$work/gate.log" 2>&1 &
pids+=($!)

timeout 120 "$work/venv/bin/python" tests/grpc_peers.py client "$port" /none.Calls/Any
for version in --http1.1 --http2-prior-knowledge; do
    for _ in 1 2 3; do
        curl --silent --show-error --fail --max-time 30 "$version" "http://127.0.0.1:$port/large" | cmp - "$work/site/large"
    done
done
echo "nghttpd: all responses are whole"
