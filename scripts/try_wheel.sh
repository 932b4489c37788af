#!/usr/bin/env bash
# Builds the wheel, installs it into an empty virtual environment outside of the checkout, and runs it there without TensorFlow.
# The wheel stays in dist/. Prints what the installation takes. Needs a package index.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=$(command -v uv || echo "$PWD/.tools/bin/uv")
python=$PWD/.venv/bin/python
scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT
unset PYTHONPATH

rm -f dist/ferstream-*.whl
"$uv" build --quiet --wheel --python "$python" --build-constraints deploy/tools.txt --require-hashes --out-dir dist
wheel=$(echo "$PWD"/dist/ferstream-*.whl)
echo "wheel: $(basename "$wheel"), $(du -k "$wheel" | cut -f1) kB"

cd "$scratch"
began=$(date +%s)
"$uv" venv --quiet --python "$python" empty
"$uv" pip install --quiet --python empty/bin/python "$wheel"
bin=$scratch/empty/bin
echo "installed in $(($(date +%s) - began)) s: $(du -sm empty | cut -f1) MB, $("$uv" pip list --quiet --python empty/bin/python | tail -n +3 | wc -l) packages"

cat >program.py <<'PROGRAM'
import importlib.util
import sys

import ferstream

assert "numpy" not in sys.modules
assert importlib.util.find_spec("tensorflow") is None
for face in ferstream.analyze(ferstream.examples.portrait()):
    print("analyze:", face.label, face.confidence)
with ferstream.watch("demo:") as events:
    print("watch:", next(events).schema_)
for needed in (lambda: ferstream.to_dataframe([]), lambda: ferstream.analyze(ferstream.examples.portrait(), backend="keras")):
    try:
        needed()
    except ferstream.errors.FerstreamError as exc:
        print("missing extra:", exc)
        assert "the extra " in str(exc)
    else:
        raise SystemExit("an extra that is not installed was not missed")
print(ferstream.examples.portrait(), file=open("portrait", "w"))
PROGRAM
"$bin/python" program.py
"$bin/ferstream" predict "$(cat portrait)" --out out
test -s out/faces.json -a -s out/grace_hopper.faces.png
"$bin/ferstream" demo --seconds 5 --port 0 >demo.txt
grep 'face events published' demo.txt
"$bin/python" -m ferstream --version
