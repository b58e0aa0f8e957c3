//! What a person sees of changed settings, and what nobody does.

use super::*;
use proptest::prelude::*;
use std::path::Path;

const TOKEN: &str = "fake-token-0123456789abcdef";

fn config(text: &str) -> Config {
    Config::parse(text.as_bytes(), Path::new("openclaw.json")).unwrap()
}

/// The lines that a person sees, by way of a file.
fn changes(before: &str, after: &str) -> Vec<String> {
    let old = Snapshot::of(&config(before)).unwrap();
    let old = Snapshot::from_json(old.to_json().as_bytes()).unwrap();
    Snapshot::diff(&old, &old.again(&config(after)))
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn each_change_is_one_line_that_says_it() {
    for (before, after, said) in [
        (
            "{models: {providers: {anthropic: {baseUrl: 'https://api.example.invalid'}}}}",
            "{models: {providers: {anthropic: {baseUrl: 'http://evil.invalid/v1'}}}}",
            "models.providers.anthropic.baseUrl: was https://api.example.invalid, is http://evil.invalid/v1",
        ),
        (
            "{models: {providers: {x: {headers: {Authorization: 'Bearer fake-a'}}}}}",
            "{models: {providers: {x: {headers: {Authorization: 'Bearer fake-b'}}}}}",
            "models.providers.x.headers.Authorization: changed (not shown)",
        ),
        (
            "{}",
            "{secrets: {providers: {clawkeep: {command: '/tmp/other'}}}}",
            "secrets.providers.clawkeep.command: new, /tmp/other",
        ),
        (
            "{hooks: {token: 'a'}}",
            "{}",
            "hooks.token: gone (not shown)",
        ),
        (
            "{gateway: {auth: {mode: 'token'}}}",
            "{gateway: {auth: {mode: 'none'}}}",
            "gateway.auth.mode: was token, is none",
        ),
        (
            "{mcp: {servers: {x: {args: ['--port', '80']}}}}",
            "{mcp: {servers: {x: {args: ['--port', '81', '--token', 'abc']}}}}",
            r#"mcp.servers.x.args: was ["--port", "80"], is ["--port", "81", "--token", ***] (and more that is not shown)"#,
        ),
        (
            "{talk: {apiKey: {source: 'exec', provider: 'clawkeep', id: 'provider/x'}}}",
            "{talk: {apiKey: {source: 'exec', provider: 'other', id: 'provider/x'}}}",
            "talk.apiKey: was ref exec clawkeep provider/x, is ref exec other provider/x",
        ),
        (
            "{talk: {apiKey: {source: 'exec', provider: 'clawkeep', id: 'provider/x'}}}",
            "{talk: {apiKey: 'fake'}}",
            "talk.apiKey: was ref exec clawkeep provider/x, is ***",
        ),
        (
            "{plugins: {entries: {}}}",
            "{plugins: {entries: {'a.b': {enabled: true}}}}",
            "plugins.entries: gone, was {}",
        ),
        (
            "{proxy: {proxyUrl: 'http://user:fake-pw-1@proxy.invalid:3128/?k=1'}}",
            "{proxy: {proxyUrl: 'http://user:fake-pw-2@proxy.invalid:3128/?k=1'}}",
            "proxy.proxyUrl: http://proxy.invalid:3128/, changed in what is not shown",
        ),
        (
            "{env: {A: 'one'}}",
            "{env: {A: '${B}'}}",
            "env.A: was ***, is ${B}",
        ),
    ] {
        let lines = changes(before, after);
        assert_eq!(lines.first().map(String::as_str), Some(said));
        assert!(changes(after, after).is_empty() && changes(before, before).is_empty());
    }
    let lines = changes(
        "{plugins: {}}",
        "{plugins: {entries: {'a.b': {enabled: true}}}}",
    );
    assert!(
        lines.contains(&r#"plugins.entries["a.b"].enabled: new, true"#.to_owned()),
        "{lines:?}"
    );
}

#[test]
fn what_decides_nothing_gives_no_line() {
    assert!(
        changes(
            "{ui: {theme: 'a'}}",
            "{ui: {theme: 'b'}, meta: {x: 1}} // comment"
        )
        .is_empty()
    );
    // Spelling is no change.
    assert!(changes("{gateway: {port: 0x50}}", r#"{"gateway":{"port":80}}"#).is_empty());
}

/// OpenClaw takes the last of two keys; so must whoever looks at what it will do.
#[test]
fn of_a_key_that_stands_twice_the_last_counts() {
    let one = "{gateway: {bind: 'lan'}}";
    assert!(
        changes(
            one,
            "{gateway: {bind: 'x', port: 1}, gateway: {bind: 'lan'}}"
        )
        .is_empty()
    );
    assert_eq!(
        changes(one, "{gateway: {bind: 'lan'}, gateway: {bind: 'x'}}").len(),
        1
    );
}

#[test]
fn two_paths_are_never_one() {
    let pairs = [
        ("{env: {a: {b: 'x'}}}", "{env: {'a.b': 'x'}}"),
        ("{env: {'a\"]': 'x'}}", "{env: {'a': {'\"]': 'x'}}}"),
        ("{hooks: {'\u{202e}a': 1}}", "{hooks: {'\\\\u{202e}a': 1}}"),
    ];
    for (one, other) in pairs {
        assert_eq!(changes(one, other).len(), 2, "{one} {other}");
    }
    let long = |end: &str| format!("{{env: {{'{}{end}': 'x'}}}}", "k".repeat(100_000));
    let lines = changes(&long("a"), &long("b"));
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line.len() < 300), "{lines:?}");
    let value = |end: &str| format!("{{hooks: {{path: '/{}{end}'}}}}", "p-".repeat(100_000));
    let lines = changes(&value("a"), &value("b"));
    assert!(lines.len() == 1 && lines[0].len() < 600, "{lines:?}");
}

#[test]
fn a_written_out_escape_is_not_the_character() {
    let lines = changes(
        "{tools: {x: 'a\\u001b[2Jb'}}",
        r"{tools: {x: 'a\\u{1b}[2Jb'}}",
    );
    assert_eq!(lines.len(), 1);
    assert!(!lines[0].contains('\u{1b}'));
}

#[test]
fn credentials_are_in_no_text_and_no_file() {
    for text in [
        "{hooks: {token: 'TOKEN'}}",
        "{env: {vars: {ANYTHING: 'TOKEN'}}}",
        "{models: {providers: {x: {headers: {'x-thing': 'TOKEN'}}}}}",
        "{models: {providers: {x: {request: {auth: {mode: 'header', value: 'TOKEN'}}}}}}",
        "{mcp: {servers: {x: {command: 'run --token TOKEN'}}}}",
        "{mcp: {servers: {x: {command: 'run --api-key=TOKEN'}}}}",
        "{mcp: {servers: {x: {args: ['--password', 'TOKEN']}}}}",
        "{mcp: {servers: {x: {args: ['-H', 'Authorization: Bearer TOKEN']}}}}",
        "{mcp: {servers: {x: {args: ['TOKEN://x']}}}}",
        "{mcp: {servers: {x: {url: 'https://TOKEN@example.invalid/'}}}}",
        "{mcp: {servers: {x: {url: 'https://u:TOKEN@example.invalid/'}}}}",
        "{mcp: {servers: {x: {url: 'https://u:p@TOKEN@example.invalid/'}}}}",
        "{mcp: {servers: {x: {url: 'https:u:TOKEN@example.invalid/'}}}}",
        "{mcp: {servers: {x: {url: 'https://example.invalid/?key=TOKEN'}}}}",
        "{mcp: {servers: {x: {url: 'https://example.invalid/#TOKEN'}}}}",
        "{mcp: {servers: {x: {url: 'https://example.invalid/bot1:TOKEN/x'}}}}",
        "{mcp: {servers: {x: {url: 'https://example.invalid\\\\@x/TOKEN'}}}}",
        "{mcp: {servers: {x: {url: 'user:TOKEN@example.invalid:80'}}}}",
        "{channels: {x: {webhookUrl: 'https://example.invalid/services/T0/B0/TOKEN'}}}",
        "{channels: {x: {botToken: 'TOKEN'}}}",
        "{plugins: {entries: {x: {config: {apiKey: 'TOKEN', deep: {secret: ['TOKEN']}}}}}}",
        "{gateway: {auth: {password: 'TOKEN'}}}",
        "{tools: {anything: 'TOKEN'}}",
    ] {
        for token in [
            "sk-fake-0123456789abcdefghij",
            "fakeFAKE0123456789abcdef0123",
        ] {
            let snapshot = Snapshot::of(&config(&text.replace("TOKEN", token))).unwrap();
            assert!(!snapshot.settings.is_empty(), "{text}");
            let said: Vec<_> = snapshot
                .settings()
                .map(|(path, said)| format!("{path} {said}"))
                .collect();
            let json = snapshot.to_json();
            assert!(
                !said.concat().contains(token) && !json.contains(token),
                "{text}: {said:?}"
            );
            let debug = format!("{snapshot:?}");
            assert!(!debug.contains(token), "{text}");
            // And its change is seen.
            let other = config(&text.replace("TOKEN", &token.replace("0123456789", "9876543210")));
            assert_eq!(
                Snapshot::diff(&snapshot, &snapshot.again(&other)).len(),
                { if text.contains("deep") { 2 } else { 1 } },
                "{text}"
            );
        }
    }
    // Plain words, known by what stands before them.
    for text in [
        "{mcp: {servers: {x: {command: 'run --token hunter two'}}}}",
        "{mcp: {servers: {x: {command: 'run -H Authorization: hunter'}}}}",
        "{mcp: {servers: {x: {args: ['-p', '--api-key', 'hunter']}}}}",
        "{mcp: {servers: {x: {args: ['--secret=hunter']}}}}",
        "{gateway: {auth: {password: 'hunter'}}}",
        "{gateway: {auth: {password: 4711}}}",
        "{env: {pins: [4711, 'hunter']}}",
    ] {
        let snapshot = Snapshot::of(&config(text)).unwrap();
        let json = snapshot.to_json();
        assert!(
            !json.contains("hunter") && !json.contains("\"4711"),
            "{json}"
        );
    }
    // The same value has another hash in another snapshot.
    let text = format!("{{hooks: {{token: '{TOKEN}'}}}}");
    let two = [0, 1].map(|_| Snapshot::of(&config(&text)).unwrap());
    assert_ne!(two[0].to_json(), two[1].to_json());
    assert_ne!(
        two[0].settings["hooks.token"],
        two[1].settings["hooks.token"]
    );
}

#[test]
fn more_settings_than_are_kept_are_still_compared() {
    let many = |last: u32| {
        let mut text = String::from("{env: {");
        for n in 0..30_000 {
            let _ = write!(text, "A{n}: 'x',");
        }
        let _ = write!(text, "last: '{last}'}}}}");
        text
    };
    let lines = changes(&many(1), &many(2));
    assert_eq!(lines, [format!("{FURTHER}: changed (not shown)")]);
}

#[test]
fn deep_nesting_ends_in_an_answer() {
    for depth in [10, 100, 100_000] {
        for (open, close) in [("[", "]"), ("{a:", "}")] {
            let text = format!("{{tools: {}1{}}}", open.repeat(depth), close.repeat(depth));
            if let Ok(config) = Config::parse(text.as_bytes(), Path::new("openclaw.json")) {
                let snapshot = Snapshot::of(&config).unwrap();
                assert_eq!(snapshot.settings.len(), 1);
                assert!(snapshot.settings.keys().all(|path| path.len() < 500));
            } else {
                assert!(depth > 100, "{depth} is no attack");
            }
        }
    }
}

#[test]
fn included_files_are_named_and_compared() {
    let text = "{$include: './a.json5', agents: {$include: ['b.json5', 'c.json5']}}";
    assert_eq!(
        Snapshot::included(&config(text)),
        ["./a.json5", "b.json5", "c.json5"]
    );
    assert_eq!(changes("{}", text).len(), 2);
    let mut old = Snapshot::of(&config(text)).unwrap();
    let mut new = old.clone();
    old.add_file("a\u{1b}.json5", Some(b"{a: 'fake'}"));
    new.add_file("a\u{1b}.json5", Some(b"{a: 'other'}"));
    let said = |old: &Snapshot, new: &Snapshot| Snapshot::diff(old, new)[0].to_string();
    assert_eq!(said(&old, &new), "file a\\u{1b}.json5: changed (not shown)");
    new.add_file("a\u{1b}.json5", None);
    assert!(said(&old, &new).ends_with("is no such file"));
}

#[test]
fn a_damaged_file_is_broken_and_never_quoted() {
    let good = Snapshot::of(&config("{hooks: {token: 'x', path: '/y'}}"))
        .unwrap()
        .to_json();
    assert!(Snapshot::from_json(good.as_bytes()).is_ok());
    for bad in [
        String::new(),
        "null".to_owned(),
        good.replace("\"version\": 1", "\"version\": 2"),
        good.replace("\"shown\"", "\"fake-field\""),
        good.replace("\"salt\": \"", "\"salt\": \"0"),
        good.replace("\"sha256\": \"", "\"sha256\": \"zz"),
        good[..good.len() / 2].to_owned(),
        "[".repeat(100_000),
        r#"{"version":1,"salt":"00000000000000000000000000000000","settings":{"a":{}}}"#.to_owned(),
    ] {
        let error = Snapshot::from_json(bad.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), crate::error::Kind::Broken);
        assert!(!error.message().contains("fake-field"), "{error}");
    }
    // A terminal command in the file reaches nobody's terminal.
    let forged = good
        .replace("/y", "/\\u001b[2Jy")
        .replace("hooks.path", "hooks.\\u001b");
    let read = Snapshot::from_json(forged.as_bytes()).unwrap();
    for change in Snapshot::diff(&read, &read.again(&config("{}"))) {
        assert!(!change.to_string().contains('\u{1b}'), "{change}");
    }
}

/// Settings as somebody hostile would write them.
fn hostile() -> impl Strategy<Value = serde_json::Value> {
    let text = prop_oneof![
        "\\PC{0,20}",
        "[\\x00-\\x7f]{0,12}",
        "https?://[a-z:@/?#\\\\]{0,20}",
        "--token(=[a-z]{0,4})?"
    ];
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        text.prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let key = prop_oneof![
            "[a-zA-Z.]{0,6}",
            Just("headers".to_owned()),
            Just("url".to_owned()),
            "\\PC{0,4}"
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            proptest::collection::btree_map(key, inner, 0..4)
                .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #[test]
    fn every_change_below_a_section_gives_a_printable_line(old in hostile(), new in hostile()) {
        let text = |value: &serde_json::Value| serde_json::json!({"plugins": value}).to_string();
        let lines = changes(&text(&old), &text(&new));
        prop_assert_eq!(lines.is_empty(), old == new, "{:?}", lines);
        for line in lines {
            prop_assert!(!line.chars().any(char::is_control), "{:?}", line);
            prop_assert!(line.chars().count() < 2000);
        }
    }

    #[test]
    fn a_snapshot_survives_its_file(value in hostile()) {
        let snapshot = Snapshot::of(&config(&serde_json::json!({"env": value}).to_string())).unwrap();
        let read = Snapshot::from_json(snapshot.to_json().as_bytes()).unwrap();
        prop_assert_eq!(snapshot, read);
    }

    #[test]
    fn any_bytes_as_a_file_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Snapshot::from_json(&bytes);
    }

    #[test]
    fn what_stands_before_the_last_at_of_a_host_is_never_shown(
        user in "[a-z]{1,5}", password in "fake[a-z@:]{8,12}", host in "[a-z]{3,8}",
    ) {
        let url = format!("https://{user}:{password}@{host}.invalid/v1");
        let text = serde_json::json!({"models": {"providers": {"x": {"baseUrl": url}}}}).to_string();
        let snapshot = Snapshot::of(&config(&text)).unwrap();
        let shown = snapshot.settings().next().unwrap().1;
        prop_assert!(shown.starts_with(&format!("https://{host}.invalid/v1")), "{}", shown);
        prop_assert!(!shown.contains("fake"), "{}", shown);
    }
}
