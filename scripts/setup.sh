#!/usr/bin/env bash
# Makes the virtual environment $1 from uv.lock. Needs Python 3.11 to 3.13; fetches uv into .tools when it is not there.
set -euo pipefail
venv=$1
cd "$(dirname "$0")/.."

find_python() {
    for name in python3.11 python3.12 python3.13 python3; do
        if command -v "$name" >/dev/null && "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'; then
            command -v "$name"
            return
        fi
    done
}

python=$(find_python)
if [ -z "$python" ]; then
    echo "ferstream needs Python 3.11, 3.12 or 3.13: apt-get install python3 python3-venv" >&2
    exit 2
fi
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    bash scripts/debian.sh python3-venv
fi

uv=$(command -v uv || true)
if [ -z "$uv" ]; then
    uv=.tools/bin/uv
    if [ ! -x "$uv" ]; then
        echo "Fetching uv, which reads the lock file ..."
        "$python" -m venv .tools
        .tools/bin/python -m pip install --quiet --require-hashes -r deploy/tools.txt
    fi
fi

echo "Installing what uv.lock names into $venv (about 3 GB with TensorFlow; once) ..."
UV_PROJECT_ENVIRONMENT=$venv "$uv" sync --locked --all-extras --python "$python"
