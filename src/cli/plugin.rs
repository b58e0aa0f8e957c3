//! `age-plugin-clawkeep`: opens passphrase slots for stock `age` and `rage`. Ring 4.
//!
//! Called under that name by an age client. It knows only our stanza, asks for the passphrase through
//! the client, and touches no vault. Its identity is a constant without key material,
//! `AGE-PLUGIN-CLAWKEEP-1…`; `age -d -j clawkeep slots/passphrase.age` needs none.
//! Source of the protocol: <https://c2sp.org/age-plugin>.

use crate::error::{Error, Result};
use crate::vault::argon;
use age_core::format::{FileKey, Stanza};
use age_plugin::identity::{Error as IdentityError, IdentityPluginV1};
use age_plugin::{Callbacks, PluginHandler, run_state_machine};
use std::collections::HashMap;
use std::io;

/// The name under which age clients look for us on `PATH`.
pub const NAME: &str = "age-plugin-clawkeep";

/// Serves one age client.
///
/// # Errors
/// `Usage` for a state machine that we do not have; `Failed` when the client goes away.
pub fn run(state_machine: &str) -> Result<()> {
    if state_machine != "identity-v1" {
        return Err(Error::usage(
            "age-plugin-clawkeep opens passphrase slots; clawkeep makes them",
        )
        .hint("clawkeep slot add passphrase"));
    }
    run_state_machine(state_machine, Handler).map_err(|_| Error::failed("the age client went away"))
}

struct Handler;

impl PluginHandler for Handler {
    type RecipientV1 = std::convert::Infallible;
    type IdentityV1 = Slots;

    fn identity_v1(self) -> io::Result<Slots> {
        Ok(Slots)
    }
}

/// Opens files with our stanza.
struct Slots;

impl IdentityPluginV1 for Slots {
    fn add_identity(
        &mut self,
        index: usize,
        plugin_name: &str,
        bytes: &[u8],
    ) -> std::result::Result<(), IdentityError> {
        if plugin_name == "clawkeep" && bytes.is_empty() {
            return Ok(());
        }
        Err(IdentityError::Identity {
            index,
            message: "this identity is of a newer clawkeep".to_owned(),
        })
    }

    fn unwrap_file_keys(
        &mut self,
        files: Vec<Vec<Stanza>>,
        mut callbacks: impl Callbacks<IdentityError>,
    ) -> io::Result<HashMap<usize, std::result::Result<FileKey, Vec<IdentityError>>>> {
        let mut keys = HashMap::new();
        for (file_index, stanzas) in files.into_iter().enumerate() {
            let failed = |stanza_index: usize, error: Error| {
                vec![IdentityError::Stanza {
                    file_index,
                    stanza_index,
                    message: error.to_string(),
                }]
            };
            let Some(at) = stanzas.iter().position(|stanza| stanza.tag == argon::TAG) else {
                continue;
            };
            // Refused before the person is asked and before any memory is taken.
            if let Err(error) = argon::cost_in(&stanzas) {
                keys.insert(file_index, Err(failed(at, error)));
                continue;
            }
            let Ok(passphrase) = callbacks.request_secret("Passphrase of this clawkeep slot:")?
            else {
                keys.insert(file_index, Err(failed(at, Error::cancelled())));
                continue;
            };
            let opened = argon::unwrap(&stanzas[at], &passphrase)
                .unwrap_or_else(|| Err(Error::broken("the stanza is not ours")));
            keys.insert(file_index, opened.map_err(|error| failed(at, error)));
        }
        Ok(keys)
    }
}
