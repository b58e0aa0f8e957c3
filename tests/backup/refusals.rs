//! What is no backup, and where none is put.

use super::common::World;
use super::{VALUE, backup, carried, home, says, system};
use serde_json::json;
use std::os::unix::fs::symlink;
use std::path::Path;

#[test]
fn a_vault_that_is_held_open_or_another_than_was_meant_is_left_alone() {
    let world = home(&["identity-file"]);
    let path = backup(&world, "usb.tar");
    let restore = ["restore", path.to_str().unwrap(), "--replace", "--yes"];
    let _ = world.run(&["unlock"]).ok();
    says(
        &world.run(&restore).fails(1),
        &["a keeper holds", "clawkeep lock"],
    );
    let _ = world.run(&["lock"]).ok();
    let _ = world.run(&restore).ok();
    let pointer =
        json!({"version": 1, "socket": "/nonexistent/s", "required": true, "release": "always"});
    world.write(".local/share/clawkeep/keeper.json", pointer.to_string());
    says(
        &world.run(&restore).fails(1),
        &["a service", "clawkeep service uninstall"],
    );
    assert!(world.vault().join("keeper.json").exists());
    let other = "00".repeat(32);
    let new = World::new();
    let file = carried(&path, &new);
    let run = new.run(&["--vault-id", &other, "restore", &file]).fails(1);
    says(&run, &["the backup is of another vault"]);
    assert!(!new.vault().exists());
}

#[test]
fn a_backup_is_a_new_file_in_a_place_of_its_own() {
    let world = home(&["identity-file"]);
    let at = |path: &Path| world.run(&["backup", path.to_str().unwrap()]);
    let taken = world.write("taken.tar", "mine");
    says(&at(&taken).fails(1), &["exists already"]);
    symlink(world.home().join("nowhere"), world.home().join("link.tar")).unwrap();
    says(
        &at(&world.home().join("link.tar")).fails(1),
        &["exists already"],
    );
    assert!(!world.home().join("nowhere").exists());
    says(
        &at(&world.vault().join("b.tar")).fails(64),
        &["vault's own folder"],
    );
    symlink(world.vault(), world.home().join("way")).unwrap();
    says(
        &at(&world.home().join("way/b.tar")).fails(64),
        &["vault's own folder"],
    );
    says(
        &at(&world.home().join("none/b.tar")).fails(1),
        &["folder does not exist"],
    );
    let run = at(&world.identity_file().with_file_name("b.tar")).ok();
    says(
        &run,
        &["note: the identity file ", "lies with it: move one"],
    );
    world.write(".openclaw/openclaw.json", "{}");
    let run = at(&world.home().join(".openclaw/b.tar")).ok();
    says(&run, &["is in OpenClaw's own folder, where agents read"]);
    assert_eq!(world.read("taken.tar"), b"mine");
    let _ = World::new().run(&["backup", "b.tar"]).fails(1);
}

#[test]
fn a_locked_vault_is_backed_up_and_a_damaged_one_is_not() {
    let world = home(&["identity-file"]);
    let key = std::fs::read(world.identity_file()).unwrap();
    std::fs::remove_file(world.identity_file()).unwrap();
    let run = world.run(&["backup", "locked.tar"]).ok();
    says(&run, &["Not checked whether it opens: "]);
    world.write(".config/clawkeep/identity.txt", key);
    let vault = world.vault().join("vault.age");
    let mut bytes = std::fs::read(&vault).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&vault, bytes).unwrap();
    let run = world.run(&["backup", "damaged.tar"]).fails(1);
    says(
        &run,
        &[
            "the vault is not whole, and a backup of it would not be",
            "copy the folder",
        ],
    );
    assert!(!world.home().join("damaged.tar").exists());
    // And the earlier one mends it.
    let _ = world
        .run(&["restore", "locked.tar", "--replace", "--yes"])
        .ok();
    assert_eq!(world.get("notes/one"), VALUE);
}

/// Every file is named by the tar that made it; none of them leaves a trace.
#[test]
fn what_is_no_backup_changes_nothing() {
    let old = home(&["identity-file"]);
    let whole = backup(&old, "usb.tar");
    let work = old.root().join("work");
    std::fs::create_dir(&work).unwrap();
    let tar = |args: &[&str]| system("/usr/bin/tar", args, &work);
    tar(&["xf", whole.to_str().unwrap()]);
    let inside = work.join("clawkeep-backup");
    let pack = |name: &str, more: &[&str]| {
        let args = [more, &["-cf", name, "clawkeep-backup"]].concat();
        tar(&args);
    };
    // The same files, as GNU tar, pax, and with other owners pack them: not what `backup` writes.
    pack("gnu.tar", &["--format=gnu"]);
    pack("pax.tar", &["--format=pax"]);
    pack("owner.tar", &["--format=ustar", "--owner=fake:1000"]);
    symlink("/etc/passwd", inside.join("slots/link.age")).unwrap();
    pack("symlink.tar", &["--format=ustar"]);
    std::fs::remove_file(inside.join("slots/link.age")).unwrap();
    std::fs::hard_link(inside.join("vault.age"), inside.join("slots/hard.age")).unwrap();
    pack("hardlink.tar", &["--format=ustar"]);
    std::fs::remove_file(inside.join("slots/hard.age")).unwrap();
    system("/usr/bin/mkfifo", &["slots/pipe.age"], &inside);
    pack("pipe.tar", &["--format=ustar"]);
    for (name, as_what) in [
        ("up", "../escaped"),
        ("absolute", "/escaped"),
        ("dot", "./escaped"),
    ] {
        let transform = format!("--transform=s|.*|{as_what}|");
        let name = format!("{name}.tar");
        tar(&[
            "-P",
            "--format=ustar",
            &transform,
            "-cf",
            &name,
            "clawkeep-backup/README.txt",
        ]);
    }
    let bytes = std::fs::read(&whole).unwrap();
    std::fs::write(work.join("empty.tar"), b"").unwrap();
    std::fs::write(work.join("cut.tar"), &bytes[..bytes.len() / 2]).unwrap();
    std::fs::write(work.join("longer.tar"), [&bytes[..], b"x"].concat()).unwrap();
    let members = &bytes[..bytes.len() - 1024];
    std::fs::write(work.join("twice.tar"), [members, &bytes].concat()).unwrap();
    std::fs::write(work.join("zip.tar"), b"PK\x03\x04").unwrap();
    std::fs::write(
        work.join("vault.tar"),
        std::fs::read(old.vault().join("vault.age")).unwrap(),
    )
    .unwrap();
    // Ten GiB that are not there.
    let huge = std::fs::File::create(work.join("huge.tar")).unwrap();
    huge.set_len(10 << 30).unwrap();
    symlink(&whole, work.join("way.tar")).unwrap();

    let new = World::new();
    let before = new.tree();
    let mut seen = 0;
    for entry in std::fs::read_dir(&work).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none() {
            continue;
        }
        seen += 1;
        let run = new.run(&["restore", path.to_str().unwrap()]).fails(1);
        assert!(run.stderr.contains(path.to_str().unwrap()), "{run}");
        assert_eq!(new.tree(), before, "{}", path.display());
    }
    assert_eq!(seen, 17);
    assert!(!old.root().join("escaped").exists() && !Path::new("/escaped").exists());
    let _ = new.run(&["restore", "none.tar"]).fails(1);
    let _ = new.run(&["restore", "."]).fails(1);
    assert_eq!(new.tree(), before);
    let file = carried(&whole, &new);
    let _ = new.run(&["restore", &file]).ok();
}
