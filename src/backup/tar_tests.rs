//! What the container promises, on hostile archives too.

use super::*;
use proptest::prelude::*;

fn member(name: &str, bytes: Option<&[u8]>) -> Member<Vec<u8>> {
    Member {
        name: name.to_owned(),
        bytes: bytes.map(<[u8]>::to_vec),
    }
}

fn sample() -> Vec<Member<Vec<u8>>> {
    vec![
        member("", None),
        member("vault.age", Some(b"fake")),
        member("slots", None),
        member("slots/a.age", Some(&[7; 1024])),
        member("slots/b.age", Some(b"")),
    ]
}

fn archive() -> Vec<u8> {
    write(&sample(), 1_800_000_000, 1 << 20).unwrap()
}

fn owned((members, _): (Vec<Member<&[u8]>>, u64)) -> Vec<Member<Vec<u8>>> {
    members
        .into_iter()
        .map(|m| member(&m.name, m.bytes))
        .collect()
}

/// The same archive with other bytes in its second header (of `vault.age`), whose sum is right again.
fn with(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut archive = archive();
    let header = &mut archive[BLOCK..2 * BLOCK];
    header[at..at + bytes.len()].copy_from_slice(bytes);
    header[148..156].copy_from_slice(b"        ");
    let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    archive
}

#[test]
fn what_is_written_is_read() {
    assert_eq!(owned(read(&archive()).unwrap()), sample());
    assert_eq!(read(&with(0, b"")).map(owned).unwrap(), sample());
    let empty: [Member<Vec<u8>>; 0] = [];
    let nothing = write(&empty, 0, 1024).unwrap();
    assert_eq!(nothing, [0; 1024]);
    assert!(read(&nothing).unwrap().0.is_empty());
}

#[test]
fn what_would_be_too_large_or_has_no_name_is_not_written() {
    assert!(write(&sample(), 0, 4096).is_err());
    let long = "a".repeat(MAX_NAME);
    for name in ["..", "a/../b", "/a", "a//b", ".a", "a b", "a/", "ä", &long] {
        assert!(
            write(&[member(name, Some(b""))], 0, 1 << 20).is_err(),
            "{name}"
        );
    }
    let fits = "a".repeat(MAX_NAME - 1);
    let archive = write(&[member(&fits, Some(b"x"))], 0, 1 << 20).unwrap();
    assert_eq!(read(&archive).unwrap().0[0].name, fits);
    // A folder has a slash more.
    assert!(header(&"a".repeat(MAX_NAME - 1), None, 0).is_some());
}

#[test]
fn every_other_kind_of_member_is_refused() {
    // Hard link, symbolic link, devices, folder with a file's name, pipe, GNU's and pax's extensions,
    // sparse, "old" regular file.
    for kind in b"123456789KLMNSVgxX\0" {
        assert!(read(&with(156, &[*kind])).is_err(), "{kind}");
    }
    for (at, bytes) in [
        (0, &b"../vault.age\0"[..]),
        (0, b"/etc/passwd\0"),
        (0, b"..\0"),
        (0, b".\0"),
        (0, b"a/./b\0"),
        (0, b"a//b\0"),
        (0, b"a\\b\0"),
        (0, b"\0"),
        (0, b"\xff\xfe\0"),
        (0, b"slots/a.age\0"),
        (0, b"vault.age\0garbage"),
        // Setuid, open to others, another owner.
        (100, b"0004600"),
        (100, b"0000644"),
        (108, b"0001750"),
        // 10 GiB in GNU's binary form, 8 GiB less one, more than there is, other ways to say 4.
        (124, b"\x80\0\0\0\0\0\0\x02\x80\0\0\0"),
        (124, b"77777777777"),
        (124, b"00000177777"),
        (124, b"          4"),
        (124, b"0000000004 "),
        // Changed at another time than the others.
        (136, b"00000000001"),
        (157, b"/etc/passwd"),
        (257, b"ustar  \0"),
        (265, b"root"),
        (329, b"0000001"),
        (345, b"/\0"),
        (345, b"..\0"),
        (345, b"\0"),
        (345, b"clawkeep-backup/..\0"),
        (500, b"\x01"),
    ] {
        let archive = with(at, bytes);
        let said = read(&archive).unwrap_err();
        assert!(
            said.message().starts_with("it is no archive of clawkeep's"),
            "{said}"
        );
    }
}

#[test]
fn a_wrong_sum_a_cut_and_what_follows_the_end_are_refused() {
    let whole = archive();
    for length in (0..whole.len()).step_by(64).chain([whole.len() - 1]) {
        assert!(read(&whole[..length]).is_err(), "{length}");
    }
    for more in [1, BLOCK, 3 * BLOCK] {
        let mut longer = whole.clone();
        longer.resize(whole.len() + more, 0);
        assert!(read(&longer).is_err(), "{more}");
    }
    let mut wrong = whole.clone();
    wrong[BLOCK + 148] ^= 1;
    assert!(read(&wrong).is_err());
    let twice = [member("a", Some(b"1")), member("a", Some(b"2"))];
    assert!(read(&write(&twice, 0, 1 << 20).unwrap()).is_err());
}

proptest! {
    /// Whatever is read, written again, is the same bytes: nothing is in an archive that is not seen.
    #[test]
    fn one_archive_has_one_reading(changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4)) {
        let mut bytes = archive();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok((members, time)) = read(&bytes) {
            prop_assert_eq!(write(&members, time, 1 << 20).unwrap(), bytes);
        }
    }

    #[test]
    fn hostile_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000), at in any::<proptest::sample::Index>()) {
        let _ = read(&bytes);
        let mut archive = archive();
        let at = at.index(archive.len());
        let end = (at + bytes.len()).min(archive.len());
        archive[at..end].copy_from_slice(&bytes[..end - at]);
        let _ = read(&archive);
    }

    #[test]
    fn any_files_go_there_and_back(files in proptest::collection::btree_map("[a-z0-9_-]{1,12}(\\.[a-z]{1,4})?", proptest::collection::vec(any::<u8>(), 0..1300), 0..6), time in 0u64..1 << 33) {
        let members: Vec<_> = files.iter().map(|(name, bytes)| member(name, Some(bytes))).collect();
        let archive = write(&members, time, 1 << 20).unwrap();
        prop_assert_eq!(owned(read(&archive).unwrap()), members);
    }
}
