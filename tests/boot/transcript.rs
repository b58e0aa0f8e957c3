//! What a boot left behind: the steps of its script, the requests that reached the model provider,
//! and the journal for the message of a failure.

use serde_json::Value;
use std::path::Path;

/// One command of a script, and what came of it.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Step {
    /// Standard output without blanks at its ends.
    pub(crate) fn text(&self) -> &str {
        self.stdout.trim()
    }

    /// The step, which must have ended well.
    #[track_caller]
    pub(crate) fn ok(&self) -> &Step {
        self.code(0)
    }

    /// The step, which must have ended with this exit code.
    #[track_caller]
    pub(crate) fn code(&self, code: i32) -> &Step {
        assert_eq!(self.code, code, "exit code of {self}");
        self
    }

    /// The step, which must not have ended well.
    #[track_caller]
    pub(crate) fn refused(&self) -> &Step {
        assert_ne!(self.code, 0, "exit code of {self}");
        self
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "[{}] exit {}", self.name, self.code)?;
        for (what, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                writeln!(f, "--- {what}\n{}", text.trim_end())?;
            }
        }
        Ok(())
    }
}

/// One boot, from power on to power off.
#[derive(Debug)]
pub(crate) struct Transcript {
    steps: Vec<Step>,
    requests: Vec<Value>,
}

impl Transcript {
    /// What lies in the folder that the machine wrote to.
    pub(crate) fn read(results: &Path) -> Transcript {
        let mut dirs: Vec<_> = std::fs::read_dir(results.join("steps"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        dirs.sort();
        let steps = dirs.iter().map(|dir| {
            let text = |name: &str| {
                let bytes = std::fs::read(dir.join(name)).unwrap_or_default();
                String::from_utf8_lossy(&bytes).into_owned()
            };
            Step {
                name: text("name"),
                // Without one it was running when the machine was cut off.
                code: text("code").trim().parse().unwrap_or(-1),
                stdout: text("stdout"),
                stderr: text("stderr"),
            }
        });
        let requests = std::fs::read_to_string(results.join("requests.jsonl")).unwrap_or_default();
        Transcript {
            steps: steps.collect(),
            requests: requests
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect(),
        }
    }

    /// The step of this name.
    #[track_caller]
    pub(crate) fn step(&self, name: &str) -> &Step {
        self.steps
            .iter()
            .find(|step| step.name == name)
            .unwrap_or_else(|| panic!("no step {name:?} in:\n{self}"))
    }

    /// The `Authorization` headers that reached the model provider during this boot, oldest first.
    pub(crate) fn bearers(&self) -> Vec<&str> {
        self.requests
            .iter()
            .map(|request| request["authorization"].as_str().unwrap_or("(none)"))
            .collect()
    }
}

impl std::fmt::Display for Transcript {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for step in &self.steps {
            write!(f, "{step}")?;
        }
        writeln!(f, "requests: {:?}", self.bearers())
    }
}
