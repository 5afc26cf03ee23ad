#!/usr/bin/env bash
# The first steps of a new user with compose.yaml, and their risks. Builds the image and starts compose.yaml
# unedited. Checks routing by service name, TCP, reload, metrics, hardening, and that containers can be
# recreated under load. Then runs a second project, routed by labels, with HTTPS and passthrough
# (tests/compose/labels), a third one: the recipe of a deploy that loses no request (tests/compose/deploy.sh), and a fourth
# that gets its certificates from Pebble (tests/compose/acme.sh).
#
#   tests/compose.sh                  the image is built by the Dockerfile
#   tests/compose.sh --local-binary   the image is built from a static binary that cargo builds here
#
# RECREATIONS and REPLACEMENTS say how often the last project deploys.
#
# Needs docker (with compose), curl, openssl and pebble, and, if no registry can be reached, Debian's debootstrap and
# prometheus. Uses ports 8020 to 8030, 9091 and 42007. Leaves only images behind.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly image=smolgate:local
readonly project=smolgate-test
readonly gate=http://127.0.0.1:8021
readonly internal=http://127.0.0.1:42007
# Names are resolved again after 3 s at most; the rest is for a slow machine.
readonly names_settle=5

scratch=$(mktemp -d "${TMPDIR:-/tmp}/smolgate-compose.XXXXXX")
readonly scratch
source tests/compose/base_images.sh
source tests/compose/labels.sh
source tests/compose/deploy.sh
source tests/compose/acme.sh
# Processes that run beside the checks.
loads=()

cleanup() {
    local code=$?
    trap - EXIT
    [[ ${#loads[@]} -eq 0 ]] || kill "${loads[@]}" 2>/dev/null || true
    if [[ $code -ne 0 && -e $scratch/override.yaml ]]; then
        compose ps || true
        compose logs --tail=40 || true
    fi
    if [[ $code -ne 0 && -e $labels ]]; then
        labels_compose ps || true
        labels_compose logs --tail=40 || true
    fi
    if [[ $code -ne 0 && -e $deploy ]]; then
        deploy_compose ps || true
        deploy_compose exec -T gate /smolgate upstreams || true
        deploy_compose logs --tail=40 gate || true
    fi
    [[ ! -e $scratch/override.yaml ]] || compose down --volumes --timeout 5 >/dev/null 2>&1 || true
    [[ ! -e $labels ]] || labels_compose down --volumes --timeout 5 >/dev/null 2>&1 || true
    if [[ $code -ne 0 && -e $acme/compose.yaml ]]; then
        acme_compose ps || true
        acme_compose logs --tail=40 || true
        tail -20 "$scratch/pebble.log" || true
    fi
    [[ ! -e $acme/compose.yaml ]] || acme_compose down --volumes --timeout 5 >/dev/null 2>&1 || true
    touch "$scratch/deploy.end"
    [[ ! -e $deploy ]] || deploy_compose down --volumes --timeout 5 >/dev/null 2>&1 || true
    rm -rf "$scratch"
    exit "$code"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

if docker compose version >/dev/null 2>&1; then compose_command=(docker compose); else compose_command=(docker-compose); fi
compose() { "${compose_command[@]}" --project-name "$project" -f compose.yaml -f "$scratch/override.yaml" "$@"; }

step() { printf '\n--- %s\n' "$1"; }
pass() { printf 'ok: %s\n' "$1"; }
fail() { printf 'FAILED: %s\n' "$1" >&2; exit 1; }

# equal WHAT EXPECTED ACTUAL
equal() { [[ $2 == "$3" ]] || fail "$1: expected '$2', got '$3'"; pass "$1"; }
# contains WHAT PART TEXT
contains() { [[ $3 == *"$2"* ]] || fail "$1: no '$2' in: $3"; pass "$1"; }

# eventually SECONDS COMMAND...: repeats it until it succeeds
eventually() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < end)) || fail "timed out: $*"
        sleep 0.2
    done
}

get() { curl --silent --show-error --max-time 10 "$@"; }
container() { compose ps -q "$1"; }
inspect() { docker inspect --format "$2" "$(container "$1")"; }
# The name in the response of whoami.
name_at() { get "$@" | sed -n 's/^Name: //p'; }

# ---------------------------------------------------------------- the image

# Runs the whole Dockerfile. It uses the host's network, to reach what this machine reaches.
build_by_dockerfile() {
    local tag
    while read -r tag; do ensure_image "$tag"; done < <(sed -n 's/^FROM \([^ ]*:[^ ]*\).*/\1/p' Dockerfile)
    docker build --network host --tag "$image" .
}

# The last stage of the Dockerfile, around a binary built here.
build_by_cargo() {
    local target context=$scratch/context
    target=$(rustc -vV | sed -n 's/^host: //p')
    RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --locked --target "$target" --target-dir target/static
    mkdir -p "$context/image/etc/ssl/certs"
    cp "target/static/$target/release/smolgate" "$context/image/"
    cp /etc/ssl/certs/ca-certificates.crt "$context/image/etc/ssl/certs/"
    sed -n '/^FROM scratch/,$p' Dockerfile | sed 's/COPY --from=build /COPY /; s/COPY \/image/COPY image/' >"$context/Dockerfile"
    docker build --quiet --tag "$image" "$context"
}

check_image() {
    local bytes
    bytes=$(docker image inspect --format '{{.Size}}' "$image")
    printf 'image: %d bytes (%d.%02d MB)\n' "$bytes" $((bytes / 1000000)) $((bytes % 1000000 / 10000))
    ((bytes < 12000000)) || fail "the image is larger than 12 MB"
    pass "the image is under 12 MB"
    docker run --rm "$image" version
}

# ---------------------------------------------------------------- compose

# The configuration is a copy that can be edited. The rest of compose.yaml is unchanged.
write_override() {
    cp -r config "$scratch/config"
    chmod -R a+rX "$scratch"
    cat >"$scratch/override.yaml" <<-END
		services:
		  smolgate:
		    volumes: ["$scratch/config:/etc/smolgate:ro"]
		    # A name that only /etc/hosts knows.
		    extra_hosts: ["pinned.test:127.0.0.1"]
	END
}

is_healthy() { [[ $(inspect "$1" '{{.State.Health.Status}}') == healthy ]]; }

check_routing() {
    step "rules lead to services by name"
    local answer
    equal "any host" api "$(name_at "$gate/")"
    equal "a host" admin "$(name_at -H 'Host: admin.localhost' "$gate/")"
    answer=$(get -H 'Host: admin.localhost' "$gate/users/7?a=b")
    contains "a host and a prefix" "Name: users" "$answer"
    contains "the prefix is stripped" "GET /7?a=b HTTP/1.1" "$answer"
    equal "raw TCP" admin "$(name_at http://127.0.0.1:8020/)"
    contains "the image checks and explains its configuration" "whoami-admin" \
        "$(compose exec -T smolgate /smolgate explain http://admin.localhost:8021/)"
}

check_reload() {
    step "an edited configuration is taken at /reload"
    local file=$scratch/config/docker.yml original status
    original=$(<"$file")
    grep -q 'http://whoami-api:8080' "$file" || fail "config/docker.yml has no target whoami-api to edit"

    # Written to another file and renamed, as editors do.
    printf '%s\n' "${original//whoami-api:8080/whoami-users:8080}" >"$file.new"
    mv "$file.new" "$file"
    echo "reload: $(get --fail "$internal/reload")"
    equal "the new rule is in effect" users "$(name_at "$gate/")"

    printf '%s\n' "${original//whoami-api:8080/pinned.test:42007}" >"$file"
    get --fail "$internal/reload" >/dev/null
    equal "names of /etc/hosts resolve too" 200 "$(get -o /dev/null -w '%{http_code}' "$gate/livez")"

    printf '%s\n' "${original//target:/targt:}" >"$file"
    status=$(get -X POST -o "$scratch/answer" -w '%{http_code}' "$internal/reload")
    equal "a broken file is refused" 422 "$status"
    contains "and the mistake is named" targt "$(<"$scratch/answer")"
    equal "and changes nothing" 200 "$(get -o /dev/null -w '%{http_code}' "$gate/livez")"

    printf '%s\n' "$original" >"$file"
    get --fail "$internal/reload" >/dev/null
    equal "the first configuration is back" api "$(name_at "$gate/")"
}

is_scraped() {
    get 'http://127.0.0.1:9091/api/v1/query?query=up' | grep -q '"__name__":"up".*"value":\[[0-9.]*,"1"\]'
}

# Metric names that users scrape already. They are kept, although they break today's conventions.
readonly inherited='tcp_connections_active_count|tcp_connections_total_count|http_request_time_avg_milliseconds|http_request_total_count'

check_metrics() {
    step "metrics"
    local name code=0 complaints
    get --fail "$internal/metrics" >"$scratch/metrics"
    # Status 3: the text is valid, but some names break conventions.
    complaints=$(docker run --rm -i --entrypoint /bin/promtool "$prometheus_image" check metrics <"$scratch/metrics" 2>&1) || code=$?
    [[ $code -eq 0 || $code -eq 3 ]] || fail "promtool ($code): $complaints"
    equal "complaints of promtool, but for the inherited names" "" "$(grep -vE "^($inherited) " <<<"$complaints" || true)"
    for name in smolgate_requests_total ${inherited//|/ }; do
        grep -q "^${name}[{ ]" "$scratch/metrics" || fail "no metric $name"
    done
    pass "the promised names are there"
    eventually 60 is_scraped
    pass "Prometheus scrapes the gate by its service name"
    contains "and has the alerts" SmolgateUpstreamDead "$(get http://127.0.0.1:9091/api/v1/rules)"
    name=$(compose --profile monitoring config --services)
    contains "Grafana stands behind its profile" grafana "$name"
    equal "and starts with it alone" "" "$(container grafana 2>/dev/null || true)"
}

check_hardening() {
    step "the containers have nothing that they do not need"
    local service pid status
    for service in smolgate whoami-users whoami-admin whoami-api; do
        pid=$(inspect "$service" '{{.State.Pid}}')
        status=$(<"/proc/$pid/status")
        equal "$service: not root" 65532 "$(awk '/^Uid:/ {print $2}' <<<"$status")"
        equal "$service: no capability now" 0000000000000000 "$(awk '/^CapEff:/ {print $2}' <<<"$status")"
        equal "$service: none can be gained" 0000000000000000 "$(awk '/^CapBnd:/ {print $2}' <<<"$status")"
        equal "$service: no new privileges" 1 "$(awk '/^NoNewPrivs:/ {print $2}' <<<"$status")"
        equal "$service: read-only root" ro "$(awk '$5 == "/" {print substr($6, 1, 2)}' "/proc/$pid/mountinfo")"
    done
    equal "the internal API is published on this machine only" 127.0.0.1 \
        "$(inspect smolgate '{{(index (index .HostConfig.PortBindings "42007/tcp") 0).HostIp}}')"
}

# ---------------------------------------------------------------- containers recreated under load

# Writes one line per request until it is killed: start in milliseconds, status, name in the response. A
# connection that breaks without a response has status 000.
run_load() {
    local begin status
    while :; do
        begin=$(date +%s%3N)
        status=$(curl --silent --max-time 10 --output "$scratch/load.body" --write-out '%{http_code}' "$gate/" || true)
        echo "$begin $status $(sed -n 's/^Name: //p' "$scratch/load.body" 2>/dev/null)"
        : >"$scratch/load.body"
    done
}

answers_directly() {
    local address
    address=$(address_of "$1")
    [[ -n $address ]] && curl --silent --fail --max-time 1 --output /dev/null "http://$address:8080/health"
}

address_of() { inspect "$1" '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}'; }

recreate() { compose up -d --no-build --no-deps --force-recreate --timeout 5 "$@"; }

# Docker gives the first container the lowest free address, so the one with the higher one starts first.
swap_addresses() {
    local order=(whoami-users whoami-api) service
    [[ $(printf '%s\n' "$(address_of whoami-users)" "$(address_of whoami-api)" | sort -V | head -1) != "$(address_of whoami-users)" ]] ||
        order=(whoami-api whoami-users)
    compose rm --stop --force "${order[@]}"
    for service in "${order[@]}"; do compose up -d --no-build --no-deps "$service"; done
}

# under_load COMMAND...: runs a command that replaces the container of whoami-api.
#
# Between the stop of the old container and the first accept of the new one, an error is right if it is a
# local reply of the gate. Before and after, every request must succeed, and the right service must respond
# even if it has taken over another's address.
under_load() {
    step "$* under load"
    local log=$scratch/load.log old new stopped listening settled ended
    old=$(address_of whoami-api)
    run_load >"$log" &
    loads=($!)
    sleep 2
    stopped=$(date +%s%3N)
    "$@" >/dev/null 2>&1
    eventually 30 answers_directly whoami-api
    listening=$(date +%s%3N)
    sleep $((names_settle + 4))
    ended=$(date +%s%3N)
    kill "${loads[@]}"
    wait "${loads[@]}" 2>/dev/null || true
    loads=()
    new=$(address_of whoami-api)
    settled=$((listening + names_settle * 1000))
    echo "address of whoami-api: $old, now $new"
    awk -v stopped="$stopped" -v listening="$listening" -v settled="$settled" '
        { phase = $1 < stopped ? "before" : $1 < listening ? "while away" : $1 < settled ? "settling" : "after" }
        { total[phase]++; if ($2 == 200 && $3 == "api") good[phase]++; else bad[phase] = bad[phase] " " $2 $3 }
        END {
            split("before,while away,settling,after", order, ",")
            for (i = 1; i <= 4; i++) {
                phase = order[i]
                printf "%-10s  %4d requests, %4d good %s\n", phase, total[phase], good[phase], substr(bad[phase], 1, 60)
            }
        }' "$log"
    equal "requests without a response" 0 "$(awk '$2 == "000"' "$log" | wc -l)"
    equal "responses other than 200 and the gate's 502, 503, 504" 0 \
        "$(awk '$2 !~ /^(200|502|503|504)$/' "$log" | wc -l)"
    equal "failures before" 0 "$(awk -v t="$stopped" '$1 < t && ($2 != 200 || $3 != "api")' "$log" | wc -l)"
    equal "failures once names are resolved again" 0 \
        "$(awk -v t="$settled" '$1 >= t && ($2 != 200 || $3 != "api")' "$log" | wc -l)"
    (($(awk -v t="$settled" '$1 >= t' "$log" | wc -l) >= 20)) || fail "there were too few requests"
    pass "$((ended - settled)) ms of load after that"
}

check_stop() {
    step "the gate stops on a signal"
    local id
    id=$(container smolgate)
    compose stop --timeout 20 smolgate >/dev/null 2>&1
    equal "its exit status" 0 "$(docker inspect --format '{{.State.ExitCode}}' "$id")"
}

# ---------------------------------------------------------------- in order

step "the image"
case ${1:-} in
    --local-binary) build_by_cargo ;;
    '') build_by_dockerfile ;;
    *) fail "unknown option $1" ;;
esac
check_image

prometheus_image=$(sed -n 's/^ *image: *\(prom\/prometheus:[^ ]*\).*/\1/p' compose.yaml)
readonly prometheus_image
ensure_image "$prometheus_image"

step "compose up"
write_override
compose up -d --no-build
for service in smolgate whoami-users whoami-admin whoami-api; do
    eventually 60 is_healthy "$service"
    pass "$service is healthy"
done

check_routing
check_reload
check_metrics
check_hardening
under_load recreate whoami-api
under_load recreate whoami-api whoami-users
under_load swap_addresses
check_stop

step "compose up, by labels"
write_labels
labels_compose up -d --no-build
eventually 60 labels_gate_is_healthy
check_labels
check_labels_change

step "compose up, by the recipe of a deploy"
write_deploy
deploy_compose up -d --no-build
eventually 60 serves
check_scale
check_deploy
step "compose up, with an address of mail"
write_acme
start_pebble
acme_compose up -d --no-build
check_acme

step "all of it holds"
