//! What `items.rs` promises, with a keychain that fails at every single call.

use super::*;
use crate::keychain::memory::{Effect, InMemory};
use crate::secret::Alphabet;
use crate::secret::MAX_SECRET;
use proptest::prelude::*;

const EFFECTS: [Effect; 3] = [Effect::None, Effect::Whole, Effect::Torn];

/// A value and its metadata, comparable.
type Pair = (String, Meta);

fn vault() -> VaultId {
    VaultId::from_bytes([7; 32])
}

fn store(keychain: &InMemory) -> KeychainStore {
    KeychainStore::new(Box::new(keychain.clone()), vault())
}

fn id() -> SecretId {
    SecretId::parse("anthropic:work").unwrap()
}

fn pair(value: &str, provider: &str, at: i64) -> Pair {
    let at = Millis::new(at).unwrap();
    let meta = Meta {
        kind: SecretKind::Token,
        provider: Some(ProviderId::parse(provider).unwrap()),
        // An id keeps its age, whatever is stored under it.
        created: Millis::new(1_000).unwrap(),
        updated: at,
        expires: Millis::new(at.get() + 1),
        was_plaintext: false,
    };
    (value.to_owned(), meta)
}

fn old() -> Pair {
    pair("fake-old-value", "anthropic", 1_000)
}

fn new() -> Pair {
    pair("fake-new-value", "openrouter", 2_000)
}

fn put(store: &mut KeychainStore, (value, meta): &Pair) -> Result<()> {
    let secret = Secret::new(value.as_bytes(), Alphabet::Text).unwrap();
    store.put(&id(), secret, meta)
}

#[allow(clippy::disallowed_methods, reason = "looks at fake values")]
fn got(store: &KeychainStore) -> Option<Pair> {
    let found = store.get(&id()).unwrap();
    found.map(|(secret, meta)| (secret.expose_secret().to_owned(), meta))
}

fn raw(keychain: &InMemory, account: &str, value: &[u8]) {
    let item = Item::new(format!("clawkeep:{}", vault()), account);
    keychain.set(&item, value).unwrap();
}

/// The number of keychain calls that `run` makes on a copy of what `prepare` made.
fn calls_of(prepare: impl Fn(&InMemory), run: impl Fn(&InMemory)) -> usize {
    let keychain = InMemory::new();
    prepare(&keychain);
    let before = keychain.heal();
    run(&keychain);
    keychain.heal() - before
}

#[test]
fn a_secret_is_one_plain_item_and_its_companion() {
    let keychain = InMemory::new();
    let mut store = store(&keychain);
    put(&mut store, &old()).unwrap();
    assert_eq!(
        keychain.accounts(),
        ["anthropic:work", "anthropic:work#meta"]
    );
    let item = Item::new(format!("clawkeep:{}", vault()), "anthropic:work");
    let value = keychain.get(&item).unwrap().unwrap();
    assert_eq!(value.as_slice(), b"fake-old-value");
    assert_eq!(got(&store), Some(old()));
    put(&mut store, &new()).unwrap();
    assert_eq!(got(&store), Some(new()));
    assert_eq!(keychain.accounts().len(), 2);
    assert!(store.remove(&id()).unwrap());
    assert!(!store.remove(&id()).unwrap());
    assert_eq!(got(&store), None);
    assert!(keychain.accounts().is_empty());
}

#[test]
fn a_mark_goes_with_another_value_and_stays_with_the_same() {
    let keychain = InMemory::new();
    let mut store = store(&keychain);
    let mut marked = old();
    marked.1.was_plaintext = true;
    put(&mut store, &marked).unwrap();
    assert_eq!(got(&store), Some(marked.clone()));
    put(&mut store, &old()).unwrap();
    assert_eq!(got(&store), Some(marked));
    put(&mut store, &new()).unwrap();
    assert_eq!(got(&store), Some(new()));
    put(&mut store, &old()).unwrap();
    assert_eq!(got(&store), Some(old()));
}

#[test]
fn a_replacement_killed_anywhere_leaves_the_old_pair_or_the_new_one() {
    let prepare = |keychain: &InMemory| put(&mut store(keychain), &old()).unwrap();
    let calls = calls_of(prepare, |k| put(&mut store(k), &new()).unwrap());
    assert!(calls >= 8, "{calls}");
    for effect in [Effect::None, Effect::Whole] {
        let mut seen = Vec::new();
        for at in 0..calls {
            let keychain = InMemory::new();
            prepare(&keychain);
            keychain.crash(at, effect);
            let _ = put(&mut store(&keychain), &new());
            keychain.heal();
            let left = got(&store(&keychain)).unwrap();
            assert!(
                left == old() || left == new(),
                "{effect:?} at call {at}: {left:?}"
            );
            seen.push(left == new());
            // And the next one finishes, whatever lies there.
            put(&mut store(&keychain), &new()).unwrap();
            assert_eq!(got(&store(&keychain)), Some(new()));
            assert_eq!(keychain.accounts().len(), 2, "{effect:?} at call {at}");
        }
        assert!(seen.contains(&true) && seen.contains(&false));
        assert!(
            seen.is_sorted(),
            "{effect:?}: new became old again: {seen:?}"
        );
    }
}

#[test]
fn a_keychain_that_loses_what_it_replaces_loses_nothing_of_ours() {
    let prepare = |keychain: &InMemory| put(&mut store(keychain), &old()).unwrap();
    let calls = calls_of(prepare, |k| put(&mut store(k), &new()).unwrap());
    for at in 0..calls {
        let keychain = InMemory::new();
        prepare(&keychain);
        keychain.crash(at, Effect::Torn);
        let _ = put(&mut store(&keychain), &new());
        keychain.heal();
        let (value, meta) = got(&store(&keychain)).unwrap();
        let whole = if value == old().0 { old() } else { new() };
        assert_eq!(value, whole.0);
        // When it is the companion that got lost the provider is unknown, never a wrong one.
        assert!(
            meta == whole.1 || meta == plain_meta(),
            "call {at}: {meta:?}"
        );
        // Killed a second time, anywhere, on the way to a third value.
        let third = pair("fake-third-value", "groq", 3_000);
        for (again, effect) in (0..calls + 3).flat_map(|n| EFFECTS.map(|effect| (n, effect))) {
            let copy = InMemory::new();
            prepare(&copy);
            copy.crash(at, Effect::Torn);
            let _ = put(&mut store(&copy), &new());
            copy.heal();
            copy.crash(again, effect);
            let _ = put(&mut store(&copy), &third);
            copy.heal();
            let (left, meta) = got(&store(&copy)).unwrap();
            let allowed = [old(), new(), third.clone()];
            let whole = allowed.iter().find(|pair| pair.0 == left).unwrap();
            assert!(
                meta == whole.1 || meta == plain_meta(),
                "calls {at} and {again}: {left} {meta:?}"
            );
        }
    }
}

#[test]
fn a_put_that_fails_leaves_the_older_value() {
    for first in [None, Some(old())] {
        let prepare = |keychain: &InMemory| {
            if let Some(first) = &first {
                put(&mut store(keychain), first).unwrap();
            }
        };
        let calls = calls_of(prepare, |k| put(&mut store(k), &new()).unwrap());
        for effect in EFFECTS {
            for at in 0..calls {
                let keychain = InMemory::new();
                prepare(&keychain);
                keychain.fail_once(at, effect, Kind::Broken);
                let outcome = put(&mut store(&keychain), &new());
                keychain.heal();
                let expected = if outcome.is_ok() {
                    // Only in the last two steps, where a torn companion is all that can happen.
                    let torn = effect == Effect::Torn && got(&store(&keychain)) != Some(new());
                    Some(if torn { (new().0, plain_meta()) } else { new() })
                } else {
                    first.clone()
                };
                assert_eq!(got(&store(&keychain)), expected, "{effect:?} at call {at}");
            }
        }
    }
}

#[test]
fn a_failed_remove_keeps_the_value_and_a_killed_one_shows_no_ghost() {
    let prepare = |keychain: &InMemory| put(&mut store(keychain), &old()).unwrap();
    let calls = calls_of(prepare, |k| assert!(store(k).remove(&id()).unwrap()));
    for at in 0..calls {
        let keychain = InMemory::new();
        prepare(&keychain);
        keychain.crash(at, Effect::None);
        let outcome = store(&keychain).remove(&id());
        keychain.heal();
        let expected = outcome.is_err().then(old);
        assert_eq!(got(&store(&keychain)), expected, "call {at}");
        let listed = store(&keychain).list().unwrap();
        assert_eq!(listed.len(), usize::from(expected.is_some()), "call {at}");
    }
}

type Act = fn(&InMemory);

/// Does something behind a reader's back, just before its call number `at`.
struct Interrupted {
    keychain: InMemory,
    at: usize,
    calls: std::sync::atomic::AtomicUsize,
    act: Act,
}

impl Interrupted {
    fn step(&self) -> &InMemory {
        use std::sync::atomic::Ordering;
        if self.calls.fetch_add(1, Ordering::SeqCst) == self.at {
            (self.act)(&self.keychain);
        }
        &self.keychain
    }
}

impl Keychain for Interrupted {
    fn presence(&self) -> Result<crate::keychain::Presence> {
        self.step().presence()
    }
    fn get(&self, item: &Item) -> Result<Option<Zeroizing<Vec<u8>>>> {
        self.step().get(item)
    }
    fn set(&self, item: &Item, value: &[u8]) -> Result<()> {
        self.step().set(item, value)
    }
    fn delete(&self, item: &Item) -> Result<bool> {
        self.step().delete(item)
    }
    fn list(&self, service: &str) -> Result<Vec<String>> {
        self.step().list(service)
    }
}

#[test]
fn a_reader_beside_a_writer_sees_one_pair_or_the_other() {
    let acts: [(Act, Option<Pair>); 2] = [
        (|k| put(&mut store(k), &new()).unwrap(), Some(new())),
        (|k| assert!(store(k).remove(&id()).unwrap()), None),
    ];
    for (act, after) in acts {
        for at in 0..6 {
            let keychain = InMemory::new();
            put(&mut store(&keychain), &old()).unwrap();
            let reader = Interrupted {
                keychain,
                at,
                calls: 0.into(),
                act,
            };
            let seen = got(&KeychainStore::new(Box::new(reader), vault()));
            assert!(seen == Some(old()) || seen == after, "call {at}: {seen:?}");
        }
    }
}

#[test]
fn only_the_metadata_changes_and_it_changes_at_once() {
    let same_value = (old().0, new().1);
    let prepare = |keychain: &InMemory| put(&mut store(keychain), &old()).unwrap();
    let calls = calls_of(prepare, |k| put(&mut store(k), &same_value).unwrap());
    for effect in [Effect::None, Effect::Whole] {
        for at in 0..calls {
            let keychain = InMemory::new();
            prepare(&keychain);
            keychain.crash(at, effect);
            let _ = put(&mut store(&keychain), &same_value);
            keychain.heal();
            let left = got(&store(&keychain)).unwrap();
            assert!(left == old() || left == same_value, "call {at}: {left:?}");
            let keychain = InMemory::new();
            prepare(&keychain);
            keychain.fail_once(at, effect, Kind::Broken);
            let outcome = put(&mut store(&keychain), &same_value);
            keychain.heal();
            let expected = outcome.map_or(old(), |()| same_value.clone());
            assert_eq!(got(&store(&keychain)), Some(expected), "call {at}");
        }
    }
}

#[test]
fn a_value_that_others_put_there_has_no_provider() {
    let keychain = InMemory::new();
    let mut store = store(&keychain);
    raw(&keychain, "anthropic:work", b"fake-from-secret-tool");
    assert_eq!(
        got(&store),
        Some(("fake-from-secret-tool".to_owned(), plain_meta()))
    );
    put(&mut store, &old()).unwrap();
    raw(&keychain, "anthropic:work", b"fake-replaced-behind-us");
    assert_eq!(
        got(&store),
        Some(("fake-replaced-behind-us".to_owned(), plain_meta()))
    );
}

#[test]
fn a_companion_copied_from_another_secret_means_nothing() {
    let keychain = InMemory::new();
    let mut store = store(&keychain);
    put(&mut store, &old()).unwrap();
    let meta = Item::new(store.service(), "anthropic:work#meta");
    let json = keychain.get(&meta).unwrap().unwrap();
    raw(&keychain, "other#meta", &json);
    raw(&keychain, "other", old().0.as_bytes());
    let other = SecretId::parse("other").unwrap();
    assert_eq!(store.get(&other).unwrap().unwrap().1, plain_meta());
}

#[test]
fn a_list_has_every_secret_once_and_nothing_else() {
    let keychain = InMemory::new();
    let mut store = store(&keychain);
    put(&mut store, &old()).unwrap();
    raw(&keychain, "by-hand", b"fake");
    raw(&keychain, "not an id", b"fake");
    raw(&keychain, "half#new", b"fake");
    raw(&keychain, "orphan#meta", b"{}");
    let foreign = Item::new("clawkeep:other", "foreign");
    keychain.set(&foreign, b"fake").unwrap();
    let listed = store.list().unwrap();
    let names: Vec<&str> = listed.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(names, ["anthropic:work", "by-hand"]);
    assert_eq!(listed[0].1, old().1);
    assert_eq!(listed[1].1, plain_meta());
}

#[test]
fn locked_broken_and_missing_keychains_are_never_an_absent_secret() {
    let keychain = InMemory::new();
    put(&mut store(&keychain), &old()).unwrap();
    let calls = calls_of(|_| {}, |k| assert_eq!(got(&store(k)), None));
    for kind in [Kind::Locked, Kind::Broken] {
        for at in 0..calls {
            keychain.fail_once(at, Effect::None, kind);
            assert_eq!(store(&keychain).get(&id()).unwrap_err().kind(), kind);
            keychain.heal();
        }
        keychain.fail_once(0, Effect::None, kind);
        assert_eq!(store(&keychain).list().unwrap_err().kind(), kind);
    }
    keychain.vanish();
    let mut store = store(&keychain);
    assert_eq!(store.get(&id()).unwrap_err().kind(), Kind::Locked);
    assert_eq!(store.list().unwrap_err().kind(), Kind::Locked);
    assert_eq!(store.remove(&id()).unwrap_err().kind(), Kind::Locked);
    assert_eq!(put(&mut store, &new()).unwrap_err().kind(), Kind::Locked);
}

#[test]
fn a_value_that_nobody_could_have_typed_is_broken() {
    for bad in [
        &b"fake\x1b]0;marker\x07"[..],
        b"fake\xc2\x9b2Jmarker",
        b"marker\xff",
        b"",
    ] {
        let keychain = InMemory::new();
        raw(&keychain, "anthropic:work", bad);
        let said = store(&keychain).get(&id()).unwrap_err();
        assert_eq!(said.kind(), Kind::Broken);
        assert!(!said.message().contains("marker"), "{said}");
    }
}

#[test]
fn what_is_not_ours_is_broken_and_never_quoted() {
    let marker = "FAKE-MARKER";
    let digest = "0".repeat(64);
    let record = |field: &str| {
        format!(
            r#"{{"version":1,"records":[{{"digest":"{digest}","kind":"token","created":1,"updated":1{field}}}]}}"#
        )
    };
    for bad in [
        String::new(),
        marker.to_owned(),
        format!(r#"{{"version":"{marker}","records":[]}}"#),
        r#"{"version":2,"records":[]}"#.to_owned(),
        record(&format!(r#","{marker}":1"#)),
        record(&format!(r#","provider":"{marker} {marker}""#)),
        record(r#","provider":"Anthropic""#),
        record(r#","expires":0"#),
        record(r#","expires":-5"#),
        "[".repeat(200_000),
        " ".repeat(MAX_COMPANION + 1),
    ] {
        let keychain = InMemory::new();
        raw(&keychain, "anthropic:work", b"fake");
        raw(&keychain, "anthropic:work#meta", bad.as_bytes());
        let mut store = store(&keychain);
        let said = store.get(&id()).unwrap_err();
        assert_eq!(said.kind(), Kind::Broken);
        assert!(!said.message().contains(marker), "{said}");
        let said = put(&mut store, &new()).unwrap_err();
        assert_eq!(
            said.hint_text(),
            Some("clawkeep secret remove anthropic:work")
        );
        assert!(store.remove(&id()).unwrap());
        put(&mut store, &new()).unwrap();
        assert_eq!(got(&store), Some(new()));
    }
    for bad in [b"".as_slice(), b"\xff\xfe", &vec![b'x'; MAX_SECRET + 1]] {
        let keychain = InMemory::new();
        raw(&keychain, "anthropic:work", bad);
        let said = store(&keychain).get(&id()).unwrap_err();
        assert_eq!(said.kind(), Kind::Broken);
    }
}

#[test]
fn the_largest_companion_fits_a_windows_credential() {
    let keychain = InMemory::new();
    let mut store = store(&keychain);
    let far = 8_640_000_000_000_000 - 1;
    let long = |letter: &str| pair("fake", &letter.repeat(64), far);
    put(&mut store, &long("a")).unwrap();
    keychain.crash(8, Effect::None);
    let (mut value, meta) = long("b");
    value.push('2');
    let _ = put(&mut store, &(value, meta));
    keychain.heal();
    let item = Item::new(store.service(), "anthropic:work#meta");
    let json = keychain.get(&item).unwrap().unwrap();
    assert_eq!(parse_companion(&json).unwrap().len(), 2);
    assert!(json.len() <= 2560, "{}", json.len());
}

proptest! {
    #[test]
    fn no_companion_panics(json in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse_companion(&json);
    }

    #[test]
    fn what_is_stored_is_read(value in "[^\\p{Cc}]{1,300}", provider in "[a-z]{1,20}", at in 1i64..1_000_000) {
        let keychain = InMemory::new();
        let pair = pair(&value, &provider, at);
        put(&mut store(&keychain), &pair).unwrap();
        prop_assert_eq!(got(&store(&keychain)), Some(pair));
    }
}
