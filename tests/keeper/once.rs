//! `--release once`: each linked value once in each start, and nothing else.

use crate::lab::{Lab, frame, needs_root, resolve_frame, told};
use serde_json::{Value, json};
use std::path::Path;

const LINKED: [&str; 3] = ["s/one", "gateway/token", "provider/fakeai"];

/// A vault whose gateway asks for [`LINKED`].
fn linked() -> Lab {
    filled(Lab::new())
}

pub(crate) fn filled(mut lab: Lab) -> Lab {
    lab.put("s/unlinked", "fake-unlinked");
    lab.put("gateway/token", "fake-gateway-token");
    lab.link(&["s/one", "gateway/token", "provider/fakeai", "fakeai:a"]);
    lab
}

/// Stores a profile, by the passphrase, so that its selection id has a value.
fn paste(lab: &Lab, value: &str) {
    let args = ["models", "auth", "paste-token", "--provider", "fakeai"];
    let args = [&args[..], &["--profile-id", "fakeai:a"]].concat();
    let _ = lab.opened_cmd(&args).stdin(value).run().ok();
}

fn once(lab: &Lab) -> u32 {
    lab.unlock(&["--release", "once"])
}

fn all(lab: &Lab, ids: &[&str]) -> Vec<String> {
    lab.asked(ids)
}

/// Writes what `link` notes about a gateway of this version.
fn link_record(lab: &Lab, version: &str) {
    let record = json!({
        "version": 1, "lane": "file", "openclaw": version, "profiles": {},
        "config": "/nonexistent/openclaw.json", "command": "/nonexistent/clawkeep", "args": [],
        "linked": [],
    });
    lab.world
        .write(".local/share/clawkeep/link.json", record.to_string());
}

#[test]
fn each_linked_value_once_and_then_locked() {
    let lab = linked();
    paste(&lab, "fake-token-of-a-0123456789");
    once(&lab);
    let values = [
        "fake-value-one",
        "fake-gateway-token",
        "fake-token-of-a-0123456789",
    ];
    // In parts, in any order.
    assert_eq!(all(&lab, &LINKED[2..]), values[2..]);
    assert_eq!(all(&lab, &LINKED), [values[0], values[1], "LOCKED"]);
    for _ in 0..2 {
        assert_eq!(all(&lab, &LINKED), ["LOCKED"; 3]);
    }
    // What no ref asks for is given to nobody; what is not there costs nothing.
    assert_eq!(
        all(&lab, &["s/unlinked", "s/none"]),
        ["LOCKED", "NOT_FOUND"]
    );
    // The profile behind the selection id is linked for itself.
    assert_eq!(lab.one("fakeai:a"), values[2]);
    assert_eq!(lab.one("fakeai:a"), "LOCKED");

    // A start anew is a new round.
    let _ = lab.run(&["lock"]).ok();
    once(&lab);
    assert_eq!(all(&lab, &LINKED), values);
    assert_eq!(all(&lab, &LINKED), ["LOCKED"; 3]);
    let log = lab.run(&["log", "--json"]).ok().stdout;
    assert!(
        log.contains("\"again\"") && log.contains("\"not-linked\""),
        "{log}"
    );
}

#[test]
fn the_socket_has_no_other_verb() {
    let mut lab = linked();
    once(&lab);
    let before = std::fs::read(lab.dir().join("vault.age")).unwrap();
    let entry = json!({"kind": "secret", "value": "fake-planted", "created": 1, "updated": 1});
    for verb in [
        json!({"v": 1, "verb": "status"}),
        json!({"v": 1, "verb": "list"}),
        json!({"v": 1, "verb": "get", "id": "s/one"}),
        json!({"v": 1, "verb": "put", "id": "s/one", "entry": entry}),
        json!({"v": 1, "verb": "remove", "id": "s/one"}),
        json!({"v": 1, "verb": "link", "id": "s/unlinked"}),
        json!({"v": 1, "verb": "arm", "id": "s/one"}),
        json!({"v": 1, "verb": "unlock"}),
    ] {
        let answer = lab.connect().ask(&verb);
        assert!(answer["error"].is_string(), "{verb} {answer}");
        assert_eq!(
            answer.as_object().unwrap().len(),
            4 - usize::from(answer["hint"].is_null())
        );
    }
    assert_eq!(std::fs::read(lab.dir().join("vault.age")).unwrap(), before);
    // The program finds its state and its end without one.
    let status = lab.run(&["keeper", "status", "--json"]).ok().json();
    assert_eq!(status["release"], "once");
    assert_eq!(status["pid"], lab.keeper().unwrap());
    // Lists and reads go by the passphrase, past the keeper.
    let _ = lab
        .run(&["--non-interactive", "secret", "get", "s/one"])
        .fails(75);
    assert_eq!(
        lab.opened(&["secret", "get", "s/one"]).ok().stdout,
        "fake-value-one"
    );
    let _ = lab.run(&["lock"]).ok();
    lab.writer = None;
}

#[test]
fn nothing_is_given_to_who_repeats_no_challenge() {
    let lab = linked();
    once(&lab);
    let mut talk = lab.connect();
    let mut last = Value::Null;
    let mut question = resolve_frame(&["s/one"]);
    for _ in 0..5 {
        let answer = talk.ask(&question);
        let challenge = &answer["again"];
        assert!(challenge.is_string() && *challenge != last, "{answer}");
        // The one before, or one of his own.
        question["challenge"] = last;
        last = challenge.clone();
    }
    // One that was said to another connection.
    question["challenge"] = last;
    let answer = lab.connect().ask(&question);
    assert!(answer["again"].is_string(), "{answer}");
    let answer = talk.ask(&question);
    assert_eq!(answer["answers"][0]["value"], "fake-value-one");
}

/// 2026.2.26 asks twice at its start. That the second must come within 10 s is tried with a clock of
/// the test's in the ledger's own tests.
#[test]
fn who_is_said_to_ask_twice_gets_the_same_twice() {
    let ids = ["s/one", "gateway/token"];
    let ask = |flags: &[&str], record: bool| {
        let lab = linked();
        if record {
            // Any process of this user could have written that.
            link_record(&lab, "2026.2.26");
        }
        let flags = [&["--release", "once"], flags].concat();
        let _ = lab.unlock(&flags);
        lab
    };
    for (flags, record, second) in [
        (&["--asks-twice"][..], false, "fake-value-one"),
        (&[], false, "LOCKED"),
        (&[], true, "LOCKED"),
    ] {
        let lab = ask(flags, record);
        assert_eq!(all(&lab, &ids)[0], "fake-value-one");
        assert_eq!(all(&lab, &ids)[0], second, "{flags:?}");
        assert_eq!(all(&lab, &ids), ["LOCKED"; 2], "{flags:?}");
    }
    // Not a different one.
    let lab = ask(&["--asks-twice"], false);
    assert_eq!(all(&lab, &ids)[0], "fake-value-one");
    assert_eq!(lab.one("s/one"), "LOCKED");
}

#[test]
fn a_value_that_is_stored_is_given_once_more_and_no_other() {
    let lab = linked();
    paste(&lab, "fake-token-of-a-0123456789");
    once(&lab);
    let ids = ["s/one", "gateway/token", "provider/fakeai", "fakeai:a"];
    let _ = all(&lab, &ids);
    assert_eq!(all(&lab, &ids), ["LOCKED"; 4]);
    paste(&lab, "fake-token-of-b-0123456789");
    let new = "fake-token-of-b-0123456789";
    assert_eq!(all(&lab, &ids), ["LOCKED", "LOCKED", new, new]);
    assert_eq!(all(&lab, &ids), ["LOCKED"; 4]);
    // The same value again is meant as well.
    let _ = lab
        .opened_cmd(&["secret", "set", "s/one"])
        .stdin("fake-value-one")
        .run()
        .ok();
    assert_eq!(
        all(&lab, &ids),
        ["fake-value-one", "LOCKED", "LOCKED", "LOCKED"]
    );
    assert_eq!(all(&lab, &ids), ["LOCKED"; 4]);
}

#[test]
fn nothing_is_given_that_cannot_be_noted() {
    let lab = linked();
    once(&lab);
    let ledger = lab.dir().join("keeper-ledger.json");
    let _ = std::fs::remove_file(&ledger);
    std::fs::create_dir(&ledger).unwrap();
    std::fs::write(ledger.join("x"), "").unwrap();
    assert_eq!(lab.one("s/one"), "LOCKED");
    std::fs::remove_dir_all(&ledger).unwrap();
    assert_eq!(lab.one("s/one"), "fake-value-one");
    assert_eq!(lab.one("s/one"), "LOCKED");
}

/// The disk is full: in a small filesystem of its own, which no other process sees.
#[test]
fn nothing_is_given_while_the_disk_is_full() {
    if !needs_root() {
        return;
    }
    let lab = linked();
    let script = r#"
        set -eu
        v=$HOME/.local/share/clawkeep
        cp -a "$v" "$HOME/kept"
        mount -t tmpfs -o size=256k,mode=700 none "$v"
        cp -a "$HOME/kept/." "$v/"
        "$0" keeper start --foreground --release once --passphrase-file "$HOME/passphrase.txt" 2>/dev/null &
        until "$0" keeper status >/dev/null 2>&1; do sleep 0.05; done
        ask() { printf '{"protocolVersion":1,"ids":["%s"]}' "$1" | "$0" resolve --vault "$v"; echo; }
        dd if=/dev/zero of="$v/fill" bs=1k 2>/dev/null || true
        ask s/one
        rm "$v/fill"
        ask s/one
        ask s/one
        "$0" lock 2>/dev/null
    "#;
    let args = [
        "-m",
        "/bin/sh",
        "-c",
        script,
        env!("CARGO_BIN_EXE_clawkeep"),
    ];
    let run = lab.program(Path::new("/usr/bin/unshare"), &args);
    let run = run.env("PATH", "/usr/bin:/bin").run().ok();
    let said: Vec<String> = run
        .stdout
        .lines()
        .map(|line| told(&serde_json::from_str(line).unwrap(), "s/one"))
        .collect();
    assert_eq!(said, ["LOCKED", "fake-value-one", "LOCKED"], "{run}");
}

#[test]
fn a_damaged_ledger_closes_this_round_and_is_told() {
    let lab = linked();
    lab.world.write(
        ".local/share/clawkeep/keeper-ledger.json",
        "{\"version\":1,",
    );
    let run = lab.opened(&["unlock", "--release", "once"]).ok();
    assert!(run.stderr.contains("keeper-ledger.json"), "{run}");
    assert!(run.stderr.contains("clawkeep keeper arm"), "{run}");
    assert_eq!(lab.one("s/one"), "LOCKED");
    let _ = lab.opened(&["keeper", "arm", "--yes"]).ok();
    assert_eq!(lab.one("s/one"), "fake-value-one");
    assert_eq!(lab.one("s/one"), "LOCKED");
}

#[test]
fn once_is_refused_where_the_gateways_user_could_open_the_vault() {
    use clawkeep::vault::slot::{Slot, SlotKind, SlotName};
    let by_file = Lab::unattended();
    let by_keychain = Lab::made(false, |_, slots| {
        slots.push(Slot {
            name: SlotName::parse("keychain").unwrap(),
            created: slots[0].created,
            kind: SlotKind::Keychain,
        });
    });
    for (lab, name) in [(by_file, "identity-file"), (by_keychain, "keychain")] {
        let cmd = lab.opened_cmd(&["unlock", "--release", "once"]);
        let run = cmd
            .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
            .run()
            .fails(1);
        assert!(run.stderr.contains(&format!("slot {name}")), "{run}");
        assert!(run.stderr.contains("slot remove"), "{run}");
        assert_eq!(lab.keeper(), None);
        assert!(!lab.dir().join("keeper-state.json").exists());
    }
}

/// A unit that the keeper's own user could be is no wall; the flag must not be lost on the way to the
/// background either.
#[test]
fn a_unit_is_kept_in_the_background() {
    let lab = linked();
    let uid = rustix::process::geteuid().as_raw().to_string();
    let unit = ["--gateway-unit", "fake.service", "--gateway-user", &uid];
    let args = [&["keeper", "start", "--release", "once"], &unit[..]].concat();
    let run = lab.opened(&args).fails(1);
    assert!(run.stderr.contains("the gateway's own user"), "{run}");
    assert_eq!(lab.keeper(), None);
}

/// All at once, each id to the first who asks for it.
#[test]
fn two_hundred_at_once_get_each_value_once() {
    let mut lab = Lab::new();
    let ids: Vec<String> = (0..10).map(|n| format!("s/{n}")).collect();
    let vault = lab.writer.as_mut().unwrap();
    fill(vault, &ids);
    let names: Vec<&str> = ids.iter().map(String::as_str).collect();
    lab.link(&names);
    once(&lab);
    let given = crate::clients::ask_all(&lab, |n| ids[n % 10].clone(), 200);
    for (n, id) in ids.iter().enumerate() {
        let of_it: Vec<_> = given.iter().skip(n).step_by(10).collect();
        let value = format!("fake-{id}");
        assert_eq!(
            of_it.iter().filter(|given| ***given == value).count(),
            1,
            "{id}"
        );
        assert_eq!(
            of_it.iter().filter(|given| **given == "locked").count(),
            19,
            "{id}"
        );
    }
}

pub(crate) fn fill(vault: &mut clawkeep::vault::Vault, ids: &[String]) {
    fill_with(vault, ids, |id| format!("fake-{id}"));
}

pub(crate) fn fill_with(
    vault: &mut clawkeep::vault::Vault,
    ids: &[String],
    value: impl Fn(&str) -> String,
) {
    use clawkeep::secret::{Alphabet, Secret, SecretId, SecretKind};
    vault
        .update(|contents, now| {
            for id in ids {
                let value = Secret::new(value(id).as_bytes(), Alphabet::Text)?;
                let meta = clawkeep::store::Meta {
                    kind: SecretKind::Secret,
                    provider: None,
                    created: now,
                    updated: now,
                    expires: None,
                    was_plaintext: false,
                };
                let entry = clawkeep::vault::body::Entry { meta, value };
                contents.secrets.insert(SecretId::parse(id)?, entry);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_question_without_ids_or_with_one_twice_is_answered_as_such() {
    let lab = linked();
    once(&lab);
    let mut talk = lab.connect();
    let twice = json!({"v": 1, "verb": "resolve", "ids": ["s/one", "s/one"]});
    talk.send(&frame(twice.to_string().as_bytes()));
    let answer = talk.hear().unwrap();
    assert!(answer["error"].is_string(), "{answer}");
    assert_eq!(lab.one("s/one"), "fake-value-one");
}

/// The gateway may ask as soon as there is a socket. Since Linux 6.16 what the kernel attests depends on
/// the moment of the connection, not on that of its acceptance.
#[test]
fn who_connects_in_the_first_moment_is_heard_like_any_other() {
    use crate::lab::until;
    use std::io::{Read as _, Write as _};
    use std::process::Stdio;
    let lab = linked();
    // It listens, and then says that it is ready: to a pipe that is full.
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    while writer.write(&[b'x'; 4096]).is_ok() {}
    while writer.write(b"x").is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
    let start = ["keeper", "start", "--foreground", "--release", "once"];
    let mut command = lab.opened_cmd(&start).into_std();
    command.stdin(Stdio::null()).stderr(writer);
    let mut keeper = command.spawn().unwrap();
    drop(command);
    until("there is a socket", || lab.keeper().is_some());
    let mut early = lab.connect();
    let rest = std::thread::spawn(move || {
        let mut said = Vec::new();
        reader.read_to_end(&mut said).unwrap();
    });
    let given = early.resolve(&["s/one"]);
    assert_eq!(given[0]["value"], "fake-value-one");
    let _ = lab.run(&["lock"]).ok();
    assert!(keeper.wait().unwrap().success());
    rest.join().unwrap();
}
