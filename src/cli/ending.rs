//! How a keeper is called to its end. Ring 4.
//!
//! Promise: only the process that listens is meant, and it wipes its values by itself.

use crate::keeper::client::Client;
use std::time::Duration;

/// How long a keeper that was called to end may take to wipe and go.
const END_WAIT: Duration = Duration::from_secs(5);

/// What a person types before a process's number to end it.
pub const KILL: &str = if cfg!(windows) {
    "taskkill /PID"
} else {
    "kill"
};

/// The same, when it does not listen.
pub const KILL_NOW: &str = if cfg!(windows) {
    "taskkill /F /PID"
} else {
    "kill -9"
};

#[cfg(unix)]
fn process(pid: u32) -> Option<rustix::process::Pid> {
    i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw)
}

/// Tells the keeper to end, and waits until its process has; `None` when it cannot be told. By a handle
/// of the process where there are such, so that no other one of that number is meant.
#[cfg(target_os = "linux")]
pub fn end(pid: u32, _: &mut Client) -> Option<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
    let process = pidfd_open(process(pid)?, PidfdFlags::empty()).ok()?;
    pidfd_send_signal(&process, Signal::HUP).ok()?;
    let wait = Timespec {
        tv_sec: i64::try_from(END_WAIT.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: 0,
    };
    let mut ended = [PollFd::new(&process, PollFlags::IN)];
    Some(poll(&mut ended, Some(&wait)).ok()? > 0)
}

/// As elsewhere, by the process's number.
#[cfg(all(unix, not(target_os = "linux")))]
pub fn end(pid: u32, keeper: &mut Client) -> Option<bool> {
    rustix::process::kill_process(process(pid)?, rustix::process::Signal::HUP).ok()?;
    Some(keeper.wait_for_end(END_WAIT))
}

/// As elsewhere, by a question: there are no signals. It may be gone before it has answered.
#[cfg(windows)]
pub fn end(pid: u32, keeper: &mut Client) -> Option<bool> {
    use crate::error::Kind;
    use crate::keeper::windows::Process;
    use crate::keeper::wire::Question;
    let process = Process::open(pid).ok()?;
    match keeper.ask(Question::End) {
        Ok(_) => {}
        Err(error) if error.kind() == Kind::Locked => {}
        Err(_) => return None,
    }
    Some(process.ends_within(END_WAIT))
}
