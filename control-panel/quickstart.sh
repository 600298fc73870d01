#!/usr/bin/env bash
# From a clone to a running panel, on this computer only: no root, no other services.
set -euo pipefail

main() {
    local here start=yes
    local -a options=()
    here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
    while (($#)); do
        case $1 in
            -h | --help) usage && return ;;
            --no-start) start=no ;;
            --port) options+=(--port "${2:?--port needs a number}") && shift ;;
            --port=*) options+=("$1") ;;
            *) refuse "$1" ;;
        esac
        shift
    done
    "$here/environment.sh"
    cd -- "$here"
    command -v git > /dev/null || printf '%s\n' "git is missing, and deploying needs it: sudo apt-get install -y git" >&2
    if [[ $start == no ]]; then exec venv/bin/python manage.py bootstrap; fi
    exec venv/bin/python -m apps.core.up ${options[@]+"${options[@]}"}
}

usage() {
    cat << 'END'
./quickstart.sh [--port N] [--no-start]

Makes what is missing (environment, database, keys, first account), then starts the panel, its worker and the embedded
host, and prints the address. Ctrl-C stops them all. Run it as often as you like: what is there already is kept.

  --port N     listen on this port instead of 8800; 0 takes any free one
  --no-start   set up only

  WEBOPS_BIND  address and port to listen on              (127.0.0.1:8800)
  WEBOPS_VAR   folder of database, keys, sites and logs   (control-panel/var)
  PYTHON       the Python to make the environment with    (python3, 3.11 or newer)

All settings: docs/settings.md
END
}

refuse() {
    printf '%s\n' "Unknown option: $1. See ./quickstart.sh --help" >&2
    exit 2
}

main "$@"
