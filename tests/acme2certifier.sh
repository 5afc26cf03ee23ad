#!/usr/bin/env bash
# Certificates from acme2certifier, an authority that has nothing in common with Pebble: by http-01, of a kind that it
# offers (profiles), and renewed in the window that it tells (RFC 9773), with the name of the certificate that is replaced. Its
# requests are judged as it received them. Needs the Debian packages curl, openssl, python3 and python3-venv, and the package
# acme2certifier of PyPI, which it gets into target/acme2certifier. Everything is on loopback.
# shellcheck source=tests/scripts/common.sh
source "$(dirname "$0")/scripts/common.sh"

packages acme2certifier acme2certifier
free_ports 4
read -r acme http https api <<<"${ports[*]}"

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=acme2certifier-root \
    -keyout "$work/issuer.key" -out "$work/issuer.pem" 2>/dev/null
mkdir "$work/kept"

# configure_ca FORCES: whether it wants every certificate to be renewed at once.
configure_ca() {
    cat >"$work/acme_srv.cfg" <<CONF
[DEFAULT]
debug: False
[CAhandler]
handler_module: acme2certifier.cahandlers.openssl_ca_handler
issuing_ca_key: $work/issuer.key
issuing_ca_cert: $work/issuer.pem
issuing_ca_crl: $work/issuer.crl
cert_save_path: $work/kept
cert_validity_days: 7
[DBhandler]
handler_module: acme2certifier.dbhandlers.wsgi_handler
dbfile: $work/acme.db
[Challenge]
dns_server_list: ["127.0.0.1"]
[Order]
profiles: { "week": "http://127.0.0.1/week", "year": "http://127.0.0.1/year" }
[Renewalinfo]
renewal_force: $1
retry_after_timeout: 60
CONF
}

cat >"$work/server.py" <<'PY'
# The authority, on a free port. It notes the requests that it receives. Names lead to this machine, and its port 80 is that
# of the gate.
import base64
import datetime
import io
import json
import pathlib
import socketserver
import sys
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import urllib3.util.connection as connection
from acme2certifier.acme_srv import helper
from acme2certifier.share.acme2certifier_wsgi import application
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

port, gate, work = int(sys.argv[1]), int(sys.argv[2]), pathlib.Path(sys.argv[3])
requests = open(work / "requests", "a", buffering=1)
# Without a list of revoked certificates it issues none.
authority = x509.load_pem_x509_certificate((work / "issuer.pem").read_bytes())
key = serialization.load_pem_private_key((work / "issuer.key").read_bytes(), None)
now = datetime.datetime.now(datetime.timezone.utc)
revoked = x509.CertificateRevocationListBuilder().issuer_name(authority.subject).last_update(now)
revoked = revoked.next_update(now + datetime.timedelta(days=2)).sign(key, hashes.SHA256())
(work / "issuer.crl").write_bytes(revoked.public_bytes(serialization.Encoding.PEM))

helper.fqdn_resolve = lambda *_, **__: (["127.0.0.1"], False, None)
connect = connection.create_connection
connection.create_connection = lambda to, *rest, **named: connect((to[0], gate if to[1] == 80 else to[1]), *rest, **named)


def noted(environ, start):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    payload = json.loads(body)["payload"] if body else ""
    print(environ["PATH_INFO"], base64.urlsafe_b64decode(payload + "==").decode(), file=requests)
    return application(environ, start)


class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


make_server("127.0.0.1", port, noted, Server, WSGIRequestHandler).serve_forever()
PY

start_ca() {
    start acme2certifier env ACME_SRV_CONFIGFILE="$work/acme_srv.cfg" "$tools/bin/python" "$work/server.py" "$acme" "$http" "$work"
    ca_pid=$started
    until_true "the authority answers" curl -fsS "http://127.0.0.1:$acme/directory"
}

# configure PROFILE HOST...
configure() {
    local profile=$1
    shift
    cat >"$work/smolgate.yml" <<YAML
internal_api: { bind: "127.0.0.1:$api" }
acme:
  accept_terms: true
  email: ops@smolgate.test
  challenges: http
  ca: { directory: "http://127.0.0.1:$acme/directory", profile: $profile }
store: $work/store
listeners:
  - { name: http, bind: "127.0.0.1:$http", redirect_to_https: true }
  - name: https
    bind: "127.0.0.1:$https"
    tls: { acme: true }
    rules: [{ host: [$(IFS=,; echo "$*")], respond: { body: "hello" } }]
YAML
}

ask() { curl -fsS --cacert "$work/issuer.pem" --resolve "$1:$https:127.0.0.1" "https://$1:$https/"; }
orders() { grep -c "^/acme/neworders.*$1" "$work/requests" || true; }
certs() { "$gate" certs "$@" --address "127.0.0.1:$api"; }

configure_ca False
start_ca
configure week one.smolgate.test two.smolgate.test
start gate "$gate" run -c "$work/smolgate.yml"
gate_pid=$started
for host in one two; do
    until_true "$host has a certificate" ask "$host.smolgate.test"
    until_true "$host is kept" certs "$host.smolgate.test"
done
[[ $(orders '"profile":"week"') -eq 2 ]] || fail "the profile was not asked for"
[[ $(orders '"replaces"') -eq 0 ]] || fail "a first certificate replaces none"
until_true "the window is asked for" grep -q "^/acme/renewal-info/" "$work/requests"

# Now it wants the certificates to be renewed. The gate reads the window when it starts, if the time to look is over.
stop "$gate_pid"
stop "$ca_pid"
configure_ca True
start_ca
sed -i 's/"look": *[0-9]*/"look": 0/' "$work"/store/*/attempts/*.json
configure day one.smolgate.test two.smolgate.test
start gate "$gate" run -c "$work/smolgate.yml"
gate_pid=$started
for host in one two; do
    until_true "$host is renewed" test -e "$(echo "$work"/store/*/archive/"$host.smolgate.test")/2/fullchain.pem"
    ask "$host.smolgate.test" >/dev/null || fail "$host is not served"
done
# It wants the new ones to be renewed at once, too, so there may be more.
[[ $(orders '"replaces":"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*"') -ge 2 ]] || fail "the renewals name no certificate"
# It has no kind `day`, so none is asked for.
[[ $(orders '"profile"') -eq 2 ]] || fail "a profile was asked for that is not there"
grep -q 'does not have this `profile`.*week, year.*profile=day' "$work/gate.log" || fail "the profiles are not told"
certs
stop "$gate_pid"
echo "acme2certifier.sh: fine"
