//! What others change while a migration is at work: it is theirs, so that undoing leaves it, and what came
//! into a database since it was listed is not forgotten.

use crate::common::openclaw::{OpenClaw, Which};
use crate::common::pty::Pty;
use crate::home::{CONFIG, ENV, OPENAI, OPENROUTER, furnish};
use crate::scene::Scene;

const OLD: &str = "sk-proj-FAKE-in-the-database-0123456789";
const NEW: &str = "sk-proj-FAKE-come-since-0123456789-01234";

fn undo(scene: &Scene) {
    let _ = scene.run(&["migrate", "--undo", "--yes", "--as-root"]).ok();
}

/// What a hook does to openclaw.json when OpenClaw is called like this for the first time: a person adds a
/// setting.
fn edit_at(call: &str) -> String {
    let add = "  agents: { defaults: { workspace: \"~/mine\" } },\\n}";
    format!(
        "case \"$*\" in {call}) [ -f \"$d/once\" ] || {{ : > \"$d/once\"; sed -i 's#^}}$#{add}#' \"$c\"; }} ;; esac\n"
    )
}

#[test]
fn an_edit_of_openclaw_json_while_a_migration_works_outlasts_undoing() {
    // What follows the writing of openclaw.json in each version: a plan that is applied, or an audit.
    for (version, call) in [
        (
            "2026.9.6",
            "\"secrets apply \"*--dry-run*) ;; \"secrets apply \"*",
        ),
        ("2026.9.6", "\"secrets audit \"*"),
        ("2026.6.1", "\"secrets audit \"*"),
    ] {
        let scene = Scene::new(version);
        furnish(&scene, version);
        scene.hook(&edit_at(call));
        let run = scene.run(&["migrate", "--yes"]).ok();
        scene.hook("");
        let text = scene.config_text();
        assert!(text.contains("~/mine"), "{version} {call}: {run}\n{text}");
        assert!(!text.contains(OPENROUTER), "{text}");
        undo(&scene);
        let text = scene.config_text();
        assert!(text.contains("~/mine"), "{version} {call}: {text}");
        assert!(text.contains(OPENROUTER), "{version} {call}: {text}");
        assert!(!text.contains("\"exec\""), "{version} {call}: {text}");
    }
}

#[test]
fn what_the_gateway_notes_of_a_profile_meanwhile_outlasts_undoing() {
    let scene = Scene::new("2026.6.1");
    furnish(&scene, "2026.6.1");
    let state = ".openclaw/agents/main/agent/auth-state.json";
    let note = r#"{"version":1,"usageStats":{"anthropic:default":{"lastUsed":1795355756000}}}"#;
    scene.hook(&format!(
        "case \"$*\" in \"secrets audit \"*) [ -f \"$d/once\" ] || {{ : > \"$d/once\"; echo '{note}' > $HOME/{state}; }} ;; esac"
    ));
    let _ = scene.run(&["migrate", "--yes"]).ok();
    scene.hook("");
    assert!(scene.show(state).contains("1795355756000"));
    undo(&scene);
    let text = scene.show(state);
    assert!(text.contains("1795355756000"), "{text}");
}

/// A copy of what a file has goes with it; the copy's group and list are the file's own.
#[test]
fn a_file_that_is_rewritten_keeps_what_is_attached_to_it() {
    let scene = Scene::new("2026.6.1");
    furnish(&scene, "2026.6.1");
    let path = scene.world.home().join(ENV);
    let none = rustix::fs::XattrFlags::empty();
    if let Err(error) = rustix::fs::setxattr(&path, "user.backup", b"mine", none) {
        eprintln!("not run: this file system takes no attributes: {error}");
        return;
    }
    let attached = || {
        let mut value = [0; 16];
        let length = rustix::fs::getxattr(&path, "user.backup", &mut value[..]);
        length.map(|length| value[..length].to_vec())
    };
    let _ = scene.run(&["migrate", "--yes"]).ok();
    assert!(!scene.show(ENV).contains(OPENAI));
    assert_eq!(attached().unwrap(), b"mine");
    undo(&scene);
    assert!(scene.show(ENV).contains(OPENAI));
    assert_eq!(attached().unwrap(), b"mine");
}

/// A database as OpenClaw 2026.9.6 has it, and the Node that reads it.
struct Database {
    scene: Scene,
    node: OpenClaw,
}

impl Database {
    /// `None` when OpenClaw, whose Node it is, was left out by a flag.
    fn new() -> Option<Database> {
        let node = OpenClaw::get(Which::V2026_9_6)?;
        let scene = Scene::new("2026.9.6");
        scene.world.put_on_path("node", node.node());
        scene.world.write(CONFIG, "{}\n");
        scene.world.write("put.mjs", format!(
            "import {{ DatabaseSync }} from 'node:sqlite';
const db = new DatabaseSync(process.env.HOME + '/.openclaw/agents/main/agent/openclaw-agent.sqlite');
db.exec('CREATE TABLE IF NOT EXISTS auth_profile_store (store_key TEXT NOT NULL PRIMARY KEY, store_json TEXT NOT NULL, updated_at INTEGER NOT NULL)');
const key = process.argv[2] === 'new' ? '{NEW}' : '{OLD}';
const profiles = {{ 'openai:default': {{ type: 'api_key', provider: 'openai', key }} }};
db.prepare('INSERT OR REPLACE INTO auth_profile_store VALUES (?, ?, 1)').run('primary', JSON.stringify({{ version: 1, profiles }}));
db.close();
"
        ));
        let agent = scene.world.home().join(".openclaw/agents/main/agent");
        std::fs::create_dir_all(agent).unwrap();
        scene.has_profile("main", "openai:default", "openai key");
        let database = Database { scene, node };
        database.put("old");
        Some(database)
    }

    fn put(&self, which: &str) {
        let world = &self.scene.world;
        let program = world.home().join("put.mjs");
        let args = ["--no-warnings", program.to_str().unwrap(), which];
        let _ = world.program(self.node.node(), &args).run().ok();
    }

    /// The stand-in puts the other value there when it is called like this.
    fn puts_new_at(&self, call: &str) {
        let node = self.node.node().display();
        self.scene.hook(&format!(
            "case \"$*\" in {call}) [ -f \"$d/once\" ] || {{ : > \"$d/once\"; {node} --no-warnings $HOME/put.mjs new; }} ;; esac"
        ));
    }

    fn holds(&self, value: &str) -> bool {
        let found = self.scene.world.search_home(value);
        found
            .iter()
            .any(|path| path.extension().is_some_and(|end| end == "sqlite"))
    }
}

#[test]
fn a_value_that_came_into_the_database_since_is_not_forgotten() {
    let Some(database) = Database::new() else {
        return;
    };
    let scene = &database.scene;
    database.puts_new_at("*--dry-run*");
    let run = scene.run(&["migrate", "--yes"]).fails(1);
    assert!(
        run.stderr.contains(
            "OpenClaw's databases changed since they were listed; nothing was taken from them"
        ),
        "{run}"
    );
    let calls = scene.calls();
    assert!(
        calls.contains("--dry-run") && !calls.contains("logout"),
        "{calls}"
    );
    assert!(database.holds(NEW));
}

#[test]
fn a_value_that_comes_into_the_database_while_the_question_waits_is_listed_again() {
    let Some(database) = Database::new() else {
        return;
    };
    let mut pty = Pty::start(database.scene.cmd(&["migrate"]));
    pty.expect("Move these into the vault?");
    database.put("new");
    pty.send_line("y");
    pty.expect("databases changed since they were listed; nothing was changed.");
    pty.expect("Move these into the vault?");
    pty.send_line("n");
    let _ = pty.finish().run.fails(130);
    assert!(database.holds(NEW));
    assert!(!database.scene.calls().contains("logout"));
}
