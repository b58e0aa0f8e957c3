//! Which settings of `openclaw.json` decide where keys go or what code runs. Knows paths, no values.
//!
//! Source: the configuration schema of OpenClaw 2026.9.6 (`openclaw config schema`), and what 2026.6.1
//! has besides. Whole sections count where most of them decides; elsewhere a setting counts by its
//! name. Too much is a line to read, too little is a hole: what is not known counts by its name in
//! every section, also in one that does not exist yet.

use super::super::config::{INCLUDE, names_credential};

/// Sections that count as a whole.
const SECTIONS: &[&str] = &[
    "$include",
    "acp",
    "approvals",
    "browser",
    "cloudWorkers",
    "commands",
    "env",
    "gateway",
    "hooks",
    "logging",
    "mcp",
    "nodeHost",
    "plugins",
    "proxy",
    "secrets",
    "security",
    "skills",
    "tools",
    "update",
];

/// Parts of an agent (`agents.defaults`, `agents.entries.ID`, `agents.list.N`) that count as a whole.
const PARTS_OF_AGENTS: &[&str] = &[
    "agentDir",
    "agentRuntime",
    "cliBackends",
    "cwd",
    "elevatedDefault",
    "repoRoot",
    "runtime",
    "sandbox",
    "skills",
    "subagents",
    "systemAgent",
    "tools",
    "workspace",
];

/// Ends of names, in small letters, that count wherever they stand: addresses, programs, files.
const ENDS: &[&str] = &[
    "address",
    "api",
    "argv",
    "args",
    "bin",
    "binary",
    "binds",
    "bins",
    "cmd",
    "command",
    "cwd",
    "dir",
    "dirs",
    "endpoint",
    "endpoints",
    "executable",
    "file",
    "homeserver",
    "host",
    "hostname",
    "hosts",
    "module",
    "modules",
    "path",
    "paths",
    "port",
    "proxy",
    "relay",
    "relays",
    "root",
    "roots",
    "script",
    "server",
    "servers",
    "shell",
    "uri",
    "uris",
    "url",
    "urls",
];

/// Objects, in small letters, of which every setting counts.
const OBJECTS: &[&str] = &["env", "headers", "proxy", "request", "vars"];

/// Whether the setting at `path` is one of those.
pub(super) fn is_decisive(path: &[String]) -> bool {
    let Some(section) = path.first() else {
        return false;
    };
    match (section.as_str(), path.get(1).map(String::as_str)) {
        // Names and prices of models decide nothing; their addresses and headers do, by name.
        ("models", Some("providers")) if path.get(3).is_some_and(|key| key == "models") => {
            by_name(path)
        }
        ("models", _) => true,
        ("agents", Some("defaults")) => is_part_of_agent(path.get(2)) || by_name(path),
        ("agents", Some("entries" | "list")) => is_part_of_agent(path.get(3)) || by_name(path),
        (section, _) => SECTIONS.contains(&section) || by_name(path),
    }
}

fn is_part_of_agent(key: Option<&String>) -> bool {
    key.is_some_and(|key| PARTS_OF_AGENTS.contains(&key.as_str()))
}

fn by_name(path: &[String]) -> bool {
    let Some((last, above)) = path.split_last() else {
        return false;
    };
    // An element counts by the name of its array.
    let last = if last.bytes().all(|b| b.is_ascii_digit()) {
        above.last().unwrap_or(last)
    } else {
        last
    };
    let name = last.to_lowercase();
    last == INCLUDE
        || names_credential(last)
        || ENDS.iter().any(|end| name.ends_with(end))
        || path
            .iter()
            .any(|key| OBJECTS.contains(&key.to_lowercase().as_str()))
}

/// Whether values at `path` may be credentials, whatever they look like.
pub(super) fn may_hold_secret(path: &[String]) -> bool {
    const HOLDERS: [&str; 6] = ["cookies", "env", "headers", "params", "query", "vars"];
    let holds = |key: &String| HOLDERS.contains(&key.to_lowercase().as_str());
    path.iter().any(|key| names_credential(key) || holds(key))
        || path.last().is_some_and(|key| key == "value") && path.iter().any(|key| key == "auth")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<String> {
        text.split('.').map(str::to_owned).collect()
    }

    #[test]
    fn where_keys_go_and_what_code_runs_counts() {
        for text in [
            "secrets.providers.clawkeep.command",
            "secrets.providers.clawkeep.args.3",
            "models.providers.anthropic.baseUrl",
            "models.providers.anthropic.api",
            "models.providers.anthropic.headers.Authorization",
            "models.providers.anthropic.request.proxy.url",
            "models.providers.x.localService.command",
            "models.providers.x.models.0.baseUrl",
            "models.providers.x.models.0.headers.X-Key",
            "models.mode",
            "plugins.load.paths.0",
            "plugins.entries.x.enabled",
            "hooks.mappings.0.transform.module",
            "hooks.token",
            "env.vars.NODE_OPTIONS",
            "env.shellEnv.enabled",
            "gateway.bind",
            "gateway.auth.mode",
            "mcp.servers.x.command",
            "agents.defaults.sandbox.docker.setupCommand",
            "agents.entries.main.tools.exec.host",
            "agents.list.0.agentDir",
            "agents.defaults.cliBackends.x.command",
            "tools.exec.safeBins.0",
            "channels.telegram.apiRoot",
            "channels.signal.cliPath",
            "channels.telegram.botToken",
            "$include",
            "session.$include",
            "section.not.known.yet.webhookUrl",
        ] {
            assert!(is_decisive(&path(text)), "{text}");
        }
    }

    #[test]
    fn what_decides_neither_is_left_out() {
        for text in [
            "models.providers.x.models.0.contextWindow",
            "models.providers.x.models.0.cost.input",
            "agents.defaults.model.primary",
            "agents.entries.main.identity.name",
            "ui.theme",
            "meta.lastTouchedAt",
            "wizard.lastRunAt",
            "messages.ackReaction",
            "session.dmScope",
        ] {
            assert!(!is_decisive(&path(text)), "{text}");
        }
        assert!(!is_decisive(&[]));
    }
}
