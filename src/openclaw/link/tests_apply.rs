//! What applying does to files, with a shell script in OpenClaw's place that behaves as 2026.9.6
//! did: it rewrites openclaw.json without comments, keeps the old text as `.bak`, and needs two
//! logouts to forget a profile.

use super::*;
use crate::host::Host;
use crate::openclaw::install::Install;
use crate::secret::{Alphabet, Secret};
use std::os::unix::fs::PermissionsExt;

const CLI: &str = r#"
d=$(dirname "$0"); c=@STATE@/openclaw.json
echo "$@" >> $d/calls
case "$1 $2 $3 $4" in
  "secrets apply "*)
    cp "$4" $d/plan.json
    case "$*" in *--dry-run*) exit $(cat $d/dry) ;; esac
    cp $c $c.bak; grep -v '//' $c.bak | sed 's/^{$/{ "meta": { "v": "9" },/' > $c ;;
  "secrets audit "*) echo '{"status":"clean","resolution":{"refsChecked":1},"summary":{},"findings":[]}' ;;
  "models auth --agent "*) cat $d/list ;;
  "models auth logout "*)
    if grep -q once $d/list; then echo '{"profiles":[]}' > $d/list
    else echo '{"once":1,"profiles":[{"id":"anthropic:work","provider":"anthropic"}]}' > $d/list; fi ;;
esac
exit 0
"#;

struct Lab {
    root: tempfile::TempDir,
    places: Places,
    install: Install,
    command: PathBuf,
}

const TOKEN: &str = "fake-gateway-token-0123456789";
const TEXT: &str =
    "{\n  // mine\n  gateway: { auth: { token: 'fake-gateway-token-0123456789' } },\n}\n";

fn lab(version: &str) -> Lab {
    let root = tempfile::tempdir().unwrap();
    let places = Places::below(root.path());
    let package = root.path().join("package");
    std::fs::create_dir(&package).unwrap();
    let cli = CLI.replace("@STATE@", places.state().to_str().unwrap());
    let manifest = json!({"name": "openclaw", "version": version}).to_string();
    for (name, text) in [
        ("package.json", manifest.as_str()),
        ("openclaw.mjs", cli.as_str()),
        ("dry", "0"),
        (
            "list",
            r#"{"profiles":[{"id":"anthropic:work","provider":"anthropic"}]}"#,
        ),
    ] {
        crate::file::create(&package.join(name), text.as_bytes(), 0o600).unwrap();
    }
    let install = Install::at(&package, Some("/bin/sh".into()), &Host::real()).unwrap();
    let command = root.path().join("clawkeep");
    crate::file::create(&command, b"#!/bin/sh\n", 0o755).unwrap();
    Lab {
        root,
        places,
        install,
        command,
    }
}

impl Lab {
    fn write(&self, name: &str, text: &str, mode: u32) {
        crate::file::private_dir(self.places.state()).unwrap();
        crate::file::replace(&self.places.state().join(name), text.as_bytes(), mode).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.places.state().join(name)).unwrap()
    }

    fn calls(&self) -> Vec<String> {
        let calls = std::fs::read_to_string(self.root.path().join("package/calls"));
        calls
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    fn plan(&self, profiles: &[&str], planted: &[Held]) -> Plan {
        let wanted: Vec<Wanted> = profiles
            .iter()
            .map(|profile| {
                let profile = ProfileId::parse(profile).unwrap();
                Wanted {
                    agent: AgentId::main(),
                    id: profile.secret_id(&AgentId::main()),
                    profile,
                    provider: ProviderId::parse("anthropic").unwrap(),
                    kind: SecretKind::Token,
                    expires: None,
                }
            })
            .collect();
        let order = wanted.iter().map(|wanted| wanted.profile.clone()).collect();
        let key = (AgentId::main(), ProviderId::parse("anthropic").unwrap());
        plan(&Facts {
            version: self.install.version(),
            places: &self.places,
            config: &Config::read(self.places.config()).unwrap(),
            wanted: &wanted,
            planted,
            foreign: &[],
            logins: &[],
            orders: &BTreeMap::from([(key, order)]),
            command: &self.command,
            resolver_args: &[],
            pass_env: &[],
            config_refs: false,
            gateway_variable: false,
            migrating: &Migrating::default(),
        })
        .unwrap()
    }

    fn apply(&self, plan: &Plan) -> Result<Applied> {
        apply(
            plan,
            Some(&self.install),
            &Host::real(),
            None,
            &mut (),
            &mut |_| (),
        )
    }
}

#[test]
fn linking_writes_the_config_and_scrubs_every_copy() {
    let lab = lab("2026.9.6");
    lab.write("openclaw.json", TEXT, 0o640);
    lab.write("openclaw.json.bak", TEXT, 0o600);
    lab.write(
        "openclaw.json.bak.2",
        &format!("broken {{ '{TOKEN}'"),
        0o600,
    );
    lab.write("openclaw.json.bak.3", "{}", 0o600);
    let plan = lab.plan(&["anthropic:work"], &[]);
    let done = lab.apply(&plan).unwrap();
    assert!(done.config_written && done.audit.unwrap().is_clean());
    assert_eq!(done.copies_scrubbed.len(), 2);
    assert_eq!(lab.read("openclaw.json.bak.3"), "{}");
    for entry in std::fs::read_dir(lab.places.state()).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(!text.contains(TOKEN), "{text}");
    }
    assert!(lab.read("openclaw.json").contains("// mine"));
    let meta = std::fs::metadata(lab.places.config()).unwrap();
    assert_eq!(meta.permissions().mode() & 0o777, 0o640, "the mode stays");
    let calls = lab.calls();
    assert_eq!(calls.len(), 3, "{calls:?}");
    assert_eq!(calls[1], "config validate");
    assert!(
        calls[0].ends_with("--json --dry-run --allow-exec"),
        "{calls:?}"
    );
    // A second run has nothing to write.
    let again = lab.plan(&["anthropic:work"], &[]);
    assert!(again.edits.is_empty() && !again.changes_config());
    assert!(!lab.apply(&again).unwrap().config_written);
}

#[test]
fn a_new_config_is_private() {
    let lab = lab("2026.9.6");
    lab.apply(&lab.plan(&["anthropic:work"], &[])).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(lab.places.state()), mode(lab.places.config())),
        (0o700, 0o600)
    );
}

#[test]
fn profiles_go_through_the_cli_and_the_comments_survive_it() {
    let lab = lab("2026.9.6");
    lab.write("openclaw.json", TEXT, 0o600);
    let plan = lab.plan(&["anthropic:b", "anthropic:a"], &[]);
    lab.apply(&plan).unwrap();
    let text = lab.read("openclaw.json");
    assert!(
        text.contains("// mine") && text.contains("\"meta\": {"),
        "{text}"
    );
    let calls = lab.calls();
    assert!(calls[2].starts_with("secrets apply --from") && !calls[2].contains("--dry-run"));
    assert_eq!(
        calls[3],
        "models auth order set --provider anthropic --agent main -- anthropic:b anthropic:a"
    );
    let plan_file = std::fs::read_to_string(lab.root.path().join("package/plan.json")).unwrap();
    assert!(!plan_file.contains("providerUpserts") && plan_file.contains("anthropic:b"));
}

#[test]
fn a_refused_dry_run_or_a_changed_file_writes_nothing() {
    let lab = lab("2026.9.6");
    lab.write("openclaw.json", TEXT, 0o600);
    lab.write("openclaw.json.bak", TEXT, 0o600);
    let plan = lab.plan(&["anthropic:work"], &[]);
    crate::file::replace(&lab.root.path().join("package/dry"), b"1", 0o600).unwrap();
    let said = lab.apply(&plan).unwrap_err();
    assert!(said.message().contains("nothing was written"), "{said}");
    assert_eq!(
        (lab.read("openclaw.json"), lab.read("openclaw.json.bak")),
        (TEXT.into(), TEXT.into())
    );
    crate::file::replace(&lab.root.path().join("package/dry"), b"0", 0o600).unwrap();
    lab.write("openclaw.json", "{ /* other */ }", 0o600);
    let said = lab.apply(&plan).unwrap_err();
    assert!(said.message().contains("changed while"), "{said}");
    assert_eq!(lab.read("openclaw.json"), "{ /* other */ }");
    std::fs::set_permissions(&lab.command, std::fs::Permissions::from_mode(0o777)).unwrap();
    let said = lab.apply(&lab.plan(&["anthropic:work"], &[])).unwrap_err();
    assert!(said.message().contains("others may write it"), "{said}");
}

#[test]
fn a_planted_profile_is_removed_until_it_is_gone() {
    let lab = lab("2026.9.6");
    let old = Held {
        agent: AgentId::main(),
        profile: ProfileId::parse("anthropic:work").unwrap(),
        provider: ProviderId::parse("anthropic").unwrap(),
    };
    let done = lab.apply(&lab.plan(&["anthropic:work"], &[old])).unwrap();
    assert!(done.notes.is_empty(), "{:?}", done.notes);
    let logouts = lab
        .calls()
        .iter()
        .filter(|call| call.contains("logout"))
        .count();
    assert_eq!(logouts, 2);
}

#[test]
fn the_file_lane_leaves_profiles_to_the_caller_and_needs_no_cli() {
    let lab = lab("2026.6.1");
    lab.write("openclaw.json", TEXT, 0o600);
    let plan = lab.plan(&["anthropic:work"], &[]);
    assert_eq!(plan.profile_refs.len(), 1);
    let done = apply(&plan, None, &Host::real(), None, &mut (), &mut |_| ()).unwrap();
    assert!(done.config_written && done.audit.is_none());
    assert!(lab.calls().is_empty());
    let plan = lab.plan(&["anthropic:work"], &[]);
    lab.apply(&plan).unwrap();
    assert!(
        !lab.calls().iter().any(|call| call.contains("order")),
        "{:?}",
        lab.calls()
    );
}

#[test]
fn unlinking_gives_back_the_text_without_us() {
    let lab = lab("2026.9.6");
    let text = "{\n  // mine\n  a: 1,\n}\n";
    lab.write("openclaw.json", text, 0o600);
    let plan = lab.plan(&["anthropic:work"], &[]);
    lab.apply(&plan).unwrap();
    assert_ne!(lab.read("openclaw.json"), text);
    let config = Config::read(lab.places.config()).unwrap();
    let undo = unlink(
        lab.install.version(),
        &lab.places,
        &config,
        &[],
        &BTreeMap::new(),
    )
    .unwrap();
    let done = apply_unlink(&undo, None, &mut |_| ()).unwrap();
    assert!(done.config_written);
    assert_eq!(lab.read("openclaw.json"), text);
    // The token that was in the vault before is found in copies that turned up since.
    lab.write("openclaw.json.bak", TEXT, 0o600);
    let token = Secret::new(TOKEN.as_bytes(), Alphabet::Key).unwrap();
    let plan = lab.plan(&[], &[]);
    let done = apply(
        &plan,
        None,
        &Host::real(),
        Some(&token),
        &mut (),
        &mut |_| (),
    )
    .unwrap();
    assert_eq!(done.copies_scrubbed.len(), 1);
}
