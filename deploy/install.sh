#!/usr/bin/env bash
# Puts ferstream on a Debian box as a systemd service; run it again to upgrade, with --uninstall to remove.
# docs/operations.md explains the layout and the way back to the previous release.
set -euo pipefail
umask 022

readonly PYTHONS=(python3.13 python3.12 python3.11 python3)
readonly KEEP_RELEASES=2
# Seconds between two lines while packages are installed.
readonly TICK_S=${INSTALL_TICK_S:-10}
# What is copied to /opt/ferstream/share.
readonly PAGES=(README.md CHANGELOG.md CONTRIBUTING.md LICENSE docs bench/README.md bench/results config deploy/grafana deploy/prometheus)
HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
checkout=$(cd -- "$HERE/.." && pwd)
readonly HERE checkout
export UV_PYTHON_DOWNLOADS=never

root='' wheel='' extra='' action=install start=no quiet=()

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
  # With --root there is no systemd to call.
  [[ -n $root ]] || systemctl "$@"
}

find_python() {
  local name path
  # ProtectHome hides these from the service; a scratch root has no service.
  local hidden="('/root/', '/home/', '/run/user/')"
  [[ -z $root ]] || hidden='()'
  for name in "${PYTHONS[@]}"; do
    for path in "$(command -v "$name" || :)" "/usr/local/bin/$name" "/usr/bin/$name"; do
      if [[ -x $path ]] && "$path" -c "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14) or sys.base_prefix.startswith($hidden))" 2>/dev/null; then
        printf '%s\n' "$path"
        return
      fi
    done
  done
  die 'no Python 3.11 to 3.13 found outside of home directories, which the service cannot see: apt-get install python3 python3-venv'
}

# The packages of uv.lock with their hashes, as a requirements file: export_lock UV [options].
export_lock() {
  local tool=$1
  shift
  "$tool" export --quiet --project "$checkout" --python "$python" --locked --no-dev --no-emit-project --no-header --no-annotate \
    --format requirements-txt --output-file "$scratch/requirements.txt" "$@" >/dev/null
}

# Sets $uv to a uv that can read uv.lock; fetches one, checked against tools.txt, where there is none.
find_uv() {
  local tools=$opt/tools
  for uv in "$(command -v uv || :)" "$checkout/.tools/bin/uv" "$tools/bin/uv"; do
    if [[ -x $uv ]] && export_lock "$uv" 2>/dev/null; then return; fi
  done
  say "uv: fetching it into $tools, hashes checked"
  "$python" -m venv --clear "$tools" || die 'Python cannot make virtual environments: apt-get install python3-venv'
  "$tools/bin/python" -m pip --quiet --disable-pip-version-check install --require-hashes --only-binary :all: -r "$HERE/tools.txt"
  uv=$tools/bin/uv
  export_lock "$uv"
}

# Sets $package to the wheel to install.
obtain_wheel() {
  package=$wheel
  if [[ -z $wheel ]]; then
    say "wheel: building it from $checkout"
    "$uv" build "${quiet[@]}" --wheel --python "$python" --build-constraints "$HERE/tools.txt" --require-hashes --out-dir "$scratch" -- "$checkout" >&2
    package=$(echo "$scratch"/ferstream-*.whl)
  fi
}

# The locked packages with their hashes first, then the wheel alone; nothing is built, because what builds would not be locked.
fill_venv() {
  local pip=("$uv" pip install "${quiet[@]}" --python "$1/bin/python" --only-binary :all: --compile-bytecode)
  # A release can be moved with the root it lies below.
  "$uv" venv --quiet --relocatable --python "$python" -- "$1"
  "${pip[@]}" --require-hashes -r "$scratch/requirements.txt"
  "${pip[@]}" --no-deps -- "$package"
  "$uv" pip check "${quiet[@]}" --python "$1/bin/python" || die "$package does not fit the packages of uv.lock; the old release is untouched"
}

# Runs fill_venv, and says every TICK_S seconds that it goes on, where uv draws no bars: fill_venv_and_say RELEASE.
fill_venv_and_say() {
  local next=$((SECONDS + TICK_S)) work
  fill_venv "$1" &
  work=$!
  while kill -0 "$work" 2>/dev/null; do
    read -rt 1 <> <(:) || :
    if [[ ${#quiet[@]} -gt 0 ]] && ((SECONDS >= next)); then
      say "packages: still at work after $SECONDS s, $(du -sm -- "$1" 2>/dev/null | cut -f1) MB installed"
      next=$((SECONDS + TICK_S))
    fi
  done
  wait "$work"
}

# A release is a virtual environment of its own: the running one is never changed, and the switch is one rename.
install_release() {
  local python uv package sum release
  python=$(find_python)
  mkdir -p -- "$opt/releases"
  find_uv
  export_lock "$uv" ${extra:+--extra "$extra"} || die "uv.lock cannot be used${extra:+, or has no extra $extra}"
  obtain_wheel
  sum=$(sha256sum -- "$package" "$scratch/requirements.txt" | cut -d' ' -f1 | sha256sum)
  release=$opt/releases/${sum:0:12}${extra:+-$extra}
  if [[ -f $release/.complete && $(readlink -- "$opt/bin") == "releases/${release##*/}/bin" ]]; then
    say "program: this release is installed already"
    return
  fi
  if [[ ! -f $release/.complete ]]; then
    rm -rf -- "$release"
    say "packages: $(grep -c '==' "$scratch/requirements.txt") of uv.lock into $release, hashes checked; this takes minutes"
    fill_venv_and_say "$release"
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
  install -d -m 755 -- "$etc"
  install -d -m 700 -- "$root/etc/credstore"
  # The first line of the settings names the schema.
  install -m 644 -- "$checkout/config/ferstream.schema.json" "$etc/ferstream.schema.json"
  if [[ ! -e $etc/ferstream.toml ]]; then
    install -m 644 -- "$checkout/config/ferstream.toml" "$etc/ferstream.toml"
    say "settings: $etc/ferstream.toml (new: edit it)"
  else
    install -m 644 -- "$checkout/config/ferstream.toml" "$etc/ferstream.toml.example"
    say "settings: $etc/ferstream.toml (kept; the present template is ferstream.toml.example)"
  fi
}

# Pages, dashboards, rules and examples, in the folders of the checkout so that links between them hold.
install_pages() {
  local file
  rm -rf -- "$share"
  while IFS= read -r -d '' file; do
    install -D -m 644 -- "$checkout/$file" "$share/$file"
  done < <(cd -- "$checkout" && find "${PAGES[@]}" -type f ! -name '*.py' -print0; find models \( -name CARD.md -o -name '*.png' \) -print0)
  install -D -m 644 -t "$share/drop-ins" -- "$HERE"/systemd/drop-ins/*
  say "pages, dashboards, alert rules, drop-ins: $share"
}

install_service() {
  install -d -m 755 -- "$units" "$units/ferstream.service.d"
  install -m 644 -- "$HERE/systemd/ferstream.service" "$units/ferstream.service"
  install -m 755 -- "$HERE/systemd/check.sh" "$opt/ferstream-check"
  say "service: $units/ferstream.service"
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

require_checkout() {
  local needed
  for needed in uv.lock pyproject.toml config/ferstream.toml docs; do
    [[ -e $checkout/$needed ]] || die "$checkout has no $needed: run install.sh inside a checkout or an unpacked source archive"
  done
  [[ -z $wheel || -f $wheel ]] || die "$wheel is not a file"
}

main() {
  parse "$@"
  [[ -n $root || $EUID -eq 0 ]] || die 'run as root, or with --root DIR'
  [[ -n $root ]] || command -v systemctl >/dev/null || die 'no systemd here; use --root DIR or the container image'
  if [[ -n $root ]]; then
    mkdir -p -- "$root"
    root=$(cd -- "$root" && pwd)
    say "everything goes below $root; systemd is left alone"
  fi
  opt=$root/opt/ferstream etc=$root/etc/ferstream units=$root/etc/systemd/system share=$root/opt/ferstream/share
  if [[ $action != install ]]; then
    uninstall
    return
  fi
  require_checkout
  # uv draws its own progress on a terminal.
  [[ -t 2 ]] || quiet=(--quiet)
  scratch=$(mktemp -d)
  trap 'rm -rf -- "$scratch"' EXIT
  install_release
  install_settings
  install_pages
  install_service
  if [[ -n $root ]]; then
    say "done; the settings are in $etc/ferstream.toml"
  else
    say "next: sudoedit $etc/ferstream.toml; sudo $opt/ferstream-check; sudo systemctl restart ferstream"
  fi
}

main "$@"
