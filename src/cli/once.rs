//! `--release once` in the keeper: who asks, what was given, what is armed. Ring 4.
//!
//! Promise: nothing goes out before it is noted on the disk that it does; whatever is not clear is a
//! no.

use super::keeping::Terms;
use super::record::{ASKS_TWICE, LinkRecord};
use crate::access;
use crate::error::{Error, Result};
use crate::host;
use crate::keeper::admission::{Asked, Gate, Verdict};
use crate::keeper::ledger::{Ask, Ledger};
use crate::keeper::published::{Challenge, Published};
use crate::keeper::reason::{Reason, RoundId};
use crate::keeper::server::Asker;
use crate::keeper::socket;
use crate::keeper::ticket::{Ids, Taken, Ticket};
use crate::keeper::unit::System;
use crate::keeper::wire::Given;
use crate::openclaw::reference::GATEWAY_TOKEN;
use crate::secret::RefId;
use crate::vault::held::Held;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What a keeper under `--release once` knows besides its vault.
pub struct Once {
    gate: Gate,
    system: System,
    ledger: Ledger,
    published: Published,
    twice: bool,
}

/// Why an id was not given, for the access log.
pub type Refusals = BTreeMap<String, access::Reason>;

impl Once {
    /// Reads what was given before this keeper started, and says what a ticket must name.
    ///
    /// # Errors
    /// `Failed` when the state of the gateway's unit cannot be told, or the folder cannot be written.
    pub fn begin(
        dir: &Path,
        terms: &Terms,
        mut published: Published,
        warn: impl FnOnce(&Error),
    ) -> Result<Self> {
        let gate = match &terms.unit {
            Some(gateway) => Gate::Unit {
                uid: gateway.uid,
                unit: gateway.unit.clone(),
            },
            None => Gate::Own {
                uid: socket::own_uid(),
                session: RoundId::random()?,
            },
        };
        let system = System::default();
        let current = gate
            .round(&system)
            .map_err(|reason| Error::failed(reason.text()).hint("systemctl status"))?;
        let loaded = Ledger::load(dir, current);
        if let Some(damage) = &loaded.damage {
            warn(damage);
        }
        published.challenge = Some(Challenge::random()?);
        published.save(dir)?;
        // An isolated keeper's link.json is its own; an attended one's is open to whatever runs as its
        // user, so there the person says it.
        let link = match gate {
            Gate::Unit { .. } => LinkRecord::load(dir).ok().flatten(),
            Gate::Own { .. } => None,
        };
        Ok(Once {
            gate,
            system,
            ledger: loaded.ledger,
            published,
            twice: terms.asks_twice || link.is_some_and(|link| link.openclaw == ASKS_TWICE),
        })
    }

    /// Whether this asker is let in at all.
    ///
    /// # Errors
    /// The reason, when not.
    pub fn admit(&self, asker: &Asker) -> std::result::Result<(RoundId, bool), Reason> {
        self.gate.may_connect(asker.peer)?;
        let (Some(sender), Some((looked, challenged))) = (asker.sender, asker.challenged) else {
            return Err(Reason::OutsideUnit);
        };
        let question = Asked {
            connected: asker.peer,
            sender,
            looked,
            challenged,
        };
        match self.gate.admit(&self.system, &question) {
            Verdict::Admitted { round, in_time } => Ok((round, in_time)),
            Verdict::Refused(reason) => Err(reason),
        }
    }

    /// Takes a ticket, if one was left.
    ///
    /// # Errors
    /// `Failed` when it cannot be noted; nothing is armed then.
    pub fn take_ticket(&mut self, held: &Held) -> Result<()> {
        let Some(challenge) = self.published.challenge else {
            return Ok(());
        };
        let Taken::Believed(ticket, _) = Ticket::take(held.dir(), &challenge, held.identity())
        else {
            return Ok(());
        };
        self.published.challenge = Some(Challenge::random()?);
        self.published.save(held.dir())?;
        let ids = match ticket.ids {
            Ids::All => held.linked().clone(),
            Ids::Some(ids) => ids.intersection(held.linked()).cloned().collect(),
        };
        self.arm(&ids)
    }

    /// Lets ids whose value was stored anew be given once more.
    ///
    /// # Errors
    /// As [`Ledger::arm`].
    pub fn arm(&mut self, ids: &BTreeSet<RefId>) -> Result<()> {
        // In a start that is still to come each is given anyhow.
        match self.gate.round(&self.system) {
            Ok(Some(round)) if !ids.is_empty() => self.ledger.arm(round, ids),
            _ => Ok(()),
        }
    }

    /// Keeps of the values those that may go out now, and notes that they do.
    pub fn release(
        &mut self,
        held: &Held,
        (round, in_time): (RoundId, bool),
        ids: &[String],
        given: &mut [Given],
    ) -> Refusals {
        if is_token_alone(ids, held.linked()) {
            given.fill_with(|| Given::Locked);
            let reason = noted(Reason::TokenAlone);
            return ids.iter().map(|id| (id.clone(), reason)).collect();
        }
        let with_value = ids.iter().zip(given.iter());
        let asked: BTreeSet<RefId> = with_value
            .filter(|(_, given)| matches!(given, Given::Value(_)))
            .filter_map(|(id, _)| RefId::parse(id))
            .collect();
        let rulings = self.ledger.ask(&Ask {
            round,
            in_time,
            ids: &asked,
            linked: held.linked(),
            now: host::since_boot(),
            twice: self.twice,
        });
        let mut refusals = Refusals::new();
        for (id, given) in ids.iter().zip(given) {
            if !matches!(given, Given::Value(_)) {
                continue;
            }
            let ruling = match &rulings {
                Ok(rulings) => rulings.get(id.as_str()).copied(),
                // It cannot be noted, so it does not go out.
                Err(_) => None,
            };
            match ruling {
                Some(Ok(())) => {}
                Some(Err(reason)) => {
                    refusals.insert(id.clone(), noted(reason));
                    *given = Given::Locked;
                }
                None => *given = Given::Locked,
            }
        }
        refusals
    }

    /// What the keeper says of itself in the vault's folder.
    pub fn published(&self) -> &Published {
        &self.published
    }
}

/// Whether this is a command of OpenClaw that talks to its gateway, and no gateway that starts. Each such
/// command would use up the token before the gateway is there; and the token gives whoever has it
/// everything that the gateway holds.
fn is_token_alone(ids: &[String], linked: &BTreeSet<RefId>) -> bool {
    let is_token = |id: &str| id == GATEWAY_TOKEN;
    ids.iter().all(|id| is_token(id)) && linked.iter().any(|id| !is_token(id.as_str()))
}

/// A reason as the access log has it.
pub fn noted(reason: Reason) -> access::Reason {
    match reason {
        Reason::AnotherUser => access::Reason::OtherUser,
        Reason::OutsideUnit => access::Reason::OutsideUnit,
        Reason::UnitUnknown => access::Reason::UnitUnknown,
        Reason::TooLate => access::Reason::Late,
        Reason::AlreadyReleased => access::Reason::Again,
        Reason::NotArmed => access::Reason::NotArmed,
        Reason::NotLinked => access::Reason::NotLinked,
        Reason::TokenAlone => access::Reason::TokenAlone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_gateways_token_by_itself_is_no_start_of_a_gateway() {
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let linked = |ids: &[&str]| ids.iter().filter_map(|id| RefId::parse(id)).collect();
        let all = linked(&["gateway/token", "provider/mock"]);
        assert!(is_token_alone(&ids(&["gateway/token"]), &all));
        assert!(!is_token_alone(
            &ids(&["gateway/token", "provider/mock"]),
            &all
        ));
        assert!(!is_token_alone(&ids(&["provider/mock"]), &all));
        // A gateway that has nothing else to ask for.
        assert!(!is_token_alone(
            &ids(&["gateway/token"]),
            &linked(&["gateway/token"])
        ));
    }
}
