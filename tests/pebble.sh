#!/usr/bin/env bash
# Certificates from Pebble, the test authority of Let's Encrypt: by http-01, by tls-alpn-01 and by dns-01, which a program
# and updates of a BIND write, wildcards too. With another key of the account, and from a second Pebble when the first is gone. Nine of ten nonces are refused. Over a restart of the gate, with an
# external account, and for a name that the authority refuses. Needs the Debian packages pebble, bind9, curl, openssl and
# python3. Everything is on loopback.
# shellcheck source=tests/scripts/common.sh
source "$(dirname "$0")/scripts/common.sh"

export PEBBLE_WFE_NONCEREJECT=90
free_ports 12
read -r acme management dns control http https api bind acme_of_bind management_of_bind acme_of_second \
    management_of_second <<<"${ports[*]}"

readonly kid=kid-1 hmac=zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W

readonly account="\"externalAccountBindingRequired\": true, \"externalAccountMACKeys\": { \"$kid\": \"$hmac\" }"
readonly more="$account, \"domainBlocklist\": [\"refused.pebble.test\"]"

start_names "$dns" "$control"
start_pebble pebble "$acme" "$management" "$dns" "$http" "$https" "$more"
first_pid=$started
dns_port=$dns

# configure ACME_PORT CHALLENGE DNS HOST...: DNS is the value of `dns`, or `none`. ACME_PORT may be several, best first.
configure() {
    local ports=$1 challenge=$2 dns=$3 hosts port cas=
    shift 3
    for port in $ports; do
        cas+="    - { directory: 'https://localhost:$port/dir', root: $work/root.pem, eab: { kid: $kid, hmac: $hmac } }"$'\n'
    done
    [[ $dns == none ]] && dns= || dns="dns: $dns"
    hosts=$(IFS=,; echo "$*")
    cat >"$work/smolgate.yml" <<YAML
internal_api: { bind: "127.0.0.1:$api" }
acme:
  accept_terms: true
  email: ops@pebble.test
  challenges: $challenge
  $dns
  self_check: { resolvers: "127.0.0.1:$dns_port", http_port: $http, https_port: $https }
  ca:
${cas}store: $work/store
listeners:
  - { name: http, bind: "127.0.0.1:$http", redirect_to_https: true }
  - name: https
    bind: "127.0.0.1:$https"
    tls: { acme: true }
    rules: [{ host: [$hosts], respond: { body: "hello" } }]
YAML
}

start_gate() {
    start gate "$gate" run -c "$work/smolgate.yml"
    gate_pid=$started
    until_true "the gate answers" "$gate" healthcheck --address "127.0.0.1:$api"
}

stop_gate() { stop "$gate_pid"; }

# ask HOST [NAME]: the answer under TLS, checked against the authority of that Pebble.
ask() {
    curl -fsS --cacert "$work/${2:-pebble}-issuer.pem" --resolve "$1:$https:127.0.0.1" "https://$1:$https/"
}

ask_address() { curl -fsS --cacert "$work/pebble-issuer.pem" "https://127.0.0.1:$https/"; }

configure "$acme" http none one.pebble.test two.pebble.test refused.pebble.test
start_gate
for host in one two; do
    until_true "$host has a certificate by http-01" ask "$host.pebble.test"
    [[ $(ask "$host.pebble.test") == hello ]] || fail "$host does not answer"
done
until_true "the refused name says so" bash -c "'$gate' certs --address 127.0.0.1:$api | grep -q 'refused.*rejectedIdentifier'"
openssl x509 -in "$work"/store/localhost_*/live/one.pebble.test/fullchain.pem -noout -ext subjectAltName | grep -q DNS:one.pebble.test

# A look at a name as the authority looks, through the name server that it asks.
"$gate" certs check one.pebble.test --address "127.0.0.1:$api" || fail "one.pebble.test does not lead here"

# Another key of the account: the next order is signed with it.
"$gate" certs rollover --address "127.0.0.1:$api" | grep -q "has a new key" || fail "the key was not changed"

begin=$(date +%s%N)
configure "$acme" tls none one.pebble.test three.pebble.test
"$gate" reload --address "127.0.0.1:$api"
until_true "three has a certificate by tls-alpn-01" ask three.pebble.test
echo "pebble.sh: from a new host to HTTPS: $((($(date +%s%N) - begin) / 1000000)) ms"

# Addresses: in the clear, then by the name of the reverse lookup. A client names no host.
configure "$acme" http none 127.0.0.1
"$gate" reload --address "127.0.0.1:$api"
until_true "an address has a certificate by http-01" ask_address
configure "$acme" tls none 127.0.0.1
"$gate" reload --address "127.0.0.1:$api"
"$gate" certs renew 127.0.0.1 --address "127.0.0.1:$api"
until_true "the address is renewed by tls-alpn-01" test -e "$(echo "$work"/store/localhost_*/archive/127.0.0.1)/2/fullchain.pem"
openssl x509 -in "$work"/store/localhost_*/live/127.0.0.1/fullchain.pem -noout -ext subjectAltName | grep -q "IP Address:127.0.0.1"
"$gate" certs check 127.0.0.1 --address "127.0.0.1:$api" || fail "127.0.0.1 does not lead here"

# The program of dns-01, called as lego calls one.
cat >"$work/hook" <<'HOOK'
#!/bin/sh -e
case $1 in
    present) curl -fsS -d "{\"host\":\"$2\",\"value\":\"$3\"}" "http://127.0.0.1:$CONTROL/set-txt" ;;
    cleanup) curl -fsS -d "{\"host\":\"$2\"}" "http://127.0.0.1:$CONTROL/clear-txt" ;;
esac
HOOK
chmod +x "$work/hook"
export CONTROL=$control
configure "$acme" dns "{ provider: exec, command: $work/hook, environment: CONTROL, servers: '127.0.0.1:$dns' }" \
    "'*.pebble.test'" one.pebble.test four.pebble.org
stop_gate
start_gate
until_true "the wildcard has a certificate by dns-01" ask any.pebble.test
until_true "four has a certificate by dns-01" ask four.pebble.org

stop_gate
start_gate
ask one.pebble.test >/dev/null || fail "the certificate was lost over a restart"
"$gate" certs renew four.pebble.org --address "127.0.0.1:$api"
until_true "four is renewed" test -e "$(echo "$work"/store/localhost_*/archive/four.pebble.org)/2/fullchain.pem"
"$gate" certs --address "127.0.0.1:$api"
stop_gate

# A zone of BIND, which takes updates that a key signs, and a Pebble that asks it.
secret=$(openssl rand -base64 32)
mkdir "$work/bind"
cat >"$work/bind/zone" <<'ZONE'
$TTL 60
@ IN SOA ns admin 1 3600 600 86400 60
@ IN NS ns
ns IN A 127.0.0.1
_acme-challenge.alias IN CNAME elsewhere
ZONE
cat >"$work/bind/named.conf" <<CONF
options {
    directory "$work/bind"; pid-file none; session-keyfile "$work/bind/session.key"; recursion no;
    listen-on port $bind { 127.0.0.1; }; listen-on-v6 { none; }; dnssec-validation no;
};
controls { };
key "gate" { algorithm hmac-sha256; secret "$secret"; };
zone "bind.test" { type primary; file "$work/bind/zone"; update-policy { grant gate zonesub TXT; }; };
CONF
start named named -g -c "$work/bind/named.conf"
start_pebble pebble-of-bind "$acme_of_bind" "$management_of_bind" "$bind" "$http" "$https" "$more"
update="provider: rfc2136, server: '127.0.0.1:$bind', servers: '127.0.0.1:$bind', key_name: gate"
configure "$acme_of_bind" dns "{ $update, secret: '$secret' }" "'*.bind.test'" bind.test
start_gate
for host in any.bind.test bind.test; do
    until_true "$host has a certificate by an update" ask "$host" pebble-of-bind
done
stop_gate
grep -q "deleting an RR at _acme-challenge.bind.test TXT" "$work/named.log" || fail "no record was removed"
configure "$acme_of_bind" dns "{ $update, secret: 'b3RoZXI=' }" alias.bind.test
start_gate
until_true "another key is refused" bash -c "'$gate' certs --address 127.0.0.1:$api | grep -q NOTAUTH"
stop_gate
configure "$acme_of_bind" dns "{ $update, secret: '$secret' }" alias.bind.test
start_gate
until_true "an alias has a certificate by an update" ask alias.bind.test pebble-of-bind
stop_gate

# The first authority is gone, and the second is asked.
start_pebble second "$acme_of_second" "$management_of_second" "$dns" "$http" "$https" "$more"
second_pid=$started
configure "$acme $acme_of_second" http none five.pebble.test
stop "$first_pid"
start_gate
until_true "five has a certificate from the second authority" ask five.pebble.test second
"$gate" certs five.pebble.test --address "127.0.0.1:$api" | grep "CA  .*localhost_$acme_of_second" || fail "the authority is not told"
stop "$second_pid"
stop_gate
start_gate
ask five.pebble.test second >/dev/null || fail "the certificate of the second authority was lost over a restart"
stop_gate
echo "pebble.sh: fine"
