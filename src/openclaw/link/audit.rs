//! What `openclaw secrets audit --json` found. Places and codes only: its messages can quote.

use crate::error::{Error, Result};
use serde_json::Value;

/// The most findings kept.
const MAX_FINDINGS: usize = 10_000;

/// OpenClaw's own judgement of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Whether every ref that it found was asked for and answered.
    pub all_resolved: bool,
    /// Exec refs that it left unasked.
    pub skipped: u64,
    /// Refs that it asked for.
    pub checked: u64,
    /// What it found.
    pub findings: Vec<Finding>,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// OpenClaw's code, `PLAINTEXT_FOUND`; `UNKNOWN` for text that is no code.
    pub code: String,
    /// The file.
    pub file: String,
    /// The place in it, `profiles.anthropic:default.token`.
    pub place: String,
}

impl Audit {
    /// Reads the report; text before its first `{` at a line's start (a banner) is passed over.
    ///
    /// # Errors
    /// `Broken`, without a word of it, when it is no report.
    pub fn parse(output: &str) -> Result<Self> {
        let broken = || {
            Error::broken("openclaw secrets audit gave no report that could be read")
                .hint("openclaw secrets audit --json")
        };
        let start = if output.starts_with('{') {
            0
        } else {
            output.find("\n{").ok_or_else(broken)? + 1
        };
        let mut documents =
            serde_json::Deserializer::from_str(&output[start..]).into_iter::<Value>();
        let report = documents
            .next()
            .and_then(std::result::Result::ok)
            .ok_or_else(broken)?;
        let findings = report["findings"].as_array().ok_or_else(broken)?;
        let summary = |name: &str| report["summary"][name].as_u64().unwrap_or(0);
        let resolution = |name: &str| report["resolution"][name].as_u64().unwrap_or(0);
        let skipped = resolution("skippedExecRefs");
        Ok(Audit {
            all_resolved: summary("unresolvedRefCount") == 0
                && skipped == 0
                && report["status"] != "unresolved",
            skipped,
            checked: resolution("refsChecked"),
            findings: findings.iter().take(MAX_FINDINGS).map(finding).collect(),
        })
    }

    /// Whether there is nothing to do.
    pub fn is_clean(&self) -> bool {
        self.all_resolved && self.findings.is_empty()
    }
}

fn finding(value: &Value) -> Finding {
    let text = |name: &str, most: usize| {
        let text = value[name].as_str().unwrap_or_default();
        text.chars()
            .filter(|c| !c.is_control())
            .take(most)
            .collect::<String>()
    };
    let code = text("code", 64);
    let is_code = !code.is_empty() && code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    Finding {
        code: if is_code { code } else { "UNKNOWN".to_owned() },
        file: text("file", 4096),
        place: text("jsonPath", 1024),
    }
}
