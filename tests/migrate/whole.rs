//! A whole migration, from the list to the scan.

use crate::home::{self, ENV, furnish};
use crate::scene::Scene;

#[test]
fn everything_that_can_move_moves() {
    for version in ["2026.6.1", "2026.9.6"] {
        let scene = Scene::new(version);
        furnish(&scene, version);
        let run = scene.run(&["migrate", "--dry-run"]);
        eprintln!("{run:#}");
        let run = scene.run(&["migrate", "--yes"]);
        eprintln!("{run:#}");
        eprintln!("{}", scene.show(ENV));
        eprintln!("{}", scene.show(home::CONFIG));
        eprintln!("{}", scene.show(home::PROFILES));
        eprintln!("{}", scene.show(".openclaw/openclaw.json.bak"));
        eprintln!("{}", scene.show(".openclaw/openclaw.json.bak.1"));
        eprintln!("{}", scene.show(".openclaw/agents/main/agent/auth-state.json"));
        eprintln!("{:?}", scene.database());
        eprintln!("{}", scene.run(&["secret", "list"]));
        eprintln!("{}", scene.run(&["migrate", "--yes"]));
        eprintln!("{}", scene.run(&["migrate", "--undo", "--yes"]));
        eprintln!("{}", scene.show(ENV));
        eprintln!("{}", scene.show(home::CONFIG));
    }
}
