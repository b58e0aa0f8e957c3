//! What systemd promises and the keeper builds on, seen under a real one. Stand-ins for the gateway
//! and the keeper are shell commands here: what counts is who may see, enter and outlive what.

use crate::machine::Machine;

#[test]
fn a_machine_boots_runs_its_script_and_keeps_its_disk_over_a_power_off() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let first = machine.boot(
        "people
step 'who is first' cat /proc/1/comm
step 'write' bash -c 'echo kept >/home/alice/kept'
step 'shell of alice' as alice bash -c 'id -un; clawkeep --version'
step 'refused' false
",
    );
    assert_eq!(first.step("who is first").ok().text(), "systemd");
    let shell = first.step("shell of alice").ok().text();
    assert!(shell.starts_with("alice\nclawkeep "), "{shell}");
    first.step("refused").code(1);
    let second = machine.boot("step 'read' cat /home/alice/kept");
    assert_eq!(second.step("read").ok().text(), "kept");
}

/// What a keeper's unit sets, as far as it concerns what the keeper must see.
const HARDENED: &str = "-p ProtectSystem=strict -p PrivateTmp=yes -p PrivateDevices=yes \
    -p ProtectHome=yes -p ProtectKernelTunables=yes -p ProtectKernelModules=yes \
    -p ProtectKernelLogs=yes -p ProtectClock=yes -p ProtectControlGroups=yes \
    -p ProtectHostname=yes -p NoNewPrivileges=yes -p PrivateNetwork=yes -p ProcSubset=pid \
    -p RestrictAddressFamilies=AF_UNIX -p SystemCallFilter=@system-service -p UMask=0077";

#[test]
fn a_hardened_keeper_of_another_uid_sees_which_invocation_and_which_cgroup_asks() {
    let Some(machine) = Machine::new() else {
        return;
    };
    machine.write(
        "etc/systemd/system/gateway.service",
        "[Service]\nUser=alice\nExecStart=/bin/sleep infinity\n",
    );
    machine.write(
        "usr-look",
        "readlink /run/systemd/units/invocation:gateway.service
P=$(head -n 1 /sys/fs/cgroup/system.slice/gateway.service/cgroup.procs)
tail -n 1 /proc/$P/cgroup
cut -d ' ' -f 22 /proc/$P/stat
readlink /proc/$P/exe || echo no exe
",
    );
    let boot = machine.boot(&format!(
        "people
systemctl start gateway
step 'truth' systemctl show -p InvocationID --value gateway
look() {{ systemd-run -q --wait --pipe -p User=clawkeep-alice \"$@\" bash /usr-look; }}
step 'hardened' look {HARDENED}
step 'hidden' look -p ProtectProc=invisible
step 'all alike' systemd-run -q --wait --pipe -p User=clawkeep-alice -p PrivateUsers=yes stat -c %u /home/alice
"
    ));
    let seen: Vec<&str> = boot.step("hardened").ok().stdout.lines().collect();
    assert_eq!(seen[0], boot.step("truth").ok().text());
    assert_eq!(seen[1], "0::/system.slice/gateway.service");
    assert!(seen[2].parse::<u64>().unwrap() > 0);
    assert_eq!(seen[3], "no exe");
    // Why the keeper's unit sets neither of these.
    let hidden = boot.step("hidden");
    assert!(
        hidden.stderr.contains("No such file or directory"),
        "{hidden}"
    );
    assert_eq!(boot.step("all alike").ok().text(), "65534");
}

#[test]
fn what_an_agent_left_in_the_gateways_cgroup_is_dead_before_the_next_gateway_starts() {
    let Some(machine) = Machine::new() else {
        return;
    };
    machine.write(
        "etc/systemd/system/gateway.service",
        "[Service]
User=alice
KillMode=mixed
Restart=always
RestartSec=0
ExecStart=/bin/bash /main
",
    );
    machine.write(
        "leftover",
        "trap '' TERM HUP INT
echo $$ >>/tmp/shells
while :; do sleep 0.05; done
",
    );
    // Each start writes down who was there before it, then leaves a shell that minds no signal.
    machine.write(
        "main",
        // Without a fork, which would be in the list itself.
        "mapfile -t there </sys/fs/cgroup/system.slice/gateway.service/cgroup.procs
[ \"${there[*]}\" = $$ ] && echo alone >>/tmp/starts || echo \"not alone: ${there[*]}\" >>/tmp/starts
setsid bash /leftover &
exec sleep infinity
",
    );
    let boot = machine.boot(
        "people
systemctl start gateway
shells() { [ \"$(wc -l </tmp/shells)\" -ge $1 ]; }
for round in 1 2 3; do
  step \"shell $round\" until_ok shells $round
  kill -9 $(systemctl show -p MainPID --value gateway)
done
step 'shell 4' until_ok shells 4
step 'starts' cat /tmp/starts
step 'alive' bash -c 'for pid in $(cat /tmp/shells); do [ -d /proc/$pid ] && echo yes || echo no; done'
systemctl stop gateway
",
    );
    assert_eq!(
        boot.step("starts").ok().text(),
        "alone\nalone\nalone\nalone"
    );
    assert_eq!(boot.step("alive").ok().text(), "no\nno\nno\nyes");
}

#[test]
fn nobody_but_root_moves_into_the_gateways_cgroup() {
    let Some(machine) = Machine::new() else {
        return;
    };
    machine.write(
        "etc/systemd/system/gateway.service",
        "[Service]\nUser=alice\nExecStart=/bin/sleep infinity\n",
    );
    machine.write(
        "enter",
        "echo $$ >/sys/fs/cgroup/system.slice/gateway.service/cgroup.procs || exit 7
cat /proc/self/cgroup
",
    );
    let boot = machine.boot(
        "people
linger alice
systemctl start gateway
step 'root' bash /enter
step 'shell' as alice bash /enter
step 'own delegated unit' as alice systemd-run -q --user --wait --pipe -p Delegate=yes bash /enter
step 'ask systemd' as alice busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 \
  org.freedesktop.systemd1.Manager AttachProcessesToUnit ssau gateway.service / 1 $$
step 'restart it' as alice systemctl restart gateway
step 'a unit of that name' as alice systemd-run -q --user --unit=gateway.service --wait --pipe \
  tail -n 1 /proc/self/cgroup
",
    );
    // The script can, so it is alice who cannot.
    boot.step("root").ok();
    boot.step("shell").code(7);
    boot.step("own delegated unit").code(7);
    boot.step("ask systemd").refused();
    boot.step("restart it").refused();
    let other = boot.step("a unit of that name").ok().text();
    assert!(
        other.starts_with("0::/user.slice/user-1000.slice/"),
        "{other}"
    );
}

#[test]
fn a_system_unit_before_the_users_manager_is_up_first_at_every_boot() {
    let Some(machine) = Machine::new() else {
        return;
    };
    machine.write(
        "etc/systemd/system/keeper.service",
        "[Unit]
Before=user@1000.service
[Service]
Type=notify
User=alice
NotifyAccess=all
# Slow to be ready, so that luck does not pass for order.
ExecStart=/bin/bash -c 'sleep 1; touch /run/keeper/ready; systemd-notify --ready; sleep infinity'
RuntimeDirectory=keeper
[Install]
WantedBy=multi-user.target
",
    );
    let unit = "[Service]
ExecStart=/bin/bash -c 'ls /run/keeper/ready >%h/saw 2>&1; sleep infinity'
[Install]
WantedBy=default.target
";
    let first = machine.boot(&format!(
        "people
linger alice
systemctl -q enable keeper
as alice mkdir -p .config/systemd/user
cat >/home/alice/.config/systemd/user/openclaw-gateway.service <<'END'
{unit}END
step 'enable' as alice systemctl --user -q enable openclaw-gateway
"
    ));
    first.step("enable").ok();
    for _ in 0..2 {
        let boot = machine.boot(
            "step 'written' until_ok test -s /home/alice/saw
step 'saw' cat /home/alice/saw
rm /home/alice/saw
",
        );
        boot.step("written").ok();
        assert_eq!(boot.step("saw").text(), "/run/keeper/ready");
    }
}
