//! The real OpenClaw and a vault that only a person can open: its gateway gets its keys through a
//! keeper, as long as that runs; and under `--release once` each of them once.
//!
//! No systemd: a gateway in a terminal, 2026.6.1 and 2026.9.6, as npm ships them. What the two do where
//! they are refused is written down here because it differs.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; it writes files of its own world"
)]

mod common;

use common::mock_provider::MockProvider;
use common::openclaw::{Gateway, OpenClaw, Provider, Which, free_port};
use common::run::Cmd;
use common::vault::{PASSPHRASE, request};
use common::{Run, World, rounds};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::path::Path;

/// What the gateway's unit sets, and a debugger's port that no other test has.
const SHUT: &str = "--disable-sigusr1 --inspect-port=0";
/// Node as it is.
const OPEN: &str = "--inspect-port=0";
/// Whoever may call this has every key that the gateway holds.
const GIVE_ALL: [&str; 5] = [
    "gateway",
    "call",
    "secrets.resolve",
    "--params",
    r#"{"commandName":"models status","targetIds":["models.providers.*.apiKey"]}"#,
];

/// A vault with a passphrase as its only slot, in a home with OpenClaw, linked while a keeper ran.
struct Scene {
    world: World,
    openclaw: OpenClaw,
    server: MockProvider,
    port: u16,
    passphrase: String,
    /// The gateway's own.
    token: String,
    /// All that OpenClaw's files ask for.
    ids: Vec<String>,
}

impl Scene {
    /// `None` when OpenClaw was left out by a flag. A keeper holds the vault open.
    fn new(which: Which, key: &str, link: &[&str]) -> Option<Scene> {
        let openclaw = OpenClaw::get(which)?;
        let world = World::new();
        openclaw.put_on_path(&world);
        let server = MockProvider::start();
        let port = free_port();
        let config = Provider::Mock.config(&server.url(), port).replace(
            "mode: \"local\",",
            "mode: \"local\", http: { endpoints: { chatCompletions: { enabled: true } } },",
        );
        world.write(".openclaw/openclaw.json", config);
        let passphrase = world.passphrase_file("passphrase", PASSPHRASE);
        let mut scene = Scene {
            world,
            openclaw,
            server,
            port,
            passphrase,
            token: String::new(),
            ids: Vec::new(),
        };
        let init = ["init", "--slot", "passphrase", "--no-recovery"];
        let made = ["--new-passphrase-file", scene.passphrase.as_str()];
        let _ = scene.world.run(&[&init[..], &made].concat()).ok();
        let alone = scene
            .by_passphrase(&["link", "--yes", "--install"])
            .run()
            .fails(1);
        assert!(
            alone
                .stderr
                .contains("hint: open it first: clawkeep unlock"),
            "{alone}"
        );
        scene.unlock("always");
        let _ = scene.paste("--provider", key);
        let how = [&["link", "--yes", "--install"], link].concat();
        let linked = scene.by_passphrase(&how).run().ok();
        assert!(
            linked.stderr.contains("only while its keeper runs"),
            "{linked}"
        );
        // Read through the keeper: nobody is asked.
        let ids = linked.stderr.lines().find_map(|line| {
            let ids = line.strip_prefix("Resolved as the gateway would: ")?;
            Some(ids.split(", ").map(str::to_owned).collect())
        });
        scene.ids = ids.unwrap();
        assert_eq!(scene.ids.len(), 2, "{linked}");
        scene.token = scene.world.get("gateway/token");
        Some(scene)
    }

    fn by_passphrase(&self, args: &[&str]) -> Cmd {
        let front = ["--passphrase-file", self.passphrase.as_str()];
        self.world.cmd(&[&front[..], args].concat())
    }

    #[track_caller]
    fn unlock(&self, release: &str) {
        let _ = self
            .by_passphrase(&["unlock", "--release", release])
            .run()
            .ok();
    }

    #[track_caller]
    fn lock(&self) {
        let _ = self.world.run(&["lock"]).ok();
        let _ = self.world.run(&["keeper", "status"]).fails(75);
    }

    #[track_caller]
    fn arm(&self) {
        let _ = self.by_passphrase(&["keeper", "arm", "--yes"]).run().ok();
    }

    #[track_caller]
    fn paste(&self, provider: &str, key: &str) -> Run {
        let args = ["models", "auth", "paste-api-key", provider, "mock"];
        let args = [&args[..], &["--profile-id", "mock:work"]].concat();
        self.world.cmd(&args).stdin(key).run().ok()
    }

    #[track_caller]
    fn gateway(&self, node_options: &str) -> Gateway {
        self.openclaw
            .gateway_with(&self.world, self.port, node_options)
    }

    /// A model call by the gateway arrives with this key.
    #[track_caller]
    fn arrives(&self, gateway: &mut Gateway, key: &str) {
        self.server.take_requests();
        let answer = gateway.chat(&self.token);
        let said = gateway.printed();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}\n{said:#}");
        let requests = self.server.take_requests();
        assert!(
            !requests.is_empty(),
            "nothing reached the provider: {answer}"
        );
        for request in requests {
            let bearer = request.authorization;
            assert_eq!(bearer, Some(format!("Bearer {key}")));
        }
    }

    /// The command line of openclaw.json, as whoever can read that file types it.
    #[track_caller]
    fn ask(&self, ids: &[&str]) -> Value {
        let config = std::fs::read(self.world.home().join(".openclaw/openclaw.json")).unwrap();
        let config = String::from_utf8(config).unwrap();
        // The file has comments; the part that link wrote has none.
        let from = config.find("\"command\":").unwrap();
        let to = from + config[from..].find("\"timeoutMs\"").unwrap();
        let part = config[from..to].trim().trim_end_matches(',');
        let part: Value = serde_json::from_str(&format!("{{{part}}}")).unwrap();
        let args: Vec<&str> = part["args"]
            .as_array()
            .unwrap()
            .iter()
            .map(|arg| arg.as_str().unwrap())
            .collect();
        let program = Path::new(part["command"].as_str().unwrap());
        let cmd = self.world.program(program, &args).stdin(request(ids));
        cmd.run().ok().json()
    }

    /// Every id that is linked is LOCKED, and that is all there is to read.
    #[track_caller]
    fn all_locked(&self) {
        let ids: Vec<&str> = self.ids.iter().map(String::as_str).collect();
        let answer = self.ask(&ids);
        assert_eq!(answer["values"], json!({}));
        for id in &ids {
            assert_eq!(answer["errors"][*id]["code"], "LOCKED", "{answer}");
        }
    }

    /// What the access log has of one result: why, and which ids.
    #[track_caller]
    fn noted(&self, flag: &str) -> Vec<(String, Vec<String>)> {
        let log = self.world.run(&["log", flag, "--json"]).ok().json();
        let events = log["events"].as_array().unwrap();
        events
            .iter()
            .map(|event| {
                let ids = event["ids"].as_array().unwrap();
                let mut ids: Vec<String> =
                    ids.iter().map(|id| id.as_str().unwrap().into()).collect();
                ids.sort();
                (event["reason"].as_str().unwrap_or("").to_owned(), ids)
            })
            .collect()
    }

    fn releases(&self) -> Vec<Vec<String>> {
        let noted = self.noted("--released");
        noted.into_iter().map(|(_, ids)| ids).collect()
    }

    /// Another setting of the gateway, which a running one notices by itself. Under 2026.6.1 it is one
    /// that takes a restart.
    fn edit(&self, from: &str, to: &str) {
        let path = self.world.home().join(".openclaw/openclaw.json");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        let next = self.world.root().join("next.json");
        std::fs::write(&next, text.replace(from, to)).unwrap();
        std::fs::rename(&next, &path).unwrap();
    }

    #[track_caller]
    fn locked_audit(&self) {
        let audit = ["secrets", "audit", "--check", "--allow-exec", "--json"];
        let report = self.openclaw.run(&self.world, &audit).fails(2).json();
        assert_eq!(report["summary"]["unresolvedRefCount"], 2, "{report}");
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // A keeper outlives who started it.
        let _ = self.world.run(&["lock"]);
    }
}

fn signal_user_1(gateway: &Gateway) {
    let pid = Pid::from_raw(i32::try_from(gateway.pid()).unwrap()).unwrap();
    kill_process(pid, Signal::USR1).unwrap();
}

fn a_gateway_has_its_keys_while_a_keeper_runs(which: Which, key: &str) {
    let Some(scene) = Scene::new(which, key, &[]) else {
        return;
    };
    let mut gateway = scene.gateway(OPEN);
    scene.arrives(&mut gateway, key);
    // A new value reaches the running gateway by itself.
    let fresh = key.replace("-fake-", "-fake-new-");
    let pasted = scene.paste("--provider", &fresh);
    assert!(
        pasted
            .stderr
            .contains("The running gateway has the new value."),
        "{pasted}"
    );
    scene.arrives(&mut gateway, &fresh);

    scene.lock();
    match which {
        // Where references stand in profiles it asks again for each turn but the first.
        Which::V2026_6_1 => {
            let once = scene.by_passphrase(&["unlock", "--release", "once"]);
            let refused = once.run().fails(1);
            let hint = "hint: clawkeep link --config-refs";
            assert!(refused.stderr.contains(hint), "{refused}");
            let answer = gateway.chat(&scene.token);
            assert!(
                answer.contains("No credentials found for profile"),
                "{answer}"
            );
            scene.unlock("always");
            scene.arrives(&mut gateway, &fresh);
            scene.lock();
        }
        Which::V2026_8_2 | Which::V2026_9_6 => scene.arrives(&mut gateway, &fresh),
    }
    scene.all_locked();
    scene.locked_audit();
    let log = gateway.printed();
    for text in [&log.stdout, &log.stderr] {
        assert!(!text.contains("DEGRADED"), "{log}");
    }
    // What the unit's NODE_OPTIONS keep shut: one restarts inside its process, and is refused; the
    // other opens a debugger.
    assert_eq!(gateway.other_ports(), [].into());
    signal_user_1(&gateway);
    match which {
        Which::V2026_6_1 => {
            let _ = gateway.ends().fails(13);
        }
        Which::V2026_8_2 | Which::V2026_9_6 => {
            gateway.says("Debugger listening on");
            assert_eq!(gateway.other_ports().len(), 1);
            let _ = gateway.stop().ok();
        }
    }
    // Its own token is a reference, without which neither version starts.
    let refused = scene.openclaw.gateway_cmd(&scene.world, scene.port).run();
    assert_ne!(refused.code, 0, "{refused:#}");
    assert!(
        refused.stderr.contains("required secrets are unavailable"),
        "{refused:#}"
    );

    if rounds(0, 1) == 1 {
        scene.unlock("always");
        let mut gateway = scene.gateway("");
        scene.arrives(&mut gateway, &fresh);
        let _ = gateway.stop().ok();
    }
}

#[test]
fn a_gateway_has_its_keys_while_a_keeper_runs_2026_6_1() {
    a_gateway_has_its_keys_while_a_keeper_runs(
        Which::V2026_6_1,
        "sk-fake-mock-key-keeper-2026-6-1-0123456789",
    );
}

#[test]
fn a_gateway_has_its_keys_while_a_keeper_runs_2026_9_6() {
    a_gateway_has_its_keys_while_a_keeper_runs(
        Which::V2026_9_6,
        "sk-fake-mock-key-keeper-2026-9-6-0123456789",
    );
}

/// One gateway that was started under `--release once`, and who came after it.
fn each_value_once(which: Which, key: &str) {
    let Some(scene) = Scene::new(which, key, &["--config-refs"]) else {
        return;
    };
    let all = scene.ids.clone();
    let again = ("again".to_owned(), all.clone());
    let alone = ("token-alone".to_owned(), vec!["gateway/token".to_owned()]);
    scene.lock();
    scene.unlock("once");
    let before = scene.releases().len();
    // A command of OpenClaw that looks for its gateway too early leaves the token for it.
    let _ = scene.openclaw.run(&scene.world, &GIVE_ALL).fails(1);
    assert!(scene.noted("--refused").contains(&alone));

    let mut gateway = scene.gateway(SHUT);
    assert_eq!(scene.releases()[before..], std::slice::from_ref(&all)[..]);
    scene.arrives(&mut gateway, key);
    assert!(!scene.noted("--refused").contains(&again));
    scene.all_locked();
    assert!(scene.noted("--refused").contains(&again));
    let call = scene.openclaw.run(&scene.world, &GIVE_ALL).fails(1);
    assert!(!format!("{call}").contains(key));

    // A signal neither opens a debugger nor restarts it.
    signal_user_1(&gateway);
    scene.arrives(&mut gateway, key);
    assert_eq!(gateway.other_ports(), [].into());
    if rounds(0, 1) == 1 {
        // A setting that changes makes it ask again. It is refused and goes on with what it has.
        scene.edit("bind:", "controlUi: { enabled: false }, bind:");
        gateway.says(match which {
            Which::V2026_6_1 => "config restart failed",
            Which::V2026_8_2 | Which::V2026_9_6 => "config reload failed",
        });
        scene.arrives(&mut gateway, key);
        // No service manager is there to restart it, and it is left alone. (2026.9.6 does the same after
        // minutes: it waits for a gateway that it has no token for.)
        if which == Which::V2026_6_1 {
            let restart = ["gateway", "restart"];
            let _ = scene.openclaw.run(&scene.world, &restart).ok();
            scene.arrives(&mut gateway, key);
        }
        // A reload does not get the token that its own command needs, armed or not.
        scene.arm();
        let reload = ["secrets", "reload", "--json"];
        let _ = scene.openclaw.run(&scene.world, &reload).fails(1);
    }
    assert_eq!(scene.releases().len(), before + 1);
    // Armed, the next start has everything once more.
    scene.arm();
    let _ = gateway.stop().ok();
    let mut gateway = scene.gateway(SHUT);
    assert_eq!(scene.releases()[before + 1..], [all]);
    scene.arrives(&mut gateway, key);
    scene.all_locked();
    // An armed restart inside its process: 2026.6.1 asks before it and after it, and so ends; 2026.9.6
    // asks once and goes on.
    if rounds(0, 1) == 1 {
        scene.arm();
        scene.edit(
            "controlUi: { enabled: false }",
            "controlUi: { enabled: true }",
        );
        if which == Which::V2026_6_1 {
            let _ = gateway.ends().fails(13);
            return;
        }
        gateway.says("config hot reload applied");
        scene.arrives(&mut gateway, key);
    }
    let _ = gateway.stop().ok();
}

#[test]
fn each_value_once_2026_6_1() {
    each_value_once(
        Which::V2026_6_1,
        "sk-fake-mock-key-once-2026-6-1-0123456789",
    );
}

#[test]
fn each_value_once_2026_9_6() {
    each_value_once(
        Which::V2026_9_6,
        "sk-fake-mock-key-once-2026-9-6-0123456789",
    );
}
