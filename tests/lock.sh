#!/usr/bin/env bash
# Writes the lock files anew: versions and hashes, and no address of where they were found (docs/decisions/0001).
set -euo pipefail

main() {
    cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
    local -a options=(--quiet --universal --generate-hashes --no-header --no-annotate --upgrade)
    local package
    for package in webops-workspace webops-host webops-panel webops-cli; do options+=(--no-emit-package "$package"); done
    local uv=control-panel/venv/bin/uv
    "$uv" pip compile "${options[@]}" --group dev pyproject.toml --output-file requirements-dev.lock
    # The runtime takes the versions that the tests ran with.
    "$uv" pip compile "${options[@]}" --constraints requirements-dev.lock pyproject.toml --output-file requirements.lock
    printf '%s\n' 'hatchling>=1.33' editables | "$uv" pip compile "${options[@]}" - --output-file requirements-build.lock
    # certbot is in an environment of its own on a server, whatever the panel needs.
    echo 'certbot>=5.8' | "$uv" pip compile "${options[@]}" --python-version 3.11 - --output-file requirements-certbot.lock
}

main
