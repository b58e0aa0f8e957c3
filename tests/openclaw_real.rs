//! The real OpenClaw, a real gateway and a provider that records what reaches it: a token pasted
//! once into clawkeep is what the provider gets, and it lies in no file.
//!
//! Runs OpenClaw 2026.6.1 (refs in auth-profiles.json) and 2026.9.6 (refs in its config and SQLite)
//! as npm ships them. Nothing here is a stand-in but the provider at the far end.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod common;

use common::mock_provider::{MockProvider, Request};
use common::openclaw::{OpenClaw, Provider, Which, free_port};
use common::{Run, World};

/// A new home with this OpenClaw on its PATH, configured for the provider, without any credential.
struct Scene {
    world: World,
    openclaw: OpenClaw,
    provider: Provider,
    server: MockProvider,
    port: u16,
}

impl Scene {
    /// `None` when OpenClaw was left out by a flag.
    fn new(which: Which, provider: Provider) -> Option<Scene> {
        let openclaw = OpenClaw::get(which)?;
        let world = World::new();
        openclaw.put_on_path(&world);
        let server = MockProvider::start();
        let port = free_port();
        let config = provider.config(&server.url(), port);
        world.write(".openclaw/openclaw.json", config);
        Some(Scene {
            world,
            openclaw,
            provider,
            server,
            port,
        })
    }

    #[track_caller]
    fn openclaw(&self, args: &[&str]) -> Run {
        self.openclaw.run(&self.world, args)
    }

    #[track_caller]
    fn clawkeep(&self, args: &[&str], stdin: &str) -> Run {
        self.world.cmd(args).stdin(stdin).run().ok()
    }

    /// `clawkeep onboard` as a script runs it: no terminal, the credential on stdin.
    #[track_caller]
    fn onboard(&self, profile: &str, kind: &str, credential: &str) {
        let recovery = self.world.root().join("recovery.txt");
        let recovery = recovery.to_str().unwrap();
        let run = self.clawkeep(
            &[
                "onboard",
                "--yes",
                "--custody",
                "file",
                "--slot",
                "identity-file",
                "--recovery-file",
                recovery,
                "--provider",
                self.provider.id(),
                "--profile-id",
                profile,
                "--kind",
                kind,
                "--install",
            ],
            &format!("{credential}\n"),
        );
        assert!(!run.stdout.contains(credential) && !run.stderr.contains(credential));
    }

    /// A second API key for the provider.
    #[track_caller]
    fn paste_api_key(&self, profile: &str, credential: &str) {
        let args = ["models", "auth", "paste-api-key", "--provider"];
        let args = [&args[..], &[self.provider.id(), "--profile-id", profile]].concat();
        let _ = self.clawkeep(&args, &format!("{credential}\n"));
    }

    /// A new value for a profile that is there.
    #[track_caller]
    fn replace(&self, profile: &str, kind: &str, credential: &str) -> Run {
        let command = format!("paste-{kind}");
        let args = ["models", "auth", &command, "--provider", self.provider.id()];
        let args = [&args[..], &["--profile-id", profile]].concat();
        self.clawkeep(&args, &format!("{credential}\n"))
    }

    #[track_caller]
    fn link(&self, more: &[&str]) {
        let _ = self.clawkeep(&[&["link", "--yes"], more].concat(), "");
    }

    /// One turn of the agent, by the gateway or with `--local` from its own process. Gives the requests
    /// that reached the provider.
    #[track_caller]
    fn turn(&self, more: &[&str]) -> Vec<Request> {
        self.server.take_requests();
        let message = ["agent", "--agent", "main", "--message", "say OK", "--json"];
        let message = [&message[..], more].concat();
        let run = self.openclaw(&message).ok();
        let requests = self.server.take_requests();
        assert!(!requests.is_empty(), "nothing reached the provider: {run}");
        requests
    }

    /// Every request of one turn carries exactly this credential.
    #[track_caller]
    fn arrives(&self, credential: &str) {
        self.arrives_by(&["--local"], credential);
    }

    #[track_caller]
    fn arrives_by(&self, more: &[&str], credential: &str) {
        let path = match self.provider {
            Provider::Mock => "/v1/chat/completions",
            Provider::Anthropic => "/v1/messages",
        };
        for request in self.turn(more) {
            assert_eq!(request.path, path);
            let bearer = request.authorization.as_deref();
            assert_eq!(bearer, Some(format!("Bearer {credential}").as_str()));
            assert_eq!(request.x_api_key, None);
        }
    }

    /// OpenClaw's own audit resolves every ref and finds no plaintext, no shadowed ref, no residue.
    #[track_caller]
    fn audit_is_clean(&self) {
        let run = self.openclaw(&["secrets", "audit", "--check", "--allow-exec", "--json"]);
        let report = run.ok().json();
        assert_eq!(report["status"], "clean", "{report}");
        // A report of nothing would be clean too.
        assert!(
            report["resolution"]["refsChecked"].as_u64().unwrap() >= 2,
            "{report}"
        );
    }

    #[track_caller]
    fn lies_in_no_file(&self, credential: &str) {
        let none: [std::path::PathBuf; 0] = [];
        assert_eq!(self.world.search_home(credential), none);
    }
}

fn one_credential_from_stdin_to_the_provider(
    which: Which,
    provider: Provider,
    kind: &str,
    credential: &str,
) {
    let Some(scene) = Scene::new(which, provider) else {
        return;
    };
    if provider == Provider::Anthropic {
        // Where the check can tell: it was not green before. (2026.9.6 calls any custom provider on
        // loopback ready, key or none.)
        let _ = scene.openclaw(&["models", "status", "--check"]).fails(1);
    }
    let profile = format!("{}:work", provider.id());
    scene.onboard(&profile, kind, credential);
    scene.audit_is_clean();
    let _ = scene.openclaw(&["models", "status", "--check"]).ok();
    scene.arrives(credential);

    let gateway = scene.openclaw.gateway(&scene.world, scene.port);
    // A new value reaches the running gateway by itself.
    let fresh = credential
        .replace("-fake-", "-fake-new-")
        .replace("-FAKE-", "-FAKE-NEW-");
    let pasted = scene.replace(&profile, kind, &fresh);
    assert!(
        pasted
            .stderr
            .contains("The running gateway has the new value."),
        "{pasted}"
    );
    scene.arrives_by(&[], &fresh);
    let log = gateway.stop().ok();
    assert!(!log.stdout.contains("DEGRADED"), "{log}");
    assert!(!log.stderr.contains("DEGRADED"), "{log}");
    scene.audit_is_clean();
    scene.lies_in_no_file(credential);
    scene.lies_in_no_file(&fresh);
}

/// The shape of a setup-token: the prefix and at least 80 characters.
fn setup_token(which: Which) -> String {
    let version = which.version().replace('.', "-");
    format!("sk-ant-oat01-FAKE-{version}-{}", "FAKE0123456789".repeat(6))
}

#[test]
fn an_api_key_given_once_reaches_its_provider_through_openclaw_2026_6_1() {
    one_credential_from_stdin_to_the_provider(
        Which::V2026_6_1,
        Provider::Mock,
        "api-key",
        "sk-fake-mock-key-2026-6-1-0123456789",
    );
}

#[test]
fn an_api_key_given_once_reaches_its_provider_through_openclaw_2026_9_6() {
    one_credential_from_stdin_to_the_provider(
        Which::V2026_9_6,
        Provider::Mock,
        "api-key",
        "sk-fake-mock-key-2026-9-6-0123456789",
    );
}

#[test]
fn a_setup_token_given_once_reaches_its_provider_through_openclaw_2026_6_1() {
    let token = setup_token(Which::V2026_6_1);
    one_credential_from_stdin_to_the_provider(
        Which::V2026_6_1,
        Provider::Anthropic,
        "token",
        &token,
    );
}

#[test]
fn a_setup_token_given_once_reaches_its_provider_through_openclaw_2026_9_6() {
    let token = setup_token(Which::V2026_9_6);
    one_credential_from_stdin_to_the_provider(
        Which::V2026_9_6,
        Provider::Anthropic,
        "token",
        &token,
    );
}

/// Two API keys of one provider, `mock:b` before `mock:a`, linked with `more`.
fn two_profiles_in_order(which: Which, more: &[&str]) -> Option<Scene> {
    let scene = Scene::new(which, Provider::Mock)?;
    let first = "sk-fake-mock-b-0123456789";
    let second = "sk-fake-mock-a-0123456789";
    scene.onboard("mock:a", "api-key", second);
    scene.paste_api_key("mock:b", first);
    scene.link(&[&["--order", "mock=mock:b,mock:a"], more].concat());
    scene.audit_is_clean();
    scene.arrives(first);
    // The other way round, so that it was the order and not luck.
    scene.link(&[&["--order", "mock=mock:a,mock:b"], more].concat());
    scene.arrives(second);
    scene.audit_is_clean();
    scene.lies_in_no_file(first);
    scene.lies_in_no_file(second);
    Some(scene)
}

#[test]
fn of_two_profiles_the_first_in_order_arrives_2026_6_1() {
    if let Some(scene) = two_profiles_in_order(Which::V2026_6_1, &[]) {
        let _ = scene.openclaw(&["models", "status", "--check"]).ok();
    }
}

#[test]
fn of_two_profiles_the_first_in_order_arrives_2026_9_6() {
    if let Some(scene) = two_profiles_in_order(Which::V2026_9_6, &[]) {
        // OpenClaw's own limit: it cannot confirm profile refs without a gateway.
        let _ = scene.openclaw(&["models", "status", "--check"]).fails(1);
    }
}

#[test]
fn of_two_profiles_the_first_in_order_arrives_through_a_config_ref_2026_9_6() {
    if let Some(scene) = two_profiles_in_order(Which::V2026_9_6, &["--config-refs"]) {
        let _ = scene.openclaw(&["models", "status", "--check"]).ok();
    }
}

/// A home that was linked just now: the doctor finds nothing to do, and notes alone.
fn a_freshly_linked_home_is_clean(which: Which, provider: Provider, more: Option<&str>) {
    let Some(scene) = Scene::new(which, provider) else {
        return;
    };
    let kind = match provider {
        Provider::Mock => "api-key",
        Provider::Anthropic => "token",
    };
    let token = match provider {
        Provider::Mock => "sk-fake-mock-key-doctor-0123456789".to_owned(),
        Provider::Anthropic => setup_token(which),
    };
    scene.onboard(&format!("{}:work", provider.id()), kind, &token);
    if let Some(second) = more {
        scene.paste_api_key(
            &format!("{}:{second}", provider.id()),
            "sk-fake-mock-second-0123456789",
        );
        scene.link(&[]);
    }
    let run = scene.clawkeep(&["doctor", "--json"], "");
    let report = run.json();
    assert_eq!(report["ok"], true, "{run}");
    let checks = report["checks"].as_array().unwrap();
    let status = |id: &str| {
        let check = checks.iter().find(|check| check["id"] == id).unwrap();
        check["status"].as_str().unwrap().to_owned()
    };
    for check in checks {
        let is_fine =
            check["status"] == "ok" || check["status"] == "finding" && check["severity"] == "note";
        assert!(is_fine, "{check}");
    }
    for id in [
        "ref-resolves",
        "command",
        "ref-shadowed",
        "plaintext-left",
        "order-missing",
    ] {
        assert_eq!(status(id), "ok", "{id}");
    }
    scene.audit_is_clean();
    // And what OpenClaw's audit complains of, the doctor finds: a key in its .env.
    let key = "sk-ant-api03-FAKE-doctor-0123456789-0123456789";
    scene
        .world
        .write(".openclaw/.env", format!("ANTHROPIC_API_KEY={key}\n"));
    let run = scene.world.run(&["doctor"]).fails(1);
    assert!(
        run.stdout.contains("~/.openclaw/.env:1 ANTHROPIC_API_KEY"),
        "{run}"
    );
    assert!(!run.stdout.contains(key));
}

#[test]
fn the_doctor_finds_nothing_in_a_freshly_linked_home_2026_6_1() {
    a_freshly_linked_home_is_clean(Which::V2026_6_1, Provider::Anthropic, None);
}

#[test]
fn the_doctor_finds_nothing_in_a_freshly_linked_home_2026_9_6() {
    a_freshly_linked_home_is_clean(Which::V2026_9_6, Provider::Anthropic, None);
}

#[test]
fn the_doctor_finds_nothing_where_openclaw_has_profile_references_2026_9_6() {
    a_freshly_linked_home_is_clean(Which::V2026_9_6, Provider::Mock, Some("second"));
}
