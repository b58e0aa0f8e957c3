//! The real OpenClaw, as `scripts/test` installs it from npm, each version with the Node that it
//! wants. Knows nothing of vaults.
//!
//! Promise: it runs in the test's world and nowhere else, and no gateway outlives its test.

use super::run::{Cmd, Run, Running};
use super::{World, cache, left_out};
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One command: CLI start alone takes seconds, and several may run at once on two cores.
const COMMAND_LIMIT: Duration = Duration::from_secs(200);

/// How often a starting gateway is asked whether it is up, and how long it is waited for between.
const PROBES: u32 = 600;
const BETWEEN_PROBES: Duration = Duration::from_millis(250);

/// A gateway that was told to end finishes its work first.
const STOP_LIMIT: Duration = Duration::from_mins(1);

/// The versions that the tests run: the last with auth-profiles.json, and two with SQLite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// 2026.6.1 on Node 24: profiles in auth-profiles.json, order in auth-state.json.
    V2026_6_1,
    /// 2026.8.2 on Node 24: profiles and order in SQLite, one store for all agents.
    V2026_8_2,
    /// 2026.9.6 on Node 26: profiles and order in SQLite.
    V2026_9_6,
}

impl Which {
    /// The version as npm names it.
    pub fn version(self) -> &'static str {
        match self {
            Which::V2026_6_1 => "2026.6.1",
            Which::V2026_8_2 => "2026.8.2",
            Which::V2026_9_6 => "2026.9.6",
        }
    }

    fn node_major(self) -> &'static str {
        match self {
            Which::V2026_6_1 | Which::V2026_8_2 => "24",
            Which::V2026_9_6 => "26",
        }
    }
}

/// One installed OpenClaw.
pub struct OpenClaw {
    node: PathBuf,
    entry: PathBuf,
}

impl OpenClaw {
    /// The installed version; `None`, with the reason printed, when it was left out by a flag.
    ///
    /// # Panics
    /// When it is not installed, with the command that installs it.
    pub fn get(which: Which) -> Option<OpenClaw> {
        if left_out("openclaw") {
            return None;
        }
        let found = OpenClaw {
            node: cache().join("node").join(which.node_major()).join("node"),
            entry: cache()
                .join("openclaw")
                .join(which.version())
                .join("node_modules/openclaw/openclaw.mjs"),
        };
        for file in [&found.node, &found.entry] {
            assert!(
                file.is_file(),
                "OpenClaw {} is not installed for tests ({} is missing): run scripts/test, which \
                 installs it, or leave it out: scripts/test --without openclaw",
                which.version(),
                file.display()
            );
        }
        Some(found)
    }

    /// The Node that runs it.
    pub fn node(&self) -> &Path {
        &self.node
    }

    /// Its `openclaw.mjs`.
    pub fn entry(&self) -> &Path {
        &self.entry
    }

    /// Puts `openclaw` on the world's PATH as npm does, a link to openclaw.mjs, and its `node`.
    pub fn put_on_path(&self, world: &World) {
        world.put_on_path("openclaw", &self.entry);
        world.put_on_path("node", &self.node);
    }

    /// OpenClaw with these arguments, started by the name that is on the PATH.
    pub fn cmd<S: AsRef<str>>(&self, world: &World, args: &[S]) -> Cmd {
        self.put_on_path(world);
        world
            .program(&world.bin().join("openclaw"), args)
            // A respawned child would escape the time limit; channels would use the network.
            .env("OPENCLAW_NO_RESPAWN", "1")
            .env("OPENCLAW_SKIP_CHANNELS", "1")
            .limit(COMMAND_LIMIT)
    }

    /// Runs OpenClaw with nothing on stdin.
    pub fn run<S: AsRef<str>>(&self, world: &World, args: &[S]) -> Run {
        self.cmd(world, args).run()
    }

    /// A gateway on loopback, not started yet.
    pub fn gateway_cmd(&self, world: &World, port: u16) -> Cmd {
        let port = port.to_string();
        let args = ["gateway", "run", "--bind", "loopback", "--port", &port];
        self.cmd(world, &args)
    }

    /// Starts a gateway on loopback and waits until it answers.
    ///
    /// # Panics
    /// When it ends before it answers, or never answers; with what it printed.
    #[track_caller]
    pub fn gateway(&self, world: &World, port: u16) -> Gateway {
        self.gateway_with(world, port, "")
    }

    /// The same with `NODE_OPTIONS`.
    ///
    /// # Panics
    /// As [`OpenClaw::gateway`].
    #[track_caller]
    pub fn gateway_with(&self, world: &World, port: u16, node_options: &str) -> Gateway {
        let cmd = self.gateway_cmd(world, port);
        let mut running = cmd.env("NODE_OPTIONS", node_options).start();
        for _ in 0..PROBES {
            if is_live(port) {
                return Gateway { running, port };
            }
            // Its end is what is waited for; the time between is only when to ask again.
            if running.wait(BETWEEN_PROBES) {
                break;
            }
        }
        panic!("the gateway never answered: {:#}", running.output());
    }
}

/// A gateway that answers.
pub struct Gateway {
    running: Running,
    port: u16,
}

impl Gateway {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// What it has printed by now; the exit code is -1 while it runs.
    pub fn printed(&mut self) -> Run {
        let _ = self.running.wait(Duration::ZERO);
        self.running.output()
    }

    /// Waits until it has printed `text`.
    ///
    /// # Panics
    /// When it ends before, or never does.
    #[track_caller]
    pub fn says(&mut self, text: &str) {
        for _ in 0..PROBES {
            let said = self.running.output();
            if said.stdout.contains(text) || said.stderr.contains(text) {
                return;
            }
            if self.running.wait(BETWEEN_PROBES) {
                break;
            }
        }
        panic!("it never said {text:?}: {:#}", self.running.output());
    }

    /// Waits for its end, which nobody asks for.
    ///
    /// # Panics
    /// When it goes on.
    #[track_caller]
    pub fn ends(mut self) -> Run {
        let ended = self.running.wait(COMMAND_LIMIT);
        let run = self.running.output();
        assert!(ended, "the gateway goes on: {run:#}");
        run
    }

    /// The ports that it listens on besides its own; on Linux.
    pub fn other_ports(&self) -> BTreeSet<u16> {
        let mut ports = listening(self.pid());
        assert!(ports.remove(&self.port), "it listens on its own: {ports:?}");
        ports
    }

    /// One turn of the agent by the gateway's `/v1/chat/completions`; what it answered.
    pub fn chat(&self, token: &str) -> String {
        let body = r#"{"model":"openclaw","messages":[{"role":"user","content":"say OK"}]}"#;
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_read_timeout(Some(COMMAND_LIMIT))?;
            write!(
                stream,
                "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\
                 authorization: Bearer {token}\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            )?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        ask().expect("an answer of the gateway")
    }

    /// Ends it as a service manager does, and gives all that it printed.
    #[track_caller]
    pub fn stop(mut self) -> Run {
        self.running.terminate();
        let ended = self.running.wait(STOP_LIMIT);
        let run = self.running.output();
        assert!(ended, "the gateway did not end on SIGTERM: {run:#}");
        run
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Its helpers have process groups of their own and end only with an orderly stop.
        self.running.terminate();
        self.running.wait(STOP_LIMIT);
    }
}

/// The TCP ports on which a process listens, as `/proc` has it.
fn listening(pid: u32) -> BTreeSet<u16> {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let open = std::fs::read_dir(folder.join("fd")).expect("a process of ours");
    let links: BTreeSet<String> = open
        .flatten()
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .map(|target| target.to_string_lossy().into_owned())
        .collect();
    let mut ports = BTreeSet::new();
    for table in ["net/tcp", "net/tcp6"] {
        let text = std::fs::read_to_string(folder.join(table)).unwrap_or_default();
        for line in text.lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            // 0A: it listens. Word 9 is the socket's inode.
            let (Some(address), Some(&"0A"), Some(inode)) =
                (words.get(1), words.get(3), words.get(9))
            else {
                continue;
            };
            if links.contains(&format!("socket:[{inode}]")) {
                let hex = address.rsplit(':').next().unwrap_or_default();
                ports.extend(u16::from_str_radix(hex, 16).ok());
            }
        }
    }
    ports
}

/// A port of 127.0.0.1 that nobody uses now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port on loopback");
    listener.local_addr().expect("the port just bound").port()
}

/// Whether `/healthz` answers 200.
fn is_live(port: u16) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// The provider that a scene's default model belongs to; each speaks another protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// `mock/m1`: a custom provider of the OpenAI protocol.
    Mock,
    /// `anthropic/claude-sonnet-4-5`, which OpenClaw knows, at another base URL.
    Anthropic,
}

impl Provider {
    /// Its id in OpenClaw.
    pub fn id(self) -> &'static str {
        match self {
            Provider::Mock => "mock",
            Provider::Anthropic => "anthropic",
        }
    }

    /// An openclaw.json that has all but credentials: the provider at `url`, its model as default,
    /// and the gateway on `port`.
    pub fn config(self, url: &str, port: u16) -> String {
        let (model, provider) = match self {
            Provider::Mock => (
                "mock/m1",
                format!(
                    r#"mock: {{
        baseUrl: "{url}/v1",
        api: "openai-completions",
        models: [{{ id: "m1", name: "m1", contextWindow: 32000, maxTokens: 1000 }}],
      }}"#
                ),
            ),
            Provider::Anthropic => (
                "anthropic/claude-sonnet-4-5",
                format!(
                    r#"anthropic: {{
        baseUrl: "{url}",
        api: "anthropic-messages",
        models: [],
      }}"#
                ),
            ),
        };
        format!(
            r#"// A comment, as people write them.
{{
  gateway: {{ mode: "local", bind: "loopback", port: {port} }},
  models: {{
    providers: {{
      {provider},
    }},
  }},
  agents: {{ defaults: {{ model: {{ primary: "{model}" }} }} }},
}}
"#
        )
    }
}
