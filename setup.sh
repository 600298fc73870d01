#!/usr/bin/env bash
# Makes this server the platform: sudo ./setup.sh. Run it again as often as you like: what is as it should be stays.
# The work is done by install/, in Python; this makes sure that there is one.
set -euo pipefail

main() {
    local here
    here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
    case ${1:-} in
        -h | --help) usage && return ;;
        upgrade | uninstall | doctor | selftest) ;;
        *) set -- setup "$@" ;;
    esac
    need_root "$@"
    need_python
    if [[ $1 == setup || $1 == upgrade ]]; then set -- "$@" --source "$here"; fi
    PYTHONDONTWRITEBYTECODE=1 exec python3 "$here/install/webops-admin" "$@"
}

usage() {
    cat << 'END'
sudo ./setup.sh [options]           make this server the platform, or mend what differs
sudo ./setup.sh upgrade             take over this checkout's version; back by itself when that fails
sudo ./setup.sh uninstall|doctor    the same as webops-admin uninstall|doctor

  --dry-run           say what would be done, and do nothing
  --unattended        ask nothing
  --domain NAME       sites get names under it   (without one: <address>.sslip.io)
  --panel NAME        name of the panel          (panel.<domain>)
  --email ADDRESS     for notices about certificates
  --answers FILE      these and more, as NAME=VALUE lines or TOML

Everything else: docs/operations.md. After it, webops-admin --help.
END
}

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

need_root() {
    local word
    for word in "$@"; do
        if [[ $word == --help || $word == -h ]]; then return; fi
    done
    if [[ $(id -u) != 0 ]]; then fail "This must run as root: sudo ./setup.sh"; fi
}

need_python() {
    if command -v python3 > /dev/null; then
        if python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then return; fi
        fail "$(python3 --version) is this system's own, and WebOps needs 3.11 or newer." \
            "Use Debian 12 or 13, or Ubuntu 24.04. On Ubuntu 22.04: sudo do-release-upgrade"
    fi
    if [[ $(id -u) != 0 ]] || ! command -v apt-get > /dev/null; then fail "python3 is missing. Install it first."; fi
    printf '%s\n' "Installing python3"
    export DEBIAN_FRONTEND=noninteractive
    local -a apt=(apt-get -q -y -o DPkg::Lock::Timeout=300)
    if ! { "${apt[@]}" update && "${apt[@]}" install --no-install-recommends python3; } > /dev/null; then
        fail "python3 could not be installed. See what this says: apt-get install python3"
    fi
    need_python
}

main "$@"
