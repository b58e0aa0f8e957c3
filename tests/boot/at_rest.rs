//! `clawkeep service install` in its two forms at rest, for OpenClaw's own user unit: the gateway has
//! its keys after every boot with nobody at the keyboard, and only through the keeper.

use crate::machine::Machine;
use crate::openclaw::{KEY, arrived, machine, script};
use crate::transcript::Transcript;

/// Functions for the scripts below.
const ASK: &str = r#"
pid() { systemctl show -p MainPID --value clawkeep-keeper-alice; }
request='{"protocolVersion":1,"provider":"clawkeep","ids":["mock:work"]}'
# ask USER: what OpenClaw asks, with no environment, through alice's own arguments.
ask() { as "$1" env -i /home/alice/.local/bin/clawkeep resolve --vault /home/alice/.local/share/clawkeep <<<"$request"; }
ready() { as alice clawkeep keeper status; }
# From here on nothing but the keeper opens the vault.
take_identity_away() { mv /home/alice/.config/clawkeep/identity.txt /root/identity.txt; }
"#;

fn full(text: &str) -> String {
    script(&format!("{ASK}\n{text}"))
}

/// A machine whose alice has a gateway with its key by an identity file, and then this keeper.
fn installed(machine: &Machine, install: &str) -> Transcript {
    let first = machine.boot(&full(&format!(
        "home
step 'onboard' onboard
step 'gateway' as alice openclaw gateway install
step 'live' until_ok live
step 'install' {install}
step 'status' as alice clawkeep service status
step 'open' until_ok ready
take_identity_away
step 'ask' ask alice
step 'live again' until_ok live
step 'turn' turn
"
    )));
    for step in [
        "onboard",
        "gateway",
        "live",
        "install",
        "open",
        "live again",
    ] {
        first.step(step).ok();
    }
    assert!(first.step("ask").ok().stdout.contains(KEY), "{first}");
    arrived(&first, "turn");
    first
}

/// The same after power off and on.
fn again(machine: &Machine, stop: &str) {
    for _ in 0..2 {
        let boot = machine.boot(&full(&format!(
            "step 'live' until_ok live
step 'turn' turn
step 'ask' ask alice
step 'log' as alice clawkeep log
step 'files' grep -rlF \"$KEY\" /home/alice /etc /tmp /var
{stop}
step 'locked' ask alice
step 'status' as alice clawkeep keeper status
"
        )));
        boot.step("live").ok();
        arrived(&boot, "turn");
        assert!(boot.step("ask").ok().stdout.contains(KEY), "{boot}");
        assert!(boot.step("log").ok().stdout.contains("mock"), "{boot}");
        boot.step("files").code(1);
        let locked = boot.step("locked").ok();
        assert!(locked.stdout.contains("LOCKED"), "{boot}");
        assert!(!locked.stdout.contains(KEY), "{boot}");
        boot.step("status").code(75);
    }
}

#[test]
fn a_system_keeper_with_a_credential_serves_the_users_gateway_at_every_boot() {
    let Some(machine) = machine() else {
        return;
    };
    let _ = installed(
        &machine,
        "clawkeep service install --system --for alice --credential-key host --restart-gateway --yes",
    );
    // Whose memory it is: nobody's but root's. alice is not root, and the keeper's uid is hers.
    let boot = machine.boot(&full(
        "step 'open' until_ok ready
step 'uid' ps -o user= -p $(pid)
for file in mem maps environ; do
  step \"keeper $file\" as alice cat /proc/$(pid)/$file
done
# What she may do to any other process of hers, so that it is the keeper that is closed.
step 'another of hers' as alice bash -c 'sleep 60 & cat /proc/$!/maps /proc/$!/environ && gdb -p $! -batch -ex \"info threads\"; kill $!'
step 'gdb' as alice gdb -p $(pid) -batch -ex 'info threads'
step 'strace' as alice timeout 5 strace -p $(pid)
step 'core' grep 'core file' /proc/$(pid)/limits
step 'bob asks' as bob env -i /usr/local/bin/clawkeep resolve --vault /home/alice/.local/share/clawkeep <<<\"$request\"
step 'bob connects' as bob node -e 'require(\"net\").connect(\"/run/clawkeep-keeper-alice/keeper.sock\").on(\"error\",()=>process.exit(1)).on(\"connect\",()=>process.exit(0))'
step 'alice connects' as alice node -e 'require(\"net\").connect(\"/run/clawkeep-keeper-alice/keeper.sock\").on(\"error\",()=>process.exit(1)).on(\"connect\",()=>process.exit(0))'
step 'still open' ready
step 'security' systemd-analyze security --no-pager clawkeep-keeper-alice
",
    ));
    assert_eq!(boot.step("uid").ok().text(), "alice");
    for step in ["keeper mem", "keeper maps", "keeper environ"] {
        let denied = boot.step(step).refused();
        assert!(denied.stderr.contains("Permission denied"), "{denied}");
    }
    let other = boot.step("another of hers").ok();
    assert!(other.stdout.contains("Thread"), "{other}");
    let core = boot
        .step("core")
        .ok()
        .text()
        .split_whitespace()
        .collect::<Vec<_>>();
    assert_eq!(core[4..6], ["0", "0"]);
    let gdb = boot.step("gdb");
    assert!(gdb.stderr.contains("Operation not permitted"), "{gdb}");
    boot.step("strace").refused();
    boot.step("bob connects").refused();
    boot.step("alice connects").ok();
    let open = boot.step("still open").ok();
    assert!(!open.stdout.contains("not locked"), "{open}");
    assert!(!boot.step("bob asks").stdout.contains(KEY), "{boot}");
    again(&machine, "systemctl stop clawkeep-keeper-alice");
}

#[test]
fn a_system_keeper_whose_credential_a_tpm2_seals_serves_the_gateway_at_every_boot() {
    let Some(machine) = machine() else {
        return;
    };
    let machine = machine.tpm();
    machine.write("var/lib/swtpm/measured", &"a".repeat(64));
    let _ = installed(
        &machine,
        "clawkeep service install --system --for alice --credential-key tpm2 --restart-gateway --yes",
    );
    again(&machine, "systemctl stop clawkeep-keeper-alice");
    machine.write("var/lib/swtpm/measured", &"b".repeat(64));
    let boot = machine.boot(&full("step 'ask' ask alice"));
    assert!(boot.step("ask").ok().stdout.contains("LOCKED"), "{boot}");
}

#[test]
fn a_users_own_keeper_serves_the_users_gateway_at_every_boot() {
    let Some(machine) = machine() else {
        return;
    };
    let install = "as alice clawkeep service install --user --restart-gateway --yes";
    let first = machine.boot(&full(&format!(
        "home
step 'onboard' onboard
step 'gateway' as alice openclaw gateway install
step 'live' until_ok live
step 'install' {install}
step 'open' until_ok ready
step 'live again' until_ok live
step 'turn' turn
"
    )));
    for step in [
        "onboard",
        "gateway",
        "live",
        "install",
        "open",
        "live again",
    ] {
        first.step(step).ok();
    }
    arrived(&first, "turn");
    again(&machine, "as alice systemctl --user stop clawkeep-keeper");
}
