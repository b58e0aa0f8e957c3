//! [`Root`] where folders have handles. Ring 1.

use super::{Below, Found, Root, Seen, is_root};
use crate::error::{Error, Result};
use crate::file::TEMP_PREFIX;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, renameat, unlinkat};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Permissions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path};
use std::sync::atomic::{AtomicU32, Ordering};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// An open folder.
pub(super) type Handle = OwnedFd;

/// The permission bits that a file may have: no setuid, setgid or sticky bit.
const BITS: u32 = 0o777;

/// How often another name is tried for a temporary file.
const TRIES: u32 = 64;

/// A folder on the way: passing through takes no right to list it. (`/home` may be 0711.)
#[cfg(any(target_os = "linux", target_os = "android"))]
fn passing() -> OFlags {
    OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn passing() -> OFlags {
    listing()
}

/// A folder that is listed and synced.
fn listing() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

fn step(at: &OwnedFd, name: &OsStr, flags: OFlags, said: &Path) -> Result<OwnedFd> {
    openat(at, name, flags, Mode::empty()).map_err(|error| no_way(said, error))
}

fn no_way(said: &Path, error: Errno) -> Error {
    // ENOTDIR is what Linux says of a link where a folder is wanted, ELOOP what POSIX says.
    if matches!(error, Errno::LOOP | Errno::NOTDIR | Errno::MLINK) {
        return Error::broken(format!(
            "{} is no folder, or a link; no link is followed there",
            said.display()
        ))
        .hint(format!("ls -ld {}", crate::error::typed(said)));
    }
    Error::io("open", said, &error.into())
}

impl Root {
    /// Opens the folder `path`, from the topmost folder down, without following a link.
    ///
    /// # Errors
    /// `Broken` when it is not absolute or a part of it is a link, `Missing` when it is not there.
    pub fn open(path: &Path) -> Result<Self> {
        let mut parts = path.components();
        if parts.next() != Some(Component::RootDir) {
            return Err(Error::broken("a folder to write below is not absolute"));
        }
        let mut handle = openat(CWD, "/", passing(), Mode::empty())
            .map_err(|error| no_way(Path::new("/"), error))?;
        let mut said = std::path::PathBuf::from("/");
        for part in parts {
            let Component::Normal(name) = part else {
                return Err(Error::broken(
                    "a folder to write below is not named by plain names",
                ));
            };
            said.push(name);
            handle = step(&handle, name, passing(), &said)?;
        }
        Ok(Root {
            path: path.to_owned(),
            handle,
        })
    }

    /// Reads the file at `below`, at most `max` bytes. `Ok(None)` when it, or a folder on the way, is
    /// not there.
    ///
    /// # Errors
    /// `Broken` when something on the way is a link, or it is no regular file of this user or root, or
    /// larger.
    pub fn read(&self, below: &Below, max: usize) -> Result<Option<Found>> {
        let folder = match self.folder(below) {
            Err(error) if error.kind() == crate::error::Kind::Missing => return Ok(None),
            other => other?,
        };
        folder.read(max)
    }

    /// Puts `bytes` at `below`, with the permission bits `mode`, where what is there is what was `seen`.
    ///
    /// # Errors
    /// `Failed` when it is something else by now; `Broken` as [`Root::read`], and for a mode above
    /// 0o777. What was there is untouched then.
    pub fn write(&self, below: &Below, seen: Seen<'_>, bytes: &[u8], mode: u32) -> Result<()> {
        if mode & !BITS != 0 {
            return Err(Error::broken(
                "a file is written with the nine permission bits alone; nothing was written",
            ));
        }
        let folder = self.folder(below)?;
        folder.sweep();
        folder.is_still(seen)?;
        let temp = folder.temporary(bytes, mode)?;
        let done = folder.is_still(seen).and_then(|()| folder.put(&temp));
        if done.is_err() {
            let _ = unlinkat(&folder.handle, temp.name, AtFlags::empty());
        }
        done
    }

    /// Removes the file at `below` where what is there is what was `seen`.
    ///
    /// # Errors
    /// As [`Root::write`].
    pub fn remove(&self, below: &Below, seen: Seen<'_>) -> Result<()> {
        let folder = self.folder(below)?;
        folder.sweep();
        folder.is_still(seen)?;
        if matches!(seen, Seen::Nothing) {
            return Ok(());
        }
        unlinkat(&folder.handle, folder.name, AtFlags::empty())
            .map_err(|error| Error::io("remove", &folder.said, &error.into()))?;
        folder.sync()
    }

    fn folder<'b>(&self, below: &'b Below) -> Result<Folder<'b>> {
        let mut said = self.path.clone();
        let above = below.0.len() - 1;
        // The root's own handle may be one that cannot be listed.
        let here = OsStr::new(".");
        let mut handle = None;
        for (at, name) in below.0[..above].iter().enumerate() {
            said.push(name);
            let flags = if at + 1 == above {
                listing()
            } else {
                passing()
            };
            let from = handle.as_ref().unwrap_or(&self.handle);
            handle = Some(step(from, name, flags, &said)?);
        }
        let handle = match handle {
            Some(handle) => handle,
            None => step(&self.handle, here, listing(), &said)?,
        };
        Ok(Folder {
            handle,
            name: below.name(),
            said: said.join(below.name()),
        })
    }
}

/// The folder of one file, open.
struct Folder<'b> {
    handle: OwnedFd,
    name: &'b OsStr,
    /// The file's path, for messages.
    said: std::path::PathBuf,
}

/// A file under a name that nobody else uses. Locked while it is held: that says that its writer lives.
struct Temporary {
    name: OsString,
    _file: File,
}

impl Folder<'_> {
    fn read(&self, max: usize) -> Result<Option<Found>> {
        // A named pipe in a file's place hangs nobody.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(&self.handle, self.name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            // ENXIO is what a socket says.
            Err(Errno::LOOP | Errno::MLINK | Errno::NXIO) => return Err(self.irregular()),
            Err(error) => return Err(Error::io("read", &self.said, &error.into())),
        };
        let io = |error: std::io::Error| Error::io("read", &self.said, &error);
        let meta = file.metadata().map_err(io)?;
        if !meta.is_file() {
            return Err(self.irregular());
        }
        if meta.uid() != rustix::process::geteuid().as_raw() && meta.uid() != 0 && !is_root() {
            return Err(
                Error::broken(format!("{} belongs to another user", self.said.display()))
                    .hint(format!("ls -l {}", crate::error::typed(&self.said))),
            );
        }
        let too_large = || {
            Error::broken(format!(
                "{} is larger than {} KiB, the most that clawkeep reads there",
                self.said.display(),
                max / 1024
            ))
        };
        let size = usize::try_from(meta.len()).map_err(|_| too_large())?;
        if size > max {
            return Err(too_large());
        }
        // One spare byte lets the last read see the end without growing the buffer.
        let mut bytes = Zeroizing::new(Vec::with_capacity(size + 1));
        file.take(size as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(io)?;
        if bytes.len() > size {
            return Err(self.changed());
        }
        Ok(Some(Found {
            bytes,
            mode: meta.mode() & BITS,
        }))
    }

    fn is_still(&self, seen: Seen<'_>) -> Result<()> {
        let most = match seen {
            Seen::Nothing => 0,
            Seen::Bytes(bytes) => bytes.len(),
        };
        let now = match self.read(most) {
            Err(error) if error.kind() == crate::error::Kind::Broken && self.is_file() => {
                return Err(self.changed());
            }
            other => other?,
        };
        let same = match (seen, &now) {
            (Seen::Nothing, None) => true,
            (Seen::Bytes(bytes), Some(found)) => bool::from(bytes.ct_eq(&found.bytes)),
            _ => false,
        };
        if same { Ok(()) } else { Err(self.changed()) }
    }

    fn is_file(&self) -> bool {
        rustix::fs::statat(&self.handle, self.name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file())
    }

    fn temporary(&self, bytes: &[u8], mode: u32) -> Result<Temporary> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let io = |error: std::io::Error| Error::io("write", &self.said, &error);
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for _ in 0..TRIES {
            let name = OsString::from(format!(
                "{TEMP_PREFIX}{}-{}",
                std::process::id(),
                COUNT.fetch_add(1, Ordering::Relaxed)
            ));
            let mut file = match openat(&self.handle, &name, flags, Mode::RUSR | Mode::WUSR) {
                Ok(file) => File::from(file),
                Err(Errno::EXIST) => continue,
                Err(error) => return Err(io(error.into())),
            };
            if !crate::file::is_claimed(&file).map_err(io)? {
                continue;
            }
            let written = file
                .write_all(bytes)
                .and_then(|()| self.set_mode(&file, mode))
                .and_then(|()| file.sync_all());
            if let Err(error) = written {
                let _ = unlinkat(&self.handle, &name, AtFlags::empty());
                return Err(io(error));
            }
            return Ok(Temporary { name, _file: file });
        }
        Err(Error::failed(format!(
            "no temporary file could be made beside {}",
            self.said.display()
        )))
    }

    /// The mode, and what the file in whose place it comes has beside it.
    fn set_mode(&self, new: &File, mode: u32) -> std::io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match openat(&self.handle, self.name, flags, Mode::empty()) {
            Ok(old) => crate::file::attributes::carry_over(&File::from(old), new, mode),
            Err(_) => new.set_permissions(Permissions::from_mode(mode)),
        }
    }

    fn put(&self, temp: &Temporary) -> Result<()> {
        renameat(&self.handle, &temp.name, &self.handle, self.name)
            .map_err(|error| Error::io("write", &self.said, &error.into()))?;
        self.sync()
    }

    fn sync(&self) -> Result<()> {
        rustix::fs::fsync(&self.handle)
            .map_err(|error| Error::io("sync the folder of", &self.said, &error.into()))
    }

    /// Removes what a killed writer left here: it may hold what is a secret again.
    fn sweep(&self) {
        let Ok(entries) = rustix::fs::Dir::read_from(&self.handle) else {
            return;
        };
        for entry in entries.flatten() {
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if !name.as_bytes().starts_with(TEMP_PREFIX.as_bytes()) {
                continue;
            }
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let Ok(file) = openat(&self.handle, name, flags, Mode::empty()) else {
                continue;
            };
            let file = File::from(file);
            let is_dead =
                file.metadata().is_ok_and(|meta| meta.is_file()) && file.try_lock().is_ok();
            if is_dead {
                let _ = unlinkat(&self.handle, name, AtFlags::empty());
            }
        }
    }

    fn irregular(&self) -> Error {
        Error::broken(format!(
            "{} is not a regular file; nothing is written over a link, pipe, device or folder",
            self.said.display()
        ))
        .hint(format!("ls -ld {}", crate::error::typed(&self.said)))
    }

    fn changed(&self) -> Error {
        Error::failed(format!(
            "{} changed meanwhile; it was left as it is",
            self.said.display()
        ))
        .hint("run the command again")
    }
}
