//! What both commands say, as a whole.

use super::scene::Scene;
use std::fmt::Write as _;

/// One transcript.
pub struct Transcript {
    scene: Scene,
    text: String,
}

impl Transcript {
    pub fn new(version: &str) -> Transcript {
        Transcript {
            scene: Scene::new(version),
            text: String::new(),
        }
    }

    fn run(&mut self, args: &[&str]) -> &mut Self {
        let run = self.scene.run(args);
        let _ = writeln!(self.text, "$ clawkeep {}\n{run}", args.join(" "));
        self
    }

    fn order(&mut self, args: &[&str]) -> &mut Self {
        self.run(&[&["models", "auth", "order"], args].concat())
    }

    fn pick(&mut self, args: &[&str]) -> &mut Self {
        self.run(&[&["models", "pick", "--provider"], args].concat())
    }

    fn holds(&self, name: &str) {
        let mut settings = insta::Settings::clone_current();
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        for (pattern, name) in [
            (r"\d{4}-\d\d-\d\d \d\d:\d\d [+-]\d\d:\d\d", "[DATE]"),
            (r#"("remainingMs": )\d+"#, "$1[MS]"),
            (r"\b1[789]\d{11}\b", "[MS]"),
            (r"\b\d+ (days|hours|minutes)( \d+ \w+)? ", "[SPAN] "),
            (r" +\n", "\n"),
        ] {
            settings.add_filter(pattern, name);
        }
        settings.bind(|| insta::assert_snapshot!(name, self.text));
    }
}

/// Milliseconds since 1970, so many hours from now.
fn hours(from_now: i64) -> i64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    i64::try_from(now.as_millis()).unwrap() + from_now * 3_600_000 + 60_000
}

#[test]
fn without_a_linked_openclaw() {
    let mut t = Transcript::new("2026.6.1");
    t.pick(&["anthropic"])
        .order(&["get", "--provider", "anthropic"]);
    t.scene
        .paste("token", "anthropic:work", &["--expires-in", "30d"]);
    t.scene.paste("token", "anthropic:home", &[]);
    t.scene.paste("api-key", "openrouter:manual", &[]);
    // Nothing of what follows needs a value.
    let key = t.scene.world.home().join(".config/clawkeep/identity.txt");
    std::fs::remove_file(key).unwrap();
    t.run(&["secret", "get", "anthropic:work"])
        .pick(&["anthropic"])
        .pick(&["anthropic", "--profile", "anthropic:home"])
        .pick(&["anthropic", "--profile", "anthropic:x"])
        .pick(&["anthropic", "--profile", "openrouter:manual"])
        .pick(&["groq", "--json"])
        .order(&["set", "--provider", "anthropic", "anthropic:home"])
        .order(&["get", "--provider", "anthropic"])
        .order(&["get", "--provider", "anthropic", "--json"])
        .pick(&["anthropic", "--json"])
        .pick(&["anthropic", "--profile", "anthropic:work"])
        .order(&["set", "--provider", "anthropic"])
        .order(&["set", "anthropic:home"])
        .order(&[
            "set",
            "--provider",
            "anthropic",
            "anthropic:home",
            "anthropic:x",
        ])
        .order(&[
            "set",
            "--provider",
            "anthropic",
            "openrouter:manual",
            "--json",
        ])
        .order(&["clear", "--provider", "anthropic"])
        .order(&["clear", "--provider", "anthropic", "--json"])
        .order(&["get", "--provider", "anthropic", "--agent", "work"]);
    t.holds("unlinked");
}

#[test]
fn with_its_files() {
    let mut t = Transcript::new("2026.6.1");
    t.scene.config(
        "{auth: {order: {anthropic: ['anthropic:home', 'anthropic:work', 'anthropic:gone']}}}",
    );
    t.scene.paste("token", "anthropic:work", &[]);
    t.scene.paste("token", "anthropic:home", &[]);
    let _ = t.scene.link(&[]).ok();
    let stats = format!(
        r#"{{"version":1,"usageStats":{{
            "anthropic:home":{{"cooldownUntil":{},"cooldownReason":"rate_limit","lastUsed":5}},
            "anthropic:work":{{"lastUsed":{}}}}}}}"#,
        hours(2),
        hours(-3)
    );
    t.scene
        .world
        .write(".openclaw/agents/main/agent/auth-state.json", stats);
    t.pick(&["anthropic"])
        .pick(&["anthropic", "--json"])
        .order(&[
            "set",
            "--provider",
            "anthropic",
            "anthropic:work",
            "anthropic:home",
        ])
        .order(&["get", "--provider", "anthropic"])
        .order(&["get", "--provider", "anthropic", "--agent", "nobody"])
        .order(&["clear", "--provider", "anthropic"])
        .order(&["get", "--provider", "anthropic", "--json"]);
    t.holds("files");
}

#[test]
fn with_its_database() {
    let mut t = Transcript::new("2026.9.6");
    t.scene.config("{}");
    t.scene.paste("token", "anthropic:work", &[]);
    t.scene.paste("token", "anthropic:home", &[]);
    t.scene.paste("api-key", "openrouter:manual", &[]);
    let _ = t.scene.link(&[]).ok();
    t.pick(&["anthropic"])
        .order(&[
            "set",
            "--provider",
            "anthropic",
            "anthropic:work",
            "anthropic:home",
        ])
        .order(&["get", "--provider", "anthropic"]);
    // OpenClaw's own, afterwards.
    t.scene.has_order("main", "anthropic", "anthropic:home");
    t.order(&["get", "--provider", "anthropic", "--json"])
        .pick(&["anthropic"])
        .pick(&["anthropic", "--live", "--json"])
        .order(&["set", "--provider", "openrouter", "openrouter:manual"])
        .order(&["get", "--provider", "openrouter"])
        .order(&["get", "--provider", "openrouter", "--agent", "work"])
        .pick(&["openrouter"])
        .order(&["clear", "--provider", "anthropic"])
        .order(&["get", "--provider", "anthropic"]);
    std::fs::remove_file(t.scene.world.bin().join("openclaw")).unwrap();
    t.order(&["get", "--provider", "anthropic"]);
    t.holds("database");
}
