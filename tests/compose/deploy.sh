# The recipe of a deploy that loses no request, out of docs/recipes.md: a service with several containers, one that is
# recreated, and one that is replaced, each under load. Sourced by ../compose.sh.
#
# shellcheck shell=bash
# shellcheck disable=SC2154 # `scratch` and `compose_command` are the caller's.

readonly deploy=$scratch/deploy
# How often the service is recreated, and how often it is replaced.
readonly recreations=${RECREATIONS:-5} replacements=${REPLACEMENTS:-2}

deploy_compose() { "${compose_command[@]}" --project-name smolgate-deploy -f "$deploy/compose.yaml" "$@"; }

# recipe KIND: the block of that kind under the heading of the recipe.
recipe() {
    sed -n '/^## A deploy that loses no request/,$p' docs/recipes.md | sed -n "/^\`\`\`$1\$/,/^\`\`\`\$/p" | sed '/^```/d'
}

# The recipe with a port of this test and a service that is there.
write_deploy() {
    local service='smolgate:local\n    command: [whoami, --port, "8080", --log-level, debug]\n    healthcheck: { disable: true }'
    mkdir "$deploy"
    recipe 'yaml compose' | sed "s/\"80:80\"/\"127.0.0.1:8024:80\"/; s/my-app/$service/" >"$deploy/compose.yaml"
    recipe sh | sed "s|docker compose|${compose_command[*]} --project-name smolgate-deploy|" >"$deploy/deploy.sh"
    grep -q 127.0.0.1:8024 "$deploy/compose.yaml" || fail "the recipe has no port 80 to replace"
    grep -q 'whoami' "$deploy/compose.yaml" || fail "the recipe has no image to replace"
    grep -q 'drain' "$deploy/deploy.sh" || fail "the recipe has no script"
    chmod -R a+rX "$deploy"
}

# Requests to the service, 200 at a time over one connection. Writes a status for each; 000 without a response.
service_gets() {
    curl --silent --max-time 30 -H 'Host: app.example.com' --output /dev/null --write-out '%{http_code}\n' "$@" || true
}

serves() { [[ $(service_gets http://127.0.0.1:8024/) == 200 ]]; }

# The number of requests that each container of the service has logged, health checks excepted.
requests_of_replicas() {
    local id
    for id in $(deploy_compose ps -q web); do docker logs "$id" 2>&1 | grep -c 'request client=.*target="\{0,1\}/?' || true; done
}

# check_spread CONNECTIONS REQUESTS: so many connections with so many requests each.
check_spread() {
    local -i total=$(($1 * $2)) count
    local before after spread=() loads=()
    mapfile -t before < <(requests_of_replicas)
    for ((count = 0; count < $1; count++)); do
        service_gets "http://127.0.0.1:8024/?[1-$2]" >>"$scratch/spread.$1" &
        loads+=($!)
    done
    wait "${loads[@]}"
    equal "$1 connections: all responses" 200 "$(sort -u "$scratch/spread.$1")"
    mapfile -t after < <(requests_of_replicas)
    for count in "${!after[@]}"; do spread+=($((after[count] - before[count]))); done
    equal "the number of containers" 3 "${#spread[@]}"
    for count in "${spread[@]}"; do
        ((count * 30 >= total * 9 && count * 30 <= total * 11)) || fail "$1 connections are not balanced: ${spread[*]}"
    done
    pass "$1 connections: ${spread[*]} requests"
}

check_scale() {
    step "--scale web=3 is balanced"
    deploy_compose up -d --no-deps --scale web=3 web >/dev/null 2>&1
    eventually 20 has_endpoints 3
    check_spread 1 300
    check_spread 64 15
    deploy_compose up -d --no-deps --scale web=1 web >/dev/null 2>&1
}

has_endpoints() {
    [[ $(deploy_compose exec -T gate /smolgate upstreams | grep -c '^http://web:8080 .* up ') -eq $1 ]]
}

# while_deploying ARGUMENTS... -- COMMAND...: runs a command under load. Each set of arguments of curl is a load.
while_deploying() {
    local log=$scratch/deploy.log arguments=() command
    : >"$log"
    rm -f "$scratch/deploy.end"
    while [[ $1 != -- ]]; do arguments+=("$1") && shift; done
    shift
    for command in "${arguments[@]}"; do
        # shellcheck disable=SC2086 # Several arguments are meant.
        while [[ ! -e $scratch/deploy.end ]]; do service_gets $command "http://127.0.0.1:8024/?[1-50]"; done >>"$log" &
        loads+=($!)
    done
    "$@"
    touch "$scratch/deploy.end"
    wait "${loads[@]}"
    loads=()
    equal "the statuses of $(wc -l <"$log") requests" 200 "$(sort -u "$log" | paste -sd' ')"
}

recreate_often() {
    local -i turn
    for ((turn = 0; turn < recreations; turn++)); do
        deploy_compose up -d --no-deps --force-recreate --timeout 5 web >/dev/null 2>&1
        sleep 1
    done
}

replace_often() {
    local -i turn
    for ((turn = 0; turn < replacements; turn++)); do
        (cd "$deploy" && sh deploy.sh) >"$scratch/deploy.said" 2>&1 || fail "deploy.sh: $(<"$scratch/deploy.said")"
    done
}

check_deploy() {
    step "the container is recreated $recreations times under load, and requests are held"
    while_deploying "" "" "" "" "" "" "" "" -- recreate_often
    step "the container is replaced $replacements times beside the new one, and drained"
    local old
    old=$(deploy_compose ps -q web)
    while_deploying "" "" "--data x" "--data x" "--data x" "--data x --get --data delay=300ms" -- replace_often
    [[ $(deploy_compose ps -q web) != "$old" ]] || fail "it is the old container"
}
