//! A machine before its first run: an OpenClaw, a key in plaintext, a systemd of scripts; and a person
//! who answers every question.

use crate::common::World;
use crate::common::pty::Pty;
use crate::scene::Scene;
use crate::{key_on, token};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

/// A key in OpenClaw's .env, visibly fake.
pub(crate) const OPENAI: &str = "sk-FAKE-0123456789abcdef0123456789abcdef";

/// Every question of a first run, in its order, and what is typed. The keys stand for what a test knows.
pub(crate) const QUESTIONS: [(&str, &str); 13] = [
    ("Choice [i]: ", ""),
    ("Enter when it is written down: ", ""),
    ("Type or paste the recovery key back", "KEY"),
    ("Move these into the vault? [Y/n] ", ""),
    ("Store another token or key now? [y/N] ", "y"),
    ("Provider [anthropic]: ", ""),
    ("Choice [t]: ", ""),
    ("Profile [anthropic:default]: ", ""),
    ("Paste token for anthropic (hidden): ", "TOKEN"),
    ("Does it expire? [Y/n] ", ""),
    ("In how long [365d]: ", ""),
    ("Change these files? [Y/n] ", ""),
    ("Start a keeper whenever you log in? [y/N] ", ""),
];

/// A machine with an OpenClaw, with a key in plaintext, and with a systemd of scripts.
pub(crate) struct Fresh {
    pub(crate) scene: Scene,
    system: PathBuf,
    _dir: tempfile::TempDir,
}

impl Fresh {
    pub(crate) fn new() -> Fresh {
        let scene = Scene::without_vault("2026.6.1");
        let env = format!("OPENAI_API_KEY={OPENAI}\n");
        scene.world.write(".openclaw/.env", env);
        scene.world.write(".openclaw/openclaw.json", "{}\n");
        let dir = tempfile::Builder::new()
            .prefix("onboarding-")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .unwrap();
        let system = dir.path().canonicalize().unwrap();
        let me = rustix::process::geteuid().as_raw();
        for below in [
            "etc",
            "usr/bin",
            "run/systemd/system",
            &format!("run/user/{me}"),
        ] {
            std::fs::create_dir_all(system.join(below)).unwrap();
        }
        let home = scene.world.home();
        let passwd = format!("fake:x:{me}:{me}::{}:/bin/sh\n", home.display());
        std::fs::write(system.join("etc/passwd"), passwd).unwrap();
        let systemctl = system.join("usr/bin/systemctl");
        std::fs::write(&systemctl, "#!/bin/sh\nexit 0\n").unwrap();
        for (path, bits) in [(&system, 0o755), (&systemctl, 0o755)] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(bits)).unwrap();
        }
        Fresh {
            scene,
            system,
            _dir: dir,
        }
    }

    pub(crate) fn world(&self) -> &World {
        &self.scene.world
    }

    pub(crate) fn start(&self, more: &[&str]) -> Pty {
        let root = self.system.to_str().unwrap();
        let args = [&["onboard", "--root", root], more].concat();
        Pty::start(self.scene.cmd(&args))
    }

    /// Answers every question until one that `stops` is reached, or to the end: then with
    /// the numbers of the questions that came.
    pub(crate) fn walk(&self, mut pty: Pty, stop: Option<usize>) -> (Pty, Option<Vec<usize>>) {
        let texts: Vec<&str> = QUESTIONS.iter().map(|(text, _)| *text).collect();
        let mut came = Vec::new();
        let mut key = String::new();
        while let Some(which) = pty.expect_any(&texts) {
            came.push(which);
            if stop == Some(which) {
                return (pty, None);
            }
            if which == 1 {
                key = key_on(&pty.screen());
            }
            let answer = match QUESTIONS[which].1 {
                "KEY" => key.clone(),
                "TOKEN" => token(),
                text => text.to_owned(),
            };
            if matches!(QUESTIONS[which].1, "KEY" | "TOKEN") {
                pty.wait_hidden();
            }
            pty.send_line(&answer);
        }
        (pty, Some(came))
    }

    /// What stands on this machine works: there is no vault yet, or one that opens.
    pub(crate) fn works(&self) {
        let listed = self.scene.cmd(&["secret", "list", "--json"]).run();
        let said = listed.json();
        match listed.code {
            0 => {}
            1 => assert!(
                said["error"]["message"]
                    .as_str()
                    .unwrap()
                    .contains("no vault"),
                "{listed}"
            ),
            _ => panic!("{listed}"),
        }
    }

    /// Both values are in the vault, and nothing in plaintext.
    pub(crate) fn is_whole(&self) {
        let values = self
            .scene
            .cmd(&["export", "--yes", "--output", "out.json"])
            .run();
        let _ = values.ok();
        let out = self.world().read("out.json");
        std::fs::remove_file(self.world().home().join("out.json")).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(
            out.contains(&token()) && out.contains(OPENAI),
            "a value is lost"
        );
        assert_eq!(self.world().search_home(OPENAI), Vec::<PathBuf>::new());
        assert_eq!(self.world().search_home(&token()), Vec::<PathBuf>::new());
    }
}
