#!/usr/bin/env bash
# Installs a Home Assistant core into .tools/homeassistant (about 500 MB, once) and prints its Python. Needs Python 3.13.
# 2025.4 is the newest release whose dependencies install from PyPI alone with Python 3.13.0.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=.tools/homeassistant
version=2025.4.4
paho=2.1.0 # what that release asks for when its MQTT integration starts

uv=$(command -v uv || echo .tools/bin/uv)
[ -x "$uv" ] || { echo "run make setup first: it fetches uv" >&2; exit 2; }

find_python() {
    for name in python3.13 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13*/bin/python; do
        if "$name" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    "$uv" python install --quiet 3.13 >&2 && "$uv" python find 3.13 2>/dev/null
}

if [ ! -e "$venv/.installed-$version" ]; then
    python=$(find_python) || { echo "Home Assistant $version needs Python 3.13: install it, for example with pyenv" >&2; exit 2; }
    echo "Installing Home Assistant $version into $venv (about 500 MB; once) ..." >&2
    "$uv" venv --quiet --clear --python "$python" "$venv"
    "$uv" pip install --quiet --python "$venv/bin/python" "homeassistant==$version" "paho-mqtt==$paho" >&2
    touch "$venv/.installed-$version"
fi
echo "$PWD/$venv/bin/python"
