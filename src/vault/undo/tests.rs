//! Undo bundles: round trips, hostile files, a change of identity that is cut off anywhere.

use super::*;
use crate::host::Host;
use crate::keychain::memory::InMemory;
use crate::provider::{AgentId, ProfileId, ProviderId};
use crate::secret::{Alphabet, Secret, SecretId, SecretKind};
use crate::vault::NewVault;
use crate::vault::items::KeychainStore;
use crate::vault::rekey::{Doors, Rekey};
use proptest::prelude::*;
use std::io::{Seek, Write};
use zeroize::Zeroizing;

const VALUE: &str = "sk-FAKE-0123456789";

fn now() -> Millis {
    Millis::new(1_795_182_199_123).unwrap()
}

fn later(days: i64) -> Millis {
    Millis::new(now().get() + days * 86_400_000).unwrap()
}

fn vault(dir: &Path) -> Vault {
    file::private_dir(dir).unwrap();
    let lock = Lock::take(&dir.join("vault.lock"), LOCK_WAIT).unwrap();
    let new = NewVault {
        identity: Identity::generate(),
        recovery: None,
        slots: Vec::new(),
    };
    Vault::create(dir, &Host::real(), new, &lock).unwrap()
}

fn rekey(vault: &mut Vault) -> Result<VaultId> {
    let host = Host::real();
    let plan = Rekey {
        identity: Identity::generate(),
        fates: Vec::new(),
        added: Vec::new(),
        recovery: None,
        before: &mut |_| Ok(()),
    };
    let doors = Doors {
        host: &host,
        keychain: &InMemory::new(),
    };
    vault.rekey(plan, &doors)
}

/// One of everything.
fn bundle(keep: bool) -> Bundle {
    let mut bundle = Bundle::new(now(), vec!["/home/fake/.x".into()], keep).unwrap();
    bundle.files.push(WasFile {
        path: "/home/fake/.x/.env".into(),
        mode: 0o640,
        before: Some(Zeroizing::new(
            format!("\u{feff}A={VALUE}\r\n\0").into_bytes(),
        )),
        after: After::of(b"\n"),
        is_copy: false,
        values: vec![WasAt {
            place: vec!["A".to_owned()],
            id: Some(SecretId::parse("env/A").unwrap()),
            left: Left::Nothing,
        }],
    });
    bundle.files.push(WasFile {
        path: "/home/fake/.x/new.json".into(),
        mode: 0o600,
        before: None,
        after: After::Unknown,
        is_copy: true,
        values: vec![
            WasAt {
                place: vec!["a\"b".to_owned(), "ü".to_owned()],
                id: None,
                left: Left::Ref("provider/anthropic".to_owned()),
            },
            WasAt {
                place: Vec::new(),
                id: None,
                left: Left::Marker,
            },
        ],
    });
    let (agent, provider) = (AgentId::main(), ProviderId::parse("anthropic").unwrap());
    let profile = ProfileId::parse("anthropic:me@example.com").unwrap();
    bundle.values.push(WasValue {
        agent: agent.clone(),
        profile: profile.clone(),
        provider: provider.clone(),
        kind: SecretKind::Token,
        id: SecretId::parse("p-x").unwrap(),
        expires: Millis::new(5),
        value: Secret::new(VALUE.as_bytes(), Alphabet::Key).unwrap(),
    });
    bundle.planted.push(Planted {
        agent: agent.clone(),
        profile: profile.clone(),
        provider: provider.clone(),
    });
    bundle.orders.push(WasOrder {
        agent,
        provider,
        before: Some(vec![profile]),
    });
    bundle
}

/// Everything that a bundle says, values included: they are fake.
fn told(bundle: &Bundle) -> String {
    let line = wire::to_line(bundle, VaultId::from_bytes([0; 32])).unwrap();
    format!(
        "{} {}",
        bundle.keep,
        String::from_utf8(line.to_vec()).unwrap()
    )
}

fn path(dir: &Path, id: &BundleId) -> PathBuf {
    dir.join(format!("undo/{id}.age"))
}

#[test]
fn what_was_saved_is_loaded_and_lies_closed_and_encrypted() {
    let dir = tempfile::tempdir().unwrap();
    let vault = vault(&dir.path().join("vault"));
    let drawer = vault.bundles().unwrap();
    let mut one = bundle(false);
    drawer.save(&one).unwrap();
    assert_eq!(told(&drawer.load(&one.id).unwrap().unwrap()), told(&one));
    one.files[0].after = After::Removed;
    one.keep = true;
    drawer.save(&one).unwrap();
    assert_eq!(told(&drawer.load(&one.id).unwrap().unwrap()), told(&one));
    assert_eq!(names(vault.dir()).unwrap().len(), 1);
    let file = vault.dir().join(format!("undo/{}.keep.age", one.id));
    let bytes = std::fs::read(&file).unwrap();
    assert!(!bytes.windows(VALUE.len()).any(|at| at == VALUE.as_bytes()));
    #[cfg(unix)]
    assert_eq!(file::mode_of(&file), 0o600);
    assert!(drawer.load(&bundle(false).id).unwrap().is_none());
    assert!(drawer.forget(&one.id).unwrap());
    assert!(!drawer.forget(&one.id).unwrap());
    assert!(!format!("{one:?}").contains(VALUE));
}

#[test]
fn no_flipped_byte_and_no_cut_file_opens() {
    let dir = tempfile::tempdir().unwrap();
    let vault = vault(&dir.path().join("vault"));
    let drawer = vault.bundles().unwrap();
    let one = bundle(false);
    drawer.save(&one).unwrap();
    let path = path(vault.dir(), &one.id);
    let whole = std::fs::read(&path).unwrap();
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let mut put = |at: usize, byte: u8| {
        file.seek(std::io::SeekFrom::Start(at as u64)).unwrap();
        file.write_all(&[byte]).unwrap();
    };
    for (at, byte) in whole.iter().enumerate() {
        put(at, byte ^ 1);
        assert!(drawer.load(&one.id).is_err(), "byte {at}");
        put(at, *byte);
    }
    assert!(drawer.load(&one.id).unwrap().is_some());
    for length in (0..whole.len()).rev() {
        file.set_len(length as u64).unwrap();
        assert!(drawer.load(&one.id).is_err(), "cut at {length}");
    }
}

#[test]
fn a_planted_bundle_is_refused_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (vault(&dir.path().join("a")), vault(&dir.path().join("b")));
    let drawer = ours.bundles().unwrap();
    let one = bundle(false);
    let other = bundle(false);
    let refused = |said: &str| {
        let error = drawer.load(&one.id).unwrap_err();
        assert!(error.message().contains(said), "{error}");
        assert!(!error.message().contains("FAKE"), "{error}");
    };
    drawer.save(&one).unwrap();
    let place = path(ours.dir(), &one.id);
    // Another vault's, copied.
    theirs.bundles().unwrap().save(&one).unwrap();
    std::fs::copy(path(theirs.dir(), &one.id), &place).unwrap();
    refused("not sealed for this vault");
    // Sealed by one who knows the public half alone.
    let forger = theirs.bundles().unwrap();
    let line = wire::to_line(&one, ours.id()).unwrap();
    let recipient = ours.identity.recipient();
    let seal = |sort, identity: &Identity, line: &[u8]| {
        envelope::seal_as(sort, identity, Some(&recipient), line.len(), |out| {
            out.extend_from_slice(line);
        })
        .unwrap()
        .0
    };
    let plant = |bytes: &[u8]| file::replace(&place, bytes, 0o600).unwrap();
    plant(&seal(UNDO, &forger.identity, &line));
    refused("MAC is wrong");
    // By us, as something else.
    plant(&seal(envelope::VAULT, &ours.identity, &line));
    refused("MAC is wrong");
    // Another bundle of ours under this one's name.
    drawer.save(&other).unwrap();
    std::fs::copy(path(ours.dir(), &other.id), &place).unwrap();
    refused("another undo bundle was put in the place");
    // By us, with words of another vault, version, or form.
    let own = |line: &[u8]| plant(&seal(UNDO, &ours.identity, line));
    own(&wire::to_line(&one, theirs.id()).unwrap());
    refused("of another vault");
    own(br#"{"format":"clawkeep-undo","version":2}"#);
    refused("format version 2");
    own(br#"{"format":"clawkeep-vault","version":1}"#);
    refused("does not hold one");
    own(br#"{"format":"clawkeep-undo","version":1,"FAKE":"FAKE"}"#);
    refused("cannot be read (line 1");
}

#[test]
fn hostile_paths_and_modes_hold_nothing_together() {
    let with = |change: &dyn Fn(&mut Bundle)| {
        let mut one = bundle(false);
        change(&mut one);
        one.check()
    };
    with(&|_| {}).unwrap();
    for path in [
        "/home/fake/.x",
        "/home/fake/.x/",
        "/home/fake/.x/../.bashrc",
        "/home/fake/.x/./a",
        "/home/fake/.x//a",
        "/home/fake/.x/a/",
        "/home/fake/.xy/a",
        "/etc/passwd",
        "home/fake/.x/a",
        "../a",
        "",
        "/home/fake/.x/a\0b",
        "/home/fake/.x/new.json",
    ] {
        let error = with(&|one| one.files[0].path = path.into()).unwrap_err();
        assert!(error.message().contains("nothing was written"), "{error}");
    }
    for root in ["/", "", "relative", "/a/../b", "/home/fake/.x/.."] {
        assert!(with(&|one| one.roots.push(root.into())).is_err(), "{root}");
    }
    for mode in [0o1000, 0o2755, 0o4755, 0o100_600, u32::MAX] {
        assert!(with(&|one| one.files[1].mode = mode).is_err(), "{mode:o}");
    }
    assert!(with(&|one| one.roots.clear()).is_err());
}

#[test]
fn a_new_identity_takes_every_bundle_along() {
    let dir = tempfile::tempdir().unwrap();
    let mut vault = vault(&dir.path().join("vault"));
    let (one, kept) = (bundle(false), bundle(true));
    let before = vault.bundles().unwrap();
    before.save(&one).unwrap();
    before.save(&kept).unwrap();
    let new = rekey(&mut vault).unwrap();
    assert_eq!(names(vault.dir()).unwrap().len(), 2);
    let after = vault.bundles().unwrap();
    assert_eq!((after.vault, vault.id()), (new, new));
    for bundle in [&one, &kept] {
        assert_eq!(
            told(&after.load(&bundle.id).unwrap().unwrap()),
            told(bundle)
        );
        assert!(before.load(&bundle.id).is_err());
    }
    // Who still holds the old identity writes nothing under it.
    let error = before.save(&one).unwrap_err();
    assert!(error.message().contains("new identity"), "{error}");
    // One that does not open stops the change, and what to do is said.
    file::replace(&path(vault.dir(), &one.id), b"x", 0o600).unwrap();
    let error = rekey(&mut vault).unwrap_err();
    let hint = error.hint_text().unwrap();
    assert!(hint.contains("clawkeep migrate --forget"), "{hint}");
    assert_eq!(vault.id(), new);
    assert_eq!(names(vault.dir()).unwrap().len(), 2);
}

#[test]
fn a_change_that_was_cut_off_is_finished_or_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let vault = vault(&dir.path().join("vault"));
    let one = bundle(true);
    let old = vault.bundles().unwrap();
    old.save(&one).unwrap();
    let identity = Identity::generate();
    let next = to_be(vault.dir(), &identity, None).unwrap();
    let staged = || stage(&old, &next).unwrap();
    // Cut off before it counted.
    staged();
    assert!(next.load(&one.id).unwrap().is_some());
    assert!(old.load(&one.id).unwrap().is_some());
    assert_eq!(list(vault.dir()).unwrap().len(), 1);
    settle(vault.dir(), &old.vault).unwrap();
    assert_eq!(names(vault.dir()).unwrap().len(), 1);
    assert!(old.load(&one.id).unwrap().is_some());
    assert!(next.load(&one.id).is_err());
    // And after it.
    staged();
    settle(vault.dir(), &next.vault).unwrap();
    assert_eq!(names(vault.dir()).unwrap().len(), 1);
    assert_eq!(told(&next.load(&one.id).unwrap().unwrap()), told(&one));
    // Forgotten in the middle is forgotten.
    settle(vault.dir(), &next.vault).unwrap();
    stage(&next, &old).unwrap();
    assert!(forget(vault.dir(), &one.id).unwrap());
    assert_eq!(names(vault.dir()).unwrap(), []);
}

#[test]
fn what_is_older_than_thirty_days_goes_unless_it_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut vault = vault(&dir.path().join("vault"));
    let drawer = vault.bundles().unwrap();
    let (one, kept) = (bundle(false), bundle(true));
    drawer.save(&one).unwrap();
    drawer.save(&kept).unwrap();
    let listed = list(vault.dir()).unwrap();
    assert_eq!(listed.len(), 2);
    for it in &listed {
        assert_eq!(it.id.created().get(), 1_795_182_199_000);
        assert_eq!(it.ends().is_none(), it.keep);
        assert!(it.size > 4096);
    }
    assert_eq!(expire(vault.dir(), later(29)).unwrap(), []);
    assert_eq!(expire(vault.dir(), later(31)).unwrap(), [one.id]);
    assert_eq!(list(vault.dir()).unwrap().len(), 1);
    // A writer of the vault does the same by itself.
    let mut old = bundle(false);
    old.id = BundleId::parse("20010101-000000-00ff00").unwrap();
    drawer.save(&old).unwrap();
    vault.update(|_, _| Ok(())).unwrap();
    let left: Vec<_> = list(vault.dir()).unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].id, kept.id);
}

#[test]
fn names_sort_as_migrations_came_unless_a_clock_ran_far_ahead() {
    let dir = tempfile::tempdir().unwrap();
    let vault = vault(&dir.path().join("vault"));
    let drawer = vault.bundles().unwrap();
    assert_eq!(moment(vault.dir(), now()).unwrap(), now());
    let mut made = Vec::new();
    for _ in 0..5 {
        let at = moment(vault.dir(), now()).unwrap();
        let one = Bundle::new(at, vec!["/home/fake/.x".into()], false).unwrap();
        drawer.save(&one).unwrap();
        made.insert(0, one.id);
    }
    let listed: Vec<_> = list(vault.dir()).unwrap();
    assert_eq!(
        listed.into_iter().map(|one| one.id).collect::<Vec<_>>(),
        made
    );
    // A second later, and long before.
    assert_eq!(moment(vault.dir(), later(1)).unwrap(), later(1));
    assert_eq!(moment(vault.dir(), later(-1)).unwrap(), later(-1));
}

#[test]
fn other_files_are_none_of_ours_and_an_open_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let vault = vault(&dir.path().join("vault"));
    assert_eq!(list(vault.dir()).unwrap(), []);
    assert_eq!(list(&dir.path().join("absent")).unwrap(), []);
    let drawer = vault.bundles().unwrap();
    let one = bundle(false);
    drawer.save(&one).unwrap();
    let folder = vault.dir().join("undo");
    for name in [
        "notes.txt",
        "x.age",
        &format!("{}.age.bak", one.id),
        &format!("{}.x.age", one.id),
    ] {
        file::create(&folder.join(name), b"", 0o600).unwrap();
    }
    settle(vault.dir(), &vault.id()).unwrap();
    assert_eq!(list(vault.dir()).unwrap().len(), 1);
    assert!(folder.join("notes.txt").exists());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(list(vault.dir()).is_err());
        assert!(drawer.load(&one.id).is_err());
    }
}

#[test]
fn a_vault_in_the_keychain_seals_with_an_identity_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    file::private_dir(&dir.path().join("vault")).unwrap();
    let dir = dir.path().join("vault");
    let keychain = InMemory::new();
    let id = VaultId::from_bytes([7; 32]);
    let items = KeychainStore::new(Box::new(keychain.clone()), id);
    assert!(items.bundles(&dir).unwrap().is_none());
    let one = bundle(false);
    items.bundles_to_write(&dir).unwrap().save(&one).unwrap();
    let again = items.bundles(&dir).unwrap().unwrap();
    assert_eq!(told(&again.load(&one.id).unwrap().unwrap()), told(&one));
    // It is no secret of the vault.
    assert_eq!(crate::store::Store::list(&items).unwrap(), []);
    // Another vault of the same keychain opens none of it.
    let other = KeychainStore::new(Box::new(keychain), VaultId::from_bytes([8; 32]));
    let other = other.bundles_to_write(&dir).unwrap();
    assert!(other.load(&one.id).is_err());
    // What they were sealed with goes with the last one.
    items.forget_bundles(&dir).unwrap();
    assert!(items.bundles(&dir).unwrap().is_some());
    again.forget(&one.id).unwrap();
    items.forget_bundles(&dir).unwrap();
    assert!(items.bundles(&dir).unwrap().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_and_places_go_there_and_back(
        bytes in proptest::collection::vec(any::<u8>(), 0..3000),
        place in proptest::collection::vec("\\PC{0,12}", 0..4),
        name in "[^/\0]{1,20}",
        mode in 0u32..=0o777,
        left in "\\PC{0,20}",
    ) {
        let mut one = bundle(false);
        one.files[0].before = Some(Zeroizing::new(bytes));
        one.files[0].path = PathBuf::from("/home/fake/.x").join(&name);
        one.files[0].mode = mode;
        one.files[0].values[0].place = place;
        one.files[0].values[0].left = Left::Ref(left);
        let id = VaultId::from_bytes([3; 32]);
        match wire::to_line(&one, id) {
            Ok(line) => {
                prop_assert_eq!(line.len(), line.capacity());
                let back = wire::from_line(&line, id, &one.id, false).unwrap();
                prop_assert_eq!(told(&back), told(&one));
            }
            Err(_) => prop_assert!(one.check().is_err()),
        }
    }

    #[test]
    fn no_line_panics_and_none_is_repeated(line in "\\PC{0,200}", tail in "[{}\\[\\]\":,a-z0-9 ]{0,120}") {
        let id = VaultId::from_bytes([3; 32]);
        let bundle = BundleId::parse("20241201-000000-00ff00").unwrap();
        let begun = format!("{{\"format\":\"clawkeep-undo\",\"version\":1,{tail}");
        for line in [line, begun] {
            let error = wire::from_line(line.as_bytes(), id, &bundle, false).unwrap_err();
            prop_assert!(line.len() < 12 || !error.message().contains(&line));
        }
    }

    #[test]
    fn no_name_of_a_file_panics(name in "[0-9a-f.\\-]{0,60}(\\.keep)?(\\.[0-9a-f]{16})?(\\.age)?") {
        if let Some(parsed) = Name::parse(&name) {
            let path = parsed.path(Path::new("/v"));
            prop_assert_eq!(path, Path::new("/v/undo").join(&name));
        }
    }
}
