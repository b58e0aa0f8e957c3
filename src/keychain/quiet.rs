//! The Secret Service without dialogs, for `resolve` and whatever else runs where nobody is asked.
//! Part of the keychain door, ring 1.
//!
//! Why not through keyring-core, as everywhere else: its store for the Secret Service,
//! zbus-secret-service-keyring-store 1.0, cannot be kept from prompting. It documents that "if the
//! search matches locked items, the search will prompt the user to unlock them before returning"
//! (`Store::search`), every call of an entry begins with that search (`Specifier::get_unique_item`,
//! `Service::find_matching_items`), and "stores are not configurable" (`Store::new`). OpenClaw calls
//! `resolve` at each start and reload, often with nobody there: a dialog would wait for ever, or
//! teach its user to type a password into windows that come from nowhere.
//!
//! So this speaks to the service through the crate that the store itself stands on, and does four
//! things as the store does them (same attributes, so either finds what the other made), but for
//! one: what is locked is `Locked`. Nothing in this file unlocks. (Only making and removing an item,
//! which `resolve` never does, could still meet a service that wants a confirmation for that.)

use super::super::{Answer, Fault, Item};
use super::{ACCOUNT, SCHEMA, SERVICE, fault, label, not_unlocked};
use secret_service::blocking::{Collection, Item as Entry, SecretService};
use secret_service::{EncryptionType, Error as ServiceError};
use std::collections::HashMap;
use std::time::Duration;
use zbus::address::Address;
use zeroize::Zeroizing;

/// The collection that GNOME Keyring keeps in memory only.
const SESSION_COLLECTION: &str = "/org/freedesktop/secrets/collection/session";

/// One connection with one negotiated key: values are encrypted on the bus.
pub(in crate::keychain) struct Quiet {
    service: SecretService<'static>,
}

impl Quiet {
    /// Speaks to the first of these buses that answers.
    pub(super) fn open(addresses: &[Address], limit: Duration) -> Answer<Self> {
        let mut last = Fault::Absent("there is no session bus".to_owned());
        for address in addresses {
            match Self::connect(address, limit) {
                Ok(service) => return Ok(Quiet { service }),
                Err(error) => last = fault(&error),
            }
        }
        Err(last)
    }

    fn connect(
        address: &Address,
        limit: Duration,
    ) -> std::result::Result<SecretService<'static>, ServiceError> {
        let bus = zbus::blocking::connection::Builder::address(address.clone())?
            // Ends most threads that nobody waits for any more; the handshake has no such limit.
            .method_timeout(limit)
            .build()?;
        SecretService::connect_with_existing(EncryptionType::Dh, bus)
    }

    pub(super) fn probe(&self) -> Answer<()> {
        self.lasting().map(|_| ())
    }

    pub(super) fn get(&self, item: &Item) -> Answer<Option<Zeroizing<Vec<u8>>>> {
        let found = self.find(item)?;
        match found.as_slice() {
            [] => Ok(None),
            [entry] => Ok(Some(Zeroizing::new(
                entry.get_secret().map_err(|error| fault(&error))?,
            ))),
            several => Err(Fault::Ambiguous(item.clone(), several.len())),
        }
    }

    pub(super) fn set(&self, item: &Item, value: &[u8]) -> Answer<()> {
        let found = self.find(item)?;
        match found.as_slice() {
            [] => self
                .home()?
                .create_item(
                    &label(item),
                    HashMap::from([
                        (SERVICE, item.service.as_str()),
                        (ACCOUNT, item.account.as_str()),
                        SCHEMA,
                    ]),
                    value,
                    true,
                    "text/plain",
                )
                .map(|_| ())
                .map_err(|error| fault(&error)),
            [entry] => entry
                .set_secret(value, "text/plain")
                .map_err(|error| fault(&error)),
            several => Err(Fault::Ambiguous(item.clone(), several.len())),
        }
    }

    pub(super) fn delete(&self, item: &Item) -> Answer<bool> {
        let found = self.find(item)?;
        for entry in &found {
            entry.delete().map_err(|error| fault(&error))?;
        }
        Ok(!found.is_empty())
    }

    pub(super) fn list(&self, service: &str) -> Answer<Vec<String>> {
        let mut accounts = Vec::new();
        for entry in self.search(HashMap::from([(SERVICE, service)]))? {
            match entry.get_attributes() {
                Ok(mut attributes) => accounts.extend(attributes.remove(ACCOUNT)),
                Err(error) => match fault(&error) {
                    Fault::Gone => {}
                    other => return Err(other),
                },
            }
        }
        Ok(accounts)
    }

    fn find(&self, item: &Item) -> Answer<Vec<Entry<'_>>> {
        self.search(HashMap::from([
            (SERVICE, item.service.as_str()),
            (ACCOUNT, item.account.as_str()),
        ]))
    }

    /// All items with these attributes; `Locked` when one of them is. Attributes can be searched
    /// while a keyring is locked, so "no such item" is an honest answer then too.
    fn search(&self, attributes: HashMap<&str, &str>) -> Answer<Vec<Entry<'_>>> {
        let found = self
            .service
            .search_items(attributes)
            .map_err(|error| fault(&error))?;
        if found.locked.is_empty() {
            Ok(found.unlocked)
        } else {
            Err(not_unlocked())
        }
    }

    /// The keyring that new items go to, unlocked.
    fn home(&self) -> Answer<Collection<'_>> {
        let collection = self.lasting()?;
        if collection.is_locked().map_err(|error| fault(&error))? {
            return Err(not_unlocked());
        }
        Ok(collection)
    }

    /// The same, locked or not: a keyring that is still there tomorrow.
    pub(super) fn lasting(&self) -> Answer<Collection<'_>> {
        let collection = self
            .service
            .get_default_collection()
            .map_err(|error| fault(&error))?;
        if collection.collection_path.as_str() == SESSION_COLLECTION {
            return Err(Fault::Absent(
                "the keyring service has only a keyring that is forgotten when the session ends"
                    .to_owned(),
            ));
        }
        Ok(collection)
    }
}
