//! OpenClaw's `SecretRef`: what its files hold in a secret's place.
//!
//! Source: OpenClaw's secretref contract, `{source, provider, id}` with no other key.

use crate::provider::ProviderId;
use crate::secret::SecretId;
use serde_json::{Value, json};

/// The name of our entry in OpenClaw's `secrets.providers`.
pub const SECRET_PROVIDER: &str = "clawkeep";

/// The id of the gateway's own token.
pub const GATEWAY_TOKEN: &str = "gateway/token";

/// A ref of source `exec`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRef {
    /// The entry of `secrets.providers` that answers.
    pub provider: String,
    /// The id that it is asked for.
    pub id: String,
}

impl SecretRef {
    /// A ref to a stored value.
    pub fn to(id: &SecretId) -> Self {
        SecretRef {
            provider: SECRET_PROVIDER.to_owned(),
            id: id.as_str().to_owned(),
        }
    }

    /// A ref to whichever profile of `provider` is next in order.
    pub fn to_selection(provider: &ProviderId) -> Self {
        SecretRef {
            provider: SECRET_PROVIDER.to_owned(),
            id: provider.selection_id(),
        }
    }

    /// Whether clawkeep answers it.
    pub fn is_ours(&self) -> bool {
        self.provider == SECRET_PROVIDER
    }

    /// Reads an exec ref; `None` for anything else, refs of other sources included. As OpenClaw
    /// does: an object with a fourth key is no ref, nor is one with a blank name.
    pub fn from_value(value: &Value) -> Option<Self> {
        let object = value.as_object().filter(|object| object.len() == 3)?;
        let text = |key: &str| {
            let text = object.get(key)?.as_str()?;
            (!text.trim().is_empty()).then(|| text.to_owned())
        };
        (text("source")? == "exec").then_some(())?;
        Some(SecretRef {
            provider: text("provider")?,
            id: text("id")?,
        })
    }

    /// The ref as OpenClaw writes it.
    pub fn to_value(&self) -> Value {
        json!({"source": "exec", "provider": self.provider, "id": self.id})
    }
}
