//! What a scan found, and what it could not see. Data only; prints nothing.
//!
//! Promise: no value and no piece of one is in here, but for the letters with which all keys of
//! a provider begin.

use std::path::PathBuf;

/// The most places of one kind that are kept by name; the rest is counted.
pub const MAX_NAMED: usize = 100;

/// How a value was written where it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// As it is.
    Plain,
    /// In base64, of either alphabet, at any offset in what was encoded.
    Base64,
    /// With `%XX`, or `+` for a blank.
    UrlEncoded,
    /// With backslashes, as in JSON, JavaScript and shells.
    JsonEscaped,
    /// As it is, or in base64, broken over lines.
    Folded,
}

impl Form {
    /// The word for people and for `--json`.
    pub fn name(self) -> &'static str {
        match self {
            Form::Plain => "plain",
            Form::Base64 => "base64",
            Form::UrlEncoded => "url-encoded",
            Form::JsonEscaped => "json-escaped",
            Form::Folded => "folded",
        }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// A stored value, by every name that it is stored under.
    Value {
        /// The names, sorted; one at least.
        names: Vec<String>,
        /// How it was written there.
        form: Form,
    },
    /// A key that is not stored, by the shape of its provider's keys.
    UnknownKey {
        /// Whose keys have that shape; `None` when several providers' have.
        provider: Option<&'static str>,
        /// Its length in bytes.
        length: usize,
        /// How all keys of that shape begin: at most four bytes of it.
        starts: &'static str,
    },
    /// A secret key of age: of this vault, or of something else.
    Identity {
        /// Whether it is the identity of the vault whose values are looked for.
        of_this_vault: bool,
    },
}

/// Where something was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In a file.
    File {
        /// The file.
        path: PathBuf,
        /// The first byte of the first place, from 0.
        offset: u64,
        /// The line of the first place, from 1; `None` when the file is no text up to there.
        line: Option<u64>,
    },
    /// In the environment or the arguments of a process.
    Process {
        /// Its number.
        pid: u32,
        /// What it calls itself; may be anything.
        program: String,
        /// The variable's name; `None` when it was found in the arguments, or the name is none.
        variable: Option<String>,
        /// Whether it stands in the arguments, which every user of the machine can read.
        in_arguments: bool,
    },
    /// In the environment that a service manager gives to what it starts.
    Manager {
        /// Whether it is the system's; otherwise the user's own.
        of_system: bool,
        /// The variable's name.
        variable: Option<String>,
    },
}

/// One thing in one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Where, the first time.
    pub place: Place,
    /// What.
    pub what: What,
    /// How often in that file, process or manager; 1 at least.
    pub count: u64,
}

/// A value that OpenClaw masked: its first and last letters, no more. Not a finding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Masked {
    /// Where, the first time.
    pub place: Place,
    /// The names that the value is stored under.
    pub names: Vec<String>,
    /// How many of its bytes the mask shows.
    pub shown: usize,
    /// How many bytes the value has.
    pub length: usize,
    /// How often; 1 at least.
    pub count: u64,
}

/// Why something could not be seen, or not wholly.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// A link, which is not followed.
    Link,
    /// A socket, pipe or device.
    Special,
    /// The system refused, with these words.
    Unreadable(String),
    /// Another file system is mounted there.
    OtherFileSystem,
    /// It changed while it was looked at.
    Changed,
    /// A file system that may keep old copies in snapshots, or in layers below; its name.
    Snapshots(&'static str),
    /// A file that an editor left behind. It was searched, but may hold a text in pieces.
    Editor,
    /// Compressed: what is inside was not searched.
    Compressed,
    /// A database whose pages hang together in no sensible way: what stands on one page was found,
    /// what is split over several may not be.
    Tangled,
    /// A process that gives its environment to nobody, or that ended meanwhile.
    Process,
    /// A service manager that did not answer, with the reason.
    Manager(String),
}

impl Why {
    /// The word for `--json`.
    pub fn name(&self) -> &'static str {
        match self {
            Why::Link => "link",
            Why::Special => "special-file",
            Why::Unreadable(_) => "unreadable",
            Why::OtherFileSystem => "other-file-system",
            Why::Changed => "changed",
            Why::Snapshots(_) => "snapshots",
            Why::Editor => "editor-file",
            Why::Compressed => "compressed",
            Why::Tangled => "tangled-database",
            Why::Process => "process",
            Why::Manager(_) => "service-manager",
        }
    }
}

/// Why the system refused, in its words.
pub(super) fn refused(error: impl Into<std::io::Error>) -> Why {
    let error: std::io::Error = error.into();
    if error.kind() == std::io::ErrorKind::PermissionDenied {
        return Why::Unreadable("permission denied".to_owned());
    }
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    Why::Unreadable(text.to_lowercase())
}

/// Places that could not be seen for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unseen {
    /// The reason.
    pub why: Why,
    /// The first [`MAX_NAMED`] places, in the order in which they were met.
    pub places: Vec<PathBuf>,
    /// How many places there are.
    pub count: u64,
}

/// What was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Searched {
    /// Files.
    pub files: u64,
    /// Their bytes, without holes.
    pub bytes: u64,
    /// Processes.
    pub processes: u64,
}

/// What came of a scan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What was found, in the order of places.
    pub findings: Vec<Finding>,
    /// Values that OpenClaw masked.
    pub masked: Vec<Masked>,
    /// What could not be seen.
    pub unseen: Vec<Unseen>,
    /// What was looked at.
    pub searched: Searched,
}

impl Report {
    /// Whether nothing was found. Masks are no finding.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// Takes in what another part of the scan brought.
    pub fn merge(&mut self, other: Report) {
        self.findings.extend(other.findings);
        self.masked.extend(other.masked);
        for unseen in other.unseen {
            self.add_unseen(unseen);
        }
        self.searched.files += other.searched.files;
        self.searched.bytes += other.searched.bytes;
        self.searched.processes += other.searched.processes;
    }

    pub(super) fn not_seen(&mut self, why: Why, place: PathBuf) {
        self.add_unseen(Unseen {
            why,
            places: vec![place],
            count: 1,
        });
    }

    fn add_unseen(&mut self, new: Unseen) {
        match self.unseen.iter_mut().find(|known| known.why == new.why) {
            Some(known) => {
                let room = MAX_NAMED.saturating_sub(known.places.len());
                known.places.extend(new.places.into_iter().take(room));
                known.count += new.count;
            }
            None => self.unseen.push(new),
        }
    }

    /// The order of places, so that two scans of the same things say the same.
    pub(super) fn sort(&mut self) {
        self.findings.sort();
        self.masked.sort();
        self.unseen.sort_by(|a, b| a.why.cmp(&b.why));
    }
}
