//! OpenClaw's own user unit, as `openclaw gateway install` writes it, under linger.

use crate::openclaw::{arrived, machine, script};

/// What a drop-in of ours sets for the gateway.
const DROP_IN: &str = "[Service]
Environment=NODE_OPTIONS=--disable-sigusr1
LimitCORE=0
";

#[test]
fn the_gateways_own_unit_has_its_key_after_every_boot_and_opens_no_debugger() {
    let Some(machine) = machine() else {
        return;
    };
    machine.write("drop-in.conf", DROP_IN);
    let first = machine.boot(&script(
        "home
step 'onboard' onboard
step 'install' as alice openclaw gateway install
step 'live' until_ok live
step 'turn' turn
units=/home/alice/.config/systemd/user
step 'unit' cat $units/openclaw-gateway.service
pid() { as alice systemctl --user show -p MainPID --value openclaw-gateway; }
# As OpenClaw's unit is, the signal opens the debugger: what the drop-in is for.
kill -USR1 $(pid)
debugger() { listening | grep -q 127.0.0.1:9229; }
step 'debugger' until_ok debugger
as alice mkdir -p $units/openclaw-gateway.service.d
as alice install -m 644 /drop-in.conf $units/openclaw-gateway.service.d/50-clawkeep.conf
as alice systemctl --user daemon-reload
step 'restart' as alice openclaw gateway restart
step 'live again' until_ok live
before=$(pid)
group=/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/openclaw-gateway.service
for each in $(cat $group/cgroup.procs); do kill -USR1 $each; done
# It answers a turn after the signal, so the signal has been handled.
step 'turn after signal' turn
step 'listening' listening
step 'same process' [ \"$before\" = \"$(pid)\" ]
step 'lies in no file' grep -rlF \"$KEY\" /home/alice /etc /tmp /var
",
    ));
    first.step("onboard").ok();
    first.step("install").ok();
    first.step("live").ok();
    arrived(&first, "turn");
    first.step("debugger").ok();
    first.step("restart").ok();
    first.step("live again").ok();
    first.step("turn after signal").ok();
    first.step("same process").ok();
    let listening = first.step("listening").ok();
    assert!(listening.stdout.contains(":18789"), "{listening}");
    assert!(!listening.stdout.contains(":9229"), "{listening}");
    first.step("lies in no file").code(1);
    assert_eq!(first.bearers().len(), 2, "{first}");
    let sample = include_str!("../data/openclaw-gateway-2026.9.6.service");
    assert_eq!(first.step("unit").stdout, sample);

    let second = machine.boot(&script(
        "step 'live' until_ok live
step 'turn' turn
",
    ));
    second.step("live").ok();
    arrived(&second, "turn");
}
