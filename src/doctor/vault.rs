//! The vault itself: whether it is there, whole, closed to others, and opens by every way that it lists.
//! Ring 3; pure.

use super::facts::{Facts, Nearness, PathFact, SlotForm};
use super::{Fix, Outcome, Severity};
use crate::error::typed;

const YEAR_MS: i64 = 365 * 86_400_000;

pub(super) fn vault(facts: &Facts) -> Outcome {
    let mut outcome = Outcome::fine();
    match &facts.vault {
        Ok(None) => {}
        // What is open to others is not opened, and what is to be done is said there.
        Ok(Some(_)) if facts.paths.iter().any(|path| path.mode & 0o077 != 0) => {
            outcome.not_checked("the permissions come first");
        }
        Ok(Some(trouble)) => {
            let hint = trouble.hint_or("clawkeep status");
            outcome.find(Severity::Error, &trouble.what, hint);
        }
        Err(reason) => return Outcome::unchecked(reason),
    }
    outcome
}

pub(super) fn permissions(facts: &Facts) -> Outcome {
    let mut outcome = Outcome::fine();
    for path in &facts.paths {
        one_path(path, &mut outcome);
    }
    outcome
}

fn one_path(path: &PathFact, outcome: &mut Outcome) {
    let said = path.path.display();
    let word = typed(&path.path);
    if path.is_link {
        let what = format!("{said} is a symbolic link: whoever moves it moves what is read");
        outcome.find(Severity::Error, what, format!("ls -l {word}"));
    } else if !path.is_own {
        let what = format!("{said} belongs to another user");
        outcome.find(Severity::Error, what, format!("ls -ld {word}"));
    } else if path.mode & 0o077 != 0 {
        let to = path.mode & if path.is_dir { 0o700 } else { 0o600 };
        let what = format!("{said} is open to other users (mode {:04o})", path.mode);
        let fix = Fix::Mode {
            path: path.path.clone(),
            from: path.mode,
            to,
        };
        outcome.add(Severity::Error, what, "clawkeep doctor --fix", Some(fix));
    }
}

pub(super) fn rollback(facts: &Facts) -> Outcome {
    let mut outcome = Outcome::fine();
    match &facts.rollback {
        Ok(None) => {}
        Ok(Some(trouble)) => {
            let hint = trouble.hint_or("clawkeep --accept-rollback secret list");
            outcome.find(Severity::Error, &trouble.what, hint);
        }
        Err(reason) => return Outcome::unchecked(reason),
    }
    outcome
}

pub(super) fn slot_opens(facts: &Facts) -> Outcome {
    let slots = match &facts.slots {
        Ok(slots) => slots,
        Err(reason) => return Outcome::unchecked(reason),
    };
    let mut outcome = Outcome::fine();
    for slot in slots {
        match &slot.opened {
            Ok(None) => {}
            Ok(Some(trouble)) => {
                let hint = trouble.hint_or("clawkeep slot list");
                outcome.find(Severity::Error, &trouble.what, hint);
            }
            Err(reason) => outcome.not_checked(&reason.0),
        }
    }
    outcome
}

pub(super) fn slot_reboot(facts: &Facts) -> Outcome {
    let slots = match &facts.slots {
        Ok(slots) => slots,
        Err(reason) => return Outcome::unchecked(reason),
    };
    let mut outcome = Outcome::fine();
    for slot in slots {
        if let Some(folder) = &slot.in_memory {
            let what = format!(
                "the key of slot {} lies in {}, which a restart empties",
                slot.name,
                folder.display()
            );
            let hint = format!(
                "clawkeep slot add identity-file --name {} --replace",
                slot.name
            );
            outcome.find(Severity::Warning, what, hint);
        }
    }
    if facts.link.is_err() || facts.keeper.isolated {
        return outcome;
    }
    let alone: Vec<_> = slots.iter().filter(|slot| slot.opens_alone()).collect();
    if alone.is_empty() && !slots.is_empty() {
        let what = "after a restart the gateway gets nothing until a person opens the vault: it has \
                    no slot that opens by itself";
        outcome.find(Severity::Note, what, "clawkeep unlock");
    } else if facts.machine.lingers
        && !alone.is_empty()
        && alone.iter().all(|slot| slot.is_keychain())
    {
        let what = "this user's services start before anybody logs in, and the keychain is locked \
                    then: nothing else opens by itself";
        let is_custody = alone
            .iter()
            .any(|slot| slot.form == SlotForm::KeychainItems);
        // Values in the keychain have no slots that could be added.
        let hint = if is_custody {
            "loginctl disable-linger"
        } else {
            "clawkeep slot add identity-file, or: clawkeep service install"
        };
        outcome.find(Severity::Warning, what, hint);
    }
    outcome
}

pub(super) fn recovery_key(facts: &Facts) -> Outcome {
    let recovery = match &facts.recovery {
        Ok(recovery) => recovery,
        Err(reason) => return Outcome::unchecked(reason),
    };
    let mut outcome = Outcome::fine();
    let Some(recovery) = recovery else {
        let what = "there is no recovery key: when every slot is lost, so is the vault";
        outcome.find(Severity::Note, what, "clawkeep rekey --new-recovery");
        return outcome;
    };
    let last = recovery.checked.unwrap_or(recovery.created);
    if facts.now.get() - last.get() > YEAR_MS {
        let what = match recovery.checked {
            Some(_) => "nobody has proved for a year to have the recovery key",
            None => "the recovery key is over a year old, and nobody ever proved to have it",
        };
        outcome.find(Severity::Warning, what, "clawkeep recovery check");
    }
    outcome
}

pub(super) fn identity_beside_vault(facts: &Facts) -> Outcome {
    let mut outcome = Outcome::fine();
    for identity in &facts.identities {
        let said = identity.path.display();
        let vault = facts.dir.display();
        let (severity, what) = match &identity.near {
            Nearness::Inside => (
                Severity::Error,
                format!(
                    "{said} holds a key in the clear, in the vault's own folder: a copy of it opens the vault"
                ),
            ),
            Nearness::Beside => (
                Severity::Warning,
                format!(
                    "{said} holds a key in the clear, beside the vault {vault}: one backup takes both"
                ),
            ),
            Nearness::Carried(folder) => (
                Severity::Warning,
                format!(
                    "{said} holds a key in the clear and lies with the vault in {}, which is carried away as a whole",
                    folder.display()
                ),
            ),
            Nearness::SameHome => (
                Severity::Note,
                format!("a backup of the whole home takes the vault and {said}, which opens it"),
            ),
        };
        let hint = match &identity.slot {
            Some(slot) => format!(
                "clawkeep slot add identity-file --name {slot} --replace --identity-file FILE, with a FILE elsewhere"
            ),
            None => format!(
                "mv {} FOLDER, with a FOLDER elsewhere",
                typed(&identity.path)
            ),
        };
        outcome.find(severity, what, hint);
    }
    outcome
}
