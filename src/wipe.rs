//! Memory that is cleared before it is freed: the allocator that does so, for binaries (door to
//! `unsafe`), a large buffer that does so by itself, and pages of their own for what is kept.
//!
//! Libraries below us (age's stream buffers, `serde_json`'s scratch space, growing vectors) free
//! memory that held secrets without clearing it. A binary that installs this allocator leaves no
//! such copy on the heap; a library cannot install it for its users.
#![allow(
    unsafe_code,
    reason = "GlobalAlloc is an unsafe trait; mappings are made by unsafe calls"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Read;

/// The system's allocator, with every freed block cleared first. `realloc` keeps its default of
/// allocate, copy and free, so that a moved block is cleared as well.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wiping;

// SAFETY: every call is passed to `System` unchanged; `dealloc` writes only inside the block that the
// caller gives back, which is `layout.size()` bytes long and not used by anyone else any more.
unsafe impl GlobalAlloc for Wiping {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` is a live allocation of `layout.size()` bytes that the caller owns.
        unsafe { std::ptr::write_bytes(block, 0, layout.size()) };
        // The compiler may drop a store to memory that is freed next; a use of the pointer that it
        // cannot look into keeps it.
        let kept = std::hint::black_box(block);
        // SAFETY: as above, and it is freed once.
        unsafe { System.dealloc(kept, layout) }
    }
}

/// A buffer of fixed size that is wiped on drop, for a whole vault's plaintext.
///
/// `Zeroizing` clears byte by byte, which takes 0.3 ms for a vault of 10,000. This is one fill, and it
/// is not optimised away either.
pub struct Wiped {
    bytes: Box<[u8]>,
    len: usize,
}

impl Wiped {
    /// Reads `from` to its end. `None` when it holds more than `most` bytes.
    ///
    /// # Errors
    /// Those of `from`; what was read is wiped then.
    pub fn read(mut from: impl Read, most: usize) -> std::io::Result<Option<Self>> {
        // The spare byte tells an end from a buffer that is full.
        let mut all = Wiped {
            bytes: vec![0; most + 1].into_boxed_slice(),
            len: 0,
        };
        all.populate();
        while all.len <= most {
            match from.read(&mut all.bytes[all.len..]) {
                Ok(0) => return Ok(Some(all)),
                Ok(read) => all.len += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Asks for the pages of a large buffer all at once instead of by one fault for each: 8 % of the
    /// time of `resolve` on a vault of 10,000. Where the system refuses, they come one by one.
    #[cfg(target_os = "linux")]
    fn populate(&mut self) {
        use rustix::mm::{Advice, madvise};
        const LARGE: usize = 128 * 1024;
        if self.bytes.len() < LARGE {
            return;
        }
        // Whole pages inside the buffer only.
        let page = rustix::param::page_size();
        let before = self.bytes.as_ptr().align_offset(page);
        let Some(inside) = self.bytes.get_mut(before..) else {
            return;
        };
        let len = inside.len() / page * page;
        // SAFETY: these pages lie within `inside`, which is borrowed for writing; the advice makes
        // them present and changes nothing that they hold.
        let _ = unsafe { madvise(inside.as_mut_ptr().cast(), len, Advice::LinuxPopulateWrite) };
    }

    #[cfg(not(target_os = "linux"))]
    fn populate(&mut self) {}
}

/// Keeps what lies here out of swap, for as long as its pages are mapped: for what is small and stays.
/// Memory that shares a page with it is locked too, which harms nobody.
#[cfg(unix)]
pub fn lock_in_place<T: ?Sized>(value: &T) -> Locking {
    let start = std::ptr::from_ref(value).cast_mut().cast();
    // SAFETY: live memory of this process; locking changes nothing that it holds, and the system rounds
    // to whole pages.
    match unsafe { rustix::mm::mlock(start, size_of_val(value)) } {
        Ok(()) => Locking::Locked,
        Err(_) => Locking::Refused,
    }
}

/// Where pages cannot be locked by us.
#[cfg(not(unix))]
pub fn lock_in_place<T: ?Sized>(_: &T) -> Locking {
    Locking::Refused
}

/// Whether memory is kept out of swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locking {
    /// Its pages are locked.
    Locked,
    /// The system refused: the limit on locked memory is too low.
    Refused,
}

/// A copy of bytes in pages that hold nothing else: out of swap where the system allows it, out of
/// dumps and of forked children, and wiped before they are given back.
#[cfg(unix)]
pub struct Pages {
    start: std::ptr::NonNull<u8>,
    len: usize,
    room: usize,
    locking: Locking,
}

#[cfg(unix)]
impl Pages {
    /// Copies `bytes`, which the caller wipes.
    ///
    /// # Errors
    /// Those of the system when it has no memory.
    pub fn of(bytes: &[u8]) -> std::io::Result<Self> {
        use rustix::mm::{MapFlags, ProtFlags, mlock, mmap_anonymous};
        let room = bytes
            .len()
            .max(1)
            .next_multiple_of(rustix::param::page_size());
        let rights = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping where the system likes, which nobody else knows.
        let start =
            unsafe { mmap_anonymous(std::ptr::null_mut(), room, rights, MapFlags::PRIVATE) }?;
        let start = std::ptr::NonNull::new(start.cast::<u8>()).ok_or(std::io::ErrorKind::Other)?;
        let mut pages = Pages {
            start,
            len: bytes.len(),
            room,
            locking: Locking::Refused,
        };
        // SAFETY: the whole mapping, which is ours alone; neither call changes what it holds.
        unsafe {
            if mlock(start.as_ptr().cast(), room).is_ok() {
                pages.locking = Locking::Locked;
            }
            pages.keep_out_of_dumps();
        }
        // SAFETY: `room` bytes of the mapping are writable, at least `len`, and it is new, so that
        // `bytes` lies elsewhere.
        unsafe {
            start
                .as_ptr()
                .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        };
        Ok(pages)
    }

    /// Whether they are locked.
    pub fn locking(&self) -> Locking {
        self.locking
    }

    #[cfg(target_os = "linux")]
    unsafe fn keep_out_of_dumps(&self) {
        use rustix::mm::{Advice, madvise};
        for advice in [Advice::LinuxDontDump, Advice::LinuxWipeOnFork] {
            // SAFETY: the whole mapping, which is ours alone; what it holds here stays.
            let _ = unsafe { madvise(self.start.as_ptr().cast(), self.room, advice) };
        }
    }

    #[cfg(not(target_os = "linux"))]
    unsafe fn keep_out_of_dumps(&self) {}
}

#[cfg(unix)]
impl std::ops::Deref for Pages {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: `len` bytes of the mapping were written by `of`, and nobody writes to them after.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

#[cfg(unix)]
impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nobody can have borrowed it any more. Unlocking comes with
        // unmapping; the barrier keeps the wiping from being optimised away.
        unsafe {
            std::ptr::write_bytes(self.start.as_ptr(), 0, self.room);
            zeroize::optimization_barrier(&*self.start.as_ptr());
            let _ = rustix::mm::munmap(self.start.as_ptr().cast(), self.room);
        }
    }
}

/// Where pages cannot be locked by us.
#[cfg(not(unix))]
pub struct Pages(zeroize::Zeroizing<Vec<u8>>);

#[cfg(not(unix))]
impl Pages {
    /// Copies `bytes`, which the caller wipes.
    ///
    /// # Errors
    /// None.
    pub fn of(bytes: &[u8]) -> std::io::Result<Self> {
        Ok(Pages(zeroize::Zeroizing::new(bytes.to_vec())))
    }

    /// They are not.
    pub fn locking(&self) -> Locking {
        Locking::Refused
    }
}

#[cfg(not(unix))]
impl std::ops::Deref for Pages {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// Locks everything that this process has and will have, where its limit allows any amount; a limit
/// that is too low would make later allocations fail, so there nothing is done.
#[cfg(target_os = "linux")]
pub fn lock_everything() -> Locking {
    use rustix::mm::{MlockAllFlags, mlockall};
    use rustix::process::{Resource, getrlimit};
    if getrlimit(Resource::Memlock).current.is_some() {
        return Locking::Refused;
    }
    let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    match mlockall(flags) {
        Ok(()) => Locking::Locked,
        Err(_) => Locking::Refused,
    }
}

/// Only Linux tells its limit and takes pages as they come.
#[cfg(not(target_os = "linux"))]
pub fn lock_everything() -> Locking {
    Locking::Refused
}

impl std::ops::Deref for Wiped {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.bytes.fill(0);
        zeroize::optimization_barrier(&*self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_takes_all_or_says_that_it_is_too_much() {
        let text = [7u8; 100];
        for most in [100, 101, 5000] {
            let read = Wiped::read(text.as_slice(), most).unwrap().unwrap();
            assert_eq!(*read, text);
        }
        assert!(Wiped::read(text.as_slice(), 99).unwrap().is_none());
        assert!(Wiped::read([].as_slice(), 0).unwrap().unwrap().is_empty());
        let large = vec![7u8; 3_000_001];
        let read = Wiped::read(large.as_slice(), large.len()).unwrap().unwrap();
        assert!(*read == *large);
    }

    #[test]
    fn pages_hold_what_was_copied() {
        for len in [0, 1, 4096, 4097, 300_000] {
            let bytes = vec![7u8; len];
            assert!(*Pages::of(&bytes).unwrap() == *bytes);
        }
    }
}
