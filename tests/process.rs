//! What others can see of a run: the process itself, the programs that it starts, what it prints, and
//! the files that it leaves.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; it writes files of its own world"
)]

mod common;

use common::pty::Pty;
use common::run::Cmd;
use common::{Run, World, left_out};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

const STRACE: &str = "/usr/bin/strace";
const NOBODY: &str = "65534";

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn script(path: &Path, text: &str) {
    std::fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    chmod(path, 0o755);
}

/// The process whose program is this file.
fn running(program: &Path) -> PathBuf {
    let mut found = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| {
            std::fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe == program)
        });
    let one = found.next().expect("it runs").path();
    assert!(found.next().is_none(), "two of them");
    one
}

#[test]
fn a_waiting_process_is_closed_to_its_own_user() {
    let world = World::new();
    let program = world.root().join("clawkeep");
    crate::common::copy_program(&program);
    chmod(&program, 0o755);
    let is_root = rustix::process::geteuid().is_root();
    // As an ordinary user: root may read everything.
    let as_user = |args: &[&str]| {
        let front = ["--reuid", NOBODY, "--clear-groups"];
        if is_root {
            let args = [&front[..], args].concat();
            world.program(Path::new("/usr/bin/setpriv"), &args)
        } else {
            world.program(Path::new(args[0]), &args[1..])
        }
    };
    if is_root {
        chmod(world.root(), 0o755);
        let uid = NOBODY.parse().ok();
        std::os::unix::fs::chown(world.home(), uid, uid).unwrap();
    }
    let init = [program.to_str().unwrap(), "init", "--slot", "passphrase"];
    let mut pty = Pty::start(as_user(&init));
    pty.expect("New passphrase");
    let process = running(&program);
    for name in ["mem", "environ", "maps", "auxv", "fd/0"] {
        let path = process.join(name);
        let run = as_user(&["/bin/cat", path.to_str().unwrap()]).run();
        assert_ne!(run.code, 0, "{name}: {run:#}");
        assert_eq!(run.stdout, "", "{name}");
    }
    let limits = std::fs::read_to_string(process.join("limits")).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let words: Vec<_> = core.unwrap().split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "{limits}");
    pty.send("\x03");
    let _ = pty.finish().run.fails(130);
    // The control: a program that does not close itself can be read.
    let open = as_user(&[
        "/bin/sh",
        "-c",
        "cat /proc/$$/environ >/dev/null && exec true",
    ]);
    let _ = open.env("PATH", "/usr/bin:/bin").run().ok();
}

/// One world in which every command runs, and every program that any of them starts is noted with all
/// its arguments and its environment.
struct Watched {
    world: World,
    secrets: Vec<String>,
    runs: std::cell::Cell<usize>,
}

impl Watched {
    fn cmd(&self, args: &[&str]) -> Cmd {
        let at = self.runs.replace(self.runs.get() + 1);
        let trace = self.world.root().join(format!("trace-{at}"));
        let front = ["-f", "-qq", "-v", "-s", "65536", "-e", "trace=execve", "-o"];
        let middle = [trace.to_str().unwrap(), env!("CARGO_BIN_EXE_clawkeep")];
        let args = [&front[..], &middle, args].concat();
        self.world.program(Path::new(STRACE), &args)
    }

    /// Nothing that a run prints holds a secret.
    #[track_caller]
    fn silent(&self, run: Run) -> Run {
        for secret in &self.secrets {
            assert!(!run.stdout.contains(secret), "on stdout: {run:#}");
            assert!(!run.stderr.contains(secret), "on stderr: {run:#}");
        }
        run
    }

    #[track_caller]
    fn run(&self, args: &[&str], stdin: &str) -> Run {
        self.silent(self.cmd(args).stdin(stdin).run())
    }

    /// No file holds a secret, the notes about started programs neither.
    #[track_caller]
    fn no_file(&self) {
        for secret in &self.secrets {
            assert_eq!(self.world.search_home(secret), Vec::<PathBuf>::new());
        }
    }
}

const OPENCLAW: &str = r#"
echo started >> "$0.runs"
case "$1 $2" in
  "--version ") echo 'OpenClaw 2026.6.1 (fake)' ;;
  "secrets audit") echo '{"status":"clean","resolution":{"refsChecked":1},"summary":{},"findings":[]}' ;;
esac"#;

fn has_strace() -> bool {
    if left_out("crash") {
        return false;
    }
    assert!(
        Path::new(STRACE).is_file(),
        "{STRACE} is missing: apt-get install strace (or scripts/test --without crash)"
    );
    true
}

#[test]
fn a_secret_shows_only_where_it_was_asked_for() {
    if !has_strace() {
        return;
    }
    let setup = format!("sk-ant-oat01-{}", "FAKEcanary".repeat(8));
    let secrets = [
        "fake-canary-value-one",
        "fake-canary-token-two",
        "fake-canary-apikey-three",
        "fake-canary-gateway-four",
        setup.as_str(),
    ];
    let [value, token, key, gateway, _] = secrets;
    let watched = Watched {
        world: World::new(),
        secrets: secrets.map(str::to_owned).to_vec(),
        runs: std::cell::Cell::new(0),
    };
    let world = &watched.world;
    script(&world.bin().join("openclaw"), OPENCLAW);
    script(&world.bin().join("claude"), "echo started >> \"$0.runs\"");
    let config = format!("{{ gateway: {{ auth: {{ token: '{gateway}' }} }} }}");
    world.write(".openclaw/openclaw.json", &config);
    world.write(".openclaw/openclaw.json.bak", &config);

    let recovery = ["--recovery-file", "sheet.txt"];
    let run = |args: &[&str], stdin: &str| watched.run(args, stdin).ok();
    let _ = run(
        &["init", "--slot", "identity-file", recovery[0], recovery[1]],
        "",
    );
    let _ = run(&["secret", "set", "s/one"], value);
    let _ = run(
        &["models", "auth", "paste-token", "--provider", "fakeai"],
        token,
    );
    let _ = run(
        &["models", "auth", "paste-api-key", "--provider", "other"],
        key,
    );
    let mut pty = Pty::start(watched.cmd(&["models", "auth", "setup-token", "--yes"]));
    pty.expect("then press Enter");
    pty.send_line("");
    pty.expect("(hidden): ");
    pty.wait_hidden();
    pty.send_line(&setup);
    let _ = watched.silent(pty.finish().run).ok();
    let _ = run(&["link", "--dry-run", "--install"], "");
    let _ = run(&["link", "--yes", "--install"], "");
    for args in [
        &["secret", "list", "--json"][..],
        &["models", "auth", "list"],
        &["slot", "list"],
        &["recovery", "check", recovery[0], recovery[1]],
        &["rekey", "--yes"],
        &[
            "slot",
            "add",
            "identity-file",
            "--name",
            "b",
            "--identity-file",
            "b.txt",
        ],
        &["slot", "remove", "b", "--yes"],
        &["link", "--yes"],
        &["onboard", "--yes", "--no-paste"],
        &["scan", "--json"],
    ] {
        let _ = run(args, "");
    }
    watched.no_file();
    for program in ["openclaw", "claude"] {
        assert!(
            world.bin().join(format!("{program}.runs")).exists(),
            "{program} never ran"
        );
    }
    let noted = |at| std::fs::read_to_string(world.root().join(format!("trace-{at}"))).unwrap();
    let noted: String = (0..watched.runs.get()).map(noted).collect();
    for program in ["/bin/openclaw\"", "/bin/claude\"", "/.local/bin/clawkeep\""] {
        assert!(noted.contains(program), "{program} is not in the notes");
    }
    // Where it was asked for.
    let asked = |args: &[&str], stdin: String| watched.cmd(args).stdin(stdin).run().ok().stdout;
    assert_eq!(asked(&["secret", "get", "s/one"], String::new()), value);
    let ids = ["s/one", "provider/fakeai", "gateway/token"];
    let answer = asked(&["resolve"], common::vault::request(&ids));
    for secret in [value, token, gateway] {
        assert!(answer.contains(secret), "{answer}");
    }

    refused_and_not_repeated(&watched, [value, token, key]);
    watched.no_file();
    let _ = run(&["unlink", "--yes"], "");
    let _ = run(
        &["models", "auth", "logout", "--provider", "fakeai", "--yes"],
        "",
    );
    let _ = run(&["secret", "remove", "s/one", "--yes"], "");
    watched.no_file();
    unreadable_and_not_quoted(&watched, token, gateway);
}

/// What is refused is not repeated.
fn refused_and_not_repeated(watched: &Watched, [value, token, key]: [&str; 3]) {
    let set = &["secret", "set", "s/one"][..];
    let paste = &["models", "auth", "paste-token", "--provider", "anthropic"][..];
    for (args, stdin) in [
        (set, format!("{value}\u{7}")),
        (paste, token.to_owned()),
        (paste, format!("{key} {key}")),
        (&["secret", "set", value, value], String::new()),
        (&["secret", "get", &format!("{value}!")], String::new()),
        (&[value], String::new()),
        (
            &["secret", "set", "s/one", &format!("--value={value}")],
            String::new(),
        ),
        (
            &["secret", "set", "s/one", "--expires-in", value],
            value.to_owned(),
        ),
        (
            &[
                "models",
                "auth",
                "paste-token",
                "--provider",
                &format!("{key}:"),
            ],
            token.to_owned(),
        ),
        (
            &["--vault-id", value, "secret", "list", "--json"],
            String::new(),
        ),
        (
            &["resolve"],
            format!("{{\"protocolVersion\":1,\"ids\":[\"{value}\","),
        ),
        (
            &["resolve"],
            format!("{{\"protocolVersion\":\"{value}\",\"ids\":[]}}"),
        ),
    ] {
        let mut cmd = watched.world.cmd(args).stdin(stdin);
        cmd = cmd.env("OPENCLAW_GATEWAY_TOKEN", "");
        let run = watched.silent(cmd.run());
        assert_ne!(run.code, 0, "{run:#}");
    }
}

/// Files of others that hold plaintext and cannot be read.
fn unreadable_and_not_quoted(watched: &Watched, token: &str, gateway: &str) {
    let broken = format!("{{\"profiles\":{{\"a\":\"{token}\",}}");
    watched.world.write(
        ".local/share/clawkeep/agents/main/auth-profiles.json",
        &broken,
    );
    watched.world.write(
        ".openclaw/openclaw.json",
        format!("{{ a: '{gateway}' b: 1 }}"),
    );
    for args in [
        &["models", "auth", "list", "--json"][..],
        &["link", "--yes"],
        &["link", "--dry-run"],
    ] {
        let run = watched.run(args, "");
        assert_ne!(run.code, 0, "{run:#}");
    }
}
