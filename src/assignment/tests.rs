//! What every language promises: what is left is what stood there, what it means stays, and nothing
//! panics, is slow, or shows a value.

use super::*;
use proptest::prelude::*;

const ALL: [Language; 6] = [
    Language::DotEnv,
    Language::Shell,
    Language::EnvironmentFile,
    Language::EnvironmentD,
    Language::Unit,
    Language::Plist,
];

/// Names and values; `None` for what is not known.
pub(super) fn pairs(language: Language, text: impl AsRef<[u8]>) -> Vec<(String, Option<String>)> {
    let all = read(language, text.as_ref()).unwrap();
    all.into_iter()
        .map(|one| (one.name, one.value.map(|value| value.to_string())))
        .collect()
}

/// The one value of a text with one assignment.
pub(super) fn one(language: Language, text: impl AsRef<[u8]>) -> Option<String> {
    let mut all = pairs(language, text);
    assert_eq!(all.len(), 1);
    all.remove(0).1
}

pub(super) fn left(language: Language, text: &str, gone: &[usize]) -> String {
    let gone = gone.iter().copied().collect();
    let rest = without(language, text.as_bytes(), &gone).unwrap();
    String::from_utf8(rest.to_vec()).unwrap()
}

/// A line with one assignment, or with none; in which languages it is one.
fn line(language: Language) -> impl Strategy<Value = (String, bool)> {
    let name = "[A-Z][A-Z0-9_]{0,8}";
    let value = "[A-Za-z0-9._/+-]{1,24}";
    let blanks = "[ \t]{0,2}";
    let words = "[a-z .,:-]{0,20}";
    let assignment =
        (name, value, blanks, any::<u8>()).prop_map(move |(name, value, blanks, form)| {
            let text = match (language, form % 3) {
                (Language::DotEnv, 0) => format!("{blanks}export {name} = \"{value}\"{blanks}"),
                (Language::DotEnv, 1) => format!("{name}: '{value}'"),
                (Language::Shell, 0) => format!("{blanks}export {name}='{value}'{blanks}"),
                (Language::Shell, 1) => format!("{blanks}export \"{name}={value}\";{blanks}"),
                (Language::EnvironmentFile | Language::EnvironmentD, 0) => {
                    format!("{blanks}{name} = \"{value}\"{blanks}")
                }
                (Language::Unit, 0) => format!("Environment=\"{name}={value}\"{blanks}"),
                (Language::Unit, _) => format!("{blanks}Environment = {name}={value}"),
                (Language::Plist, _) => {
                    format!("{blanks}<key>{name}</key><string>{value}</string>{blanks}")
                }
                _ => format!("{blanks}{name}={value}"),
            };
            (text, true)
        });
    let comment = words.prop_map(move |words| {
        let text = match language {
            Language::Plist => format!("<!-- {} -->", words.replace("--", "- ")),
            _ => format!("# {words}"),
        };
        (text, false)
    });
    let blank = blanks.prop_map(|blanks| (blanks, false));
    prop_oneof![3 => assignment, 1 => comment, 1 => blank]
}

/// Texts of which each is a surprise in some language.
const SOUP: &[&str] = &[
    "A=1",
    "B=2",
    "KEY",
    "=",
    ":",
    ": ",
    "#",
    " # c",
    "'",
    "\"",
    "`",
    "\\",
    "\\'",
    "\\\"",
    "\n",
    "\n",
    "\r\n",
    "\r",
    "\u{2028}",
    "\u{feff}",
    "\u{a0}",
    " ",
    "\t",
    "export ",
    "export",
    "declare -x ",
    "x",
    "sk-FAKE",
    ";",
    ";;",
    "&&",
    "||",
    "|",
    "&",
    "(",
    ")",
    "((",
    "$(",
    "${",
    "}",
    "{",
    "$",
    "$$",
    "%",
    "%h",
    "%%",
    "<<E",
    "\nE\n",
    "<<-'E'",
    "if ",
    "then ",
    "fi",
    "for i in ",
    "do ",
    "done",
    "case x in ",
    "a) ",
    "esac",
    "[[ ",
    " ]]",
    "f() ",
    "[Service]\n",
    "Environment=",
    "Environment=A=1 \"B=2\" \\\n C=3",
    "EnvironmentFile=-%h/x",
    "[Install]\n",
    "\\\n",
    "\\x41",
    "\\u00e9",
    "\\101",
    "\0",
    "<key>",
    "</key>",
    "<string>",
    "</string>",
    "<dict>",
    "</dict>",
    "<key>EnvironmentVariables</key>",
    "<plist version=\"1.0\">",
    "</plist>",
    "<true/>",
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
    "<!DOCTYPE plist>",
    "<!-- c -->",
    "&amp;",
    "&#65;",
    "<![CDATA[x]]>",
    "bplist00",
];

fn soup() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        20 => proptest::sample::select(SOUP).prop_map(|text| text.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 1..4),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Whether `rest` is `all` with bytes left out. A `:` may stand in the place of a command.
fn is_left_of(rest: &[u8], all: &[u8], colons: bool) -> bool {
    let counts = |byte: &&u8| !colons || **byte != b':';
    let mut all = all.iter().filter(counts);
    rest.iter()
        .filter(counts)
        .all(|byte| all.any(|other| other == byte))
}

fn check_removal(
    language: Language,
    text: &[u8],
    choice: u64,
) -> std::result::Result<(), TestCaseError> {
    let Ok(before) = read(language, text) else {
        let nothing_chosen = without(language, text, &BTreeSet::new());
        prop_assert!(nothing_chosen.is_err());
        return Ok(());
    };
    let gone: BTreeSet<usize> = (0..before.len())
        .filter(|at| choice >> (at % 64) & 1 == 1)
        .collect();
    let Ok(rest) = without(language, text, &gone) else {
        return Ok(());
    };
    if gone.is_empty() {
        prop_assert_eq!(rest.as_slice(), text);
    }
    prop_assert!(is_left_of(&rest, text, language == Language::Shell));
    let after = read(language, &rest).unwrap();
    let kept = before
        .iter()
        .enumerate()
        .filter(|(at, _)| !gone.contains(at));
    let kept: Vec<_> = kept.map(|(_, one)| (&one.name, &one.value)).collect();
    let after: Vec<_> = after.iter().map(|one| (&one.name, &one.value)).collect();
    prop_assert_eq!(kept, after);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn whatever_the_bytes_what_stays_means_what_it_meant(text in soup(), choice in any::<u64>()) {
        for language in ALL {
            check_removal(language, &text, choice)?;
            let mut unit = b"[Service]\n".to_vec();
            unit.extend_from_slice(&text);
            check_removal(Language::Unit, &unit, choice)?;
            let _ = environment_files(&unit);
        }
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(text in proptest::collection::vec(any::<u8>(), 0..300)) {
        for language in ALL {
            check_removal(language, &text, u64::MAX)?;
        }
        let _ = environment_files(&text);
    }

    #[test]
    fn ordinary_lines_go_and_every_other_byte_stays(
        (language, lines) in proptest::sample::select(&ALL[..]).prop_flat_map(|language| {
            (Just(language), proptest::collection::vec((line(language), any::<bool>()), 0..12))
        }),
        end in proptest::sample::select(&["\n", "\r\n", "\r"][..]),
        bom in any::<bool>(),
        last_end in any::<bool>(),
    ) {
        // A carriage return is part of a word in a shell, and a mark at the front part of a name in
        // systemd's environment files.
        let end = if language == Language::Shell { "\n" } else { end };
        let bom = bom && matches!(language, Language::DotEnv | Language::Unit | Language::Plist);
        let (head, foot) = match language {
            Language::Unit => (format!("[Service]{end}"), String::new()),
            Language::Plist => (
                format!("<plist><dict><key>EnvironmentVariables</key><dict>{end}"),
                "</dict></dict></plist>".to_owned(),
            ),
            _ => (String::new(), String::new()),
        };
        let mut text = if bom { "\u{feff}".to_owned() } else { String::new() };
        text.push_str(&head);
        let mut expected = text.clone();
        let (mut gone, mut index) = (BTreeSet::new(), 0);
        let last = lines.len();
        for (number, ((line, assigns), goes)) in lines.into_iter().enumerate() {
            let ended = number + 1 < last || last_end || language == Language::Plist;
            let line = if ended { line + end } else { line };
            text.push_str(&line);
            if assigns && goes {
                gone.insert(index);
            } else {
                expected.push_str(&line);
            }
            index += usize::from(assigns);
        }
        text.push_str(&foot);
        expected.push_str(&foot);
        prop_assert_eq!(read(language, text.as_bytes()).unwrap().len(), index);
        let gone = gone.into_iter().collect::<Vec<_>>();
        prop_assert_eq!(left(language, &text, &gone), expected);
    }
}

#[test]
fn the_last_of_a_name_counts_unless_it_was_taken_back() {
    let all = read(Language::DotEnv, b"A=1\nB=2\nA=3\n").unwrap();
    assert_eq!(effective(&all), [1, 2]);
    let unit = b"[Service]\nEnvironment=A=1 B=2\nEnvironment=\nEnvironment=B=3\n";
    assert_eq!(effective(&read(Language::Unit, unit).unwrap()), [2]);
}

#[test]
fn no_error_and_no_debug_text_shows_what_was_read() {
    let all = read(Language::DotEnv, b"A=sk-FAKE-value").unwrap();
    let said = format!("{all:?}");
    assert_eq!(said, "[Assignment { name: \"A\", known: true, line: 1 }]");
    for (language, text) in [
        (Language::Shell, "export A='sk-FAKE-value\n"),
        (Language::Shell, "export A=sk-FAKE-value$(x\n"),
        (Language::Shell, "export A=sk-FAKE-value\0\n"),
        (Language::EnvironmentFile, "A=sk-FAKE-value\0"),
        (Language::Plist, "<plist><dict><key>sk-FAKE-value</plist>"),
        (Language::Plist, "sk-FAKE-value"),
    ] {
        let error = read(language, text.as_bytes()).unwrap_err();
        let said = format!("{error:?}");
        assert!(!said.contains("FAKE"), "{said}");
        assert_eq!(error.kind(), crate::error::Kind::Broken, "{said}");
        assert!(error.message().starts_with("line 1 "), "{said}");
    }
}

#[test]
fn what_is_too_large_is_refused_by_its_size() {
    for language in ALL {
        let head: &[u8] = if language == Language::Plist {
            b"<plist><dict/></plist>"
        } else {
            b""
        };
        let mut text = vec![b'\n'; MAX_BYTES];
        text[..head.len()].copy_from_slice(head);
        assert!(read(language, &text).unwrap().is_empty());
        text.push(b'\n');
        for error in [
            read(language, &text).unwrap_err(),
            without(language, &text, &BTreeSet::new()).unwrap_err(),
        ] {
            assert_eq!(
                error.message(),
                "the file has 1048577 bytes; the most that is read is 1048576"
            );
        }
    }
    assert!(environment_files(&vec![b'\n'; MAX_BYTES + 1]).is_err());
}

#[test]
fn an_index_that_was_not_given_is_refused() {
    let gone = BTreeSet::from([1]);
    let error = without(Language::DotEnv, b"A=1\n", &gone).unwrap_err();
    assert_eq!(error.kind(), crate::error::Kind::Failed);
}

/// Quadratic work over so many bytes would take an hour, so this ends or it does not.
#[test]
fn a_hostile_file_is_read_in_one_pass() {
    let open = "<plist><dict><key>EnvironmentVariables</key><dict>";
    let cases: [(Language, &str, &[&str]); 5] = [
        (
            Language::DotEnv,
            "",
            &[
                "A",
                "A\n",
                "A='\n",
                "A=\"\\\"\n",
                "\u{2028}'x",
                "export\n",
                "A:\n\n",
                "A=1\n",
            ],
        ),
        (
            Language::Shell,
            "export ",
            &[
                "A=1 ",
                "A=1;",
                "A=$(",
                "A=${",
                "((",
                "case x in ",
                "if ",
                "<<E\n",
                "a(",
                "f() ",
                "A='",
                "\\\n",
                "[[ ",
                "A[",
                "$((",
                "`",
                "A=(",
                "A=1\n",
            ],
        ),
        (
            Language::EnvironmentD,
            "",
            &["A=1\n", "A=\"", "A=\\\n", "A=$", "A", "#\\\n"],
        ),
        (
            Language::Unit,
            "[Service]\nEnvironment=",
            &[
                "A=1 ",
                "A=1 \\\n",
                "\\\n",
                "\"A=1\" \\\n#\n",
                "\"",
                "Environment=A=1\n",
            ],
        ),
        (
            Language::Plist,
            open,
            &[
                "<key>a</key><string>b</string>",
                "<dict>",
                "<!--",
                "<key>",
                "<key>&amp;",
                "<key><![CDATA[</]]>",
            ],
        ),
    ];
    for (language, head, pieces) in cases {
        for piece in pieces {
            let mut text = head.to_owned();
            if *piece == "\u{2028}'x" {
                text.push_str("A=");
            }
            let times = (MAX_BYTES / 4 - text.len()) / piece.len();
            text.push_str(&piece.repeat(times));
            if language == Language::Plist {
                text.push_str("</dict></dict></plist>");
            }
            let count = read(language, text.as_bytes()).map_or(0, |all| all.len());
            let every_other = (0..count).step_by(2).collect();
            let _ = without(language, text.as_bytes(), &every_other);
        }
    }
}
