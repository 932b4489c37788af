#!/usr/bin/env bash
# Puts ferstream on a Debian box as a systemd service; run it again to upgrade, with --uninstall to remove.
# docs/operations.md explains the layout and the way back to the previous release.
set -euo pipefail
umask 022

readonly PYTHONS=(python3.13 python3.12 python3.11 python3)
readonly KEEP_RELEASES=2
HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
readonly HERE

root='' wheel='' extra='' action=install start=no

usage() {
  cat <<'USAGE'
usage: install.sh [options]
  --wheel FILE   install this wheel (default: build one from the checkout around this script)
  --extra NAME   also install an extra, e.g. keras for an NVIDIA GPU
  --start        start the service when all is in place
  --root DIR     put everything below DIR and leave systemd alone (for images and tests)
  --uninstall    remove program and service; settings, secrets and the outbox stay
  --purge        with --uninstall: remove settings, secrets and the outbox too
  -h, --help     show this
USAGE
}

say() { printf '%s\n' "$*"; }
die() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }
need_value() { [[ $# -ge 2 && -n $2 ]] || die "$1 needs a value"; }

parse() {
  while (($#)); do
    case $1 in
      --wheel) need_value "$@"; wheel=$2; shift 2 ;;
      --extra) need_value "$@"; extra=$2; shift 2 ;;
      --root) need_value "$@"; root=${2%/}; shift 2 ;;
      --start) start=yes; shift ;;
      --uninstall) action=uninstall; shift ;;
      --purge) action=purge; shift ;;
      -h | --help) usage; exit 0 ;;
      *) usage >&2; die "unknown option $1" ;;
    esac
  done
}

systemd() {
  # Inside --root nothing runs that could be told.
  [[ -n $root ]] || systemctl "$@"
}

find_python() {
  local name path modules=sys,ensurepip,venv
  # ProtectHome hides these from the service; a scratch root has no service.
  local hidden="('/root/', '/home/', '/run/user/')"
  ! have_uv || modules=sys
  [[ -z $root ]] || hidden='()'
  for name in "${PYTHONS[@]}"; do
    for path in "$(command -v "$name" || :)" "/usr/local/bin/$name" "/usr/bin/$name"; do
      if [[ -x $path ]] && "$path" -c "import $modules; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14) or sys.base_prefix.startswith($hidden))" 2>/dev/null; then
        printf '%s\n' "$path"
        return
      fi
    done
  done
  die 'no Python 3.11 to 3.13 with venv found outside of home directories, which the service cannot see: apt-get install python3 python3-venv'
}

# uv, where it is installed, is quicker; else one pip beside the releases serves them all.
have_uv() { command -v uv >/dev/null; }

pip() {
  local tools=$opt/tools
  "$tools/bin/python" -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear "$tools"
  "$tools/bin/python" -m pip --quiet --disable-pip-version-check "$@"
}

make_venv() {
  if have_uv; then uv venv --quiet --python "$python" -- "$1"; else "$python" -m venv --without-pip "$1"; fi
}

pip_install() {
  local venv=$1
  shift
  if have_uv; then uv pip install --quiet --python "$venv/bin/python" "$@"; else pip --python "$venv/bin/python" install "$@"; fi
}

# The versions that were tested together, from the lock file; packages that differ by Python version are left to choose.
write_constraints() {
  local lock=$HERE/../uv.lock
  : >"$scratch/constraints.txt"
  [[ -f $lock ]] || return 0
  "$python" - "$lock" >"$scratch/constraints.txt" <<'PYTHON'
import collections, sys, tomllib
with open(sys.argv[1], "rb") as file:
    packages = [package for package in tomllib.load(file)["package"] if "registry" in package["source"]]
times = collections.Counter(package["name"] for package in packages)
for package in packages:
    if times[package["name"]] == 1:
        print(f"{package['name']}=={package['version']}")
PYTHON
}

# Prints the path of the wheel to install.
obtain_wheel() {
  if [[ -n $wheel ]]; then
    [[ -f $wheel ]] || die "$wheel is no file"
    say "$wheel"
  else
    [[ -f $HERE/../pyproject.toml ]] || die 'no checkout around this script: give --wheel FILE'
    if have_uv; then
      uv build --quiet --wheel --python "$python" --out-dir "$scratch" -- "$HERE/.." >&2
    else
      pip wheel --no-deps --wheel-dir "$scratch" "$HERE/.." >&2
    fi
    say "$scratch"/ferstream-*.whl
  fi
}

# A release is a virtual environment of its own: the running one is never changed, and the switch is one rename.
install_release() {
  local python package sum release
  python=$(find_python)
  mkdir -p -- "$opt/releases"
  package=$(obtain_wheel)
  sum=$(sha256sum -- "$package" | cut -d' ' -f1)-${extra:-plain}
  release=$opt/releases/${sum:0:12}${extra:+-$extra}
  if [[ -f $release/.complete && $(readlink -- "$opt/bin") == "releases/${release##*/}/bin" ]]; then
    say "program: this release is installed already"
    return
  fi
  if [[ ! -f $release/.complete ]]; then
    rm -rf -- "$release"
    make_venv "$release"
    write_constraints
    pip_install "$release" --constraint "$scratch/constraints.txt" "$package${extra:+[$extra]}"
    "$release/bin/ferstream" --version >/dev/null || die 'the new release does not run; the old one is untouched'
    touch -- "$release/.complete"
  fi
  ln -sfn -- "releases/${release##*/}/bin" "$opt/.bin.new"
  mv -T -- "$opt/.bin.new" "$opt/bin"
  touch -- "$release"
  forget_old_releases
  say "program: $opt/bin/ferstream -> releases/${release##*/}"
}

forget_old_releases() {
  local old
  # Newest first; names are hexadecimal, so lines are safe.
  # shellcheck disable=SC2012
  ls -1t -- "$opt/releases" | tail -n "+$((KEEP_RELEASES + 1))" | while read -r old; do
    rm -rf -- "${opt:?}/releases/$old"
  done
}

install_settings() {
  local template=$HERE/../config/ferstream.toml
  install -d -m 755 -- "$etc"
  install -d -m 700 -- "$root/etc/credstore"
  if [[ ! -f $template ]]; then
    say "settings: no template beside this script; write $etc/ferstream.toml yourself"
  elif [[ ! -e $etc/ferstream.toml ]]; then
    install -m 644 -- "$template" "$etc/ferstream.toml"
    say "settings: $etc/ferstream.toml (new: edit it)"
  else
    install -m 644 -- "$template" "$etc/ferstream.toml.example"
    say "settings: $etc/ferstream.toml (kept; the present template is ferstream.toml.example)"
  fi
}

install_service() {
  install -d -m 755 -- "$units" "$units/ferstream.service.d" "$opt/share/doc" "$opt/share/drop-ins"
  install -m 644 -- "$HERE/systemd/ferstream.service" "$units/ferstream.service"
  install -m 644 -- "$HERE"/systemd/drop-ins/* "$opt/share/drop-ins/"
  if [[ -d $HERE/../docs ]]; then
    find "$HERE/../docs" -maxdepth 1 -name '*.md' -exec install -m 644 -t "$opt/share/doc" -- {} +
  fi
  say "service: $units/ferstream.service (drop-ins to choose from: $opt/share/drop-ins)"
  systemd daemon-reload
  systemd enable --quiet ferstream.service
  if [[ $start == yes ]]; then
    systemd restart ferstream.service
  else
    # An upgrade: the running daemon takes the new release.
    systemd try-restart ferstream.service
  fi
}

uninstall() {
  if [[ -e $units/ferstream.service ]]; then
    systemd disable --now --quiet ferstream.service || true
  fi
  rm -f -- "$units/ferstream.service"
  rm -rf -- "$opt"
  say 'removed: program and service'
  if [[ $action == purge ]]; then
    rm -rf -- "$etc" "$units/ferstream.service.d" "$root/var/lib/private/ferstream" "$root/var/cache/private/ferstream"
    rm -rf -- "$root/var/lib/ferstream" "$root/var/cache/ferstream"
    rm -f -- "$root"/etc/credstore/ferstream.*
    say 'removed: settings, secrets and the outbox'
  else
    say "kept: $etc, $units/ferstream.service.d, /etc/credstore/ferstream.*, /var/lib/private/ferstream (--purge removes them)"
  fi
  systemd daemon-reload
}

main() {
  parse "$@"
  [[ -n $root || $EUID -eq 0 ]] || die 'run as root, or with --root DIR'
  [[ -n $root ]] || command -v systemctl >/dev/null || die 'no systemd here; use --root DIR or the container image'
  [[ -z $root ]] || { mkdir -p -- "$root" && root=$(cd -- "$root" && pwd); }
  opt=$root/opt/ferstream etc=$root/etc/ferstream units=$root/etc/systemd/system
  if [[ $action != install ]]; then
    uninstall
    return
  fi
  scratch=$(mktemp -d)
  trap 'rm -rf -- "$scratch"' EXIT
  install_release
  install_settings
  install_service
  say "next: edit /etc/ferstream/ferstream.toml, then: /opt/ferstream/bin/ferstream check -c /etc/ferstream/ferstream.toml; systemctl restart ferstream"
}

main "$@"
