//! Machines of files: every layout of control groups that systemd makes, and what an attacker or an
//! accident would make of them.

use super::fake::Machine;
use super::*;
use proptest::prelude::*;
use std::os::unix::fs::PermissionsExt as _;

fn unit(name: &str) -> Unit {
    Unit::new(name, None).unwrap()
}

fn is_inside(machine: &Machine, pid: u32, name: &str) -> std::result::Result<bool, Unknown> {
    machine
        .system
        .place(pid, &unit(name))
        .map(|inside| inside.is_some())
}

#[test]
fn names_of_units_and_slices() {
    for (name, slice, path) in [
        ("a.service", None, "system.slice/a.service"),
        ("a-b.service", None, "system.slice/a-b.service"),
        (
            "open-gate@x.service",
            None,
            "system.slice/system-open\\x2dgate.slice/open-gate@x.service",
        ),
        (
            "a.service",
            Some("x-y-z.slice"),
            "x.slice/x-y.slice/x-y-z.slice/a.service",
        ),
        ("a.service", Some("-.slice"), "a.service"),
    ] {
        let unit = Unit::new(name, slice).unwrap();
        assert_eq!(
            format!("{}/{name}", unit.slices.join("/")).trim_start_matches('/'),
            path
        );
        assert_eq!(unit.name(), name);
    }
    let long = format!("{}.service", "a".repeat(250));
    for name in [
        "",
        "a",
        ".service",
        "a.socket",
        "a/b.service",
        "../a.service",
        "a b.service",
        "@a.service",
        "a@.service",
        "a\n.service",
        "ä.service",
        &long,
    ] {
        let error = Unit::new(name, None).unwrap_err();
        assert!(
            error
                .message()
                .starts_with("the name of a system unit ends"),
            "{name}"
        );
    }
    for slice in [
        "",
        "a",
        ".slice",
        "a--b.slice",
        "-a.slice",
        "a-.slice",
        "a/b.slice",
        "a@b.slice",
    ] {
        assert!(Unit::new("a.service", Some(slice)).is_err(), "{slice}");
    }
}

#[test]
fn a_process_of_the_unit_is_inside_in_every_layout() {
    const U: &str = "g.service";
    let inside = |init: &str, own: &str| {
        let machine = Machine::bare();
        machine.process(1, init, 0);
        machine.process(7, own, 5);
        is_inside(&machine, 7, U)
    };
    // Version 2, version 1, hybrid; a container that sees the tree above it; groups below the unit.
    for (init, own) in [
        ("0::/init.scope\n", "0::/system.slice/g.service\n"),
        ("0::/init.scope\n", "0::/system.slice/g.service/sub/deep\n"),
        (
            "9:name=systemd:/init.scope\n3:pids:/\n",
            "9:name=systemd:/system.slice/g.service\n3:pids:/system.slice\n",
        ),
        (
            "9:name=systemd:/init.scope\n0::/\n",
            "9:name=systemd:/system.slice/g.service\n0::/\n",
        ),
        (
            "1:name=systemd:/init.scope\n0::/init.scope\n",
            "1:name=systemd:/system.slice/g.service\n0::/system.slice/g.service\n",
        ),
        (
            "0::/machine.slice/c.scope/init.scope\n",
            "0::/machine.slice/c.scope/system.slice/g.service\n",
        ),
        // A host of version 2 on which somebody mounted the old hierarchy for a container.
        (
            "1:name=systemd:/\n0::/init.scope\n",
            "1:name=systemd:/\n0::/system.slice/g.service\n",
        ),
    ] {
        assert_eq!(inside(init, own), Ok(true), "{own}");
    }
    for own in [
        "0::/\n",
        "0::/system.slice\n",
        "0::/system.slice/g.servic\n",
        "0::/system.slice/g.service.d\n",
        "0::/system.slice/g.service2\n",
        "0::/system.slice/xg.service\n",
        "0::/system.slice/x.service/g.service\n",
        "0::/system.slice/x.service/system.slice/g.service\n",
        "0::/g.service\n",
        "0::/user.slice/user-1500.slice/user@1500.service/app.slice/g.service\n",
        "0::/user.slice/user-1500.slice/user@1500.service/system.slice/g.service\n",
        "0::/user.slice/system.slice/g.service\n",
        "0::/init.scope\n",
        "0::/init.scope/system.slice/g.service\n",
        "0::/system.slice/g.service (deleted)\n",
        "0::/system.slice/g.service/sub (deleted)\n",
        "0::/../system.slice/g.service\n",
        "0::/system.slice/../system.slice/g.service\n",
        "0::/system.slice/./g.service\n",
        "0::/system.slice//g.service\n",
        "0::system.slice/g.service\n",
        "0::/system.slice/__g.service\n",
        "0:cpu:/system.slice/g.service\n",
        "1::/system.slice/g.service\n",
        "1:name=systemdx:/system.slice/g.service\n",
        "1:name=systemd:/system.slice/g.service\n",
        "0::/system.slice/g.service\n0::/system.slice/g.service\n",
        "",
        "\n\n:::\n",
    ] {
        assert_eq!(inside("0::/init.scope\n", own), Ok(false), "{own}");
    }
    // In both hierarchies that the manager keeps, or not at all.
    for own in [
        "1:name=systemd:/system.slice/g.service\n0::/\n",
        "1:name=systemd:/\n0::/system.slice/g.service\n",
        "0::/system.slice/g.service\n",
    ] {
        let hybrid = "1:name=systemd:/init.scope\n0::/init.scope\n";
        assert_eq!(inside(hybrid, own), Ok(false), "{own}");
    }
    // Another container's unit.
    assert_eq!(
        inside(
            "0::/machine.slice/c.scope/init.scope\n",
            "0::/machine.slice/d.scope/system.slice/g.service\n"
        ),
        Ok(false)
    );
    assert_eq!(inside("0::/a/b/init.scope\n", "0::/a\n"), Ok(false));
    // No systemd, another namespace, nothing to read.
    for init in [
        "0::/\n",
        "",
        "0::/../../init.scope\n",
        "0::/x.scope\n",
        "9:pids:/init.scope\n",
    ] {
        let own = "0::/system.slice/g.service\n";
        assert_eq!(inside(init, own), Err(Unknown), "{init}");
    }
    let machine = Machine::bare();
    machine.process(7, "0::/system.slice/g.service\n", 5);
    assert_eq!(is_inside(&machine, 7, U), Err(Unknown));
}

#[test]
fn escaped_names_are_the_units_own() {
    let machine = Machine::bare();
    machine.process(1, "0::/init.scope\n", 0);
    machine.process(2, "0::/system.slice/_memory.service\n", 5);
    machine.process(3, "0::/system.slice/__x.service\n", 5);
    machine.process(4, "0::/system.slice/_x.service\n", 5);
    assert_eq!(is_inside(&machine, 2, "memory.service"), Ok(true));
    assert_eq!(is_inside(&machine, 2, "_memory.service"), Ok(false));
    assert_eq!(is_inside(&machine, 3, "_x.service"), Ok(true));
    assert_eq!(is_inside(&machine, 3, "x.service"), Ok(false));
    assert_eq!(is_inside(&machine, 4, "_x.service"), Ok(false));
}

#[test]
fn start_times_are_read_past_any_name() {
    let rest = "S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2";
    for name in [
        "sh",
        "a) S 1 1 1 1",
        "((",
        ") ",
        "a\nb",
        "x (y) z",
        "\u{e9}",
    ] {
        let stat = format!("7 ({name}) {rest}\n");
        assert_eq!(start_in(stat.as_bytes(), 7), Some(Tick(98765)), "{name}");
        assert_eq!(start_in(stat.as_bytes(), 8), None);
    }
    // Names need not be text.
    let stat = [b"7 (\xff\xfe) ".as_slice(), rest.as_bytes()].concat();
    assert_eq!(start_in(&stat, 7), Some(Tick(98765)));
    for stat in [
        "",
        "7",
        "7 (x",
        "7 (x)",
        "7 (x) ",
        "7 (x) S 1 2 3",
        "7 )",
        "7 (x) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 -5 1",
        "7 (x) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 +5 1",
        "7 (x) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 99999999999999999999 1",
    ] {
        assert_eq!(start_in(stat.as_bytes(), 7), None, "{stat}");
    }
    let system = System::default();
    let me = std::process::id();
    let started = system.started(me).unwrap();
    assert!(started <= Tick::now() && started > Tick(0));
    assert_eq!(system.started(0), None);
}

#[test]
fn a_tick_is_over_when_the_next_one_begins() {
    let at = |nanos| Tick::at(Duration::from_nanos(nanos), 100);
    assert_eq!((at(9_999_999), at(10_000_000)), (Tick(0), Tick(1)));
    let left = |tick, nanos| Tick::left_at(Tick(tick), Duration::from_nanos(nanos), 100);
    assert_eq!(left(1, 10_000_000), Duration::from_millis(10));
    assert_eq!(left(1, 19_999_999), Duration::from_nanos(1));
    assert_eq!(left(1, 20_000_000), Duration::ZERO);
    assert_eq!(left(1, 90_000_000), Duration::ZERO);
    assert_eq!(Tick::at(Duration::MAX, u64::MAX), Tick(u64::MAX));
}

#[test]
fn the_oldest_process_is_found_in_the_units_own_group_and_below() {
    let machine = Machine::new();
    machine.start("g.service", &[(600, 900), (700, 950)]);
    let g = unit("g.service");
    let oldest = |machine: &Machine, pid| {
        let inside = machine.system.place(pid, &g).unwrap().unwrap();
        machine.system.oldest(&inside, pid)
    };
    assert_eq!(oldest(&machine, 700), Ok(Tick(900)));
    // A group below it, made by root.
    machine.group("system.slice/g.service/sub", &[500]);
    machine.process(500, "0::/system.slice/g.service/sub\n", 800);
    assert_eq!(oldest(&machine, 700), Ok(Tick(800)));
    assert_eq!(oldest(&machine, 500), Ok(Tick(800)));
    // One that has ended since it was listed.
    machine.end(500);
    assert_eq!(oldest(&machine, 700), Ok(Tick(900)));
    // Not the group that the asker is in: whatever this list is, it is not the unit's.
    machine.process(777, "0::/system.slice/g.service\n", 990);
    assert_eq!(oldest(&machine, 777), Err(Unknown));
    for listed in [
        "600\n0\n700\n",
        "600\nx\n700\n",
        "-1\n700\n",
        "+600\n700\n",
        "600\n4294967296\n700\n",
    ] {
        machine.listed("system.slice/g.service", listed);
        assert_eq!(oldest(&machine, 700), Err(Unknown), "{listed}");
    }
    let many: Vec<u32> = (1..=9000).collect();
    machine.group("system.slice/g.service", &many);
    assert_eq!(oldest(&machine, 700), Err(Unknown));
    machine.group("system.slice/g.service", &[600, 700]);
    for index in 0..MAX_GROUPS {
        machine.group(&format!("system.slice/g.service/{index}"), &[]);
    }
    assert_eq!(oldest(&machine, 700), Err(Unknown));
}

#[test]
fn a_group_that_another_than_root_can_write_tells_nothing() {
    let machine = Machine::new();
    machine.start("g.service", &[(600, 900)]);
    let g = unit("g.service");
    let inside = machine.system.place(600, &g).unwrap().unwrap();
    let dir = machine.system.sys.join("fs/cgroup/system.slice/g.service");
    for path in [dir.clone(), dir.join("cgroup.procs")] {
        let before = std::fs::metadata(&path).unwrap().permissions();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o775)).unwrap();
        assert_eq!(machine.system.oldest(&inside, 600), Err(Unknown));
        std::fs::set_permissions(&path, before).unwrap();
        assert_eq!(machine.system.oldest(&inside, 600), Ok(Tick(900)));
    }
    let mut system = machine.system.clone();
    system.root += 1;
    assert_eq!(system.oldest(&inside, 600), Err(Unknown));
    std::fs::remove_file(dir.join("cgroup.procs")).unwrap();
    assert_eq!(machine.system.oldest(&inside, 600), Err(Unknown));
}

#[test]
fn every_layout_has_its_folders() {
    for (init, own, dirs) in [
        (
            "1:name=systemd:/init.scope\n0::/init.scope\n",
            "1:name=systemd:/system.slice/g.service\n0::/system.slice/g.service\n",
            vec![
                "fs/cgroup/systemd/system.slice/g.service",
                "fs/cgroup/unified/system.slice/g.service",
            ],
        ),
        (
            "1:name=systemd:/init.scope\n",
            "1:name=systemd:/system.slice/g.service\n",
            vec!["fs/cgroup/systemd/system.slice/g.service"],
        ),
        // The top is what is mounted, or is below it.
        (
            "0::/docker/1/init.scope\n",
            "0::/docker/1/system.slice/g.service\n",
            vec!["fs/cgroup/system.slice/g.service"],
        ),
        (
            "0::/docker/1/init.scope\n",
            "0::/docker/1/system.slice/g.service\n",
            vec!["fs/cgroup/docker/1/system.slice/g.service"],
        ),
    ] {
        let machine = Machine::bare();
        machine.process(1, init, 0);
        machine.process(7, own, 5);
        let g = unit("g.service");
        let inside = machine.system.place(7, &g).unwrap().unwrap();
        for dir in dirs {
            assert_eq!(
                machine.system.oldest(&inside, 7),
                Err(Unknown),
                "before {dir}"
            );
            machine.folder(dir, "7\n");
        }
        assert_eq!(machine.system.oldest(&inside, 7), Ok(Tick(5)), "{own}");
    }
}

#[test]
fn a_round_is_what_root_noted() {
    let machine = Machine::new();
    let g = unit("g.service");
    assert_eq!(machine.system.round(&g), Ok(None));
    machine.start("g.service", &[]);
    assert!(matches!(machine.system.round(&g), Ok(Some(_))));
    let link = machine
        .system
        .run
        .join("systemd/units/invocation:g.service");
    for target in [
        "",
        "x",
        "/etc/passwd",
        &"0".repeat(32),
        &"A".repeat(32),
        &"a".repeat(33),
    ] {
        let _ = std::fs::remove_file(&link);
        if target.is_empty() {
            std::fs::create_dir(&link).unwrap();
            assert_eq!(machine.system.round(&g), Err(Unknown));
            std::fs::remove_dir(&link).unwrap();
            continue;
        }
        std::os::unix::fs::symlink(target, &link).unwrap();
        assert_eq!(machine.system.round(&g), Err(Unknown), "{target}");
    }
    machine.start("g.service", &[]);
    let mut system = machine.system.clone();
    system.root += 1;
    assert_eq!(system.round(&g), Err(Unknown));
    // Somebody else's folder, or none.
    let folder = machine.system.run.join("systemd/units");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(machine.system.round(&g), Err(Unknown));
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(machine.system.round(&g), Err(Unknown));
    std::os::unix::fs::symlink("/tmp", &folder).unwrap();
    assert_eq!(machine.system.round(&g), Err(Unknown));
}

/// Root's own link, in a folder of root's, but made by another.
#[test]
fn a_link_of_another_user_is_no_round() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let machine = Machine::new();
    machine.start("g.service", &[]);
    let link = machine
        .system
        .run
        .join("systemd/units/invocation:g.service");
    std::os::unix::fs::lchown(&link, Some(1500), None).unwrap();
    assert_eq!(machine.system.round(&unit("g.service")), Err(Unknown));
}

#[test]
fn what_is_too_large_is_not_read() {
    let machine = Machine::new();
    machine.start("g.service", &[(600, 900)]);
    let stat = machine.system.proc.join("600/stat");
    let mut text = std::fs::read(&stat).unwrap();
    text.resize(5000, b' ');
    machine.put(&stat, &text);
    assert_eq!(machine.system.started(600), None);
    machine.put(
        &machine.system.proc.join("600/cgroup"),
        &vec![b'0'; 200_000],
    );
    assert_eq!(is_inside(&machine, 600, "g.service"), Ok(false));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[0-9:/a-z_.=\\n ()]{0,120}") {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            let _ = path_in(bytes, Hierarchy::Named);
            let _ = path_in(bytes, Hierarchy::Unified);
            let _ = start_in(bytes, 1);
            let _ = processes_in(bytes);
        }
        let _ = Unit::new(&text, Some(&text));
    }

    #[test]
    fn a_tick_and_what_is_left_of_it_fit(nanos in 0u64..u64::MAX / 2, per_second in prop_oneof![Just(100u64), Just(250), Just(1024)]) {
        let now = Duration::from_nanos(nanos);
        let tick = Tick::at(now, per_second);
        let left = tick.left_at(now, per_second);
        prop_assert!(left > Duration::ZERO);
        prop_assert_eq!(Tick::at(now + left, per_second), Tick(tick.0 + 1));
        prop_assert_eq!(Tick::at((now + left).saturating_sub(Duration::from_nanos(1)), per_second), tick);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// The path of a unit is exact: any other path, whatever its parts, is outside.
    #[test]
    fn only_the_exact_path_is_the_units(parts in proptest::collection::vec(
        prop_oneof!["system.slice", "g.service", "init.scope", "user.slice", "_g.service", "x"], 0..5)) {
        let machine = Machine::bare();
        machine.process(1, "0::/init.scope\n", 0);
        machine.process(7, &format!("0::/{}\n", parts.join("/")), 1);
        let right = parts.len() >= 2 && parts[0] == "system.slice"
            && ["g.service", "_g.service"].contains(&parts[1].as_str());
        prop_assert_eq!(is_inside(&machine, 7, "g.service"), Ok(right));
    }
}
