//! Everything that the program says, as a whole: output, talk and exit code of every command, for
//! people and as JSON, when it goes well and when it does not; and every `--help`.
//!
//! After a change that is meant: `INSTA_UPDATE=always cargo test --test snapshots`, and read the diff.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; it writes files of its own world"
)]

mod common;

use clap::CommandFactory as _;
use clawkeep::cli::args::Cli;
use common::World;
use common::vault::{SETUP_TOKEN, request};
use std::fmt::Write as _;

/// One transcript: each command with what it was given, and what came.
struct Transcript {
    world: World,
    text: String,
}

impl Transcript {
    fn new() -> Self {
        Transcript {
            world: World::new(),
            text: String::new(),
        }
    }

    fn run(&mut self, args: &[&str]) -> &mut Self {
        self.piped(args, "")
    }

    fn piped(&mut self, args: &[&str], input: &str) -> &mut Self {
        let run = self.world.cmd(args).stdin(input).run();
        let pipe = if input.is_empty() { "" } else { "… | " };
        let _ = writeln!(self.text, "$ {pipe}clawkeep {}\n{run}", args.join(" "));
        self
    }

    /// Holds it against the file of that name, without what chance and clock make.
    fn holds(&self, name: &str) {
        let mut settings = insta::Settings::clone_current();
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        for (pattern, name) in [
            (r"\d{4}-\d\d-\d\d \d\d:\d\d [+-]\d\d:\d\d", "[DATE]"),
            (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d\d:\d\d", "[SECOND]"),
            (r"/\S*/snapshots-\[?\w+\]?", "[TEST]"),
            (r"/\S*/debug/clawkeep\b", "[CLAWKEEP]"),
            (r#"("pid": |[\]?] \()\d+"#, "$1[PID]"),
            (r#"("uid": |, uid )\d+"#, "$1[UID]"),
            (r"\b1[789]\d{11}\b", "[MS]"),
            (r"\b\d+ MiB", "[N] MiB"),
            (r"\b\d+ KiB", "[N] KiB"),
            // What this machine's kernel has is not the program's doing.
            (r"\n\nnote  ptrace-scope.*\n.*\n", "\n"),
            (r"note  ptrace-scope.*\n.*\n", ""),
            (r"\d+ checks passed", "[N] checks passed"),
            (r"(checks passed.*?), \d notes?", "$1"),
            (r" +\n", "\n"),
        ] {
            settings.add_filter(pattern, name);
        }
        settings.bind(|| insta::assert_snapshot!(name, self.text));
    }
}

#[test]
fn a_vault_from_its_making_to_its_rekey() {
    let mut t = Transcript::new();
    t.world
        .passphrase_file("pass", "fake correct horse battery");
    t.run(&["init"])
        .run(&["init", "--slot", "identity-file"])
        .run(&[
            "init",
            "--slot",
            "identity-file",
            "--slot",
            "passphrase",
            "--new-passphrase-file",
            "pass",
            "--recovery-file",
            "sheet.txt",
        ])
        .run(&["init", "--slot", "identity-file", "--no-recovery"])
        .run(&["slot", "list"])
        .run(&["slot", "list", "--json"])
        .run(&["slot", "add", "identity-file"])
        .run(&[
            "slot",
            "add",
            "identity-file",
            "--name",
            "usb",
            "--identity-file",
            "usb.txt",
        ])
        .run(&["slot", "remove", "usb"])
        .run(&["slot", "remove", "usb", "--yes"])
        .run(&["slot", "remove", "usb", "--yes", "--keep-identity"])
        .run(&["slot", "remove", "usb", "--yes"])
        .run(&["recovery", "check"])
        .run(&["recovery", "check", "--recovery-file", "sheet.txt"])
        .run(&["recovery", "check", "--recovery-file", "usb.txt"])
        .piped(&["secret", "set", "notes"], "fake")
        .run(&["rekey"])
        .run(&["rekey", "--yes"])
        .run(&["rekey", "--yes", "--drop", "passphrase"])
        .run(&["slot", "remove", "identity-file", "--yes"]);
    t.holds("vault");
}

#[test]
fn credentials_of_providers() {
    let mut t = Transcript::new();
    t.world.init();
    let auth = |words: &[&'static str]| [&["models", "auth"], words].concat();
    t.run(&auth(&["list"]))
        .run(&auth(&["list", "--json"]))
        .run(&auth(&["paste-token"]))
        .run(&auth(&["paste-token", "--provider", "anthropic"]))
        .piped(&auth(&["paste-token", "--provider", "anthropic"]), "fake")
        .piped(
            &auth(&["paste-token", "--provider", "anthropic"]),
            "sk-ant-oat01-FAKE",
        )
        .piped(
            &auth(&[
                "paste-token",
                "--provider",
                "anthropic",
                "--expires-in",
                "1w",
            ]),
            SETUP_TOKEN,
        )
        .piped(
            &auth(&[
                "paste-token",
                "--provider",
                "anthropic",
                "--expires-in",
                "365d",
            ]),
            SETUP_TOKEN,
        )
        .piped(
            &auth(&["paste-api-key", "--provider", "openai"]),
            "gsk_FAKE0123456789",
        )
        .piped(
            &auth(&["paste-api-key", "--provider", "openai", "--force"]),
            "gsk_FAKE0123456789",
        )
        .piped(&auth(&["setup-token"]), SETUP_TOKEN)
        .piped(&auth(&["setup-token", "--provider", "openai"]), SETUP_TOKEN)
        .run(&auth(&["add"]))
        .run(&auth(&["list"]))
        .run(&auth(&["list", "--json", "--provider", "openai"]))
        .run(&auth(&["logout"]))
        .run(&auth(&["logout", "--profile-id", "openai:manual"]))
        .run(&auth(&["logout", "--profile-id", "openai:manual", "--yes"]))
        .run(&auth(&["logout", "--profile-id", "openai:manual", "--yes"]));
    t.holds("credentials");
}

#[test]
fn other_secrets_and_resolve() {
    let mut t = Transcript::new();
    t.world.init();
    t.run(&["secret", "list"])
        .run(&["secret", "list", "--json"])
        .piped(
            &[
                "secret",
                "set",
                "channels/telegram/token",
                "--expires-in",
                "30d",
            ],
            "fake-value\n",
        )
        .run(&["secret", "set", "channels/telegram/token"])
        .piped(&["secret", "set", "not an id"], "fake-value")
        .run(&["secret", "get", "channels/telegram/token"])
        .run(&["secret", "get", "absent"])
        .run(&["secret", "list"])
        .run(&["secret", "list", "--json"])
        .run(&["status"])
        .run(&["status", "--json"])
        .piped(
            &["resolve"],
            &request(&["channels/telegram/token", "absent", "a b", "provider/x"]),
        )
        .piped(&["resolve"], "{")
        .piped(&["resolve"], "{\"protocolVersion\":2,\"ids\":[]}")
        .run(&["secret", "remove", "channels/telegram/token"])
        .run(&["secret", "remove", "channels/telegram/token", "--yes"])
        .run(&["secret", "remove", "channels/telegram/token", "--yes"]);
    t.holds("secrets");
}

#[test]
fn who_asked_for_what() {
    let mut t = Transcript::new();
    t.run(&["log"]);
    t.world.init();
    t.run(&["log"])
        .run(&["log", "--json"])
        .piped(&["secret", "set", "channels/telegram/token"], "fake-value");
    let ask = |t: &mut Transcript, ids: &[&str]| {
        t.piped(&["resolve"], &request(ids));
    };
    ask(&mut t, &["channels/telegram/token", "absent"]);
    ask(&mut t, &["a b"]);
    ask(&mut t, &["a b"]);
    std::fs::remove_file(t.world.identity_file()).unwrap();
    ask(&mut t, &["channels/telegram/token"]);
    t.run(&["log"])
        .run(&["log", "--released"])
        .run(&["log", "--refused"])
        .run(&["log", "--json"])
        .run(&["log", "--released", "--refused"]);
    let log = t.world.vault().join("log");
    std::fs::write(log.join("releases.jsonl"), "{\"at\":1}\n").unwrap();
    t.run(&["log", "--released"]);
    std::fs::remove_dir_all(&log).unwrap();
    std::fs::write(&log, "").unwrap();
    t.run(&["log"]).run(&["log", "--json"]);
    t.holds("log");
}

#[test]
fn a_command_with_secrets() {
    let mut t = Transcript::new();
    t.world.init();
    let print = ["--", "/usr/bin/printenv", "OPENROUTER_API_KEY", "BOT"];
    let run = |flags: &[&'static str]| [&["run"], flags, &print].concat();
    t.run(&run(&[]))
        .piped(
            &[
                "models",
                "auth",
                "paste-api-key",
                "--provider",
                "openrouter",
            ],
            "sk-or-fake-0123456789",
        )
        .piped(&["secret", "set", "bot"], "fake-bot")
        .run(&run(&["--provider", "openrouter", "--env", "BOT=bot"]))
        .run(&run(&["--provider", "anthropic"]))
        .run(&run(&["--only", "bot"]))
        .run(&run(&["--only", "none"]))
        .run(&run(&["--only", "provider/openrouter"]))
        .run(&run(&["--env", "BOT"]))
        .run(&run(&["--env", "B-T=bot"]))
        .run(&run(&["--env", "LD_PRELOAD=bot"]))
        .run(&run(&[
            "--env",
            "OPENROUTER_API_KEY=bot",
            "--provider",
            "openrouter",
        ]))
        .run(&["run"])
        .run(&["run", "printenv", "BOT"])
        .run(&["run", "--", "/nowhere/command"])
        .run(&["run", "--", "/etc/passwd"]);
    t.holds("run");
}

#[test]
fn without_a_vault_and_with_a_locked_one() {
    let mut t = Transcript::new();
    let commands: [&[&str]; 13] = [
        &["status"],
        &["run", "--", "/bin/echo", "started"],
        &["scan"],
        &["secret", "list"],
        &["secret", "list", "--json"],
        &["secret", "get", "id"],
        &["slot", "list"],
        &["slot", "list", "--json"],
        &["slot", "add", "identity-file", "--name", "x"],
        &["rekey", "--yes"],
        &["recovery", "check", "--recovery-file", "none.txt"],
        &["models", "auth", "list"],
        &["models", "auth", "logout", "--provider", "x", "--yes"],
    ];
    for command in commands {
        t.run(command);
    }
    t.piped(&["resolve"], &request(&["id"]));
    t.piped(
        &["models", "auth", "paste-token", "--provider", "x"],
        "fake",
    );
    t.holds("no-vault");

    let mut t = Transcript::new();
    t.world.init();
    std::fs::remove_file(t.world.identity_file()).unwrap();
    for command in commands {
        t.run(command);
    }
    t.piped(&["resolve"], &request(&["id"]));
    t.piped(
        &["models", "auth", "paste-token", "--provider", "x"],
        "fake",
    );
    t.holds("locked");
}

#[test]
fn a_new_machine() {
    let mut t = Transcript::new();
    t.run(&["backup", "vault.tar"])
        .run(&["restore", "vault.tar"])
        .run(&["export"]);
    let _ = t
        .world
        .run(&[
            "init",
            "--slot",
            "identity-file",
            "--recovery-file",
            "sheet.txt",
        ])
        .ok();
    t.run(&["export", "--output", "values.json"]);
    t.world.paste(
        "openrouter",
        "openrouter:work",
        "sk-or-fake-0123456789",
        &[],
    );
    t.world.set("notes/text", "fake");
    t.run(&["backup", "vault.tar"])
        .run(&["backup", "vault.tar"])
        .run(&["export"])
        .run(&["export", "--output", "values.json"])
        .run(&["export", "--output", "values.json", "--yes"])
        .run(&[
            "export",
            "--format",
            "env",
            "--output",
            "values.env",
            "--yes",
        ]);
    let shown = |t: &mut Transcript, name: &str| {
        let text = String::from_utf8(t.world.read(name)).unwrap();
        let text = t.world.tidy(&text);
        let _ = writeln!(t.text, "$ cat {name}\n{text}");
    };
    shown(&mut t, "values.json");
    shown(&mut t, "values.env");
    t.run(&["restore", "vault.tar"])
        .run(&["restore", "vault.tar", "--replace"])
        .run(&["restore", "vault.tar", "--replace", "--yes"]);
    std::fs::remove_dir_all(t.world.vault()).unwrap();
    std::fs::remove_file(t.world.identity_file()).unwrap();
    t.run(&["restore", "sheet.txt"])
        .run(&["restore", "vault.tar"])
        .run(&["recovery", "check", "--recovery-file", "sheet.txt"])
        .run(&[
            "slot",
            "add",
            "identity-file",
            "--replace",
            "--recovery-file",
            "sheet.txt",
        ])
        .run(&["secret", "get", "notes/text"]);
    let unpacked = std::process::Command::new("/usr/bin/tar")
        .args(["xf", "vault.tar"])
        .current_dir(t.world.home())
        .status()
        .unwrap();
    assert!(unpacked.success());
    shown(&mut t, "clawkeep-backup/README.txt");
    shown(&mut t, "clawkeep-backup/backup.json");
    t.holds("new-machine");
}

#[test]
fn wrong_usage() {
    let mut t = Transcript::new();
    for args in [
        &[][..],
        &["--version"],
        &["sekret"],
        &["secret"],
        &["secret", "lst"],
        &["secret", "list", "--jsn"],
        &["secret", "list", "extra", "--json"],
        &["secret", "get"],
        &["slot", "add", "passwords"],
        &["init", "--custody", "paper"],
        &["init", "--recovery-file", "x", "--no-recovery"],
        &["slot", "add", "passphrase", "--keep-identity"],
        &["--vault-id", "abc", "secret", "list"],
        &["models", "auth", "--agent", "a b", "list"],
        &["models", "auth", "paste-token", "--provider", SETUP_TOKEN],
    ] {
        t.run(args);
    }
    // The one argument that is shown here is shown by this test.
    t.text = t.text.replace(SETUP_TOKEN, "[SETUP-TOKEN]");
    t.holds("usage");
}

#[test]
fn what_the_doctor_finds() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut t = Transcript::new();
    t.run(&["doctor"]);
    t.world.init();
    let vault = t.world.vault().join("vault.age");
    std::fs::set_permissions(&vault, std::fs::Permissions::from_mode(0o644)).unwrap();
    t.world
        .write(".env", "OPENAI_API_KEY=sk-FAKE-0123456789abcdef\n");
    t.run(&["doctor"])
        .run(&["doctor", "--yes"])
        .run(&["doctor", "--fix"])
        .run(&["doctor", "--fix", "--yes"])
        .run(&["doctor", "--fix", "--yes"])
        .run(&["doctor", "--openclaw", "/nowhere", "--json"]);
    t.holds("doctor");
}

#[test]
fn every_help() {
    let mut t = Transcript::new();
    for path in paths(&Cli::command(), &[]) {
        let words: Vec<&str> = path.iter().map(String::as_str).collect();
        t.run(&[&words[..], &["--help"]].concat());
    }
    for short in [
        &["run", "-h"][..],
        &["scan", "-h"],
        &["models", "auth", "paste-token", "-h"],
        &["-h"],
        &["init", "-h"],
        &["resolve", "-h"],
    ] {
        t.run(short);
    }
    t.holds("help");
}

/// Every command that is shown, by its words; the program itself is the first.
fn paths(command: &clap::Command, above: &[String]) -> Vec<Vec<String>> {
    let mut found = vec![above.to_vec()];
    for below in command.get_subcommands().filter(|it| !it.is_hide_set()) {
        let path = [above, &[below.get_name().to_owned()]].concat();
        found.extend(paths(below, &path));
    }
    found
}
