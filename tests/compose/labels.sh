# A compose project routed by labels: HTTPS that the gate terminates beside TLS that a service terminates, and
# a service that is added while everything runs. Sourced by ../compose.sh.
#
# shellcheck shell=bash
# shellcheck disable=SC2154 # `scratch` and `compose_command` are the caller's.

readonly labels=$scratch/labels
readonly -a clear_port=(--connect-to "::127.0.0.1:8022") tls_port=(--connect-to "::127.0.0.1:8023")

labels_compose() { "${compose_command[@]}" --project-name smolgate-labels -f "$labels/compose.yaml" "$@"; }

# certificate FILE NAME...: writes FILE.crt and FILE.key, a self-signed certificate.
certificate() {
    local file=$1
    shift
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2 -subj "/CN=$1" \
        -addext "subjectAltName=$(printf 'DNS:%s\n' "$@" | paste -sd,)" \
        -keyout "$file.key" -out "$file.crt" 2>/dev/null
}

write_labels() {
    cp -r tests/compose/labels "$labels"
    mkdir "$labels/certs"
    certificate "$labels/certs/ours" app.smolgate.test www.smolgate.test late.smolgate.test
    certificate "$labels/vault/vault" vault.smolgate.test
    cat "$labels/certs/ours.crt" "$labels/vault/vault.crt" >"$scratch/trusted.pem"
    # No user in the containers is root.
    chmod -R a+rX "$labels"
}

# Requests over HTTPS, trusting only the certificates of this project.
get_tls() { get --cacert "$scratch/trusted.pem" "${tls_port[@]}" "$@"; }

# The certificate that a TLS client gets for a name.
shown_for() {
    openssl s_client -connect 127.0.0.1:8023 -servername "$1" </dev/null 2>/dev/null |
        openssl x509 -noout -fingerprint -sha256
}

fingerprint_of() { openssl x509 -noout -fingerprint -sha256 -in "$1"; }

gate_reloads() { labels_compose logs --no-color gate | grep -c 'reloaded as generation' || true; }
has_reloaded() { [[ $(gate_reloads) -ge $1 ]]; }

labels_gate_is_healthy() {
    [[ $(docker inspect --format '{{.State.Health.Status}}' "$(labels_compose ps -q gate)") == healthy ]]
}

check_labels() {
    step "labels: HTTPS that the gate terminates"
    local name
    contains "a label and a certificate" "Name: app" "$(get_tls https://app.smolgate.test/)"
    contains "the service gets https as the protocol" "X-Forwarded-Proto: https" "$(get_tls https://app.smolgate.test/)"
    equal "in the clear it is redirected to HTTPS" "308 https://app.smolgate.test/a?b=c" \
        "$(get "${clear_port[@]}" -o /dev/null -w '%{http_code} %{redirect_url}' 'http://app.smolgate.test/a?b=c')"
    equal "another name is redirected" "301 https://app.smolgate.test/a?b=c" \
        "$(get_tls -o /dev/null -w '%{http_code} %{redirect_url}' 'https://www.smolgate.test/a?b=c')"
    contains "challenges are not redirected" "Name: app" \
        "$(get "${clear_port[@]}" http://app.smolgate.test/.well-known/acme-challenge/token)"

    step "labels: TLS that the service terminates"
    equal "its response" "vault, encrypted" "$(get_tls https://vault.smolgate.test/)"
    equal "in the clear too" "vault, in the clear" "$(get "${clear_port[@]}" http://vault.smolgate.test/)"
    equal "the certificate is its own" "$(fingerprint_of "$labels/vault/vault.crt")" "$(shown_for vault.smolgate.test)"
    for name in app.smolgate.test www.smolgate.test; do
        equal "that of $name is the gate's" "$(fingerprint_of "$labels/certs/ours.crt")" "$(shown_for "$name")"
    done
    equal "another name gets no certificate" "" "$(shown_for stranger.smolgate.test 2>/dev/null || true)"
}

# hold NAME: opens a TLS connection that stays open; ask_held NAME: sends another request on it.
declare -A held answers
hold() {
    local in
    mkfifo "$scratch/$1.in"
    : >"$scratch/$1.out"
    openssl s_client -quiet -connect 127.0.0.1:8023 -servername "$1" -CAfile "$scratch/trusted.pem" \
        -verify_return_error <"$scratch/$1.in" >"$scratch/$1.out" 2>/dev/null &
    loads+=($!)
    exec {in}>"$scratch/$1.in"
    held[$1]=$in
    answers[$1]=0
}

ask_held() {
    local count=$((answers[$1] + 1))
    answers[$1]=$count
    printf 'GET / HTTP/1.1\r\nHost: %s\r\n\r\n' "$1" >&"${held[$1]}"
    eventually 10 has_answers "$1" "$count"
    pass "the connection to $1 is still open: $count responses"
}

has_answers() { [[ $(grep -o 'HTTP/1.1 200' "$scratch/$1.out" | wc -l) -ge $2 ]]; }

# Writes one line per request until it is killed: the status, 000 without a response, and the first line of
# the body.
request_on_and_on() {
    local status
    while :; do
        status=$(curl --silent --max-time 10 --cacert "$scratch/trusted.pem" "${tls_port[@]}" \
            --output "$scratch/$1.body" --write-out '%{http_code}' "https://$1/" || true)
        echo "$status $(head -n 1 "$scratch/$1.body")"
        : >"$scratch/$1.body"
    done
}

hang_up() {
    local -i before
    before=$(gate_reloads)
    labels_compose kill -s HUP gate >/dev/null 2>&1
    eventually 20 has_reloaded $((before + 1))
}

check_labels_change() {
    step "labels: a service is added while everything runs"
    local name
    for name in app.smolgate.test vault.smolgate.test; do
        hold "$name"
        ask_held "$name"
        request_on_and_on "$name" >"$scratch/$name.log" &
        loads+=($!)
    done
    equal "the name has no service yet" 404 "$(get_tls -o /dev/null -w '%{http_code}' https://late.smolgate.test/)"
    # Before the others, so that all their lines move.
    sed -i '/^services:/r tests/compose/labels/late.yaml' "$labels/compose.yaml"
    labels_compose up -d late >/dev/null 2>&1
    hang_up
    contains "it is online" "Name: late" "$(get_tls --retry 5 --retry-all-errors https://late.smolgate.test/)"
    ask_held app.smolgate.test
    ask_held vault.smolgate.test

    sed -i 's/smolgate.port: 9090/smolgate.port: many/' "$labels/compose.yaml"
    hang_up
    equal "a bad label takes it away" 503 "$(get_tls -o /dev/null -w '%{http_code}' https://late.smolgate.test/)"
    contains "and the log says why" "\`many\` is not a port" "$(labels_compose logs --no-color gate)"
    ask_held app.smolgate.test
    ask_held vault.smolgate.test

    kill "${loads[@]}"
    wait "${loads[@]}" 2>/dev/null || true
    loads=()
    echo "requests: $(wc -l <"$scratch/app.smolgate.test.log") and $(wc -l <"$scratch/vault.smolgate.test.log")"
    equal "all responses of app" "200 Name: app" "$(sort -u "$scratch/app.smolgate.test.log")"
    equal "all responses of vault" "200 vault, encrypted" "$(sort -u "$scratch/vault.smolgate.test.log")"
}
