//! There and back again.

use crate::common::openclaw::Which;
use crate::home::{ANTHROPIC, Home};

fn there_and_back(which: Which) {
    let Some(home) = Home::make(which) else {
        return;
    };
    // As it is before: it works, in plaintext, and OpenClaw's own audit says so.
    home.arrives(&["--local"], ANTHROPIC);
    for value in home.values() {
        assert_ne!(
            home.grep(value).len(),
            0,
            "nothing would be shown by {value}"
        );
    }
    let (code, _) = home.audit();
    assert_eq!(code, 1);
    let profiles = home.profiles();
    assert_eq!(
        profiles,
        ["anthropic:default", "openrouter:key", "openrouter:token"]
    );

    home.world.init();
    let run = home.clawkeep(&["migrate", "--yes", "--install"]).ok();
    for value in home.values() {
        assert!(!run.stdout.contains(value) && !run.stderr.contains(value));
    }
    works(&home, &run.stdout);
    home.holds_none();
    assert_eq!(home.dotenv(), Home::rest_of_dotenv());

    // The gateway and its own command line, with the token that is in the vault now.
    let gateway = home.gateway();
    home.arrives(&[], ANTHROPIC);
    let log = gateway.stop().ok();
    assert!(
        !log.stdout.contains("DEGRADED") && !log.stderr.contains("DEGRADED"),
        "{log}"
    );
    home.holds_none();
    let again = home.clawkeep(&["migrate", "--yes"]).ok();
    assert!(
        again.stderr.contains("No plaintext credential was found"),
        "{again}"
    );

    let _ = home
        .clawkeep(&["migrate", "--undo", "--yes", "--as-root"])
        .ok();
    assert_eq!(home.dotenv(), Home::whole_dotenv());
    assert_eq!(home.profiles(), profiles);
    for value in home.values() {
        assert_ne!(home.grep(value).len(), 0, "{value} did not come back");
    }
    home.arrives(&["--local"], ANTHROPIC);
    let (code, report) = home.audit();
    assert_eq!(code, 1, "in plaintext again: {report}");
    let gateway = home.gateway();
    home.arrives(&[], ANTHROPIC);
    let _ = gateway.stop().ok();
}

/// Everything works by references.
fn works(home: &Home, said: &str) {
    let (code, report) = home.audit();
    assert_eq!(
        (code, &report["status"]),
        (0, &"clean".into()),
        "{said}\n{report:#}"
    );
    assert!(
        report["resolution"]["refsChecked"].as_u64().unwrap() >= 4,
        "{report:#}"
    );
    home.arrives(&["--local"], ANTHROPIC);
    // Green in each of these versions: the default model's provider has one profile, so that the newer
    // ones get a reference in openclaw.json.
    let _ = home.openclaw(&["models", "status", "--check"]).ok();
    let _ = home.clawkeep(&["scan"]).ok();
}

#[test]
fn what_openclaw_2026_6_1_keeps_in_plaintext_moves_and_comes_back() {
    there_and_back(Which::V2026_6_1);
}

#[test]
fn what_openclaw_2026_8_2_keeps_in_plaintext_moves_and_comes_back() {
    there_and_back(Which::V2026_8_2);
}

#[test]
fn what_openclaw_2026_9_6_keeps_in_plaintext_moves_and_comes_back() {
    there_and_back(Which::V2026_9_6);
}
