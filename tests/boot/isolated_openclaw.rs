//! `clawkeep service install --isolated` with OpenClaw itself, as an operator does it: over power off
//! and on, over a gateway that is killed, over new values, and back again.

use crate::isolated::{FUNCTIONS, count, events, nothing, scripts};
use crate::machine::Machine;
use crate::openclaw::{arrived, script};
use crate::transcript::Transcript;
use std::collections::BTreeSet;

/// Functions for scripts with an OpenClaw.
const OPENCLAW: &str = r#"
# operate COMMAND...: OpenClaw's commands as an operator has them once alice's own are cut off: root, with
# a home of root's, and the token in a variable of that command alone.
operate() {
  env -i PATH="$PATH" LANG="$LANG" HOME=/root OPENCLAW_SKIP_CHANNELS=1 \
    OPENCLAW_GATEWAY_TOKEN="$(sudo clawkeep service run -- secret get gateway/token)" openclaw "$@"
}
# ask_agent: one turn of the agent, which makes the model call.
ask_agent() { operate agent --agent main --message 'say OK' --json; }
resolve='{"commandName":"models status","targetIds":["models.providers.*.apiKey"]}'
files() { sha256sum /etc/systemd/system/*.service /etc/clawkeep/alice.cred /home/alice/.openclaw/openclaw.json; }
"#;

fn full(text: &str) -> String {
    script(&format!("{FUNCTIONS}\n{OPENCLAW}\n{text}"))
}

/// What alice's processes, and others, try while the gateway runs.
const ATTEMPTS: &str = r#"
step 'outside' as alice /opt/stand-in/ask $ids
step 'inside' inside openclaw-gateway.service alice /opt/stand-in/ask $ids
step 'bob' bob_asks
for reason in outside-unit again other-user; do step "logged $reason" until_ok logged $reason; done
step 'log' log
step 'no token' as alice openclaw gateway call secrets.resolve --params "$resolve"
step 'wrong token' as alice openclaw gateway call secrets.resolve --token fake-wrong-0123456789 --params "$resolve"
"#;

/// None of them was given a value, and the log says why.
#[track_caller]
fn refused(boot: &Transcript) {
    for step in ["outside", "inside", "bob"] {
        let locked = boot.step(step).ok();
        assert_eq!(locked.stdout.matches("LOCKED").count(), 2, "{locked}");
        nothing(boot, step);
    }
    let log = events(boot, "log");
    for (reason, uid) in [
        ("outside-unit", 1000),
        ("again", 1000),
        ("other-user", 1001),
    ] {
        assert!(count(&log, "refused", reason, uid) >= 1, "{boot}");
    }
    for step in ["no token", "wrong token"] {
        boot.step(step).refused();
        nothing(boot, step);
    }
}

/// Alice's OpenClaw at rest, with a gateway of her own; then isolated, as root does it.
fn isolated(machine: &Machine, credential_key: &str) {
    let boot = machine.boot(&full(&format!(
        "home
userdel clawkeep-alice # which the installer makes
rm /openclaw.json
step 'onboard' onboard
mv /home/alice/recovery.txt /root/recovery.txt
step 'gateway' as alice openclaw gateway install
step 'live at rest' until_ok live
step 'turn at rest' turn
step 'install' sudo clawkeep service install --isolated --credential-key {credential_key} --yes
step 'live' until_ok live
step 'agent' ask_agent
step 'status' sudo clawkeep service status
{ATTEMPTS}"
    )));
    for step in [
        "onboard",
        "gateway",
        "live at rest",
        "install",
        "live",
        "status",
    ] {
        boot.step(step).ok();
    }
    boot.step("turn at rest").ok();
    arrived(&boot, "agent");
    assert_eq!(boot.bearers().len(), 2, "{boot}");
    refused(&boot);
}

/// Power on: the gateway has its keys, and nobody else gets any.
fn powered_on(machine: &Machine, more: &str) -> Transcript {
    let boot = machine.boot(&full(&format!(
        "step 'live' until_ok live
step 'agent' ask_agent
{ATTEMPTS}
{more}"
    )));
    boot.step("live").ok();
    arrived(&boot, "agent");
    refused(&boot);
    boot
}

#[test]
fn an_isolated_openclaw_is_given_its_keys_at_each_start_and_its_user_never() {
    let Some(machine) = crate::openclaw::machine() else {
        return;
    };
    scripts(&machine);
    isolated(&machine, "host");
    let boot = powered_on(
        &machine,
        r#"before=$(invocation)
race_begins
step 'racing' until_ok asked 5
kill -9 "$(gateway)"
anew() { [ "$(invocation)" != "$before" ] && live; }
step 'killed, live' until_ok anew
step 'raced' race_ends
step 'killed, agent' ask_agent
before=$(gateway)
for folder in $(unit_folders openclaw-gateway.service); do
  for pid in $(cat "$folder/cgroup.procs"); do kill -USR1 "$pid"; done
done
step 'signalled, agent' ask_agent
step 'listening' listening
step 'same process' [ "$before" = "$(gateway)" ]
step 'her restart' as alice openclaw gateway restart
step 'restart' systemctl restart openclaw-gateway
step 'restarted, live' until_ok live
step 'restarted, agent' ask_agent
step 'status' sudo clawkeep service status
"#,
    );
    for step in [
        "racing",
        "killed, live",
        "restart",
        "restarted, live",
        "same process",
        "status",
    ] {
        boot.step(step).ok();
    }
    let raced = boot.step("raced").ok().text();
    assert!(raced.ends_with(", given 0, other 0"), "{boot}");
    for step in ["killed, agent", "signalled, agent", "restarted, agent"] {
        boot.step(step).ok();
    }
    assert_eq!(boot.bearers().len(), 4, "{boot}");
    let listening = boot.step("listening").ok();
    let ports: BTreeSet<&str> = listening
        .stdout
        .lines()
        .filter_map(|line| line.rsplit(':').next())
        .collect();
    // The other one is the model provider's.
    assert_eq!(ports, BTreeSet::from(["18789", "9999"]), "{listening}");
    let said = boot.step("her restart").refused();
    assert!(said.stderr.contains("systemctl restart"), "{said}");
    changed_and_closed(&machine);
    back_and_again(&machine);
}

const NEW_KEY: &str = "sk-fake-new-key-boot-9876543210";

/// Arming and a new value reach the gateway; and what is closed to alice.
fn changed_and_closed(machine: &Machine) {
    let boot = machine.boot(&full(&format!(
        r#"NEW={NEW_KEY}
step 'live' until_ok live
reload() {{ operate gateway call secrets.reload; }}
step 'reload' reload
step 'arm' sudo clawkeep service arm --yes
step 'armed, reload' reload
step 'reload again' reload
step 'paste' sudo clawkeep service run -- models auth paste-api-key --provider mock --profile-id mock:work <<<$NEW
step 'restart' systemctl restart openclaw-gateway
step 'restarted, live' until_ok live
step 'agent' ask_agent
TOKEN=$(sudo clawkeep service run -- secret get gateway/token)
step 'token' test -n "$TOKEN"
step 'closed' closed
for value in KEY NEW TOKEN; do
  step "$value in files" everywhere alice "${{!value}}"
  step "$value in the journal" bash -c 'journalctl -b --no-pager -a | grep -cF -- "$0"' "${{!value}}"
done
step 'identities in files' everywhere alice 'AGE-SECRET-KEY-1[0-9A-Z]{{58}}'
files >/root/before
step 'install again' sudo clawkeep service install --isolated --credential-key host --yes
step 'again, live' until_ok live
files >/root/after
step 'same files' cmp /root/before /root/after
"#
    )));
    for step in [
        "live",
        "arm",
        "armed, reload",
        "paste",
        "restart",
        "restarted, live",
        "agent",
        "token",
        "install again",
        "again, live",
        "same files",
    ] {
        boot.step(step).ok();
    }
    boot.step("reload").refused();
    boot.step("reload again").refused();
    assert_eq!(boot.bearers(), [format!("Bearer {NEW_KEY}")], "{boot}");
    assert_eq!(boot.step("closed").ok().text(), "", "{boot}");
    for step in [
        "KEY in files",
        "NEW in files",
        "TOKEN in files",
        "KEY in the journal",
        "NEW in the journal",
        "TOKEN in the journal",
        "identities in files",
    ] {
        boot.step(step).code(1);
    }
}

/// Taken away, alice has her vault and her own gateway again; and isolated once more.
fn back_and_again(machine: &Machine) {
    let boot = machine.boot(&full(
        "step 'uninstall' sudo clawkeep service uninstall --isolated --yes
step 'live' until_ok live
step 'turn' turn
step 'own unit' as alice systemctl --user is-active openclaw-gateway
step 'ask' as alice /opt/stand-in/ask $ids
step 'left' find /var/lib/clawkeep /etc/clawkeep /etc/systemd/system -name '*alice*' -o -name 'openclaw*'
step 'install' sudo clawkeep service install --isolated --credential-key host --yes
step 'isolated, live' until_ok live
step 'agent' ask_agent
step 'outside' as alice /opt/stand-in/ask $ids
step 'status' sudo clawkeep service status
",
    ));
    for step in [
        "uninstall",
        "live",
        "turn",
        "own unit",
        "install",
        "isolated, live",
        "agent",
        "status",
    ] {
        boot.step(step).ok();
    }
    assert!(boot.step("ask").ok().stdout.contains(NEW_KEY), "{boot}");
    assert_eq!(boot.step("left").text(), "", "{boot}");
    assert_eq!(
        boot.bearers(),
        vec![format!("Bearer {NEW_KEY}"); 2],
        "{boot}"
    );
    assert!(
        boot.step("outside").ok().stdout.contains("LOCKED"),
        "{boot}"
    );
    assert!(!boot.step("outside").stdout.contains(NEW_KEY), "{boot}");
}

#[test]
fn an_isolated_openclaw_whose_credential_a_tpm2_seals_is_given_its_keys_at_each_start() {
    let Some(machine) = crate::openclaw::machine() else {
        return;
    };
    scripts(&machine);
    let machine = machine.tpm();
    machine.write("var/lib/swtpm/measured", &"a".repeat(64));
    isolated(&machine, "tpm2");
    let _ = powered_on(&machine, "");
    machine.write("var/lib/swtpm/measured", &"b".repeat(64));
    let boot = machine.boot(&full("step 'keeper' systemctl is-active clawkeep-keeper-alice\nstep 'outside' as alice /opt/stand-in/ask $ids"));
    boot.step("keeper").refused();
    nothing(&boot, "outside");
}
