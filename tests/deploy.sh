#!/usr/bin/env bash
# What deploys the gate: the manifests of Kubernetes by the schemas of two versions of it, with the configuration in them run in
# folders as a kubelet writes them; the stack of a swarm by `docker stack`. Needs packages of PyPI.
# shellcheck source=tests/scripts/common.sh
source "$(dirname "$0")/scripts/common.sh"

packages deploy kubernetes-validate==1.37.0 'check-jsonschema==0.37.*'
# The oldest version with the pause of preStop, and a new one.
for version in 1.30 1.37; do
    "$tools/bin/kubernetes-validate" --strict --kubernetes-version "$version" config/kubernetes/*.yaml
done
"$tools/bin/check-jsonschema" --builtin-schema vendor.compose-spec config/swarm.yml compose.yaml config/compose.yaml
if docker stack --help 2>/dev/null | grep -q '^  config '; then
    # It asks no daemon.
    docker stack config --compose-file config/swarm.yml >/dev/null
else
    echo "no \`docker stack config\` here (Docker 25 or newer): the stack is checked by its schema alone"
fi

# A schema knows no names. The Service and the budget select the pods of the Deployment, ports and volumes that one part names
# are there in the other, and the pod has time for its pause and for its exchanges. What a stack names at its end is there too.
"$tools/bin/python3" - "$work/smolgate.yml" <<'PY'
import re
import sys

import yaml

load = lambda name: yaml.safe_load(open(f"config/kubernetes/{name}.yaml"))
settings, deployment, service, budget = map(load, ("config", "deployment", "service", "disruption"))
pod = deployment["spec"]["template"]
labels, spec = pod["metadata"]["labels"], pod["spec"]
gate = spec["containers"][0]
text = settings["data"]["smolgate.yml"]
for selector in (deployment["spec"]["selector"]["matchLabels"], service["spec"]["selector"],
                 budget["spec"]["selector"]["matchLabels"], spec["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"]):
    assert selector.items() <= labels.items(), selector
ports = {port["name"] for port in gate["ports"]}
for port in service["spec"]["ports"]:
    assert port["targetPort"] in ports and port["targetPort"] != "internal", port
for probe in ("readinessProbe", "livenessProbe"):
    assert gate[probe]["httpGet"]["port"] in ports, probe
assert {mount["name"] for mount in gate["volumeMounts"]} == {volume["name"] for volume in spec["volumes"]}
assert [volume for volume in spec["volumes"] if volume.get("configMap", {}).get("name") == settings["metadata"]["name"]]
assert budget["spec"]["minAvailable"] < deployment["spec"]["replicas"]
drain = int(re.search(r"shutdown_timeout: (\d+)s", text)[1])
assert gate["lifecycle"]["preStop"]["sleep"]["seconds"] + drain < spec["terminationGracePeriodSeconds"]
open(sys.argv[1], "w").write(text)

stack = yaml.safe_load(open("config/swarm.yml"))
for service in stack["services"].values():
    for kind in ("configs", "secrets"):
        assert {one["source"] for one in service.get(kind, [])} <= stack[kind].keys(), kind
    assert set(service["networks"]) <= stack["networks"].keys()
PY

# A kubelet writes files into a folder with a time in its name. `..data` leads to it, and each file to its place below `..data`.
# A changed ConfigMap or Secret is a new folder, to which `..data` is moved.
# kubelet FOLDER FILE... : puts the files into a new folder of FOLDER.
kubelet() {
    local folder=$1 stamp file
    shift
    mkdir -p "$folder"
    stamp=$(mktemp -d "$folder/..2026_XXXXXX")
    chmod 755 "$stamp"
    cp "$@" "$stamp/"
    ln -s "$(basename "$stamp")" "$folder/..data_tmp"
    mv -T "$folder/..data_tmp" "$folder/..data"
    for file in "$@"; do
        ln -sfn "..data/$(basename "$file")" "$folder/$(basename "$file")"
    done
}
# secret NAME: the certificate and the key, by the names in a Secret of the type kubernetes.io/tls.
secret() {
    signed "$1" DNS:app.example.com
    mkdir "$work/$1"
    cp "$work/$1.pem" "$work/$1/tls.crt"
    cp "$work/$1.key" "$work/$1/tls.key"
    kubelet "$work/tls/app" "$work/$1/tls.crt" "$work/$1/tls.key"
}

free_ports 3
sed -i -e "s|/etc/smolgate|$work|" -e "s|bind: 8080|bind: ${ports[0]}|" -e "s|bind: 8443|bind: ${ports[1]}|" \
    -e "s|:42007|:${ports[2]}|" "$work/smolgate.yml"
secret first
kubelet "$work/config" "$work/smolgate.yml"
GATE_TOKEN=t start gate "$gate" run -c "$work/config/smolgate.yml" --watch

# The probes name the address of the pod, and no token.
internal=http://127.0.0.1:${ports[2]}
probe() { [[ $(curl -s -o /dev/null -w '%{http_code}' -H "Host: 10.244.1.7:42007" "$internal/$1") == "$2" ]]; }
until_true "the readiness probe" probe readyz 200
probe livez 200 || fail "the liveness probe fails"
probe metrics 401 || fail "metrics need no token"
[[ $(curl -s -o /dev/null -w '%{redirect_url}' -H "Host: app.example.com" "http://127.0.0.1:${ports[0]}/a") == https://app.example.com/a ]] ||
    fail "no redirect to port 443"

serves() {
    openssl s_client -connect "127.0.0.1:${ports[1]}" -servername app.example.com </dev/null 2>/dev/null | openssl x509 -noout -subject | grep -q "$1"
}
serves first || fail "the Secret is not served"
secret second
until_true "a renewed Secret is served" serves second

says() {
    [[ $(curl -s --cacert "$work/root.pem" --connect-to "app.example.com:443:127.0.0.1:${ports[1]}" https://app.example.com/new) == "$1" ]]
}
sed 's|^\( *\)rules:|&\n\1  - { path: /new, respond: { body: new } }|' "$work/smolgate.yml" >"$work/edited.yml"
mv "$work/edited.yml" "$work/smolgate.yml"
kubelet "$work/config" "$work/smolgate.yml"
until_true "a changed ConfigMap is in use" says new
stop "$started"
echo "the pod's configuration: started, probed, its Secret renewed, its ConfigMap changed"
