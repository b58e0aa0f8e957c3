//! A home with a vault, clawkeep in its lasting place, and a program in OpenClaw's place that says
//! which version it is, notes how it was called and answers as that version did. It keeps profiles in
//! a folder where the real one has a database, and writes openclaw.json anew, without comments and
//! with a `.bak`, where the real one does.

use crate::common::run::Cmd;
use crate::common::{Run, World};
use clawkeep::openclaw::config::Config;
use std::path::{Path, PathBuf};

const STAND_IN: &str = include_str!("stand_in.sh");

/// Everything that one test has.
pub struct Scene {
    pub world: World,
    package: PathBuf,
}

impl Scene {
    /// A vault that opens by itself, and OpenClaw of this version on the PATH.
    pub fn new(version: &str) -> Scene {
        let scene = Scene::without_vault(version);
        let _ = scene
            .run(&[
                "init",
                "--custody",
                "file",
                "--slot",
                "identity-file",
                "--no-recovery",
            ])
            .ok();
        scene
    }

    /// The same without a vault.
    pub fn without_vault(version: &str) -> Scene {
        let world = World::new();
        let package = world.root().join("package");
        std::fs::create_dir(&package).unwrap();
        let script = STAND_IN.replace("@DIR@", package.to_str().unwrap());
        let program = package.join("openclaw");
        std::fs::write(&program, script).unwrap();
        set_mode(&program, 0o755);
        world.put_on_path("openclaw", &program);
        let scene = Scene { world, package };
        scene.becomes(version);
        // A hard link where that is possible: the program is large.
        let own = scene.world.write(".local/bin/clawkeep", "");
        std::fs::remove_file(&own).unwrap();
        let built = Path::new(env!("CARGO_BIN_EXE_clawkeep"));
        if std::fs::hard_link(built, &own).is_err() {
            crate::common::copy_program(&own);
        }
        scene
    }

    /// OpenClaw was updated.
    pub fn becomes(&self, version: &str) {
        let manifest = format!(r#"{{"name":"openclaw","version":"{version}"}}"#);
        std::fs::write(self.package.join("package.json"), manifest).unwrap();
    }

    /// What OpenClaw does first from now on, in shell.
    pub fn hook(&self, shell: &str) {
        std::fs::write(self.package.join("hook"), shell).unwrap();
    }

    /// A file of the stand-in's.
    pub fn theirs(&self, name: &str) -> PathBuf {
        self.package.join(name)
    }

    /// A profile of the stand-in's database.
    pub fn has_profile(&self, agent: &str, id: &str, content: &str) {
        let dir = self.package.join("db").join(agent);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join(id), content).unwrap();
    }

    /// An order in the stand-in's database.
    pub fn has_order(&self, agent: &str, provider: &str, ids: &str) {
        let dir = self.package.join("orders");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join(format!("{agent}-{provider}")), ids).unwrap();
    }

    /// Its database: agent/profile and what it holds.
    pub fn database(&self) -> Vec<String> {
        let mut rows = Vec::new();
        for agent in std::fs::read_dir(self.package.join("db"))
            .into_iter()
            .flatten()
            .flatten()
        {
            for file in std::fs::read_dir(agent.path()).unwrap().flatten() {
                let held = std::fs::read_to_string(file.path()).unwrap();
                let agent = agent.file_name().into_string().unwrap();
                let id = file.file_name().into_string().unwrap();
                rows.push(format!("{agent} {id}: {}", held.trim()));
            }
        }
        rows.sort();
        rows
    }

    /// How OpenClaw was called since this was asked last.
    pub fn calls(&self) -> String {
        let path = self.package.join("calls");
        let calls = std::fs::read_to_string(&path).unwrap_or_default();
        let _ = std::fs::remove_file(path);
        calls
    }

    pub fn cmd(&self, args: &[&str]) -> Cmd {
        let program = self.world.home().join(".local/bin/clawkeep");
        // Nobody listens there: a real gateway of this machine is no part of a test.
        let cmd = self.world.program(&program, args);
        cmd.env("OPENCLAW_GATEWAY_PORT", "1")
    }

    pub fn run(&self, args: &[&str]) -> Run {
        self.cmd(args).run()
    }

    pub fn link(&self, more: &[&str]) -> Run {
        self.run(&[&["link", "--yes"], more].concat())
    }

    /// Stores an API key, or a token with `--expires-in`.
    #[track_caller]
    pub fn paste(&self, kind: &str, profile: &str, more: &[&str]) {
        let provider = profile.split(':').next().unwrap();
        let command = format!("paste-{kind}");
        let args = ["models", "auth", &command, "--provider", provider];
        let args = [&args[..], &["--profile-id", profile], more].concat();
        let _ = self
            .cmd(&args)
            .stdin(format!("{}\n", value_of(profile)))
            .run()
            .ok();
    }

    pub fn config(&self, text: &str) {
        self.world.write(".openclaw/openclaw.json", text);
    }

    pub fn config_text(&self) -> String {
        String::from_utf8(self.world.read(".openclaw/openclaw.json")).unwrap()
    }

    /// A file below the home for a snapshot.
    pub fn show(&self, below_home: &str) -> String {
        let path = self.world.home().join(below_home);
        let Ok(text) = std::fs::read_to_string(&path) else {
            return format!("--- {below_home}: none\n");
        };
        format!(
            "--- {below_home} {:o}\n{}",
            mode(&path),
            self.world.tidy(&text)
        )
    }

    /// Asks the resolver that openclaw.json names, as the gateway would.
    #[track_caller]
    pub fn resolves(&self, ids: &[&str]) -> serde_json::Value {
        let path = self.world.home().join(".openclaw/openclaw.json");
        let config = Config::read(&path).unwrap();
        let entry = config.get(&["secrets", "providers", "clawkeep"]).unwrap();
        let args: Vec<&str> = entry["args"]
            .as_array()
            .unwrap()
            .iter()
            .map(|a| a.as_str().unwrap())
            .collect();
        let request =
            serde_json::json!({"protocolVersion":1,"provider":"clawkeep","ids":ids}).to_string();
        let command = Path::new(entry["command"].as_str().unwrap());
        self.world
            .program(command, &args)
            .env_remove("HOME")
            .env_remove("PATH")
            .stdin(request)
            .run()
            .ok()
            .json()
    }
}

/// The value that `paste` stores for a profile.
pub fn value_of(profile: &str) -> String {
    if profile.starts_with("anthropic") {
        let name = profile.replace([':', '@', '.'], "-");
        return format!("sk-ant-oat01-FAKE-{name}-{}", "FAKE0123456789".repeat(6));
    }
    format!("fake-key-{}-0123456789", profile.replace(':', "-"))
}

pub fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::symlink_metadata(path)
        .unwrap()
        .permissions()
        .mode()
        & 0o7777
}

pub fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
