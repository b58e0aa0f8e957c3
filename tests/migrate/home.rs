//! A home as people have it, with plaintext in many places.

use crate::scene::Scene;

/// Values that must be nowhere afterwards.
pub const OPENAI: &str = "sk-proj-FAKE-openai-0123456789-0123456789";
pub const GROQ: [&str; 3] = [
    "gsk_FAKE0one0123456789",
    "gsk_FAKE0two0123456789",
    "gsk_FAKE0three0123456789",
];
pub const OPENROUTER: &str = "sk-or-v1-FAKE-openrouter-0123456789";
pub const TOKEN: &str = "FAKE-gateway-token-0123456789";
pub const TELEGRAM: &str = "123456789:FAKE-telegram-0123456789";
pub const OLD: &str = "sk-or-v1-FAKE-old-key-0123456789";
pub const HOOKS: &str = "FAKE-hooks-token-0123456789";
pub const OTHER: &str = "FAKE-of-another-program-0123456789";

pub fn anthropic() -> String {
    format!("sk-ant-oat01-FAKE-{}", "FAKE0123456789".repeat(6))
}

/// The keys that move without being asked for.
pub fn moving() -> Vec<String> {
    let mut all: Vec<String> = GROQ.iter().map(|key| (*key).to_owned()).collect();
    all.extend([OPENAI, OPENROUTER, TOKEN, TELEGRAM, OLD].map(str::to_owned));
    all.push(anthropic());
    all
}

pub const ENV: &str = ".openclaw/.env";
pub const CONFIG: &str = ".openclaw/openclaw.json";
pub const PROFILES: &str = ".openclaw/agents/main/agent/auth-profiles.json";

/// Plaintext in `.env`, openclaw.json, its copies, and (up to 2026.6.1) auth-profiles.json.
pub fn furnish(scene: &Scene, version: &str) {
    let world = &scene.world;
    world.write(
        ENV,
        format!(
            "# Mine.\nexport OPENAI_API_KEY='{OPENAI}' # work\nGROQ_API_KEYS={},{}\r\n\nGROQ_API_KEY_1={}\nEDITOR=vi\nOTHER_TOKEN={OTHER}\nTELEGRAM_BOT_TOKEN={TELEGRAM}",
            GROQ[0], GROQ[1], GROQ[2]
        ),
    );
    let config = |key: &str| {
        format!(
            "// Mine.\n{{\n  gateway: {{ auth: {{ token: '{TOKEN}' }} }}, // local\n  models: {{ providers: {{ openrouter: {{ apiKey: '{key}' }} }} }},\n  channels: {{ telegram: {{ botToken: '${{TELEGRAM_BOT_TOKEN}}' }} }},\n  hooks: {{ token: '{HOOKS}' }},\n}}\n"
        )
    };
    world.write(CONFIG, config(OPENROUTER));
    world.write(".openclaw/openclaw.json.bak", config(OPENROUTER));
    world.write(".openclaw/openclaw.json.bak.1", config(OLD));
    if version == "2026.6.1" {
        let profiles = serde_json::json!({"version": 1, "profiles": {
            "anthropic:default": {"type": "token", "provider": "anthropic", "token": anthropic(),
                "expires": 1_795_355_756_000_i64, "email": "me@example.com"},
            "openai:me@example.com": {"type": "oauth", "provider": "openai", "access": "FAKE-access-0123456789",
                "refresh": "FAKE-refresh-0123456789", "expires": 1},
        }});
        world.write(PROFILES, format!("{profiles:#}"));
    }
}

/// A snapshot without what chance makes.
pub fn holds(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (pattern, name) in [
        // Root is told to say that it is root.
        (r"\d{8}-\d{6}-[0-9a-f]{6}( --as-root)?", "[BUNDLE]"),
        (r" +\n", "\n"),
    ] {
        settings.add_filter(pattern, name);
    }
    settings.bind(|| insta::assert_snapshot!(name, text));
}
