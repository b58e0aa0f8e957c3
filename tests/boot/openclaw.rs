//! OpenClaw 2026.9.6 in a machine: its home, its own unit, and the model calls of its gateway.

use crate::machine::Machine;
use crate::transcript::Transcript;

/// What alice gives clawkeep once.
pub(crate) const KEY: &str = "sk-fake-mock-key-boot-0123456789";

/// All but credentials: the recording provider's model, and the gateway on loopback.
const CONFIG: &str = r#"// A comment, as people write them.
{
  gateway: { mode: "local", bind: "loopback", port: 18789 },
  models: {
    providers: {
      mock: {
        baseUrl: "http://127.0.0.1:9999/v1",
        api: "openai-completions",
        models: [{ id: "m1", name: "m1", contextWindow: 32000, maxTokens: 1000 }],
      },
    },
  },
  agents: { defaults: { model: { primary: "mock/m1" } } },
}
"#;

/// Functions for scripts that have the people and OpenClaw.
pub(crate) const FUNCTIONS: &str = r#"
# home: alice with an OpenClaw that has all but credentials, and a manager of her own.
home() {
  people
  as alice mkdir -m 700 .openclaw
  as alice install -m 600 /openclaw.json .openclaw/openclaw.json
  linger alice
}
# onboard: the key goes into a vault of alice's, references into OpenClaw's files.
onboard() {
  as alice clawkeep onboard --yes --custody file --slot identity-file --recovery-file recovery.txt \
    --provider mock --profile-id mock:work --kind api-key --install <<<"$KEY"
}
# turn: one turn of the agent through the gateway, which makes the model call.
turn() { as alice openclaw agent --agent main --message 'say OK' --json; }
"#;

/// The same machine with alice's OpenClaw in it, still without a credential.
pub(crate) fn machine() -> Option<Machine> {
    let machine = Machine::with_openclaw()?;
    machine.write("openclaw.json", CONFIG);
    Some(machine)
}

/// A script with these functions.
pub(crate) fn script(text: &str) -> String {
    format!("KEY={KEY}\n{FUNCTIONS}\n{text}")
}

/// A turn was made, and every request that reached the provider carried the key.
#[track_caller]
pub(crate) fn arrived(boot: &Transcript, step: &str) {
    boot.step(step).ok();
    let bearers = boot.bearers();
    assert!(!bearers.is_empty(), "nothing reached the provider:\n{boot}");
    for bearer in bearers {
        assert_eq!(bearer, format!("Bearer {KEY}"));
    }
}
