//! An update of OpenClaw after a migration: what the older one read from its files is in the newer one's
//! database, as references and in their order.

use crate::common::openclaw::{OpenClaw, Which};
use crate::home::{ANTHROPIC, Home};

const PROVIDER: [&str; 2] = ["--provider", "openrouter"];

fn order(home: &Home) -> Vec<String> {
    let args = [
        &["models", "auth", "order", "get"],
        &PROVIDER[..],
        &["--json"],
    ]
    .concat();
    let report = home.openclaw(&args).ok().json();
    let ids = report["order"].as_array().unwrap();
    ids.iter()
        .map(|id| id.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn references_and_order_survive_an_update_from_2026_6_1_to_2026_9_6() {
    let (Some(mut home), Some(new)) = (
        Home::make(Which::V2026_6_1),
        OpenClaw::get(Which::V2026_9_6),
    ) else {
        return;
    };
    // Not as they were pasted: order is what a person said.
    let wanted = ["openrouter:token", "openrouter:key"];
    let set = [&["models", "auth", "order", "set"], &PROVIDER[..], &wanted].concat();
    let _ = home.openclaw(&set).ok();
    home.world.init();
    let _ = home.clawkeep(&["migrate", "--yes", "--install"]).ok();
    home.holds_none();
    assert_eq!(order(&home), wanted);

    home.openclaw = new;
    let _ = home
        .openclaw(&["doctor", "--fix", "--non-interactive"])
        .ok();
    // The doctor leaves an archive, which holds references only; linking says so.
    let linked = home.clawkeep(&["link", "--yes"]).fails(1);
    let hint = linked
        .stderr
        .lines()
        .find_map(|line| line.strip_prefix("hint: rm "));
    std::fs::remove_file(hint.unwrap_or_else(|| panic!("{linked}"))).unwrap();
    let _ = home.clawkeep(&["link", "--yes"]).ok();
    assert_eq!(order(&home), wanted);
    let profiles = home.profiles();
    assert!(
        wanted.iter().all(|id| profiles.iter().any(|one| one == id)),
        "{profiles:?}"
    );
    let (code, report) = home.audit();
    assert_eq!(
        (code, &report["status"]),
        (0, &"clean".into()),
        "{report:#}"
    );
    home.arrives(&["--local"], ANTHROPIC);
    home.holds_none();
    let _ = home.clawkeep(&["scan"]).ok();
}
