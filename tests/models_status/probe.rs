//! `--probe`: each profile's credential reaches its provider's own host, by TLS and in a header, and no other.

use super::common::openclaw::{OpenClaw, Which};
use super::*;
use crate::common::Run;
use serde_json::json;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::JoinHandle;

/// A provider on loopback that speaks TLS. Its certificate is `tests/data/loopback-cert.pem`, its key is
/// public and of no use elsewhere.
struct Provider {
    child: Child,
    port: u16,
    record: PathBuf,
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

impl Provider {
    /// `None`, with the reason printed, where Node is left out.
    fn start(scene: &Scene) -> Option<Provider> {
        let openclaw = OpenClaw::get(Which::V2026_6_1)?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models_status/provider.mjs");
        let record = scene.world.root().join("requests");
        let args = [
            script,
            data("loopback-cert.pem"),
            data("loopback-key.pem"),
            record.clone(),
        ];
        let args = args.map(|path| path.to_str().unwrap().to_owned());
        let mut command = scene.world.program(openclaw.node(), &args).into_std();
        let mut child = command
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        Some(Provider {
            child,
            port: line.trim().parse().unwrap(),
            record,
        })
    }

    fn base(&self, how: &str) -> String {
        format!("https://localhost:{}/{how}", self.port)
    }

    /// The requests since this was asked last: by path, with their headers.
    fn requests(&self) -> Vec<(String, Value)> {
        let text = std::fs::read_to_string(&self.record).unwrap_or_default();
        let _ = std::fs::remove_file(&self.record);
        let mut all: Vec<(String, Value)> = text
            .lines()
            .map(|line| {
                let one: Value = serde_json::from_str(line).unwrap();
                assert_eq!(one["method"], "GET");
                (
                    one["url"].as_str().unwrap().to_owned(),
                    one["headers"].clone(),
                )
            })
            .collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A vault with one key of each of these providers, which openclaw.json sends there.
fn scene(providers: &[(&str, String, &str)]) -> Scene {
    let scene = Scene::new("2026.6.1");
    point(&scene, providers);
    for (name, _, _) in providers {
        scene.paste("api-key", &format!("{name}:1"), &[]);
    }
    scene
}

fn point(scene: &Scene, providers: &[(&str, String, &str)]) {
    let providers: serde_json::Map<String, Value> = providers
        .iter()
        .map(|(name, base, api)| {
            let mut entry = json!({"baseUrl": base, "models": []});
            if !api.is_empty() {
                entry["api"] = json!(api);
            }
            ((*name).to_owned(), entry)
        })
        .collect();
    scene.config(&json!({"models": {"providers": providers}}).to_string());
}

fn probed(scene: &Scene, more: &[&str], ca: Option<&Path>) -> Run {
    let mut cmd = scene.cmd(&args(&[&["--probe", "--json"], more].concat()));
    if let Some(ca) = ca {
        cmd = cmd.env("CURL_CA_BUNDLE", ca);
    }
    cmd.run()
}

fn results(document: &Value) -> Vec<(String, String)> {
    let all = document["auth"]["probes"]["results"].as_array().unwrap();
    let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    all.iter()
        .map(|one| {
            (
                text(one, "profileId"),
                format!("{} {}", text(one, "status"), text(one, "error"))
                    .trim()
                    .to_owned(),
            )
        })
        .collect()
}

#[test]
fn each_answer_means_what_openclaw_calls_it() {
    let elsewhere = Scene::new("2026.6.1");
    let Some(server) = Provider::start(&elsewhere) else {
        return;
    };
    let scene = scene(&[
        ("a-ok", server.base("ok/v1"), "openai-completions"),
        ("b-refuse", server.base("refuse"), ""),
        ("c-forbid", server.base("forbid"), ""),
        ("d-pay", server.base("pay"), ""),
        ("e-many", server.base("many"), ""),
        ("f-odd", server.base("odd"), ""),
        ("g-away", server.base("away"), ""),
        ("h-slow", server.base("slow"), ""),
        ("i-nobody", "https://localhost:1/v1".to_owned(), ""),
        ("j-clear", "http://provider.invalid/v1".to_owned(), ""),
        (
            "k-user",
            format!("https://me@localhost:{}/ok", server.port),
            "",
        ),
    ]);
    scene.paste("api-key", "unheard-of:1", &[]);
    let ca = data("loopback-cert.pem");
    let run = probed(&scene, &["--probe-timeout", "2s"], Some(&ca)).ok();
    assert!(
        !run.stdout.contains("FAKE") && !run.stderr.contains("FAKE"),
        "{run}"
    );
    let document = document(&run);
    let unsafe_address =
        "unknown its address in openclaw.json is neither https nor on this machine";
    let wanted = [
        ("a-ok:1", "ok"),
        ("b-refuse:1", "auth"),
        ("c-forbid:1", "auth"),
        ("d-pay:1", "billing"),
        ("e-many:1", "rate_limit"),
        ("f-odd:1", "unknown HTTP status 500"),
        ("g-away:1", "unknown HTTP status 302"),
        ("h-slow:1", "timeout"),
        ("i-nobody:1", "unknown the host is not reached"),
        ("j-clear:1", unsafe_address),
        ("k-user:1", unsafe_address),
        (
            "unheard-of:1",
            "unknown it is not known where unheard-of can be asked",
        ),
    ]
    .map(|(id, said)| (id.to_owned(), said.to_owned()));
    assert_eq!(results(&document), wanted);
    let requests = server.requests();
    let paths: Vec<&str> = requests.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "/away/models",
            "/forbid/models",
            "/many/models",
            "/odd/models",
            "/ok/v1/models",
            "/pay/models",
            "/refuse/models",
            "/slow/models"
        ],
        "one request each, and none to where another leads"
    );
    let (_, headers) = &requests[4];
    assert_eq!(
        headers["authorization"],
        format!("Bearer {}", scene::value_of("a-ok:1"))
    );
    assert_eq!(
        document["auth"]["probes"]["results"][0]["host"],
        format!("localhost:{}", server.port)
    );
    // What is refused is a failure where it is asked for.
    let run = probed(&scene, &["--check", "--probe-timeout", "2s"], Some(&ca));
    assert_eq!(run.code, 1);
    let document = super::document(&run);
    let causes = document["clawkeep"]["check"]["causes"].as_array().unwrap();
    let refused = causes.iter().filter(|one| one["kind"] == "refused").count();
    assert_eq!(refused, 3);
}

#[test]
fn a_server_that_cannot_prove_itself_gets_nothing() {
    let elsewhere = Scene::new("2026.6.1");
    let Some(server) = Provider::start(&elsewhere) else {
        return;
    };
    let scene = scene(&[("mock", server.base("ok"), "")]);
    let run = probed(&scene, &[], None).ok();
    assert_eq!(
        results(&document(&run)),
        [(
            "mock:1".to_owned(),
            "unknown the host's certificate is not trusted".to_owned()
        )]
    );
    assert!(server.requests().is_empty());
}

#[test]
fn each_provider_gets_its_credential_as_it_wants_it() {
    let elsewhere = Scene::new("2026.6.1");
    let Some(server) = Provider::start(&elsewhere) else {
        return;
    };
    let scene = Scene::new("2026.6.1");
    let base = server.base("ok");
    point(
        &scene,
        &[
            ("anthropic", base.clone(), "anthropic-messages"),
            ("google", base.clone(), ""),
            ("openai", base, ""),
        ],
    );
    scene.paste("token", "anthropic:token", &[]);
    let key = "sk-ant-api03-FAKE-0123456789";
    let paste = [
        "models",
        "auth",
        "paste-api-key",
        "--provider",
        "anthropic",
        "--profile-id",
        "anthropic:key",
    ];
    let _ = scene.cmd(&paste).stdin(key).run().ok();
    scene.paste("api-key", "google:1", &[]);
    scene.paste("api-key", "openai:1", &[]);
    let run = probed(&scene, &[], Some(&data("loopback-cert.pem"))).ok();
    assert!(
        results(&document(&run))
            .iter()
            .all(|(_, said)| said == "ok"),
        "{run}"
    );
    let requests = server.requests();
    let with = |path: &str, header: &str, value: &str| {
        let mut all = requests.iter().filter(|(own, _)| own == path);
        assert!(
            all.any(|(_, headers)| headers[header] == value),
            "{path} {header} in {requests:#?}"
        );
    };
    let of = scene::value_of;
    with("/ok/v1/models?limit=1", "x-api-key", key);
    with(
        "/ok/v1/models?limit=1",
        "authorization",
        &format!("Bearer {}", of("anthropic:token")),
    );
    with(
        "/ok/v1/models?limit=1",
        "anthropic-beta",
        "oauth-2025-04-20",
    );
    with("/ok/models?pageSize=1", "x-goog-api-key", &of("google:1"));
    with(
        "/ok/models",
        "authorization",
        &format!("Bearer {}", of("openai:1")),
    );
    assert_eq!(requests.len(), 4);
}

/// Takes one request on loopback and answers it after `look`; its first line.
fn one_request(here: TcpListener, look: impl FnOnce() + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let (mut stream, _) = here.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
        look();
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        stream.write_all(answer).unwrap();
        first
    })
}

/// What may go in the clear because it stays on this machine goes to no proxy.
#[test]
fn what_stays_on_this_machine_passes_by_a_proxy() {
    let here = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let base = format!("http://{}/v1", here.local_addr().unwrap());
    let scene = scene(&[("mock", base, "")]);
    let serving = one_request(here, || ());
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let run = scene
        .cmd(&args(&["--probe", "--json", "--probe-timeout", "2s"]))
        .env("http_proxy", &address)
        .env("ALL_PROXY", &address)
        .run()
        .ok();
    assert!(proxy.accept().is_err(), "nobody asked the proxy");
    let all = results(&document(&run));
    assert_eq!(all, [("mock:1".to_owned(), "ok".to_owned())]);
    let _ = serving.join().unwrap();
}

/// What an address in openclaw.json holds is as secret as the header: while `curl` waits for the answer,
/// neither is in the command line or environment of any process.
#[cfg(target_os = "linux")]
#[test]
fn no_process_shows_the_address_or_the_value() {
    let here = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = here.local_addr().unwrap();
    let base = format!("http://{at}/v1/FAKE-IN-PATH?key=FAKE-IN-QUERY#x");
    let scene = scene(&[("mock", base, "")]);
    let value = scene::value_of("mock:1");
    let serving = one_request(here, move || {
        let mut shown = Vec::new();
        for process in std::fs::read_dir("/proc").unwrap() {
            let process = process.unwrap().path();
            for part in ["cmdline", "environ"] {
                let text = std::fs::read(process.join(part)).unwrap_or_default();
                shown.push(String::from_utf8_lossy(&text).into_owned());
            }
        }
        let is_curl = |text: &&String| text.ends_with("curl\0--disable\0--config\0-\0");
        assert!(shown.iter().any(|text| is_curl(&text)), "curl is running");
        for text in &shown {
            for secret in ["FAKE-IN-PATH", "FAKE-IN-QUERY", &value] {
                assert!(!text.contains(secret), "{text}");
            }
        }
    });
    let run = probed(&scene, &[], None).ok();
    let first = serving.join().unwrap();
    let all = results(&document(&run));
    assert_eq!(all, [("mock:1".to_owned(), "ok".to_owned())]);
    assert_eq!(
        first,
        "GET /v1/FAKE-IN-PATH/models?key=FAKE-IN-QUERY HTTP/1.1"
    );
    assert!(!run.stdout.contains("FAKE-IN"), "{run}");
}

#[test]
fn what_is_not_ours_to_give_is_not_asked_for() {
    let elsewhere = Scene::new("2026.6.1");
    let Some(server) = Provider::start(&elsewhere) else {
        return;
    };
    let scene = scene(&[
        ("mock", server.base("ok"), ""),
        ("other", server.base("ok"), ""),
    ]);
    let _ = scene.link(&[]).ok();
    edit(&scene, |store| {
        // Sends one provider's value to another's host.
        store["profiles"]["other:stolen"] = json!({"type": "api_key", "provider": "other",
            "keyRef": {"source": "exec", "provider": "clawkeep", "id": "mock:1"}});
        store["profiles"]["other:login"] =
            json!({"type": "oauth", "provider": "other", "access": "FAKE", "expires": hours(9)});
        store["profiles"]["other:env"] =
            json!({"type": "api_key", "provider": "other", "key": "${FAKE_KEY}"});
        store["profiles"]["other:none"] = json!({"type": "api_key", "provider": "other"});
        store["profiles"]["other:clear"] =
            json!({"type": "api_key", "provider": "other", "key": "FAKE-IN-THE-CLEAR-0123"});
        store["profiles"]["other:lines"] =
            json!({"type": "api_key", "provider": "other", "key": "FAKE\nx-evil: 1"});
    });
    let ca = data("loopback-cert.pem");
    let document = document(&probed(&scene, &[], Some(&ca)).ok());
    let said: std::collections::BTreeMap<_, _> = results(&document).into_iter().collect();
    for (id, wanted) in [
        ("mock:1", "ok"),
        ("other:1", "ok"),
        ("other:clear", "ok"),
        (
            "other:stolen",
            "unknown the vault's value is not one of other",
        ),
        ("other:login", "unknown OpenClaw renews a login itself"),
        ("other:env", "unknown its value is not in the vault"),
        ("other:none", "unknown it has no value"),
        ("other:lines", "unknown its value cannot stand in a request"),
    ] {
        assert_eq!(said[id], wanted, "{id}");
    }
    let sent: Vec<Value> = server
        .requests()
        .into_iter()
        .map(|(_, headers)| headers["authorization"].clone())
        .collect();
    assert_eq!(sent.len(), 3);
    assert!(sent.contains(&json!("Bearer FAKE-IN-THE-CLEAR-0123")));
    lock(&scene);
    let document = super::document(&probed(&scene, &["--check"], Some(&ca)));
    let said: std::collections::BTreeMap<_, _> = results(&document).into_iter().collect();
    assert_eq!(said["mock:1"], "unknown the vault is locked");
    // Never by default.
    let _ = server.requests();
    let _ = scene.run(&args(&["--json"])).ok();
    assert!(server.requests().is_empty());
}
