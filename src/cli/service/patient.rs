//! What another user's process says, for as long as it may take. Ring 4.
//!
//! Promise: nobody can hold root by saying nothing, or by saying it slowly.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{Error, ErrorKind, Read, Result};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How long an answer may take where no person is asked: beyond what a service manager may take for
/// the calls of one question.
pub const ALONE: Duration = Duration::from_mins(5);

/// The same of a look at files alone.
pub const LOOK: Duration = Duration::from_mins(1);

/// The same where a person may be asked for a passphrase.
pub const PERSON: Duration = Duration::from_mins(15);

/// A pipe that is read until a point in time.
pub struct Patient<R> {
    pipe: R,
    until: Instant,
}

impl<R: Read + AsFd> Patient<R> {
    /// A pipe whose time runs from now on.
    pub fn new(pipe: R, time: Duration) -> Self {
        Patient {
            pipe,
            until: Instant::now() + time,
        }
    }

    /// Begins another time.
    pub fn again(&mut self, time: Duration) {
        self.until = Instant::now() + time;
    }
}

impl<R: Read + AsFd> Read for Patient<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            let left = self.until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            let wait =
                Timespec::try_from(left).map_err(|_| Error::from(ErrorKind::InvalidInput))?;
            let mut fds = [PollFd::new(&self.pipe, PollFlags::IN)];
            match poll(&mut fds, Some(&wait)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return self.pipe.read(buffer),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_says_nothing_is_not_waited_for() {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut patient = Patient::new(reader, Duration::from_millis(1));
        let error = patient.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        // Its time has gone even where something comes at last.
        std::io::Write::write_all(&mut &writer, b"late").unwrap();
        assert!(patient.read(&mut [0; 8]).is_err());
        patient.again(LOOK);
        assert_eq!(patient.read(&mut [0; 8]).unwrap(), 4);
        drop(writer);
        assert_eq!(patient.read(&mut [0; 8]).unwrap(), 0);
    }
}
