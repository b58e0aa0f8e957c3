//! The vault id in OpenClaw's configuration while the vault gets a new identity.

use crate::scene::{Scene, mode, set_mode, value_of};
use std::sync::atomic::{AtomicBool, Ordering};

fn pins(text: &str) -> usize {
    text.matches("\"--vault-id\"").count()
}

/// Set also when a command fails: the asker must not go on for ever.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// While one of the two changes the identity, another asks as the gateway would, with the arguments
/// that stand in the file.
#[test]
fn a_gateway_can_start_at_every_instant_of_a_rekey() {
    for version in ["2026.6.1", "2026.9.6"] {
        let scene = Scene::new(version);
        scene.config("// Mine.\n{\n  gateway: { mode: \"local\" }, // here\n}\n");
        let path = scene.world.home().join(".openclaw/openclaw.json");
        set_mode(&path, 0o640);
        scene.paste("token", "anthropic:work", &[]);
        let _ = scene.link(&[]).ok();
        let before = scene.config_text();
        let _ = scene
            .run(&[
                "slot",
                "add",
                "identity-file",
                "--name",
                "second",
                "--identity-file",
                scene.world.home().join("second.txt").to_str().unwrap(),
            ])
            .ok();
        let ended = AtomicBool::new(false);
        let asked = std::thread::scope(|scope| {
            let asker = scope.spawn(|| {
                let mut asked = 0;
                while !ended.load(Ordering::Acquire) {
                    let text = scene.config_text();
                    let answers = scene.resolves(&["anthropic:work"]);
                    // Between the two readings the change may have ended: then the old arguments are
                    // no longer those in the file.
                    if text == scene.config_text() {
                        assert_eq!(
                            answers["values"]["anthropic:work"],
                            value_of("anthropic:work"),
                            "{answers}"
                        );
                        asked += 1;
                    }
                }
                asked
            });
            let ends = Ends(&ended);
            for args in [
                &["rekey", "--yes"][..],
                &["rekey", "--yes"],
                &["slot", "remove", "second", "--yes"],
            ] {
                let _ = scene.run(args).ok();
                assert_eq!(pins(&scene.config_text()), 1);
            }
            drop(ends);
            asker.join().unwrap()
        });
        assert!(asked > 0);
        let after = scene.config_text();
        assert_ne!(before, after);
        assert_eq!(
            scene.world.tidy(&before),
            scene.world.tidy(&after),
            "only the id is another"
        );
        assert_eq!(mode(&path), 0o640);
        // The record knows as well: nothing is left to be done.
        let tree = scene.world.tree();
        let _ = scene.link(&[]).ok();
        assert!(tree == scene.world.tree());
    }
}

/// OpenClaw's file cannot be changed, so the vault is not either: a gateway would be locked out.
#[test]
fn a_broken_configuration_stops_a_rekey_before_it_starts() {
    let scene = Scene::new("2026.9.6");
    scene.paste("token", "anthropic:work", &[]);
    let _ = scene.link(&[]).ok();
    let good = scene.config_text();
    scene.config("{ broken");
    let run = scene.run(&["rekey", "--yes"]).fails(1);
    assert!(run.stderr.contains("is not readable as JSON5"), "{run}");
    scene.config(&good);
    let answers = scene.resolves(&["anthropic:work"]);
    assert_eq!(
        answers["values"]["anthropic:work"],
        value_of("anthropic:work")
    );
    let _ = scene.run(&["rekey", "--yes"]).ok();
    let answers = scene.resolves(&["anthropic:work"]);
    assert_eq!(
        answers["values"]["anthropic:work"],
        value_of("anthropic:work")
    );
}
