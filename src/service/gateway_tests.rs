//! Gateways' units as OpenClaw 2026.6.1 and 2026.9.6 write them, and worse ones.

use super::*;
use proptest::prelude::*;

const KNOWN: Specifiers<'static> = Specifiers {
    home: "/home/fake",
    user: "fake",
    uid: 1000,
    runtime: "/run/user/1000",
};

/// As `openclaw gateway install` renders it (`dist/systemd-unit-*.mjs`).
const UNIT: &str = "\
[Unit]
Description=OpenClaw Gateway (profile: work, v2026.9.6)
After=network-online.target
Wants=network-online.target
StartLimitBurst=5
StartLimitIntervalSec=60

[Service]
ExecStart=/usr/bin/node --max-old-space-size=2048 \"/home/fake/my apps/openclaw/dist/index.js\" gateway --port 18789
Restart=always
RestartSec=5
TimeoutStopSec=30
SuccessExitStatus=0 143
KillMode=control-group
WorkingDirectory=/home/fake/.openclaw
EnvironmentFile=-/home/fake/.openclaw/gateway.systemd.env
Environment=HOME=/home/fake
Environment=\"PATH=/usr/bin:/my bin\"
Environment=OPENCLAW_PROFILE=work
Environment=NODE_OPTIONS=

[Install]
WantedBy=default.target
";

fn read(texts: &[&str]) -> Gateway {
    let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
    Gateway::read(&texts, &KNOWN).unwrap()
}

#[test]
fn a_unit_as_openclaw_writes_it_is_read() {
    let gateway = read(&[UNIT]);
    assert_eq!(
        gateway.command[2],
        "/home/fake/my apps/openclaw/dist/index.js"
    );
    assert_eq!(gateway.environment[1].1, "/usr/bin:/my bin");
    assert_eq!(
        gateway.environment_paths().collect::<Vec<_>>(),
        [PathBuf::from("/home/fake/.openclaw/gateway.systemd.env")]
    );
    assert_eq!(gateway.folder.as_deref(), Some("/home/fake/.openclaw"));
}

#[test]
fn the_drop_in_and_the_systems_unit_as_texts() {
    let gateway = read(&[UNIT]);
    let both = DropIn {
        gateway: &gateway,
        keeper: Some("clawkeep-keeper.service".to_owned()),
    };
    let alone = DropIn {
        gateway: &gateway,
        keeper: None,
    };
    let system = GatewayUnit {
        gateway: &gateway,
        user: UserName::parse("fake").unwrap(),
        keeper: "clawkeep-keeper-fake.service".to_owned(),
    };
    let all = [both.render(), alone.render(), system.render()].map(Result::unwrap);
    insta::assert_snapshot!("gateway_units", all.join("\n=====\n"));
}

#[test]
fn node_options_that_are_there_stay() {
    for (there, wanted) in [
        ("", "NODE_OPTIONS=--disable-sigusr1"),
        (
            "[Service]\nEnvironment=NODE_OPTIONS=--max-old-space-size=4096\n",
            "\"NODE_OPTIONS=--max-old-space-size=4096 --disable-sigusr1\"",
        ),
        (
            "[Service]\nEnvironment=\"NODE_OPTIONS=--disable-sigusr1 --trace-warnings\" B=1\n",
            "\"NODE_OPTIONS=--disable-sigusr1 --trace-warnings\"",
        ),
        (
            "[Service]\nEnvironment=NODE_OPTIONS=--x\nEnvironment=\n",
            "NODE_OPTIONS=--disable-sigusr1",
        ),
    ] {
        let gateway = read(&[UNIT, there]);
        let text = DropIn {
            gateway: &gateway,
            keeper: None,
        }
        .render()
        .unwrap();
        assert!(
            text.contains(&format!("\nEnvironment={wanted}\n")),
            "{text}"
        );
    }
}

#[test]
fn what_would_win_over_the_drop_in_is_seen() {
    assert!(file_overrides("A=1\n NODE_OPTIONS = \"--inspect\"\n"));
    assert!(!file_overrides(
        "A=1\nNODE_OPTIONS=\"--x --disable-sigusr1\"\n"
    ));
    assert!(!file_overrides("#NODE_OPTIONS=1\nMY_NODE_OPTIONS=1\n"));
    let gateway = read(&["[Service]\nUnsetEnvironment=A NODE_OPTIONS\n"]);
    assert!(gateway.unsets_node_options());
}

#[test]
fn what_cannot_be_handed_on_is_refused() {
    for unit in [
        "[Service]\nRestart=always\n",
        "[Service]\nExecStart=-/bin/sh\n",
        "[Service]\nExecStart=node x\n",
        "[Service]\nExecStart=/bin/sh %I\n",
        "[Service]\nExecStart=/bin/sh\nEnvironment=A=\\d\n",
        "[Service]\nExecStart=/bin/sh ${HOME}\n",
        "[Service]\nExecStart=/bin/sh \"a\\nb\"\n",
        "[Service]\nExecStart=/bin/sh\nEnvironment=\"A=\\nUser=root\"\n",
        "[Service]\nExecStart=/bin/sh\nWorkingDirectory=~\n",
    ] {
        let gateway = read(&[unit]);
        let unit = GatewayUnit {
            gateway: &gateway,
            user: UserName::parse("fake").unwrap(),
            keeper: "k.service".to_owned(),
        };
        assert!(unit.render().is_err(), "{unit:?}");
    }
    let unknown = ["[Service]\nEnvironment=NODE_OPTIONS=%I\n".to_owned()];
    assert!(Gateway::read(&unknown, &KNOWN).is_err());
}

proptest! {
    /// A command and variables survive the way from one unit into the other.
    #[test]
    fn commands_and_variables_are_handed_on(
        args in proptest::collection::vec("[^\\p{Cc}]{0,20}", 0..4),
        value in "[^\\p{Cc}]{0,20}",
    ) {
        let line = command_line(Path::new("/usr/bin/node"), &args).unwrap();
        let pair = word(&format!("FAKE={value}"), "it").unwrap();
        let unit = format!("[Service]\nExecStart={line}\nEnvironment={pair}\n");
        let first = read(&[&unit]);
        let text = GatewayUnit {
            gateway: &first,
            user: UserName::parse("fake").unwrap(),
            keeper: "k.service".to_owned(),
        }
        .render()
        .unwrap();
        let again = read(&[&text]);
        prop_assert_eq!(&again.command[1..], &args[..]);
        prop_assert_eq!(&again.environment[0].1, &value);
    }

    #[test]
    fn no_unit_panics(text in "(\\PC|[\n=\\[\\]\"%\\\\]){0,120}") {
        let _ = Gateway::read(&["[Service]\n".to_owned() + &text], &KNOWN);
        let _ = file_overrides(&text);
    }
}

#[test]
fn a_file_of_variables_is_read_and_keys_are_told_by_their_names() {
    let text = "# no\nA=1\n B = \"two words\" \n;C=3\nnonsense\nD-E=4\n=5\nF='x=y'\n";
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        variables(text),
        [pair("A", "1"), pair("B", "two words"), pair("F", "x=y")]
    );
    for name in ["OPENAI_API_KEY", "openclaw_gateway_token", "X_PASSWORD"] {
        assert!(looks_like_key(name), "{name}");
    }
    for name in ["PATH", "NODE_OPTIONS", "OPENCLAW_PROFILE"] {
        assert!(!looks_like_key(name), "{name}");
    }
}

proptest! {
    #[test]
    fn no_file_of_variables_panics(text in "(\\PC|[\n='\"]){0,60}") {
        let _ = variables(&text);
    }
}

/// A value that joined the next line would take a setting of ours with it.
#[test]
fn no_value_swallows_what_contains_the_gateway() {
    let joined = "[Unit]\nStartLimitBurst=5 \\\\\n[Service]\nExecStart=/bin/x\nRestart=always\n";
    let gateway = read(&[joined]);
    let unit = |gateway: &Gateway| {
        GatewayUnit {
            gateway,
            user: UserName::parse("fake").unwrap(),
            keeper: "k.service".to_owned(),
        }
        .render()
    };
    assert!(unit(&gateway).is_err());
    let text = unit(&read(&[UNIT])).unwrap();
    let settings = settings(&text).unwrap();
    let at = |name: &str| settings.iter().position(|s| s.name == name).unwrap();
    for ours in ["LimitCORE", "MemorySwapMax", "KillMode", "Delegate"] {
        assert!(at(ours) < at("ExecStart"), "{text}");
        assert_eq!(settings.iter().filter(|s| s.name == ours).count(), 1);
    }
    assert!(at("Restart") > at("KillMode"));
}
