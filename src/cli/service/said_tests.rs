//! A child that lies, field by field: whatever any process of the gateway's user could say in its place.

use crate::cli::service::ask::Told;
use crate::service::gateway::GatewayUnit;
use crate::service::user::UserName;
use proptest::prelude::*;
use serde_json::{Value, json};

fn unit() -> Value {
    json!({
        "name": "openclaw-gateway.service",
        "command": ["/usr/bin/node", "gateway"],
        "environment": [["HOME", "/home/fake"]],
        "withheld": ["FAKE_KEY"],
        "folder": "/home/fake",
        "policy": [{"section": "Service", "name": "Restart", "value": "always"}],
        "aside": false,
        "trouble": null,
    })
}

fn surveyed() -> Value {
    json!({"surveyed": {
        "vault": "/home/fake/vault", "has_vault": true, "is_items": false, "undo": 0,
        "moved": ["/run/k/keeper.sock", 5], "at_rest": false, "linked": ["provider/fake"],
        "asks": ["/run/k/keeper.sock", 5], "gateways": [unit()], "fallback": unit(),
    }})
}

fn looked() -> Value {
    json!({"looked": {
        "vault": "/home/fake/vault", "home": "/home/fake", "id": "00", "slot": null,
        "has_other_slot": true, "opened_by": "x", "pointer": "/run/k/keeper.sock",
        "has_manager": true, "has_monitor": false,
    }})
}

fn gateways() -> Value {
    json!({"gateways": [{
        "unit": "openclaw-gateway.service", "drop_in": "/home/fake/x.conf", "text": "",
        "found": "absent", "user": null, "notes": [],
    }]})
}

fn believed(told: &Value) -> bool {
    serde_json::from_value::<Told>(told.clone()).is_ok()
}

/// Each lie in the place of the truth at `at`.
fn refused(truth: &Value, at: &str, lies: &[Value]) {
    for lie in lies {
        let mut told = truth.clone();
        *told.pointer_mut(at).unwrap() = lie.clone();
        assert!(!believed(&told), "{at}: {lie}");
    }
}

#[test]
fn a_survey_that_would_write_another_unit_is_not_believed() {
    assert!(believed(&surveyed()));
    let names = [
        json!("/etc/systemd/system/sshd.service"),
        json!("../sshd.service"),
        json!("openclaw-gateway-/../../sshd.service"),
        json!("--root=/home/fake"),
        json!("-H"),
        json!("sshd.service"),
        json!("openclaw-gateway.service\nx"),
        json!("openclaw-gateway-.service"),
        json!(""),
    ];
    let settings = [
        json!({"section": "Service", "name": "User=root\nExecStart=\nExecStart", "value": "/home/fake/evil"}),
        json!({"section": "Service", "name": "ExecStartPre", "value": "+/home/fake/evil"}),
        json!({"section": "Service", "name": "RestartSec", "value": "5\nUser=root"}),
        json!({"section": "Service", "name": "RestartSec", "value": "5\\"}),
        json!({"section": "Unit", "name": "Restart", "value": "always"}),
        json!({"section": "Service", "name": "OOMScoreAdjust", "value": "-1000"}),
    ];
    let variables = [
        json!(["A=1\nUser", "root"]),
        json!(["A", "1\nUser=root"]),
        json!(["", "1"]),
        json!(["A B", "1"]),
        json!(["A", "\u{1b}[2J"]),
    ];
    let words = [
        json!("a\nUser=root"),
        json!("a\0"),
        json!("\u{1b}[2J"),
        json!(7),
    ];
    let paths = [
        json!("relative"),
        json!("/home/fake/../../etc"),
        json!("/home/fake\nUser=root"),
        json!(""),
    ];
    for place in ["/surveyed/gateways/0", "/surveyed/fallback"] {
        let at = |field: &str| format!("{place}{field}");
        refused(&surveyed(), &at("/name"), &names);
        refused(&surveyed(), &at("/policy/0"), &settings);
        refused(&surveyed(), &at("/environment/0"), &variables);
        refused(&surveyed(), &at("/command/0"), &words);
        refused(&surveyed(), &at("/command/1"), &words);
        refused(&surveyed(), &at("/withheld/0"), &words);
        refused(&surveyed(), &at("/trouble"), &words);
        refused(&surveyed(), &at("/folder"), &paths);
    }
    for path in ["/surveyed/vault", "/surveyed/moved/0", "/surveyed/asks/0"] {
        refused(&surveyed(), path, &paths);
    }
    for number in ["/surveyed/moved/1", "/surveyed/asks/1"] {
        refused(&surveyed(), number, &[json!(-1), json!(4_294_967_296_u64)]);
    }
    refused(
        &surveyed(),
        "/surveyed/linked/0",
        &[json!("a b"), json!("x\ny"), json!("")],
    );
}

#[test]
fn what_is_said_at_rest_is_no_more_believed() {
    assert!(believed(&looked()) && believed(&gateways()));
    let paths = [
        json!("relative"),
        json!("/a/../b"),
        json!("/a\nBindPaths=/"),
    ];
    for at in ["/looked/vault", "/looked/home", "/looked/pointer"] {
        refused(&looked(), at, &paths);
    }
    refused(&looked(), "/looked/opened_by", &[json!("\u{1b}[2J")]);
    refused(
        &looked(),
        "/looked/slot",
        &[json!(["/a/../b", "age1"]), json!(["/a", "x"])],
    );
    refused(
        &gateways(),
        "/gateways/0/unit",
        &[json!("../x.service"), json!("-x")],
    );
    refused(&gateways(), "/gateways/0/drop_in", &paths);
}

proptest! {
    /// Whatever is believed, each line of the unit that root writes is one of the kinds that it knows, as
    /// the user.
    #[test]
    fn no_answer_adds_a_setting(
        word in "(\\PC|[\n\\\\\"'%=;:$]){0,20}",
        other in "(\\PC|[\n\\\\\"'%=;:$]){0,20}",
        at in 0..6_usize,
    ) {
        let mut said = unit();
        let place = ["/command/0", "/command/1", "/environment/0/0", "/environment/0/1", "/folder", "/policy/0/value"][at];
        *said.pointer_mut(place).unwrap() = match at {
            0 | 4 => json!(format!("/{word}")),
            _ => json!(word),
        };
        if at != 1 {
            said["command"][1] = json!(other);
        }
        if let Ok(unit) = serde_json::from_value::<crate::cli::service::isolated::wish::Unit>(said) {
            let gateway = unit.gateway();
            let text = GatewayUnit {
                gateway: &gateway,
                user: UserName::parse("fake").unwrap(),
                keeper: "k.service".to_owned(),
            }
            .render();
            if let Ok(text) = text {
                let settings = crate::service::text::settings(&text).unwrap();
                let count = |name: &str| settings.iter().filter(|s| s.name == name).count();
                prop_assert_eq!(count("User"), 1);
                prop_assert_eq!(count("ExecStart"), 1);
                prop_assert_eq!(count("KillMode"), 1);
                prop_assert_eq!(count("Environment"), 2);
                prop_assert_eq!(count("WantedBy"), 1);
                let known = ["Description", "After", "Wants", "User", "LimitCORE", "MemorySwapMax",
                    "KillMode", "Delegate", "ExecStart", "WorkingDirectory", "Environment", "Restart",
                    "WantedBy"];
                prop_assert!(settings.iter().all(|s| known.contains(&s.name.as_str())), "{}", text);
            }
        }
    }
}
