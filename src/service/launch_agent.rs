//! The LaunchAgent of the keeper, for macOS. Ring 2.
//!
//! Source: launchd.plist(5). Rendered and tested as text; it has never been loaded on a Mac.

use super::text;
use crate::error::Result;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The agent's label, and its file's name before `.plist`.
pub const LABEL: &str = "dev.clawkeep.keeper";

/// The keeper, as launchd starts it at login.
#[derive(Debug, Clone)]
pub struct LaunchAgent {
    /// The program, absolute.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
}

impl LaunchAgent {
    /// Where its file lies.
    pub fn path(home: &Path) -> PathBuf {
        home.join("Library/LaunchAgents")
            .join(format!("{LABEL}.plist"))
    }

    /// The property list.
    ///
    /// # Errors
    /// `Failed` for a path that is not absolute, not UTF-8, or has control characters.
    pub fn render(&self) -> Result<String> {
        let mut words = vec![text::path_text(&self.program, "the path of the program")?];
        for arg in &self.args {
            words.push(text::checked(arg, "an argument")?);
        }
        let mut args = String::new();
        for word in words {
            let _ = writeln!(args, "    <string>{}</string>", escaped(word));
        }
        Ok(format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>{LABEL}</string>
  <key>ProgramArguments</key>
  <array>
{args}  </array>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ProcessType</key>
  <string>Background</string>
  <key>Umask</key>
  <integer>63</integer>
  <key>HardResourceLimits</key>
  <dict>
    <key>Core</key>
    <integer>0</integer>
  </dict>
</dict>
</plist>
"#
        ))
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_single_strings_whatever_they_hold() {
        let agent = LaunchAgent {
            program: PathBuf::from("/Users/fake/a & b/clawkeep"),
            args: vec!["keeper".into(), "</string><key>x".into()],
        };
        let plist = agent.render().unwrap();
        assert!(plist.contains("    <string>/Users/fake/a &amp; b/clawkeep</string>\n"));
        assert!(plist.contains("    <string>&lt;/string&gt;&lt;key&gt;x</string>\n"));
        assert_eq!(plist.matches("<string>").count(), 5);
        let bad = LaunchAgent {
            args: vec!["a\nb".into()],
            ..agent
        };
        assert!(bad.render().is_err());
    }
}
