//! A person at a pseudo-terminal, and the program in front of them: this test binary once more,
//! which asks what `CLAWKEEP_TEST_ASK` lists and writes what it got to `CLAWKEEP_TEST_RESULT`.

use clawkeep::error::Result;
use clawkeep::secret::{Alphabet, MAX_SECRET, Secret};
use clawkeep::terminal::{Hidden, Terminal, from_stdin};
use expectrl::session::OsSession;
use expectrl::{Eof, Expect, Regex, Session};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

const ASK: &str = "CLAWKEEP_TEST_ASK";
const RESULT: &str = "CLAWKEEP_TEST_RESULT";

/// Runs this binary as the program, its standard input no terminal, and shows the settings of the
/// terminal before and after, and the exit code. Ctrl-C
/// must not end the shell with it. The pseudo-terminal starts without echo.
const SHELL: &str = r#"
trap : INT
stty sane
echo "before=$(stty -g)."
"$0" child --exact --nocapture </dev/null
echo "code=$?."
echo "after=$(stty -g)."
"#;

/// What the program writes down about a hidden value.
pub fn digest(value: &[u8]) -> String {
    let mut hex = String::new();
    for byte in Sha256::digest(value) {
        write!(hex, "{byte:02x}").unwrap();
    }
    format!("{} {hex}", value.len())
}

/// The program's part. Does nothing in an ordinary run of the tests.
pub fn child() {
    let (Ok(ask), Ok(path)) = (std::env::var(ASK), std::env::var(RESULT)) else {
        return;
    };
    std::fs::write(format!("{path}.pid"), std::process::id().to_string()).unwrap();
    let mut said = String::new();
    let ended = answers(&ask, &mut said);
    if let Err(error) = &ended {
        writeln!(said, "{}: {error}", error.kind().name()).unwrap();
    }
    std::fs::write(path, said).unwrap();
    let code = ended.map_or_else(|error| error.kind().exit_code(), |()| 0);
    std::process::exit(code.into());
}

fn answers(ask: &str, said: &mut String) -> Result<()> {
    let Some(mut terminal) = Terminal::open()? else {
        writeln!(said, "no terminal").unwrap();
        return Ok(());
    };
    for word in ask.split(' ') {
        match word {
            "no-poll" => terminal = terminal.without_poll(),
            "alternate" => terminal.alternate_screen(|terminal| {
                terminal.show("RECOVERY-KEY\n")?;
                question(terminal, "key", said)
            })?,
            "panic" => terminal.alternate_screen(|_| -> Result<()> { panic!("on purpose") })?,
            "wait" => loop {
                terminal.show("waiting>")?;
                std::thread::park();
            },
            word => question(&mut terminal, word, said)?,
        }
    }
    Ok(())
}

fn question(terminal: &mut Terminal, word: &str, said: &mut String) -> Result<()> {
    let options = [("file", "an age file"), ("keychain", "the keychain")];
    let prompt = format!("{word}> ");
    let answer = match word {
        "key" => digest(&terminal.ask_hidden(&prompt, Hidden::Key)?),
        "text" => digest(&terminal.ask_hidden(&prompt, Hidden::Text)?),
        "passphrase" => digest(&terminal.ask_hidden(&prompt, Hidden::Passphrase)?),
        "secret" => {
            let value = terminal.ask_hidden(&prompt, Hidden::Key)?;
            format!("{} bytes", Secret::new(&value, Alphabet::Key)?.len())
        }
        "line" => terminal.ask_line(&prompt)?,
        "confirm" => terminal.confirm(&prompt, false)?.to_string(),
        "choose" => terminal.choose(&prompt, &options, Some("file"))?.to_owned(),
        "stdin" => from_stdin(MAX_SECRET)?.map_or("a terminal".to_owned(), |v| digest(&v)),
        other => panic!("{other}"),
    };
    writeln!(said, "{answer}").unwrap();
    Ok(())
}

/// The program as a command that asks `ask`.
pub fn program(mut command: Command, ask: &str, result: &std::path::Path) -> Command {
    command.env(ASK, ask).env(RESULT, result);
    command
}

/// A person and what they saw.
pub struct Person {
    session: OsSession,
    /// All that came to the screen so far.
    pub screen: String,
    folder: tempfile::TempDir,
}

impl Person {
    /// Starts the program under a plain shell.
    pub fn at(ask: &str) -> Self {
        Self::at_shell(ask, SHELL)
    }

    /// Starts `script` in a shell; `$0` is the program.
    pub fn at_shell(ask: &str, script: &str) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        shell.arg(std::env::current_exe().unwrap());
        Self::before(ask, shell)
    }

    /// Starts `command` with the program's questions in its environment.
    pub fn before(ask: &str, command: Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let command = program(command, ask, &folder.path().join("result"));
        let mut session = Session::spawn(command).unwrap();
        // A hang is a failure; nothing here takes a tenth of it.
        session.set_expect_timeout(Some(Duration::from_mins(2)));
        Person {
            session,
            screen: String::new(),
            folder,
        }
    }

    /// Waits until `text` is on the screen, after what was waited for before.
    pub fn sees(&mut self, text: &str) -> &mut Self {
        match self.session.expect(text) {
            Ok(seen) => self.screen += &String::from_utf8_lossy(seen.as_bytes()),
            Err(error) => panic!("{text:?} not seen: {error}; before: {}", self.screen),
        }
        self
    }

    pub fn types(&mut self, keys: impl AsRef<[u8]>) -> &mut Self {
        self.session.send(keys).unwrap();
        self
    }

    /// What the first capture of `pattern` is on the screen, waiting for it.
    pub fn reads(&mut self, pattern: &str) -> String {
        let seen = self.session.expect(Regex(pattern)).unwrap();
        self.screen += &String::from_utf8_lossy(seen.as_bytes());
        String::from_utf8(seen.get(1).unwrap().to_vec()).unwrap()
    }

    /// Sends a signal to the program.
    pub fn signals(&mut self, signal: rustix::process::Signal) -> &mut Self {
        let pid = std::fs::read_to_string(self.folder.path().join("result.pid")).unwrap();
        let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
        self
    }

    /// Waits for the end. The settings of the terminal must be what they were; returns the exit
    /// code that the shell saw.
    pub fn code(&mut self) -> String {
        let code = self.reads(r"code=(\d+)\.");
        let after = self.reads(r"after=(.*?)\.");
        self.ends();
        let before = between(&self.screen, "before=", ".");
        assert_eq!(
            before, after,
            "the terminal is not as it was: {}",
            self.screen
        );
        let (on, off) = (
            self.screen.rfind("\x1b[?2004h"),
            self.screen.rfind("\x1b[?2004l"),
        );
        assert!(on <= off, "bracketed paste stays on: {:?}", self.screen);
        code
    }

    /// Waits until the screen goes away.
    pub fn ends(&mut self) {
        let rest = self.session.expect(Eof).unwrap();
        self.screen += &String::from_utf8_lossy(rest.as_bytes());
    }

    /// What the program wrote down.
    pub fn result(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("result")).unwrap_or_default()
    }
}

/// What stands between `start` and the next `end`.
pub fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let from = text.find(start).expect(start) + start.len();
    let len = text[from..].find(end).expect(end);
    &text[from..from + len]
}
