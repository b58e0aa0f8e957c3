//! Systems whose keychain clawkeep does not know: there is none. Part of the keychain door, ring 1.

use super::{Answer, Fault, Item, Manner};
use crate::host::Host;
use std::time::Duration;
use zeroize::Zeroizing;

pub(super) struct Place;
pub(super) struct Route;
/// Never made.
pub(super) enum Session {}

fn nowhere<T>() -> Answer<T> {
    Err(Fault::Absent(
        "clawkeep knows no keychain of this operating system".to_owned(),
    ))
}

impl Place {
    pub(super) fn of(_: &Host) -> Self {
        Place
    }

    pub(super) fn route(&self) -> Answer<Route> {
        nowhere()
    }
}

impl Session {
    pub(super) fn open(_: &Route, _: Manner, _: Duration) -> Answer<Self> {
        nowhere()
    }

    pub(super) fn probe(&self) -> Answer<()> {
        match *self {}
    }

    pub(super) fn get(&self, _: &Item) -> Answer<Option<Zeroizing<Vec<u8>>>> {
        match *self {}
    }

    pub(super) fn set(&self, _: &Item, _: &[u8]) -> Answer<()> {
        match *self {}
    }

    pub(super) fn delete(&self, _: &Item) -> Answer<bool> {
        match *self {}
    }

    pub(super) fn list(&self, _: &str) -> Answer<Vec<String>> {
        match *self {}
    }
}
