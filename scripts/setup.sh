#!/usr/bin/env bash
# Puts the packages of uv.lock into the virtual environment $1: `lean` what the daemon needs, `all` everything.
# It can be interrupted and run again. Needs Python 3.11 to 3.13; fetches uv into .tools when it is not there.
set -euo pipefail
venv=$1 what=$2
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

# One set-up at a time; the lock ends with this process, however that ends.
mkdir -p .tools
exec 9>.tools/setup.lock
if ! flock --nonblock 9; then
    echo "Another set-up is at work here; waiting for it ..."
    flock 9
fi

uv=$(command -v uv || true)
if [ -z "$uv" ]; then
    uv=.tools/bin/uv
    if ! "$uv" --version >/dev/null 2>&1; then
        echo "Fetching uv, which reads the lock file ..."
        "$python" -m venv --clear .tools/venv
        .tools/venv/bin/python -m pip install --quiet --require-hashes -r deploy/tools.txt
        mkdir -p .tools/bin
        ln -sfn ../venv/bin/uv "$uv"
    fi
fi

# A package that was half installed would count as installed. Beginning anew takes seconds: the downloads are kept.
# The environment is moved away first, because one that was half removed would count as whole.
unfinished=$venv/.ferstream-unfinished
rm -rf .tools/removed.*
if [ -e "$venv" ] && { [ -e "$unfinished" ] || ! "$venv/bin/python" -c '' 2>/dev/null; }; then
    echo "The last set-up of $venv was interrupted; beginning anew ..."
    mv -- "$venv" ".tools/removed.$$"
    rm -rf ".tools/removed.$$"
fi
[ -e "$venv" ] || "$uv" venv --quiet --python "$python" -- "$venv"
touch "$unfinished"
case $what in
    lean)
        echo "Installing what the daemon needs into $venv (0.7 GB; once. make test adds TensorFlow and more, 3.5 GB in all) ..."
        # --inexact removes nothing: what make test has added stays.
        options=(--no-dev --inexact)
        ;;
    all)
        echo "Installing what uv.lock names into $venv (3.5 GB with TensorFlow; once) ..."
        options=(--all-extras)
        ;;
    *)
        echo "setup.sh: expected lean or all, not $what" >&2
        exit 2
        ;;
esac
# With another Python than that of the environment, or a wrapper of it such as pyenv's, uv would make the environment anew.
UV_PROJECT_ENVIRONMENT=$venv "$uv" sync --locked --python "$venv/bin/python" "${options[@]}"
rm -f "$unfinished"
