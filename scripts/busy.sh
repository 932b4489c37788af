#!/usr/bin/env bash
# Runs a command beside N busy loops, to see whether it works on a busy machine: scripts/busy.sh 4 make unit
# The loops end with the command, also when it fails or is interrupted. The exit status is that of the command.
set -uo pipefail
if [[ ! ${1:-} =~ ^[0-9]+$ ]] || [ $# -lt 2 ]; then
    echo "usage: scripts/busy.sh LOOPS COMMAND..." >&2
    exit 2
fi
count=$1
shift

loops=()
end_loops() {
    [ ${#loops[@]} -eq 0 ] || kill "${loops[@]}" 2>/dev/null
}
trap end_loops EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

for ((i = 0; i < count; i++)); do
    # A loop also ends when this script was killed and can no longer end it.
    (while kill -0 $$ 2>/dev/null; do for ((j = 0; j < 100000; j++)); do :; done; done) &
    loops+=($!)
done
"$@"
