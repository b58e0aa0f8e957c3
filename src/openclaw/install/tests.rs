//! How OpenClaw is found and run, with scripts in its place.

use super::*;
use std::os::unix::fs::{PermissionsExt, symlink};

/// Writes a program, by another process: had this one it open for writing, a child that another test
/// starts at that moment would have it open too, and no program that is open for writing can be run.
fn script(path: &Path, body: &str) {
    let mut writer = Command::new("/bin/sh")
        .args(["-c", r#"cat > "$0" && chmod 755 "$0""#])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let text = format!("#!/bin/sh\n{body}\n");
    let mut pipe = writer.stdin.take().unwrap();
    pipe.write_all(text.as_bytes()).unwrap();
    drop(pipe);
    assert!(writer.wait().unwrap().success());
}

fn package(root: &Path, json: &str) -> PathBuf {
    let dir = root.join("lib/node_modules/openclaw");
    std::fs::create_dir_all(&dir).unwrap();
    file::create(&dir.join("package.json"), json.as_bytes(), 0o644).unwrap();
    script(&dir.join("openclaw.mjs"), "exit 0");
    dir
}

const PACKAGE: &str = r#"{"name": "openclaw", "version": "2026.9.6"}"#;

fn find(path: &Path) -> Result<Install> {
    let node = Some(PathBuf::from("/bin/sh"));
    Install::at(path, node, &Host::real())
}

#[test]
fn the_version_is_the_packages_however_it_is_reached() {
    let root = tempfile::tempdir().unwrap();
    let dir = package(root.path(), PACKAGE);
    let link = root.path().join("openclaw");
    symlink(dir.join("openclaw.mjs"), &link).unwrap();
    for path in [dir.clone(), dir.join("openclaw.mjs"), link] {
        let install = find(&path).unwrap();
        assert_eq!(
            install.version().to_string(),
            "2026.9.6",
            "{}",
            path.display()
        );
        assert!(install.program().ends_with("openclaw.mjs"));
    }
}

#[test]
fn a_wrapper_without_a_package_is_asked() {
    let root = tempfile::tempdir().unwrap();
    let program = root.path().join("openclaw");
    script(
        &program,
        "echo 'a banner'; echo 'OpenClaw 2026.6.1 (2e08f0f)'; echo $1 >&2",
    );
    assert_eq!(find(&program).unwrap().version().to_string(), "2026.6.1");
    let mute = root.path().join("mute");
    script(&mute, "echo 2026.6.1; exit 3");
    assert_eq!(find(&mute).unwrap_err().kind(), crate::error::Kind::Broken);
}

#[test]
fn what_is_named_and_not_there_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    for path in [root.path().join("none"), root.path().to_owned()] {
        assert_eq!(find(&path).unwrap_err().kind(), crate::error::Kind::Missing);
    }
    let odd = package(
        root.path(),
        r#"{"name": "openclaw", "version": "tomorrow"}"#,
    );
    let said = find(&odd).unwrap_err();
    assert!(!said.message().contains("tomorrow"), "{said}");
}

fn install(body: &str, root: &Path) -> Install {
    let program = root.join("openclaw");
    script(&program, body);
    Install {
        program,
        node: None,
        found_node: None,
        version: Version::parse("2026.9.6").unwrap(),
        package: None,
    }
}

#[test]
fn a_run_gives_code_and_both_outputs_and_no_input() {
    let root = tempfile::tempdir().unwrap();
    let install = install(
        "cat; echo \"$1 $EXTRA $OPENCLAW_NO_RESPAWN\"; echo no >&2; exit 7",
        root.path(),
    );
    let out = install
        .run(
            &["secrets"],
            Duration::from_mins(1),
            &[("EXTRA", OsStr::new("x"))],
        )
        .unwrap();
    assert_eq!(
        (out.code, out.stdout.as_str(), out.stderr.as_str()),
        (Some(7), "secrets x 1\n", "no\n")
    );
}

#[test]
fn output_without_end_is_cut_and_does_not_block() {
    let root = tempfile::tempdir().unwrap();
    let install = install("head -c 6000000 /dev/zero", root.path());
    let out = install.run(&[], Duration::from_mins(1), &[]).unwrap();
    assert_eq!((out.code, out.stdout.len()), (Some(0), MAX_OUTPUT));
}

#[test]
fn a_run_ends_when_its_time_is_up() {
    let root = tempfile::tempdir().unwrap();
    let install = install("exec tail -f /dev/null", root.path());
    let said = install
        .run(
            &["models", "status", "--json"],
            Duration::from_millis(50),
            &[],
        )
        .unwrap_err();
    assert!(
        said.message().starts_with("openclaw models status: "),
        "{said}"
    );
    assert!(said.message().contains("did not end within"), "{said}");
}

#[test]
fn a_program_that_cannot_be_started_is_said() {
    let root = tempfile::tempdir().unwrap();
    let install = install("exit 0", root.path());
    let closed = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&install.program, closed).unwrap();
    let said = install.run(&[], Duration::from_secs(5), &[]).unwrap_err();
    assert!(said.message().contains("permission denied"), "{said}");
}
