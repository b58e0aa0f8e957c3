//! Line 1 of an undo bundle, format version 1. Ring 2.
//!
//! ```text
//! { "format": "clawkeep-undo", "version": 1, "vault_id": "<64 hex>", "id": "20261128-150203-9f3a1c",
//!   "created": <Unix ms>, "roots": ["/home/u/.x"],
//!   "files": [ {"path": "/home/u/.x/.env", "mode": 384, "before": "<base64>"|null,
//!               "after": "<64 hex>"|"removed"|"unknown", "copy": true|false,
//!               "values": [ {"place": ["K"], "id": "<secret id>"|null,
//!                            "left": "nothing"|"marker"|{"ref": "<id>"}} ] } ],
//!   "values": [ {"agent": "main", "profile": "…", "provider": "…", "kind": "token|api_key|secret",
//!                "id": "<secret id>", "expires": <ms>|null, "value": "…"} ],
//!   "planted": [ {"agent": "…", "profile": "…", "provider": "…"} ],
//!   "orders": [ {"agent": "…", "provider": "…", "before": ["<profile>"]|null} ] }
//! ```
//!
//! Promise: read only after the MAC was compared; another vault's, another bundle's, and a version that
//! is not known are refused. A file's bytes go from the wiped line straight into a wiped buffer.

use super::bundle::{After, Bundle, Left, MAX_WAS, Planted, WasAt, WasFile, WasOrder, WasValue};
use super::id::BundleId;
use crate::error::{Error, Result};
use crate::expiry::Millis;
use crate::json::{hex, place, unhex};
use crate::provider::{AgentId, ProfileId, ProviderId};
use crate::secret::{Secret, SecretId, SecretKind};
use crate::vault::id::VaultId;
use base64::Engine as _;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const FORMAT: &str = "clawkeep-undo";
/// The format version that this program writes, and the only one that it reads.
pub const VERSION: u32 = 1;

#[derive(Serialize)]
struct Out<'a> {
    format: &'static str,
    version: u32,
    vault_id: VaultId,
    id: &'a str,
    created: Millis,
    roots: Vec<&'a str>,
    files: Vec<OutFile<'a>>,
    values: Vec<OutValue<'a>>,
    planted: Vec<Place<'a>>,
    orders: Vec<Order<'a>>,
}

#[derive(Serialize)]
struct OutFile<'a> {
    path: &'a str,
    mode: u32,
    before: Option<Base64<'a>>,
    after: String,
    copy: bool,
    values: Vec<At<'a>>,
}

#[derive(Serialize)]
struct OutValue<'a> {
    agent: &'a str,
    profile: &'a str,
    provider: &'a str,
    kind: SecretKind,
    id: &'a str,
    expires: Option<Millis>,
    value: &'a str,
}

/// Written piece by piece: no copy of the whole is made.
struct Base64<'a>(&'a [u8]);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0, &STANDARD))
    }
}

#[derive(Serialize, Deserialize)]
struct At<'a> {
    #[serde(borrow)]
    place: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    left: WireLeft<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireLeft<'a> {
    #[serde(borrow)]
    Ref(Cow<'a, str>),
    Marker,
    Nothing,
}

#[derive(Serialize, Deserialize)]
struct Place<'a> {
    #[serde(borrow)]
    agent: Cow<'a, str>,
    #[serde(borrow)]
    profile: Cow<'a, str>,
    #[serde(borrow)]
    provider: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct Order<'a> {
    #[serde(borrow)]
    agent: Cow<'a, str>,
    #[serde(borrow)]
    provider: Cow<'a, str>,
    before: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Gate<'a> {
    #[serde(borrow)]
    format: Cow<'a, str>,
    version: u32,
}

#[derive(Deserialize)]
struct In<'a> {
    vault_id: VaultId,
    #[serde(borrow)]
    id: Cow<'a, str>,
    created: Millis,
    #[serde(borrow)]
    roots: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    files: Vec<InFile<'a>>,
    #[serde(borrow)]
    values: Vec<InValue<'a>>,
    #[serde(borrow)]
    planted: Vec<Place<'a>>,
    #[serde(borrow)]
    orders: Vec<Order<'a>>,
}

#[derive(Deserialize)]
struct InFile<'a> {
    #[serde(borrow)]
    path: Cow<'a, str>,
    mode: u32,
    // Base64 has nothing to escape, so it is borrowed from the line, never copied.
    #[serde(borrow)]
    before: Option<&'a str>,
    #[serde(borrow)]
    after: Cow<'a, str>,
    copy: bool,
    #[serde(borrow)]
    values: Vec<At<'a>>,
}

#[derive(Deserialize)]
struct InValue<'a> {
    #[serde(borrow)]
    agent: Cow<'a, str>,
    #[serde(borrow)]
    profile: Cow<'a, str>,
    #[serde(borrow)]
    provider: Cow<'a, str>,
    kind: SecretKind,
    #[serde(borrow)]
    id: Cow<'a, str>,
    expires: Option<Millis>,
    value: Secret,
}

/// Line 1, in a buffer that was large enough from the start.
///
/// # Errors
/// `Broken` when the bundle does not hold together; `Failed` for a path that is no UTF-8 text or a
/// file above [`MAX_WAS`].
pub(super) fn to_line(bundle: &Bundle, vault: VaultId) -> Result<Zeroizing<Vec<u8>>> {
    bundle.check()?;
    let wire = out(bundle, vault)?;
    let failed = |_| Error::failed("the undo bundle cannot be written as JSON");
    // Its length first: a buffer that grows leaves unwiped copies behind.
    let mut length = Count(0);
    serde_json::to_writer(&mut length, &wire).map_err(failed)?;
    let mut line = Zeroizing::new(Vec::with_capacity(length.0));
    serde_json::to_writer(&mut *line, &wire).map_err(failed)?;
    Ok(line)
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| {
        Error::failed("a path that is no UTF-8 text cannot be undone, so nothing is migrated there")
    })
}

#[allow(
    clippy::disallowed_methods,
    reason = "door: values into the bundle, which is encrypted"
)]
fn out(bundle: &Bundle, vault: VaultId) -> Result<Out<'_>> {
    let mut files = Vec::with_capacity(bundle.files.len());
    for file in &bundle.files {
        if file.before.as_ref().is_some_and(|was| was.len() > MAX_WAS) {
            return Err(Error::failed(format!(
                "{} is larger than {} MiB, so it could not be undone",
                file.path.display(),
                MAX_WAS / 1024 / 1024
            )));
        }
        files.push(OutFile {
            path: text(&file.path)?,
            mode: file.mode,
            before: file.before.as_ref().map(|was| Base64(was)),
            after: match &file.after {
                After::Unknown => "unknown".to_owned(),
                After::Removed => "removed".to_owned(),
                After::Written(digest) => hex(digest),
            },
            copy: file.is_copy,
            values: file.values.iter().map(at).collect(),
        });
    }
    let roots = bundle.roots.iter().map(|root| text(root));
    Ok(Out {
        format: FORMAT,
        version: VERSION,
        vault_id: vault,
        id: bundle.id.as_str(),
        created: bundle.created,
        roots: roots.collect::<Result<_>>()?,
        files,
        values: bundle
            .values
            .iter()
            .map(|was| OutValue {
                agent: was.agent.as_str(),
                profile: was.profile.as_str(),
                provider: was.provider.as_str(),
                kind: was.kind,
                id: was.id.as_str(),
                expires: was.expires,
                value: was.value.expose_secret(),
            })
            .collect(),
        planted: bundle
            .planted
            .iter()
            .map(|planted| Place {
                agent: planted.agent.as_str().into(),
                profile: planted.profile.as_str().into(),
                provider: planted.provider.as_str().into(),
            })
            .collect(),
        orders: bundle
            .orders
            .iter()
            .map(|order| Order {
                agent: order.agent.as_str().into(),
                provider: order.provider.as_str().into(),
                before: order
                    .before
                    .as_ref()
                    .map(|ids| ids.iter().map(ToString::to_string).collect()),
            })
            .collect(),
    })
}

fn at(was: &WasAt) -> At<'_> {
    At {
        place: was.place.iter().map(|key| key.as_str().into()).collect(),
        id: was.id.as_ref().map(|id| id.as_str().into()),
        left: match &was.left {
            Left::Ref(id) => WireLeft::Ref(id.as_str().into()),
            Left::Marker => WireLeft::Marker,
            Left::Nothing => WireLeft::Nothing,
        },
    }
}

/// Reads an authenticated line 1.
///
/// # Errors
/// `Broken` when it is of another vault or bundle, of another version, or does not hold together.
pub(super) fn from_line(line: &[u8], vault: VaultId, id: &BundleId, keep: bool) -> Result<Bundle> {
    let gate: Gate<'_> = serde_json::from_slice(line).map_err(|error| malformed(&error))?;
    if gate.format != FORMAT {
        return Err(Error::broken("the undo bundle opens but does not hold one"));
    }
    if gate.version != VERSION {
        return Err(Error::broken(format!(
            "the undo bundle has format version {}; this clawkeep reads version {VERSION}",
            gate.version
        ))
        .hint("install the newest clawkeep: cargo install --path ."));
    }
    let wire: In<'_> = serde_json::from_slice(line).map_err(|error| malformed(&error))?;
    if wire.vault_id != vault {
        return Err(Error::broken("the undo bundle is of another vault"));
    }
    if wire.id != id.as_str() {
        return Err(Error::broken(format!(
            "another undo bundle was put in the place of {id}"
        )));
    }
    let bundle = Bundle {
        id: id.clone(),
        created: wire.created,
        keep,
        roots: wire
            .roots
            .iter()
            .map(|root| PathBuf::from(&**root))
            .collect(),
        files: each(wire.files, file)?,
        values: each(wire.values, value)?,
        planted: each(wire.planted, |wire| {
            Ok(Planted {
                agent: named(AgentId::parse(&wire.agent))?,
                profile: named(ProfileId::parse(&wire.profile))?,
                provider: named(ProviderId::parse(&wire.provider))?,
            })
        })?,
        orders: each(wire.orders, |wire| {
            let ids = wire
                .before
                .map(|ids| each(ids, |id| named(ProfileId::parse(&id))));
            Ok(WasOrder {
                agent: named(AgentId::parse(&wire.agent))?,
                provider: named(ProviderId::parse(&wire.provider))?,
                before: ids.transpose()?,
            })
        })?,
    };
    bundle.check()?;
    Ok(bundle)
}

fn each<A, B>(from: Vec<A>, read: impl Fn(A) -> Result<B>) -> Result<Vec<B>> {
    from.into_iter().map(read).collect()
}

fn file(wire: InFile<'_>) -> Result<WasFile> {
    let before = wire.before.map(unbase64).transpose()?;
    let after = match &*wire.after {
        "unknown" => After::Unknown,
        "removed" => After::Removed,
        digest => After::Written(unhex(digest).ok_or_else(unreadable)?),
    };
    Ok(WasFile {
        path: PathBuf::from(&*wire.path),
        mode: wire.mode,
        before,
        after,
        is_copy: wire.copy,
        values: each(wire.values, |at| {
            Ok(WasAt {
                place: at.place.into_iter().map(Cow::into_owned).collect(),
                id: at.id.map(|id| named(SecretId::parse(&id))).transpose()?,
                left: match at.left {
                    WireLeft::Ref(id) => Left::Ref(id.into_owned()),
                    WireLeft::Marker => Left::Marker,
                    WireLeft::Nothing => Left::Nothing,
                },
            })
        })?,
    })
}

fn value(wire: InValue<'_>) -> Result<WasValue> {
    Ok(WasValue {
        agent: named(AgentId::parse(&wire.agent))?,
        profile: named(ProfileId::parse(&wire.profile))?,
        provider: named(ProviderId::parse(&wire.provider))?,
        kind: wire.kind,
        id: named(SecretId::parse(&wire.id))?,
        expires: wire.expires,
        value: wire.value,
    })
}

fn unbase64(text: &str) -> Result<Zeroizing<Vec<u8>>> {
    let most = base64::decoded_len_estimate(text.len());
    if most > MAX_WAS + 3 {
        return Err(unreadable());
    }
    let mut bytes = Zeroizing::new(vec![0; most]);
    let length = STANDARD
        .decode_slice(text, &mut bytes)
        .map_err(|_| unreadable())?;
    bytes.truncate(length);
    Ok(bytes)
}

/// A name that was parsed when it went in: what does not parse was not written by this program.
fn named<T>(parsed: Result<T>) -> Result<T> {
    parsed.map_err(|_| unreadable())
}

fn unreadable() -> Error {
    Error::broken("the undo bundle holds something that this clawkeep writes into none")
}

fn malformed(error: &serde_json::Error) -> Error {
    Error::broken(format!("the undo bundle cannot be read ({})", place(error)))
}

/// Counts bytes and keeps none.
struct Count(usize);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
