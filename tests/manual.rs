//! What the papers promise is there: commands, flags, exit codes, doors, the format's worked example.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod source;

use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use source::{doors, root, sources, table, text};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Command;

/// `clawkeep <path> --help`: exit code 0 and the text.
fn help(path: &[&str]) -> String {
    let home = tempfile::tempdir().unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_clawkeep"))
        .args(path)
        .arg("--help")
        .env_clear()
        .env("HOME", home.path())
        .output()
        .unwrap();
    assert!(out.status.success(), "clawkeep {path:?} --help failed");
    String::from_utf8(out.stdout).unwrap()
}

/// Every command and its help, `""` for the program itself.
fn commands() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![String::new()];
    while let Some(path) = open.pop() {
        let words: Vec<&str> = path.split_whitespace().collect();
        let text = help(&words);
        let listed = text
            .lines()
            .skip_while(|line| *line != "Commands:")
            .skip(1)
            .take_while(|line| !line.is_empty())
            // Two blanks; what goes on in the next line has more.
            .filter_map(|line| line.strip_prefix("  "))
            .filter(|line| !line.starts_with(' '))
            .filter_map(|line| line.split_whitespace().next());
        for name in listed {
            open.push(format!("{path} {name}").trim().to_owned());
        }
        found.insert(path, text);
    }
    found
}

/// Commands that have no commands below them.
fn leaves(commands: &BTreeMap<String, String>) -> Vec<&String> {
    commands
        .keys()
        .filter(|path| !commands[*path].lines().any(|line| line == "Commands:"))
        .collect()
}

/// The long flags that a help text names.
fn flags(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .filter(|word| word.len() > 2 && word.starts_with("--"))
        .map(str::to_owned)
        .collect()
}

/// The code of a Markdown text: each line of its blocks (continued lines joined) and each inline piece.
fn code(markdown: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut language = None;
    for line in markdown.replace("\\\n", " ").lines() {
        if let Some(mark) = line.strip_prefix("```") {
            language = match language {
                None => Some(mark.to_owned()),
                Some(_) => None,
            };
        } else if let Some(language) = &language {
            if language == "sh" {
                found.push(line.to_owned());
            }
        } else {
            found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    found
}

/// A call of clawkeep within a line of code: the command and its flags.
struct Call {
    command: String,
    flags: Vec<String>,
}

/// Every call of clawkeep in a line, whatever it is piped from or into.
fn calls(line: &str, commands: &BTreeMap<String, String>) -> Vec<Call> {
    let line = line.replace("cargo run --release --", "clawkeep");
    line.split(['|', ';', '&'])
        .filter_map(|part| {
            let is_before = |word: &&str| *word == "sudo" || is_assignment(word);
            let words = part.split_whitespace().skip_while(is_before);
            let part = words.collect::<Vec<_>>().join(" ");
            let part = part.strip_prefix("~/.local/bin/").unwrap_or(&part);
            part.strip_prefix("clawkeep ").map(str::to_owned)
        })
        .map(|rest| {
            let mut command = String::new();
            let mut flags = Vec::new();
            let mut takes_commands = true;
            // What stands behind `--` belongs to another program.
            for word in rest.split_whitespace().take_while(|word| *word != "--") {
                let longer = format!("{command} {word}").trim().to_owned();
                if word.starts_with("--") {
                    flags.push(word.split('=').next().unwrap().to_owned());
                } else if takes_commands && commands.contains_key(&longer) {
                    command = longer;
                } else if !commands[&command].lines().any(|line| line == "Commands:") {
                    takes_commands = false;
                } else if flags.is_empty() {
                    panic!("`clawkeep {rest}` names no command of clawkeep");
                }
            }
            Call { command, flags }
        })
        .collect()
}

/// `NAME=value` before a command.
fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
    })
}

#[track_caller]
fn assert_calls(paper: &str, pieces: &[String], commands: &BTreeMap<String, String>) {
    for piece in pieces {
        for call in calls(piece, commands) {
            let known = flags(&commands[&call.command]);
            for flag in &call.flags {
                assert!(
                    known.contains(flag) || flag == "--version" || flag == "--help",
                    "{paper}: clawkeep {} has no {flag}",
                    call.command
                );
            }
        }
    }
}

#[test]
fn every_command_and_flag_in_the_papers_exists() {
    let commands = commands();
    let all: BTreeSet<String> = commands.values().flat_map(|text| flags(text)).collect();
    let script = flags(&text("scripts/test"));
    for paper in [
        "README.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "docs/format.md",
        "docs/keeper.md",
    ] {
        let pieces = code(&text(paper));
        assert_calls(paper, &pieces, &commands);
        for piece in &pieces {
            let first = piece.split_whitespace().next().unwrap_or_default();
            if first.starts_with("--") {
                assert!(
                    flags(piece)
                        .iter()
                        .all(|flag| all.contains(flag) || script.contains(flag)),
                    "{paper}: nothing here has {piece}"
                );
            } else if first == "scripts/test" {
                assert!(flags(piece).is_subset(&script), "{paper}: {piece}");
            }
        }
    }
}

#[test]
fn the_readme_names_every_command() {
    let commands = commands();
    let pieces = code(&text("README.md"));
    let named: BTreeSet<String> = pieces
        .iter()
        .flat_map(|piece| calls(piece, &commands))
        .map(|call| call.command)
        .collect();
    for command in leaves(&commands) {
        assert!(
            named.contains(command),
            "README.md does not show clawkeep {command}"
        );
    }
}

#[test]
fn every_command_has_an_example_that_is_its_own() {
    let commands = commands();
    let leaves = leaves(&commands);
    assert!(leaves.len() > 15, "{leaves:?}");
    for command in leaves {
        // Wrapped to the width of a terminal: what does not begin a line of its own goes on.
        let (_, after) = commands[command]
            .split_once("\nExample:")
            .unwrap_or_else(|| panic!("clawkeep {command} --help shows no example"));
        let text = after.replace('\n', " ");
        let examples: Vec<String> = text.split("Script:").map(str::to_owned).collect();
        assert_calls("--help", &examples, &commands);
        for example in &examples {
            assert!(
                calls(example, &commands)
                    .iter()
                    .any(|call| call.command == *command),
                "the example of clawkeep {command} is of another command: {example}"
            );
        }
    }
}

#[test]
fn the_first_blocks_are_the_two_commands() {
    let readme = text("README.md");
    let blocks: Vec<&str> = readme
        .split("```sh\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().trim())
        .collect();
    assert_eq!(blocks[0], "cargo run --release -- onboard");
    assert!(blocks.contains(&"scripts/test"));
    assert!(text(".ci/run").contains("exec scripts/test"));
}

#[test]
fn every_exit_code_is_listed_once() {
    let readme: Vec<String> = table(&text("README.md"), "## Exit codes")
        .into_iter()
        .map(|row| row[0].clone())
        .collect();
    let source = text("src/error.rs");
    let (_, function) = source.split_once("fn exit_code").unwrap();
    let mut real: Vec<u8> = function
        .split_once("\n    }\n")
        .unwrap()
        .0
        .split("=> ")
        .skip(1)
        .map(|arm| arm.split(',').next().unwrap().trim().parse().unwrap())
        .collect();
    real.sort_unstable();
    real.dedup();
    let real: Vec<String> = real.iter().map(u8::to_string).collect();
    assert_eq!(readme, real);
    let help = help(&[]);
    let line = help
        .lines()
        .find_map(|line| line.strip_prefix("Exit codes:"))
        .unwrap();
    let said: Vec<&str> = line
        .split(',')
        .map(|part| part.split_whitespace().next().unwrap())
        .collect();
    assert_eq!(said, real);
}

#[test]
fn every_door_is_listed_in_security() {
    let listed: BTreeSet<String> = table(&text("SECURITY.md"), "## Doors")
        .into_iter()
        .map(|row| format!("{}: {}", row[0].trim_matches('`'), row[1]))
        .collect();
    assert_eq!(listed, doors(&sources("src")));
}

#[test]
fn what_is_not_defended_is_numbered() {
    let security = text("SECURITY.md");
    let (_, after) = security.split_once("## What is not defended").unwrap();
    let section = after.split("\n## ").next().unwrap();
    let numbers: Vec<usize> = section
        .lines()
        .filter_map(|line| line.split_once(". **")?.0.parse().ok())
        .collect();
    assert!(numbers.len() >= 10);
    assert_eq!(numbers, (1..=numbers.len()).collect::<Vec<_>>());
    assert!(text("README.md").contains("](SECURITY.md)"));
}

/// The sentence about what a vault at rest does is one sentence, wherever it stands.
#[test]
fn the_readme_says_what_init_says() {
    let flat = |text: &str| {
        text.replace("\\\n", " ")
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    let source = flat(&text("src/cli/init.rs"));
    let (_, after) = source.split_once("AT_REST: &str = \"").unwrap();
    let sentence = after.split('"').next().unwrap();
    assert!(sentence.contains("an agent that runs as the same user"));
    assert!(
        flat(&text("README.md")).contains(sentence),
        "README.md lacks: {sentence}"
    );
}

#[test]
fn every_file_that_a_paper_links_is_there() {
    for paper in [
        "README.md",
        "SECURITY.md",
        "docs/format.md",
        "docs/keeper.md",
    ] {
        let folder = root(paper);
        for part in text(paper).split("](").skip(1) {
            let target = part.split(')').next().unwrap();
            if !target.starts_with("https://") {
                assert!(
                    folder.parent().unwrap().join(target).is_file(),
                    "{paper} links {target}"
                );
            }
        }
    }
}

/// The rows of a paper's worked example, and those that can be computed from its identity, its line 1
/// and the MAC's `info`: with nothing of clawkeep's.
fn worked(paper: &str, info: &[u8]) -> (BTreeMap<String, String>, Vec<(&'static str, String)>) {
    let rows: BTreeMap<String, String> = table(&text(paper), "An example,")
        .into_iter()
        .map(|row| (row[0].clone(), row[1].trim_matches('`').to_owned()))
        .collect();
    let secret: Vec<u8> = (0..32).collect();
    let hrp = bech32::Hrp::parse("age-secret-key-").unwrap();
    let identity = bech32::encode_upper::<bech32::Bech32>(hrp, &secret).unwrap();
    let public = identity
        .parse::<age::x25519::Identity>()
        .unwrap()
        .to_public()
        .to_string();
    let id = Sha256::digest(public.as_bytes());
    let mut key = [0; 32];
    Hkdf::<Sha256>::new(Some(&id), &secret)
        .expand(info, &mut key)
        .unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(rows["line 1"].as_bytes());
    let hex = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    };
    let right = vec![
        ("identity", identity),
        ("vault id", hex(&id)),
        ("MAC key", hex(&key)),
        ("MAC", hex(&mac.finalize().into_bytes())),
        ("secret bytes", hex(&secret)),
        ("public half", public),
    ];
    (rows, right)
}

/// Scripts name the ids, and people look them up.
#[test]
fn the_readme_lists_every_check_of_the_doctor() {
    let listed = table(&text("README.md"), "## When something does not work");
    let there: Vec<Vec<String>> = clawkeep::doctor::CHECKS
        .iter()
        .map(|check| {
            let severity = check.severity.name();
            [&format!("`{}`", check.id), severity, check.about]
                .map(str::to_owned)
                .to_vec()
        })
        .collect();
    assert_eq!(listed, there);
}

#[test]
fn the_formats_worked_example_is_right() {
    let (rows, right) = worked("docs/format.md", b"clawkeep/v1/mac/vault");
    assert!(
        rows["line 1"].ends_with("}  "),
        "the example's padding is gone"
    );
    for (what, value) in right {
        assert_eq!(rows[what], value, "{what}");
    }
    // And clawkeep's own reading of the same identity.
    let ours = clawkeep::vault::identity::Identity::parse(&rows["identity"]).unwrap();
    assert_eq!(ours.vault_id().to_string(), rows["vault id"]);
}

#[test]
fn the_tickets_worked_example_is_right_and_believed() {
    use clawkeep::keeper::published::Challenge;
    use clawkeep::keeper::ticket::{self, Ids, Proof, Taken, Ticket};
    let (rows, right) = worked("docs/keeper.md", b"clawkeep/v1/mac/arm");
    for (what, value) in right.into_iter().take(4) {
        assert_eq!(rows[what], value, "{what}");
    }
    let line: serde_json::Value = serde_json::from_str(&rows["line 1"]).unwrap();
    let challenge = Challenge::parse(line["challenge"].as_str().unwrap()).unwrap();
    let identity = clawkeep::vault::identity::Identity::parse(&rows["identity"]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = format!("{}\n{{\"mac\":\"{}\"}}\n", rows["line 1"], rows["MAC"]);
    clawkeep::file::create(&dir.path().join(ticket::NAME), file.as_bytes(), 0o600).unwrap();
    let taken = Ticket::take(dir.path(), &challenge, &identity);
    let Taken::Believed(ticket, Proof::Mac) = taken else {
        panic!("{taken:?}");
    };
    let Ids::Some(ids) = &ticket.ids else {
        panic!("{ticket:?}");
    };
    assert!(
        ids.iter()
            .map(clawkeep::secret::RefId::as_str)
            .eq(["anthropic:work"])
    );
    // And what clawkeep writes is that text, byte for byte.
    ticket.leave(dir.path(), Some(&identity)).unwrap();
    let written = std::fs::read_to_string(dir.path().join(ticket::NAME)).unwrap();
    assert_eq!(written, file);
}

/// A table that says which test shows what is worth as much as those tests.
#[test]
fn the_tests_that_security_names_are_there() {
    let security = text("SECURITY.md");
    let mut named = 0;
    for piece in security
        .split('`')
        .filter(|piece| piece.starts_with("tests/"))
    {
        let (file, test) = piece.split_once("::").expect("file::test");
        let source = text(file);
        assert!(source.contains(&format!("#[test]\nfn {test}()")), "{piece}");
        named += 1;
    }
    assert!(named >= 5, "only {named} tests are named");
}
