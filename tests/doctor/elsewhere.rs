//! References that others than clawkeep answer.

use super::*;

#[test]
fn a_reference_that_others_answer_and_do_not_is_found() {
    let world = linked();
    assert_eq!(world.says("ref-elsewhere"), "ok");
    let refs = |id: &str| serde_json::json!({"source": "env", "provider": "default", "id": id});
    world.write(
        ".openclaw/agents/work/agent/auth-profiles.json",
        store(&serde_json::json!({
            "groq:there": {"type": "api_key", "provider": "groq", "keyRef": refs("FAKE_THERE")},
            "groq:gone": {"type": "api_key", "provider": "groq", "keyRef": refs("FAKE_GONE")},
        })),
    );
    world.write(".openclaw/.env", "FAKE_THERE=sk-FAKE-SECRET\n");
    let said = world.says("ref-elsewhere");
    assert!(
        said.contains("groq:gone to the variable FAKE_GONE gives no value"),
        "{said}"
    );
    assert!(
        !said.contains("groq:there") && !said.contains("SECRET"),
        "{said}"
    );
    // What must not be started is not called fine.
    world.write(
        ".openclaw/agents/work/agent/auth-profiles.json",
        store(
            &serde_json::json!({"groq:other": {"type": "api_key", "provider": "groq",
            "keyRef": {"source": "exec", "provider": "other", "id": "x"}}}),
        ),
    );
    let others = serde_json::json!({"source": "exec", "command": "/bin/false"});
    let mut config: Value = serde_json::from_slice(&world.read(".openclaw/openclaw.json")).unwrap();
    config["secrets"]["providers"]["other"] = others;
    world.write(".openclaw/openclaw.json", config.to_string());
    let said = world.says("ref-elsewhere");
    assert!(
        said.starts_with("not checked: ") && said.contains("--allow-exec"),
        "{said}"
    );
}
