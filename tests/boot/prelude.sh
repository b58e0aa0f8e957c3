# What every scenario may use; runs as root inside the machine, under its systemd.
set -u
export PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin LANG=C.UTF-8
step_count=0

# step NAME COMMAND...: runs it and records its exit code and both outputs under that name.
step() {
  local dir status=0
  printf -v dir '/results/steps/%03d' "$step_count"
  step_count=$((step_count + 1))
  mkdir "$dir"
  printf %s "$1" >"$dir/name"
  shift
  "$@" >"$dir/stdout" 2>"$dir/stderr" || status=$?
  echo "$status" >"$dir/code"
  return "$status"
}

# until_ok COMMAND...: asks again until it ends well, for about a minute.
until_ok() {
  local try
  for try in $(seq 600); do
    "$@" >/dev/null 2>&1 && return 0
    sleep 0.1
  done
  printf 'never: %s (%s tries)\n' "$*" "$try" >&2
  return 1
}

# as USER COMMAND...: with the environment of that user's shell, and nothing else.
as() {
  local user=$1 uid home
  shift
  uid=$(id -u "$user")
  home=$(getent passwd "$user" | cut -d: -f6)
  runuser -u "$user" -- env -i -C "$home" HOME="$home" USER="$user" LANG=C.UTF-8 \
    PATH="$home/.local/bin:/opt/node/bin:/usr/local/bin:/usr/bin:/bin" \
    XDG_RUNTIME_DIR="/run/user/$uid" DBUS_SESSION_BUS_ADDRESS="unix:path=/run/user/$uid/bus" \
    OPENCLAW_SKIP_CHANNELS=1 "$@"
}

# unit_folders UNIT: where the cgroups of a system unit lie, one line for each hierarchy.
unit_folders() {
  local root
  for root in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
    [ -d "$root/system.slice/$1" ] && echo "$root/system.slice/$1"
  done
}

# inside UNIT USER COMMAND...: as a program that the unit's own process started.
inside() (
  unit=$1
  shift
  for folder in $(unit_folders "$unit"); do echo "$BASHPID" >"$folder/cgroup.procs" || exit 99; done
  as "$@"
)

# The people of the machine: alice runs the gateway, bob is somebody else, and clawkeep-alice is a
# system user such as an isolated keeper has.
people() {
  getent passwd alice >/dev/null && return 0
  useradd -m -u 1000 -s /bin/bash alice
  useradd -m -u 1001 -s /bin/bash bob
  useradd -r -d /var/lib/clawkeep -s /usr/sbin/nologin clawkeep-alice
}

# linger USER: their own service manager, now and at every boot.
linger() {
  loginctl enable-linger "$1"
  until_ok test -S "/run/user/$(id -u "$1")/bus"
}

# live: whether the gateway answers.
live() { node -e 'fetch("http://127.0.0.1:18789/healthz").then(r=>process.exit(r.status==200?0:1),()=>process.exit(1))'; }

# listening: every listening TCP socket, as ADDRESS:PORT.
listening() { ss -Hltn | awk '{print $4}'; }
