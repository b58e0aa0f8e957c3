//! The attended way, through keyring-core's store, beside the quiet one. The store finds the bus in
//! the environment alone, so these run in a process whose environment is the test's own.

use crate::keyring::{Bus, ready};
use crate::{PASSWORD, VALUE, again, assert_every_call_is, is_child, item, value};
use clawkeep::error::Kind;
use clawkeep::host::Host;
use clawkeep::keychain::{Item, Keychain, LIMIT, OsKeychain, Presence};

/// The two ways to the keychain that the environment names: quiet, attended.
fn both() -> (OsKeychain, OsKeychain) {
    let host = Host::real();
    (
        OsKeychain::new(&host),
        OsKeychain::new(&host).attended(LIMIT),
    )
}

fn run(bus: &Bus, child: &str) {
    again(&format!("attended::{child}"), |command| {
        bus.give(command);
    });
}

#[test]
fn child_is_refused() {
    if is_child() {
        let (_, attended) = both();
        assert_every_call_is(&attended, Kind::Locked);
        assert_eq!(attended.presence().unwrap(), Presence::Here);
    }
}

#[test]
fn what_one_way_stores_the_other_finds_and_replaces() {
    if ready() {
        let bus = Bus::start();
        let _keyring = bus.keyring(Some(PASSWORD));
        run(&bus, "child_crosses_over");
    }
}

#[test]
fn child_crosses_over() {
    if !is_child() {
        return;
    }
    let bus = Bus::inherited();
    let (quiet, attended) = both();
    assert_eq!(attended.presence().unwrap(), Presence::Here);
    for (first, second) in [(&quiet, &attended), (&attended, &quiet)] {
        assert_eq!(value(first, &item()), None);
        assert_eq!(value(second, &item()), None);
        first.set(&item(), VALUE.as_bytes()).unwrap();
        assert_eq!(value(second, &item()).as_deref(), Some(VALUE));
        assert_eq!(bus.witness_lookup(&item()).as_deref(), Some(VALUE));

        second.set(&item(), b"fake-second").unwrap();
        assert_eq!(value(first, &item()).as_deref(), Some("fake-second"));
        assert_eq!(bus.witness_lookup(&item()).as_deref(), Some("fake-second"));
        assert_eq!(bus.witness_count(&item()), 1);

        // The witness replaces it too, and is replaced.
        bus.witness_store(&item(), &[], "fake-third");
        assert_eq!(value(second, &item()).as_deref(), Some("fake-third"));
        first.set(&item(), b"fake-fourth").unwrap();
        assert_eq!(bus.witness_lookup(&item()).as_deref(), Some("fake-fourth"));
        assert_eq!(bus.witness_count(&item()), 1);

        // Another account of the same service, and another service.
        let by_hand = Item::new(item().service(), "by-hand");
        bus.witness_store(&by_hand, &[], "fake-by-hand");
        bus.witness_store(&Item::new("other-test", "x"), &[], "fake-other");
        for way in [first, second] {
            assert_eq!(value(way, &by_hand).as_deref(), Some("fake-by-hand"));
            assert_eq!(
                way.list(item().service()).unwrap(),
                [item().account(), "by-hand"]
            );
            assert!(way.list("clawkeep").unwrap().is_empty());
        }
        assert!(second.delete(&item()).unwrap());
        assert!(!first.delete(&item()).unwrap());
        assert!(first.delete(&by_hand).unwrap());
        assert!(!second.delete(&by_hand).unwrap());
        assert_eq!(bus.witness_count(&item()), 0);
    }
}

/// A service may tell items apart by all their attributes: libsecret's must then find ours.
#[test]
fn both_ways_make_the_same_item() {
    if ready() {
        let bus = Bus::start();
        let _keyring = bus.keyring(Some(PASSWORD));
        run(&bus, "child_makes_twins");
    }
}

#[test]
fn child_makes_twins() {
    if !is_child() {
        return;
    }
    let bus = Bus::inherited();
    let (quiet, attended) = both();
    let [one, two] = [quiet, attended].map(|way| {
        way.set(&item(), VALUE.as_bytes()).unwrap();
        let output = bus.secret_tool(&["search", "--all", "service", item().service()], "");
        let said = [output.stdout, output.stderr].concat();
        assert!(way.delete(&item()).unwrap());
        let said = String::from_utf8(said).unwrap();
        let mut lines: Vec<String> = said
            .lines()
            .filter(|line| !line.starts_with(['[', 'c', 'm']))
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    });
    assert_eq!(one, two);
    assert_eq!(
        one,
        [
            "attribute.service = clawkeep-test",
            "attribute.username = anthropic:default",
            "label = anthropic:default (clawkeep-test)",
            "schema = org.freedesktop.Secret.Generic",
            &format!("secret = {VALUE}"),
        ]
    );
}

#[test]
fn two_items_of_one_name_are_an_error_in_both_ways() {
    if ready() {
        let bus = Bus::start();
        let _keyring = bus.keyring(Some(PASSWORD));
        run(&bus, "child_meets_two");
    }
}

#[test]
fn child_meets_two() {
    if !is_child() {
        return;
    }
    let bus = Bus::inherited();
    let (quiet, attended) = both();
    attended.set(&item(), VALUE.as_bytes()).unwrap();
    bus.witness_store(&item(), &["extra", "1"], "fake-second");
    for way in [&quiet, &attended] {
        for said in [
            way.get(&item()).map(|_| ()).unwrap_err(),
            way.set(&item(), b"fake").unwrap_err(),
        ] {
            assert_eq!(said.kind(), Kind::Broken, "{said}");
            assert!(said.message().contains("2 items"), "{said}");
        }
    }
    assert!(attended.delete(&item()).unwrap());
    assert_eq!(bus.witness_count(&item()), 0);
}

#[test]
fn a_keyring_without_a_default_is_absent_to_a_person_too() {
    if ready() {
        let bus = Bus::start();
        let _keyring = bus.keyring(None);
        run(&bus, "child_has_no_default");
    }
}

#[test]
fn child_has_no_default() {
    if is_child() {
        let (_, attended) = both();
        assert!(matches!(attended.presence().unwrap(), Presence::Absent(_)));
        assert_eq!(value(&attended, &item()), None);
        let said = attended.set(&item(), b"fake").unwrap_err();
        assert_eq!(said.kind(), Kind::Missing, "{said}");
    }
}

#[test]
fn a_bus_without_a_keyring_service_is_absent_to_a_person_too() {
    if ready() {
        let bus = Bus::start();
        run(&bus, "child_has_no_service");
    }
}

#[test]
fn child_has_no_service() {
    if is_child() {
        let (_, attended) = both();
        assert!(matches!(attended.presence().unwrap(), Presence::Absent(_)));
        assert_every_call_is(&attended, Kind::Missing);
    }
}

#[test]
fn a_person_is_found_by_the_runtime_folder_too() {
    if ready() {
        let bus = Bus::start();
        let _keyring = bus.keyring(Some(PASSWORD));
        again("attended::child_crosses_over", |command| {
            bus.give(command);
            command.env_remove("DBUS_SESSION_BUS_ADDRESS");
        });
    }
}

/// The store reads the bus's address by itself, and zbus would run the program that it names.
#[test]
fn the_store_is_not_opened_where_the_environment_leads_elsewhere() {
    if !ready() {
        return;
    }
    let bus = Bus::start();
    let _keyring = bus.keyring(Some(PASSWORD));
    bus.keychain().set(&item(), VALUE.as_bytes()).unwrap();
    let marker = bus.run_dir().join("was-run");
    let touch = Host::real().on_path("touch").unwrap();
    let other = Bus::start();
    for address in [
        format!(
            "unixexec:path={},argv1={}",
            touch.display(),
            marker.display()
        ),
        // A list, of which zbus would make one strange path, or one address that it never tried.
        format!("{};{}", bus.address(), other.address()),
        other.address(),
        String::new(),
    ] {
        again("attended::child_is_led_elsewhere", |command| {
            bus.give(command);
            command.env("DBUS_SESSION_BUS_ADDRESS", address);
        });
    }
    assert!(!marker.exists(), "the address's program was run");
}

#[test]
fn child_is_led_elsewhere() {
    if !is_child() {
        return;
    }
    let bus = Bus::inherited();
    assert_eq!(value(&bus.keychain(), &item()).as_deref(), Some(VALUE));
    let attended = bus.keychain().attended(LIMIT);
    assert_every_call_is(&attended, Kind::Broken);
    let said = attended.presence().unwrap_err();
    assert_eq!(
        said.hint_text(),
        Some(format!("export DBUS_SESSION_BUS_ADDRESS='{}'", bus.address()).as_str())
    );
}
