#!/usr/bin/env bash
# Runs "ferstream check" as the service runs: with its user, state folder, secrets, devices, restrictions and drop-ins.
# install.sh puts it at /opt/ferstream/ferstream-check. It needs root; options go to "ferstream check".
set -euo pipefail

readonly UNIT=ferstream.service
# Settings of [Service] that concern the life of the daemon, not what it may do.
readonly LIFE='^(Type|NotifyAccess|Exec[A-Za-z]*|Restart[A-Za-z]*|Timeout[A-Za-z]*|WatchdogSec|StandardOutput|StandardError)='

[[ $EUID -eq 0 ]] || { echo 'ferstream-check: run as root' >&2; exit 1; }
text=$(systemctl cat "$UNIT")
options=(-p User=ferstream)
while IFS= read -r line; do
  options+=(-p "$line")
done < <(awk '/^\[/ { inside = $0 == "[Service]"; next } inside && /^[A-Za-z]+=/' <<<"$text" | grep -Ev "$LIFE")
exec systemd-run --quiet --wait --pipe --collect "${options[@]}" -- /opt/ferstream/bin/ferstream check -c /etc/ferstream/ferstream.toml "$@"
