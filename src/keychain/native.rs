//! macOS Keychain and Windows Credential Manager, through keyring-core's stores. Part of the
//! keychain door, ring 1.
//!
//! Facts, from the stores' sources: macOS items lie in the login keychain and are not synchronised
//! to iCloud. Windows items hold at most 2,560 bytes as bytes (`set_secret`; `set_password` would
//! store UTF-16), roam with the profile unless `persistence` is `Local`, and are found by a name
//! that ignores case.

use super::{Answer, Fault, Item, Manner};
use crate::host::Host;
use keyring_core::{CredentialStore, Entry, Error as KeyringError};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use zeroize::{Zeroize, Zeroizing};

#[cfg(target_os = "macos")]
use apple_native_keyring_store::keychain::Store;
#[cfg(windows)]
use windows_native_keyring_store::Store;

/// There is only one place: the user's.
pub(super) struct Place;

pub(super) struct Route;

impl Place {
    pub(super) fn of(_: &Host) -> Self {
        Place
    }

    #[allow(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
    pub(super) fn route(&self) -> Answer<Route> {
        Ok(Route)
    }
}

pub(super) struct Session {
    store: Arc<CredentialStore>,
    manner: Manner,
}

impl Session {
    pub(super) fn open(_: &Route, manner: Manner, _: Duration) -> Answer<Self> {
        let store = Store::new().map_err(fault)?;
        Ok(Session { store, manner })
    }

    /// Asks for an item that nobody makes: a keychain that is not there says so.
    pub(super) fn probe(&self) -> Answer<()> {
        self.get(&Item::new("clawkeep", "probe")).map(|_| ())
    }

    pub(super) fn get(&self, item: &Item) -> Answer<Option<Zeroizing<Vec<u8>>>> {
        let _quiet = self.quiet()?;
        let entry = self.entry(item)?;
        if !self.same_name(&entry, item)? {
            return Ok(None);
        }
        match entry.get_secret() {
            Ok(value) => Ok(Some(Zeroizing::new(value))),
            Err(KeyringError::NoEntry) => Ok(None),
            Err(error) => Err(fault(error)),
        }
    }

    pub(super) fn set(&self, item: &Item, value: &[u8]) -> Answer<()> {
        let _quiet = self.quiet()?;
        let entry = self.entry(item)?;
        if !self.same_name(&entry, item)? {
            return Err(Fault::Broken(
                "it has an item whose name differs in upper and lower case only".to_owned(),
            ));
        }
        entry.set_secret(value).map_err(fault)
    }

    pub(super) fn delete(&self, item: &Item) -> Answer<bool> {
        let _quiet = self.quiet()?;
        let entry = self.entry(item)?;
        if !self.same_name(&entry, item)? {
            return Ok(false);
        }
        match entry.delete_credential() {
            Ok(()) => Ok(true),
            Err(KeyringError::NoEntry) => Ok(false),
            Err(error) => Err(fault(error)),
        }
    }

    pub(super) fn list(&self, service: &str) -> Answer<Vec<String>> {
        let _quiet = self.quiet()?;
        let spec: HashMap<&str, &str> = if cfg!(target_os = "macos") {
            HashMap::from([("service", service)])
        } else {
            HashMap::new()
        };
        Ok(self
            .store
            .search(&spec)
            .map_err(fault)?
            .iter()
            .filter_map(Entry::get_specifiers)
            .filter(|(found, _)| found == service)
            .map(|(_, account)| account)
            .collect())
    }

    fn entry(&self, item: &Item) -> Answer<Entry> {
        let local = HashMap::from([("persistence", "Local")]);
        let modifiers = cfg!(windows).then_some(&local);
        self.store
            .build(&item.service, &item.account, modifiers)
            .map_err(fault)
    }

    /// Windows finds `A` when `a` is asked for. The user name is kept as it was written.
    #[cfg(windows)]
    fn same_name(&self, entry: &Entry, item: &Item) -> Answer<bool> {
        match entry.get_attributes() {
            Ok(attributes) => Ok(attributes.get("username") == Some(&item.account)),
            Err(KeyringError::NoEntry) => Ok(true),
            Err(error) => Err(fault(error)),
        }
    }

    #[cfg(not(windows))]
    fn same_name(&self, _: &Entry, _: &Item) -> Answer<bool> {
        Ok(true)
    }

    /// While the value lives macOS opens no dialog for this process, and a locked keychain is
    /// -25308 at once. `None` when a person waits.
    #[cfg(target_os = "macos")]
    fn quiet(
        &self,
    ) -> Answer<Option<security_framework::os::macos::keychain::KeychainUserInteractionLock>> {
        use security_framework::os::macos::keychain::SecKeychain;
        match self.manner {
            Manner::Attended => Ok(None),
            Manner::Quiet => SecKeychain::disable_user_interaction()
                .map(Some)
                .map_err(|error| code_fault(error.code())),
        }
    }

    /// Windows never asks.
    #[cfg(not(target_os = "macos"))]
    #[allow(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
    fn quiet(&self) -> Answer<Option<()>> {
        let _ = self.manner;
        Ok(None)
    }
}

/// What an error of a store means. Two of them hold the value: it is wiped, and none is shown.
fn fault(error: KeyringError) -> Fault {
    match error {
        KeyringError::NoEntry => Fault::Gone,
        KeyringError::TooLong(_, most) => Fault::TooLong(most),
        KeyringError::NoStorageAccess(inner) | KeyringError::PlatformFailure(inner) => {
            platform_fault(inner.as_ref())
        }
        KeyringError::BadEncoding(mut bytes) | KeyringError::BadDataFormat(mut bytes, _) => {
            bytes.zeroize();
            Fault::Broken("the item is not what was stored".to_owned())
        }
        _ => Fault::Broken("its store refused the request".to_owned()),
    }
}

#[cfg(target_os = "macos")]
fn platform_fault(error: &(dyn std::error::Error + Send + Sync + 'static)) -> Fault {
    match error.downcast_ref::<security_framework::base::Error>() {
        Some(error) => code_fault(error.code()),
        None => Fault::Broken("the system gave no reason".to_owned()),
    }
}

/// Codes of Security.framework's `SecBase.h`.
#[cfg(target_os = "macos")]
fn code_fault(code: i32) -> Fault {
    match code {
        -25308 | -25315 => Fault::Locked("it would have to ask, and may not".to_owned()),
        -25293 | -128 => Fault::Locked("the person or the password said no".to_owned()),
        -61 | -25244 | -25292 => Fault::Locked("this user may not write to it".to_owned()),
        -25291 | -25294 | -25307 => Fault::Absent("this user has no login keychain".to_owned()),
        -25300 => Fault::Gone,
        code => Fault::Broken(format!("Security.framework answered {code}")),
    }
}

/// `ERROR_NO_SUCH_LOGON_SESSION` is all that the store calls no access: a log-on over the network
/// has no credential set.
#[cfg(windows)]
fn platform_fault(error: &(dyn std::error::Error + Send + Sync + 'static)) -> Fault {
    // The store's text is a fixed word or a number; its type is not public.
    let text = error.to_string();
    if text.contains("ERROR_NO_SUCH_LOGON_SESSION") {
        return Fault::Locked("this log-on session has no credentials".to_owned());
    }
    Fault::Broken(text)
}
