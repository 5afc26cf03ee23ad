#!/usr/bin/env bash
# Certificates from Pebble, the test authority of Let's Encrypt: by http-01 and by tls-alpn-01, with half of the
# nonces refused, over a restart of the gate, with an external account, and for a name that the authority refuses.
# Needs the Debian packages pebble, curl, openssl and python3. Everything is on loopback.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --locked
readonly gate=$PWD/target/debug/smolgate
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

# Seven ports that are free now.
read -r acme management dns control http https api < <(python3 - <<'PY'
import socket
sockets = [socket.socket() for _ in range(7)]
for one in sockets:
    one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in sockets))
PY
)

fail() {
    echo "pebble.sh: $*" >&2
    exit 1
}

# until_true WHAT COMMAND...: asks ten times a second, for a minute.
until_true() {
    local what=$1 tries
    shift
    for ((tries = 0; tries < 600; tries++)); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.1
    done
    fail "timed out before $what"
}

# The certificate of Pebble itself, and its authority.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=pebble-root \
    -keyout "$work/root.key" -out "$work/root.pem" 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost \
    -keyout "$work/pebble.key" -out "$work/pebble.csr" 2>/dev/null
openssl x509 -req -in "$work/pebble.csr" -CA "$work/root.pem" -CAkey "$work/root.key" -CAcreateserial -days 2 \
    -extfile <(echo subjectAltName=DNS:localhost,IP:127.0.0.1) -out "$work/pebble.pem" 2>/dev/null

readonly kid=kid-1 hmac=zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W
cat >"$work/pebble.json" <<JSON
{ "pebble": {
    "listenAddress": "127.0.0.1:$acme", "managementListenAddress": "127.0.0.1:$management",
    "certificate": "$work/pebble.pem", "privateKey": "$work/pebble.key",
    "httpPort": $http, "tlsPort": $https, "externalAccountBindingRequired": true,
    "externalAccountMACKeys": { "$kid": "$hmac" }, "domainBlocklist": ["refused.pebble.test"]
} }
JSON

pebble-challtestsrv -dns01 "127.0.0.1:$dns" -management "127.0.0.1:$control" -defaultIPv4 127.0.0.1 -defaultIPv6 "" \
    -http01 "" -https01 "" -tlsalpn01 "" >"$work/dns.log" 2>&1 &
pids+=("$!")
PEBBLE_VA_NOSLEEP=1 PEBBLE_WFE_NONCEREJECT=50 pebble -config "$work/pebble.json" -dnsserver "127.0.0.1:$dns" \
    >"$work/pebble.log" 2>&1 &
pids+=("$!")
until_true "Pebble answers" curl -fsS --cacert "$work/root.pem" "https://localhost:$management/roots/0"
curl -fsS --cacert "$work/root.pem" "https://localhost:$management/roots/0" >"$work/issuer.pem"

# configure CHALLENGE HOST...
configure() {
    local challenge=$1 hosts
    shift
    hosts=$(IFS=,; echo "$*")
    cat >"$work/smolgate.yml" <<YAML
internal_api: { bind: "127.0.0.1:$api" }
acme:
  accept_terms: true
  email: ops@pebble.test
  challenges: $challenge
  ca:
    directory: "https://localhost:$acme/dir"
    root: $work/root.pem
    eab: { kid: $kid, hmac: $hmac }
store: $work/store
listeners:
  - { name: http, bind: "127.0.0.1:$http", redirect_to_https: true }
  - name: https
    bind: "127.0.0.1:$https"
    tls: { acme: true }
    rules: [{ host: [$hosts], respond: { body: "hello" } }]
YAML
}

start_gate() {
    "$gate" run -c "$work/smolgate.yml" >>"$work/gate.log" 2>&1 &
    gate_pid=$!
    pids+=("$gate_pid")
    until_true "the gate answers" "$gate" healthcheck --address "127.0.0.1:$api"
}

stop_gate() {
    kill "$gate_pid"
    wait "$gate_pid" || true
}

# ask HOST: the answer under TLS, checked against Pebble's authority.
ask() {
    curl -fsS --cacert "$work/issuer.pem" --resolve "$1:$https:127.0.0.1" "https://$1:$https/"
}

configure http one.pebble.test two.pebble.test refused.pebble.test
start_gate
for host in one two; do
    until_true "$host has a certificate by http-01" ask "$host.pebble.test"
    [[ $(ask "$host.pebble.test") == hello ]] || fail "$host does not answer"
done
until_true "the refused name says so" bash -c "'$gate' certs --address 127.0.0.1:$api | grep -q 'refused.*rejectedIdentifier'"
openssl x509 -in "$work"/store/localhost_*/live/one.pebble.test/fullchain.pem -noout -ext subjectAltName | grep -q DNS:one.pebble.test

configure tls one.pebble.test three.pebble.test
"$gate" reload --address "127.0.0.1:$api"
until_true "three has a certificate by tls-alpn-01" ask three.pebble.test

stop_gate
start_gate
ask one.pebble.test >/dev/null || fail "the certificate was lost over a restart"
"$gate" certs renew one.pebble.test --address "127.0.0.1:$api"
until_true "one is renewed" test -e "$(echo "$work"/store/localhost_*/archive/one.pebble.test)/2/fullchain.pem"
"$gate" certs --address "127.0.0.1:$api"
stop_gate
echo "pebble.sh: fine"
