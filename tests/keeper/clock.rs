//! A clock that is set back under a keeper: the system's clock as the keeper's process sees it, changed
//! while it runs. Nobody gets more time or a second value by it.

use crate::common::left_out;
use crate::lab::{Foreground, Lab};
use serde_json::Value;
use std::path::{Path, PathBuf};

const LIBRARY: &str = "faketime/libfaketime.so.1";

/// The library through which a process sees another clock. `None`, with the reason printed, when it was
/// left out by a flag.
fn library() -> Option<PathBuf> {
    if left_out("crash") {
        return None;
    }
    let found = std::fs::read_dir("/usr/lib")
        .unwrap()
        .map(|entry| entry.unwrap().path().join(LIBRARY))
        .find(|path| path.exists());
    Some(found.expect("libfaketime: apt-get install faketime, or scripts/test --without crash"))
}

/// A keeper in the foreground whose clock says what stands in a file.
struct Clock {
    file: PathBuf,
}

impl Clock {
    fn new(lab: &Lab) -> Clock {
        let clock = Clock {
            file: lab.world.root().join("clock"),
        };
        clock.set("+0");
        clock
    }

    fn set(&self, offset: &str) {
        // Whole or not at all: the keeper may look at any moment.
        let new = self.file.with_extension("new");
        std::fs::write(&new, offset).unwrap();
        std::fs::rename(&new, &self.file).unwrap();
    }

    fn keeper(&self, lab: &Lab, library: &Path, more: &[&str]) -> Foreground {
        let cmd = lab
            .foreground_cmd(more)
            .env("LD_PRELOAD", library)
            .env("FAKETIME_TIMESTAMP_FILE", &self.file)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        lab.foreground_by(cmd)
    }
}

/// The oldest time in the access log, in Unix milliseconds.
fn oldest(lab: &Lab) -> i64 {
    let log: Value = lab.run(&["log", "--json"]).ok().json();
    let events = log["events"].as_array().unwrap();
    let times = events.iter().map(|event| event["at"].as_i64().unwrap());
    times.min().unwrap()
}

#[test]
fn a_clock_that_is_set_back_gives_no_more_time() {
    let Some(library) = library() else { return };
    let lab = Lab::unattended();
    let clock = Clock::new(&lab);
    let mut keeper = clock.keeper(&lab, &library, &["--timeout", "1s"]);
    clock.set("-3d");
    assert!(keeper.end().success());
    let said = keeper.said();
    assert!(said.contains("its time is over"), "{said}");
}

#[test]
fn a_clock_that_is_set_back_gives_nothing_twice_and_hides_no_write() {
    let Some(library) = library() else { return };
    let mut lab = Lab::new();
    lab.link(&["s/one"]);
    let clock = Clock::new(&lab);
    let passphrase = lab.passphrase();
    let passphrase: Vec<&str> = passphrase.iter().map(String::as_str).collect();
    let once = [&["--release", "once"], &passphrase[..]].concat();
    let keeper = clock.keeper(&lab, &library, &once);
    assert_eq!(lab.one("s/one"), "fake-value-one");
    clock.set("-3d");
    assert_eq!(lab.one("s/one"), "LOCKED");
    let now = clawkeep::host::Host::real().now().get();
    let days = (now - oldest(&lab)) / 86_400_000;
    assert_eq!(days, 3, "its clock was set back, and its log says so");
    drop(keeper);

    // Under `always` it goes on, and follows what others write under a clock that is right.
    clock.set("+0");
    let _keeper = clock.keeper(&lab, &library, &passphrase);
    clock.set("-3d");
    for value in ["fake-value-two", "fake-value-three"] {
        lab.put("s/one", value);
        assert_eq!(lab.one("s/one"), value);
    }
}
