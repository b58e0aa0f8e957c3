//! The program: hands the command line to the library. The second door to `unsafe`.
//!
//! On Linux with glibc it starts without the standard library's own start, which reads the map of the
//! process's memory, in order to name a stack overflow: 0.1 ms of the 1.0 ms that a `resolve` through the
//! keeper takes as a whole process. What that start does besides is done here: descriptors 0 to 2 are
//! open, a reader that has gone is an error and not a signal, a panic becomes exit code 101.
#![cfg_attr(all(target_os = "linux", target_env = "gnu", not(test)), no_main)]

/// Everything that the program frees is cleared first.
#[global_allocator]
static ALLOCATOR: clawkeep::wipe::Wiping = clawkeep::wipe::Wiping;

fn run() -> u8 {
    clawkeep::cli::run(clawkeep::host::Host::real(), std::env::args_os().collect())
}

#[cfg(all(target_os = "linux", target_env = "gnu", not(test)))]
mod start {
    #![allow(
        unsafe_code,
        reason = "the C library calls main, and sets what a signal does"
    )]

    use rustix::fs::{Mode, OFlags};
    use std::ffi::{c_char, c_int};
    use std::os::fd::BorrowedFd;

    const SIGPIPE: c_int = 13;
    /// `SIG_IGN` of signal(2).
    const IGNORED: usize = 1;

    // SAFETY: signal(2) as the C library declares it, a handler being a pointer or a small number.
    unsafe extern "C" {
        fn signal(number: c_int, handler: usize) -> usize;
    }

    /// Called by the C library. The standard library has the arguments from the loader.
    // SAFETY: no other symbol of this name is linked: the crate has `no_main`.
    #[unsafe(no_mangle)]
    extern "C" fn main(_: c_int, _: *const *const c_char) -> c_int {
        open_the_first_three();
        // SAFETY: no other thread runs yet, and to ignore a signal runs no code of ours.
        unsafe { signal(SIGPIPE, IGNORED) };
        // The message was printed by the panic itself.
        std::panic::catch_unwind(super::run).map_or(101, c_int::from)
    }

    /// A file that is opened later must not become standard output. A new descriptor is the lowest that
    /// is free, so the first that is closed gets it.
    fn open_the_first_three() {
        for standard in 0..3 {
            // SAFETY: the number is looked up and nothing is done through it; whether it is open is the
            // question.
            let standard = unsafe { BorrowedFd::borrow_raw(standard) };
            if rustix::io::fcntl_getfd(standard).is_err()
                && let Ok(null) = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty())
            {
                std::mem::forget(null);
            }
        }
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu", not(test))))]
fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(run())
}
