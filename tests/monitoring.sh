#!/usr/bin/env bash
# The alerts and the dashboard by promtool: the rules can be evaluated, their tests hold, and so do the expressions of the
# dashboard. Needs the Debian packages prometheus and python3.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
readonly work
trap 'rm -rf "$work"' EXIT

promtool check config config/prometheus/prometheus.yml
promtool test rules config/prometheus/alerts_test.yml

# Each expression of the dashboard as a rule, with a value in the place of each variable.
python3 - "$work/rules.yml" <<'PY'
import json
import re
import sys

dashboard = json.load(open("config/grafana/smolgate.json"))
targets = [target for panel in dashboard["panels"] for target in panel.get("targets", [])]
expressions = [target["expr"] for target in targets + dashboard["annotations"]["list"]]
expressions = [one.replace("$__rate_interval", "5m").replace("${1}", "$1") for one in expressions]
expressions = [re.sub(r"\$(instance|listener|upstream)", ".*", one) for one in expressions]
rules = [{"record": f"dashboard:{number}", "expr": one} for number, one in enumerate(expressions)]
json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, open(sys.argv[1], "w"))
print(len(rules), "expressions of the dashboard")
PY
promtool check rules "$work/rules.yml"
