//! Tickets of every kind that must not be believed, and the two that are.

use super::*;
use proptest::prelude::*;
use std::path::PathBuf;

struct Keeper {
    dir: tempfile::TempDir,
    challenge: Challenge,
    identity: Identity,
}

impl Keeper {
    fn new() -> Self {
        Keeper {
            dir: tempfile::tempdir().unwrap(),
            challenge: Challenge::random().unwrap(),
            identity: Identity::generate(),
        }
    }

    fn ticket(&self) -> Ticket {
        Ticket {
            challenge: self.challenge,
            ids: Ids::All,
            made_at: Millis::new(1_790_000_000_000).unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join(NAME)
    }

    fn put(&self, bytes: &[u8]) {
        file::replace(&self.path(), bytes, 0o600).unwrap();
    }

    fn take(&self) -> Taken {
        Ticket::take(self.dir.path(), &self.challenge, &self.identity)
    }

    /// Takes what is there, which must be refused and gone.
    #[track_caller]
    fn refused(&self, what: &str) -> Refusal {
        let Taken::Refused(refusal) = self.take() else {
            panic!("{what} was believed, or not seen");
        };
        assert!(
            std::fs::symlink_metadata(self.path()).is_err(),
            "{what} stayed"
        );
        assert_eq!(self.take(), Taken::None, "{what}");
        refusal
    }

    fn judge(&self, bytes: &[u8], is_roots: bool) -> std::result::Result<Proof, Refusal> {
        judge(bytes, is_roots, &self.challenge, &self.identity).map(|(_, proof)| proof)
    }
}

#[test]
fn a_ticket_with_the_vaults_mac_is_believed_and_gone() {
    let keeper = Keeper::new();
    assert_eq!(keeper.take(), Taken::None);
    let ids = ["anthropic:work", "provider/anthropic", "gateway/token"];
    let some = Ids::Some(ids.iter().map(|id| RefId::parse(id).unwrap()).collect());
    for ids in [Ids::All, some, Ids::Some(BTreeSet::new())] {
        let ticket = Ticket {
            ids,
            ..keeper.ticket()
        };
        ticket
            .leave(keeper.dir.path(), Some(&keeper.identity))
            .unwrap();
        assert_eq!(keeper.take(), Taken::Believed(ticket, Proof::Mac));
        assert_eq!(keeper.take(), Taken::None);
    }
}

#[test]
fn a_ticket_is_not_believed_under_the_next_challenge() {
    let mut keeper = Keeper::new();
    let bytes = keeper.ticket().render(Some(&keeper.identity)).unwrap();
    assert_eq!(keeper.judge(&bytes, false), Ok(Proof::Mac));
    keeper.challenge = Challenge::random().unwrap();
    keeper.put(&bytes);
    assert_eq!(keeper.refused("a replay"), Refusal::OldChallenge);
    assert_eq!(keeper.judge(&bytes, true), Err(Refusal::OldChallenge));
}

#[test]
fn without_root_or_the_vaults_mac_nothing_is_believed() {
    let keeper = Keeper::new();
    let plain = keeper.ticket().render(None).unwrap();
    assert_eq!(keeper.judge(&plain, true), Ok(Proof::Root));
    assert_eq!(keeper.judge(&plain, false), Err(Refusal::NotProven));
    let others = keeper.ticket().render(Some(&Identity::generate())).unwrap();
    keeper.put(&others);
    assert_eq!(keeper.refused("another vault's"), Refusal::NotProven);
    // Nor does an owner mend a wrong MAC.
    assert_eq!(keeper.judge(&others, true), Err(Refusal::NotProven));
    // The MAC of the vault's body is of another kind.
    let line = &plain[..plain.len() - 1];
    let body = keeper.identity.sign("clawkeep/v1/mac/vault", line).unwrap();
    let mixed = [
        &plain[..],
        format!("{{\"mac\":\"{}\"}}\n", hex(&body)).as_bytes(),
    ]
    .concat();
    assert_eq!(keeper.judge(&mixed, false), Err(Refusal::NotProven));
    // Any byte of line 1 counts.
    let right = keeper.ticket().render(Some(&keeper.identity)).unwrap();
    for at in 0..right.len() {
        let mut wrong = right.clone();
        wrong[at] ^= 1;
        assert!(keeper.judge(&wrong, false).is_err(), "byte {at}");
        assert!(keeper.judge(&right[..at], false).is_err(), "cut at {at}");
    }
}

#[cfg(unix)]
#[test]
fn what_proves_root() {
    let table = [
        ((1500, 0, 1, 0o100_644), true),
        ((1500, 0, 1, 0o100_600), true),
        ((1500, 1500, 1, 0o100_600), false),
        ((1500, 1501, 1, 0o100_600), false),
        // Linked here by somebody else.
        ((1500, 0, 2, 0o100_644), false),
        // Removed since.
        ((1500, 0, 0, 0o100_644), false),
        // Written by somebody else.
        ((1500, 0, 1, 0o100_666), false),
        ((1500, 0, 1, 0o100_664), false),
        // The keeper is root itself.
        ((0, 0, 1, 0o100_600), false),
    ];
    for ((me, owner, names, mode), proven) in table {
        assert_eq!(
            proves_root(me, owner, names, mode),
            proven,
            "{me} {owner} {names} {mode:o}"
        );
    }
}

#[test]
fn what_is_no_ticket() {
    let keeper = Keeper::new();
    let right = String::from_utf8(keeper.ticket().render(None).unwrap()).unwrap();
    assert_eq!(keeper.judge(right.as_bytes(), true), Ok(Proof::Root));
    for wrong in [
        String::new(),
        "\n".to_owned(),
        "null\n".to_owned(),
        right.trim_end().to_owned(),
        right.clone() + "\n",
        right.clone() + &right,
        right.clone() + "{\"mac\":\"00\"}\n",
        right.clone() + &format!("{{\"mac\":\"{}\"}}", "0".repeat(64)),
        right.clone() + &format!("{{\"mac\":\"{}\"}}\n\n", "0".repeat(64)),
        right.clone() + &format!("{{\"mac\":\"{}\"}}\n", "A".repeat(64)),
        right.replace("clawkeep-arm", "clawkeep-vault"),
        right.replace("\"version\":1", "\"version\":2"),
        right.replace("\"ids\":null,", ""),
        right.replace("null", "[\"../x\"]"),
        right.replace("null", "[\"\"]"),
        right.replace("null", "[1]"),
        right.replace("null", "{}"),
        right.replace("null", "\"anthropic:work\""),
        right.replace("\"made_at\":1", "\"made_at\":-1"),
        right.replace("\"challenge\":\"", "\"challenge\":\"0"),
    ] {
        assert_eq!(
            keeper.judge(wrong.as_bytes(), true),
            Err(Refusal::NotATicket),
            "{wrong}"
        );
        keeper.put(wrong.as_bytes());
        assert_eq!(keeper.refused(&wrong), Refusal::NotATicket);
    }
}

// Elsewhere there is no call that makes a pipe without unsafe code.
#[cfg(target_os = "linux")]
#[test]
fn what_is_no_file_is_neither_followed_nor_waited_for() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let keeper = Keeper::new();
    let elsewhere = keeper.dir.path().join("elsewhere");
    let right = keeper.ticket().render(Some(&keeper.identity)).unwrap();
    file::replace(&elsewhere, &right, 0o600).unwrap();
    std::os::unix::fs::symlink(&elsewhere, keeper.path()).unwrap();
    assert_eq!(keeper.refused("a link"), Refusal::NotAFile);
    assert!(elsewhere.exists());
    std::os::unix::fs::symlink("/nonexistent", keeper.path()).unwrap();
    assert_eq!(keeper.refused("a dangling link"), Refusal::NotAFile);
    mknodat(
        CWD,
        keeper.path(),
        FileType::Fifo,
        Mode::RUSR | Mode::WUSR,
        0,
    )
    .unwrap();
    assert_eq!(keeper.refused("a pipe"), Refusal::NotAFile);
    drop(std::os::unix::net::UnixListener::bind(keeper.path()).unwrap());
    assert_eq!(keeper.refused("a socket"), Refusal::NotAFile);
    std::fs::File::options()
        .write(true)
        .create_new(true)
        .open(keeper.path())
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    assert_eq!(keeper.refused("a giant"), Refusal::NotAFile);
    std::fs::create_dir(keeper.path()).unwrap();
    assert_eq!(keeper.take(), Taken::Refused(Refusal::NotAFile));
}

/// With root's own files; where the tests do not run as root, the table above has to do.
#[cfg(unix)]
#[test]
fn a_file_of_roots_is_believed_by_a_keeper_of_another_user_alone() {
    use std::os::unix::fs::{PermissionsExt, chown};
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let keeper = Keeper::new();
    let ticket = keeper.ticket();
    let take_as = |me| Ticket::take_as(me, keeper.dir.path(), &keeper.challenge, &keeper.identity);
    let leave = || ticket.leave(keeper.dir.path(), None).unwrap();
    let not_proven = Taken::Refused(Refusal::NotProven);
    leave();
    assert_eq!(take_as(1500), Taken::Believed(ticket.clone(), Proof::Root));
    assert_eq!(take_as(1500), Taken::None);
    leave();
    assert_eq!(take_as(0), not_proven, "the keeper is root too");
    leave();
    chown(keeper.path(), Some(1500), None).unwrap();
    assert_eq!(take_as(1500), not_proven, "the keeper's own user made it");
    leave();
    std::fs::set_permissions(keeper.path(), std::fs::Permissions::from_mode(0o646)).unwrap();
    assert_eq!(take_as(1500), not_proven, "others could write it");
    // A file of root's that another user linked here: it stays where it was.
    leave();
    let roots = keeper.dir.path().join("roots");
    std::fs::hard_link(keeper.path(), &roots).unwrap();
    assert_eq!(take_as(1500), not_proven);
    assert!(roots.exists() && !keeper.path().exists());
    std::os::unix::fs::symlink(&roots, keeper.path()).unwrap();
    assert_eq!(take_as(1500), Taken::Refused(Refusal::NotAFile));
    // With the MAC the owner does not matter.
    keeper.put(&ticket.render(Some(&keeper.identity)).unwrap());
    chown(keeper.path(), Some(1500), Some(1500)).unwrap();
    assert_eq!(take_as(0), Taken::Believed(ticket.clone(), Proof::Mac));
}

#[cfg(unix)]
#[test]
fn a_ticket_can_be_read_by_the_keeper_and_written_by_its_maker_alone() {
    use std::os::unix::fs::PermissionsExt;
    let keeper = Keeper::new();
    keeper.ticket().leave(keeper.dir.path(), None).unwrap();
    let mode = std::fs::metadata(keeper.path())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o644);
}

proptest! {
    #[test]
    fn no_bytes_are_believed(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in "\\PC{0,200}\n?") {
        let keeper = Keeper::new();
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            prop_assert_eq!(keeper.judge(bytes, true), Err(Refusal::NotATicket));
        }
    }
}
