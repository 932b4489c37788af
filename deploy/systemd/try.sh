#!/usr/bin/env bash
# Tries the service for real on a machine where systemd does not run, or where nothing may be changed:
# boots a second systemd in namespaces of its own, over a copy-on-write view of this machine, runs
# install.sh there and plays the service's life. Nothing outside remains but what pip or uv cached.
#   deploy/systemd/try.sh [options of install.sh]        (root; Linux with overlayfs and cgroup v2; about a minute)
set -euo pipefail

readonly FAST_WATCHDOG_S=5
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
checkout=$(cd -- "$here/../.." && pwd)
readonly here checkout

die() { printf 'try.sh: %s\n' "$*" >&2; exit 1; }

# ---- inside, as process 1: a root of its own, then systemd -------------------------------------------------
boot() {
  local node
  mount --make-rprivate /
  mount -t tmpfs tmpfs /mnt
  mkdir /mnt/upper /mnt/work /mnt/root
  mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
  # The checkout may lie in /tmp or on a file system of its own.
  mkdir -p "/mnt/root$checkout"
  mount --bind "$checkout" "/mnt/root$checkout"
  cd /mnt/root
  mount -t proc proc proc
  mount -t sysfs -o ro sysfs sys
  mkdir -p sys/fs/cgroup
  mount -t cgroup2 cgroup2 sys/fs/cgroup
  mount -t tmpfs tmpfs run
  mount -t tmpfs tmpfs dev
  mkdir dev/pts dev/shm
  for node in null zero full random urandom tty; do
    mknod -m 666 "dev/$node" c $((0x$(stat -c %t "/dev/$node"))) $((0x$(stat -c %T "/dev/$node")))
  done
  ln -s /proc/self/fd dev/fd
  mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
  ln -s pts/ptmx dev/ptmx
  # systemd must not set anything of the real kernel.
  mount --bind proc/sys proc/sys
  mount -o remount,ro,bind proc/sys
  rm -rf etc/systemd/system/ferstream.service* etc/ferstream opt/ferstream etc/credstore/ferstream.* var/lib/private/ferstream
  # Nothing of this machine's own services is started.
  printf '[Unit]\nDescription=nothing but what is tried\nDefaultDependencies=no\n' >etc/systemd/system/try.target
  mkdir old
  pivot_root . old
  umount -l old
  mount --make-rshared /
  exec env -i container=ferstream-try PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=try.target --log-target=null --show-status=0
}

# ---- outside ----------------------------------------------------------------------------------------------
inside() { nsenter --target "$init" --all -- "$@"; }
# Everything but the network, which is this machine's: for pip.
inside_online() { nsenter --target "$init" --mount --pid --uts --ipc --cgroup -- "$@"; }

unit() { inside systemctl show ferstream.service --value -p "$1"; }
# A unit that begins to start is not "active" yet, so a plain question would be too early.
wait_for() {
  local what=$1 try
  shift
  for ((try = 0; try < 300; try++)); do
    if "$@" >/dev/null 2>&1; then
      printf 'ok    %s\n' "$what"
      return
    fi
    read -rt 0.2 <> <(:) || :
  done
  printf 'FAIL  %s\n' "$what"
  inside tail -n 25 /run/ferstream.log || :
  exit 1
}
page() { inside /opt/ferstream/bin/python -c 'import sys, urllib.request as u; print(u.urlopen("http://127.0.0.1:9108" + sys.argv[1], timeout=5).read().decode())' "$1"; }
# A picture, and a recording made of it, through the page: prints the numbers of faces and frames.
upload() {
  # The folder itself, not the link to it: a virtual environment is found beside the program.
  inside "$(inside readlink -f /opt/ferstream/bin)/python" - <<'PYTHON'
import json, time, urllib.request
from matplotlib.cbook import get_sample_data
from PIL import Image

API = "http://127.0.0.1:9108/api/1/"
def ask(path, body=None, kind=""):
    request = urllib.request.Request(API + path, data=body, headers={"content-type": kind} if kind else {})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)

path = get_sample_data("grace_hopper.jpg", asfileobj=False)
faces = ask("stills", open(path, "rb").read(), "image/jpeg")["faces"]
picture = Image.open(path)
picture.save("/tmp/clip.gif", save_all=True, append_images=[picture.rotate(angle) for angle in range(1, 10)], duration=100)
recording = ask("recordings?name=clip.gif", open("/tmp/clip.gif", "rb").read(), "video/gif")
while recording["state"] == "running":
    time.sleep(0.2)
    recording = ask("recordings/" + recording["id"])
print(len(faces), "face", recording["frames"], "frames", recording["state"], recording["error"])
PYTHON
}
uploads_work() { upload | grep -q '^1 face 10 frames done'; }
is() { [[ $(unit "$1") == "$2" ]]; }
is_not() { [[ $(unit "$1") != "$2" ]]; }
running_as() { is ActiveState active && is_not MainPID "$1"; }
ready() { page /readyz | grep -q '"status": "ok"'; }
settings() { inside tee /etc/ferstream/ferstream.toml >/dev/null; }
drop_in() { inside tee "/etc/systemd/system/ferstream.service.d/$1.conf" >/dev/null && inside systemctl daemon-reload; }
no_drop_in() { inside rm "/etc/systemd/system/ferstream.service.d/$1.conf" && inside systemctl daemon-reload; }
demo() { printf 'node = "edge-1"\n[[cameras]]\nname = "demo"\nsource = "demo:"\n%s\n' "${1:-}"; }

end_namespace() {
  local try
  # The first process of a process namespace takes all others with it.
  [[ -z ${init:-} ]] || kill -KILL "$init" 2>/dev/null || :
  kill -KILL "$outer" 2>/dev/null || :
  wait "$outer" 2>/dev/null || :
  for ((try = 0; try < 50; try++)); do
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || :
    [[ -e $group ]] || return 0
    read -rt 0.2 <> <(:) || :
  done
}

start_namespace() {
  local hierarchy=/sys/fs/cgroup
  [[ -d $hierarchy/unified ]] && hierarchy+=/unified
  [[ -e $hierarchy/cgroup.procs ]] || die 'cgroup v2 is not mounted'
  group=$hierarchy/ferstream-try-$$
  mkdir "$group"
  bash -c 'echo $$ >"$1/cgroup.procs"; exec unshare --mount --pid --net --uts --ipc --cgroup --fork --kill-child -- bash "$2" --boot' \
    try "$group" "$here/try.sh" </dev/null >/dev/null 2>&1 &
  outer=$!
  trap end_namespace EXIT
  local try
  for ((try = 0; try < 100; try++)); do
    init=$(pgrep -P "$outer" -x systemd || :)
    [[ -z $init ]] || ! inside systemctl is-active -q try.target 2>/dev/null || return 0
    read -rt 0.2 <> <(:) || :
  done
  die 'systemd did not start in its namespaces'
}

life() {
  local pid
  inside_online bash "$checkout/deploy/install.sh" "$@"
  # The log of systemd is off; early boot is left out, and its targets with it.
  printf '[Unit]\nDefaultDependencies=no\nAfter=\n[Service]\nStandardOutput=append:/run/ferstream.log\nStandardError=append:/run/ferstream.log\n' | drop_in try
  demo | settings
  printf 'hunter2hunter2' | inside tee /etc/credstore/ferstream.mqtt_password >/dev/null

  # A start that fails is told below, with the end of the log.
  inside systemctl start ferstream.service || :
  wait_for 'it starts and says READY' is ActiveState active
  wait_for 'models, camera, broker and outbox are ready in the sandbox' ready
  wait_for 'systemctl status shows its line' inside bash -c 'systemctl show ferstream -p StatusText | grep -q "1 of 1 cameras up"'
  pid=$(unit MainPID)
  wait_for 'it runs as a user of its own, without capabilities' inside bash -c "[[ \$(stat -c %u /proc/$pid) != 0 ]] && grep -q '^CapEff:\s0*\$' /proc/$pid/status"
  wait_for 'system calls are filtered' inside grep -q '^Seccomp:.2' "/proc/$pid/status"
  # shellcheck disable=SC2016  # for the shell inside
  wait_for 'the outbox lies in its state directory, closed to others' inside bash -c '[[ $(stat -c %a /var/lib/private/ferstream) == 700 && -n $(ls -A /var/lib/private/ferstream) ]]'
  wait_for 'the credential is there for it alone' inside bash -c "[[ \$(stat -c %U:%a /proc/$pid/root/run/credentials/ferstream.service/mqtt_password) == ferstream:400 ]]"
  wait_for 'the rest of the machine is read-only to it' inside bash -c "grep -q ' / / ro' /proc/$pid/mountinfo"

  wait_for 'a picture and a recording are analysed in processes of their own' uploads_work
  # shellcheck disable=SC2016  # for the shell inside
  wait_for 'nothing of them lies in the state directory' inside bash -c '[[ -z $(ls -A /var/lib/private/ferstream/uploads) ]]'

  # The daemon runs: its port is in use, and its outbox open.
  inside bash -c '/opt/ferstream/ferstream-check >/run/check.txt 2>&1' || { inside cat /run/check.txt; die 'ferstream-check found a fault'; }
  wait_for 'ferstream-check finds no fault beside the daemon, in its state folder' inside grep -q '^ok *outbox *.*/var/lib/ferstream' /run/check.txt
  printf 'correct-horse-battery-staple' | inside tee /etc/credstore/ferstream.http_token >/dev/null
  demo '[http]
listen = "0.0.0.0:9109"' | settings
  wait_for 'it reads the secrets of the service' inside bash -c '/opt/ferstream/ferstream-check | grep -q "free, a token is set"'
  inside rm /etc/credstore/ferstream.http_token
  wait_for 'it leaves nothing behind' inside bash -c '[[ ! -e /run/systemd/system/ferstream-check.service ]]'

  demo 'analysis_fps = 5' | settings
  inside systemctl reload ferstream.service
  wait_for 'a reload is taken over by the same process' inside grep -q 'settings reloaded' /run/ferstream.log
  is MainPID "$pid" || die 'the reload changed the process'

  inside kill -KILL "$pid"
  wait_for 'killed, it comes back' running_as "$pid"

  printf '[Service]\nWatchdogSec=%s\n' "$FAST_WATCHDOG_S" | drop_in watchdog
  inside systemctl restart ferstream.service
  wait_for 'it is up with a short watchdog' ready
  pid=$(unit MainPID)
  inside kill -STOP "$pid"
  wait_for "frozen, it is ended and started by systemd's watchdog" running_as "$pid"
  wait_for 'the stacks of all threads are in the log' inside grep -q 'Fatal Python error: Aborted' /run/ferstream.log
  no_drop_in watchdog

  # Made by udev where there are such devices.
  inside groupadd --force --system render
  for name in webcam intel-gpu cuda; do
    inside cp "$here/drop-ins/$name.conf" /etc/systemd/system/ferstream.service.d/
    inside systemctl daemon-reload
    inside systemctl restart ferstream.service || :
    wait_for "it runs with the drop-in $name" ready
    no_drop_in "$name"
  done

  inside systemctl stop ferstream.service
  wait_for 'it stops with success' is Result success
  printf 'nonsense = 1\n' | settings
  inside systemctl start ferstream.service 2>/dev/null || :
  wait_for 'wrong settings end it for good' is ActiveState failed
  is ExecMainStatus 2 || die "the exit code is $(unit ExecMainStatus), not 2"

  printf '[Service]\nMemoryDenyWriteExecute=yes\n' | drop_in mdwe
  demo | settings
  inside systemctl reset-failed ferstream.service
  inside systemctl start --no-block ferstream.service
  wait_for 'with MemoryDenyWriteExecute it cannot start (OpenVINO compiles at run time)' is_not ExecMainStatus 0
  inside bash "$checkout/deploy/install.sh" --uninstall --purge
  wait_for 'uninstalled and purged, nothing of it is left' inside bash -c '[[ ! -e /opt/ferstream && ! -e /etc/ferstream && ! -e /etc/systemd/system/ferstream.service && ! -e /var/lib/private/ferstream ]]'
}

if [[ ${1:-} == --boot ]]; then
  boot
fi
[[ $EUID -eq 0 ]] || die 'run as root'
for tool in unshare nsenter pivot_root pgrep /lib/systemd/systemd; do
  command -v "$tool" >/dev/null || die "$tool is not installed"
done
start_namespace
printf 'systemd %s in namespaces of its own, process %s\n' "$(inside systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p')" "$init"
life "$@"
