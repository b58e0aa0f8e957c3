//! LaunchAgents: the one that OpenClaw makes, and what is refused.

use super::Language::Plist;
use super::tests::{left, one, pairs};
use super::{read, without};
use std::collections::BTreeSet;

fn openclaws() -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path.join("tests/data/openclaw-launch-agent-2026.9.6.plist")).unwrap()
}

fn agent(entries: &str) -> String {
    format!(
        "<plist version=\"1.0\"><dict><key>Label</key><string>x</string><key>EnvironmentVariables</key><dict>{entries}</dict></dict></plist>"
    )
}

#[test]
fn openclaws_own_agent_is_read_and_loses_one_entry() {
    let text = openclaws();
    let read = pairs(Plist, &text);
    let expected = [
        ("HOME", "/Users/alice"),
        ("ANTHROPIC_API_KEY", "sk-ant-FAKE<&>\"'0123"),
        ("OPENCLAW_GATEWAY_PORT", "18789"),
        ("NODE_OPTIONS", ""),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), Some(value.to_owned())));
    assert_eq!(read, expected);
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let entry = lines
        .iter()
        .position(|line| line.contains("ANTHROPIC"))
        .unwrap();
    let expected = [&lines[..entry], &lines[entry + 2..]].concat().concat();
    assert_eq!(left(Plist, &text, &[1]), expected);
    let none = left(Plist, &text, &[0, 1, 2, 3]);
    assert!(none.contains("<key>EnvironmentVariables</key>\n    <dict>\n    </dict>\n"));
}

#[test]
fn texts_are_what_xml_says() {
    for (entries, value) in [
        (
            "<key>A</key><string>a &lt;&#65;&#x42;&amp;amp;</string>",
            "a <AB&amp;",
        ),
        ("<key>A</key><string/>", ""),
        (
            "<key>A</key>\n<!-- </string> --> <string>x<!-- </string> -->y</string >",
            "xy",
        ),
        (
            "<key>A</key><string><![CDATA[<&]]>z<![CDATA[</string>]]></string>",
            "<&z</string>",
        ),
        ("<key>A</key><string> x\r\n </string>", " x\r\n "),
        (
            "<key>N</key><integer>1</integer><key>T</key><true/><key>A</key><string a='>'>x</string>",
            "x",
        ),
        (
            "<key>N</key><array><dict><key>A</key><string>n</string></dict></array><key>A</key><string>é</string>",
            "é",
        ),
    ] {
        assert_eq!(
            one(Plist, agent(entries)).as_deref(),
            Some(value),
            "{entries}"
        );
    }
    // Elsewhere the same name is no variable.
    let elsewhere = "<plist><dict><key>X</key><dict><key>EnvironmentVariables</key><dict><key>A</key><string>1</string></dict></dict></dict></plist>";
    assert!(pairs(Plist, elsewhere).is_empty());
    assert!(pairs(Plist, "<plist><array/></plist>").is_empty());
    let commented = agent("<key>A</key><!-- why --><string>1</string>");
    assert!(left(Plist, &commented, &[0]).contains("<dict><!-- why --></dict>"));
}

#[test]
fn what_is_no_plain_property_list_is_refused() {
    let deep = "<key>a</key>".to_owned() + &"<array>".repeat(100) + &"</array>".repeat(100);
    for text in [
        String::new(),
        "{ A = 1; }".to_owned(),
        "<?xml version=\"1.0\" encoding=\"UTF-16\"?><plist><dict/></plist>".to_owned(),
        "<?xml version='1.0' encoding = 'latin1'?><plist><dict/></plist>".to_owned(),
        "<!DOCTYPE plist [<!ENTITY a \"b\">]><plist><dict/></plist>".to_owned(),
        agent("<key>A</key><string>&a;</string>"),
        agent("<key>A</key><string>&#0;</string>"),
        agent("<key>A</key><string>&#xd800;</string>"),
        agent("<key>A</key><string>&#+65;</string>"),
        agent("<key>A</key><string>x<b/></string>"),
        agent("<key>A</key>"),
        agent("<string>x</string>"),
        agent("x"),
        agent("<key>A</key><array></dict>"),
        agent("<key>A</key><string>x"),
        agent(&deep),
        "<plist><dict>".to_owned(),
        "<plist><dict/></dict>".to_owned(),
    ] {
        let error = read(Plist, text.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), crate::error::Kind::Broken, "{text}");
    }
    let error = read(Plist, b"bplist00\xd1\x01\x02").unwrap_err();
    assert_eq!(
        error.message(),
        "the property list is in Apple's binary form"
    );
    assert_eq!(error.hint_text(), Some("plutil -convert xml1 FILE"));
    assert!(without(Plist, b"bplist00", &BTreeSet::new()).is_err());
    assert!(
        read(Plist, b"<plist>\n\xff</plist>")
            .unwrap_err()
            .message()
            .starts_with("line 2 ")
    );
}
