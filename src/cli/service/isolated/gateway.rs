//! Which unit of the system's manager the gateway becomes. Ring 4.
//!
//! It keeps the name that OpenClaw gave it: under that name, in `/etc/systemd/system`, OpenClaw's own
//! commands find it (`openclaw gateway status`; `restart` says that it takes `sudo systemctl restart`).

use super::text_of;
use super::wish::{Surveyed, Unit};
use crate::cli::service::ask::Seen;
use crate::cli::service::files::Planned;
use crate::cli::service::said::GatewayName;
use crate::cli::service::{Target, install};
use crate::error::{Error, Result};
use crate::service::gateway::GatewayUnit;
use crate::service::keeper_unit::system_unit;
use crate::service::marker;

/// The gateway's unit in the system's manager.
pub struct Becomes {
    /// Its name.
    pub unit: GatewayName,
    /// What is written: the unit, or a drop-in for one that a person wrote.
    pub file: Planned,
    /// The unit of the user's manager that it is made from, and that is disabled.
    pub replaces: Option<GatewayName>,
}

/// Chooses it.
///
/// # Errors
/// `Usage` when there are several, `Missing` when there is none, `Failed` when it holds keys in plain.
pub fn choose(target: &Target, seen: &Surveyed, named: Option<&str>) -> Result<Becomes> {
    let named = named.map(|name| {
        if name.ends_with(".service") {
            name.to_owned()
        } else {
            format!("{name}.service")
        }
    });
    let keeper = system_unit(&target.user.name);
    let by_hand = by_hand(target, &keeper)?;
    let all: Vec<GatewayName> = seen
        .gateways
        .iter()
        .map(|unit| unit.name.clone())
        .chain(by_hand.iter().map(|seen| seen.unit.clone()))
        .collect();
    let name = match (&named, all.as_slice()) {
        (Some(name), _) => Some(name.as_str()),
        (None, [one, others @ ..]) if others.iter().all(|other| other == one) => Some(&**one),
        (None, []) => None,
        (None, _) => {
            return Err(Error::usage(format!(
                "there are several gateways, and a keeper answers one: {}",
                joined(&all)
            ))
            .hint(format!("add --gateway-unit {}", all[0])));
        }
    };
    let is = |other: &str| name.is_none_or(|name| name == other);
    if let Some(there) = by_hand.into_iter().find(|seen| is(&seen.unit)) {
        let own = seen.gateways.iter().find(|unit| unit.name == there.unit);
        return Ok(Becomes {
            replaces: own.map(|unit| unit.name.clone()),
            unit: there.unit,
            file: Planned::new(there.drop_in.to_path_buf(), there.text),
        });
    }
    if let Some(own) = seen.gateways.iter().find(|unit| is(&unit.name)) {
        return becomes(target, own, keeper, true);
    }
    match &seen.fallback {
        Some(fallback) if is(&fallback.name) => becomes(target, fallback, keeper, false),
        _ => Err(Error::missing(
            "no gateway of that user was found to be made a unit of the system",
        )
        .hint(format!("as {}: openclaw gateway install", target.user.name))),
    }
}

fn joined(words: &[impl ToString]) -> String {
    let words: Vec<String> = words.iter().map(ToString::to_string).collect();
    words.join(", ")
}

/// Units of the system's manager that a person wrote for this user's gateway.
fn by_hand(target: &Target, keeper: &str) -> Result<Vec<Seen>> {
    let mut found = install::system_gateways(target, keeper)?;
    let folder = target.system_units();
    let mut failed = None;
    found.retain(|seen| match text_of(&folder.join(&*seen.unit)) {
        Ok(text) => text.is_none_or(|text| !marker::is_intact(&text)),
        Err(error) => {
            failed.get_or_insert(error);
            false
        }
    });
    failed.map_or(Ok(found), Err)
}

fn becomes(target: &Target, from: &Unit, keeper: String, is_theirs: bool) -> Result<Becomes> {
    if !from.withheld.is_empty() {
        return Err(Error::failed(format!(
            "{} sets what looks like keys in plain text, which no unit is to hold: {}",
            from.name,
            joined(&from.withheld)
        ))
        .hint("store them (clawkeep models auth paste-token), take them out of the unit or its file of variables, and run this again"));
    }
    if let Some(trouble) = &from.trouble {
        return Err(Error::failed(format!("{}: {trouble}", from.name)));
    }
    let gateway = from.gateway();
    let text = GatewayUnit {
        gateway: &gateway,
        user: target.user.name.clone(),
        keeper,
    }
    .render()?;
    Ok(Becomes {
        unit: from.name.clone(),
        file: Planned::new(target.system_units().join(&*from.name), text),
        replaces: is_theirs.then(|| from.name.clone()),
    })
}
