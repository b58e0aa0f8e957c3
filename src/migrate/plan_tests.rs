//! What a plan promises, on chosen facts and on any.

use super::*;
use crate::migrate::item::{At, Values};
use crate::migrate::variable::{Meaning, Names as Variables};
use crate::secret::Secret as Value;
use proptest::prelude::*;

/// Facts that are put together line by line.
struct Case {
    values: Values,
    items: Vec<Item>,
    known: Vec<Known>,
    access: Vec<Access>,
    preferred: Vec<String>,
    taken: BTreeSet<String>,
    no_refs: bool,
}

fn provider(name: &str) -> ProviderId {
    ProviderId::parse(name).unwrap()
}

fn profile_id(text: &str) -> ProfileId {
    ProfileId::parse(text).unwrap()
}

impl Case {
    fn new() -> Self {
        Case {
            values: Values::new().unwrap(),
            items: Vec::new(),
            known: Vec::new(),
            access: vec![Access::Yes, Access::Yes, Access::Yes],
            preferred: Vec::new(),
            taken: BTreeSet::new(),
            no_refs: false,
        }
    }

    fn keep(&mut self, text: &str) -> Digest {
        self.values.keep(Value::stored(text).unwrap())
    }

    fn push(&mut self, source: usize, at: At, what: What, text: &str) {
        let value = self.keep(text);
        self.items.push(Item {
            source,
            at,
            what,
            value,
            is_setup_token: false,
            is_stale: false,
        });
    }

    /// A variable in file 0 or 1.
    fn variable(mut self, source: usize, name: &str, text: &str) -> Self {
        let what = match Variables::new().meaning(name, &Value::stored(text).unwrap()) {
            Meaning::Key(readers) => What::Key(readers),
            Meaning::GatewayToken => What::GatewayToken,
            Meaning::Unknown | Meaning::Nothing => What::Carried,
        };
        let at = At::Assignment {
            index: self.items.len(),
            line: self.items.len() + 1,
            name: name.to_owned(),
        };
        self.push(source, at, what, text);
        self
    }

    fn json(mut self, path: &str, what: What, text: &str) -> Self {
        let path = path.split('.').map(str::to_owned).collect();
        self.push(2, At::Json(path), what, text);
        self
    }

    fn profile(self, agent: &str, id: &str, text: &str) -> Self {
        let what = What::Profile {
            agent: AgentId::parse(agent).unwrap(),
            profile: profile_id(id),
            provider: provider(id.split(':').next().unwrap()),
            kind: SecretKind::ApiKey,
            expires: None,
            is_stored: true,
        };
        self.json(&format!("profiles.{id}.key"), what, text)
    }

    fn known(mut self, id: &str, text: &str) -> Self {
        let value = self.keep(text);
        let profile = id
            .split_once(':')
            .map(|(of, _)| (AgentId::main(), profile_id(id), provider(of)));
        let kind = if profile.is_some() {
            SecretKind::ApiKey
        } else {
            SecretKind::Secret
        };
        self.known.push(Known {
            id: SecretId::parse(id).unwrap(),
            profile,
            kind,
            expires: None,
            value,
        });
        self
    }

    fn prefer(mut self, place: &str) -> Self {
        self.preferred.push(place.to_owned());
        self
    }

    fn plan(&self) -> Plan {
        let sources = ["a/.env", "b/.env", "c.json"].map(str::to_owned);
        plan(&Facts {
            items: &self.items,
            access: &self.access,
            sources: &sources,
            known: &self.known,
            takes_profile: &|provider| provider.as_str() != "elevenlabs",
            is_used: &|_| false,
            no_refs: self.no_refs.then_some("there is no OpenClaw"),
            no_gateway_ref: None,
            taken: &self.taken,
            needed: &BTreeMap::new(),
            preferred: &self.preferred,
        })
    }

    /// `id=text` of everything that goes into the vault.
    fn secrets(&self) -> Vec<String> {
        let plan = self.plan();
        assert!(plan.conflicts.is_empty(), "{:?}", plan.conflicts);
        plan.secrets
            .iter()
            .map(|secret| format!("{}={}", secret.id, self.text(&secret.value)))
            .collect()
    }

    #[allow(clippy::disallowed_methods, reason = "compares in a test")]
    fn text(&self, value: &Digest) -> String {
        use secrecy::ExposeSecret;
        self.values.get(value).unwrap().expose_secret().to_owned()
    }
}

#[test]
fn several_keys_become_profiles_in_the_order_in_which_they_are_read() {
    let case = Case::new()
        .variable(0, "GROQ_API_KEY_10", "FAKE-ten")
        .variable(0, "GROQ_API_KEY_2", "FAKE-two")
        .variable(0, "GROQ_API_KEY", "FAKE-plain")
        .variable(0, "GROQ_API_KEYS", "FAKE-list")
        .variable(0, "OPENCLAW_LIVE_GROQ_KEY", "FAKE-live");
    assert_eq!(
        case.secrets(),
        [
            "groq:default=FAKE-live",
            "groq:key-2=FAKE-list",
            "groq:key-3=FAKE-plain",
            "groq:key-4=FAKE-two",
            "groq:key-5=FAKE-ten",
        ]
    );
    let order = &case.plan().orders[&provider("groq")];
    let order: Vec<&str> = order.iter().map(ProfileId::as_str).collect();
    assert_eq!(
        order,
        [
            "groq:default",
            "groq:key-2",
            "groq:key-3",
            "groq:key-4",
            "groq:key-5"
        ]
    );
}

#[test]
fn one_value_in_many_places_is_one_secret() {
    let case = Case::new()
        .variable(0, "OPENAI_API_KEY", "FAKE-a")
        .variable(1, "OPENAI_API_KEY", "FAKE-a")
        .json(
            "tts.providers.openai.apiKey",
            What::Slot(vec!["tts".to_owned()]),
            "FAKE-a",
        )
        .json("models", What::Copied, "FAKE-a");
    assert_eq!(case.secrets(), ["openai:default=FAKE-a"]);
    let plan = case.plan();
    assert_eq!(plan.rows.iter().filter(|row| row.fate.is_gone()).count(), 4);
    assert_eq!(
        plan.slots[&vec!["tts".to_owned()]].as_str(),
        "openai:default"
    );
}

#[test]
fn profiles_keep_their_ids_and_agents() {
    let case = Case::new()
        .profile("main", "openai:me@example.com", "FAKE-a")
        .profile("work", "openai:default", "FAKE-a")
        .variable(0, "OPENAI_API_KEY", "FAKE-a");
    let secrets = case.secrets();
    assert_eq!(secrets.len(), 2, "{secrets:?}");
    assert!(secrets[0].starts_with("agent/work/openai:default="));
    assert!(secrets[1].starts_with("p-openai:me-example.com-"));
}

#[test]
fn where_two_disagree_nothing_is_chosen_and_nothing_is_dropped() {
    let cases: [(Case, &str); 5] = [
        (
            Case::new()
                .variable(0, "OPENAI_API_KEY", "FAKE-a")
                .variable(1, "OPENAI_API_KEY", "FAKE-b"),
            "openai:default",
        ),
        (
            Case::new().variable(0, "OPENAI_API_KEY", "FAKE-a").profile(
                "main",
                "openai:default",
                "FAKE-b",
            ),
            "openai:default",
        ),
        (
            Case::new()
                .variable(0, "OPENAI_API_KEY", "FAKE-a")
                .known("openai:default", "FAKE-b"),
            "openai:default",
        ),
        (
            Case::new()
                .variable(0, "OPENCLAW_GATEWAY_TOKEN", "FAKE-a")
                .json("gateway.auth.token", What::GatewayToken, "FAKE-b"),
            "gateway/token",
        ),
        (
            Case::new().variable(0, "OPENAI_API_KEY", "FAKE-a").json(
                "models.providers.openai.apiKey",
                What::ProviderKey {
                    provider: provider("openai"),
                    key: "openai".to_owned(),
                },
                "FAKE-b",
            ),
            "openai:default",
        ),
    ];
    for (case, name) in cases {
        let plan = case.plan();
        assert_eq!(plan.conflicts.len(), 1);
        assert_eq!(plan.conflicts[0].name, name);
        assert!(plan.secrets.is_empty() && plan.rows.is_empty());
        let case = case.prefer("a/.env");
        let secrets = case.secrets();
        assert_eq!(secrets.len(), 2, "{secrets:?}");
        assert!(secrets.contains(&format!("{name}=FAKE-a")), "{secrets:?}");
        assert!(secrets.iter().any(|secret| secret.ends_with("=FAKE-b")));
    }
}

/// After a choice the same question does not come again, whatever was moved by then.
#[test]
fn a_choice_that_was_made_stays_made() {
    let case = Case::new()
        .variable(0, "OPENAI_API_KEY", "FAKE-a")
        .profile("main", "openai:default", "FAKE-b")
        .known("openai:default", "FAKE-a")
        .known("openai:key-2", "FAKE-b");
    assert_eq!(
        case.secrets(),
        ["openai:default=FAKE-a", "openai:key-2=FAKE-b"]
    );
}

#[test]
fn without_references_only_variables_move() {
    let mut case = Case::new()
        .variable(0, "OPENAI_API_KEY", "FAKE-a")
        .variable(0, "OPENCLAW_GATEWAY_TOKEN", "FAKE-t")
        .profile("main", "groq:default", "FAKE-b");
    case.no_refs = true;
    assert_eq!(case.secrets(), ["openai:default=FAKE-a"]);
    let fates: Vec<&str> = case.plan().rows.iter().map(|row| row.fate.word()).collect();
    assert_eq!(fates, ["removed-for-run", "stays", "stays"]);
}

/// One line of any facts.
fn line() -> impl Strategy<Value = (usize, u8, u8, u8)> {
    (0usize..2, 0u8..9, 0u8..4, 0u8..5)
}

fn any_case(lines: &[(usize, u8, u8, u8)]) -> Case {
    const NAMES: [&str; 6] = [
        "OPENAI_API_KEY",
        "OPENAI_API_KEYS",
        "OPENAI_API_KEY_1",
        "GROQ_API_KEY",
        "OPENCLAW_GATEWAY_TOKEN",
        "ELEVENLABS_API_KEY",
    ];
    const PROFILES: [&str; 4] = ["openai:default", "openai:work", "groq:default", "groq:x"];
    lines
        .iter()
        .fold(Case::new(), |case, (source, kind, which, value)| {
            let text = format!("FAKE-{value}");
            let which = usize::from(*which);
            match kind {
                0..=3 => case.variable(*source, NAMES[usize::from(*kind) + which % 3], &text),
                4 => case.profile("main", PROFILES[which], &text),
                5 => case.profile("work", PROFILES[which], &text),
                6 => {
                    let path = vec!["slot".to_owned(), which.to_string()];
                    case.json(&format!("slot.{which}"), What::Slot(path), &text)
                }
                7 => case.json(&format!("copy.{which}"), What::Copied, &text),
                _ => {
                    let has = case
                        .known
                        .iter()
                        .any(|known| known.id.as_str() == PROFILES[which]);
                    if has {
                        case
                    } else {
                        case.known(PROFILES[which], &text)
                    }
                }
            }
        })
}

proptest! {
    #[test]
    fn no_value_is_dropped_and_no_name_stands_for_two(
        lines in proptest::collection::vec(line(), 0..14),
        wishes in proptest::collection::vec(0usize..40, 0..40),
    ) {
        let mut case = any_case(&lines);
        // Choices until there is no question left.
        for wish in wishes.into_iter().chain(0..40) {
            let conflicts = case.plan().conflicts;
            let Some(conflict) = conflicts.first() else {
                break;
            };
            prop_assert!(conflict.candidates.len() > 1);
            let (_, places) = &conflict.candidates[wish % conflict.candidates.len()];
            case.preferred.insert(0, places[0].clone());
        }
        let plan = case.plan();
        if !plan.conflicts.is_empty() {
            // One place may hold both values of two names; a person would name another one.
            return Ok(());
        }
        let again = case.plan();
        prop_assert_eq!(&plan.secrets, &again.secrets);
        prop_assert_eq!(&plan.rows, &again.rows);
        let ids: BTreeSet<&SecretId> = plan.secrets.iter().map(|secret| &secret.id).collect();
        prop_assert_eq!(ids.len(), plan.secrets.len());
        let kept = |value: &Digest| {
            let planned = plan.secrets.iter().any(|secret| secret.value == *value);
            let untouched = case
                .known
                .iter()
                .any(|known| known.value == *value && !ids.contains(&known.id));
            planned || untouched
        };
        for known in &case.known {
            prop_assert!(kept(&known.value), "the vault lost {}", known.id);
        }
        for row in plan.rows.iter().filter(|row| row.fate.is_gone()) {
            let item = &case.items[row.item];
            let stays = plan.rows.iter().any(|other| {
                !other.fate.is_gone() && case.items[other.item].value == item.value
            });
            prop_assert!(kept(&item.value) || (item.what == What::Copied && stays));
        }
        for (path, id) in &plan.slots {
            prop_assert!(kept_by(&plan, &case, id), "{path:?} refers to nothing");
        }
    }
}

fn kept_by(plan: &Plan, case: &Case, id: &SecretId) -> bool {
    plan.secrets.iter().any(|secret| secret.id == *id)
        || case.known.iter().any(|known| known.id == *id)
}
