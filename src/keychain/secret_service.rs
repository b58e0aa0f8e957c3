//! Linux: the freedesktop Secret Service (GNOME Keyring, KDE Wallet, KeePassXC) over the session
//! bus. Part of the keychain door, ring 1.
//!
//! Two ways lead to the same items: `attended`, keyring-core's store with its dialogs, where a person
//! is there; `quiet`, which opens none, everywhere else. This file knows where the bus is, which way
//! to take, and what an error of either means.
//!
//! Promise: only a local bus is spoken to (`unix:` addresses; `unixexec:` would start a program and
//! `tcp:` leave the machine), and no prompt is run unless the caller is attended.

mod attended;
mod quiet;

use super::{Answer, Fault, Item, Manner};
use crate::host::Host;
use attended::Attended;
use quiet::Quiet;
use secret_service::Error as ServiceError;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;
use zbus::DBusError;
use zbus::address::transport::{Unix, UnixSocket};
use zbus::address::{Address, Transport};
use zeroize::Zeroizing;

/// zbus tells whoever listens what passes over the bus. Nobody does here, and what would tell is left
/// out of the program: the dynamic loader would have to fill in its tables at every start.
const _: () = assert!(
    tracing::level_filters::STATIC_MAX_LEVEL
        .into_level()
        .is_none()
);

/// The attributes that name an item, as keyring-core's store, libsecret and Python's keyring use
/// them.
const SERVICE: &str = "service";
const ACCOUNT: &str = "username";

/// libsecret's generic schema, which its tools put on what they store and keyring-core's store does
/// not. A service that compares all attributes when it replaces would else keep a second item beside
/// ours (GNOME Keyring replaces either way).
const SCHEMA: (&str, &str) = ("xdg:schema", "org.freedesktop.Secret.Generic");

/// What a desktop's keyring program shows as the item's name.
fn label(item: &Item) -> String {
    format!("{} ({})", item.account, item.service)
}

/// Where the session bus is said to be.
#[derive(Debug)]
pub(super) enum Place {
    /// A D-Bus address list.
    Named(String),
    /// The socket that systemd makes for a user's session.
    Socket(PathBuf),
}

/// The `unix:` addresses to try, in order; at least one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Route(Vec<Address>);

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
                let local: Vec<Address> = list
                    .split(';')
                    .filter_map(|address| Address::try_from(address.trim()).ok())
                    .filter(|address| matches!(address.transport(), Transport::Unix(_)))
                    .collect();
                if local.is_empty() {
                    return Err(Fault::Absent(
                        "DBUS_SESSION_BUS_ADDRESS names no bus on this machine".to_owned(),
                    ));
                }
                Ok(Route(local))
            }
            Place::Socket(path) if path.exists() => {
                let socket = UnixSocket::File(path.clone());
                Ok(Route(vec![Transport::Unix(Unix::new(socket)).into()]))
            }
            Place::Socket(path) => Err(Fault::Absent(format!(
                "there is no session bus (DBUS_SESSION_BUS_ADDRESS is not set, {} does not exist)",
                path.display()
            ))),
        }
    }
}

impl Route {
    /// Refuses unless keyring-core's store would speak to a bus of this route. The store takes no
    /// address: it asks zbus for the session's, which reads the environment by itself, does not know
    /// lists, and would run the program that a `unixexec:` address names. The same function is asked
    /// here, of the same zbus, before the store is; and nothing in this process sets the environment.
    fn is_where_the_store_goes(&self) -> Answer<()> {
        match Address::session() {
            Ok(read) if self.0.contains(&read) => Ok(()),
            _ => Err(Fault::OtherBus(
                self.0.iter().map(ToString::to_string).next(),
            )),
        }
    }
}

/// What stays open between calls.
pub(super) enum Session {
    Quiet(Quiet),
    Attended(Attended),
}

impl Session {
    pub(super) fn open(route: &Route, manner: Manner, limit: Duration) -> Answer<Self> {
        match manner {
            Manner::Quiet => Quiet::open(&route.0, limit).map(Session::Quiet),
            Manner::Attended => {
                route.is_where_the_store_goes()?;
                Attended::open(Quiet::open(&route.0, limit)?).map(Session::Attended)
            }
        }
    }

    /// Never asks: whether there is a keychain can be seen while it is locked.
    pub(super) fn probe(&self) -> Answer<()> {
        match self {
            Session::Quiet(quiet) => quiet.probe(),
            Session::Attended(attended) => attended.probe(),
        }
    }

    pub(super) fn get(&self, item: &Item) -> Answer<Option<Zeroizing<Vec<u8>>>> {
        match self {
            Session::Quiet(quiet) => quiet.get(item),
            Session::Attended(attended) => attended.get(item),
        }
    }

    pub(super) fn set(&self, item: &Item, value: &[u8]) -> Answer<()> {
        match self {
            Session::Quiet(quiet) => quiet.set(item, value),
            Session::Attended(attended) => attended.set(item, value),
        }
    }

    /// Removes every item of that name: a second one would come to light as the value.
    pub(super) fn delete(&self, item: &Item) -> Answer<bool> {
        match self {
            Session::Quiet(quiet) => quiet.delete(item),
            Session::Attended(attended) => attended.delete(item),
        }
    }

    pub(super) fn list(&self, service: &str) -> Answer<Vec<String>> {
        match self {
            Session::Quiet(quiet) => quiet.list(service),
            Session::Attended(attended) => attended.list(service),
        }
    }
}

fn locked(why: &str) -> Fault {
    Fault::Locked(why.to_owned())
}

fn not_unlocked() -> Fault {
    locked("the user's keyring has not been unlocked")
}

/// What an error of the service means. Only error names and kinds are looked at and only our own
/// words are passed on.
fn fault(error: &ServiceError) -> Fault {
    match error {
        ServiceError::Locked => not_unlocked(),
        ServiceError::Prompt | ServiceError::PromptDisconnected => {
            locked("its unlock dialog was closed, or could not be shown")
        }
        // Only asking for the default keyring is answered so.
        ServiceError::NoResult => {
            Fault::Absent("the keyring service has no default keyring".to_owned())
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
        "org.freedesktop.Secret.Error.IsLocked" => not_unlocked(),
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
        let list = "tcp:host=203.0.113.1,port=1; unix:path=/run/user/1/bus,guid=00000000000000000000000000000000;unix:abstract=x;unix:nonsense=1";
        let accepted = [
            "unix:path=/run/user/1/bus,guid=00000000000000000000000000000000",
            "unix:abstract=x",
        ];
        assert_eq!(
            Place::named(list).route(),
            Ok(Route(
                accepted.map(|one| Address::try_from(one).unwrap()).to_vec()
            ))
        );
    }

    /// What an address may hold is escaped in the specification, and zbus does not undo that.
    #[test]
    fn a_folder_with_odd_characters_is_taken_as_it_is() {
        let dir = tempfile::Builder::new()
            .prefix("a b,c=d;e%20")
            .tempdir()
            .unwrap();
        let path = dir.path().join("bus");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let Route(addresses) = Place::Socket(path.clone()).route().unwrap();
        let [address] = addresses.as_slice() else {
            panic!("{addresses:?}")
        };
        let Transport::Unix(socket) = address.transport() else {
            panic!("{address}")
        };
        assert_eq!(socket.path(), &UnixSocket::File(path));
    }

    proptest! {
        #[test]
        fn no_address_panics_or_reaches_out(list in "((unix|unixexec|tcp):)?\\PC{0,60}") {
            if let Ok(route) = Place::named(&list).route() {
                prop_assert!(!route.0.is_empty());
                prop_assert!(route.0.iter().all(|address| address.to_string().starts_with("unix:")));
            }
        }
    }
}
