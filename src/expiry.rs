//! Moments and durations as OpenClaw's users write them. Ring 0: the clock is somebody else's.

use crate::error::{Error, Result};
use std::fmt;
use std::num::NonZeroI64;

/// A moment: Unix time in milliseconds, as in OpenClaw's `expires`. Always positive, and within
/// the range of an ECMAScript date (±8.64e15).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(into = "i64", try_from = "i64")]
pub struct Millis(NonZeroI64);

const MAX_DATE: i64 = 8_640_000_000_000_000;

impl Millis {
    /// The moment `ms` milliseconds after 1970; `None` when it is not positive or out of range.
    pub fn new(ms: i64) -> Option<Self> {
        let in_range = (1..=MAX_DATE).contains(&ms);
        NonZeroI64::new(ms).filter(|_| in_range).map(Millis)
    }

    /// Milliseconds since 1970.
    pub fn get(self) -> i64 {
        self.0.get()
    }
}

impl From<Millis> for i64 {
    fn from(at: Millis) -> i64 {
        at.get()
    }
}

impl TryFrom<i64> for Millis {
    type Error = &'static str;

    fn try_from(ms: i64) -> std::result::Result<Self, &'static str> {
        Millis::new(ms).ok_or("no moment")
    }
}

/// Parses `--expires-in` as OpenClaw 2026.9.6 does and adds it to `now`.
///
/// A number with optional decimals and a unit `ms`, `s`, `m`, `h` or `d`; without a unit it is days;
/// parts may follow one another (`2h30m`). Zero, negative and undated results are refused.
///
/// # Errors
/// `Usage`, without repeating the input.
pub fn expires_in(text: &str, now: Millis) -> Result<Millis> {
    let ms = duration_ms(text.trim()).ok_or_else(|| {
        Error::usage("invalid duration for --expires-in")
            .hint("use values like 500ms, 30s, 5m, 2h, 1h30m or 365d")
    })?;
    #[allow(clippy::cast_precision_loss, reason = "a date in ms is below 2^53")]
    let at = ms.round() + now.get() as f64;
    #[allow(clippy::cast_precision_loss, reason = "the bound is below 2^53")]
    let in_range = ms >= 1.0 && at <= MAX_DATE as f64;
    #[allow(
        clippy::cast_possible_truncation,
        reason = "checked against the range above"
    )]
    let at = in_range.then(|| Millis::new(at as i64)).flatten();
    at.ok_or_else(|| {
        Error::usage("invalid expiry duration: the resulting moment is now or outside the calendar")
            .hint("use --expires-in 365d")
    })
}

/// Parses a span of time such as `30m`, `8h` or `1h30m`: the same grammar, but the unit must be said,
/// since days are not what a person means by a bare number here. At least a second, at most a year.
///
/// # Errors
/// `Usage`, without repeating the input, naming the flag.
pub fn span(text: &str, flag: &str) -> Result<std::time::Duration> {
    const YEAR_MS: f64 = 366.0 * 86_400_000.0;
    let text = text.trim();
    let ms = duration_ms(text)
        .filter(|_| text.ends_with(|c: char| c.is_ascii_alphabetic()))
        .filter(|ms| (1000.0..=YEAR_MS).contains(ms));
    ms.map(|ms| std::time::Duration::from_secs_f64(ms / 1000.0))
        .ok_or_else(|| {
            Error::usage(format!(
                "{flag} takes a time with its unit, from one second to a year"
            ))
            .hint(format!("{flag} 8h"))
        })
}

fn duration_ms(text: &str) -> Option<f64> {
    let text = text.to_ascii_lowercase();
    let mut rest = text.as_str();
    let mut total = 0.0;
    let mut parts = 0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !(c.is_ascii_digit() || c == '.'))
            .unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        if !number.starts_with(|c: char| c.is_ascii_digit()) || number.ends_with('.') {
            return None;
        }
        let number: f64 = number.parse().ok()?;
        let unit_len = tail
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_len);
        let factor = match unit {
            "ms" => 1.0,
            "s" => 1e3,
            "m" => 60e3,
            "h" => 3600e3,
            "d" => 86400e3,
            // Only a lone number may go without a unit: `1h30` is a typo, not 30 days.
            "" if parts == 0 && tail.is_empty() => 86400e3,
            _ => return None,
        };
        total += number * factor;
        parts += 1;
        rest = tail;
    }
    (parts > 0).then_some(total)
}

/// Time between two moments in whole words: `3 days`, `5 hours`, `1 minute`.
pub struct Span(pub i64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.abs() / 1000;
        let (n, unit) = match seconds {
            // What was 365 days a moment ago is not 364 days now.
            s if s >= 2 * 86400 - 3600 => ((s + 3600) / 86400, "day"),
            s if s >= 2 * 3600 - 60 => ((s + 60) / 3600, "hour"),
            s if s >= 120 => (s / 60, "minute"),
            s => (s, "second"),
        };
        write!(f, "{n} {unit}{}", if n == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_moment_read_from_a_file_is_within_the_calendar() {
        let read = |text: &str| serde_json::from_str::<Millis>(text).ok().map(Millis::get);
        assert_eq!(read("1700000000000"), Some(1_700_000_000_000));
        for bad in [
            "0",
            "-1",
            "8640000000000001",
            "-9223372036854775808",
            "1e3",
            "null",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
        let at = Millis::new(7).unwrap();
        assert_eq!(serde_json::to_string(&at).unwrap(), "7");
    }

    const NOW: i64 = 1_795_182_199_000;

    fn added(text: &str) -> Option<i64> {
        expires_in(text, Millis::new(NOW).unwrap())
            .ok()
            .map(|at| at.get() - NOW)
    }

    #[test]
    fn durations_are_openclaws() {
        let day = 86_400_000;
        for (text, ms) in [
            ("365", 365 * day),
            ("1.5d", day * 3 / 2),
            ("12h", day / 2),
            ("30m", 1_800_000),
            ("2h30m", 9_000_000),
            ("500ms", 500),
            ("30s", 30_000),
            (" 1D ", day),
            ("1d12h", day * 3 / 2),
        ] {
            assert_eq!(added(text), Some(ms), "{text}");
        }
        for bad in [
            "",
            "banana",
            "1w",
            "-1d",
            "0",
            "0d",
            "1h30",
            ".5d",
            "1.",
            "1e3d",
            "9999999999d",
            "1 d",
            "h",
        ] {
            assert_eq!(added(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_span_is_said_in_whole_words() {
        for (seconds, said) in [
            (0, "0 seconds"),
            (1, "1 second"),
            (119, "119 seconds"),
            (120, "2 minutes"),
            (7_130, "118 minutes"),
            (7_150, "2 hours"),
            (-172_800, "2 days"),
            (365 * 86_400 - 30, "365 days"),
            (365 * 86_400 - 7_200, "364 days"),
        ] {
            assert_eq!(Span(seconds * 1000).to_string(), said, "{seconds}");
        }
    }

    proptest! {
        #[test]
        fn no_input_panics_and_every_answer_lies_ahead(text in "\\PC{0,30}") {
            if let Some(ms) = added(&text) { prop_assert!(ms > 0); }
        }
    }
}
