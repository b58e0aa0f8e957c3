//! What typing and pasting come to.

use super::*;
use proptest::prelude::*;

/// What came of `bytes` when the only pause is at the end.
fn ended(what: Hidden, bytes: &[u8]) -> std::result::Result<Vec<u8>, Step> {
    paused(what, bytes, &[])
}

/// As `ended`, with pauses before the bytes at `pauses` wherever the entry waits for ever.
fn paused(what: Hidden, bytes: &[u8], pauses: &[usize]) -> std::result::Result<Vec<u8>, Step> {
    let mut entry = Entry::new(what);
    for (at, byte) in bytes.iter().enumerate() {
        if pauses.contains(&at) && entry.wait().is_none() {
            assert_eq!(entry.quiet(), Step::More);
        }
        match entry.byte(*byte) {
            Step::More => {}
            other => return Err(other),
        }
    }
    match entry.quiet() {
        Step::Done => Ok(entry.finish().unwrap().value.to_vec()),
        other => Err(other),
    }
}

fn text(what: Hidden, bytes: &[u8]) -> String {
    String::from_utf8(ended(what, bytes).unwrap()).unwrap()
}

#[test]
fn a_typed_line_is_itself_and_enter_ends_it() {
    for end in ["\r", "\n", "\r\n", "\r\r\r", "\n\n"] {
        let typed = format!(" a b{end}");
        assert_eq!(text(Hidden::Key, typed.as_bytes()), "a b");
        assert_eq!(text(Hidden::Text, typed.as_bytes()), " a b");
        assert_eq!(text(Hidden::Passphrase, typed.as_bytes()), " a b");
    }
    assert_eq!(ended(Hidden::Key, b"no enter"), Err(Step::More));
    assert_eq!(text(Hidden::Key, b"\r"), "");
}

#[test]
fn a_bracketed_paste_of_a_wrapped_key_is_one_key() {
    for end in ["\r", "\n", "\r\n", "\r\n\t ", " \u{a0}\r", "\u{200b}\n"] {
        let pasted = format!("\x1b[200~  sk-{end}fake{end}\x1b[201~\r");
        assert_eq!(text(Hidden::Key, pasted.as_bytes()), "sk-fake");
    }
    let text_with_lines = b"\x1b[200~ one\r\ntwo\rthree\n\n\x1b[201~\r";
    assert_eq!(text(Hidden::Text, text_with_lines), " one\ntwo\nthree\n");
    assert_eq!(
        text(Hidden::Passphrase, text_with_lines),
        " one\ntwo\nthree\n"
    );
    // Typed around a paste: only the pasted block is repaired.
    let mixed = b"a b\x1b[200~ c\rd \x1b[201~ e\r";
    assert_eq!(text(Hidden::Key, mixed), "a bcd e");
}

#[test]
fn a_burst_of_lines_without_brackets_is_one_paste() {
    let burst = b"sk-\r fake\r\r0123\r";
    assert_eq!(text(Hidden::Key, burst), "sk-fake0123");
    assert_eq!(text(Hidden::Text, burst), "sk-\n fake\n\n0123");
    assert_eq!(text(Hidden::Text, b"a\r\nb\r\n"), "a\nb");
}

#[test]
fn a_pause_after_enter_ends_the_value() {
    let mut entry = Entry::new(Hidden::Key);
    entry.byte(b'a');
    assert_eq!(entry.wait(), None);
    entry.byte(b'\r');
    assert_eq!(entry.wait(), Some(BURST));
    assert_eq!(entry.quiet(), Step::Done);
}

#[test]
fn editing_keys_edit() {
    let cases: [(&[u8], &str); 8] = [
        (b"abx\x7fc\r", "abc"),
        (b"abx\x08c\r", "abc"),
        ("ä€😀\x7f\x7fx\r".as_bytes(), "äx"),
        (b"\x7f\x7fa\r", "a"),
        (b"wrong\x15right\r", "right"),
        (b"one two  \x17three\r", "one three"),
        (b"one\x17\x17two\r", "two"),
        (b"a\x1b[200~wrong\rline\x1b[201~\x15b\r", "b"),
    ];
    for (typed, expected) in cases {
        assert_eq!(text(Hidden::Passphrase, typed), expected, "{typed:?}");
    }
}

#[test]
fn giving_up_is_seen_everywhere() {
    for typed in [
        &b"\x03"[..],
        b"abc\x03",
        b"abc\x1c",
        b"\x04",
        b"a\x7f\x04",
        b"\x1b\x03",
        b"\x1b[20\x03",
        b"\x1b]0;\x03",
        b"\x1b[200~never ended\r\r\x03",
    ] {
        assert_eq!(ended(Hidden::Key, typed), Err(Step::Cancel), "{typed:?}");
    }
    assert_eq!(ended(Hidden::Key, b"a\x1a"), Err(Step::Suspend));
}

#[test]
fn escape_sequences_are_ignored_and_their_ends_are_found() {
    for sequence in [
        "\x1b[A",
        "\x1b[1;5C",
        "\x1b[3~",
        "\x1b[201~",
        "\x1bOP",
        "\x1b[[A",
        "\x1bb",
        "\x1b[?1;2c",
        "\x1b[I",
        "\x1b]11;rgb:0000/0000/0000\x07",
        "\x1b]11;rgb:0/0/0\x1b\\",
        "\x1bP1$r0m\x1b\\",
        "\x1b\x1b[D",
        "\x1b[2000~",
        "\x1b[?200~",
        "\x1b[1;200~",
    ] {
        let typed = format!("ab{sequence}cd\r");
        assert_eq!(text(Hidden::Key, typed.as_bytes()), "abcd", "{sequence:?}");
    }
    // The Escape key alone: after a while the next key is a key again.
    let mut entry = Entry::new(Hidden::Key);
    entry.byte(0x1b);
    assert_eq!(entry.wait(), Some(ESCAPE_ALONE));
    assert_eq!(entry.quiet(), Step::More);
    for byte in *b"[a\r" {
        entry.byte(byte);
    }
    assert_eq!(**entry.finish().unwrap().value, *b"[a");
}

#[test]
fn other_control_bytes_stay_to_be_refused() {
    assert_eq!(text(Hidden::Key, b"a\0b\r"), "a\0b");
    assert_eq!(text(Hidden::Key, b"a\x07\x04\r"), "a\x07\x04");
    assert_eq!(
        text(Hidden::Key, b"\x1b[200~a\0\x1b[31mb\x1b[20\x1b[201~\r"),
        "a\0\x1b[31mb\x1b[20"
    );
    assert_eq!(ended(Hidden::Key, b"a\xff\xc3\r").unwrap(), b"a\xff\xc3");
}

#[test]
fn two_mebibytes_are_an_error_and_the_buffer_does_not_grow() {
    for open in ["", "\x1b[200~"] {
        for line in [&b"x"[..], b"xxxx\r"] {
            let mut entry = Entry::new(Hidden::Key);
            let at = entry.buffer.as_ptr();
            for byte in open.bytes() {
                entry.byte(byte);
            }
            for _ in 0..(2 << 20) / line.len() {
                for byte in line {
                    assert_eq!(entry.byte(*byte), Step::More);
                }
            }
            for byte in *b"\x1b[201~\r" {
                entry.byte(byte);
            }
            assert_eq!(
                (entry.buffer.as_ptr(), entry.buffer.capacity()),
                (at, LIMIT)
            );
            assert_eq!(entry.quiet(), Step::Done);
            let said = entry.finish().err().unwrap();
            assert_eq!(
                said.message(),
                "the value is too long; the most is 65536 bytes"
            );
        }
    }
    // The person can start again.
    let mut bytes = vec![b'x'; LIMIT + 1];
    bytes.extend(b"\x15ok\r");
    assert_eq!(text(Hidden::Key, &bytes), "ok");
    // The longest secret, wrapped.
    let longest = [b"y".repeat(64), b"\r".to_vec()].concat().repeat(1024);
    assert_eq!(ended(Hidden::Key, &longest).unwrap().len(), MAX_SECRET);
}

#[test]
fn the_note_counts_characters_and_keeps_quiet_about_passphrases() {
    let note = |what, typed: &str| {
        let mut entry = Entry::new(what);
        for byte in typed.bytes() {
            entry.byte(byte);
        }
        entry.finish().unwrap().note(what)
    };
    assert_eq!(note(Hidden::Key, "äbc\r"), "[3 characters]");
    assert_eq!(note(Hidden::Key, "a\r"), "[1 character]");
    assert_eq!(
        note(Hidden::Key, "ab\rcd\r"),
        "[4 characters, lines joined]"
    );
    assert_eq!(
        note(Hidden::Key, "\x1b[200~\rabcd\r\x1b[201~"),
        "[4 characters]"
    );
    assert_eq!(note(Hidden::Passphrase, "abcd\r"), "");
}

proptest! {
    #[test]
    fn where_reads_are_cut_makes_no_difference(
        bytes in noise(),
        pauses in proptest::collection::vec(0usize..120, 0..8),
        what in prop_oneof![Just(Hidden::Key), Just(Hidden::Text), Just(Hidden::Passphrase)],
    ) {
        prop_assert_eq!(ended(what, &bytes), paused(what, &bytes, &pauses));
    }

    #[test]
    fn a_pasted_key_survives_any_wrapping(
        key in "[!-~]{1,200}",
        cuts in proptest::collection::vec((0usize..200, "[ \t\r\n]{1,4}"), 0..9),
        brackets: bool,
    ) {
        let mut wrapped = key.clone();
        for (at, white) in cuts {
            wrapped.insert_str(at.min(wrapped.len()), &white);
        }
        let bytes = if brackets {
            format!("\x1b[200~{wrapped}\x1b[201~\r")
        } else {
            // Without brackets only a line end shows that it was a paste.
            format!("{wrapped}\r{}", if wrapped.trim() == key { "" } else { "\t\r" })
        };
        prop_assert_eq!(text(Hidden::Key, bytes.as_bytes()), key);
    }

    #[test]
    fn text_without_control_bytes_is_kept(value in "[^\\p{Cc}]{0,200}") {
        let typed = format!("{value}\r");
        prop_assert_eq!(text(Hidden::Passphrase, typed.as_bytes()), value.clone());
        let pasted = format!("\x1b[200~{value}\x1b[201~\r");
        prop_assert_eq!(text(Hidden::Text, pasted.as_bytes()), value);
    }
}

/// Bytes rich in what the entry reacts to.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\x1b[200~".to_vec()),
        Just(b"\x1b[201~".to_vec()),
        Just(b"\x1b[".to_vec()),
        Just(b"\r\n".to_vec()),
        Just("ä\u{a0}".as_bytes().to_vec()),
        proptest::sample::select(b"\r\n\x1b\x7f\x15\x17 a\0".to_vec()).prop_map(|b| vec![b]),
        any::<u8>().prop_map(|b| vec![b]),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}
