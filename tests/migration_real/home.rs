//! A home in which OpenClaw itself put plaintext, by its own commands, and what can be asked of it.

use crate::common::mock_provider::MockProvider;
use crate::common::openclaw::{Gateway, OpenClaw, Which, free_port};
use crate::common::{Run, World};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// Of the onboarding; the default model's.
pub const ANTHROPIC: &str = "sk-ant-api03-FAKE-onboarded-0123456789-0123456789";
/// Pasted, an API key and a token of one provider.
pub const KEY: &str = "sk-or-v1-FAKE-pasted-key-0123456789";
pub const TOKEN: &str = "sk-or-v1-FAKE-pasted-token-0123456789";
/// In `.env`.
pub const XAI: &str = "xai-FAKE-of-dotenv-0123456789";
/// In openclaw.json, by an editor.
pub const SKILL: &str = "FAKE-skill-key-0123456789-0123456789";

const ENV: &str = ".openclaw/.env";
pub const CONFIG: &str = ".openclaw/openclaw.json";

/// What the person wrote into `.env`.
const DOTENV: [&str; 3] = [
    "# Mine.\nEDITOR=vi\r\n",
    "XAI_API_KEY='xai-FAKE-of-dotenv-0123456789' # grok",
    "\nLANG=C\n",
];

/// OpenClaw takes seconds for a command, more on a loaded machine.
const LIMIT: Duration = Duration::from_mins(10);

/// A home and what belongs to it.
pub struct Home {
    pub world: World,
    pub openclaw: OpenClaw,
    pub server: MockProvider,
    pub port: u16,
    /// The token that the onboarding made.
    pub gateway_token: String,
}

impl Home {
    /// Onboards, pastes, writes `.env`, and runs a gateway once. `None` when OpenClaw was left out by a
    /// flag.
    pub fn make(which: Which) -> Option<Home> {
        let openclaw = OpenClaw::get(which)?;
        let world = World::new();
        openclaw.put_on_path(&world);
        let mut home = Home {
            world,
            openclaw,
            server: MockProvider::start(),
            port: free_port(),
            gateway_token: String::new(),
        };
        home.onboard();
        home.paste("api-key", "openrouter", "openrouter:key", KEY);
        home.paste("token", "openrouter", "openrouter:token", TOKEN);
        home.edit();
        home.world.write(ENV, DOTENV.concat());
        let _ = home.gateway().stop().ok();
        let token = home.config()["gateway"]["auth"]["token"].clone();
        token.as_str().unwrap().clone_into(&mut home.gateway_token);
        Some(home)
    }

    fn onboard(&self) {
        let port = self.port.to_string();
        let args = "onboard --non-interactive --accept-risk --mode local --auth-choice apiKey \
            --secret-input-mode plaintext --gateway-bind loopback --no-install-daemon --skip-channels \
            --skip-skills --skip-health --skip-search --skip-hooks --skip-ui --skip-bootstrap --json";
        let mut args: Vec<&str> = args.split_whitespace().collect();
        args.extend(["--anthropic-api-key", ANTHROPIC, "--gateway-port", &port]);
        let _ = self.openclaw(&args).ok();
        let first = "anthropic/claude-sonnet-4-5";
        let _ = self.openclaw(&["models", "set", first]).ok();
        // A provider at another address needs its protocol and a list; this one may be empty.
        let provider = serde_json::json!({
            "baseUrl": self.server.url(), "api": "anthropic-messages", "models": [],
        })
        .to_string();
        let args = [
            "config",
            "set",
            "models.providers.anthropic",
            "--strict-json",
        ];
        let args = [&args[..], &[&provider]].concat();
        let _ = self.openclaw(&args).ok();
    }

    fn paste(&self, kind: &str, provider: &str, profile: &str, value: &str) {
        let command = format!("paste-{kind}");
        let args = ["models", "auth", &command, "--provider", provider];
        let args = [&args[..], &["--profile-id", profile]].concat();
        let run = self.openclaw.cmd(&self.world, &args);
        let _ = run.stdin(format!("{value}\n")).run().ok();
    }

    /// As with an editor: `openclaw config set` of 2026.6.1 copies its arguments into a log, which is
    /// [`crate::whole`]'s to look at.
    fn edit(&self) {
        let mut config = self.config();
        config["skills"]["entries"]["fake-skill"]["apiKey"] = SKILL.into();
        self.world.write(CONFIG, format!("{config:#}"));
    }

    /// Runs OpenClaw.
    #[track_caller]
    pub fn openclaw(&self, args: &[&str]) -> Run {
        self.openclaw.run(&self.world, args)
    }

    /// Runs clawkeep, which may run OpenClaw a dozen times.
    #[track_caller]
    pub fn clawkeep(&self, args: &[&str]) -> Run {
        self.world.cmd(args).limit(LIMIT).run()
    }

    /// Starts a gateway.
    #[track_caller]
    pub fn gateway(&self) -> Gateway {
        self.openclaw.gateway(&self.world, self.port)
    }

    /// openclaw.json, which OpenClaw writes as plain JSON.
    pub fn config(&self) -> Value {
        serde_json::from_slice(&self.world.read(CONFIG)).unwrap()
    }

    /// Every value that moves.
    pub fn values(&self) -> Vec<&str> {
        vec![ANTHROPIC, KEY, TOKEN, XAI, SKILL, &self.gateway_token]
    }

    /// The files below this world in which `grep` finds the bytes: not by any code of ours.
    pub fn grep(&self, value: &str) -> Vec<PathBuf> {
        let grep = ["/usr/bin/grep", "/bin/grep"];
        let grep = grep.iter().find(|path| PathBuf::from(path).exists());
        let mut command = Command::new(grep.unwrap());
        command.args(["-rlaF", "--", value]).arg(self.world.root());
        let output = command.output().unwrap();
        assert!(output.status.code().is_some_and(|code| code <= 1));
        let said = String::from_utf8(output.stdout).unwrap();
        said.lines().map(PathBuf::from).collect()
    }

    /// No file has any of the values, the databases and their logs included.
    #[track_caller]
    pub fn holds_none(&self) {
        for value in self.values() {
            assert_eq!(self.grep(value), Vec::<PathBuf>::new(), "{value}");
            assert_eq!(
                self.world.search_home(value),
                Vec::<PathBuf>::new(),
                "{value}"
            );
        }
    }

    /// One turn of the agent, by its own process or the running gateway: every request carries this
    /// credential and no other.
    #[track_caller]
    pub fn arrives(&self, more: &[&str], credential: &str) {
        self.server.take_requests();
        let args = ["agent", "--agent", "main", "--message", "say OK", "--json"];
        let run = self.openclaw(&[&args[..], more].concat()).ok();
        let requests = self.server.take_requests();
        assert!(!requests.is_empty(), "nothing reached the provider: {run}");
        for request in requests {
            let bearer = format!("Bearer {credential}");
            let sent: Vec<&str> = [&request.x_api_key, &request.authorization]
                .into_iter()
                .flatten()
                .map(String::as_str)
                .collect();
            assert!(sent == [credential] || sent == [&bearer], "{request:?}");
        }
    }

    /// OpenClaw's own audit: its exit code under `--check`, and its report.
    #[track_caller]
    pub fn audit(&self) -> (i32, Value) {
        let run = self.openclaw(&["secrets", "audit", "--check", "--allow-exec", "--json"]);
        (run.code, run.json())
    }

    /// The profiles that OpenClaw lists, sorted.
    #[track_caller]
    pub fn profiles(&self) -> Vec<String> {
        let report = self
            .openclaw(&["models", "auth", "list", "--json"])
            .ok()
            .json();
        let rows = report["profiles"].as_array().unwrap().clone();
        let id = |row: &Value| row["id"].as_str().unwrap().to_owned();
        let mut ids: Vec<String> = rows.iter().map(id).collect();
        ids.sort();
        ids
    }

    /// Of `.env`, what is no assignment of a credential: the comment behind one stays.
    pub fn rest_of_dotenv() -> String {
        [DOTENV[0], " # grok", DOTENV[2]].concat()
    }

    /// `.env` as the person wrote it.
    pub fn whole_dotenv() -> String {
        DOTENV.concat()
    }

    /// `.env` as it is.
    pub fn dotenv(&self) -> String {
        String::from_utf8(self.world.read(ENV)).unwrap()
    }
}
