//! The words of admission and ledger: rounds, and why an id was not given. Ring 2.

use crate::error::Result;
use crate::json::{hex, unhex};
use std::fmt;

/// Why an id was not given under `--release once`. The texts are fixed: they go to logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The asking process runs under a user that may not ask.
    AnotherUser,
    /// The asking process is not one of the gateway's unit.
    OutsideUnit,
    /// It cannot be told which processes the unit has, or which start of it this is.
    UnitUnknown,
    /// The unit's start is too long ago.
    TooLate,
    /// The id was given in this round already.
    AlreadyReleased,
    /// What was given in this round is not known any more, so nothing is until it is armed.
    NotArmed,
    /// The id is not one that the gateway's files refer to.
    NotLinked,
    /// The gateway's own token was asked for alone, as no start of a gateway does.
    TokenAlone,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 8] = [
        Reason::AnotherUser,
        Reason::OutsideUnit,
        Reason::UnitUnknown,
        Reason::TooLate,
        Reason::AlreadyReleased,
        Reason::NotArmed,
        Reason::NotLinked,
        Reason::TokenAlone,
    ];

    /// A stable word.
    pub fn name(self) -> &'static str {
        match self {
            Reason::AnotherUser => "another-user",
            Reason::OutsideUnit => "outside-unit",
            Reason::UnitUnknown => "unit-unknown",
            Reason::TooLate => "too-late",
            Reason::AlreadyReleased => "already-released",
            Reason::NotArmed => "not-armed",
            Reason::NotLinked => "not-linked",
            Reason::TokenAlone => "token-alone",
        }
    }

    /// What happened, for people.
    pub fn text(self) -> &'static str {
        match self {
            Reason::AnotherUser => "another user asked",
            Reason::OutsideUnit => "the asking process is not in the gateway's unit",
            Reason::UnitUnknown => "the state of the gateway's unit cannot be told",
            Reason::TooLate => "the gateway's start is more than 60 seconds ago",
            Reason::AlreadyReleased => "it was given in this start of the gateway already",
            Reason::NotArmed => "the record of what was given is damaged, and nothing is armed",
            Reason::NotLinked => "it is not linked",
            Reason::TokenAlone => "a gateway that starts asks for its token together with the rest",
        }
    }
}

/// One start of the gateway: systemd's InvocationID of its unit, or, for a keeper without a unit, a
/// random number made when the keeper started. 16 bytes, written as 32 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoundId([u8; 16]);

impl RoundId {
    /// A round that no other keeper had.
    ///
    /// # Errors
    /// `Failed` when the system has no random source.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; 16];
        crate::host::random(&mut bytes)?;
        Ok(RoundId(bytes))
    }

    /// Parses 32 lower-case hex digits that are not all zero; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        unhex(text).filter(|bytes| *bytes != [0; 16]).map(RoundId)
    }
}

impl fmt::Display for RoundId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for RoundId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RoundId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_and_texts_are_told_apart() {
        let names: std::collections::BTreeSet<_> = Reason::ALL.map(Reason::name).into();
        let texts: std::collections::BTreeSet<_> = Reason::ALL.map(Reason::text).into();
        assert_eq!((names.len(), texts.len()), (8, 8));
    }

    #[test]
    fn rounds_go_there_and_back_and_nothing_else_is_one() {
        let round = RoundId::random().unwrap();
        assert_eq!(RoundId::parse(&round.to_string()), Some(round));
        for text in [
            "",
            "0123456789abcdef",
            "00000000000000000000000000000000",
            "0123456789ABCDEF0123456789ABCDEF",
            "0123456789abcdef0123456789abcde",
            "0123456789abcdef0123456789abcdef0",
            "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "0123456789abcdef0123456789abcde\n",
        ] {
            assert_eq!(RoundId::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}", digits in "[0-9a-f]{28,36}") {
            let _ = RoundId::parse(&text);
            prop_assert_eq!(
                RoundId::parse(&digits).map(|round| round.to_string()),
                (digits.len() == 32 && !digits.trim_matches('0').is_empty()).then_some(digits)
            );
        }
    }
}
