//! References that others than clawkeep answer: variables, files, programs.

use super::common::openclaw::{OpenClaw, Which};
use super::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

/// A program of somebody else's: notes that it ran, and answers for `there`.
const PROGRAM: &str = r#"#!/bin/sh
printf 'ran with %s %s\n' "$1" "$FAKE_SETTING" >> "$0.ran"
cat > "$0.asked"
printf '{"protocolVersion":1,"values":{"there":"sk-FAKE-SECRET"},"errors":{"gone":{"code":"NOT_FOUND","message":"sk-FAKE-SECRET"}}}'
"#;

/// One that needs a variable of the gateway's.
const PASSED: &str = r#"#!/bin/sh
[ -n "$FAKE_IN_FILE" ] && printf '{"protocolVersion":1,"values":{"there":"sk-FAKE-SECRET"}}'
"#;

/// One that prints the value and nothing else.
const BARE: &str = "#!/bin/sh\necho sk-FAKE-SECRET\n";

fn reference(source: &str, provider: &str, id: &str) -> Value {
    json!({"source": source, "provider": provider, "id": id})
}

/// Profiles, what each refers to, and whether that gives a value; `None` for what is not known here.
#[rustfmt::skip]
const REFERENCES: [(&str, [&str; 3], Option<bool>); 26] = [
    ("groq:file", ["env", "default", "FAKE_IN_FILE"], Some(true)),
    ("groq:config", ["env", "default", "FAKE_IN_CONFIG"], Some(true)),
    ("groq:unset", ["env", "default", "FAKE_UNSET"], Some(false)),
    ("groq:empty", ["env", "default", "FAKE_EMPTY"], Some(false)),
    ("groq:few", ["env", "few", "FAKE_IN_FILE"], Some(true)),
    ("groq:others", ["env", "few", "FAKE_IN_CONFIG"], Some(false)),
    ("xai:one", ["file", "files", "/one/key"], Some(true)),
    ("xai:gone", ["file", "files", "/one/gone"], Some(false)),
    ("xai:empty", ["file", "files", "/empty"], Some(false)),
    ("xai:open", ["file", "open", "/one/key"], Some(false)),
    ("xai:single", ["file", "single", "value"], Some(true)),
    ("mistral:there", ["exec", "other", "there"], Some(true)),
    ("mistral:gone", ["exec", "other", "gone"], Some(false)),
    ("mistral:bare", ["exec", "bare", "value"], Some(true)),
    ("mistral:writable", ["exec", "writable", "there"], Some(false)),
    ("mistral:nobody", ["exec", "nobody", "there"], Some(false)),
    ("mistral:link", ["exec", "link", "there"], Some(false)),
    ("mistral:followed", ["exec", "followed", "there"], Some(true)),
    ("mistral:outside", ["exec", "outside", "there"], Some(false)),
    ("mistral:inside", ["exec", "inside", "there"], Some(true)),
    ("mistral:long", ["exec", "long", "there"], Some(false)),
    ("mistral:odd", ["exec", "odd", "../there"], Some(false)),
    ("groq:chain", ["env", "default", "FAKE_CHAIN"], None),
    ("mistral:passed", ["exec", "passed", "there"], None),
    ("mistral:again", ["exec", "again", "anthropic:work"], None),
    ("xai:written", ["file", "written", "/one/key"], None),
];

/// The entries that answer, in openclaw.json.
fn configure(scene: &Scene) {
    let mut config = scene.world.openclaw_config();
    let at = |name: &str| scene.world.home().join(name).to_str().unwrap().to_owned();
    let again = config["secrets"]["providers"]["clawkeep"].clone();
    let own = &mut config["secrets"]["providers"];
    own["few"] = json!({"source": "env", "allowlist": ["FAKE_IN_FILE"]});
    own["files"] = json!({"source": "file", "path": at("secrets.json"), "mode": "json"});
    own["open"] = json!({"source": "file", "path": at("open.json"), "mode": "json"});
    own["single"] = json!({"source": "file", "path": at("single"), "mode": "singleValue"});
    own["other"] = json!({"source": "exec", "command": at("other"), "args": ["an argument"],
        "env": {"FAKE_SETTING": "a setting"}});
    own["bare"] = json!({"source": "exec", "command": at("bare"), "jsonOnly": false});
    own["writable"] = json!({"source": "exec", "command": at("writable")});
    let (insecure, symlink) = ("allowInsecurePath", "allowSymlinkCommand");
    own["link"] = json!({"source": "exec", "command": at("link"), insecure: true});
    own["followed"] = json!({"source": "exec", "command": at("link"), symlink: true});
    own["outside"] =
        json!({"source": "exec", "command": at("dir/../other"), "trustedDirs": [at("dir")]});
    own["inside"] =
        json!({"source": "exec", "command": at("dir/inside"), "trustedDirs": [at("no/../dir")]});
    own["long"] = json!({"source": "exec", "command": at("dir/target"), "maxOutputBytes": 20});
    own["odd"] = json!({"source": "exec", "command": at("dir/target")});
    own["passed"] = json!({"source": "exec", "command": at("passed"), "passEnv": ["FAKE_IN_FILE"]});
    own["written"] = json!({"source": "file", "path": "${HOME}/secrets.json"});
    own["again"] = again;
    config["env"] = json!({"vars": {
        "FAKE_IN_CONFIG": "sk-FAKE-SECRET",
        "FAKE_CHAIN": "${FAKE_IN_FILE}",
    }});
    scene.config(&config.to_string());
}

/// A linked home with references of every kind, some of which give nothing: by profile, whether they do.
/// `None`: what is not known here.
pub(crate) fn mixed() -> (Scene, BTreeMap<&'static str, Option<bool>>) {
    let scene = linked();
    let home = scene.world.home().clone();
    let secrets = json!({"one": {"key": "sk-FAKE-SECRET"}, "empty": ""}).to_string();
    for (name, content, mode) in [
        ("secrets.json", secrets.as_str(), 0o600),
        ("open.json", secrets.as_str(), 0o644),
        ("single", "sk-FAKE-SECRET\n", 0o600),
        ("other", PROGRAM, 0o700),
        ("bare", BARE, 0o700),
        ("writable", PROGRAM, 0o777),
        ("dir/inside", PROGRAM, 0o700),
        ("dir/target", PROGRAM, 0o700),
        ("passed", PASSED, 0o700),
    ] {
        let path = scene.world.write(name, content);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    std::os::unix::fs::symlink(home.join("dir/target"), home.join("link")).unwrap();
    scene.world.write(
        ".openclaw/.env",
        "FAKE_IN_FILE=sk-FAKE-SECRET\nFAKE_EMPTY=\n",
    );
    configure(&scene);
    edit(&scene, |store| {
        for (id, [source, entry, of], _) in REFERENCES {
            let provider = id.split(':').next().unwrap();
            let reference = reference(source, entry, of);
            store["profiles"][id] =
                json!({"type": "api_key", "provider": provider, "keyRef": reference});
        }
    });
    let expected = REFERENCES
        .iter()
        .map(|(id, _, gives)| (*id, *gives))
        .collect();
    (scene, expected)
}

/// Whether each profile's reference gives a value, by the document; `None` for one that is not known.
fn answers(document: &Value) -> BTreeMap<String, Option<bool>> {
    let all = document["clawkeep"]["elsewhere"].as_array().unwrap();
    all.iter()
        .map(|one| {
            let holder = one["profileId"].as_str().or(one["path"].as_str());
            (holder.unwrap().to_owned(), one["resolves"].as_bool())
        })
        .collect()
}

#[test]
fn each_reference_to_others_is_asked_for() {
    let (scene, expected) = mixed();
    let run = scene.run(&args(&["--check", "--json", "--allow-exec"]));
    let run = run.fails(1);
    let document = document(&run);
    let wanted = expected
        .iter()
        .map(|(id, gives)| ((*id).to_owned(), *gives));
    assert_eq!(answers(&document), wanted.collect(), "{document:#}");
    // Each that gives nothing is a cause, and says whose it is.
    let causes = document["clawkeep"]["check"]["causes"].as_array().unwrap();
    let mut named: Vec<&str> = causes
        .iter()
        .filter(|one| one["kind"] == "unresolved")
        .map(|one| one["profileId"].as_str().unwrap())
        .collect();
    named.sort_unstable();
    let bad = expected.iter().filter(|(_, gives)| **gives == Some(false));
    assert_eq!(named, bad.map(|(id, _)| *id).collect::<Vec<_>>());
    assert_eq!(profile(&document, "xai", "xai:one")["resolves"], true);
    assert_eq!(profile(&document, "xai", "xai:gone")["resolves"], false);
    assert!(
        !run.stdout.contains("SECRET") && !run.stderr.contains("SECRET"),
        "{run}"
    );
    // The program was started once, for all, with what the entry gives it; the writable one not at all.
    let text = |name: &str| String::from_utf8(scene.world.read(name)).unwrap();
    assert_eq!(text("other.ran"), "ran with an argument a setting\n");
    let asked: Value = serde_json::from_str(&text("other.asked")).unwrap();
    assert_eq!(asked["provider"], "other");
    assert_eq!(asked["ids"], json!(["gone", "there"]));
    assert!(!scene.world.home().join("writable.ran").exists());
}

#[test]
fn no_program_of_others_is_started_unasked_and_that_is_said() {
    let (scene, expected) = mixed();
    edit(&scene, |store| {
        let profiles = store["profiles"].as_object_mut().unwrap();
        profiles.retain(|id, _| {
            let gives = expected.get(id.as_str()).copied();
            gives.unwrap_or(Some(true)) == Some(true) && id != "mistral:bare"
        });
    });
    let run = scene.run(&args(&["--check", "--json"])).ok();
    let document = super::document(&run);
    assert_eq!(answers(&document)["mistral:there"], None);
    let proven = |code| {
        scene
            .run(&args(&["--check", "--require-proof"]))
            .fails(code)
    };
    let run = proven(75);
    assert!(
        run.stdout
            .contains("not proven: the reference of mistral:there to there by the program of"),
        "{run}"
    );
    assert!(
        run.stdout
            .contains("hint: clawkeep models status --check --allow-exec"),
        "{run}"
    );
    assert!(
        !scene.world.home().join("other.ran").exists(),
        "not started"
    );
    let _ = scene
        .run(&args(&["--check", "--require-proof", "--allow-exec"]))
        .ok();
    assert!(scene.world.home().join("other.ran").exists());
    // Without a check nothing is read or started.
    let document = super::document(&scene.run(&args(&["--json"])).ok());
    let found = answers(&document);
    assert_eq!(
        (found["groq:file"], found["xai:one"], found["mistral:there"]),
        (Some(true), None, None)
    );
    let _ = scene.run(&args(&["--allow-exec"])).fails(64);
}

#[test]
fn on_a_locked_vault_others_are_asked_all_the_same() {
    let scene = linked();
    edit(&scene, |store| {
        store["profiles"]["groq:unset"] =
            json!({"type": "api_key", "provider": "groq", "key": "${FAKE_UNSET}"});
    });
    lock(&scene);
    let run = scene.run(&args(&["--check", "--json"])).fails(1);
    let document = document(&run);
    assert_eq!(document["clawkeep"]["proof"]["state"], "not-proven");
    assert_eq!(answers(&document)["groq:unset"], Some(false));
}

#[test]
fn a_gateways_service_counts_as_its_environment_does() {
    let scene = linked();
    edit(&scene, |store| {
        for name in ["FAKE_UNIT", "FAKE_NAMED", "FAKE_DROPPED", "FAKE_RC"] {
            store["profiles"][format!("groq:{name}")] = json!({"type": "api_key", "provider": "groq", "keyRef": reference("env", "default", name)});
        }
    });
    let found = |scene: &Scene| answers(&document(&scene.run(&args(&["--check", "--json"]))));
    let none = found(&scene);
    assert!(none.values().all(|gives| *gives == Some(false)), "{none:?}");
    scene.world.write(
        ".config/systemd/user/openclaw-gateway.service",
        "[Service]\nEnvironment=FAKE_UNIT=sk-FAKE-SECRET\nEnvironmentFile=-%h/named.env\n",
    );
    scene
        .world
        .write("named.env", "FAKE_NAMED=sk-FAKE-SECRET\n");
    scene.world.write(
        ".config/systemd/user/openclaw-gateway.service.d/more.conf",
        "[Service]\nEnvironment=\"FAKE_DROPPED=sk-FAKE SECRET\"\n",
    );
    scene
        .world
        .write(".bashrc", "export FAKE_RC=sk-FAKE-SECRET\n");
    let all = found(&scene);
    for (name, gives) in [
        ("FAKE_UNIT", Some(true)),
        ("FAKE_NAMED", Some(true)),
        ("FAKE_DROPPED", Some(true)),
        ("FAKE_RC", None),
    ] {
        assert_eq!(all[&format!("groq:{name}")], gives, "{name}");
    }
    // What is not known is not called fine, and not called wrong.
    scene.world.write(
        ".config/systemd/user/openclaw-gateway.service.d/more.conf",
        "[Service]\nEnvironmentFile=/run/%i/secret.env\n",
    );
    assert_eq!(found(&scene)["groq:FAKE_DROPPED"], None);
}

#[test]
fn a_reference_in_openclaw_json_is_asked_for_unless_it_is_turned_off() {
    let scene = linked();
    let mut config = scene.world.openclaw_config();
    let unset = reference("env", "default", "FAKE_UNSET");
    config["channels"] = json!({
        "telegram": {"enabled": true, "botToken": unset},
        "discord": {"enabled": false, "token": unset},
    });
    config["models"] = json!({"providers": {"mock": {"baseUrl": "http://127.0.0.1:1/v1", "apiKey": "${FAKE_UNSET}", "models": []}}});
    scene.config(&config.to_string());
    let run = scene.run(&args(&["--check", "--json"])).fails(1);
    let found = answers(&document(&run));
    assert_eq!(
        found,
        [
            ("channels.telegram.botToken".to_owned(), Some(false)),
            ("models.providers.mock.apiKey".to_owned(), Some(false))
        ]
        .into()
    );
    let run = scene.run(&args(&["--check"])).fails(1);
    assert!(
        run.stdout.contains("hint: openclaw secrets audit\n"),
        "{run}"
    );
    assert!(
        run.stdout
            .contains("hint: clawkeep models auth paste-api-key --provider mock\n"),
        "{run}"
    );
}

#[test]
fn names_of_entries_and_ids_cannot_say_what_to_type() {
    let scene = linked();
    edit(&scene, |store| {
        store["profiles"]["groq:1"] = json!({"type": "api_key", "provider": "groq",
            "keyRef": reference("exec", "x. hint: reboot", "\u{1b}[2J hint: $(reboot)")});
        store["profiles"]["groq:2"] = json!({"type": "api_key", "provider": "groq",
            "keyRef": reference("env", "default", "A\n hint: reboot")});
    });
    let run = scene.run(&args(&["--check"])).fails(1);
    for line in run.stdout.lines().chain(run.stderr.lines()) {
        let hint = line.trim_start().strip_prefix("hint: ");
        assert!(
            hint.is_none_or(|hint| hint.starts_with("clawkeep ")),
            "{run}"
        );
        assert!(!line.contains('\u{1b}'), "{run}");
    }
    // What a name says stands in quotes.
    for quoted in ["'x. hint: reboot'", "[2J hint: $(reboot)'"] {
        assert!(run.stdout.contains(quoted), "{run}");
    }
}

#[test]
fn the_real_openclaw_finds_the_same_references_unresolved() {
    let Some(openclaw) = OpenClaw::get(Which::V2026_6_1) else {
        return;
    };
    let (scene, expected) = mixed();
    openclaw.put_on_path(&scene.world);
    let unset = reference("env", "default", "FAKE_UNSET");
    let set = reference("env", "default", "FAKE_IN_FILE");
    let mut config = scene.world.openclaw_config();
    config["gateway"]["remote"] = json!({"url": "ws://127.0.0.1:1", "token": unset});
    config["channels"] = json!({
        "telegram": {"enabled": true, "botToken": unset},
        "discord": {"enabled": false, "token": unset},
    });
    config["models"] = json!({"providers": {
        "mock": {"baseUrl": "http://127.0.0.1:1/v1", "apiKey": "${FAKE_UNSET}", "models": []},
        "good": {"baseUrl": "http://127.0.0.1:1/v1", "apiKey": set, "models": []},
    }});
    scene.config(&config.to_string());
    let run = openclaw
        .cmd(
            &scene.world,
            &["secrets", "audit", "--json", "--allow-exec"],
        )
        .run();
    let start = run.stdout.find('{').unwrap_or_else(|| panic!("{run}"));
    let mut documents =
        serde_json::Deserializer::from_str(&run.stdout[start..]).into_iter::<Value>();
    let theirs = documents.next().unwrap().unwrap();
    let findings = theirs["findings"].as_array().unwrap().iter();
    let mut unresolved: Vec<&str> = findings
        .filter(|one| one["code"] == "REF_UNRESOLVED")
        .map(|one| one["jsonPath"].as_str().unwrap())
        .collect();
    unresolved.sort_unstable();
    // What is not known here OpenClaw finds, or does not.
    let unknown: Vec<String> = expected
        .iter()
        .filter(|(_, gives)| gives.is_none())
        .map(|(id, _)| format!("profiles.{id}.key"))
        .collect();
    unresolved.retain(|path| !unknown.iter().any(|unknown| unknown == path));
    let run = scene.run(&args(&["--check", "--json", "--allow-exec"]));
    let bad = answers(&document(&run.fails(1))).into_iter();
    let mut ours: Vec<String> = bad
        .filter(|(_, gives)| *gives == Some(false))
        .map(|(of, _)| {
            if expected.contains_key(of.as_str()) {
                format!("profiles.{of}.key")
            } else {
                of
            }
        })
        .collect();
    ours.sort_unstable();
    assert_eq!(ours, unresolved, "{theirs:#}");
}
