#!/usr/bin/env bash
# Pictures of the page of the internal API in media/: light, dark and on a phone, after some minutes of traffic.
# Needs the Debian packages chromium and python3. `media/page.sh 5`: for five minutes, which fill the graph.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --locked
python3 tests/page.py --pictures media "${1:-5}"
