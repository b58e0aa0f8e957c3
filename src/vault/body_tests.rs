//! What a vault's line 1 promises, on hostile texts too.

use super::super::pick::pick;
use super::*;
use proptest::prelude::*;

fn contents(values: &[(&str, &str)]) -> Contents {
    let at = Millis::new(1_700_000_000_000).unwrap();
    let secrets = values
        .iter()
        .map(|(id, value)| {
            let meta = Meta {
                kind: SecretKind::Token,
                provider: Some(ProviderId::parse("anthropic").unwrap()),
                created: at,
                updated: at,
                expires: None,
                was_plaintext: false,
            };
            (
                SecretId::parse(id).unwrap(),
                Entry {
                    meta,
                    value: Secret::stored(value).unwrap(),
                },
            )
        })
        .collect();
    Contents {
        generation: 3,
        written: at,
        identity: Identity::generate(),
        recovery: None,
        slots: Vec::new(),
        linked: BTreeSet::new(),
        secrets,
    }
}

fn line(contents: &Contents) -> Vec<u8> {
    let (room, write) = contents.to_line().unwrap();
    let mut out = Vec::with_capacity(room);
    let before = out.capacity();
    write(&mut out);
    assert!(out.len() <= room, "{} > {room}", out.len());
    assert_eq!(
        out.capacity(),
        before,
        "the buffer grew and left a copy behind"
    );
    out
}

#[test]
fn a_body_goes_there_and_back_and_one_value_can_be_picked() {
    let made = contents(&[
        ("a", "fake-1"),
        ("b/c", "fake \"2\" \\ \n ü"),
        ("d", "fake-3"),
    ]);
    let text = line(&made);
    let again = Contents::parse(&text).unwrap();
    assert_eq!(again.generation, 3);
    assert_eq!(again.secrets.len(), 3);
    let id = SecretId::parse("b/c").unwrap();
    assert!(again.secrets[&id].value.same_as(&made.secrets[&id].value));
    let picked = pick(
        &text,
        &BTreeSet::from([id.clone(), SecretId::parse("zz").unwrap()]),
    )
    .unwrap();
    assert_eq!(picked.entries.len(), 1);
    assert!(picked.entries[&id].value.same_as(&made.secrets[&id].value));
}

#[test]
fn a_newer_version_is_refused_by_name_and_never_by_its_content() {
    let text = String::from_utf8(line(&contents(&[("a", "fake-1")]))).unwrap();
    let newer = text.replacen("\"version\":1", "\"version\":2", 1);
    let said = "the vault has format version 2; this clawkeep reads version 1";
    assert_eq!(
        Contents::parse(newer.as_bytes()).err().unwrap().message(),
        said
    );
    let strange = r#"{"format":"clawkeep-vault","version":2,"secrets":7}"#;
    assert_eq!(
        pick(strange.as_bytes(), &BTreeSet::new())
            .err()
            .unwrap()
            .message(),
        said
    );
}

#[test]
fn a_malformed_body_is_told_by_place_alone() {
    let text = String::from_utf8(line(&contents(&[("a", "fake-canary")]))).unwrap();
    let wanted = BTreeSet::from([SecretId::parse("a").unwrap()]);
    for broken in [
        text.replace("\"created\":1", "\"created\":\"fake-canary"),
        text.replace("\"token\"", "\"fake-canary\""),
        text.replace("\"secrets\":{", "\"secrets\":[{"),
        text[..text.len() - 4].to_owned(),
    ] {
        for said in [
            Contents::parse(broken.as_bytes()).err(),
            pick(broken.as_bytes(), &wanted).err(),
        ] {
            let said = said.expect("refused");
            assert!(!said.message().contains("canary"), "{said}");
        }
    }
}

#[test]
fn a_mark_is_written_only_where_it_is_and_read_where_it_is() {
    let mut made = contents(&[("a", "fake-1"), ("b", "fake-2")]);
    let before = String::from_utf8(line(&made)).unwrap();
    assert!(!before.contains("was_plaintext"));
    let id = SecretId::parse("b").unwrap();
    made.secrets.get_mut(&id).unwrap().meta.was_plaintext = true;
    let text = line(&made);
    let marked = String::from_utf8(text.clone()).unwrap();
    assert_eq!(marked.replace(",\"was_plaintext\":true", ""), before);
    let again = Contents::parse(&text).unwrap();
    let marks: Vec<bool> = again
        .secrets
        .values()
        .map(|entry| entry.meta.was_plaintext)
        .collect();
    assert_eq!(marks, [false, true]);
    let picked = pick(&text, &BTreeSet::from([id.clone()])).unwrap();
    assert!(picked.entries[&id].meta.was_plaintext);
    let mut entry = Vec::new();
    again.secrets[&id].write(&mut entry);
    assert!(entry.len() <= again.secrets[&id].room());
    assert_eq!(Entry::read(&entry).unwrap().meta, again.secrets[&id].meta);
    let odd = marked.replace("\"was_plaintext\":true", "\"was_plaintext\":\"fake\"");
    assert!(Contents::parse(odd.as_bytes()).is_err());
}

proptest! {
    #[test]
    fn hostile_bodies_do_not_panic(text in "[{}\\[\\]\":,a-z0-9 ]{0,200}") {
        let _ = Contents::parse(text.as_bytes());
        let _ = pick(text.as_bytes(), &BTreeSet::new());
    }
}
