//! The allocator that wipes what it frees. For binaries; door to `unsafe`.
//!
//! Libraries below us (age's stream buffers, `serde_json`'s scratch space, growing vectors) free
//! memory that held secrets without clearing it. A binary that installs this allocator leaves no
//! such copy on the heap; a library cannot install it for its users.
#![allow(unsafe_code, reason = "GlobalAlloc is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};

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
