# The parts that the test scripts share: a scratch folder, programs that end with the script, free ports, packages of PyPI,
# waits, and Pebble. Sourced by ../*.sh. It builds the program, and makes the root of the project the current folder.
#
# shellcheck shell=bash
# shellcheck disable=SC2034 # The callers use `gate`, `ports`, `tools` and `started`.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
script=$(basename "$0")
work=$(mktemp -d)
readonly script work gate=$PWD/target/debug/smolgate

fail() {
    echo "$script: $*" >&2
    exit 1
}

# Ends the programs of this script, which the shell knows by itself: a number in a list may belong to another program by now.
end_all() {
    local code=$? alive tries
    trap - EXIT
    for ((tries = 0; tries < 100; tries++)); do
        read -r -d '' -a alive < <(jobs -rp) || true
        [[ ${#alive[@]} -gt 0 ]] || break
        if ((tries % 50 == 0)); then
            # A paused program has to go on, and one that takes its time has to be killed.
            kill "-$([[ $tries -eq 0 ]] && echo TERM || echo KILL)" "${alive[@]}" 2>/dev/null || true
            kill -CONT "${alive[@]}" 2>/dev/null || true
        fi
        sleep 0.1
    done
    if [[ $code -ne 0 ]]; then
        tail -n 40 "$work"/*.log >&2 || true
    fi
    # Children of a browser may still write into their profile.
    rm -rf "$work" 2>/dev/null || { sleep 1; rm -rf "$work"; }
    exit "$code"
}
trap end_all EXIT
trap 'exit 130' INT TERM

cargo build --locked

# free_ports COUNT: `ports` has as many that are free now. None is above 55000: SeaweedFS adds 10,000.
free_ports() {
    read -r -a ports < <(python3 - "$1" <<'PY'
import socket
import sys
sockets = []
while len(sockets) < int(sys.argv[1]):
    one = socket.socket()
    one.bind(("127.0.0.1", 0))
    if one.getsockname()[1] < 55000:
        sockets.append(one)
print(*(one.getsockname()[1] for one in sockets))
PY
    )
}

# start NAME COMMAND...: its output goes to NAME.log, and its number to `started`.
start() {
    local log=$work/$1.log
    shift
    "$@" >>"$log" 2>&1 &
    started=$!
}

# stop NUMBER [SIGNAL]: ends a program that `start` has started, and waits for its end.
stop() {
    kill "-${2:-TERM}" "$1"
    wait "$1" 2>/dev/null || true
}

# until_true WHAT COMMAND...: asks ten times a second, for two minutes.
until_true() {
    local what=$1 tries
    shift
    for ((tries = 0; tries < 1200; tries++)); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.1
    done
    fail "timed out before $what"
}

# packages NAME PACKAGE...: packages of PyPI in target/NAME, which becomes `tools`. A file tells that all of them are there.
packages() {
    tools=$PWD/target/$1
    shift
    [[ -e $tools/complete ]] && return
    python3 -m venv "$tools" && "$tools/bin/pip" install --quiet "$@" || fail "no $* from PyPI"
    touch "$tools/complete"
}

# signed NAME SUBJECT_ALT_NAME: NAME.key and NAME.pem in the scratch folder, signed by root.pem, which is made if it is not there.
signed() {
    local key=(ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
    if [[ ! -e $work/root.pem ]]; then
        openssl req -x509 -newkey "${key[@]}" -days 2 -subj "/CN=root of $script" -keyout "$work/root.key" -out "$work/root.pem" 2>/dev/null
    fi
    openssl req -newkey "${key[@]}" -subj "/CN=$1" -keyout "$work/$1.key" -out "$work/$1.csr" 2>/dev/null
    openssl x509 -req -in "$work/$1.csr" -CA "$work/root.pem" -CAkey "$work/root.key" -CAcreateserial -days 2 \
        -extfile <(echo "subjectAltName=$2") -out "$work/$1.pem" 2>/dev/null
}

# start_names PORT CONTROL_PORT: a name server to which all names lead to 127.0.0.1.
start_names() {
    start names pebble-challtestsrv -dns01 "127.0.0.1:$1" -management "127.0.0.1:$2" -defaultIPv4 127.0.0.1 -defaultIPv6 "" \
        -http01 "" -https01 "" -tlsalpn01 ""
}

# start_pebble NAME PORT MANAGEMENT_PORT DNS_PORT HTTP_PORT TLS_PORT [MORE]: a Pebble at https://localhost:PORT, which root.pem
# has signed. The root of its own certificates goes to NAME-issuer.pem. MORE stands in its configuration.
start_pebble() {
    [[ -e $work/pebble.pem ]] || signed pebble DNS:localhost,IP:127.0.0.1
    cat >"$work/$1.json" <<JSON
{ "pebble": {
    "listenAddress": "127.0.0.1:$2", "managementListenAddress": "127.0.0.1:$3",
    "certificate": "$work/pebble.pem", "privateKey": "$work/pebble.key", "httpPort": $5, "tlsPort": $6 ${7:+, $7}
} }
JSON
    start "$1" env PEBBLE_VA_NOSLEEP=1 pebble -config "$work/$1.json" -dnsserver "127.0.0.1:$4"
    until_true "$1 answers" curl -fsS --cacert "$work/root.pem" "https://localhost:$3/roots/0"
    curl -fsS --cacert "$work/root.pem" "https://localhost:$3/roots/0" >"$work/$1-issuer.pem"
}
