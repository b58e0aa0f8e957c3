//! The program: hands the command line to the library.

/// Everything that the program frees is cleared first.
#[global_allocator]
static ALLOCATOR: clawkeep::wipe::Wiping = clawkeep::wipe::Wiping;

fn main() -> std::process::ExitCode {
    clawkeep::cli::run(clawkeep::host::Host::real(), std::env::args_os().collect())
}
