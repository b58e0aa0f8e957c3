//! The one error type. Ring 0: knows nothing but words.
//!
//! Promise: an error says what happened and to which thing, and may carry one hint that can be
//! typed. It never carries a secret, nor input that could not be parsed: callers describe such
//! input by its place and by what was expected.

use std::fmt;
use std::path::Path;

/// What the caller can do about an error. Decides the exit code and the protocol code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The command line or a value on it is wrong. Exit code 64.
    Usage,
    /// The thing exists but cannot be opened now, by this caller. Exit code 75.
    Locked,
    /// The thing exists but is damaged, forged, or not what it should be. Exit code 1.
    Broken,
    /// A named thing is not there. Exit code 1.
    Missing,
    /// Everything else that went wrong. Exit code 1.
    Failed,
    /// Only with `--check`: something stops working soon. Exit code 2.
    Expiring,
    /// A command that was to be started is there and cannot be. Exit code 126, as env(1).
    NotStarted,
    /// A command that was to be started is not there. Exit code 127, as env(1).
    NoCommand,
    /// The person said no, or pressed Ctrl-C. Exit code 130.
    Cancelled,
    /// Whoever read our output has gone. Silence, exit code 0.
    BrokenPipe,
}

impl Kind {
    /// The process exit code, as listed in the README.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Usage => 64,
            Kind::Locked => 75,
            Kind::Broken | Kind::Missing | Kind::Failed => 1,
            Kind::Expiring => 2,
            Kind::NotStarted => 126,
            Kind::NoCommand => 127,
            Kind::Cancelled => 130,
            Kind::BrokenPipe => 0,
        }
    }

    /// A stable word for `--json` output.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Usage => "usage",
            Kind::Locked => "locked",
            Kind::Broken => "broken",
            Kind::Missing => "missing",
            Kind::Failed => "failed",
            Kind::Expiring => "expiring",
            Kind::NotStarted => "not-started",
            Kind::NoCommand => "no-command",
            Kind::Cancelled => "cancelled",
            Kind::BrokenPipe => "broken-pipe",
        }
    }
}

/// What is said when a person said no.
const DECLINED: &str = "nothing was changed, as you said";

/// What happened, to which thing, and the next thing to type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    message: String,
    hint: Option<String>,
}

/// The result of everything in this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of `kind`. No capital, no full stop, no secret, no unparsed input.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error {
            kind,
            message: message.into(),
            hint: None,
        }
    }

    /// See [`Kind::Usage`].
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// See [`Kind::Locked`].
    pub fn locked(message: impl Into<String>) -> Self {
        Self::new(Kind::Locked, message)
    }

    /// See [`Kind::Broken`].
    pub fn broken(message: impl Into<String>) -> Self {
        Self::new(Kind::Broken, message)
    }

    /// See [`Kind::Missing`].
    pub fn missing(message: impl Into<String>) -> Self {
        Self::new(Kind::Missing, message)
    }

    /// See [`Kind::Failed`].
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// See [`Kind::Cancelled`].
    pub fn cancelled() -> Self {
        Self::new(Kind::Cancelled, "cancelled, nothing was stored")
    }

    /// A person who is asked said no, and nothing was done. [`Kind::Cancelled`] too.
    pub fn declined() -> Self {
        Self::new(Kind::Cancelled, DECLINED)
    }

    /// Whether a person said no, rather than leave altogether.
    pub fn is_declined(&self) -> bool {
        self.kind == Kind::Cancelled && self.message == DECLINED
    }

    /// A failure that the output says already: only the exit code says it again.
    pub fn shown() -> Self {
        Self::new(Kind::Failed, "")
    }

    /// An operating system error, said with the verb and the path that it befell:
    /// `cannot read /x/y: permission denied`.
    pub fn io(verb: &str, path: &Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind as E;
        let kind = match error.kind() {
            E::BrokenPipe => Kind::BrokenPipe,
            E::NotFound => Kind::Missing,
            _ => Kind::Failed,
        };
        let reason = match error.kind() {
            E::NotFound if verb == "write" => "its folder does not exist".to_owned(),
            E::NotFound => "it does not exist".to_owned(),
            E::PermissionDenied => "permission denied".to_owned(),
            E::StorageFull => "the disk is full".to_owned(),
            E::QuotaExceeded => "the disk quota is used up".to_owned(),
            E::ReadOnlyFilesystem => "the file system is read-only".to_owned(),
            E::IsADirectory => "it is a folder".to_owned(),
            E::NotADirectory => "a part of the path is not a folder".to_owned(),
            _ => plain_os_text(error),
        };
        Self::new(kind, format!("cannot {verb} {}: {reason}", path.display()))
    }

    /// Adds the next thing to type. The first hint given stays.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        if self.hint.is_none() {
            self.hint = Some(hint.into());
        }
        self
    }

    /// Puts `context: ` before the message.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// The same error as another kind.
    #[must_use]
    pub fn as_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// What the caller can do about it.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What happened, to which thing.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The next thing to type.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// A path as it can be typed into a shell, as [`word`].
pub fn typed(path: &Path) -> String {
    word(&path.display().to_string())
}

/// A text as one word for a shell: quoted where a character could mean anything there. Hints are copied
/// and run, and a name can come out of a file that others wrote.
pub fn word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+@%:,=".contains(c);
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Rust appends `(os error N)`, which tells a person nothing.
fn plain_os_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => "unknown error".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_the_documented_ones() {
        let codes = [
            (Kind::Usage, 64),
            (Kind::Locked, 75),
            (Kind::Broken, 1),
            (Kind::Missing, 1),
            (Kind::Failed, 1),
            (Kind::NotStarted, 126),
            (Kind::NoCommand, 127),
            (Kind::Cancelled, 130),
            (Kind::BrokenPipe, 0),
        ];
        for (kind, code) in codes {
            assert_eq!(kind.exit_code(), code, "{}", kind.name());
        }
    }

    #[test]
    fn io_errors_name_the_path_and_drop_the_number() {
        let error = std::io::Error::from_raw_os_error(13);
        let said = Error::io("read", Path::new("/x/y"), &error);
        assert_eq!(said.message(), "cannot read /x/y: permission denied");
        let other = std::io::Error::from_raw_os_error(5);
        let said = Error::io("write", Path::new("/x"), &other);
        assert!(!said.message().contains("os error"), "{said}");
    }

    #[test]
    fn a_path_in_a_hint_is_one_word_to_a_shell() {
        for (path, said) in [
            ("/home/ü/a-b_c.json", "/home/ü/a-b_c.json"),
            ("/x; rm -rf ~", "'/x; rm -rf ~'"),
            ("/it's $(x)", r"'/it'\''s $(x)'"),
            ("-rf", "'-rf'"),
            ("", "''"),
        ] {
            assert_eq!(typed(Path::new(path)), said);
        }
    }

    #[test]
    fn the_first_hint_stays() {
        let error = Error::failed("x").hint("a").hint("b");
        assert_eq!(error.hint_text(), Some("a"));
    }
}
