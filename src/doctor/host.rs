//! The machine: what the at-rest mode does not keep from an agent, said where it is so. Ring 3; pure.

use super::facts::Facts;
use super::{NotKnown, Outcome, Severity};

pub(super) fn agent_reach(facts: &Facts) -> Outcome {
    let link = match &facts.link {
        Ok(link) => link,
        Err(reason) => return Outcome::unchecked(reason),
    };
    let mut outcome = Outcome::fine();
    super::link::included(facts, &mut outcome);
    let Some(shell) = &link.open_shell else {
        return outcome;
    };
    if facts.keeper.isolated {
        return outcome;
    }
    let alone = facts
        .slots
        .as_deref()
        .unwrap_or_default()
        .iter()
        .any(super::facts::SlotFact::opens_alone);
    let way = if facts.keeper.runs && !facts.keeper.once {
        "a keeper gives values as often as it is asked"
    } else if alone {
        "the vault opens without a person"
    } else {
        return outcome;
    };
    let what = format!(
        "{shell}, and {way}: this protects the disk, backups, other users, and what agents read from \
         files. It does not keep keys from an agent that runs as the same user"
    );
    outcome.find(
        Severity::Note,
        what,
        "sudo clawkeep service install --isolated",
    );
    outcome
}

pub(super) fn ptrace_scope(facts: &Facts) -> Outcome {
    if !facts.machine.linux {
        return Outcome::unchecked(&NotKnown("this is no Linux".to_owned()));
    }
    let mut outcome = Outcome::fine();
    match facts.machine.ptrace_scope {
        Some(0) => {
            let what = "kernel.yama.ptrace_scope is 0: a process can read the memory of every other of \
                        its user, the gateway's too";
            outcome.find(
                Severity::Note,
                what,
                "sudo sysctl kernel.yama.ptrace_scope=1",
            );
        }
        Some(_) => {}
        None => {
            let what = "the kernel has no kernel.yama.ptrace_scope: a process can read the memory of \
                        every other of its user, the gateway's too";
            outcome.find(Severity::Note, what, "zcat /proc/config.gz | grep YAMA");
        }
    }
    outcome
}
