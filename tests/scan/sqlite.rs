//! Databases that SQLite itself wrote: values that lie across its pages, in its log, and in rows that
//! were deleted.

use super::{found, with_value};
use crate::common::{World, cache, left_out};
use std::path::{Path, PathBuf};

const VALUE: &str = "sk-ant-oat01-FAKE-scan-sqlite-0123456789-0123456789-0123456789-0123456789-0123456789-0123456789-01234567890";

/// The newest Node here, which has SQLite in it.
fn node() -> Option<PathBuf> {
    if left_out("openclaw") {
        return None;
    }
    let node = cache().join("node/26/node");
    assert!(
        node.is_file(),
        "Node is not installed for tests: run scripts/test, or leave it out: scripts/test --without openclaw"
    );
    Some(node)
}

/// Runs a script with `db`, a database at the path in the state folder, and `VALUE`.
fn run(world: &World, node: &Path, name: &str, script: &str) -> PathBuf {
    let path = world.write(&format!(".openclaw/{name}"), "");
    let before = "const { DatabaseSync } = require('node:sqlite');
        const [path, VALUE] = process.argv.slice(1);
        const db = new DatabaseSync(path);";
    let script = format!("{before}\n{script}");
    let args = ["-e", &script, path.to_str().unwrap(), VALUE];
    let run = world
        .program(node, &args)
        .env("NODE_NO_WARNINGS", "1")
        .run()
        .ok();
    assert_eq!(run.stderr, "");
    path
}

fn holds(path: &Path) -> bool {
    let bytes = std::fs::read(path).unwrap_or_default();
    bytes
        .windows(VALUE.len())
        .any(|window| window == VALUE.as_bytes())
}

/// Rows of every length around a page, so that the value crosses a border at every one of its letters.
#[test]
fn a_value_across_two_pages_of_a_database_is_found_wherever_it_is_cut() {
    let Some(node) = node() else { return };
    let world = with_value(VALUE);
    for (page, step) in [(512, 1), (4096, 2), (65536, 40)] {
        // What stands before the value fills two pages and up to 160 bytes more.
        let rows = 160 / step;
        let path = run(&world, &node, "cut.sqlite", &format!(
            "db.exec('PRAGMA page_size = {page}; CREATE TABLE t (n INTEGER PRIMARY KEY, v TEXT)');
             const add = db.prepare('INSERT INTO t VALUES (?, ?)');
             for (let n = 0; n < 160; n += {step}) add.run(n, 'x'.repeat({page} * 2 + n) + VALUE + 'y'.repeat({page} * 3));
             db.close();"
        ));
        let document = world.run(&["scan", "--json"]).fails(1).json();
        let findings = document["findings"].as_array().unwrap();
        let places: u64 = findings
            .iter()
            .map(|finding| finding["count"].as_u64().unwrap())
            .sum();
        assert_eq!(places, rows, "pages of {page}");
        assert_eq!(
            document["unseen"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|unseen| unseen["kind"] == "tangled-database")
                .count(),
            0
        );
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_value_that_is_cut_is_found_once_and_in_every_kind_of_table() {
    let Some(node) = node() else { return };
    let world = with_value(VALUE);
    let befores = (300..1_400).step_by(37);
    for more in ["WITHOUT ROWID", ""] {
        // A database for each length, named by it.
        let script = format!(
            "for (const before of {:?}) {{
                const db = new DatabaseSync(path + before);
                db.exec('PRAGMA page_size = 512; CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT) {more}');
                db.prepare('INSERT INTO t VALUES (?, ?)').run('k', 'x'.repeat(before) + VALUE + 'y'.repeat(2000));
                db.close();
            }}",
            befores.clone().collect::<Vec<usize>>()
        );
        run(&world, &node, "cut", &script);
        let run = world.run(&["scan", "--json"]).fails(1);
        let mut expected: Vec<String> = befores
            .clone()
            .map(|n| format!(".openclaw/cut{n}"))
            .collect();
        expected.sort();
        assert_eq!(found(&world, &run), expected);
        for finding in run.json()["findings"].as_array().unwrap() {
            assert_eq!(finding["count"], 1, "{finding}");
        }
        let cut = befores
            .clone()
            .filter(|n| !holds(&world.home().join(format!(".openclaw/cut{n}"))));
        assert!(cut.count() > 3, "hardly one of them is cut");
        std::fs::remove_dir_all(world.home().join(".openclaw")).unwrap();
    }
}

#[test]
fn the_log_of_a_database_is_searched_with_it_and_by_itself() {
    let Some(node) = node() else { return };
    let world = with_value(VALUE);
    // The process ends without closing, so that the log stays.
    let script = |before: usize| {
        format!(
        "db.exec('PRAGMA page_size = 512; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0');
         db.exec('CREATE TABLE t (n INTEGER PRIMARY KEY, v TEXT)');
         const add = db.prepare('INSERT INTO t VALUES (?, ?)');
         for (let n = 0; n < 20; n++) add.run(n, 'z'.repeat(700 + n));
         add.run(100, 'x'.repeat({before}) + VALUE + 'y'.repeat(1000));
         process.kill(process.pid, 'SIGKILL');"
    )
    };
    let mut split = 0;
    for before in (700..1_300).step_by(97) {
        let path = world.write(".openclaw/log.sqlite", "");
        let full = format!(
            "const {{ DatabaseSync }} = require('node:sqlite');
            const [path, VALUE] = process.argv.slice(1); const db = new DatabaseSync(path); {}",
            script(before)
        );
        let killed = world
            .program(&node, &["-e", &full, path.to_str().unwrap(), VALUE])
            .env("NODE_NO_WARNINGS", "1")
            .run();
        assert_eq!(killed.code, 137, "{killed}");
        let wal = path.with_file_name("log.sqlite-wal");
        assert!(wal.is_file());
        split += usize::from(!holds(&wal));
        let run = world.run(&["scan", "--json"]).fails(1);
        assert_eq!(
            found(&world, &run),
            [".openclaw/log.sqlite-wal"],
            "{before}"
        );
        // A log whose database is gone.
        std::fs::remove_file(path.with_file_name("log.sqlite-shm")).unwrap();
        std::fs::remove_file(path).unwrap();
        let run = world.run(&["scan", "--json"]).fails(1);
        assert_eq!(
            found(&world, &run),
            [".openclaw/log.sqlite-wal"],
            "{before}"
        );
        std::fs::remove_file(wal).unwrap();
    }
    assert!(split > 0, "no round had the value in two frames");
}

#[test]
fn deleted_rows_are_found_until_the_database_is_vacuumed() {
    let Some(node) = node() else { return };
    let world = with_value(VALUE);
    let make = "db.exec('PRAGMA page_size = 512; PRAGMA secure_delete = 0; CREATE TABLE t (n INTEGER PRIMARY KEY, v TEXT)');
        const add = db.prepare('INSERT INTO t VALUES (?, ?)');
        for (let n = 0; n < 60; n++) add.run(n, 'x'.repeat(n * 20) + VALUE + 'y'.repeat(900));
        db.exec('DELETE FROM t');";
    let path = run(
        &world,
        &node,
        "deleted.sqlite",
        &format!("{make} db.close();"),
    );
    let document = world.run(&["scan", "--json"]).fails(1).json();
    assert!(
        document["findings"][0]["count"].as_u64().unwrap() > 50,
        "{document}"
    );
    std::fs::remove_file(path).unwrap();
    let path = run(
        &world,
        &node,
        "deleted.sqlite",
        &format!("{make} db.exec('VACUUM'); db.close();"),
    );
    let _ = world.run(&["scan"]).ok();
    assert!(!holds(&path));
}

/// Pages that name one another in circles, and cells that lead anywhere.
#[test]
fn a_database_that_was_made_to_harm_ends() {
    let world = with_value(&"F".repeat(60_000));
    for seed in 0..3u32 {
        let mut bytes = vec![0u8; 512 * 4_000];
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state
        };
        for (number, page) in bytes.chunks_mut(512).enumerate() {
            page.chunks_mut(4)
                .for_each(|word| word.copy_from_slice(&(random() % 4_000).to_be_bytes()));
            if number % 3 == seed as usize % 3 {
                page[0] = 0x0d;
                page[3..5].copy_from_slice(&u16::MAX.to_be_bytes());
            }
        }
        bytes[..16].copy_from_slice(b"SQLite format 3\0");
        bytes[16..21].copy_from_slice(&[2, 0, 1, 1, 0]);
        world.write(".openclaw/hostile.sqlite", &bytes);
        world.write(".openclaw/hostile.sqlite-wal", &bytes[512..]);
        let _ = world.run(&["scan"]).ok();
    }
}
