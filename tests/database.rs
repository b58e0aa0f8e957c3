//! OpenClaw's databases as OpenClaw itself makes them, and such as nobody should: what is read of them,
//! what is left of what was deleted, and that looking changes nothing.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails, and tests write files"
)]

mod common;

use clawkeep::error::{Kind, Result};
use clawkeep::host::Host;
use clawkeep::openclaw::config::Config;
use clawkeep::openclaw::database::{self, Contents, Place, Running};
use clawkeep::openclaw::install::Install;
use clawkeep::openclaw::places::Places;
use clawkeep::secret::SecretKind;
use common::openclaw::{OpenClaw, Which, free_port};
use common::{Run, World};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

/// A home with this OpenClaw on its PATH.
struct Scene {
    world: World,
    openclaw: OpenClaw,
    install: Install,
    places: Places,
    port: u16,
}

impl Scene {
    /// `None` when OpenClaw was left out by a flag.
    fn new(which: Which) -> Option<Scene> {
        let openclaw = OpenClaw::get(which)?;
        let world = World::new();
        openclaw.put_on_path(&world);
        let port = free_port();
        let config = format!(
            r#"{{ gateway: {{ mode: "local", bind: "loopback", port: {port} }},
  agents: {{ defaults: {{ model: {{ primary: "anthropic/claude-sonnet-4-5" }} }} }} }}
"#
        );
        world.write(".openclaw/openclaw.json", config);
        let node = Some(openclaw.node().to_owned());
        let install = Install::at(openclaw.entry(), node, &Host::real()).unwrap();
        let places = Places::below(&world.home());
        Some(Scene {
            world,
            openclaw,
            install,
            places,
            port,
        })
    }

    fn config(&self) -> Config {
        Config::read(self.places.config()).unwrap()
    }

    fn read(&self) -> Result<Contents> {
        database::read(&self.install, &self.places, &self.config())
    }

    fn compact(&self, file: &Path) -> Result<database::Compacted> {
        let host = Host::real();
        database::compact(&self.install, &host, &self.places, &self.config(), file)
    }

    /// Which profiles it finds, and their values.
    fn values(&self) -> Vec<(Place, String, SecretKind, String)> {
        let mut found: Vec<_> = self
            .read()
            .unwrap()
            .stored
            .into_iter()
            .map(|stored| {
                let id = stored.profile.as_str().to_owned();
                (stored.place, id, stored.kind, stored.value.to_string())
            })
            .collect();
        found.sort_by(|one, other| (&one.0, &one.1).cmp(&(&other.0, &other.1)));
        found
    }

    #[track_caller]
    fn paste(&self, kind: &str, provider: &str, profile: &str, value: &str) {
        let command = format!("paste-{kind}");
        let args = ["models", "auth", &command, "--provider", provider];
        let args = [&args[..], &["--profile-id", profile]].concat();
        let line = format!("{value}\n");
        let _ = self.openclaw.cmd(&self.world, &args).stdin(line).run().ok();
    }

    /// Where OpenClaw keeps what all agents have in common.
    fn shared(&self) -> PathBuf {
        self.places.state().join("state/openclaw.sqlite")
    }

    fn main_agent(&self) -> PathBuf {
        self.places
            .state()
            .join("agents/main/agent/openclaw-agent.sqlite")
    }

    /// SQL in a Node of its own, which ends in order.
    #[track_caller]
    fn sql(&self, file: &Path, sql: &str) {
        let run = self.node(file, &format!("{sql} database.close();")).run();
        let _: Run = run.ok();
    }

    /// A program in this OpenClaw's Node that has `file` open as `database`.
    fn node(&self, file: &Path, program: &str) -> common::run::Cmd {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let file = serde_json::json!(file);
        let program = format!(
            "const {{ DatabaseSync }} = await import('node:sqlite');
const database = new DatabaseSync({file});
{program}"
        );
        let args = ["--no-warnings", "--input-type=module", "--eval", &program];
        self.world.program(self.openclaw.node(), &args)
    }

    /// A process that has done `program` with the database and keeps it open.
    fn holder(&self, file: &Path, program: &str) -> Holder {
        let program = format!("{program} console.log('ready'); setInterval(() => {{}}, 1000);");
        let mut command = self.node(file, &program).into_std();
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Holder(child)
    }
}

/// Killed when dropped: what it had open stays as it was.
struct Holder(Child);

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether a file of the folder of `file` that begins with its name holds the bytes.
fn holds(file: &Path, needle: &str) -> bool {
    let name = file.file_name().unwrap().to_str().unwrap();
    let files = std::fs::read_dir(file.parent().unwrap()).unwrap();
    files.map(|entry| entry.unwrap()).any(|entry| {
        let bytes = std::fs::read(entry.path()).unwrap();
        let mut windows = bytes.windows(needle.len());
        entry.file_name().to_str().unwrap().starts_with(name)
            && windows.any(|window| window == needle.as_bytes())
    })
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}{ending}", file.display()))
}

/// What a person has in a store that OpenClaw made, read, logged out of, and compacted.
fn a_store_that_openclaw_made(which: Which) {
    let Some(scene) = Scene::new(which) else {
        return;
    };
    assert!(scene.read().unwrap().files.is_empty(), "no database yet");
    let token = format!("sk-ant-oat01-FAKE-{}", "FAKE0123456789".repeat(6));
    let key = "sk-or-FAKE-openrouter-0123456789";
    scene.paste("token", "anthropic", "anthropic:work", &token);
    scene.paste("api-key", "openrouter", "openrouter:one", key);
    let shared = scene.shared();
    let both = [
        (
            Place::Shared,
            "anthropic:work".to_owned(),
            SecretKind::Token,
            token.clone(),
        ),
        (
            Place::Shared,
            "openrouter:one".to_owned(),
            SecretKind::ApiKey,
            key.to_owned(),
        ),
    ];
    let before = scene.world.tree();
    assert_eq!(scene.values(), both);
    assert!(
        scene.world.tree() == before,
        "reading changes no file and makes none"
    );

    // A gateway has it open, and what it wrote last is still in the log.
    let gateway = scene.openclaw.gateway(&scene.world, scene.port);
    assert_eq!(scene.values(), both);
    let said = scene.compact(&shared).unwrap_err();
    assert!(
        said.message().starts_with("the gateway runs (port "),
        "{said}"
    );
    assert_eq!(said.hint_text(), Some("openclaw gateway stop"));
    // Its lock names it also where the port does not tell.
    let mut elsewhere = scene.config();
    let other = serde_json::json!(free_port());
    elsewhere.set(&["gateway", "port"], &other).unwrap();
    let running = database::gateway_runs(&Host::real(), &scene.places, &elsewhere);
    assert_eq!(running, Some(Running::Process(gateway.pid())));
    let _ = gateway.stop();
    let none = database::gateway_runs(&Host::real(), &scene.places, &scene.config());
    assert_eq!(none, None);

    // Deleted, and still there.
    let logout = ["models", "auth", "logout", "--agent", "main", "--yes"];
    let logout = [&logout[..], &["--", "anthropic:work"]].concat();
    let _ = scene.openclaw.run(&scene.world, &logout).ok();
    assert_eq!(scene.values(), both[1..]);
    assert!(holds(&shared, &token), "else this test shows nothing");
    let holder = scene.holder(&shared, "database.exec('SELECT 1 FROM sqlite_schema');");
    let said = scene.compact(&shared).unwrap_err();
    assert!(said.message().contains("open in another process"), "{said}");
    assert!(holds(&shared, &token));
    drop(holder);
    for file in scene.read().unwrap().files {
        let done = scene.compact(&file).unwrap();
        assert!(done.after > 0 && done.before > 0);
        assert!(!holds(&file, &token), "{}", file.display());
        assert!(!beside(&file, ".clawkeep-copy").exists());
    }
    assert!(holds(&shared, key), "what lives stays");
    assert_eq!(scene.values(), both[1..]);
    let list = ["models", "auth", "list", "--json"];
    let list = scene.openclaw.run(&scene.world, &list).ok().stdout;
    assert!(list.contains("openrouter:one") && !list.contains("anthropic:work"));
}

#[test]
fn what_openclaw_2026_8_2_stored_is_read_and_what_it_deleted_goes() {
    a_store_that_openclaw_made(Which::V2026_8_2);
}

#[test]
fn what_openclaw_2026_9_6_stored_is_read_and_what_it_deleted_goes() {
    a_store_that_openclaw_made(Which::V2026_9_6);
}

const AGENT: &str = "database.exec('PRAGMA journal_mode = WAL; CREATE TABLE auth_profile_store \
    (store_key TEXT NOT NULL PRIMARY KEY, store_json TEXT NOT NULL, updated_at INTEGER NOT NULL)');";

/// Puts a store into the table, as OpenClaw does.
fn put(json: &str) -> String {
    format!(
        "database.prepare('INSERT OR REPLACE INTO auth_profile_store VALUES (?, ?, 1)').run('primary', {});",
        serde_json::json!(json)
    )
}

fn store(key: &str) -> String {
    serde_json::json!({"version": 1, "profiles": {
        "openai:a": {"type": "api_key", "provider": "openai", "key": key},
        "openai:me": {"type": "oauth", "provider": "openai", "access": "FAKE-a", "refresh": "FAKE-r", "expires": 1},
        "openai:ref": {"type": "api_key", "provider": "openai",
            "keyRef": {"source": "exec", "provider": "clawkeep", "id": "openai:ref"}},
        "xai:t": {"type": "token", "provider": "xai", "token": "FAKE-token", "expires": 1_795_355_756_000_i64},
    }})
    .to_string()
}

#[test]
fn a_change_that_is_only_in_the_log_is_seen_also_after_a_crash() {
    let Some(scene) = Scene::new(Which::V2026_9_6) else {
        return;
    };
    let file = scene.main_agent();
    scene.sql(
        &file,
        &format!("{AGENT} {}", put(&store("FAKE-key-of-before"))),
    );
    let change = format!(
        "database.exec('PRAGMA wal_autocheckpoint = 0'); {}",
        put(&store("FAKE-key-of-now"))
    );
    let holder = scene.holder(&file, &change);
    let sees = |what: &str| {
        let contents = scene.read().unwrap();
        let place = Place::Agent(clawkeep::provider::AgentId::main());
        let stored = &contents.stored[0];
        assert_eq!((&stored.place, &stored.file), (&place, &file), "{what}");
        assert_eq!(stored.value.as_str(), "FAKE-key-of-now", "{what}");
        assert_eq!(stored.expires, None);
        let last = &contents.stored[1];
        assert_eq!(last.profile.as_str(), "xai:t");
        assert_eq!(
            last.expires.map(clawkeep::expiry::Millis::get),
            Some(1_795_355_756_000)
        );
        assert_eq!(contents.stored.len(), 2);
        let logins: Vec<_> = contents.logins.iter().map(|l| l.profile.as_str()).collect();
        assert_eq!(logins, ["openai:me"]);
    };
    sees("a writer has it open");
    drop(holder);
    assert!(beside(&file, "-wal").exists(), "it was killed");
    sees("the log was left behind");
    let _ = std::fs::remove_file(beside(&file, "-shm"));
    sees("without the log's index");
    // Compaction takes the log in, and nothing of what it replaced is left.
    assert!(holds(&file, "FAKE-key-of-before"));
    scene.compact(&file).unwrap();
    assert!(!holds(&file, "FAKE-key-of-before"));
    sees("compacted");
}

#[test]
fn a_database_that_cannot_be_looked_into_is_never_an_empty_one() {
    let Some(scene) = Scene::new(Which::V2026_9_6) else {
        return;
    };
    let file = scene.main_agent();
    let with = |sql: &str| {
        let _ = std::fs::remove_file(&file);
        scene.sql(&file, sql);
    };
    let refused = |kind: Kind, part: &str| {
        let said = scene.read().map(drop).unwrap_err();
        assert_eq!(said.kind(), kind, "{said}");
        assert!(said.message().contains(part), "{part}: {said}");
        assert!(said.hint_text().is_some(), "{said}");
        assert!(!said.message().contains("FAKE"), "{said}");
    };
    let json = |text: &str| with(&format!("{AGENT} {}", put(text)));

    with("database.exec('CREATE VIEW auth_profile_store AS SELECT 1 AS store_json');");
    refused(Kind::Broken, "laid out");
    with("database.exec('CREATE TABLE auth_profile_store (other TEXT)');");
    refused(Kind::Broken, "laid out");
    with("database.exec('CREATE TABLE other (a); PRAGMA user_version = 24');");
    refused(Kind::Broken, "newer OpenClaw");
    with(&format!(
        "{AGENT} database.exec('PRAGMA user_version = 24');"
    ));
    refused(Kind::Broken, "newer OpenClaw");
    json("{\"profiles\":{\"a\":\"FAKE");
    refused(Kind::Broken, "cannot be read as JSON");
    json("{\"profiles\":[\"FAKE\"]}");
    refused(Kind::Broken, "no JSON object");
    json("{\"openai:a\":{\"key\":\"FAKE\"}}");
    refused(Kind::Broken, "flat form");
    json("");
    refused(Kind::Broken, "is empty");
    let large = format!("'{{}}' + ' FAKE'.repeat({})", 2 * 1024 * 1024);
    let row = "database.prepare('INSERT INTO auth_profile_store VALUES (1, ?, 1)').run";
    with(&format!("{AGENT} {row}({large});"));
    refused(Kind::Broken, "more than 8 MiB");
    with(&format!(
        "{AGENT} {row}('{{}}'); database.exec('PRAGMA locking_mode = EXCLUSIVE');"
    ));
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..5000]).unwrap();
    refused(Kind::Broken, "no whole SQLite database");
    std::fs::write(&file, "FAKE, no database at all".repeat(100)).unwrap();
    refused(Kind::Broken, "no whole SQLite database");
    let said = scene.compact(&file).unwrap_err();
    assert_eq!(said.kind(), Kind::Broken, "{said}");
    assert!(!beside(&file, ".clawkeep-copy").exists());
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &file).unwrap();
    refused(Kind::Broken, "not a regular file");
    std::fs::remove_file(&file).unwrap();
    assert!(scene.read().unwrap().files.is_empty());

    // These are looked into, and hold nothing.
    for (what, sql) in [
        ("none of the tables yet", String::new()),
        (
            "an older one",
            "database.exec('CREATE TABLE other (a)');".to_owned(),
        ),
        (
            "no row yet",
            format!("{AGENT} database.exec('PRAGMA user_version = 23');"),
        ),
        (
            "no profiles",
            format!("{AGENT} {}", put("{\"version\":1,\"profiles\":{}}")),
        ),
    ] {
        with(&sql);
        let contents = scene.read().unwrap();
        assert!(
            contents.stored.is_empty() && contents.files.len() == 1,
            "{what}"
        );
    }
    // A newer one is read where its store is where it was.
    let newer = format!(
        "{AGENT} {} database.exec('PRAGMA user_version = 99');",
        put(&store("FAKE-newer"))
    );
    with(&newer);
    assert_eq!(scene.read().unwrap().stored.len(), 2);
}

#[test]
fn a_copy_that_a_killed_compaction_left_goes_or_is_named() {
    let Some(scene) = Scene::new(Which::V2026_9_6) else {
        return;
    };
    let file = scene.main_agent();
    let old = put(&store("FAKE-key-of-before")).replace("primary", "old");
    scene.sql(
        &file,
        &format!("{AGENT} {} {old}", put(&store("FAKE-key-of-now"))),
    );
    scene.sql(
        &file,
        "database.exec(\"DELETE FROM auth_profile_store WHERE store_key = 'old'\");",
    );
    let copy = beside(&file, ".clawkeep-copy");
    std::fs::copy(&file, &copy).unwrap();
    assert!(
        holds(&file, "FAKE-key-of-before"),
        "else this test shows nothing"
    );
    scene.compact(&file).unwrap();
    assert!(!copy.exists());
    assert!(!holds(&file, "FAKE-key-of-before"));
    let kept = scene.read().unwrap();
    assert_eq!(kept.stored[0].value.as_str(), "FAKE-key-of-now");
    // A damaged one keeps its copy, and names it.
    std::fs::copy(&file, &copy).unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[4096..].fill(0xFF);
    std::fs::write(&file, &bytes).unwrap();
    let said = scene.compact(&file).unwrap_err();
    assert_eq!(said.kind(), Kind::Broken);
    assert!(said.message().contains(copy.to_str().unwrap()), "{said}");
    assert!(copy.exists());
    assert!(std::fs::read(&file).unwrap() == bytes, "not touched");
}

#[test]
fn what_a_person_put_into_openclaws_own_store_is_told() {
    let Some(scene) = Scene::new(Which::V2026_9_6) else {
        return;
    };
    let value = "FAKE-own-store-0123456789";
    let args = [
        "secrets",
        "store",
        "set",
        "MY_API_KEY",
        "--kind",
        "secret",
        "--value-file",
        "-",
    ];
    let _ = scene
        .openclaw
        .cmd(&scene.world, &args)
        .stdin(value)
        .run()
        .ok();
    let own = scene.read().unwrap().own;
    assert_eq!(own.len(), 1);
    assert_eq!(
        (own[0].name.as_str(), own[0].value.as_str()),
        ("MY_API_KEY", value)
    );
    assert!(!format!("{own:?}").contains("FAKE"));
    assert!(!own[0].is_removed);
    let args = ["secrets", "store", "rm", "MY_API_KEY", "--yes"];
    let _ = scene.openclaw.run(&scene.world, &args).ok();
    let own = scene.read().unwrap().own;
    assert!(own[0].is_removed, "OpenClaw marks it and keeps the value");
    assert_eq!(own[0].value.as_str(), value);
}
