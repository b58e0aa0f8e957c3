//! Linux: the freedesktop Secret Service (GNOME Keyring, KDE Wallet, KeePassXC) over the session
//! bus. Part of the keychain door, ring 1.
//!
//! Promise: only a local bus is spoken to (`unix:` addresses; `unixexec:` would start a program and
//! `tcp:` leave the machine), and no prompt is run unless the caller is attended.

use super::{Answer, Fault, Item, Manner};
use crate::host::Host;
use secret_service::blocking::{Collection, Item as Entry, SecretService};
use secret_service::{EncryptionType, Error as ServiceError};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zbus::DBusError;
use zeroize::Zeroizing;

/// The attributes that name an item, as libsecret's and Python's keyring use them.
const SERVICE: &str = "service";
const ACCOUNT: &str = "username";

/// libsecret's generic schema, which its tools put on what they store. A service that compares all
/// attributes when it replaces would else keep a second item beside ours (GNOME Keyring adds this
/// one by itself).
const SCHEMA: (&str, &str) = ("xdg:schema", "org.freedesktop.Secret.Generic");

/// The collection that GNOME Keyring keeps in memory only.
const SESSION_COLLECTION: &str = "/org/freedesktop/secrets/collection/session";

/// Where the session bus is said to be.
#[derive(Debug)]
pub(super) enum Place {
    /// A D-Bus address list.
    Named(String),
    /// The socket that systemd makes for a user's session.
    Socket(PathBuf),
}

/// The `unix:` addresses to try, in order; at least one.
pub(super) struct Route(Vec<String>);

impl Place {
    /// `$DBUS_SESSION_BUS_ADDRESS`, else `$XDG_RUNTIME_DIR/bus`, else `/run/user/<uid>/bus`: with an
    /// empty environment, as OpenClaw gives it, the last one.
    pub(super) fn of(host: &Host) -> Self {
        if let Some(address) = host.var("DBUS_SESSION_BUS_ADDRESS") {
            return Place::named(&address.to_string_lossy());
        }
        let dir = host
            .path_var("XDG_RUNTIME_DIR")
            .filter(|dir| dir.is_absolute())
            .unwrap_or_else(|| {
                let uid = rustix::process::geteuid().as_raw();
                PathBuf::from(format!("/run/user/{uid}"))
            });
        Place::Socket(dir.join("bus"))
    }

    pub(super) fn named(address: &str) -> Self {
        Place::Named(address.to_owned())
    }

    pub(super) fn route(&self) -> Answer<Route> {
        match self {
            Place::Named(list) => {
                let local: Vec<String> = list
                    .split(';')
                    .map(str::trim)
                    .filter(|address| address.starts_with("unix:"))
                    .map(str::to_owned)
                    .collect();
                if local.is_empty() {
                    return Err(Fault::Absent(
                        "DBUS_SESSION_BUS_ADDRESS names no bus on this machine".to_owned(),
                    ));
                }
                Ok(Route(local))
            }
            Place::Socket(path) if path.exists() => Ok(Route(vec![address_of(path)])),
            Place::Socket(path) => Err(Fault::Absent(format!(
                "there is no session bus (DBUS_SESSION_BUS_ADDRESS is not set, {} does not exist)",
                path.display()
            ))),
        }
    }
}

/// A D-Bus address: bytes outside the specification's plain set are percent-escaped.
fn address_of(path: &Path) -> String {
    let mut address = "unix:path=".to_owned();
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-_/.\\*".contains(&byte) {
            address.push(char::from(byte));
        } else {
            let _ = write!(address, "%{byte:02x}");
        }
    }
    address
}

/// One connection with one negotiated key: values are encrypted on the bus.
pub(super) struct Session {
    service: SecretService<'static>,
    manner: Manner,
}

impl Session {
    pub(super) fn open(route: &Route, manner: Manner, limit: Duration) -> Answer<Self> {
        let mut last = Fault::Absent("there is no session bus".to_owned());
        for address in &route.0 {
            match Self::connect(address, limit) {
                Ok(service) => return Ok(Session { service, manner }),
                Err(error) => last = fault(&error),
            }
        }
        Err(last)
    }

    fn connect(
        address: &str,
        limit: Duration,
    ) -> std::result::Result<SecretService<'static>, ServiceError> {
        let bus = zbus::blocking::connection::Builder::address(address)?
            // Ends most threads that nobody waits for any more; the handshake has no such limit.
            .method_timeout(limit)
            .build()?;
        SecretService::connect_with_existing(EncryptionType::Dh, bus)
    }

    pub(super) fn probe(&self) -> Answer<()> {
        self.home().map(|_| ())
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
                    &format!("{} ({})", item.account, item.service),
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

    /// Removes every item of that name: a second one would come to light as the value.
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

    /// All items with these attributes, unlocked. Attributes can be searched while a keyring is
    /// locked, so "no such item" is an honest answer then too.
    fn search(&self, attributes: HashMap<&str, &str>) -> Answer<Vec<Entry<'_>>> {
        let mut found = self
            .service
            .search_items(attributes)
            .map_err(|error| fault(&error))?;
        if !found.locked.is_empty() {
            self.may_ask()?;
            for entry in &found.locked {
                entry.unlock().map_err(|error| fault(&error))?;
            }
        }
        found.unlocked.append(&mut found.locked);
        Ok(found.unlocked)
    }

    /// The keyring that new items go to, unlocked.
    fn home(&self) -> Answer<Collection<'_>> {
        let none = |what: &str| Fault::Absent(format!("the keyring service has {what}"));
        let collection = match self.service.get_default_collection() {
            Ok(collection) => collection,
            Err(ServiceError::NoResult) => return Err(none("no default keyring")),
            Err(error) => return Err(fault(&error)),
        };
        if collection.collection_path.as_str() == SESSION_COLLECTION {
            return Err(none(
                "only a keyring that is forgotten when the session ends",
            ));
        }
        if collection.is_locked().map_err(|error| fault(&error))? {
            self.may_ask()?;
            collection.unlock().map_err(|error| fault(&error))?;
        }
        Ok(collection)
    }

    fn may_ask(&self) -> Answer<()> {
        match self.manner {
            Manner::Attended => Ok(()),
            Manner::Quiet => Err(locked("the user's keyring has not been unlocked")),
        }
    }
}

fn locked(why: &str) -> Fault {
    Fault::Locked(why.to_owned())
}

/// What an error of the service means. Only error names and kinds are looked at and only our own
/// words are passed on.
fn fault(error: &ServiceError) -> Fault {
    match error {
        ServiceError::Locked => locked("the user's keyring has not been unlocked"),
        ServiceError::Prompt | ServiceError::PromptDisconnected => {
            locked("its unlock dialog was closed, or could not be shown")
        }
        ServiceError::Unavailable => Fault::Absent("there is no session bus".to_owned()),
        ServiceError::Zbus(error) | ServiceError::ZbusFdo(zbus::fdo::Error::ZBus(error)) => {
            bus_fault(error)
        }
        ServiceError::ZbusFdo(error) => named_fault(error.name().as_str()),
        _ => Fault::Broken("the keyring service did not keep to its protocol".to_owned()),
    }
}

fn bus_fault(error: &zbus::Error) -> Fault {
    use zbus::Error as E;
    match error {
        E::Address(_) | E::Unsupported | E::InterfaceNotFound => {
            Fault::Absent("DBUS_SESSION_BUS_ADDRESS names no bus on this machine".to_owned())
        }
        E::Connection(error, _) => match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::NotADirectory => {
                // A socket without a listener is what a session that has ended leaves behind.
                Fault::Absent("nothing listens at the session bus's address".to_owned())
            }
            ErrorKind::PermissionDenied => locked("the session bus belongs to another user"),
            _ => Fault::Broken("the session bus cannot be reached".to_owned()),
        },
        E::InputOutput(error) => match error.kind() {
            ErrorKind::TimedOut => locked("it did not answer in time"),
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
                Fault::Absent("nothing listens at the session bus's address".to_owned())
            }
            _ => Fault::Broken("the connection to the session bus broke".to_owned()),
        },
        E::Handshake(_) => Fault::Broken("the session bus did not let this user in".to_owned()),
        E::MethodError(name, _, _) => named_fault(name.as_str()),
        E::FDO(error) => match error.as_ref() {
            zbus::fdo::Error::ZBus(error) => bus_fault(error),
            error => named_fault(error.name().as_str()),
        },
        _ => Fault::Broken("the keyring service did not keep to its protocol".to_owned()),
    }
}

/// What a D-Bus error name means: the freedesktop D-Bus and Secret Service specifications.
fn named_fault(name: &str) -> Fault {
    match name {
        "org.freedesktop.DBus.Error.ServiceUnknown"
        | "org.freedesktop.DBus.Error.NameHasNoOwner"
        | "org.freedesktop.DBus.Error.Spawn.ServiceNotFound" => {
            Fault::Absent("no keyring service runs on the session bus".to_owned())
        }
        "org.freedesktop.Secret.Error.IsLocked" => {
            locked("the user's keyring has not been unlocked")
        }
        "org.freedesktop.Secret.Error.NoSuchObject"
        | "org.freedesktop.DBus.Error.UnknownObject" => Fault::Gone,
        "org.freedesktop.DBus.Error.AccessDenied" => {
            locked("the session bus does not let this program speak to the keyring service")
        }
        "org.freedesktop.DBus.Error.Timeout" | "org.freedesktop.DBus.Error.TimedOut" => {
            locked("it did not answer in time")
        }
        other => Fault::Broken(format!("the keyring service answered {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_a_bus_on_this_machine_is_spoken_to() {
        for refused in [
            "",
            "disabled:",
            "/dev/null",
            "tcp:host=203.0.113.1,port=1",
            "unixexec:path=/bin/sh",
            "autolaunch:",
            "\u{0}",
        ] {
            let fault = Place::named(refused).route().err();
            assert!(matches!(fault, Some(Fault::Absent(_))), "{refused:?}");
        }
        let list = "tcp:host=203.0.113.1,port=1; unix:path=/run/user/1/bus,guid=0;unix:abstract=x";
        assert_eq!(
            Place::named(list).route().map(|route| route.0),
            Ok(vec![
                "unix:path=/run/user/1/bus,guid=0".to_owned(),
                "unix:abstract=x".to_owned()
            ])
        );
    }

    #[test]
    fn a_path_becomes_an_address_that_means_it() {
        assert_eq!(
            address_of(Path::new("/run/user/0/a b,c=d;e")),
            "unix:path=/run/user/0/a%20b%2cc%3dd%3be"
        );
    }

    proptest! {
        #[test]
        fn no_address_panics_or_reaches_out(list in "\\PC{0,60}") {
            if let Ok(route) = Place::named(&list).route() {
                prop_assert!(route.0.iter().all(|address| address.starts_with("unix:")));
            }
        }
    }
}
