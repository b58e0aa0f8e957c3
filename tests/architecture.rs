//! The walls of the house: who may import whom, which crate may be named where, and that every door
//! says that it is one. The rings are those of the table in `src/lib.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod source;

use source::{Source, allows, sources, table, text, words};
use std::collections::{BTreeMap, BTreeSet};

/// The top module of a file: `cli` for `src/cli/app.rs`; `None` for the map and the program.
fn module(path: &str) -> Option<&str> {
    let below = path.strip_prefix("src/")?;
    let name = below.split('/').next()?.trim_end_matches(".rs");
    (!matches!(name, "lib" | "main")).then_some(name)
}

/// What the table in `src/lib.rs` says: each module's ring.
fn rings() -> BTreeMap<String, String> {
    let mut rings = BTreeMap::new();
    for row in table(&text("src/lib.rs"), "//! The map.") {
        let ring = row[0].split(' ').next().unwrap();
        for name in row[1].split_whitespace() {
            let name = name.trim_start_matches("[`").trim_end_matches("`]");
            let twice = rings.insert(name.to_owned(), ring.to_owned());
            assert!(twice.is_none(), "{name} stands in two rings");
        }
    }
    rings
}

/// Every module of ours that a file names: by `crate::x`, `crate::{x, y}`, or by enough `super::`.
fn named(source: &Source, rings: &BTreeMap<String, String>, own: &str) -> BTreeSet<String> {
    let flat = flat(&source.bare);
    let paths = |root: &'static str| {
        words(&flat, root).filter_map(|at| {
            // `pub(crate)` has no path.
            let rest = flat[at + root.len()..].strip_prefix("::")?;
            Some(match rest.strip_prefix('{') {
                Some(group) => first_names(group),
                None => vec![ident(rest)],
            })
        })
    };
    let mut found: BTreeSet<String> = paths("crate").flatten().collect();
    for name in &found {
        assert!(
            rings.contains_key(name),
            "{} names crate::{name}, which is in no ring",
            source.path
        );
    }
    let children = children(own);
    found.extend(
        paths("super")
            .flatten()
            .filter(|name| rings.contains_key(name) && !children.contains(name)),
    );
    found.remove(own);
    found
}

/// One blank between words, none around what paths are made of.
fn flat(code: &str) -> String {
    let mut flat = code.split_whitespace().collect::<Vec<_>>().join(" ");
    for sign in ["::", "{", "}", ","] {
        flat = flat.replace(&format!("{sign} "), sign);
    }
    flat.replace(" ::", "::")
        .replace(" }", "}")
        .replace(" ,", ",")
}

/// The names of the modules below a top module: `super::secret` in `cli` is `cli::secret`.
fn children(top: &str) -> BTreeSet<String> {
    let folder = source::root("src").join(top);
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

fn ident(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '*'))
        .collect()
}

/// `a::b,c::{d,e},f}` → a, c, f
fn first_names(group: &str) -> Vec<String> {
    let mut names = vec![ident(group)];
    let mut depth = 0;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(ident(&group[at + 1..])),
            _ => {}
        }
    }
    // A trailing comma names nothing.
    if names.len() > 1 && names.last().is_some_and(String::is_empty) {
        names.pop();
    }
    names
}

fn edges() -> BTreeMap<String, BTreeSet<String>> {
    let rings = rings();
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in &sources("src") {
        if let Some(own) = module(&source.path) {
            edges
                .entry(own.to_owned())
                .or_default()
                .extend(named(source, &rings, own));
        }
    }
    edges
}

#[test]
fn the_map_names_every_module_and_nothing_else() {
    let declared: BTreeSet<String> = text("src/lib.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .map(str::to_owned)
        .collect();
    let mapped: BTreeSet<String> = rings().into_keys().collect();
    assert_eq!(declared, mapped);
    let there: BTreeSet<String> = sources("src")
        .iter()
        .filter_map(|source| module(&source.path))
        .map(str::to_owned)
        .collect();
    assert_eq!(there, mapped);
}

#[test]
fn imports_go_downward_only() {
    let rings = rings();
    let below = |ring: &str| match ring {
        "0" => vec![],
        "1" => vec!["0"],
        "2" | "2'" => vec!["0", "1"],
        "3" => vec!["0", "1", "2", "2'"],
        "4" => vec!["0", "1", "2", "2'", "3"],
        other => panic!("no ring {other} is known here"),
    };
    for (own, named) in edges() {
        let ring = rings[&own].as_str();
        for other in named {
            let theirs = rings[&other].as_str();
            assert!(
                theirs == ring || below(ring).contains(&theirs),
                "{own} (ring {ring}) names {other} (ring {theirs})"
            );
        }
    }
}

/// Modules of one ring are strangers, but for these. Both ways: one that is no longer needed goes.
#[test]
fn neighbours_in_a_ring_are_strangers() {
    let acquainted = [
        // A word may be made of words.
        ("assignment", "error"),
        ("expiry", "error"),
        ("provider", "error"),
        ("provider", "secret"),
        ("secret", "error"),
        // The keychain asks the machine whether there is a session bus.
        ("keychain", "host"),
        // A vault is a store.
        ("vault", "store"),
        // A keeper holds a vault, and is a store for its own user.
        ("keeper", "store"),
        ("keeper", "vault"),
    ];
    let rings = rings();
    let found: BTreeSet<(String, String)> = edges()
        .into_iter()
        .flat_map(|(own, named)| named.into_iter().map(move |other| (own.clone(), other)))
        .filter(|(own, other)| rings[own] == rings[other])
        .collect();
    let pinned: BTreeSet<(String, String)> = acquainted
        .iter()
        .map(|(own, other)| ((*own).to_owned(), (*other).to_owned()))
        .collect();
    assert_eq!(found, pinned);
}

#[test]
fn custody_has_not_heard_of_openclaw_nor_openclaw_of_vaults() {
    let edges = edges();
    for (own, stranger) in [
        ("vault", "openclaw"),
        ("store", "openclaw"),
        ("keeper", "openclaw"),
        ("access", "openclaw"),
        ("keychain", "openclaw"),
        ("service", "vault"),
        ("service", "keeper"),
        ("service", "openclaw"),
        ("openclaw", "service"),
        ("openclaw", "vault"),
        ("openclaw", "store"),
        ("openclaw", "keeper"),
        ("openclaw", "keychain"),
        ("openclaw", "terminal"),
        ("vault", "terminal"),
    ] {
        assert!(!edges[own].contains(stranger), "{own} names {stranger}");
    }
    for (own, named) in &edges {
        assert!(!named.contains("cli"), "{own} names cli");
    }
    // The rings alone would allow a word of ours; not a word in a comment.
    for source in &sources("src") {
        let custody = ["vault", "store", "keeper", "access"]
            .contains(&module(&source.path).unwrap_or_default());
        assert!(
            !custody || !source.shipped.to_lowercase().contains("openclaw"),
            "{} has heard of OpenClaw",
            source.path
        );
    }
}

/// Where each crate of `Cargo.toml` may be named, as beginnings of paths. `src/` is everywhere.
const CRATES: &[(&str, &[&str])] = &[
    (
        "age",
        &[
            "src/vault/argon.rs",
            "src/vault/envelope.rs",
            "src/vault/identity.rs",
            "src/vault/slot.rs",
        ],
    ),
    (
        "age_core",
        &[
            "src/cli/plugin.rs",
            "src/vault/argon.rs",
            "src/vault/slot.rs",
        ],
    ),
    ("age_plugin", &["src/cli/plugin.rs"]),
    ("argon2", &["src/vault/argon.rs"]),
    ("aho_corasick", &["src/scan/shape.rs"]),
    (
        "base64",
        &[
            "src/scan/needles.rs",
            "src/service/system.rs",
            "src/vault/argon.rs",
            "src/vault/undo/wire.rs",
        ],
    ),
    ("bech32", &["src/vault/identity.rs"]),
    ("hkdf", &["src/vault/identity.rs"]),
    (
        "hmac",
        &[
            "src/migrate/digest.rs",
            "src/vault/envelope.rs",
            "src/vault/identity.rs",
        ],
    ),
    (
        "sha2",
        &[
            "src/backup/mod.rs",
            "src/cli/service/isolated/handed.rs",
            "src/keeper/pipe.rs",
            "src/migrate/",
            "src/openclaw/decisive",
            "src/provider.rs",
            "src/service/marker.rs",
            "src/vault/identity.rs",
            "src/vault/items.rs",
            "src/vault/slot.rs",
            "src/vault/undo/bundle.rs",
        ],
    ),
    ("getrandom", &["src/host.rs"]),
    ("directories", &["src/host.rs"]),
    // A file beside another before the rename; and the folder of a plan that OpenClaw reads.
    ("tempfile", &["src/file.rs", "src/openclaw/link/apply.rs"]),
    (
        "signal_hook",
        &["src/keeper/alarm.rs", "src/terminal/signals.rs"],
    ),
    ("rpassword", &["src/terminal/windows.rs"]),
    ("jsonc_parser", &["src/openclaw/config/"]),
    (
        "clap",
        &["src/cli/args", "src/cli/papers.rs", "src/cli/usage.rs"],
    ),
    (
        "clap_complete",
        &["src/cli/args/papers.rs", "src/cli/papers.rs"],
    ),
    ("clap_mangen", &["src/cli/papers.rs"]),
    ("keyring_core", &["src/keychain/"]),
    ("secret_service", &["src/keychain/"]),
    ("tracing", &["src/keychain/"]),
    ("zbus", &["src/keeper/sleep.rs", "src/keychain/"]),
    ("zbus_secret_service_keyring_store", &["src/keychain/"]),
    ("apple_native_keyring_store", &["src/keychain/"]),
    ("security_framework", &["src/keychain/"]),
    ("windows_native_keyring_store", &["src/keychain/"]),
    ("windows_sys", &["src/keeper/windows.rs"]),
    (
        "jiff",
        &[
            "src/cli/ui.rs",
            "src/openclaw/link/document.rs",
            "src/openclaw/store_lock.rs",
        ],
    ),
    ("subtle", &["src/"]),
    ("secrecy", &["src/"]),
    ("zeroize", &["src/"]),
    ("serde", &["src/"]),
    ("serde_json", &["src/"]),
    ("memchr", &["src/scan/", "src/vault/"]),
    ("rustix", &["src/"]),
];

/// The names below `[…dependencies]` headings for which `which` holds, as Rust spells them.
fn dependencies(which: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let mut inside = false;
    let mut names = BTreeSet::new();
    for line in text("Cargo.toml").lines() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]") && which(line);
        } else if inside && line.starts_with(|c: char| c.is_ascii_alphabetic()) {
            names.insert(line.split([' ', '=']).next().unwrap().replace('-', "_"));
        }
    }
    names
}

/// Whether `code` names the crate: as the start of a path, or as `extern`.
fn names_crate(code: &str, name: &str) -> bool {
    words(code, name).any(|at| {
        code[at + name.len()..].starts_with("::") && !code[..at].ends_with("::")
            || code[at + name.len()..].starts_with(';') && code[..at].ends_with("use ")
    })
}

#[test]
fn every_crate_is_used_and_only_where_it_belongs() {
    let listed: BTreeSet<String> = CRATES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(listed, dependencies(|heading| !heading.contains("dev-")));
    let sources = sources("src");
    for (name, places) in CRATES {
        let naming: Vec<&str> = sources
            .iter()
            .filter(|source| names_crate(&source.shipped, name))
            .map(|source| source.path.as_str())
            .collect();
        for path in &naming {
            assert!(
                places.iter().any(|place| path.starts_with(place)),
                "{path} names the crate {name}"
            );
        }
        for place in *places {
            assert!(
                naming.iter().any(|path| path.starts_with(place)),
                "nothing in {place} names the crate {name}"
            );
        }
    }
}

#[test]
fn every_crate_for_tests_is_used() {
    let mut all = sources("tests");
    all.extend(sources("src"));
    for name in dependencies(|heading| heading.contains("dev-")) {
        assert!(
            all.iter().any(|source| names_crate(&source.bare, &name)),
            "no test names the crate {name}"
        );
    }
}

#[test]
fn unsafe_code_is_behind_two_doors_and_a_third_on_windows() {
    for source in &sources("src") {
        let door =
            ["src/main.rs", "src/wipe.rs", "src/keeper/windows.rs"].contains(&source.path.as_str());
        let there = words(&source.bare, "unsafe").next().is_some();
        assert_eq!(there, door, "unsafe in {}", source.path);
    }
    let manifest = text("Cargo.toml");
    assert!(manifest.contains("unsafe_code = \"deny\""));
}

#[test]
fn one_file_prints() {
    let printers = ["stdout", "stderr", "print", "println", "eprint", "eprintln"];
    for source in &sources("src") {
        let writes = printers.iter().any(|name| {
            words(&source.shipped, name).any(|at| {
                let after = &source.shipped[at + name.len()..];
                after.starts_with("()") && !after.starts_with("().is_terminal()")
                    || after.starts_with('!')
            })
        });
        assert!(
            !writes || source.path == "src/cli/ui.rs",
            "{} prints",
            source.path
        );
    }
}

#[test]
fn every_way_around_clippy_says_why() {
    let mut all = sources("src");
    all.extend(sources("tests"));
    for source in &all {
        let flat: String = source.code.split_whitespace().collect();
        let openings = ["[allow(", "![allow(", "[expect("].map(|start| format!("#{start}"));
        for (at, _) in openings
            .iter()
            .flat_map(|opening| flat.match_indices(opening.as_str()))
        {
            let end = flat[at..].find(")]").map_or(flat.len(), |end| at + end);
            assert!(
                flat[at..end].contains("reason=\""),
                "{}: an #[allow] without a reason: {}",
                source.path,
                &flat[at..end]
            );
        }
    }
    let starts = ["door: ", "looks", "compares"];
    for allow in allows(&sources("src"), "clippy::disallowed_methods") {
        assert!(
            starts.iter().any(|start| allow.reason.starts_with(start)),
            "{}: \"{}\" does not say whether it is a door",
            allow.path,
            allow.reason
        );
    }
}

#[test]
fn every_file_says_what_it_is_and_is_short() {
    let mut all = sources("src");
    all.extend(sources("tests"));
    for source in &all {
        assert!(
            source.text.starts_with("//! "),
            "{} has no header",
            source.path
        );
        let lines = source.text.lines().count();
        assert!(lines < 500, "{} has {lines} lines", source.path);
    }
}

/// The walls are as good as this reading of Rust.
#[test]
fn the_reader_tells_code_from_comments_and_texts() {
    let tricky = concat!(
        "// use crate::vault;\n/* /* nested */ crate::cli */ let a = \"crate::store \\\" // x\";\n",
        "let b = r#\"crate::\"keychain\"#; let c: &'a str = f('\"', '\\'', b'x'); use crate::host;\n",
        "#[cfg(test)]\nmod tests { use crate::file; fn f() { } }\nlet after = 1;\n",
    );
    let (code, bare) = source::strip(tricky);
    assert!(code.contains("crate::store") && code.contains("crate::host"));
    assert!(!code.contains("vault") && !code.contains("cli"));
    let found: Vec<_> = words(&bare, "crate").map(|at| &bare[at..at + 11]).collect();
    assert_eq!(found, ["crate::host", "crate::file"]);
    assert_eq!(first_names("a::b,c::{d,e},f,}x"), ["a", "c", "f"]);
    assert!(names_crate("use age::x; ", "age") && !names_crate("crate::age::x", "age"));
    assert!(!names_crate("as_age::x age_core::y", "age"));
}
