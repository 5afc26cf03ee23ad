#!/usr/bin/env bash
# The units in config/systemd by systemd-analyze: nothing in them is unknown, and the service has few rights. Needs the Debian
# package systemd; no service is started.
set -euo pipefail
cd "$(dirname "$0")/.."

# Of 10, where 10 is a service with every right. The network and the ports below 1024 are most of what is left.
readonly exposure_max=2.0

work=$(mktemp -d)
readonly work
trap 'rm -rf "$work"' EXIT
fail() { echo "systemd.sh: $*" >&2; exit 1; }

cp config/systemd/*.service config/systemd/*.socket "$work"
cd "$work"
# The program is not installed here.
grep -q '^ExecStart=/usr/bin/smolgate run ' smolgate.service || fail "the service does not start the program"
sed -i 's|^\(Exec[A-Za-z]*=\)/usr/bin/smolgate |\1/bin/true |' smolgate.service
version=$(systemd-analyze --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
if ((version < 253)); then
    grep -qx 'Type=notify-reload' smolgate.service || fail "the service has another type"
    echo "systemd $version does not know Type=notify-reload; the rest is checked with what smolgate.service says for it"
    # shellcheck disable=SC2016 # The variable is systemd's.
    sed -i 's/^Type=notify-reload$/Type=notify\nExecReload=kill -HUP $MAINPID/' smolgate.service
fi

# `verify` ends with 0 when it ignores a key, so its words are read. It looks at units of this machine too.
complaints=$(systemd-analyze verify --man=no ./*.service ./*.socket 2>&1 | grep -F smolgate || true)
[[ -z $complaints ]] || fail "$complaints"
echo "no complaint about" ./*.service ./*.socket

systemd-analyze security --offline=true --no-pager ./smolgate.service | tail -1
exposure=$(systemd-analyze security --offline=true --no-pager ./smolgate.service | sed -n 's/.*exposure level for [^:]*: \([0-9.]*\).*/\1/p')
awk -v is="$exposure" -v most="$exposure_max" 'BEGIN { exit !(is != "" && is <= most) }' ||
    fail "the exposure is '$exposure'; at most $exposure_max is fine"

# A socket is for the listener of its name, so no two have the same one.
names=$(sed -n 's/^FileDescriptorName=//p' ./*.socket | sort)
[[ $(wc -l <<<"$names") -eq $(ls ./*.socket | wc -l) && -z $(uniq -d <<<"$names") ]] || fail "the names of the sockets: $names"
for unit in ./*.socket; do
    grep -qx 'Service=smolgate.service' "$unit" || fail "$unit starts another service"
done
# It would start them with the service, also for a gate that has no listener on these ports.
! grep -q '^Sockets=' smolgate.service || fail "Sockets= starts the sockets"
