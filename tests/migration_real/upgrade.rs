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
    // The doctor leaves archives, which hold references and names only; OpenClaw's audit asks for their end.
    let agent = home.world.home().join(".openclaw/agents/main/agent");
    let archives: Vec<_> = std::fs::read_dir(agent)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains(".migrated-"))
        .collect();
    assert!(!archives.is_empty());
    for path in archives {
        std::fs::remove_file(path).unwrap();
    }
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
