//! The Secret Service with its dialogs, through keyring-core's store, for commands that a person
//! waits for. Part of the keychain door, ring 1.
//!
//! Facts, from the source of zbus-secret-service-keyring-store 1.0: without a `target` it searches
//! all collections for `service` and `username` and asks to unlock what it finds locked; what it
//! makes goes to the default collection with these two attributes and no schema; `label` is used for
//! new items only. It finds the bus by itself: whoever opens it has looked first where that leads.

use super::super::{Answer, Fault, Item};
use super::quiet::Quiet;
use super::{ACCOUNT, SCHEMA, SERVICE, label};
use keyring_core::{CredentialStore, Entry, Error as KeyringError};
use std::collections::HashMap;
use std::sync::Arc;
use zbus_secret_service_keyring_store::Store;
use zeroize::{Zeroize, Zeroizing};

pub(in crate::keychain) struct Attended {
    store: Arc<CredentialStore>,
    /// For what needs no dialog and the store does not tell.
    quiet: Quiet,
}

impl Attended {
    pub(super) fn open(quiet: Quiet) -> Answer<Self> {
        let store = Store::new().map_err(fault)?;
        Ok(Attended { store, quiet })
    }

    pub(super) fn probe(&self) -> Answer<()> {
        self.quiet.probe()
    }

    pub(super) fn get(&self, item: &Item) -> Answer<Option<Zeroizing<Vec<u8>>>> {
        match self.entry(item)?.get_secret() {
            Ok(value) => Ok(Some(Zeroizing::new(value))),
            Err(KeyringError::NoEntry) => Ok(None),
            Err(error) => Err(named_fault(error, item)),
        }
    }

    pub(super) fn set(&self, item: &Item, value: &[u8]) -> Answer<()> {
        let entry = self.entry(item)?;
        let is_new = match entry.get_attributes() {
            Ok(_) => false,
            Err(KeyringError::NoEntry) => true,
            Err(error) => return Err(named_fault(error, item)),
        };
        if is_new {
            // The store would use whatever is the default, be it gone tomorrow.
            self.quiet.lasting()?;
        }
        entry
            .set_secret(value)
            .map_err(|error| named_fault(error, item))?;
        if is_new {
            entry
                .update_attributes(&HashMap::from([SCHEMA]))
                .map_err(|error| named_fault(error, item))?;
        }
        Ok(())
    }

    pub(super) fn delete(&self, item: &Item) -> Answer<bool> {
        let found = self.search(&[(SERVICE, &item.service), (ACCOUNT, &item.account)])?;
        for entry in &found {
            entry.delete_credential().map_err(fault)?;
        }
        Ok(!found.is_empty())
    }

    pub(super) fn list(&self, service: &str) -> Answer<Vec<String>> {
        let mut accounts = Vec::new();
        for entry in self.search(&[(SERVICE, service)])? {
            // Not `get_specifiers`: for an item that is still locked it answers that there is none.
            match entry.get_attributes().map_err(fault) {
                Ok(mut attributes) => accounts.extend(attributes.remove(ACCOUNT)),
                Err(Fault::Gone) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(accounts)
    }

    fn search(&self, attributes: &[(&str, &str)]) -> Answer<Vec<Entry>> {
        let attributes = attributes.iter().copied().collect();
        self.store.search(&attributes).map_err(fault)
    }

    fn entry(&self, item: &Item) -> Answer<Entry> {
        let label = label(item);
        let modifiers = HashMap::from([("label", label.as_str())]);
        self.store
            .build(&item.service, &item.account, Some(&modifiers))
            .map_err(fault)
    }
}

fn named_fault(error: KeyringError, item: &Item) -> Fault {
    match error {
        KeyringError::Ambiguous(found) => Fault::Ambiguous(item.clone(), found.len()),
        error => fault(error),
    }
}

/// What an error of the store means. Two of them hold the value: it is wiped, and none is shown.
fn fault(error: KeyringError) -> Fault {
    match error {
        KeyringError::NoEntry => Fault::Gone,
        KeyringError::NoStorageAccess(inner) | KeyringError::PlatformFailure(inner) => {
            match inner.downcast_ref() {
                Some(error) => super::fault(error),
                None => Fault::Broken("its store gave no reason".to_owned()),
            }
        }
        KeyringError::BadEncoding(mut bytes) | KeyringError::BadDataFormat(mut bytes, _) => {
            bytes.zeroize();
            Fault::Broken("the item is not what was stored".to_owned())
        }
        _ => Fault::Broken("its store refused the request".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secret_service::Error as ServiceError;

    const MARKER: &str = "sk-fake-marker";

    #[test]
    fn an_error_of_the_store_is_classified_and_never_shown() {
        let item = Item::new("svc", "acc");
        let marked = || MARKER.as_bytes().to_vec();
        let other = || Box::new(std::io::Error::other(MARKER));
        for (error, expected) in [
            (KeyringError::NoEntry, "Gone"),
            (
                KeyringError::NoStorageAccess(Box::new(ServiceError::Locked)),
                "Locked",
            ),
            (
                KeyringError::NoStorageAccess(Box::new(ServiceError::Prompt)),
                "Locked",
            ),
            (
                KeyringError::NoStorageAccess(Box::new(ServiceError::NoResult)),
                "Absent",
            ),
            (
                KeyringError::PlatformFailure(Box::new(ServiceError::Locked)),
                "Locked",
            ),
            (
                KeyringError::PlatformFailure(Box::new(ServiceError::PromptDisconnected)),
                "Locked",
            ),
            (
                KeyringError::PlatformFailure(Box::new(ServiceError::Unavailable)),
                "Absent",
            ),
            (KeyringError::PlatformFailure(other()), "Broken"),
            (KeyringError::NoStorageAccess(other()), "Broken"),
            (KeyringError::BadEncoding(marked()), "Broken"),
            (KeyringError::BadDataFormat(marked(), other()), "Broken"),
            (KeyringError::BadStoreFormat(MARKER.to_owned()), "Broken"),
            (
                KeyringError::Invalid(MARKER.to_owned(), MARKER.to_owned()),
                "Broken",
            ),
            (
                KeyringError::NotSupportedByStore(MARKER.to_owned()),
                "Broken",
            ),
            (KeyringError::Ambiguous(Vec::new()), "Ambiguous"),
        ] {
            let said = format!("{:?}", named_fault(error, &item));
            assert!(said.starts_with(expected), "{said} is not {expected}");
            assert!(!said.contains(MARKER), "{said}");
        }
    }
}
