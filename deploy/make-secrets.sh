#!/usr/bin/env bash
# Writes deploy/secrets/ for compose.yaml: random passwords, a token, and a certificate for the broker.
# What exists is kept; remove a file to have it made anew.
#   make-secrets.sh [HOST...]   names and addresses under which clients reach the broker (default: localhost, this host)
set -euo pipefail
umask 077

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
secrets=${FERSTREAM_SECRETS:-$here/secrets}
((${#@})) || set -- localhost "$(hostname)"

# The folder keeps others out; the files themselves must be readable for the containers' users.
install -d -m 700 -- "$secrets"
printf '*\n' >"$secrets/.gitignore"

random_secret() { [[ -s $1 ]] || openssl rand -hex 24 >"$1"; }

# Mosquitto's format: $7$<iterations>$<salt>$<hash>, PBKDF2 with SHA-512.
mosquitto_line() {
  python3 - "$1" "$2" <<'PYTHON'
import base64, hashlib, os, pathlib, sys
user, file = sys.argv[1:]
salt, rounds = os.urandom(12), 210_000
password = pathlib.Path(file).read_bytes().strip()
digest = hashlib.pbkdf2_hmac("sha512", password, salt, rounds, 64)
print(f"{user}:$7${rounds}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}")
PYTHON
}

certificate() {
  local name names=''
  for name in "$@"; do
    if [[ $name =~ ^[0-9.]+$|: ]]; then names+=",IP:$name"; else names+=",DNS:$name"; fi
  done
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 3650 -subj '/CN=ferstream broker CA' \
    -addext 'basicConstraints=critical,CA:TRUE,pathlen:0' -addext 'keyUsage=critical,keyCertSign,cRLSign' \
    -keyout "$secrets/ca.key" -out "$secrets/ca.crt" 2>/dev/null
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -subj "/CN=$1" \
    -addext "subjectAltName=${names:1}" -addext 'extendedKeyUsage=serverAuth' \
    -keyout "$secrets/broker.key" -out "$secrets/broker.csr" 2>/dev/null
  openssl x509 -req -in "$secrets/broker.csr" -CA "$secrets/ca.crt" -CAkey "$secrets/ca.key" -CAcreateserial \
    -days 825 -copy_extensions copy -out "$secrets/broker.crt" 2>/dev/null
  rm -f -- "$secrets/broker.csr" "$secrets/ca.srl"
}

for name in mqtt_password reader_password http_token grafana_password; do
  random_secret "$secrets/$name"
done
if [[ ! -s $secrets/mosquitto_passwords ]]; then
  {
    mosquitto_line ferstream "$secrets/mqtt_password"
    mosquitto_line reader "$secrets/reader_password"
  } >"$secrets/mosquitto_passwords"
fi
[[ -s $secrets/broker.crt ]] || certificate "$@"
chmod 644 -- "$secrets"/*
chmod 600 -- "$secrets/ca.key"

printf 'secrets: %s\n' "$secrets"
# shellcheck disable=SC2016  # the reader's shell is to expand it
printf 'read events: mosquitto_sub -h %s -p 8883 --cafile %s/ca.crt -u reader -P "$(cat %s/reader_password)" -t "ferstream/#" -v\n' "$1" "$secrets" "$secrets"
