//! A vault in a world: made, filled and asked by the real program.

use super::World;
use super::run::Cmd;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A setup-token as long as a real one, 108 characters.
pub const SETUP_TOKEN: &str = "sk-ant-oat01-FAKE-0137-0274-0411-0548-0685-0822-0959-1096-1233-1370-1507-1644-1781-1918-2055-2192-2329-2466Z";

/// A passphrase that a person could have chosen.
pub const PASSPHRASE: &str = "fake correct horse battery";

impl World {
    /// The vault's default folder.
    pub fn vault(&self) -> PathBuf {
        self.home().join(".local/share/clawkeep")
    }

    /// The default identity file.
    pub fn identity_file(&self) -> PathBuf {
        self.home().join(".config/clawkeep/identity.txt")
    }

    /// A vault with an identity-file slot and no recovery key.
    #[track_caller]
    pub fn init(&self) {
        let _ = self
            .run(&["init", "--slot", "identity-file", "--no-recovery"])
            .ok();
    }

    /// Stores a secret.
    #[track_caller]
    pub fn set(&self, id: &str, value: &str) {
        let _ = self.cmd(&["secret", "set", id]).stdin(value).run().ok();
    }

    /// What is stored under an id.
    #[track_caller]
    pub fn get(&self, id: &str) -> String {
        self.run(&["secret", "get", id]).ok().stdout
    }

    /// Stores a key as a profile.
    #[track_caller]
    pub fn paste(&self, provider: &str, profile: &str, value: &str, more: &[&str]) {
        let args = [
            "models",
            "auth",
            "paste-token",
            "--provider",
            provider,
            "--profile-id",
            profile,
        ];
        let _ = self.cmd(&[&args, more].concat()).stdin(value).run().ok();
    }

    /// `resolve` as OpenClaw calls it: no environment but what these arguments say.
    pub fn resolve_cmd(&self, request: impl Into<Vec<u8>>) -> Cmd {
        let dir = self.vault();
        let mut cmd = self
            .cmd(&["resolve", "--vault", dir.to_str().expect("UTF-8")])
            .stdin(request);
        for (name, _) in self.variables() {
            cmd = cmd.env_remove(name);
        }
        cmd.current_dir(
            Path::new(env!("CARGO_BIN_EXE_clawkeep"))
                .parent()
                .expect("a folder"),
        )
    }

    /// What OpenClaw gets for these ids.
    #[track_caller]
    pub fn resolve(&self, ids: &[&str]) -> Value {
        self.resolve_cmd(request(ids)).run().ok().json()
    }

    /// A passphrase in a private file, for flags that name one.
    pub fn passphrase_file(&self, name: &str, passphrase: &str) -> String {
        self.write(name, format!("{passphrase}\n"))
            .to_str()
            .expect("UTF-8")
            .to_owned()
    }
}

/// OpenClaw's request for these ids.
pub fn request(ids: &[&str]) -> String {
    json!({"protocolVersion": 1, "provider": "clawkeep", "ids": ids}).to_string()
}

/// Copies a folder with all that lies in it, modes included.
pub fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    let mode = std::fs::metadata(from).expect("a folder").permissions();
    std::fs::set_permissions(to, mode).expect("our own folder");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a kind").is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).expect("a copy");
        }
    }
}

/// Puts a copied folder back in a folder's place.
pub fn put_back(copy: &Path, place: &Path) {
    if place.exists() {
        std::fs::remove_dir_all(place).expect("our own folder");
    }
    copy_dir(copy, place);
}
