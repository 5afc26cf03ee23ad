# A compose project as a new user writes it: two labels and an address of mail put a service online with HTTPS. The
# authority is Pebble, on this machine. IMAGE may name another image of the gate. Sourced by ../compose.sh.
#
# shellcheck shell=bash
# shellcheck disable=SC2154 # `scratch` and `compose_command` are the caller's.

readonly acme=$scratch/acme
readonly acme_http=8025 acme_https=8026 acme_port=8027 acme_management=8028 acme_dns=8029

acme_compose() { "${compose_command[@]}" --project-name smolgate-acme -f "$acme/compose.yaml" "$@"; }

# signed NAME SUBJECT EXTENSION: NAME.key and NAME.pem, signed by root.
signed() {
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -subj "/CN=$2" \
        -keyout "$acme/$1.key" -out "$acme/$1.csr" 2>/dev/null
    openssl x509 -req -in "$acme/$1.csr" -CA "$acme/root.pem" -CAkey "$acme/root.key" -CAcreateserial -days 2 \
        -extfile <(echo "subjectAltName=$3") -out "$acme/$1.pem" 2>/dev/null
}

write_acme() {
    mkdir "$acme"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2 -subj /CN=pebble-root \
        -keyout "$acme/root.key" -out "$acme/root.pem" 2>/dev/null
    signed pebble host.docker.internal DNS:host.docker.internal,DNS:localhost
    cat >"$acme/pebble.json" <<JSON
{ "pebble": {
    "listenAddress": "0.0.0.0:$acme_port", "managementListenAddress": "127.0.0.1:$acme_management",
    "certificate": "$acme/pebble.pem", "privateKey": "$acme/pebble.key",
    "httpPort": $acme_http, "tlsPort": $acme_https
} }
JSON
    # What a user writes, but for the authority, its own certificate, and the ports.
    cat >"$acme/compose.yaml" <<YAML
services:
  gate:
    image: ${IMAGE:-smolgate:local}
    environment:
      SMOLGATE_COMPOSE_FILE: /project/compose.yaml
      SMOLGATE_HTTPS_ENABLED: "true"
      SMOLGATE_ACME_EMAIL: ops@smolgate.test
      SMOLGATE_ACME_DIR: /certs
      SMOLGATE_ACME_CA: https://host.docker.internal:$acme_port/dir
      SMOLGATE_WATCH: "true"
      SSL_CERT_FILE: /project/root.pem
    extra_hosts: ["host.docker.internal:host-gateway"]
    volumes: [".:/project:ro", "certs:/certs"]
    ports: ["$acme_http:80", "$acme_https:443"]
  web:
    image: ${IMAGE:-smolgate:local}
    command: [whoami, --name, web, --port, "8000"]
    labels: { smolgate.host: "web.smolgate.test,127.0.0.1", smolgate.port: 8000 }
volumes: { certs: {} }
YAML
    chmod -R a+rX "$acme"
}

start_pebble() {
    pebble-challtestsrv -dns01 "127.0.0.1:$acme_dns" -management 127.0.0.1:8030 -defaultIPv4 127.0.0.1 -defaultIPv6 "" \
        -http01 "" -https01 "" -tlsalpn01 "" >"$scratch/dns.log" 2>&1 &
    loads+=($!)
    PEBBLE_VA_NOSLEEP=1 pebble -config "$acme/pebble.json" -dnsserver "127.0.0.1:$acme_dns" >"$scratch/pebble.log" 2>&1 &
    loads+=($!)
    eventually 20 save_issuer
}

save_issuer() {
    curl --silent --fail --cacert "$acme/root.pem" "https://localhost:$acme_management/roots/0" >"$acme/issuer.pem"
}

get_issued() {
    get --fail --cacert "$acme/issuer.pem" --connect-to "::127.0.0.1:$acme_https" "$@" 2>/dev/null
}

check_acme() {
    local begin volume
    step "certificates: two labels and an address of mail"
    eventually 60 get_issued -o /dev/null https://web.smolgate.test/
    contains "the service answers under HTTPS" "Name: web" "$(get_issued https://web.smolgate.test/)"
    equal "in the clear it is redirected" "308 https://web.smolgate.test/" \
        "$(get --connect-to "::127.0.0.1:$acme_http" -o /dev/null -w '%{http_code} %{redirect_url}' http://web.smolgate.test/)"
    contains "the gate tells it" "web.smolgate.test  valid" "$(acme_compose exec -T gate /smolgate certs)"
    # A client names no address, and the gate sees that of its container. The certificate is that of the label.
    eventually 60 get --fail --cacert "$acme/issuer.pem" -o /dev/null "https://127.0.0.1:$acme_https/"
    contains "an address answers under HTTPS" "Name: web" \
        "$(get --cacert "$acme/issuer.pem" "https://127.0.0.1:$acme_https/")"

    step "certificates: a service that comes"
    begin=$(date +%s%N)
    cat >"$acme/late.yaml" <<YAML
  late:
    image: ${IMAGE:-smolgate:local}
    command: [whoami, --name, late, --port, "8000"]
    labels: { smolgate.host: late.smolgate.test, smolgate.port: 8000 }
YAML
    sed -i "/^volumes: { certs/e cat '$acme/late.yaml'" "$acme/compose.yaml"
    acme_compose up -d --no-build late >/dev/null 2>&1
    eventually 60 get_issued -o /dev/null https://late.smolgate.test/
    pass "from its labels to HTTPS: $((($(date +%s%N) - begin) / 1000000)) ms, its container included"

    step "certificates: another container of the gate"
    acme_compose up -d --no-build --force-recreate gate >/dev/null 2>&1
    eventually 30 get_issued -o /dev/null https://web.smolgate.test/
    volume=$(acme_compose exec -T gate /smolgate certs web.smolgate.test | grep -c issued)
    equal "nothing was ordered anew" 1 "$volume"
}
