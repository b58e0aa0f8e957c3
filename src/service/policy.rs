//! How a gateway is started again and stopped: the few settings that a unit of another manager takes
//! over, each with the only values that it can have. Ring 2.
//!
//! Source: systemd.unit(5), systemd.service(5), systemd.exec(5), systemd.time(7) of systemd 252.

use super::text::Setting;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// The longest value: room for a list of exit statuses.
const MAX_VALUE: usize = 256;

/// What a setting's value can be.
#[derive(Debug, Clone, Copy)]
enum Value {
    /// A number up to `u32::MAX`.
    Count,
    /// A time span: `5`, `1min 30s`, `infinity`.
    Span,
    /// A word of `Restart=`.
    Restart,
    /// Exit statuses and names of signals.
    Statuses,
    /// 0 to 1000: below 0 only root may go, and a user's manager could not have.
    OutOfMemory,
}

/// Each setting, and the section that it stands in.
const KNOWN: [(&str, &str, Value); 9] = [
    ("Unit", "StartLimitBurst", Value::Count),
    ("Unit", "StartLimitIntervalSec", Value::Span),
    ("Service", "Restart", Value::Restart),
    ("Service", "RestartSec", Value::Span),
    ("Service", "RestartPreventExitStatus", Value::Statuses),
    ("Service", "SuccessExitStatus", Value::Statuses),
    ("Service", "TimeoutStartSec", Value::Span),
    ("Service", "TimeoutStopSec", Value::Span),
    ("Service", "OOMScoreAdjust", Value::OutOfMemory),
];

impl Value {
    fn fits(self, text: &str) -> bool {
        let all = |more: &str| {
            text.bytes()
                .all(|b| b.is_ascii_alphanumeric() || more.as_bytes().contains(&b))
        };
        // Empty is systemd's way back to the default.
        text.is_empty()
            || match self {
                Value::Count => all("") && text.parse::<u32>().is_ok(),
                Value::Span => {
                    all(" .") && (text == "infinity" || text.as_bytes()[0].is_ascii_digit())
                }
                Value::Restart => [
                    "no",
                    "always",
                    "on-success",
                    "on-failure",
                    "on-abnormal",
                    "on-watchdog",
                    "on-abort",
                ]
                .contains(&text),
                Value::Statuses => all(" _+-"),
                Value::OutOfMemory => {
                    all("") && text.parse::<u16>().is_ok_and(|score| score <= 1000)
                }
            }
    }
}

/// One such setting; nothing else can be one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Setting", into = "Setting")]
pub struct Policy(Setting);

impl Policy {
    /// Takes a setting; `None` when it is none of these.
    ///
    /// # Errors
    /// `Failed` when its value is not one that it can have; the value is not repeated.
    pub fn of(setting: Setting) -> Result<Option<Self>> {
        let known = KNOWN
            .iter()
            .find(|(section, name, _)| *section == setting.section && *name == setting.name);
        let Some((_, name, value)) = known else {
            return Ok(None);
        };
        if setting.value.len() > MAX_VALUE || !value.fits(&setting.value) {
            return Err(Error::failed(format!(
                "{name} in the gateway's unit has a value that clawkeep does not hand on"
            )));
        }
        Ok(Some(Policy(setting)))
    }

    /// The setting.
    pub fn setting(&self) -> &Setting {
        &self.0
    }
}

impl TryFrom<Setting> for Policy {
    type Error = &'static str;

    fn try_from(setting: Setting) -> std::result::Result<Self, Self::Error> {
        Policy::of(setting).ok().flatten().ok_or("no such setting")
    }
}

impl From<Policy> for Setting {
    fn from(policy: Policy) -> Setting {
        policy.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn setting(section: &str, name: &str, value: &str) -> Setting {
        let owned = str::to_owned;
        Setting {
            section: owned(section),
            name: owned(name),
            value: owned(value),
        }
    }

    #[test]
    fn only_these_settings_with_values_that_they_can_have() {
        for (section, name, value) in [
            ("Unit", "StartLimitBurst", "10"),
            ("Unit", "StartLimitIntervalSec", "1min 30s"),
            ("Service", "Restart", "on-failure"),
            ("Service", "RestartSec", "0.5"),
            ("Service", "SuccessExitStatus", "0 143 SIGTERM"),
            ("Service", "TimeoutStopSec", "infinity"),
            ("Service", "OOMScoreAdjust", "500"),
            ("Service", "Restart", ""),
        ] {
            assert!(
                Policy::of(setting(section, name, value)).unwrap().is_some(),
                "{name}"
            );
        }
        for (section, name) in [
            ("Service", "User"),
            ("Service", "User=root\nExecStart=\nExecStart"),
            ("Unit", "Restart"),
            ("Service\n[Service]", "Restart"),
            ("Install", "StartLimitBurst"),
        ] {
            let one = setting(section, name, "1");
            assert_eq!(Policy::of(one.clone()).unwrap(), None, "{name}");
            assert!(Policy::try_from(one).is_err());
        }
        for (section, name, value) in [
            ("Service", "RestartSec", "5\\"),
            ("Service", "RestartSec", "5\nUser=root"),
            ("Service", "RestartSec", "%h"),
            ("Service", "Restart", "always\\"),
            ("Service", "Restart", "sometimes"),
            ("Service", "SuccessExitStatus", "0 \\"),
            ("Service", "OOMScoreAdjust", "-1000"),
            ("Service", "OOMScoreAdjust", "1001"),
            ("Unit", "StartLimitBurst", "4294967296"),
        ] {
            let error = Policy::of(setting(section, name, value)).unwrap_err();
            assert!(!error.message().contains(value), "{error}");
        }
        assert!(Policy::of(setting("Service", "SuccessExitStatus", &"1 ".repeat(200))).is_err());
    }

    proptest! {
        /// Whatever it is, it is one line that joins no other.
        #[test]
        fn a_value_is_one_line(at in 0..KNOWN.len(), value in "(\\PC|[\n\\\\]){0,20}|[0-9a-z .\\\\]{0,9}") {
            let (section, name, _) = KNOWN[at];
            if let Ok(Some(policy)) = Policy::of(setting(section, name, &value)) {
                let value = &policy.setting().value;
                prop_assert!(!value.contains(['\n', '\\', '%', '"', '\'']));
            }
        }
    }
}
