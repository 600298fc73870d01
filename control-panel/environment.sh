#!/usr/bin/env bash
# Makes control-panel/venv hold exactly what a lock file names, and the project's own packages beside it.
#
#   ./environment.sh          what the platform needs to run     (requirements.lock)
#   ./environment.sh --dev    that and the tools of its tests    (requirements-dev.lock)
#
# Nothing is done, and nothing downloaded, when it was all done before. What was broken off goes on.
set -euo pipefail

main() {
    cd -- "$(dirname -- "${BASH_SOURCE[0]}")"
    local lock=requirements.lock
    if [[ ${1:-} == --dev ]]; then lock=requirements-dev.lock; fi
    if ! venv_works; then make_venv; fi
    if is_done "$lock"; then return; fi
    rm -f venv/.done.*
    install_uv
    install_packages "$lock"
    # The development lock names all that the other names, so both are done after it.
    fingerprint requirements.lock > venv/.done.requirements.lock
    fingerprint "$lock" > "venv/.done.$lock"
}

say() { printf '%s\n' "$*"; }

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

venv_works() { venv/bin/python -c 'import pip, sys; assert sys.version_info >= (3, 11)' 2> /dev/null; }

make_venv() {
    local python
    python=$(find_python)
    say "Making control-panel/venv with $("$python" --version)"
    "$python" -m venv --clear venv
}

find_python() {
    local name old=''
    for name in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11; do
        if ! "$name" -c 'import sys; assert sys.version_info >= (3, 11)' 2> /dev/null; then continue; fi
        if "$name" -c 'import ensurepip, venv' 2> /dev/null; then
            say "$name"
            return
        fi
        old=$name
    done
    if [[ -n $old ]]; then
        fail "$("$old" --version) is here, but not its part that makes environments. On Debian and Ubuntu:" \
            "    sudo apt-get install -y python3-venv"
    fi
    fail "WebOps needs Python 3.11 or newer. On Debian 12, Ubuntu 24.04 and newer:" \
        "    sudo apt-get install -y python3 python3-venv" \
        "Another interpreter can be named: PYTHON=/path/to/python3.12 ./quickstart.sh"
}

fingerprint() {
    venv/bin/python - "$1" << 'END'
import hashlib, pathlib, sys
files = [sys.argv[1], "requirements-build.lock", *(f"{part}/pyproject.toml" for part in ("host", "control-panel", "cli"))]
parts = [pathlib.Path("..", name).read_bytes() for name in files]
parts += [sys.version.encode(), str(pathlib.Path.cwd()).encode()]
print(hashlib.sha256(b"\0".join(parts)).hexdigest())
END
}

is_done() { [[ -f venv/.done.$1 && $(fingerprint "$1") == "$(cat "venv/.done.$1")" ]]; }

install_uv() {
    local wanted
    wanted=$(sed -n 's/^uv==\([^ ]*\).*/\1/p' ../requirements.lock)
    if [[ $(venv/bin/uv --version 2> /dev/null) == "uv $wanted"* ]]; then return; fi
    say "Installing uv $wanted"
    sed -n '/^uv==/,/[^\\]$/p' ../requirements.lock > venv/.uv.lock
    venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
        --only-binary :all: --requirement venv/.uv.lock ||
        fail "uv could not be installed. Is there a connection to the package index?"
}

install_packages() {
    say "Installing the packages of $1"
    # The machine's own certificates, as git and pip use them: a company's proxy may be among them.
    export VIRTUAL_ENV=$PWD/venv UV_NO_PROGRESS=1 UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS:-true}
    venv/bin/uv pip sync --quiet --require-hashes "../$1" ||
        fail "The packages could not be installed. Run it again: what is there already is kept."
    venv/bin/uv pip install --quiet --no-deps --build-constraints ../requirements-build.lock \
        --editable ../host --editable . --editable ../cli
}

main "$@"
