//! What the parts promise: the gateway's token, plan files, unlinking, the diff, the audit.

use super::tests::{NEW, ONE, case, held, ours};
use super::*;
use crate::secret::{Alphabet, Secret};

fn gateway(version: &str, gateway: &str, variable: bool) -> (GatewayToken, Option<Value>, Plan) {
    let mut case = case(version, &format!("{{ gateway: {gateway} }}"), &[]);
    case.variable = variable;
    let mut plan = case.plan();
    let token = std::mem::replace(&mut plan.gateway, GatewayToken::AlreadyOurs);
    (token, plan.after.get(&["gateway", "auth", "token"]), plan)
}

#[test]
fn a_plaintext_gateway_token_is_kept_and_replaced_in_both_slots() {
    let text = "{ auth: { mode: 'token', token: ' fake token ' }, remote: { token: ' fake token ', url: 'w' } }";
    let (token, now, plan) = gateway(NEW, text, false);
    let unchanged = Secret::new(b" fake token ", Alphabet::Text).unwrap();
    assert!(matches!(token, GatewayToken::KeepInVault(value) if value.same_as(&unchanged)));
    assert_eq!(now, Some(ours("gateway/token")));
    assert_eq!(
        plan.after.get(&["gateway", "remote", "token"]),
        Some(ours("gateway/token"))
    );
    let (_, _, other) = gateway(
        NEW,
        "{ auth: { token: 'fake' }, remote: { token: 'another' } }",
        false,
    );
    assert_eq!(
        other.after.get(&["gateway", "remote", "token"]),
        Some(json!("another"))
    );
    assert!(
        other
            .notes
            .iter()
            .any(|note| note.contains("gateway.remote.token"))
    );
}

#[test]
fn an_absent_gateway_token_becomes_a_random_one_and_ours_stays() {
    for text in [
        "{}",
        "{ auth: {} }",
        "{ auth: { token: '  ' } }",
        "{ mode: 'local' }",
    ] {
        let (token, now, _) = gateway(NEW, text, false);
        assert!(matches!(token, GatewayToken::Random), "{text}");
        assert_eq!(now, Some(ours("gateway/token")), "{text}");
    }
    let text = format!("{{ auth: {{ token: {} }} }}", ours("gateway/token"));
    assert!(matches!(
        gateway(NEW, &text, true).0,
        GatewayToken::AlreadyOurs
    ));
}

#[test]
fn a_gateway_that_uses_something_else_is_left_alone() {
    for text in [
        "{ auth: { token: '${GW}' } }",
        "{ auth: { token: '$GW' } }",
        "{ auth: { token: { source: 'env', provider: 'default', id: 'GW' } } }",
        "{ auth: { mode: 'password', token: 'fake' } }",
        "{ auth: { mode: 'none' } }",
        "{ auth: { mode: 'trusted-proxy' } }",
        "{ auth: { password: 'fake' } }",
        "{ auth: { token: '__OPENCLAW_REDACTED__' } }",
        "{ mode: 'remote' }",
    ] {
        let (token, now, plan) = gateway(NEW, text, false);
        assert!(matches!(token, GatewayToken::LeftAlone(_)), "{text}");
        assert_eq!(
            now,
            plan.before.get(&["gateway", "auth", "token"]),
            "{text}"
        );
        assert!(
            plan.notes
                .iter()
                .any(|note| note.starts_with("the gateway's token")),
            "{text}"
        );
    }
    assert!(
        matches!(gateway(NEW, "{}", true).0, GatewayToken::LeftAlone(_)),
        "variable"
    );
    let early = gateway("2026.3.2", "{ auth: { token: 'fake' } }", false).0;
    assert!(
        matches!(early, GatewayToken::LeftAlone(_)),
        "a ref there is invalid before 2026.3.7"
    );
}

#[test]
fn plan_files_are_openclaws_format_and_hold_no_value() {
    let mut case = case(
        NEW,
        "{ gateway: { auth: { token: 'fake-plain' } } }",
        &[
            ("main", "anthropic:work"),
            ("main", "anthropic:key"),
            ("main", "xai:me@x.y"),
        ],
    );
    case.variable = false;
    let plan = case.plan();
    let now = Millis::new(1_795_182_199_123).unwrap();
    let full = full_plan(&plan, &case.version, now).unwrap();
    assert_eq!(full["generatedAt"], "2026-11-20T13:43:19.123Z");
    assert_eq!(full["options"]["scrubEnv"], false);
    assert!(full["providerUpserts"]["clawkeep"]["command"].is_string());
    assert!(!full.to_string().contains("fake-plain"));
    let targets = full["targets"].as_array().unwrap();
    let types: Vec<&str> = targets.iter().filter_map(|t| t["type"].as_str()).collect();
    assert_eq!(
        types,
        [
            "models.providers.apiKey",
            "gateway.auth.token",
            "auth-profiles.token.token",
            "auth-profiles.api_key.key"
        ]
    );
    assert_eq!(targets[0]["ref"]["id"], "provider/xai");
    assert_eq!(
        targets[3],
        json!({"type": "auth-profiles.api_key.key", "path": "profiles.anthropic:key.key", "pathSegments": ["profiles", "anthropic:key", "key"], "agentId": "main", "authProfileProvider": "anthropic", "ref": ours("anthropic:key")})
    );
    let profiles = profile_plan(&plan, now).unwrap();
    assert_eq!(profiles["targets"].as_array().unwrap().len(), 2);
    assert!(profiles.get("providerUpserts").is_none());
    let early = Version::parse("2026.2.26").unwrap();
    let types = full_plan(&plan, &early, now).unwrap()["targets"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(types, 1, "models.providers only");
}

#[test]
fn unlinking_takes_away_ours_and_nothing_else() {
    let text = format!(
        "{{\n  // mine\n  secrets: {{ providers: {{ clawkeep: {{ source: 'exec' }}, op: {{ source: 'exec' }} }} }},\n  gateway: {{ auth: {{ mode: 'token', token: {} }} }},\n  channels: {{ list: [{{ token: {} }}, {}] }},\n  models: {{ providers: {{ anthropic: {{ apiKey: {} }} }} }},\n  tts: {{ key: {{ source: 'exec', provider: 'op', id: 'x' }} }},\n}}\n",
        ours("gateway/token"),
        ours("tg"),
        ours("stuck"),
        ours("provider/anthropic")
    );
    let case = case(NEW, &text, &[]);
    let undone = unlink(
        &case.version,
        &case.places,
        &case.config,
        &[held("main", "a:b")],
        &BTreeMap::new(),
    )
    .unwrap();
    let places: Vec<&str> = undone
        .missing
        .iter()
        .map(|(place, _)| place.as_str())
        .collect();
    assert_eq!(
        places,
        [
            "gateway.auth.token",
            "channels.list.0.token",
            "channels.list.1",
            "models.providers.anthropic.apiKey"
        ]
    );
    let left = String::from_utf8(undone.after.bytes().to_vec()).unwrap();
    assert!(
        left.contains("// mine") && !left.contains("provider/anthropic"),
        "{left}"
    );
    assert!(!undone.after.has(&["models"]), "{left}");
    assert_eq!(
        undone.after.get(&["secrets", "providers"]),
        Some(json!({"op": {"source": "exec"}}))
    );
    assert_eq!(
        undone.after.get(&["gateway", "auth"]),
        Some(json!({"mode": "token"}))
    );
    assert!(undone.after.has(&["tts", "key"]));
    assert!(
        undone
            .notes
            .iter()
            .any(|note| note.starts_with("channels.list.1 still asks")),
        "{:?}",
        undone.notes
    );
    assert_eq!(undone.profile_removals, [held("main", "a:b")]);
}

#[test]
fn a_diff_shows_changes_and_no_credential() {
    let text = "{\n  a: 1,\n  // old token: fake-old-one\n  telegram: { botToken: '123:fake' },\n  env: { vars: { X: 'fake-env' } },\n  note: 'fakeAAAA0123456789', url: 'https://u:fake@h/', model: 'anthropic/claude-sonnet-4-5',\n  gateway: { auth: { token: 'fake-plain' } }, // was fakeBBBB0123456789\n}\n";
    let mut case = case(NEW, text, &ONE);
    case.variable = false;
    let plan = case.plan();
    let shown = diff(&plan.before, &plan.after);
    assert!(!shown.contains("fake"), "{shown}");
    assert!(
        shown.contains("-  gateway: { auth: { token: \"***\" } }"),
        "{shown}"
    );
    assert!(
        shown.contains("\"id\": \"gateway/token\"") && shown.contains("claude-sonnet-4-5"),
        "{shown}"
    );
    assert!(
        shown.contains("+  \"secrets\": {") && shown.contains("@@ -4,5 +4,"),
        "{shown}"
    );
    assert_eq!(diff(&plan.before, &plan.before), "");
}

#[test]
fn an_audit_is_read_as_places_and_codes() {
    let report = r#"banner
{"version":1,"status":"findings","resolution":{"refsChecked":2,"skippedExecRefs":0},
 "summary":{"unresolvedRefCount":0},
 "findings":[{"code":"PLAINTEXT_FOUND","file":"/f","jsonPath":"a.b","message":"sk-fake"},
 {"code":"weird sk-fake","file":"/g\u0007","jsonPath":3}]} trailing"#;
    let audit = Audit::parse(report).unwrap();
    assert!(audit.all_resolved && !audit.is_clean());
    assert_eq!(
        audit.findings[0],
        Finding {
            code: "PLAINTEXT_FOUND".into(),
            file: "/f".into(),
            place: "a.b".into()
        }
    );
    assert_eq!(
        audit.findings[1],
        Finding {
            code: "UNKNOWN".into(),
            file: "/g".into(),
            place: String::new()
        }
    );
    for bad in ["", "sk-fake", "{", "{\"findings\": 3}", "[]"] {
        let said = Audit::parse(bad).unwrap_err();
        assert!(!said.message().contains("sk-fake"));
    }
    let clean = r#"{"status":"clean","resolution":{"refsChecked":1,"skippedExecRefs":1},"summary":{},"findings":[]}"#;
    assert!(
        !Audit::parse(clean).unwrap().is_clean(),
        "a skipped ref is not proof"
    );
}
