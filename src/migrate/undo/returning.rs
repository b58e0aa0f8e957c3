//! Values that return into a JSON file which others changed since. Ring 3; pure.
//!
//! Rule: each place has what the migration left there (our ref, the marker, nothing), or its old value
//! again; otherwise a person was there, and nothing returns. Refs of ours that have no value to return
//! go, and so does our entry in `secrets.providers` once nothing asks it.

use crate::error::Result;
use crate::openclaw::config::{Config, MARKER};
use crate::openclaw::reference::{SECRET_PROVIDER, SecretRef};
use crate::vault::undo::{Left, WasAt};

/// What stands in a value's place.
enum Standing {
    /// What the migration left; a ref beside the value's own key stands at this path.
    Ours(Option<Vec<String>>),
    /// The value is back.
    Back,
}

/// The text of `now` with every value of `was` in its place, and how many returned. `None` when a place
/// holds something else.
///
/// # Errors
/// `Broken` or `Failed` where a key on the way stands twice, or is taken from another file.
pub(super) fn returned(
    was: &Config,
    now: &Config,
    values: &[WasAt],
) -> Result<Option<(Config, usize)>> {
    let mut text = now.clone();
    let mut count = 0;
    for value in values {
        let place = keys(&value.place);
        match standing(value, was, now) {
            None => return Ok(None),
            Some(Standing::Back) => {}
            Some(Standing::Ours(reference)) => {
                if let Some(reference) = reference {
                    text.remove(&keys(&reference))?;
                }
                put(&mut text, was, &place)?;
                count += 1;
            }
        }
    }
    let kept = was.refs();
    for (path, reference) in text.refs() {
        if !reference.is_ours() || kept.contains(&(path.clone(), reference)) {
            continue;
        }
        let place = keys(&path);
        if was.has(&place) {
            text.graft(&place, was)?;
        } else if let ["profiles", profile, _] = place.as_slice() {
            // OpenClaw keeps no profile without a credential.
            if was.has(&["profiles", profile]) {
                text.remove(&place)?;
            } else {
                text.remove_with_empty_parents(&["profiles", profile])?;
            }
        } else {
            text.remove_with_empty_parents(&place)?;
        }
    }
    let entry = ["secrets", "providers", SECRET_PROVIDER];
    let asks = text.refs().iter().any(|(_, reference)| reference.is_ours());
    if !asks && !was.has(&entry) {
        text.remove_with_empty_parents(&entry)?;
    }
    if !all_back(&text, was, values) {
        return Ok(None);
    }
    Ok(Some((dressed(text, was, now)?, count)))
}

/// The older text where another program wrote the newer one, which drops comments: with the newer one's
/// values.
fn dressed(text: Config, was: &Config, now: &Config) -> Result<Config> {
    if now.has_comments() || !was.has_comments() {
        return Ok(text);
    }
    let mut older = was.clone();
    older.adopt(&text)?;
    Ok(older)
}

/// What stands in the place of a value; `None` when it is none of what may stand there.
fn standing(value: &WasAt, was: &Config, now: &Config) -> Option<Standing> {
    let place = keys(&value.place);
    if let (Some(old), Some(there)) = (was.string_at(&place), now.string_at(&place))
        && old == there
    {
        return Some(Standing::Back);
    }
    match &value.left {
        Left::Ref(id) => {
            let is_it = |path: &[String]| {
                now.get(&keys(path))
                    .and_then(|node| SecretRef::from_value(&node))
                    .is_some_and(|found| found.is_ours() && found.id == *id)
            };
            if is_it(&value.place) {
                return Some(Standing::Ours(None));
            }
            // A profile's ref has a key of its own, and the value's key is gone.
            let beside = ref_places(&value.place)
                .into_iter()
                .find(|path| is_it(path))?;
            (!now.has(&place)).then_some(Standing::Ours(Some(beside)))
        }
        Left::Marker => now
            .string_at(&place)
            .is_some_and(|there| there.as_str() == MARKER)
            .then_some(Standing::Ours(None)),
        Left::Nothing => (!now.has(&place)).then_some(Standing::Ours(None)),
    }
}

/// Where OpenClaw keeps the ref of a profile's value.
fn ref_places(place: &[String]) -> Vec<Vec<String>> {
    let Some((_, above)) = place.split_last() else {
        return Vec::new();
    };
    ["keyRef", "tokenRef"]
        .iter()
        .map(|key| {
            let mut path = above.to_vec();
            path.push((*key).to_owned());
            path
        })
        .collect()
}

/// Puts a value back; with all of the object around it where that went too, since a value alone would
/// be no profile.
fn put(text: &mut Config, was: &Config, place: &[&str]) -> Result<()> {
    let missing = (1..=place.len()).find(|end| !text.has(&place[..*end]));
    let from = missing.unwrap_or(place.len());
    text.graft(&place[..from], was).map(|_| ())
}

fn all_back(text: &Config, was: &Config, values: &[WasAt]) -> bool {
    values.iter().all(|value| {
        let place = keys(&value.place);
        match was.string_at(&place) {
            Some(old) => text.string_at(&place).is_some_and(|there| there == old),
            // It was no string (a list of keys): whole.
            None => text.get(&place) == was.get(&place),
        }
    })
}

fn keys(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}
