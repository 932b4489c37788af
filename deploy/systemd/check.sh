#!/usr/bin/env bash
# Runs "ferstream check" as the service runs: with its user, state folder, secrets, devices, restrictions and drop-ins.
# install.sh puts it at /opt/ferstream/ferstream-check. It needs root; options go to "ferstream check".
set -euo pipefail

readonly CHECK=ferstream-check.service FILE=/run/systemd/system/ferstream-check.service
# Settings of [Service] that concern the life of the daemon, not what it may do.
readonly LIFE='^(Type|NotifyAccess|Exec[A-Za-z]*|Restart[A-Za-z]*|Timeout[A-Za-z]*|WatchdogSec|StandardOutput|StandardError)='

die() { printf 'ferstream-check: %s\n' "$*" >&2; exit 2; }

write_unit() {
  printf '[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nUser=ferstream\n'
  printf 'StandardOutput=truncate:%s\nStandardError=truncate:%s\n' "$output" "$output"
  systemctl cat ferstream.service | awk '/^\[/ { inside = $0 == "[Service]"; next } inside && /^[A-Za-z]+=/' | grep -Ev "$LIFE"
  printf 'ExecStart=/opt/ferstream/bin/ferstream check -c /etc/ferstream/ferstream.toml %s\n' "$*"
}

# shellcheck disable=SC2317  # called by trap
finish() {
  rm -f -- "$FILE" "$output"
  systemctl daemon-reload
}

[[ $EUID -eq 0 ]] || die 'run as root'
for option in "$@"; do
  # They become words of a unit file.
  [[ $option =~ ^[A-Za-z0-9./_=-]+$ ]] || die "unusable option: $option"
done
output=$(mktemp /run/ferstream-check.XXXXXX)
trap finish EXIT
mkdir -p -- "${FILE%/*}"
# A unit of its own with the same user, so that it can run beside the daemon. systemd-run would do, but needs D-Bus.
write_unit "$@" >"$FILE"
systemctl daemon-reload
systemctl start --quiet "$CHECK" 2>/dev/null || :
cat -- "$output"
status=$(systemctl show "$CHECK" --value -p ExecMainStatus)
systemctl reset-failed "$CHECK" 2>/dev/null || :
exit "$status"
