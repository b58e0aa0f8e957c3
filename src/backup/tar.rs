//! The container: a plain `ustar` archive, which any `tar xf` of the last thirty years unpacks. Bytes in,
//! bytes out.
//!
//! Promise: nothing is read that [`write`] does not write. A header is compared, byte for byte, with the
//! one that would be written for the same name, size and time; so there are no links, devices, pipes,
//! sparse files, extended headers, owners, other modes or other ways to say a name. A name is
//! `[A-Za-z0-9_-][A-Za-z0-9._-]*`, with `/` between such parts, below the one folder [`TOP`]: it can
//! neither be absolute nor lead out. A size is believed only as far as the archive is long.

use crate::error::{Error, Result};

/// The folder that everything in an archive lies in.
pub(super) const TOP: &str = "clawkeep-backup";

/// The longest name below [`TOP`], in bytes: what the format has room for.
pub(super) const MAX_NAME: usize = 100;

/// The most members that are read.
pub(super) const MAX_MEMBERS: usize = 65_536;

const BLOCK: usize = 512;

/// One thing in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member<B> {
    /// Its name below [`TOP`], as [`is_name`]; empty for that folder itself.
    pub(super) name: String,
    /// The file's bytes (mode 0600), or `None` for a folder (0700).
    pub(super) bytes: Option<B>,
}

/// Whether `name` can be one of a member.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    let is_part = |part: &str| {
        part.bytes().next().is_some_and(plain) && part.bytes().all(|b| plain(b) || b == b'.')
    };
    name.len() < MAX_NAME && name.split('/').all(is_part)
}

/// The archive of these members, at most `max` bytes long; `time` in seconds since 1970 is when all of
/// them were last changed.
///
/// # Errors
/// `Failed` when it would be longer, or for a name that cannot be one.
pub(super) fn write<B: AsRef<[u8]>>(
    members: &[Member<B>],
    time: u64,
    max: usize,
) -> Result<Vec<u8>> {
    let padded = |member: &Member<B>| {
        let bytes = member.bytes.as_ref().map_or(0, |b| b.as_ref().len());
        BLOCK + bytes.next_multiple_of(BLOCK)
    };
    let length = members.iter().map(padded).sum::<usize>() + 2 * BLOCK;
    if length > max {
        return Err(Error::failed(format!(
            "a backup would be larger than {} MiB, the most that clawkeep restores",
            max >> 20
        )));
    }
    let mut out = Vec::with_capacity(length);
    for member in members {
        let size = member.bytes.as_ref().map(|bytes| bytes.as_ref().len());
        let header = header(&member.name, size, time)
            .ok_or_else(|| Error::failed("a file of the vault has a name that no backup holds"))?;
        out.extend_from_slice(&header);
        if let Some(bytes) = &member.bytes {
            out.extend_from_slice(bytes.as_ref());
            out.resize(out.len().next_multiple_of(BLOCK), 0);
        }
    }
    out.resize(length, 0);
    Ok(out)
}

/// The members of an archive that [`write`] made, each name once, and their one time.
///
/// # Errors
/// `Broken`, by the number of the member, for any other one, and one that was cut off.
pub(super) fn read(archive: &[u8]) -> Result<(Vec<Member<&[u8]>>, u64)> {
    let mut members: Vec<Member<&[u8]>> = Vec::new();
    let mut names = std::collections::BTreeSet::new();
    let mut time = None;
    let mut rest = archive;
    loop {
        let at = members.len() + 1;
        let (block, after) = rest.split_at_checked(BLOCK).ok_or_else(cut)?;
        if block.iter().all(|b| *b == 0) {
            if after.len() == BLOCK && after.iter().all(|b| *b == 0) {
                return Ok((members, time.unwrap_or(0)));
            }
            return Err(if after.len() < BLOCK {
                cut()
            } else {
                foreign(at)
            });
        }
        let (name, size, when) = parse(block).ok_or_else(|| foreign(at))?;
        let length = size.unwrap_or(0);
        let (bytes, more) = after.split_at_checked(length).ok_or_else(cut)?;
        let (padding, more) = more
            .split_at_checked(length.next_multiple_of(BLOCK) - length)
            .ok_or_else(cut)?;
        let fits = *time.get_or_insert(when) == when
            && padding.iter().all(|b| *b == 0)
            && at <= MAX_MEMBERS
            && names.insert(name.clone());
        if !fits {
            return Err(foreign(at));
        }
        members.push(Member {
            name,
            bytes: size.map(|_| bytes),
        });
        rest = more;
    }
}

fn cut() -> Error {
    Error::broken("it is no archive of clawkeep's, or was cut off")
}

fn foreign(at: usize) -> Error {
    Error::broken(format!(
        "it is no archive of clawkeep's: its member {at} is nothing that clawkeep writes"
    ))
    .hint("look inside, in an empty folder: tar tvf FILE")
}

/// The header of a file of that size, or of a folder. `None` when it has no room for the name.
fn header(name: &str, size: Option<usize>, time: u64) -> Option<[u8; BLOCK]> {
    let is_top = name.is_empty() && size.is_none();
    if !is_top && !is_name(name) {
        return None;
    }
    let mut block = [0; BLOCK];
    let mut put = |at: usize, text: &str| {
        block[at..at + text.len()].copy_from_slice(text.as_bytes());
    };
    // The top folder has no prefix: both parts would be one name with two slashes.
    let name = match size {
        Some(_) => name.to_owned(),
        None if is_top => format!("{TOP}/"),
        None => format!("{name}/"),
    };
    put(0, &name);
    put(100, if size.is_some() { "0000600" } else { "0000700" });
    put(108, "0000000");
    put(116, "0000000");
    put(124, &octal(size.unwrap_or(0) as u64)?);
    put(136, &octal(time)?);
    put(148, "        ");
    put(156, if size.is_some() { "0" } else { "5" });
    put(257, "ustar\0");
    put(263, "00");
    put(329, "0000000");
    put(337, "0000000");
    if !is_top {
        put(345, TOP);
    }
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Some(block)
}

/// Eleven octal digits: up to 8 GiB less one, or the year 2242.
fn octal(number: u64) -> Option<String> {
    (number < 1 << 33).then(|| format!("{number:011o}"))
}

/// The name, of a file the size, and the time in a header. `None` unless it is exactly what [`header`] makes.
fn parse(block: &[u8]) -> Option<(String, Option<usize>, u64)> {
    let number = |at: usize| {
        let digits = std::str::from_utf8(&block[at..at + 11]).ok()?;
        let is_octal = digits.bytes().all(|b| matches!(b, b'0'..=b'7'));
        is_octal
            .then(|| u64::from_str_radix(digits, 8).ok())
            .flatten()
    };
    let end = block[..MAX_NAME].iter().position(|b| *b == 0)?;
    let name = std::str::from_utf8(&block[..end]).ok()?;
    let size = match block[156] {
        b'0' => Some(usize::try_from(number(124)?).ok()?),
        b'5' => None,
        _ => return None,
    };
    let name = match size {
        Some(_) => name,
        None if block[345] == 0 => name
            .strip_suffix('/')
            .filter(|name| *name == TOP)
            .map(|_| "")?,
        None => name.strip_suffix('/')?,
    };
    let time = number(136)?;
    let ours = header(name, size, time)?;
    (ours == block).then(|| (name.to_owned(), size, time))
}

#[cfg(test)]
#[path = "tar_tests.rs"]
mod tests;
