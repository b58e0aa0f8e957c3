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
