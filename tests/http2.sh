#!/usr/bin/env bash
# Clients and targets of HTTP/2 that others have written, with the gate between them: curl, nghttp and h2load, nghttpd, Node,
# the Python packages h2, wsproto and hypercorn, and Chromium. Each client asks each target, WebSockets included. Needs the Debian
# packages python3-venv, curl, nghttp2-client, nghttp2-server, nodejs and chromium, and PyPI.
# shellcheck source=tests/scripts/common.sh
source "$(dirname "$0")/scripts/common.sh"

packages http2 'h2>=4.1' 'hypercorn>=0.17' 'wsproto>=1.2'
free_ports 5
read -r port tls hyper node files <<<"${ports[*]}"

signed site DNS:localhost
mkdir "$work/site"
head -c 1000000 /dev/urandom >"$work/site/large"
cat >"$work/smolgate.yml" <<YAML
internal_api: { bind: "unix:$work/api.sock" }
access_log: "$work/access.json"
listeners:
  - name: http
    bind: "127.0.0.1:$port"
    rules:
      - { path: "/hypercorn/**", target: "h2c://127.0.0.1:$hyper" }
      - { path: "/hypercorn-http1/**", target: "http://127.0.0.1:$hyper" }
      - { path: "/node/**", target: "h2c://127.0.0.1:$node" }
      - { path: "/**", target: "h2c://127.0.0.1:$files" }
  - name: tls
    bind: "127.0.0.1:$tls"
    tls: { certificates: { cert: "$work/site.pem", key: "$work/site.key" } }
    rules:
      - { path: "/http1/**", target: "http://127.0.0.1:$hyper" }
      - { path: "/h2c/**", target: "h2c://127.0.0.1:$hyper" }
YAML

start hypercorn "$tools/bin/hypercorn" --bind "127.0.0.1:$hyper" --keep-alive 60 tests/http2/app.py:application
start node node tests/http2/node.js serve "$node"
start nghttpd nghttpd --no-tls --htdocs "$work/site" "$files"
start gate "$gate" run -c "$work/smolgate.yml"
for path in hypercorn/x hypercorn-http1/x node/x large; do
    until_true "$path answers" curl -fsS "http://127.0.0.1:$port/$path"
done

for version in --http1.1 --http2-prior-knowledge; do
    curl -fsS --max-time 30 "$version" "http://127.0.0.1:$port/large" | cmp - "$work/site/large"
    for path in hypercorn hypercorn-http1 node; do
        curl -fsS --max-time 30 "$version" --data-binary "@$work/site/large" "http://127.0.0.1:$port/$path/echo" | cmp - "$work/site/large"
    done
done
echo "curl: all bodies are whole"
for path in hypercorn hypercorn-http1 node; do
    nghttp -d "$work/site/large" "http://127.0.0.1:$port/$path/echo" | cmp - "$work/site/large"
    timeout 30 h2load -c 4 -m 20 -n 1000 "http://127.0.0.1:$port/$path/x" >"$work/h2load.txt"
    grep -q '1000 succeeded, 0 failed, 0 errored, 0 timeout' "$work/h2load.txt" || { cat "$work/h2load.txt"; fail "h2load of $path"; }
    [[ $path == node ]] || timeout 30 "$tools/bin/python" tests/http2/client.py "$port" "/$path"
    timeout 30 node tests/http2/node.js ask "$port" "/$path"
done
echo "h2load and nghttp: all responses came"
timeout 60 python3 tests/http2/browser.py "$tls" "$work/access.json"
