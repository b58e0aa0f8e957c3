//! What makes each check fire: a change to a healthy vault, and what is said of it.

use crate::doctor::facts::*;
use crate::doctor::*;
use crate::expiry::Millis;
use crate::provider::AgentId;
use crate::secret::SecretKind;

pub(crate) const HOUR_MS: i64 = 3_600_000;

pub(crate) fn trouble(what: &str) -> Trouble {
    Trouble {
        what: what.to_owned(),
        hint: None,
    }
}

pub(crate) fn link(facts: &mut Facts) -> &mut LinkFact {
    facts.link.as_mut().unwrap()
}

pub(crate) fn refer(facts: &mut Facts, path: &str, id: &str) {
    let path = path.split('.').map(str::to_owned).collect();
    link(facts).refs.push((path, id.to_owned()));
}

pub(crate) fn provider(name: &str) -> ProviderId {
    ProviderId::parse(name).unwrap()
}

pub(crate) fn profile(id: &str, ours: bool) -> ProfileFact {
    let id = ProfileId::parse(id).unwrap();
    ProfileFact {
        agent: AgentId::main(),
        provider: provider(id.as_str().split(':').next().unwrap()),
        ours: ours.then(|| id.as_str().to_owned()),
        id,
        misplaced: None,
        home: ProfileHome::OpenClaw,
        is_login: false,
        expires: None,
    }
}

pub(crate) fn expiring(in_ms: i64) -> impl Fn(&mut Facts) {
    move |facts| {
        let at = Millis::new(facts.now.get() + in_ms).unwrap();
        let mut one = profile("anthropic:work", true);
        one.expires = Some(Some(at));
        facts.profiles = Ok(vec![one]);
    }
}

pub(crate) fn plain(form: PlainForm) -> PlainFact {
    PlainFact {
        place: "~/.openclaw/.env:1 FAKE".to_owned(),
        form,
        of_service: false,
    }
}

pub(crate) fn stored(id: &str, of: Option<&str>, kind: SecretKind) -> StoredFact {
    StoredFact {
        id: id.to_owned(),
        kind,
        provider: of.map(provider),
        expires: None,
        is_setup_token: Ok(true),
    }
}

pub(crate) type Change = Box<dyn Fn(&mut Facts)>;

/// A change to a healthy vault, the check that then fires, how gravely, and a part of what it says.
pub(crate) type Case = (&'static str, Severity, &'static str, Change);

pub(crate) fn case(
    id: &'static str,
    severity: Severity,
    says: &'static str,
    change: impl Fn(&mut Facts) + 'static,
) -> Case {
    (id, severity, says, Box::new(change))
}

pub(crate) fn path(mode: u32) -> PathFact {
    PathFact {
        path: PathBuf::from("/nowhere/vault/vault.age"),
        is_dir: false,
        is_link: false,
        is_own: true,
        mode,
    }
}

pub(crate) fn identity(near: Nearness) -> IdentityFact {
    IdentityFact {
        path: PathBuf::from("/nowhere/identity.txt"),
        near,
        slot: None,
    }
}

pub(crate) fn of_vault() -> Vec<Case> {
    vec![
        case("vault", Error, "there is no vault", |f| {
            f.vault = Ok(Some(trouble("there is no vault")));
        }),
        case(
            "permissions",
            Error,
            "vault.age is open to other users (mode 0644)",
            |f| f.paths = vec![path(0o644)],
        ),
        case("permissions", Error, "belongs to another user", |f| {
            f.paths = vec![PathFact {
                is_own: false,
                ..path(0o600)
            }];
        }),
        case("permissions", Error, "is a symbolic link", |f| {
            f.paths = vec![PathFact {
                is_link: true,
                ..path(0o777)
            }];
        }),
        case("rollback", Error, "an older copy", |f| {
            f.rollback = Ok(Some(trouble("an older copy of the vault")));
        }),
        case("slot-opens", Error, "slot x", |f| {
            f.slots.as_mut().unwrap()[0].opened = Ok(Some(trouble("slot x does not open")));
        }),
        case(
            "slot-reboot",
            Warning,
            "lies in /run, which a restart empties",
            |f| {
                f.slots.as_mut().unwrap()[0].in_memory = Some(PathBuf::from("/run"));
            },
        ),
        case("slot-reboot", Warning, "the keychain is locked", |f| {
            f.slots.as_mut().unwrap()[0].form = SlotForm::Keychain;
            f.machine.lingers = true;
        }),
        case("slot-reboot", Note, "until a person opens the vault", |f| {
            f.slots.as_mut().unwrap()[0].form = SlotForm::Passphrase;
        }),
        case(
            "recovery-key",
            Warning,
            "nobody has proved for a year",
            |f| {
                let long_ago = Millis::new(f.now.get() - 366 * 24 * HOUR_MS).unwrap();
                f.recovery = Ok(Some(RecoveryFact {
                    created: long_ago,
                    checked: Some(long_ago),
                }));
            },
        ),
        case("recovery-key", Warning, "nobody ever proved", |f| {
            let long_ago = Millis::new(f.now.get() - 366 * 24 * HOUR_MS).unwrap();
            f.recovery = Ok(Some(RecoveryFact {
                created: long_ago,
                checked: None,
            }));
        }),
        case("recovery-key", Note, "there is no recovery key", |f| {
            f.recovery = Ok(None);
        }),
        case(
            "identity-beside-vault",
            Error,
            "in the vault's own folder",
            |f| f.identities = vec![identity(Nearness::Inside)],
        ),
        case(
            "identity-beside-vault",
            Warning,
            "one backup takes both",
            |f| f.identities = vec![identity(Nearness::Beside)],
        ),
        case(
            "identity-beside-vault",
            Warning,
            "in /nowhere/git, which is carried away",
            |f| {
                f.identities = vec![identity(Nearness::Carried(PathBuf::from("/nowhere/git")))];
            },
        ),
        case(
            "identity-beside-vault",
            Note,
            "a backup of the whole home",
            |f| f.identities = vec![identity(Nearness::SameHome)],
        ),
    ]
}

pub(crate) fn asked(facts: &mut Facts) -> &mut AskedFact {
    facts.asked.as_mut().unwrap().as_mut().unwrap()
}

pub(crate) fn of_plaintext() -> Vec<Case> {
    vec![
        case(
            "plaintext-wins",
            Warning,
            "uses before the reference",
            |f| {
                refer(f, "models.providers.anthropic.apiKey", "provider/anthropic");
                f.plaintext = Ok(vec![plain(PlainForm::Variable(vec![provider(
                    "anthropic",
                )]))]);
            },
        ),
        case(
            "plaintext-wins",
            Warning,
            "uses before the reference",
            |f| {
                refer(f, "gateway.auth.token", "gateway/token");
                f.plaintext = Ok(vec![plain(PlainForm::GatewayVariable)]);
            },
        ),
        case(
            "plaintext-wins",
            Warning,
            "uses before the reference",
            |f| {
                f.profiles = Ok(vec![profile("anthropic:work", true)]);
                f.plaintext = Ok(vec![plain(PlainForm::Profile(provider("anthropic")))]);
            },
        ),
        case(
            "plaintext-left",
            Warning,
            "holds a credential in plaintext",
            |f| {
                f.plaintext = Ok(vec![plain(PlainForm::ConfigKey(provider("openrouter")))]);
            },
        ),
        case(
            "plaintext-left",
            Warning,
            "7 credentials lie in plaintext",
            |f| {
                f.plaintext = Ok(vec![plain(PlainForm::Setting); 7]);
            },
        ),
        case("service-plaintext", Warning, "in a service's file", |f| {
            let mut one = plain(PlainForm::Variable(vec![provider("anthropic")]));
            one.of_service = true;
            f.plaintext = Ok(vec![one]);
        }),
        case("residue", Warning, "an old copy with a credential", |f| {
            f.plaintext = Ok(vec![plain(PlainForm::Copy)]);
        }),
        case("residue", Warning, "was left by an import", |f| {
            f.leftovers = vec![PathBuf::from("/nowhere/auth-profiles.json.migrated-1")];
        }),
    ]
}

pub(crate) fn of_values() -> Vec<Case> {
    vec![
        case(
            "token-expired",
            Error,
            "the profile anthropic:work expired 2 hours ago",
            |f| expiring(-2 * HOUR_MS)(f),
        ),
        case("token-expired", Error, "an expiry that is no moment", |f| {
            let mut one = profile("anthropic:work", true);
            one.expires = Some(None);
            f.profiles = Ok(vec![one]);
        }),
        case("token-expired", Error, "the secret a/b expired", |f| {
            let mut one = stored("a/b", None, SecretKind::Secret);
            one.is_setup_token = Ok(false);
            one.expires = Some(Millis::new(f.now.get() - 1).unwrap());
            f.stored = Ok(vec![one]);
        }),
        case(
            "token-expiring",
            Warning,
            "anthropic:work expires in 24 hours",
            |f| expiring(24 * HOUR_MS)(f),
        ),
        case(
            "order-missing",
            Warning,
            "names mock:gone, which is not there",
            |f| f.orders = vec![Ok(order(OrderFile::State))],
        ),
        case(
            "order-missing",
            Warning,
            "names mock:gone, which is not there",
            |f| f.orders = vec![Ok(order(OrderFile::Database))],
        ),
        case(
            "claude-only-token",
            Warning,
            "it is stored for openrouter",
            |f| {
                f.stored = Ok(vec![stored(
                    "openrouter:x",
                    Some("openrouter"),
                    SecretKind::Token,
                )]);
            },
        ),
        case(
            "claude-only-token",
            Warning,
            "it is stored as an API key",
            |f| {
                f.stored = Ok(vec![stored(
                    "anthropic:x",
                    Some("anthropic"),
                    SecretKind::ApiKey,
                )]);
            },
        ),
        case(
            "claude-only-token",
            Warning,
            "skills.entries.x.apiKey asks for it",
            |f| {
                refer(f, "skills.entries.x.apiKey", "anthropic:x");
                f.stored = Ok(vec![stored(
                    "anthropic:x",
                    Some("anthropic"),
                    SecretKind::Token,
                )]);
            },
        ),
        case(
            "claude-only-token",
            Warning,
            "models.providers.anthropic.api is openai-completions",
            |f| {
                link(f)
                    .apis
                    .insert("anthropic".to_owned(), "openai-completions".to_owned());
                f.stored = Ok(vec![stored(
                    "anthropic:x",
                    Some("anthropic"),
                    SecretKind::Token,
                )]);
            },
        ),
    ]
}

pub(crate) fn of_machine() -> Vec<Case> {
    vec![
        case(
            "agent-reach",
            Note,
            "does not keep keys from an agent",
            |f| {
                link(f).open_shell = Some("agents have a shell outside a sandbox".to_owned());
            },
        ),
        case(
            "agent-reach",
            Note,
            "a keeper gives values as often as it is asked",
            |f| {
                link(f).open_shell = Some("agents have a shell outside a sandbox".to_owned());
                f.keeper.runs = true;
            },
        ),
        case(
            "slot-reboot",
            Warning,
            "nothing else opens by itself",
            |f| {
                f.slots.as_mut().unwrap()[0].form = SlotForm::KeychainItems;
                f.machine.lingers = true;
            },
        ),
        case("ptrace-scope", Note, "ptrace_scope is 0", |f| {
            f.machine.ptrace_scope = Some(0);
        }),
        case("ptrace-scope", Note, "the kernel has no", |f| {
            f.machine.ptrace_scope = None;
        }),
    ]
}

pub(crate) fn order(home: OrderFile) -> OrderFact {
    let ids = ["mock:a", "mock:gone"].map(|id| ProfileId::parse(id).unwrap());
    OrderFact {
        agent: AgentId::main(),
        provider: provider("mock"),
        there: vec![ids[0].clone()],
        ids: ids.to_vec(),
        path: PathBuf::from("/nowhere/auth-state.json"),
        home,
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut all = of_vault();
    all.extend(super::cases_link::of_link());
    all.extend(super::cases_link::of_refs());
    all.extend(of_plaintext());
    all.extend(of_values());
    all.extend(of_machine());
    all
}
