//! The monitor: its units on a machine of scripts, and what arrives where somebody is told.

use super::holds;
use super::machine::{Machine, Ran, mode};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::thread::JoinHandle;

const INSTALL: [&str; 5] = ["service", "install", "--user", "--monitor", "--yes"];

/// A server that takes posts, each with one answer; gives the requests, heads and bodies.
fn server(answers: &'static [&'static str]) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!(
        "http://127.0.0.1:{}/fake-topic-of-nobody",
        listener.local_addr().unwrap().port()
    );
    let serving = std::thread::spawn(move || {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some((name, value)) = line.split_once(": ")
                    && name.eq_ignore_ascii_case("content-length")
                {
                    length = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
                head.push_str(line.trim_end());
                head.push('\n');
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            requests.push(format!("{head}\n{}", String::from_utf8(body).unwrap()));
            write!(
                stream,
                "HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            .unwrap();
        }
        requests
    });
    (address, serving)
}

/// A script of the machine that everybody can run.
fn script(m: &Machine, below: &str, text: &str) -> String {
    m.file(below, text);
    mode(&m.path(below), 0o755);
    m.path(below).display().to_string()
}

#[test]
fn a_monitor_from_dry_run_to_uninstall() {
    let m = Machine::new();
    let mut text = String::new();
    let mut note = |ran: Ran| text.extend([ran.text, "\n".to_owned()]);
    note(m.alice(&["service", "install", "--user", "--monitor", "--dry-run"]));
    note(m.alice(&["service", "install", "--user", "--monitor"]));
    note(m.alice(&INSTALL));
    note(m.alice(&["service", "status", "--user"]));
    note(m.alice(&[&INSTALL[..], &["--every", "2h", "--notify"]].concat()));
    note(m.alice(&["service", "uninstall", "--user", "--monitor"]));
    note(m.alice(&["service", "uninstall", "--user", "--monitor", "--yes"]));
    note(m.alice(&["service", "uninstall", "--user", "--monitor", "--yes"]));
    text.extend(["calls:\n".to_owned(), m.calls()]);
    let system = [
        "service",
        "install",
        "--system",
        "--for",
        "alice",
        "--monitor",
    ];
    let mut note = |ran: Ran| text.extend([ran.text, "\n".to_owned()]);
    note(m.root(&[&system[..], &["--dry-run"]].concat()));
    note(
        m.root(
            &[
                &system[..],
                &["--yes", "--ntfy", "https://ntfy.sh/fake-topic"],
            ]
            .concat(),
        ),
    );
    note(m.root(&[
        "service",
        "uninstall",
        "--system",
        "--for",
        "alice",
        "--yes",
    ]));
    text.extend(["calls:\n".to_owned(), m.calls()]);
    holds("monitor", &text);
}

#[test]
fn what_is_wrong_with_the_flags_is_said_before_anything_is_done() {
    let m = Machine::new();
    let mut text = String::new();
    let mut note = |ran: Ran| text.extend([ran.text, "\n".to_owned()]);
    for more in [
        &["--every", "5s"][..],
        &["--ntfy", "ftp://fake-topic-of-nobody"],
        &["--ntfy-file", "/nowhere/fake"],
        &["--notify", "--ntfy", "https://ntfy.sh/fake"],
        &["--isolated"],
        &["--on-problem", "no-such-program-here"],
    ] {
        note(m.alice(&[&INSTALL[..], more].concat()));
    }
    note(m.alice(&[
        "service",
        "install",
        "--user",
        "--notify",
        "--every",
        "1h",
        "--dry-run",
    ]));
    note(m.alice(&["monitor"]));
    note(m.alice(&["monitor", "--try", "--notify"]));
    text.extend(["calls:\n".to_owned(), m.calls()]);
    holds("monitor_refusals", &text);
    assert!(!m.vault().join("monitor.json").exists());
}

/// The address is in a private file and in no unit, no call and no argument.
#[test]
fn an_address_is_kept_private_and_a_post_arrives_there() {
    let m = Machine::new();
    std::os::unix::fs::symlink("/usr/bin/curl", m.path("usr/bin/curl")).unwrap();
    let (address, serving) = server(&["200 OK", "403 Forbidden", "302 Found"]);
    let file = m.vault().join("address");
    std::fs::write(&file, format!("{address}\n")).unwrap();
    mode(&file, 0o644);
    let path = file.display().to_string();
    let flags = [&INSTALL[..], &["--ntfy-file", &path]].concat();
    let open = m.alice(&flags);
    assert_eq!(open.code, 1, "others can read it: {}", open.text);
    mode(&file, 0o600);
    m.give(&file);
    let ran = m.alice(&flags);
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert!(
        ran.text.contains("it can be read on its way"),
        "{}",
        ran.text
    );
    let noted = m.vault().join("monitor.json");
    assert_eq!(
        noted.metadata().unwrap().permissions().mode() & 0o777,
        0o600
    );
    let units = m.home().join(".config/systemd/user");
    for unit in ["clawkeep-monitor.service", "clawkeep-monitor.timer"] {
        let text = m.text(&units.join(unit)).unwrap();
        assert!(!text.contains("fake-topic"), "{text}");
    }
    let told = m.alice(&["monitor", "--try"]);
    assert_eq!(told.code, 0, "{}", told.text);
    let refused = m.alice(&["monitor", "--try"]);
    assert_eq!(refused.code, 1, "{}", refused.text);
    assert!(
        refused
            .text
            .contains("it was refused there (HTTP status 403)"),
        "{}",
        refused.text
    );
    // As http where https is wanted: nothing arrived.
    let led = m.alice(&["monitor", "--try"]);
    assert_eq!(led.code, 1, "{}", led.text);
    assert!(led.text.contains("leads to another one"), "{}", led.text);
    for text in [&ran.text, &told.text, &refused.text, &led.text, &m.calls()] {
        assert!(!text.contains("fake-topic"), "{text}");
    }
    let requests = serving.join().unwrap();
    let first = requests[0].to_lowercase();
    assert!(
        first.starts_with("post /fake-topic-of-nobody http/1.1\n"),
        "{first}"
    );
    for said in [
        "\ntitle: clawkeep: a credential needs you\n",
        "\npriority: high\n",
        "\n\nthis is a sample: nothing is wrong.",
    ] {
        assert!(first.contains(said), "{said:?} in {first}");
    }
    // Nobody listens there any more.
    let gone = m.alice(&["monitor", "--try"]);
    assert!(gone.text.contains("nobody answers there"), "{}", gone.text);
}

/// What curl is started with holds neither the address nor the text.
#[test]
fn curl_reads_everything_from_its_input() {
    let m = Machine::new();
    script(
        &m,
        "usr/bin/curl",
        "#!/bin/sh\nroot=${0%/usr/bin/curl}\n{ echo \"args: $*\"; env; } > \"$root/state/curl\"\ncat > \"$root/state/input\"\nprintf 200\n",
    );
    let ran = m.alice(&[
        "monitor",
        "--try",
        "--ntfy",
        "https://ntfy.sh/fake-topic-of-nobody",
    ]);
    assert_eq!(ran.code, 0, "{}", ran.text);
    let started = m.text(&m.path("state/curl")).unwrap();
    assert!(
        started.starts_with("args: --disable --config -\n"),
        "{started}"
    );
    assert!(
        !started.contains("fake-topic") && !started.contains("sample"),
        "{started}"
    );
    let input = m.text(&m.path("state/input")).unwrap();
    assert!(
        input.ends_with("\nurl = \"https://ntfy.sh/fake-topic-of-nobody\"\n"),
        "{input}"
    );
    assert!(input.contains("\nmax-time = 30.000\n"), "{input}");
}

#[test]
fn a_command_gets_the_text_and_a_desktop_a_notification() {
    let m = Machine::new();
    let said = m.path("state/said").display().to_string();
    let command = script(
        &m,
        "state/tell",
        "#!/bin/sh\n{ echo \"code: $CLAWKEEP_PROBLEM\"; echo \"args: $2 $3\"; cat; } > \"$1\"\n",
    );
    let ran = m.alice(&[
        "monitor",
        "--try",
        "--on-problem",
        &command,
        &said,
        "--yes",
        "a b",
    ]);
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert_eq!(
        m.text(&m.path("state/said")).unwrap(),
        "code: 1\nargs: --yes a b\nclawkeep: a credential needs you\nThis is a sample: nothing is wrong.\n"
    );
    let fails = script(
        &m,
        "state/fails",
        "#!/bin/sh\necho 'no modem' >&2\nexit 3\n",
    );
    let ran = m.alice(&["monitor", "--try", "--on-problem", &fails]);
    assert_eq!(ran.code, 1, "{}", ran.text);
    assert!(ran.text.contains("fails: no modem"), "{}", ran.text);
    script(
        &m,
        "usr/bin/notify-send",
        "#!/bin/sh\nroot=${0%/usr/bin/notify-send}\nfor word; do echo \"[$word]\"; done > \"$root/state/notified\"\necho \"$DBUS_SESSION_BUS_ADDRESS\" >> \"$root/state/notified\"\n",
    );
    std::fs::write(m.path(&format!("run/user/{}/bus", m.uid())), "").unwrap();
    let ran = m.alice(&["monitor", "--try", "--notify"]);
    assert_eq!(ran.code, 0, "{}", ran.text);
    let notified = m.text(&m.path("state/notified")).unwrap();
    assert!(
        notified.starts_with(
            "[--app-name=clawkeep]\n[--urgency=critical]\n[--]\n[clawkeep: a credential needs you]\n[This is a sample: nothing is wrong.]\nunix:path="
        ),
        "{notified}"
    );
}

#[test]
fn a_step_of_the_monitor_that_fails_takes_back_those_before_it() {
    for step in ["enable", "restart"] {
        let m = Machine::new();
        m.file(&format!("state/fail-{step}"), "");
        let ran = m.alice(&[&INSTALL[..], &["--notify"]].concat());
        assert_eq!(ran.code, 1, "{step}: {}", ran.text);
        assert!(
            ran.text.contains("Everything is as it was before."),
            "{}",
            ran.text
        );
        let units = m.home().join(".config/systemd/user");
        for gone in [
            units.join("clawkeep-monitor.timer"),
            units.join("clawkeep-monitor.service"),
            m.vault().join("monitor.json"),
        ] {
            assert!(!gone.exists(), "{step}: {} is left", gone.display());
        }
    }
}

/// From a token that is expired to the command that is told, with the real `models status`.
#[test]
fn an_expired_token_is_told_once_and_the_value_never() {
    let m = Machine::new();
    let said = m.path("state/said").display().to_string();
    let command = script(
        &m,
        "state/tell",
        "#!/bin/sh\n{ echo \"code: $CLAWKEEP_PROBLEM\"; cat; } >> \"$1\"\n",
    );
    let value = format!("sk-fake-{}", "0123456789abcdef".repeat(4));
    m.store("paste-token", &value, &["--expires-in", "3h"]);
    let look = ["monitor", "--on-problem", &command, &said];
    let soon = m.alice(&look);
    assert_eq!(soon.code, 0, "{}", soon.text);
    let before = m.text(&m.path("state/said")).unwrap();
    assert_eq!(
        before,
        "code: 2\nclawkeep: a credential expires soon\nfake is in use, and its credential expires within 24 \
         hours\nhint: clawkeep models auth paste-token --provider fake --profile-id fake:main\n"
    );
    let again = m.alice(&look);
    assert!(again.text.contains("not told again"), "{}", again.text);
    assert_eq!(m.text(&m.path("state/said")).unwrap(), before);
    // Another thing is told at once; what nobody chose to be told fails in the journal.
    m.store("paste-token", &value, &["--expires-in", "1ms"]);
    let over = m.alice(&look);
    let after = m.text(&m.path("state/said")).unwrap();
    assert!(after[before.len()..].starts_with("code: 1\n"), "{after}");
    assert!(
        after[before.len()..].contains("has expired\nhint: "),
        "{after}"
    );
    for text in [&after, &soon.text, &again.text, &over.text] {
        assert!(!text.contains(&value[8..]), "{text}");
    }
    let _ = m.alice(&INSTALL);
    assert_eq!(m.alice(&["monitor"]).code, 1);
    // A new value, and all is well: nothing is told.
    m.store("paste-token", &value, &["--expires-in", "90d"]);
    let well = m.alice(&look);
    assert_eq!(well.code, 0, "{}", well.text);
    assert_eq!(m.text(&m.path("state/said")).unwrap(), after);
}

/// Whoever is to be told is told, whether it can be noted or not.
#[test]
fn what_cannot_be_noted_is_told_all_the_same() {
    let m = Machine::new();
    let said = m.path("state/said").display().to_string();
    let command = script(&m, "state/tell", "#!/bin/sh\necho told >> \"$1\"\n");
    let value = format!("sk-fake-{}", "0123456789abcdef".repeat(4));
    m.store("paste-token", &value, &["--expires-in", "3h"]);
    let note = m.vault().join("monitor-told.json");
    std::fs::create_dir(&note).unwrap();
    m.give(&note);
    for times in 1..3 {
        let ran = m.alice(&["monitor", "--on-problem", &command, &said]);
        assert_eq!(ran.code, 1, "{}", ran.text);
        assert!(ran.text.contains("it cannot be noted"), "{}", ran.text);
        let told = m.text(&m.path("state/said")).unwrap();
        assert_eq!(told, "told\n".repeat(times));
    }
}

/// Every agent counts: what is configured without a folder, and what has a folder alone.
#[test]
fn what_another_agent_lacks_is_told_and_by_its_name() {
    let m = Machine::new();
    let said = m.path("state/said").display().to_string();
    let command = script(&m, "state/tell", "#!/bin/sh\ncat >> \"$1\"\n");
    let look = ["monitor", "--on-problem", &command, &said];
    let told = || m.text(&m.path("state/said")).unwrap_or_default();
    let value = format!("sk-fake-{}", "0123456789abcdef".repeat(4));
    let openclaw = m.home().join(".openclaw");
    std::fs::create_dir_all(openclaw.join("agents/folder")).unwrap();
    let config = openclaw.join("openclaw.json");
    std::fs::write(&config, "{ agents: { list: [{ id: 'helper' }] } }").unwrap();
    for path in [
        &openclaw,
        &openclaw.join("agents"),
        &openclaw.join("agents/folder"),
        &config,
    ] {
        m.give(path);
    }
    m.store("paste-token", &value, &["--expires-in", "90d"]);
    let well = m.alice(&look);
    assert_eq!(well.code, 0, "{}", well.text);
    assert!(
        well.text.contains("all is well with 3 agents"),
        "{}",
        well.text
    );
    assert_eq!(told(), "");
    m.store_for("helper", "paste-token", &value, &["--expires-in", "3h"]);
    let ran = m.alice(&look);
    assert_eq!(ran.code, 0, "{}", ran.text);
    let first = told();
    assert_eq!(
        first,
        "clawkeep: a credential expires soon\nfake is in use, and its credential expires within 24 hours (agent \
         helper)\nhint: clawkeep models auth --agent helper paste-token --provider fake --profile-id fake:helper\n"
    );
    let again = m.alice(&look);
    assert!(again.text.contains("not told again"), "{}", again.text);
    assert_eq!(told(), first);
    // What main has is every agent's that has nothing of its own: told once, with what was told before.
    m.store("paste-token", &value, &["--expires-in", "1ms"]);
    let ran = m.alice(&look);
    assert_eq!(ran.code, 0, "{}", ran.text);
    let second = told()[first.len()..].to_owned();
    assert!(
        second.starts_with("clawkeep: a credential needs you\n"),
        "{second}"
    );
    assert_eq!(second.matches("has expired (").count(), 1, "{second}");
    assert!(second.contains("--agent folder paste-token"), "{second}");
    let again = m.alice(&look);
    assert!(again.text.contains("not told again"), "{}", again.text);
    // Well again, and then not: it is another time.
    m.store("paste-token", &value, &["--expires-in", "90d"]);
    m.store_for("helper", "paste-token", &value, &["--expires-in", "90d"]);
    assert_eq!(m.alice(&look).code, 0);
    assert!(!m.vault().join("monitor-told.json").exists());
    let before = told();
    m.store_for("helper", "paste-token", &value, &["--expires-in", "3h"]);
    assert_eq!(m.alice(&look).code, 0);
    assert_eq!(told()[before.len()..], first);
}

/// A long answer of `models status` is read to its end.
#[test]
fn a_document_of_any_length_is_read() {
    let m = Machine::new();
    m.stores(&format!("sk-fake-{}", "0123456789abcdef".repeat(4)));
    let openclaw = m.home().join(".openclaw");
    std::fs::create_dir(&openclaw).unwrap();
    let config = openclaw.join("openclaw.json");
    let name = "x".repeat(300_000);
    let text = format!(
        "{{ agents: {{ defaults: {{ model: {{ primary: 'fake/a', fallbacks: ['fake/{name}'] }} }} }} }}"
    );
    std::fs::write(&config, text).unwrap();
    for path in [&openclaw, &config] {
        m.give(path);
    }
    let status = m.alice(&["models", "status", "--json"]);
    assert!(status.stdout.len() > 300_000, "{}", status.stdout.len());
    let ran = m.alice(&["monitor", "--on-problem", "/bin/false"]);
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert!(ran.text.contains("Check: all is well"), "{}", ran.text);
}
