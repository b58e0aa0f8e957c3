//! The name of an undo bundle. Ring 2.

use crate::error::{Error, Result};
use crate::expiry::Millis;
use crate::host;
use crate::json::hex;
use std::fmt;

const DAY: i64 = 86_400;

/// `YYYYMMDD-hhmmss-xxxxxx`: when it was made, in UTC, and six hex digits. Sorts by time, and can be
/// typed and read aloud.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BundleId(String);

impl BundleId {
    /// A new name.
    ///
    /// # Errors
    /// `Failed` when the system has no random source.
    pub fn new(now: Millis) -> Result<Self> {
        let mut tail = [0; 3];
        host::random(&mut tail)?;
        let seconds = now.get() / 1000;
        let (days, of_day) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
        let (year, month, day) = civil(days);
        let text = format!(
            "{year:04}{month:02}{day:02}-{:02}{:02}{:02}-{}",
            of_day / 3600,
            of_day / 60 % 60,
            of_day % 60,
            hex(&tail)
        );
        // A year of five digits has no name here.
        Self::parse(&text)
    }

    /// Parses a name.
    ///
    /// # Errors
    /// `Usage`, without repeating it, when it is none.
    pub fn parse(text: &str) -> Result<Self> {
        let id = BundleId(text.to_owned());
        let is_hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        let tail = text.as_bytes().get(16..).unwrap_or_default();
        if tail.len() == 6 && tail.iter().all(|b| is_hex(*b)) && id.seconds().is_some() {
            return Ok(id);
        }
        Err(
            Error::usage("that is no name of an undo bundle (YYYYMMDD-hhmmss-xxxxxx)")
                .hint("clawkeep migrate --undo-list"),
        )
    }

    /// When it was made, to the second.
    pub fn created(&self) -> Millis {
        let ms = self.seconds().and_then(|s| Millis::new(s * 1000));
        // The first day of 1970 has no name: `parse` takes none that is not a moment.
        ms.unwrap_or_else(|| Millis::new(1).unwrap_or_else(|| unreachable!("1 is a moment")))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Seconds since 1970; `None` when the text is no moment after it.
    fn seconds(&self) -> Option<i64> {
        let text = self.0.as_bytes();
        if text.get(8) != Some(&b'-') || text.get(15) != Some(&b'-') {
            return None;
        }
        let number = |from: usize, to: usize| -> Option<i64> {
            let digits = text.get(from..to)?;
            digits.iter().try_fold(0, |sum, digit| {
                digit
                    .is_ascii_digit()
                    .then(|| sum * 10 + i64::from(digit - b'0'))
            })
        };
        let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
        let (hour, minute, second) = (number(9, 11)?, number(11, 13)?, number(13, 15)?);
        let days = days(year, month, day);
        let is_date = civil(days) == (year, month, day);
        let is_time = hour < 24 && minute < 60 && second < 60;
        let seconds = days * DAY + hour * 3600 + minute * 60 + second;
        (is_date && is_time && seconds > 0).then_some(seconds)
    }
}

impl fmt::Display for BundleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Days since 1970 of a date in the Gregorian calendar. The year begins in March, so that the leap day
/// is its last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date of a day counted from 1970.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = era * 400 + year + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_says_when() {
        let at = Millis::new(1_795_182_199_123).unwrap();
        let id = BundleId::new(at).unwrap();
        assert!(id.as_str().starts_with("20261120-134319-"), "{id}");
        assert_eq!(id.created().get(), 1_795_182_199_000);
        let leap = BundleId::parse("20240229-000000-00ff00").unwrap();
        assert_eq!(leap.created().get(), 1_709_164_800_000);
    }

    #[test]
    fn what_is_no_moment_is_no_name() {
        for bad in [
            "",
            "20230229-000000-00ff00",
            "20241301-000000-00ff00",
            "20241200-000000-00ff00",
            "20241201-240000-00ff00",
            "20241201-236000-00ff00",
            "20241201-000000-00FF00",
            "20241201-000000-00ff0",
            "20241201-000000-00ff000",
            "20241201-000000_00ff00",
            "19700101-000000-00ff00",
            "../../etc/passwd-00ff0",
            "2024120é-00000-00ff00",
        ] {
            assert!(BundleId::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_second_has_a_name_and_no_text_panics(s in 1i64..253_402_300_799, text in "\\PC{0,24}") {
            let id = BundleId::new(Millis::new(s * 1000).unwrap()).unwrap();
            prop_assert_eq!(id.created().get(), s * 1000);
            prop_assert_eq!(BundleId::parse(id.as_str()).unwrap(), id);
            let _ = BundleId::parse(&text);
        }
    }
}
