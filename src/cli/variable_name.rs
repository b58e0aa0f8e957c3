//! The name of an environment variable that a secret is put into. Ring 4.
//!
//! Promise: a value of this type can be set on every system, and is none of the variables that decide
//! which code a program runs. A stored secret may have been written by somebody else than the person
//! who types the command, and must not become a library that is loaded, an option of an interpreter,
//! or the folder that settings are read from. The list holds what is known; it is a guard against
//! mistakes, not a wall around programs.

use crate::error::{Error, Result};
use std::fmt;

/// The most bytes of a name.
const MAX: usize = 255;

/// Variables that decide what code runs, in capitals.
const DECIDING: &[&str] = &[
    // the shell, and where programs and settings are found
    "BASHOPTS",
    "BASH_ENV",
    "CDPATH",
    "COMSPEC",
    "ENV",
    "FPATH",
    "GLOBIGNORE",
    "HOME",
    "IFS",
    "PATH",
    "PATHEXT",
    "PROMPT_COMMAND",
    "PS1",
    "PS2",
    "PS4",
    "PSMODULEPATH",
    "SHELL",
    "SHELLOPTS",
    "SYSTEMROOT",
    "TMPDIR",
    "USERPROFILE",
    "WINDIR",
    "XDG_CONFIG_DIRS",
    "XDG_CONFIG_HOME",
    "XDG_DATA_DIRS",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "ZDOTDIR",
    // programs that are started by others
    "BROWSER",
    "EDITOR",
    "LESSCLOSE",
    "LESSOPEN",
    "MANPAGER",
    "PAGER",
    "SSH_ASKPASS",
    "SUDO_ASKPASS",
    "VISUAL",
    // the C library and what it loads
    "GCONV_PATH",
    "GETCONF_DIR",
    "GIO_EXTRA_MODULES",
    "GLIBC_TUNABLES",
    "GTK_MODULES",
    "HOSTALIASES",
    "LOCPATH",
    "NLSPATH",
    "OPENSSL_CONF",
    "OPENSSL_ENGINES",
    "OPENSSL_MODULES",
    "QT_PLUGIN_PATH",
    "TERMINFO",
    // interpreters and build tools
    "BUN_OPTIONS",
    "CLASSPATH",
    "DENO_DIR",
    "DOTNET_STARTUP_HOOKS",
    "ELECTRON_RUN_AS_NODE",
    "GOFLAGS",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "LUA_CPATH",
    "LUA_INIT",
    "LUA_PATH",
    "MAKEFLAGS",
    "PERL5DB",
    "PERL5LIB",
    "PERL5OPT",
    "PERLLIB",
    "PHPRC",
    "PHP_INI_SCAN_DIR",
    "RUBYLIB",
    "RUBYOPT",
    "RUSTC",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
    "TS_NODE_PROJECT",
    "_JAVA_OPTIONS",
    // where OpenClaw and clawkeep find what they trust
    "CLAWKEEP_NODE",
    "CLAWKEEP_VAULT",
    "OPENCLAW_AGENT_DIR",
    "OPENCLAW_CONFIG_PATH",
    "OPENCLAW_HOME",
    "OPENCLAW_STATE_DIR",
    "PI_CODING_AGENT_DIR",
];

/// Beginnings of such names.
const DECIDING_FAMILIES: &[&str] = &[
    "BASH_FUNC_",
    "COR_",
    "CORECLR_",
    "DYLD_",
    "GIT_",
    "LD_",
    "NODE_",
    "NPM_CONFIG_",
    "PYTHON",
    "_RLD_",
];

/// The name of a variable that may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct VariableName(String);

impl VariableName {
    /// Parses a name: `[A-Za-z_][A-Za-z0-9_]*`, at most 255 bytes.
    ///
    /// # Errors
    /// `Usage` for anything else, which is not repeated, and for a variable that decides what code
    /// runs.
    pub fn parse(text: &str) -> Result<Self> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if text.is_empty()
            || text.len() > MAX
            || text.starts_with(|c: char| c.is_ascii_digit())
            || !text.bytes().all(plain)
        {
            return Err(Error::usage(
                "a variable's name has letters, digits and _ only, a letter or _ first",
            )
            .hint("clawkeep run --env ANTHROPIC_API_KEY=anthropic:default -- CMD"));
        }
        // Some programs take either spelling, and on Windows there is but one.
        let name = text.to_ascii_uppercase();
        if DECIDING.contains(&name.as_str())
            || DECIDING_FAMILIES
                .iter()
                .any(|start| name.starts_with(start))
        {
            return Err(Error::usage(format!(
                "{text} decides which code a program runs or where it finds it; no secret is put there"
            ))
            .hint("clawkeep run --env ANTHROPIC_API_KEY=anthropic:default -- CMD"));
        }
        Ok(VariableName(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VariableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::variables::VARIABLES;
    use proptest::prelude::*;

    #[test]
    fn every_variable_of_a_provider_can_be_set() {
        for (provider, variables) in VARIABLES {
            for variable in *variables {
                let parsed = VariableName::parse(variable.name);
                assert!(parsed.is_ok(), "{provider}: {}", variable.name);
            }
        }
        for name in [
            "_",
            "a",
            "GITHUB_TOKEN",
            "OPENCLAW_GATEWAY_TOKEN",
            "HTTPS_PROXY",
            "NPM_TOKEN",
        ] {
            assert_eq!(VariableName::parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn what_decides_which_code_runs_is_refused_in_any_spelling() {
        for name in [
            "LD_PRELOAD",
            "ld_preload",
            "LD_AUDIT",
            "DYLD_INSERT_LIBRARIES",
            "PATH",
            "Path",
            "NODE_OPTIONS",
            "NODE_PATH",
            "BASH_ENV",
            "IFS",
            "PYTHONPATH",
            "PERL5OPT",
            "GIT_SSH_COMMAND",
            "npm_config_script_shell",
            "HOME",
            "OPENCLAW_STATE_DIR",
        ] {
            let error = VariableName::parse(name).unwrap_err();
            assert!(error.message().starts_with(name), "{error}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused_and_not_repeated() {
        for text in [
            "",
            "1A",
            "A-B",
            "A B",
            "A=B",
            "Ü",
            "A\0",
            "BASH_FUNC_x%%",
            &"A".repeat(256),
        ] {
            let error = VariableName::parse(text).unwrap_err();
            assert!(error.message().starts_with("a variable's name"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn only_names_pass(text in "\\PC{0,12}|[A-Za-z0-9_]{1,12}") {
            if let Ok(name) = VariableName::parse(&text) {
                prop_assert_eq!(name.as_str(), &text);
                prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
                prop_assert!(!text.as_bytes()[0].is_ascii_digit());
            }
        }
    }
}
