//! Units and environment files of systemd: what stands where, and what is left.

use super::Language::{EnvironmentD, EnvironmentFile, Unit};
use super::tests::{left, one, pairs};
use super::{environment_files, read};
use std::path::{Path, PathBuf};

fn unit(lines: &str) -> String {
    format!("[Unit]\nEnvironment=A=no\n[Service]\n{lines}\n[Install]\nEnvironment=A=no\n")
}

#[test]
fn words_quotes_escapes_and_specifiers() {
    for (line, value) in [
        ("Environment=A=1", Some("1")),
        (" Environment = \"A=x y\" ", Some("x y")),
        ("Environment=A='x y'z", Some("x yz")),
        (
            "Environment=A=\\x41\\s\\101\\u00e9\\U0001f600\\\\",
            Some("A Aé😀\\"),
        ),
        ("Environment=A=100%%", Some("100%")),
        ("Environment=A=%!%", Some("%!%")),
        ("Environment=A=%h/x", None),
        ("Environment=A=x \\\n# c\n junk", Some("x")),
        ("Environment=\"A=x\\\n y\"", Some("x  y")),
        ("Environment=A=$B", Some("$B")),
    ] {
        assert_eq!(one(Unit, unit(line)).as_deref(), value, "{line}");
    }
    for nothing in [
        "Environment=A",
        "Environment=1A=1",
        "Environment=%n=1",
        "Environment=A=\\xff",
        "Environment=\"A=1",
        "Environment=A=\\q",
        "#Environment=A=1",
        "PassEnvironment=A=1",
        "environment=A=1",
        "Environment",
    ] {
        assert!(pairs(Unit, unit(nothing)).is_empty(), "{nothing}");
    }
    assert!(read(Unit, b"[Service\n").is_err());
    assert!(read(Unit, b"[Service]\nEnvironment=A=\xff\n").is_err());
    let crlf = read(
        Unit,
        b"\xef\xbb\xbf[Service]\r\nType=x\r\nEnvironment=A=1 \\\r\n B=2\r\n",
    )
    .unwrap();
    assert_eq!(crlf.iter().map(|one| one.line).collect::<Vec<_>>(), [3, 4]);
}

#[test]
fn what_is_left_of_a_line_is_no_reset_and_joins_nothing() {
    for (before, gone, after) in [
        ("Environment=A=1 B=2 C=3", &[1][..], "Environment=A=1 C=3"),
        ("Environment=A=1 B=2", &[0], "Environment=B=2"),
        ("Environment=A=1\nType=x", &[0], "Type=x"),
        ("Environment=A=1 junk", &[0], "Environment=junk"),
        (
            "Environment=A=1 \\\n  B=2 \\\n  C=3\nType=x",
            &[1],
            "Environment=A=1 \\\n  C=3\nType=x",
        ),
        (
            "Environment=A=1 \\\n# why\n  B=2\nType=x",
            &[1],
            "Environment=A=1\n# why\nType=x",
        ),
        (
            "Environment=A=1 \\\n# why\n  B=2\nType=x",
            &[0, 1],
            "# why\nType=x",
        ),
        (
            "Environment=A=1 \\\n \\\n  B=2\nType=x",
            &[1],
            "Environment=A=1\nType=x",
        ),
        (
            "Environment=\\\n  A=1 \\\n  B=2\nType=x",
            &[0],
            "Environment=\\\n  B=2\nType=x",
        ),
        (
            "Environment=A=1 \"B=x\\\n y\" C=3\nType=x",
            &[1],
            "Environment=A=1 \\\nC=3\nType=x",
        ),
        (
            "Environment=A=1\nEnvironment=\nEnvironment=B=2\nType=x",
            &[0, 1],
            "Environment=\nType=x",
        ),
    ] {
        let rest = left(Unit, &unit(before), gone);
        assert_eq!(rest, unit(after), "{before}");
    }
}

#[test]
fn environment_files_are_listed_with_what_they_are() {
    let lines = "EnvironmentFile=/old\nEnvironmentFile=\nEnvironmentFile=-%h/a b.env\n EnvironmentFile = /etc/100%%/x\nEnvironmentFile=/run/*.env\nEnvironmentFile=-%t/x";
    let files = environment_files(unit(lines).as_bytes()).unwrap();
    let home = Path::new("/home/alice");
    let said: Vec<_> = files
        .iter()
        .map(|file| {
            (
                file.path.as_str(),
                file.optional,
                file.line,
                file.below(home),
            )
        })
        .collect();
    let path = |text: &str| Some(PathBuf::from(text));
    assert_eq!(
        said,
        [
            ("%h/a b.env", true, 6, path("/home/alice/a b.env")),
            ("/etc/100%%/x", false, 7, path("/etc/100%/x")),
            ("/run/*.env", false, 8, None),
            ("%t/x", true, 9, None),
        ]
    );
    assert_eq!(environment_files(b"EnvironmentFile=/x\n").unwrap(), []);
}

#[test]
fn the_automaton_of_environment_files() {
    for (text, value) in [
        ("A=1", "1"),
        (" A = x y \n", "x y"),
        ("A=\"x\\\"\\$\\`\\\\\\n\"", "x\"$`\\\\n"),
        ("A='x\ny'\"z\" w", "x\nyzw"),
        ("A=x\\\ny\\ \n", "xy "),
        ("A=x # no comment", "x # no comment"),
        ("A=x\"y\"", "x\"y\""),
        ("A=$B ${C} $$", "$B ${C} $$"),
        ("A=", ""),
        ("A='open", "open"),
        // As newer versions read it: the comment ends with its line.
        ("# c \\\nA=1", "1"),
    ] {
        assert_eq!(
            one(EnvironmentFile, text).as_deref(),
            Some(value),
            "{text:?}"
        );
    }
    for nothing in [
        "A",
        "export A=1",
        "1A=2",
        "=x",
        "\u{feff}A=1",
        "#A=1",
        ";A=1",
        "A.B=1",
    ] {
        assert!(pairs(EnvironmentFile, nothing).is_empty(), "{nothing:?}");
    }
    assert!(read(EnvironmentFile, b"A=\xff").is_err());
    for (text, value) in [
        ("A=$$x$ $.", Some("$x$ $.")),
        ("A=$B", None),
        ("A=${B", None),
        ("A='$1'", None),
    ] {
        assert_eq!(one(EnvironmentD, text).as_deref(), value, "{text:?}");
    }
    assert!(pairs(EnvironmentD, "A=\nB=''\n").is_empty());
}

#[test]
fn what_openclaw_writes_for_systemd_is_read_and_left_as_it_was() {
    let text = "ANTHROPIC_API_KEY=sk-ant-FAKE-0123\nOTHER=\"a \\\"b\\\" \\$c \\\\d\"\nLAST=x\n";
    assert_eq!(
        pairs(EnvironmentFile, text)[1].1.as_deref(),
        Some("a \"b\" $c \\d")
    );
    assert_eq!(
        left(EnvironmentFile, text, &[0, 2]),
        "OTHER=\"a \\\"b\\\" \\$c \\\\d\"\n"
    );
    // The next line would become part of a comment in older versions.
    assert_eq!(
        left(EnvironmentFile, "# c \\\nA=1\nB=2\n", &[0]),
        "# c \\\n\nB=2\n"
    );
}
