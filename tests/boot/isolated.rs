//! `clawkeep service install --isolated`: each start of the gateway is given each value once, and
//! nothing else that runs under the gateway's uid, or anyone's, is given any.
//!
//! First with a stand-in for the gateway, which takes seconds; then with OpenClaw.

use crate::machine::Machine;
use crate::openclaw::KEY;
use crate::transcript::Transcript;
use std::os::unix::fs::PermissionsExt as _;

/// Functions for scripts on an isolated machine. `sudo` is what alice's sudo would run.
const FUNCTIONS: &str = r#"
sudo() { env -i PATH="$PATH" LANG="$LANG" HOME=/root SUDO_UID=1000 SUDO_GID=1000 SUDO_USER=alice "$@"; }
keeper() { systemctl show -p MainPID --value clawkeep-keeper-alice; }
gateway() { systemctl show -p MainPID --value openclaw-gateway; }
invocation() { systemctl show -p InvocationID --value openclaw-gateway; }
ids='provider/mock gateway/token'
# bob_asks: alice's own question, from another user, by a program that he may run.
bob_asks() {
  sed 's#/home/alice/.local/bin#/usr/local/bin#' /home/alice/.openclaw/openclaw.json >/home/bob/openclaw.json
  as bob env CONFIG=/home/bob/openclaw.json /opt/stand-in/ask $ids
  rm /home/bob/openclaw.json
}
log() { sudo clawkeep service run -- log --json; }
# logged REASON: refusals are counted for a second before they are written.
logged() { log | grep -q "\"reason\": \"$1\""; }
# everywhere USER WORD: the files that this user can read with that word in them. Node's, OpenClaw's and
# the distribution's own programs were there before, and /results holds this script.
everywhere() {
  as "$1" grep -rlE --devices=skip "$2" / --exclude-dir=proc --exclude-dir=sys --exclude-dir=results \
    --exclude-dir=usr --exclude-dir=opt 2>/dev/null
  as "$1" grep -rlE --devices=skip "$2" /usr/local 2>/dev/null
}
# closed: whatever of the keeper, its vault and its credential is not denied to alice.
closed() {
  local what
  for what in "cat /proc/$(keeper)/mem" "cat /proc/$(keeper)/maps" "cat /proc/$(keeper)/environ" \
    "ls -l /proc/$(keeper)/exe" "gdb -p $(keeper) -batch" "strace -p $(keeper)" "kill -USR1 $(keeper)" \
    "ls /run/clawkeep-keeper-alice" "touch /run/clawkeep-keeper-alice/other.sock" \
    "rm -f /run/clawkeep-keeper-alice/keeper.sock" "ls /run/credentials/clawkeep-keeper-alice.service" \
    "ls /var/lib/clawkeep/alice" "cat /var/lib/clawkeep/alice/vault.age" "cat /etc/clawkeep/alice.cred" \
    "systemd-creds decrypt --name=clawkeep-identity /etc/clawkeep/alice.cred -" \
    "systemctl stop clawkeep-keeper-alice" "systemctl restart openclaw-gateway" \
    "/usr/local/bin/clawkeep service run --for alice -- secret get gateway/token"; do
    as alice timeout 5 $what </dev/null >/tmp/closed 2>&1
    grep -qiE 'not permitted|denied|authentication required|takes root' /tmp/closed || { echo "open: $what"; cat /tmp/closed; }
  done
  rm -f /tmp/closed
}
"#;

/// A quick machine: a script that asks as the gateway does, and a program in OpenClaw's place that
/// tells a version.
fn stand_in() -> Option<Machine> {
    let machine = Machine::new()?;
    let script = include_str!("../link/stand_in.sh").replace("@DIR@", "/opt/openclaw");
    let package = r#"{"name":"openclaw","version":"2026.9.6"}"#;
    machine.write("opt/openclaw/package.json", package);
    machine.write("openclaw.json", CONFIG);
    machine.write("openclaw-gateway.service", UNIT);
    for (path, text) in [
        ("opt/openclaw/openclaw", script.as_str()),
        ("opt/stand-in/ask", include_str!("ask.sh")),
        ("opt/stand-in/race", include_str!("race.sh")),
        ("opt/stand-in/gateway", include_str!("gateway.sh")),
    ] {
        machine.write(path, text);
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(machine.path(path), mode).unwrap();
    }
    Some(machine)
}

const CONFIG: &str = r#"{
  gateway: { mode: "local", bind: "loopback", port: 18789, auth: { mode: "token", token: "fake-gateway-token-before-link-0123456789" } },
  models: { providers: { mock: { baseUrl: "http://127.0.0.1:9999/v1", models: [] } } },
}
"#;

/// What a user's own unit is like, as `openclaw gateway install` writes it.
const UNIT: &str = "[Unit]
Description=a stand-in for the gateway
StartLimitBurst=10
StartLimitIntervalSec=300
[Service]
ExecStart=/opt/stand-in/gateway
Environment=HOME=%h
Environment=OPENCLAW_SYSTEMD_UNIT=openclaw-gateway.service
Restart=always
RestartSec=0
KillMode=mixed
[Install]
WantedBy=default.target
";

const FAKE_TOKEN: &str = "fake-gateway-token-before-link-0123456789";

fn quick(text: &str) -> String {
    format!("KEY={KEY}\nTOKEN={FAKE_TOKEN}\n{FUNCTIONS}\n{text}")
}

/// What `log --json` shows for this step: result, reason, uid, and how often.
fn events(boot: &Transcript, step: &str) -> Vec<(String, String, u64, u64)> {
    let log: serde_json::Value = serde_json::from_str(&boot.step(step).ok().stdout).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    log["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            (
                text(&event["result"]),
                text(&event["reason"]),
                event["uid"].as_u64().unwrap_or(u64::MAX),
                event["count"].as_u64().unwrap(),
            )
        })
        .collect()
}

/// How often that happened.
fn count(events: &[(String, String, u64, u64)], result: &str, reason: &str, uid: u64) -> u64 {
    events
        .iter()
        .filter(|event| (event.0.as_str(), event.1.as_str(), event.2) == (result, reason, uid))
        .map(|event| event.3)
        .sum()
}

/// From a user's own gateway to the isolated form, asked from everywhere, and raced.
const FROM_ZERO: &str = r#"people
userdel clawkeep-alice # which the installer makes
ln -s /opt/openclaw/openclaw /usr/local/bin/openclaw
chmod 777 /opt/openclaw
as alice mkdir -m 700 .openclaw
as alice install -m 600 /openclaw.json .openclaw/openclaw.json
as alice mkdir -p .config/systemd/user
as alice install -m 600 /openclaw-gateway.service .config/systemd/user/openclaw-gateway.service
step 'onboard' as alice clawkeep onboard --yes --custody file --slot identity-file \
  --recovery-file recovery.txt --provider mock --profile-id mock:work --kind api-key --install <<<"$KEY"
# As the sheet says: off this machine.
mv /home/alice/recovery.txt /root/recovery.txt
rm /openclaw.json
# Before, whatever runs as alice is given everything.
step 'before' as alice /opt/stand-in/ask $ids
step 'install' sudo clawkeep service install --isolated --credential-key host --yes
step 'status' sudo clawkeep service status
step 'unit' cat /etc/systemd/system/openclaw-gateway.service
step 'starts' cat /home/alice/starts
step 'outside' as alice /opt/stand-in/ask $ids
step 'inside' inside openclaw-gateway.service alice /opt/stand-in/ask $ids
step 'bob' bob_asks
step 'root' env CONFIG=/home/alice/.openclaw/openclaw.json /opt/stand-in/ask $ids
for reason in outside-unit again other-user; do step "logged $reason" until_ok logged $reason 1; done
step 'log' log
# A shell that asks all the time, while the gateway is killed three times.
as alice /opt/stand-in/race >/tmp/raced 2>&1 &
raced=$!
asked() { [ "$(cat /home/alice/race)" -ge $1 ]; }
started() { [ "$(wc -l </home/alice/starts)" -ge $1 ]; }
for round in 2 3 4; do
  step "racing $round" until_ok asked $((round * 5))
  kill -9 "$(gateway)"
  step "started $round" until_ok started $round
done
step 'raced on' until_ok asked $(($(cat /home/alice/race) + 5))
touch /home/alice/stop
step 'race ended' wait $raced
rm /home/alice/stop
step 'raced' cat /tmp/raced
step 'all starts' cat /home/alice/starts
step 'closed' closed
step 'keeper' systemctl is-active clawkeep-keeper-alice
step 'the key in files' everywhere alice "$KEY"
step 'the token in files' everywhere alice "$TOKEN"
step 'identities in files' everywhere alice 'AGE-SECRET-KEY-1[0-9A-Z]{58}'
step 'old vault' as alice ls -A /home/alice/.local/share/clawkeep
step 'the key in the journal' bash -c 'journalctl -b --no-pager -a | grep -cF "$0"' "$KEY"
step 'the token in the journal' bash -c 'journalctl -b --no-pager -a | grep -cF "$0"' "$TOKEN"
"#;

#[test]
fn only_the_gateways_unit_is_given_the_keys_once_at_each_of_its_starts() {
    let Some(machine) = stand_in() else {
        return;
    };
    let boot = machine.boot(&quick(FROM_ZERO));
    for step in ["onboard", "install", "status"] {
        boot.step(step).ok();
    }
    let before = boot.step("before").ok();
    assert!(before.stdout.contains(KEY), "{before}");
    assert!(before.stdout.contains(FAKE_TOKEN), "{before}");
    let starts = boot.step("starts").ok().text();
    assert!(
        starts.starts_with("2 ") && starts.lines().count() == 1,
        "{boot}"
    );
    for step in ["outside", "inside", "bob", "root"] {
        nothing(&boot, step);
    }
    for step in ["outside", "inside"] {
        let locked = boot.step(step).ok();
        assert_eq!(locked.stdout.matches("LOCKED").count(), 2, "{locked}");
    }
    let log = events(&boot, "log");
    assert_eq!(count(&log, "released", "", 1000), 1, "{boot}");
    assert_eq!(count(&log, "refused", "outside-unit", 1000), 1, "{boot}");
    assert_eq!(count(&log, "refused", "again", 1000), 1, "{boot}");
    assert_eq!(count(&log, "refused", "other-user", 1001), 1, "{boot}");

    let starts: Vec<&str> = boot.step("all starts").ok().text().lines().collect();
    let invocations: std::collections::BTreeSet<&str> = starts
        .iter()
        .map(|line| line.strip_prefix("2 ").unwrap_or_else(|| panic!("{boot}")))
        .collect();
    assert_eq!((starts.len(), invocations.len()), (4, 4), "{boot}");
    let raced = boot.step("raced").ok().text();
    assert!(raced.ends_with(", given 0, other 0"), "{boot}");
    assert_eq!(boot.step("closed").ok().text(), "", "{boot}");
    assert_eq!(boot.step("keeper").ok().text(), "active");
    for step in [
        "the key in files",
        "the token in files",
        "identities in files",
        "the key in the journal",
        "the token in the journal",
    ] {
        boot.step(step).code(1);
    }
    let next = machine.boot(&quick(
        r"started() { [ $(wc -l </home/alice/starts) -ge 5 ]; }
step 'started' until_ok started
step 'starts' tail -n 1 /home/alice/starts
step 'outside' as alice /opt/stand-in/ask $ids
step 'inside' inside openclaw-gateway.service alice /opt/stand-in/ask $ids
step 'status' sudo clawkeep service status
",
    ));
    assert!(next.step("starts").ok().text().starts_with("2 "), "{next}");
    nothing(&next, "outside");
    nothing(&next, "inside");
    next.step("status").ok();
}

/// That step gave no value away, whatever it said.
#[track_caller]
fn nothing(boot: &Transcript, step: &str) {
    let step = boot.step(step);
    for value in [KEY, FAKE_TOKEN] {
        assert!(
            !step.stdout.contains(value) && !step.stderr.contains(value),
            "{step}"
        );
    }
}
