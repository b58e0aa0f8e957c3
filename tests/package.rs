//! The package as it is handed on: what the binary needs, what may be in it, and under which terms.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod source;

use source::{root, sources, text};
use std::collections::BTreeSet;

/// The libraries that the dynamic loader is asked for (`DT_NEEDED`), read from a 64-bit
/// little-endian ELF file. Source of the numbers: the System V ABI, chapters 4 and 5.
#[cfg(target_os = "linux")]
fn needed(elf: &[u8]) -> Vec<String> {
    let number = |at: usize, size: usize| {
        elf[at..at + size]
            .iter()
            .rev()
            .fold(0usize, |sum, byte| sum << 8 | usize::from(*byte))
    };
    assert_eq!(&elf[..6], b"\x7fELF\x02\x01", "no 64-bit little-endian ELF");
    let (table, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    // (kind, offset in the file, address, size in the file) of each program header
    let headers: Vec<_> = (0..count)
        .map(|index| table + index * size)
        .map(|at| {
            (
                number(at, 4),
                number(at + 8, 8),
                number(at + 16, 8),
                number(at + 32, 8),
            )
        })
        .collect();
    let in_file = |address: usize| {
        headers
            .iter()
            .find(|(kind, _, start, size)| *kind == 1 && (*start..start + size).contains(&address))
            .map(|(_, offset, start, _)| address - start + offset)
            .expect("an address in a loaded segment")
    };
    let Some((_, dynamic, _, length)) = headers.iter().find(|header| header.0 == 2) else {
        // Wholly static: nothing is asked for.
        return Vec::new();
    };
    let entries: Vec<_> = (*dynamic..dynamic + length)
        .step_by(16)
        .map(|at| (number(at, 8), number(at + 8, 8)))
        .take_while(|(tag, _)| *tag != 0)
        .collect();
    let strings = entries.iter().find(|(tag, _)| *tag == 5).unwrap().1;
    entries
        .iter()
        .filter(|(tag, _)| *tag == 1)
        .map(|(_, name)| {
            let name = &elf[in_file(strings + name)..];
            let end = name.iter().position(|byte| *byte == 0).unwrap();
            String::from_utf8(name[..end].to_vec()).unwrap()
        })
        .collect()
}

#[test]
#[cfg(target_os = "linux")]
fn no_system_library_is_needed_but_the_c_library() {
    let allowed = [
        "libc.",
        "libm.",
        "libgcc_s.",
        "libpthread.",
        "libdl.",
        "ld-linux",
        "ld-musl",
    ];
    let elf = std::fs::read(env!("CARGO_BIN_EXE_clawkeep")).unwrap();
    let needed = needed(&elf);
    for name in &needed {
        assert!(
            allowed.iter().any(|start| name.starts_with(start)),
            "the program needs {name}"
        );
    }
    // build.rs promises it, wherever it found the unwinder.
    if cfg!(unwinder_inside) {
        assert!(
            !needed.iter().any(|name| name.starts_with("libgcc_s.")),
            "libgcc_s is loaded at every start: {needed:?}"
        );
    }
    // The reading itself: a dynamic program of this toolchain needs a C library.
    if !cfg!(target_feature = "crt-static") {
        assert!(
            needed.iter().any(|name| name.starts_with("libc.")),
            "{needed:?}"
        );
    }
}

/// The names of all packages in the lock file, for every platform.
fn locked() -> BTreeSet<String> {
    text("Cargo.lock")
        .lines()
        .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn what_deny_toml_bans_is_not_in_the_tree() {
    let locked = locked();
    assert!(
        locked.contains("age") && locked.len() > 100,
        "{}",
        locked.len()
    );
    let deny = text("deny.toml");
    let banned: Vec<&str> = deny
        .lines()
        .filter_map(|line| line.trim().strip_prefix("{ crate = \""))
        .filter_map(|rest| rest.split('"').next())
        .collect();
    for name in ["openssl", "native-tls", "tokio", "libdbus-sys"] {
        assert!(banned.contains(&name), "deny.toml does not ban {name}");
    }
    for name in banned {
        assert!(!locked.contains(name), "{name} is in Cargo.lock");
    }
}

#[test]
fn every_package_comes_from_crates_io() {
    let text = text("Cargo.lock");
    let places: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("source = "))
        .collect();
    let only = "\"registry+https://github.com/rust-lang/crates.io-index\"";
    assert_eq!(places, BTreeSet::from([only]));
}

#[test]
fn every_dependency_says_why_it_is_here() {
    let mut inside = false;
    let mut seen = 0;
    for line in text("Cargo.toml").lines() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
        } else if inside && line.starts_with(|c: char| c.is_ascii_alphabetic()) {
            let why = line.rsplit_once(" # ").map_or("", |(_, why)| why);
            assert!(why.split_whitespace().count() >= 3, "no reason: {line}");
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen} dependencies were found");
}

#[test]
fn both_licences_are_there_in_full() {
    let manifest = text("Cargo.toml");
    assert!(manifest.contains("license = \"MIT OR Apache-2.0\""));
    let mit = text("LICENSE-MIT");
    assert!(mit.contains("the clawkeep authors") && mit.contains("WITHOUT WARRANTY OF ANY KIND"));
    let apache = text("LICENSE-APACHE");
    for part in [
        "Version 2.0, January 2004",
        "1. Definitions.",
        "9. Accepting Warranty or Additional Liability.",
        "END OF TERMS AND CONDITIONS",
    ] {
        assert!(apache.contains(part), "LICENSE-APACHE lacks: {part}");
    }
}

/// A clone has nothing beside it.
#[test]
fn nothing_outside_this_folder_is_read() {
    let beside = ["shared/", "work/"].map(|folder| format!("../{folder}"));
    let mut all = sources("src");
    all.extend(sources("tests"));
    for source in &all {
        for path in &beside {
            assert!(
                !source.text.contains(path.as_str()),
                "{} names {path}",
                source.path
            );
        }
        for (at, _) in source.code.match_indices(&format!("{}!(", "include_str")) {
            let arg = source.code[at..].split('"').nth(1).unwrap_or_default();
            let folder = root(&source.path);
            let file = folder.parent().unwrap().join(arg);
            let real = file
                .canonicalize()
                .unwrap_or_else(|_| panic!("{}: {arg}", source.path));
            assert!(
                real.starts_with(root("").canonicalize().unwrap()),
                "{} includes {arg}",
                source.path
            );
        }
    }
}
