#!/usr/bin/env bash
# Programs that some tests need and that come from Debian: installed when this is root, named when it is not.
# In CI (CI=true) a missing one is a failure, so that no test is skipped there unseen.
set -euo pipefail

# What boots a server for the tests of one, and stands around it; setpriv and nsenter are there on every Debian.
SERVER=(debootstrap:debootstrap systemd-nspawn:systemd-container nft:nftables ip:iproute2 pebble:pebble wrk:wrk)

main() {
    local -a packages=()
    read -ra packages <<< "$(missing)"
    if ((!${#packages[@]})); then return; fi
    if [[ $(id -u) == 0 ]] && command -v apt-get > /dev/null; then install "${packages[@]}"; fi
    read -ra packages <<< "$(missing)"
    if ((!${#packages[@]})); then return; fi
    printf '%s\n' "Missing, so the tests that need them are skipped: ${packages[*]}" \
        "    sudo apt-get install -y --no-install-recommends ${packages[*]}" >&2
    [[ ${CI:-} != true ]]
}

missing() {
    local program PATH="$PATH:/usr/sbin:/sbin"
    for program in git:git node:nodejs npm:npm chromium:chromium nginx:nginx redis-server:redis-server "${SERVER[@]}"; do
        if ! command -v "${program%%:*}" > /dev/null; then printf '%s ' "${program##*:}"; fi
    done
    if ! compgen -G "/usr/lib/postgresql/*/bin/initdb" > /dev/null; then printf 'postgresql '; fi
}

install() {
    printf '%s\n' "Installing from Debian: $*"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@" > /dev/null || true
}

main
