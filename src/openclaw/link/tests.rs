//! What a plan promises about providers, on chosen configurations.

use super::*;

pub(super) struct Case {
    pub(super) version: Version,
    pub(super) config: Config,
    pub(super) wanted: Vec<Wanted>,
    pub(super) planted: Vec<Held>,
    pub(super) foreign: Vec<Held>,
    pub(super) orders: BTreeMap<(AgentId, ProviderId), Vec<ProfileId>>,
    pub(super) config_refs: bool,
    pub(super) variable: bool,
    pub(super) migrating: Migrating,
    pub(super) places: Places,
}

fn provider(name: &str) -> ProviderId {
    ProviderId::parse(name).unwrap()
}

pub(super) fn held(agent: &str, profile: &str) -> Held {
    Held {
        agent: AgentId::parse(agent).unwrap(),
        profile: ProfileId::parse(profile).unwrap(),
        provider: provider(profile.split(':').next().unwrap()),
    }
}

pub(super) fn case(version: &str, config: &str, wanted: &[(&str, &str)]) -> Case {
    Case {
        version: Version::parse(version).unwrap(),
        config: Config::parse(config.as_bytes(), Path::new("/x/openclaw.json")).unwrap(),
        wanted: wanted
            .iter()
            .map(|(agent, profile)| {
                let Held {
                    agent,
                    profile,
                    provider,
                } = held(agent, profile);
                Wanted {
                    id: profile.secret_id(&agent),
                    kind: if profile.as_str().ends_with("key") {
                        SecretKind::ApiKey
                    } else {
                        SecretKind::Token
                    },
                    agent,
                    profile,
                    provider,
                    expires: Millis::new(1_795_355_756_000),
                }
            })
            .collect(),
        planted: Vec::new(),
        foreign: Vec::new(),
        orders: BTreeMap::new(),
        config_refs: false,
        variable: true,
        migrating: Migrating::default(),
        places: Places::below(Path::new("/nowhere")),
    }
}

impl Case {
    fn order(mut self, agent: &str, of: &str, ids: &[&str]) -> Self {
        let ids = ids.iter().map(|id| ProfileId::parse(id).unwrap()).collect();
        self.orders
            .insert((AgentId::parse(agent).unwrap(), provider(of)), ids);
        self
    }

    fn try_plan(&self) -> Result<Plan> {
        plan(&Facts {
            version: &self.version,
            places: &self.places,
            config: &self.config,
            wanted: &self.wanted,
            planted: &self.planted,
            foreign: &self.foreign,
            logins: &[],
            orders: &self.orders,
            command: Path::new("/home/u/.local/bin/clawkeep"),
            resolver_args: &["resolve".to_owned(), "--vault".to_owned(), "/v".to_owned()],
            pass_env: &[],
            config_refs: self.config_refs,
            gateway_variable: self.variable,
            migrating: &self.migrating,
        })
    }

    pub(super) fn plan(&self) -> Plan {
        self.try_plan().unwrap()
    }
}

/// The notes but for the one about the gateway, which every plain case has.
fn notes(plan: &Plan) -> Vec<&String> {
    let gateway = |note: &&String| note.starts_with("the gateway's token");
    plan.notes.iter().filter(|note| !gateway(note)).collect()
}

pub(super) fn ours(id: &str) -> Value {
    json!({"source": "exec", "provider": "clawkeep", "id": id})
}

fn api_key(plan: &Plan, provider: &str) -> Option<Value> {
    plan.after.get(&["models", "providers", provider, "apiKey"])
}

pub(super) const NEW: &str = "2026.9.6";
pub(super) const OLD: &str = "2026.6.1";
pub(super) const ONE: [(&str, &str); 1] = [("main", "anthropic:work")];
const TWO: [(&str, &str); 2] = [("main", "anthropic:work"), ("main", "anthropic:key")];

#[test]
fn our_entry_has_every_limit_and_no_forbidden_key() {
    let plan = case(NEW, "{}", &ONE).plan();
    let entry = plan
        .after
        .get(&["secrets", "providers", "clawkeep"])
        .unwrap();
    assert_eq!(
        entry,
        json!({
            "source": "exec", "command": "/home/u/.local/bin/clawkeep", "args": ["resolve", "--vault", "/v"],
            "timeoutMs": 15000, "noOutputTimeoutMs": 15000, "maxOutputBytes": 20_971_520, "jsonOnly": true,
        })
    );
    let with = secret_provider(Path::new("/c"), &[], &["HOME".to_owned()]).unwrap();
    assert_eq!(with["passEnv"], json!(["HOME"]));
    for name in ["", "home", "A-B", "1A"] {
        assert!(
            secret_provider(Path::new("/c"), &[], &[name.to_owned()]).is_err(),
            "{name}"
        );
    }
    assert!(secret_provider(Path::new("/c"), &vec![String::new(); 129], &[]).is_err());
    assert!(secret_provider(Path::new("/c"), &["x".repeat(1025)], &[]).is_err());
}

#[test]
fn the_version_decides_the_kind() {
    use RefKind::{Config as C, Profiles as P};
    for (version, wanted, config_refs, kind) in [
        ("2026.2.26", &ONE[..], false, P),
        (OLD, &ONE[..], false, P),
        (OLD, &ONE[..], true, C),
        ("2026.7.1", &ONE[..], false, P),
        ("2026.8.2", &ONE[..], false, C),
        (NEW, &ONE[..], false, C),
        (NEW, &TWO[..], false, P),
        (NEW, &TWO[..], true, C),
    ] {
        let mut case = case(version, "{}", wanted);
        case.config_refs = config_refs;
        let plan = case.plan();
        assert_eq!(
            plan.kinds[&provider("anthropic")],
            kind,
            "{version} {config_refs}"
        );
        assert_eq!(api_key(&plan, "anthropic").is_some(), kind == C);
        assert_eq!(
            plan.profile_refs.len(),
            if kind == P { wanted.len() } else { 0 }
        );
        let warned = plan.notes.iter().any(|note| note.contains("answers 1"));
        assert_eq!(
            warned,
            kind == P && version == NEW,
            "{version}: {:?}",
            plan.notes
        );
    }
    let said = case("2026.2.25", "{}", &ONE).try_plan().unwrap_err();
    assert!(said.message().contains("2026.2.26"), "{said}");
}

#[test]
fn another_agent_or_a_foreign_profile_keeps_profile_refs() {
    let both = [("main", "anthropic:work"), ("helper", "anthropic:own")];
    let mut with_flag = case(NEW, "{}", &both);
    with_flag.config_refs = true;
    let mut with_foreign = case(NEW, "{}", &ONE);
    with_foreign.foreign = vec![held("main", "anthropic:me@example.com")];
    let with_order = case(NEW, "{}", &ONE).order("helper", "anthropic", &["anthropic:work"]);
    for case in [case(NEW, "{}", &both), with_flag, with_foreign, with_order] {
        let plan = case.plan();
        assert_eq!(plan.kinds[&provider("anthropic")], RefKind::Profiles);
        assert_eq!(api_key(&plan, "anthropic"), None);
        assert_eq!(notes(&plan).len(), 1, "{:?}", plan.notes);
    }
    let plan = case(NEW, "{}", &both).plan();
    assert_eq!(
        plan.profile_refs[1].reference.id,
        "agent/helper/anthropic:own"
    );
}

#[test]
fn never_both_kinds_for_one_provider() {
    let ref_to = |id: &str| {
        format!(
            "{{ models: {{ providers: {{ Anthropic: {{ baseUrl: 'u', apiKey: {} }} }} }} }}",
            ours(id)
        )
    };
    // From a config ref to profile refs: the config ref goes, the rest of the provider stays.
    let plan = case(NEW, &ref_to("provider/anthropic"), &TWO).plan();
    assert_eq!(
        plan.after.get(&["models", "providers"]),
        Some(json!({"Anthropic": {"baseUrl": "u"}}))
    );
    assert_eq!(plan.profile_refs.len(), 2);
    // And back: our profiles go, also one whose value is gone; another spelling of the key is kept.
    let mut back = case(NEW, &ref_to("anthropic:work"), &ONE);
    back.planted = vec![held("main", "anthropic:work"), held("main", "openai:gone")];
    let plan = back.plan();
    assert_eq!(
        api_key(&plan, "Anthropic"),
        Some(ours("provider/anthropic"))
    );
    assert_eq!(api_key(&plan, "anthropic"), None);
    assert_eq!(plan.profile_removals, back.planted);
    assert!(plan.profile_refs.is_empty());
}

#[test]
fn a_ref_that_nobody_would_answer_goes() {
    let config = format!(
        "{{ models: {{ providers: {{ openai: {{ apiKey: {} }}, x: {{ apiKey: {} }} }} }} }}",
        ours("provider/openai"),
        ours("other/secret")
    );
    let plan = case(NEW, &config, &ONE).plan();
    assert_eq!(api_key(&plan, "openai"), None);
    assert_eq!(
        api_key(&plan, "x"),
        Some(ours("other/secret")),
        "a stored id is not ours to judge"
    );
}

#[test]
fn what_is_not_ours_is_refused_and_stays() {
    for (key, hint) in [
        (
            "'sk-fake-plain'",
            "openclaw config unset models.providers.anthropic.apiKey && clawkeep link",
        ),
        (
            "'${ANTHROPIC_API_KEY}'",
            "openclaw config unset models.providers.anthropic.apiKey",
        ),
        (
            "{ source: 'env', provider: 'default', id: 'K' }",
            "openclaw config unset models.providers.anthropic.apiKey",
        ),
        (
            "{ source: 'exec', provider: 'op', id: 'k' }",
            "openclaw config unset models.providers.anthropic.apiKey",
        ),
    ] {
        let text = format!("{{ models: {{ providers: {{ anthropic: {{ apiKey: {key} }} }} }} }}");
        for (version, wanted) in [(NEW, &ONE[..]), (NEW, &TWO[..]), (OLD, &ONE[..])] {
            let mut case = case(version, &text, wanted);
            case.planted = vec![held("main", "anthropic:old")];
            let plan = case.plan();
            assert_eq!(
                api_key(&plan, "anthropic"),
                api_key_of(&case.config),
                "{key}"
            );
            assert!(plan.profile_refs.is_empty() && plan.profile_removals.is_empty());
            assert_eq!(plan.refused.len(), 1);
            assert!(plan.refused[0].hint.contains(hint), "{key}");
            assert!(!plan.refused[0].reason.contains("sk-fake"), "{key}");
        }
    }
}

fn api_key_of(config: &Config) -> Option<Value> {
    config.get(&["models", "providers", "anthropic", "apiKey"])
}

#[test]
fn orders_name_only_what_openclaw_will_know() {
    let mut case = case(NEW, "{}", &TWO)
        .order(
            "main",
            "anthropic",
            &[
                "anthropic:gone",
                "anthropic:key",
                "anthropic:mine",
                "anthropic:work",
            ],
        )
        .order("main", "openai", &["openai:x"]);
    case.foreign = vec![held("main", "anthropic:mine")];
    let plan = case.plan();
    let ids: Vec<&str> = plan.orders[0]
        .profiles
        .iter()
        .map(ProfileId::as_str)
        .collect();
    assert_eq!(ids, ["anthropic:key", "anthropic:mine", "anthropic:work"]);
    assert_eq!(
        plan.orders.len(),
        1,
        "a provider without a value keeps its order"
    );
    assert!(
        plan.notes
            .iter()
            .any(|note| note.ends_with("anthropic:gone"))
    );
}

#[test]
fn a_contradicting_auth_block_is_said() {
    for (entry, said) in [
        ("provider: 'anthropic', mode: 'token'", None),
        ("provider: 'Anthropic', mode: 'oauth'", None),
        (
            "provider: 'openai', mode: 'token'",
            Some("provider_mismatch"),
        ),
        (
            "provider: 'anthropic', mode: 'api_key'",
            Some("mode_mismatch"),
        ),
    ] {
        let text = format!("{{ auth: {{ profiles: {{ 'anthropic:work': {{ {entry} }} }} }} }}");
        let plan = case(OLD, &text, &ONE).plan();
        let notes = notes(&plan);
        assert_eq!(
            notes
                .iter()
                .any(|note| said.is_some_and(|said| note.contains(said))),
            said.is_some(),
            "{notes:?}"
        );
        assert_eq!(notes.is_empty(), said.is_none(), "{notes:?}");
    }
}

/// A provider's key in plaintext keeps a link away, but not when it is on its way into the vault.
#[test]
fn plaintext_on_its_way_into_the_vault_gives_its_place_to_a_reference() {
    let config = "{ models: { providers: { OpenRouter: { apiKey: 'FAKE-a' } } }, \
                  channels: { telegram: { botToken: 'FAKE-b' } }, env: { vars: { X_KEY: 'FAKE-c' } } }";
    for (version, expected) in [
        ("2026.6.1", None),
        ("2026.9.6", Some("provider/openrouter")),
    ] {
        let mut case = case(version, config, &[("main", "openrouter:default-key")]);
        assert_eq!(case.plan().refused.len(), 1, "{version}");
        case.migrating.provider_keys.insert("OpenRouter".to_owned());
        let id = crate::secret::SecretId::parse("config/channels.telegram.botToken").unwrap();
        let slot = owned(&["channels", "telegram", "botToken"]);
        case.migrating.slots.insert(slot, id);
        let variable = owned(&["env", "vars", "X_KEY"]);
        case.migrating.removed.insert(variable);
        let plan = case.plan();
        assert!(plan.refused.is_empty(), "{version}");
        let text = plan.after.text();
        assert!(!text.contains("FAKE"), "{text}");
        let path = ["models", "providers", "OpenRouter", "apiKey"];
        let there = plan.after.get(&path);
        let id = there.and_then(|value| SecretRef::from_value(&value));
        assert_eq!(
            id.as_ref().map(|found| found.id.as_str()),
            expected,
            "{version}"
        );
        let slot = plan
            .after
            .get(&["channels", "telegram", "botToken"])
            .unwrap();
        assert!(SecretRef::from_value(&slot).unwrap().is_ours(), "{text}");
    }
}

/// A variable that holds the gateway's token is on its way into the vault.
#[test]
fn the_gateways_token_comes_from_a_variable_that_moves() {
    let config = "{ gateway: { auth: { token: '${OPENCLAW_GATEWAY_TOKEN}' } } }";
    let mut case = case("2026.9.6", config, &[]);
    case.variable = false;
    assert!(matches!(case.plan().gateway, GatewayToken::LeftAlone(_)));
    case.migrating.gateway_token = true;
    let plan = case.plan();
    assert!(matches!(plan.gateway, GatewayToken::Random));
    let there = plan.after.get(&["gateway", "auth", "token"]).unwrap();
    assert!(SecretRef::from_value(&there).unwrap().is_ours());
}
