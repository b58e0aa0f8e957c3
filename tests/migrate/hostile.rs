//! Files and values that are not as they should be: each is said, none stops the rest, and nothing is
//! lost.

use crate::home::{ENV, OPENAI};
use crate::scene::{Scene, set_mode};
use std::os::unix::fs::symlink;

fn scene() -> Scene {
    Scene::new("2026.6.1")
}

/// What the list says, and whether OPENAI_API_KEY of a good file beside it moves.
fn beside(scene: &Scene, bad: &str) -> String {
    let good = scene
        .world
        .write("good/.env", format!("OPENAI_API_KEY={OPENAI}\n"));
    let run = scene
        .run(&["migrate", "--yes", good.to_str().unwrap(), bad])
        .ok();
    assert_eq!(scene.world.read("good/.env"), b"", "{run}");
    run.stdout + &run.stderr
}

#[test]
fn a_file_that_cannot_be_looked_through_is_said_and_left() {
    let key = "GROQ_API_KEY=gsk_FAKE0123456789abcdef\n".to_owned();
    // Above a MiB OpenClaw reads no such file.
    let scene = self::scene();
    let big = format!("{key}{}", "#".repeat(1024 * 1024));
    let path = scene.world.write("big.env", &big);
    let said = beside(&scene, path.to_str().unwrap());
    assert!(said.contains("~/big.env: not looked through"), "{said}");
    assert_eq!(scene.world.read("big.env"), big.as_bytes());

    // A link is not followed, and neither is its target changed.
    let scene = self::scene();
    let target = scene.world.write("target/keys", &key);
    let link = scene.world.home().join("link.env");
    symlink(&target, &link).unwrap();
    let said = beside(&scene, link.to_str().unwrap());
    assert!(said.contains("symbolic link"), "{said}");
    assert_eq!(scene.world.read("target/keys"), key.as_bytes());

    // A file with a second name stays: the other name would keep the value.
    let scene = self::scene();
    let one = scene.world.write("one.env", &key);
    std::fs::hard_link(&one, scene.world.home().join("two.env")).unwrap();
    let said = beside(&scene, one.to_str().unwrap());
    assert!(said.contains("hard link"), "{said}");
    assert_eq!(scene.world.read("one.env"), key.as_bytes());
    assert_ne!(scene.run(&["secret", "get", "groq:default"]).code, 0);

    // A folder in the place of OpenClaw's file.
    let scene = self::scene();
    std::fs::create_dir_all(scene.world.home().join(ENV)).unwrap();
    let said = beside(&scene, ".");
    assert!(
        said.contains("~/.openclaw/.env: not looked through: it is a folder"),
        "{said}"
    );

    // Bytes that are no text.
    let scene = self::scene();
    let path = scene
        .world
        .write("odd.env", [key.as_bytes(), b"\xff\xfe\0\x01=\n"].concat());
    let said = beside(&scene, path.to_str().unwrap());
    let left = scene.world.read("odd.env");
    assert!(left.ends_with(b"\xff\xfe\0\x01=\n"), "{said}");
    assert!(
        scene
            .world
            .search_home("gsk_FAKE0123456789abcdef")
            .is_empty()
    );
}

#[test]
fn a_file_that_cannot_be_read_or_replaced_is_said_and_left() {
    if rustix::process::geteuid().is_root() {
        eprintln!("not run: root may read and write everything");
        return;
    }
    let scene = scene();
    let path = scene
        .world
        .write("closed.env", "GROQ_API_KEY=gsk_FAKE0123456789abcdef\n");
    set_mode(&path, 0);
    let said = beside(&scene, path.to_str().unwrap());
    assert!(said.contains("permission denied"), "{said}");
    let scene = self::scene();
    let path = scene
        .world
        .write("shut/.env", "GROQ_API_KEY=gsk_FAKE0123456789abcdef\n");
    let folder = path.parent().unwrap();
    set_mode(folder, 0o500);
    let said = beside(&scene, path.to_str().unwrap());
    set_mode(folder, 0o700);
    assert!(said.contains("its folder cannot be written"), "{said}");
}

/// In a mount namespace of its own: the disk is gone with the program, however the test ends.
#[cfg(target_os = "linux")]
#[test]
fn a_file_on_a_read_only_disk_is_said_and_left() {
    let scene = scene();
    let key = "GROQ_API_KEY=gsk_FAKE0123456789abcdef\n";
    scene
        .world
        .write("good/.env", format!("OPENAI_API_KEY={OPENAI}\n"));
    scene.world.write("disk/here", "");
    let unshare = |script: &str, program: &str| {
        let mut args = vec!["--mount"];
        if !rustix::process::geteuid().is_root() {
            args.extend(["--user", "--map-root-user"]);
        }
        args.extend(["/bin/sh", "-ec", script, "sh", key, program]);
        let path = format!(
            "/usr/sbin:/usr/bin:/sbin:/bin:{}",
            scene.world.bin().display()
        );
        let cmd = scene
            .world
            .program(std::path::Path::new("/usr/bin/unshare"), &args);
        cmd.env("PATH", path)
            .env("OPENCLAW_GATEWAY_PORT", "1")
            .run()
    };
    let mount = "mount -t tmpfs -o mode=700 tmpfs disk; (umask 77; printf %s \"$1\" > disk/.env); \
                 mount -o remount,ro disk";
    let probe = unshare(mount, "");
    if probe.code != 0 {
        eprintln!("not run: this user may not mount a tmpfs: {probe}");
        return;
    }
    let program = scene.world.home().join(".local/bin/clawkeep");
    let script = format!(
        "{mount}; \"$2\" migrate --yes good/.env disk/.env; code=$?; printf 'LEFT %s' \"$(cat disk/.env)\"; exit $code"
    );
    let run = unshare(&script, program.to_str().unwrap()).ok();
    let told = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("~/disk/.env:1 GROQ_API_KEY"), "{run}");
    assert!(told.contains("the file system is read-only"), "{run}");
    assert!(
        run.stdout.ends_with(&format!("LEFT {}", key.trim_end())),
        "{run}"
    );
    assert_eq!(scene.world.read("good/.env"), b"", "{run}");
    assert_eq!(
        scene.run(&["secret", "get", "openai:default"]).ok().stdout,
        OPENAI
    );
    assert_ne!(scene.run(&["secret", "get", "groq:default"]).code, 0);
}

/// OpenClaw's `config set` of 2026.6.1 notes its arguments in a log. A log is nobody's to rewrite.
#[test]
fn a_value_that_openclaws_own_log_holds_is_named_and_left() {
    let scene = scene();
    let log = ".openclaw/logs/config-audit.jsonl";
    let noted = format!(
        "{{\"event\":\"config.write\",\"argv\":[\"config\",\"get\",\"gateway\"]}}\n\
         {{\"event\":\"config.write\",\"argv\":[\"config\",\"set\",\"models.providers.openai.apiKey\",\"{OPENAI}\"]}}\n"
    );
    scene.world.write(log, &noted);
    scene
        .world
        .write(ENV, format!("OPENAI_API_KEY={OPENAI}\nPORT=1\n"));
    let run = scene.run(&["migrate", "--yes"]).fails(1);
    let left = "left: ~/.openclaw/logs/config-audit.jsonl:2 still holds openai:default";
    assert!(run.stderr.contains(left), "{run}");
    assert!(
        run.stderr.contains("moved, but one place still holds"),
        "{run}"
    );
    assert!(
        !run.stderr.contains(OPENAI) && !run.stdout.contains(OPENAI),
        "{run}"
    );
    assert_eq!(scene.world.read(log), noted.as_bytes());
    assert_eq!(scene.world.read(ENV), b"PORT=1\n");
    assert_eq!(
        scene.run(&["secret", "get", "openai:default"]).ok().stdout,
        OPENAI
    );

    // Two of them, and as a document.
    let scene = self::scene();
    scene.world.write(log, &noted);
    scene
        .world
        .write(".openclaw/logs/other.log", format!("{OPENAI}\n"));
    scene.world.write(ENV, format!("OPENAI_API_KEY={OPENAI}\n"));
    let run = scene.run(&["migrate", "--yes"]).fails(1);
    assert!(run.stderr.contains("2 places still hold a value"), "{run}");
    let scene = self::scene();
    scene.world.write(log, &noted);
    scene.world.write(ENV, format!("OPENAI_API_KEY={OPENAI}\n"));
    let run = scene.run(&["migrate", "--yes", "--json"]).fails(1).json();
    assert_eq!(run["left"][0]["line"], 2, "{run}");
    assert_eq!(scene.world.read(log), noted.as_bytes());
}

#[test]
fn what_is_named_and_is_nothing_to_look_through_is_an_error() {
    let scene = scene();
    let run = scene.run(&["migrate", "--yes", "nowhere.env"]).fails(1);
    assert!(run.stderr.contains("does not exist"), "{run}");
    scene.world.write("notes.txt", "OPENAI_API_KEY=x");
    let run = scene.run(&["migrate", "--yes", "notes.txt"]).fails(64);
    assert!(run.stderr.contains("does not say what kind"), "{run}");
}

#[test]
fn what_is_no_credential_is_left_as_it_is() {
    let scene = scene();
    let env = "OPENAI_API_KEY=\nGROQ_API_KEY=your-api-key-here\nXAI_API_KEY=${OTHER}\n\
               MISTRAL_API_KEY=op://vault/item/key\nGEMINI_API_KEY=changeme\n";
    scene.world.write(ENV, env);
    let config = "{ models: { providers: { openai: { apiKey: { source: 'env', provider: 'default', \
                  id: 'NOT_SET' } } } }, channels: { telegram: { botToken: '' } } }\n";
    scene.config(config);
    let run = scene.run(&["migrate", "--yes"]).ok();
    assert!(
        run.stderr.contains("No plaintext credential was found."),
        "{run}"
    );
    assert_eq!(scene.world.read(ENV), env.as_bytes());
    assert_eq!(scene.config_text(), config);
}

#[test]
fn a_configuration_that_cannot_be_read_stops_before_anything_is_changed() {
    let scene = scene();
    let env = format!("OPENAI_API_KEY={OPENAI}\n");
    scene.world.write(ENV, &env);
    scene.config("{ models: ");
    let run = scene.run(&["migrate", "--yes"]).fails(1);
    assert!(run.stderr.contains("not readable as JSON5"), "{run}");
    assert_eq!(scene.world.read(ENV), env.as_bytes());
    let damaged = "{ \"version\": 1, \"profiles\": ";
    let scene = self::scene();
    scene.world.write(ENV, &env);
    scene.world.write(crate::home::PROFILES, damaged);
    let run = scene.run(&["migrate", "--yes"]).fails(1);
    assert_eq!(scene.world.read(ENV), env.as_bytes(), "{run}");
}

/// Stale lines, several names of one value, and lines that only look alike.
#[test]
fn exactly_the_migrated_assignments_go() {
    let scene = scene();
    let other = "sk-proj-FAKE-other-0123456789-0123456789";
    let env = format!(
        "\u{feff}# OPENAI_API_KEY=old\r\nOPENAI_API_KEY={other}\r\n\r\nexport  OPENAI_API_KEY = \"{OPENAI}\"   # mine\r\nMY_COPY={OPENAI}\r\nPORT=1\r\nEND=x"
    );
    scene.world.write(ENV, &env);
    let run = scene.run(&["migrate", "--yes", "--take", "MY_COPY"]).ok();
    let left = String::from_utf8(scene.world.read(ENV)).unwrap();
    assert_eq!(
        left, "\u{feff}# OPENAI_API_KEY=old\r\n\r\n   # mine\r\nPORT=1\r\nEND=x",
        "{run}"
    );
    let get = |id: &str| scene.run(&["secret", "get", id]).ok().stdout;
    assert_eq!(get("openai:default"), OPENAI);
    assert_eq!(get("old/.env/OPENAI_API_KEY"), other);
    assert_eq!(get("env/MY_COPY"), OPENAI);
}
