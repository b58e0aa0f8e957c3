//! What is found in each of OpenClaw's files, and what is not.

use super::*;
use crate::openclaw::config::MAX_CONFIG;
use proptest::prelude::*;

pub(super) fn path(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

pub(super) fn look(document: Document, text: &str) -> Result<Vec<Found>> {
    find(document, text.as_bytes(), Path::new("/x/file.json"))
}

/// `path=value kind` of everything found.
fn said(document: Document, text: &str) -> Vec<String> {
    let found = look(document, text).unwrap();
    let line = |one: &Found| {
        let what = match &one.what {
            What::Profile {
                profile,
                provider,
                kind,
                expires,
            } => format!(
                "profile {profile} {provider} {} {:?}",
                kind.name(),
                expires.map(Millis::get)
            ),
            What::Flat {
                profile,
                provider,
                kind,
                expires,
            } => format!(
                "flat {profile} {provider} {} {:?}",
                kind.name(),
                expires.map(Millis::get)
            ),
            What::Residue { profile, provider } => format!("residue {profile} {provider}"),
            What::ProviderKey { provider } => format!("key {provider}"),
            What::GatewayToken => "gateway".to_owned(),
            What::Slot => "slot".to_owned(),
            What::Variable { name } => format!("variable {name}"),
            What::Stays { .. } => "stays".to_owned(),
            What::Copied => "copied".to_owned(),
        };
        format!("{}={} {what}", one.path.join("."), *one.value)
    };
    found.iter().map(line).collect()
}

const CONFIG: &str = r#"// FAKE-comment
{
  env: { OPENAI_API_KEY: 'FAKE1', LOG: "debug", vars: { "B": "FAKE2" }, shellEnv: { enabled: true } },
  gateway: { auth: { mode: "token", token: "FAKE3", password: "" }, remote: { token: "FAKE4", url: "ws://x" } },
  models: { providers: {
    "Anthropic": { apiKey: "FAKE5", headers: { Authorization: "Bearer FAKE6", "anthropic-version": "2023-06-01" } },
    "my.own": { apiKey: { source: "exec", provider: "clawkeep", id: "provider/x" }, baseUrl: "http://x", headers: { "X-Title": "t" } },
    a: { apiKey: "${A_KEY}" }, b: { apiKey: "$B_KEY" }, c: { apiKey: "op://v/i/f" }, d: { apiKey: "OPENAI_API_KEY" },
    e: { apiKey: "removed-by-clawkeep" }, f: { apiKey: 7 }, g: { apiKey: "ollama-local" }, h: { request: { tls: { key: "FAKE7" } } },
  } },
  channels: { telegram: { botToken: "FAKE8", accounts: { "a.b": { botToken: "FAKE9" } } } },
  plugins: { entries: { acpx: { config: { mcpServers: { s: { env: { ANY: "FAKE10" } } } } }, other: { config: { apiKey: "FAKE11", model: "m" } } } },
  hooks: { token: "FAKE12", mappings: [{ sessionKey: "FAKE13" }] },
  agents: { list: [{ id: "x", memorySearch: { remote: { apiKey: "FAKE14" } } }], defaults: { args: ["--key=sk-FAKE-0123456789abcdef"] } },
  session: { mainKey: "main" },
}
"#;

#[test]
fn a_configuration_gives_every_credential_with_what_can_be_done() {
    let expected = [
        "env.OPENAI_API_KEY=FAKE1 variable OPENAI_API_KEY",
        "env.LOG=debug variable LOG",
        "env.vars.B=FAKE2 variable B",
        "gateway.auth.token=FAKE3 gateway",
        "gateway.remote.token=FAKE4 slot",
        "models.providers.Anthropic.apiKey=FAKE5 key anthropic",
        "models.providers.Anthropic.headers.Authorization=Bearer FAKE6 slot",
        "models.providers.h.request.tls.key=FAKE7 slot",
        "channels.telegram.botToken=FAKE8 slot",
        "channels.telegram.accounts.a.b.botToken=FAKE9 slot",
        "plugins.entries.acpx.config.mcpServers.s.env.ANY=FAKE10 slot",
        "plugins.entries.other.config.apiKey=FAKE11 stays",
        "hooks.token=FAKE12 stays",
        "hooks.mappings.0.sessionKey=FAKE13 stays",
        "agents.list.0.memorySearch.remote.apiKey=FAKE14 slot",
        "agents.defaults.args.0=--key=sk-FAKE-0123456789abcdef stays",
    ];
    assert_eq!(said(Document::Config, CONFIG), expected);
    let copied = said(Document::Copy, CONFIG);
    assert_eq!(copied.len(), expected.len());
    assert!(copied.iter().all(|line| line.ends_with(" copied")));
}

#[test]
fn a_service_account_is_one_credential_however_it_is_written() {
    let text = "{channels: {googlechat: {serviceAccount: {type: 'service_account', 'private_key': 'FAKE\\n1', n: [0x10, null, 1.5]}}}}";
    let found = look(Document::Config, text).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].what, What::Slot);
    assert_eq!(
        found[0].path,
        path(&["channels", "googlechat", "serviceAccount"])
    );
    assert_eq!(
        *found[0].value,
        r#"{"type":"service_account","private_key":"FAKE\n1","n":[16,null,1.5]}"#
    );
    let text = r#"{"channels":{"googlechat":{"serviceAccount":"{\"private_key\":\"FAKE\"}"}}}"#;
    assert_eq!(look(Document::Config, text).unwrap()[0].what, What::Slot);
}

#[test]
fn an_included_file_is_read_as_the_part_that_it_is() {
    let text = r#"{ "$include": ["./a/../b.json5", "/abs.json"], models: { "$include": "m.json" }, agents: { list: [{ "$include": "x" }] } }"#;
    let found = includes(&[], text.as_bytes(), Path::new("/etc/oc/openclaw.json")).unwrap();
    let shown: Vec<String> = found
        .iter()
        .map(|one| format!("{}:{}", one.at.join("."), one.file.display()))
        .collect();
    assert_eq!(
        shown,
        [
            ":/etc/oc/b.json5",
            ":/abs.json",
            "models:/etc/oc/m.json",
            "agents.list.0:/etc/oc/x"
        ]
    );
    let at = path(&["models"]);
    let text = r#"{ providers: { xai: { apiKey: "FAKE" } }, more: { "$include": "n.json" } }"#;
    let found = find_included(&at, text.as_bytes(), Path::new("/x/m.json")).unwrap();
    assert_eq!(found[0].path, path(&["providers", "xai", "apiKey"]));
    let provider = ProviderId::parse("xai").unwrap();
    assert_eq!(found[0].what, What::ProviderKey { provider });
    let inner = includes(&at, text.as_bytes(), Path::new("/x/m.json")).unwrap();
    assert_eq!(inner[0].at, path(&["models", "more"]));
}

#[test]
fn profiles_are_read_as_openclaw_reads_them() {
    let text = r#"{"version":1,"profiles":{
      "anthropic:default":{"type":"token","provider":"Anthropic","token":"FAKE1","expires":1795355756000,"email":"a@b"},
      "openrouter:manual":{"mode":"apiKey","provider":"openrouter","apiKey":"FAKE2","metadata":{"org":"x","secret":"FAKE3"}},
      "xai:both":{"type":"api_key","provider":"xai","keyRef":{"source":"exec","provider":"clawkeep","id":"x"},"key":"FAKE4"},
      "xai:moved":{"type":"token","provider":"xai","token":{"source":"env","provider":"default","id":"X"},"key":"FAKE5"},
      "groq:two":{"type":"api_key","provider":"groq","key":"FAKE6","apiKey":"FAKE7","api_key":"FAKE7b"},
      "groq:alias":{"type":"api_key","provider":"groq","api_key":"FAKE8"},
      "groq:odd":{"type":"token","provider":"groq","token":"FAKE9","expires":"soon"},
      "groq:env":{"type":"api_key","provider":"groq","key":"${GROQ_API_KEY}"},
      "groq:number":{"type":"api_key","provider":"groq","key":12345},
      "openai:me":{"type":"oauth","provider":"openai","access":"FAKE10","refresh":"FAKE11","expires":1,"accountId":"FAKE-id"},
      "lost:a":{"type":"api_key","key":"FAKE12"},
      "lost:b":{"type":"thing","provider":"x","key":"FAKE13"},
      "lost:c":{"type":"api_key","provider":"not a name","key":"FAKE14"},
      "lost:d":"sk-FAKE-0123456789abcdef"
    },"order":{"anthropic":["anthropic:default"]}}"#;
    assert_eq!(
        said(Document::Profiles, text),
        [
            "profiles.anthropic:default.token=FAKE1 profile anthropic:default anthropic token Some(1795355756000)",
            "profiles.openrouter:manual.apiKey=FAKE2 profile openrouter:manual openrouter api_key None",
            "profiles.openrouter:manual.metadata.secret=FAKE3 stays",
            "profiles.xai:both.key=FAKE4 residue xai:both xai",
            "profiles.xai:moved.key=FAKE5 residue xai:moved xai",
            "profiles.groq:two.key=FAKE6 profile groq:two groq api_key None",
            "profiles.groq:two.apiKey=FAKE7 residue groq:two groq",
            "profiles.groq:two.api_key=FAKE7b residue groq:two groq",
            "profiles.groq:alias.api_key=FAKE8 profile groq:alias groq api_key None",
            "profiles.groq:odd.token=FAKE9 profile groq:odd groq token None",
            "profiles.openai:me.access=FAKE10 stays",
            "profiles.openai:me.refresh=FAKE11 stays",
            "profiles.lost:a.key=FAKE12 stays",
            "profiles.lost:b.key=FAKE13 stays",
            "profiles.lost:c.key=FAKE14 stays",
            "profiles.lost:d=sk-FAKE-0123456789abcdef stays",
        ]
    );
    let logins = look(Document::Profiles, text).unwrap();
    assert_eq!(logins.iter().filter(|one| one.is_login()).count(), 2);
}

#[test]
fn flat_stores_give_the_profiles_that_an_import_would_make() {
    let text = r#"{"anthropic":{"type":"token","token":"FAKE1","expires":1795355756000},
      "work":{"mode":"api_key","provider":"openai","key":"FAKE2","apiKey":"FAKE3"},
      "groq":{"apiKey":"FAKE4"},
      "chutes":{"type":"oauth","access":"FAKE5","refresh":"FAKE6","expires":1},
      "old":{"access":"FAKE7","refresh":"FAKE8","expires":1},
      "bad name":{"key":"FAKE9"},
      "odd":{"type":"what","key":"FAKE10"}}"#;
    let expected = [
        "anthropic.token=FAKE1 flat anthropic:default anthropic token Some(1795355756000)",
        "work.key=FAKE2 flat work:default openai api_key None",
        "work.apiKey=FAKE3 residue work:default openai",
        "groq.apiKey=FAKE4 flat groq:default groq api_key None",
        "chutes.access=FAKE5 stays",
        "chutes.refresh=FAKE6 stays",
        "old.access=FAKE7 stays",
        "old.refresh=FAKE8 stays",
        "bad name.key=FAKE9 stays",
        "odd.key=FAKE10 stays",
    ];
    assert_eq!(said(Document::LegacyAuth, text), expected);
    assert_eq!(said(Document::Profiles, text), expected);
    assert_eq!(
        said(
            Document::Oauth,
            r#"{"chutes":{"access":"FAKE1","refresh":"FAKE2","clientId":"c"}}"#
        ),
        ["chutes.access=FAKE1 stays", "chutes.refresh=FAKE2 stays"]
    );
}

#[test]
fn generated_files_and_leftovers_hold_copies() {
    let models = r#"{"providers":{"x":{"apiKey":"FAKE1","headers":{"Authorization":"Bearer FAKE2","X-Title":"t"},
      "models":[{"id":"m","headers":{"api-key":"FAKE3"}}]},"y":{"apiKey":"secretref-managed"},"z":{"apiKey":"OPENAI_API_KEY"}}}"#;
    assert_eq!(
        said(Document::Generated, models),
        [
            "providers.x.apiKey=FAKE1 copied",
            "providers.x.headers.Authorization=Bearer FAKE2 copied",
            "providers.x.models.0.headers.api-key=FAKE3 copied",
        ]
    );
    let left = r#"{"profiles":{"a:b":{"type":"oauth","access":"FAKE1","idToken":"FAKE2"},"c:d":{"key":"FAKE3","keyRef":{"source":"exec","provider":"p","id":"i"}}}}"#;
    assert_eq!(
        said(Document::Leftover, left),
        [
            "profiles.a:b.access=FAKE1 copied",
            "profiles.a:b.idToken=FAKE2 copied",
            "profiles.c:d.key=FAKE3 copied",
        ]
    );
}

#[test]
fn a_key_that_stands_twice_is_refused_where_openclaw_reads() {
    let twice = [
        (
            Document::Config,
            "{gateway: {auth: {token: 'FAKE1', token: 'FAKE2'}}}",
        ),
        (
            Document::Config,
            "{gateway: {auth: {token: 'FAKE1'}}, gateway: {}}",
        ),
        (
            Document::Profiles,
            r#"{"profiles":{"a:b":{"type":"api_key","provider":"a","key":"FAKE1","key":""}}}"#,
        ),
        (
            Document::Profiles,
            r#"{"profiles":{"a:b":{"type":"api_key","provider":"a","key":"FAKE1"}},"profiles":{}}"#,
        ),
        (
            Document::LegacyAuth,
            r#"{"a":{"key":"FAKE1"},"a":{"key":"FAKE2"}}"#,
        ),
        (
            Document::Oauth,
            r#"{"a":{"access":"FAKE1","access":"FAKE2"}}"#,
        ),
        (
            Document::Generated,
            r#"{"providers":{"a":{"apiKey":"FAKE1","apiKey":"FAKE2"}}}"#,
        ),
    ];
    for (document, text) in twice {
        let error = look(document, text).unwrap_err();
        assert!(error.message().contains("stands twice"), "{text}: {error}");
        assert!(!error.message().contains("FAKE1"), "{error}");
    }
    assert_eq!(
        said(
            Document::Config,
            "{a: 1, a: 2, gateway: {auth: {token: 'FAKE'}}}"
        )
        .len(),
        1
    );
    assert_eq!(said(Document::Copy, twice[0].1).len(), 2);
}

#[test]
fn what_cannot_be_read_is_refused_without_quoting_it() {
    let deep = |open: &str| format!("{{\"FAKE\":{}", open.repeat(100_000));
    let all = [
        Document::Config,
        Document::Copy,
        Document::Profiles,
        Document::LegacyAuth,
        Document::Oauth,
        Document::Generated,
        Document::Leftover,
    ];
    for document in all {
        let bad: Vec<Vec<u8>> = vec![
            b"".to_vec(),
            b"[\"FAKE\"]".to_vec(),
            b"\"FAKE\"".to_vec(),
            b"{\"FAKE\": ".to_vec(),
            b"{\"FAKE\": \"\xff\xfe\"}".to_vec(),
            b"F\0A\0K\0E\0".to_vec(),
            deep("[").into_bytes(),
            deep("{\"a\":").into_bytes(),
            vec![b' '; MAX_CONFIG + 1],
        ];
        for bytes in bad {
            let error = find(document, &bytes, Path::new("/x/f.json")).unwrap_err();
            assert!(!error.message().contains("FAKE"), "{document:?}: {error}");
            assert!(replace(document, &bytes, Path::new("/x/f.json"), &[]).is_err());
        }
    }
    // OpenClaw reads a byte order mark in its configuration and nowhere else.
    let marked = "\u{feff}{\"gateway\":{\"auth\":{\"token\":\"FAKE\"}}}";
    assert_eq!(said(Document::Config, marked).len(), 1);
    assert!(look(Document::Profiles, marked).is_err());
}

#[test]
fn debug_shows_no_value() {
    let found = look(Document::Config, "{gateway: {auth: {token: 'FAKE'}}}").unwrap();
    let shown = format!("{found:?}");
    assert!(
        shown.contains("REDACTED") && !shown.contains("FAKE"),
        "{shown}"
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for document in [Document::Config, Document::Profiles, Document::LegacyAuth, Document::Leftover] {
            let _ = find(document, &bytes, Path::new("/x"));
        }
    }

    #[test]
    fn any_json_is_read_or_refused(text in r#"[\{\}\[\],:'"/*\\ \nkeyprofilstn0-9$_.]{0,120}"#) {
        for document in [Document::Config, Document::Profiles, Document::LegacyAuth, Document::Generated] {
            let _ = look(document, &text);
        }
    }
}
