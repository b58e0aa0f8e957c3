//! The controlling terminal of a Unix process.
//!
//! Input is polled together with the signals. macOS cannot poll `/dev/tty`; there a hidden prompt
//! reads with the terminal's own timer of a tenth of a second instead, and a visible question does
//! not hold signals: the settings that it leaves behind are the ordinary ones.

use super::fit::{beside, fit};
use super::paste::{BURST, Entry, Step};
use super::signals::{Held, Signal, Signals, leads_session, obey, signals, stop};
use super::{Hidden, printable};
use crate::error::{Error, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, OutputModes, QueueSelector, SpecialCodeIndex, Termios,
    tcflush, tcgetattr, tcgetpgrp, tcsetattr,
};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};
use zeroize::{Zeroize, Zeroizing};

const TTY: &str = "/dev/tty";

/// The most bytes of a visible answer; terminals themselves stop at 4096.
const MAX_LINE: usize = 16 * 1024;

/// How long the rest of a cancelled paste is read away at most.
const SETTLE: Duration = Duration::from_secs(10);

/// A cancelled paste is over when nothing came for this long.
const SETTLED: Duration = Duration::from_millis(250);

const PASTE_ON: &str = "\x1b[?2004h";
const PASTE_OFF: &str = "\x1b[?2004l";
// Never ESC [ 3 J: it would erase what the person's own screen has scrolled away.
const ALTERNATE_ON: &str = "\x1b[?1049h\x1b[2J\x1b[H";
/// Also undoes what a program that was killed there leaves behind.
const ALTERNATE_OFF: &str = "\x1b[?2004l\x1b[?25h\x1b[0m\x1b[2J\x1b[H\x1b[?1049l";

/// The controlling terminal. Left as it was found when a question ends, however it ends.
pub struct Terminal {
    tty: File,
    /// Whether the system can poll it.
    polls: bool,
    /// The settings to put back, and whether the question is a hidden one, while one is open.
    question: Option<(Termios, bool)>,
    /// The settings to put back when the alternate screen is left, while it is shown.
    alternate: Option<Termios>,
}

impl Terminal {
    /// The terminal that controls this process, whatever standard input is; `None` when there is
    /// none (a service, a container, a job of cron).
    ///
    /// # Errors
    /// `Failed` when there is one that cannot be opened.
    pub fn open() -> Result<Option<Self>> {
        let flags = i32::try_from(rustix::fs::OFlags::NOCTTY.bits()).unwrap_or(0);
        let tty = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags)
            .open(TTY);
        let tty = match tty {
            Ok(tty) => tty,
            Err(error) => {
                let none = [
                    Errno::NXIO,
                    Errno::NOENT,
                    Errno::NODEV,
                    Errno::NOTTY,
                    Errno::IO,
                ];
                return if Errno::from_io_error(&error).is_some_and(|code| none.contains(&code)) {
                    Ok(None)
                } else {
                    Err(Error::io("open", Path::new(TTY), &error))
                };
            }
        };
        let mut probe = [PollFd::new(&tty, PollFlags::IN)];
        let polls = poll(&mut probe, Some(&Timespec::default())).is_ok()
            && !probe[0].revents().contains(PollFlags::NVAL);
        Ok(Some(Terminal {
            tty,
            polls,
            question: None,
            alternate: None,
        }))
    }

    /// As on a system that cannot poll a terminal, so that this way is tested where it can.
    #[doc(hidden)]
    #[must_use]
    pub fn without_poll(mut self) -> Self {
        self.polls = false;
        self
    }

    /// Asks for a value that is not shown. Enter ends it, Backspace, Ctrl-U and Ctrl-W edit it,
    /// Ctrl-C and, with nothing typed, Ctrl-D give up. After Enter its length is shown, unless it is
    /// a passphrase. The value may be empty and may hold any bytes: the caller checks.
    ///
    /// # Errors
    /// `Cancelled` when the person gives up, the terminal goes away or SIGINT comes (SIGTERM, SIGHUP
    /// and SIGQUIT end the process, with the terminal put back); `Failed` when more was entered than
    /// a secret may hold, when the process runs in the background, or when the terminal fails.
    pub fn ask_hidden(&mut self, prompt: &str, what: Hidden) -> Result<Zeroizing<Vec<u8>>> {
        let mut question = Question::begin(self, prompt, true)?;
        let mut entry = Entry::new(what);
        let received = question.hidden(&mut entry).and_then(|()| entry.finish());
        let note = received.as_ref().map_or(String::new(), |r| r.note(what));
        let shown = question
            .terminal
            .write(&beside(prompt, &note, width(&question.terminal.tty)));
        drop(question);
        let received = received?;
        shown?;
        Ok(received.value)
    }

    /// Asks for a line that the person sees while typing. Returned without its line end.
    ///
    /// # Errors
    /// As [`Terminal::ask_hidden`]; `Failed` when the line is not UTF-8 or longer than 16 KiB.
    pub fn ask_line(&mut self, prompt: &str) -> Result<String> {
        let mut question = Question::begin(self, prompt, false)?;
        let line = question.line();
        if line.is_err() {
            let _ = question.terminal.write("\n");
        }
        line
    }

    /// Writes text to the terminal, without control characters other than newline and tab, in lines that
    /// fit it.
    ///
    /// # Errors
    /// `Failed` when the terminal is gone.
    pub fn show(&mut self, text: &str) -> Result<()> {
        self.write(&fit(&printable(text), width(&self.tty)))
    }

    /// Runs `body` on the alternate screen and wipes that screen afterwards, so that what was shown
    /// is neither on the screen nor in what has scrolled away. (A terminal without an alternate
    /// screen is cleared.) Signals that end the process wait for the end of `body`, or for a question
    /// in it; SIGINT then makes the result `Cancelled`. No question in it can be suspended.
    ///
    /// # Errors
    /// What `body` returns; `Failed` in the background or when the terminal is gone.
    pub fn alternate_screen<T>(
        &mut self,
        body: impl FnOnce(&mut Terminal) -> Result<T>,
    ) -> Result<T> {
        if self.alternate.is_some() {
            return body(self);
        }
        self.require_foreground()?;
        let signals = signals()?;
        let screen = Screen {
            _held: signals.hold(false),
            terminal: self,
        };
        screen.terminal.alternate = Some(tcgetattr(&screen.terminal.tty).map_err(failed)?);
        screen.terminal.write(ALTERNATE_ON)?;
        let mut result = body(screen.terminal);
        while let Some(signal) = signals.take() {
            match signal {
                Signal::Interrupt => result = Err(Error::cancelled()),
                Signal::End(number) => screen.terminal.end_by(number),
                Signal::Stop | Signal::Continued => {}
            }
        }
        result
    }

    fn write(&mut self, text: &str) -> Result<()> {
        self.tty
            .write_all(text.as_bytes())
            .map_err(|error| Error::io("write to", Path::new(TTY), &error))
    }

    /// `None` when the terminal is gone.
    fn in_foreground(&self) -> Option<bool> {
        match tcgetpgrp(&self.tty) {
            Ok(group) => Some(group == rustix::process::getpgrp()),
            // A foreground group outside our pid namespace: it cannot be told.
            Err(Errno::OPNOTSUPP) => Some(true),
            Err(_) => None,
        }
    }

    /// In the background a read would stop the process, or fail for ever.
    fn require_foreground(&self) -> Result<()> {
        match self.in_foreground() {
            Some(true) => Ok(()),
            Some(false) => Err(background()),
            None => Err(Error::cancelled()),
        }
    }

    /// Puts the terminal into the state that a question needs; again after the process was stopped.
    fn arm(&mut self, hidden: bool) -> Result<()> {
        let found = match &self.question {
            Some((found, _)) => found.clone(),
            None => tcgetattr(&self.tty).map_err(failed)?,
        };
        let wanted = settings(&found, hidden, self.polls);
        self.question = Some((found, hidden));
        tcsetattr(&self.tty, OptionalActions::Now, &wanted).map_err(failed)?;
        if hidden { self.write(PASTE_ON) } else { Ok(()) }
    }

    /// Puts back what [`Terminal::arm`] found, and throws away what nobody asked for.
    fn disarm(&mut self) {
        let Some((found, hidden)) = self.question.take() else {
            return;
        };
        // From the background this would stop us; whoever has the terminal has set it up.
        if self.in_foreground() != Some(true) {
            return;
        }
        if hidden {
            let _ = self.write(PASTE_OFF);
        }
        let _ = tcsetattr(&self.tty, OptionalActions::Now, &found);
        let _ = tcflush(&self.tty, QueueSelector::IFlush);
    }

    fn leave_alternate(&mut self) {
        let Some(found) = self.alternate.take() else {
            return;
        };
        if self.in_foreground() != Some(true) {
            return;
        }
        let _ = self.write(ALTERNATE_OFF);
        let _ = tcsetattr(&self.tty, OptionalActions::Now, &found);
    }

    /// Puts the terminal back and ends the process as the signal does.
    fn end_by(&mut self, signal: i32) {
        self.disarm();
        self.leave_alternate();
        obey(signal);
    }
}

/// Its columns; 0 where that cannot be told.
fn width(tty: &File) -> usize {
    rustix::termios::tcgetwinsize(tty).map_or(0, |size| usize::from(size.ws_col))
}

/// The alternate screen while it is shown. Fields are dropped after `drop`: signals wait for it.
struct Screen<'t> {
    terminal: &'t mut Terminal,
    _held: Held,
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        self.terminal.leave_alternate();
    }
}

enum Event {
    Bytes(usize),
    Quiet,
    Signal(Signal),
    Gone,
}

/// A question while it is open. Fields are dropped after `drop`: signals wait for it.
struct Question<'t> {
    terminal: &'t mut Terminal,
    prompt: &'t str,
    hidden: bool,
    signals: &'static Signals,
    _held: Option<Held>,
}

impl<'t> Question<'t> {
    fn begin(terminal: &'t mut Terminal, prompt: &'t str, hidden: bool) -> Result<Self> {
        terminal.require_foreground()?;
        let signals = signals()?;
        let held = (hidden || terminal.polls).then(|| signals.hold(true));
        let mut question = Question {
            terminal,
            prompt,
            hidden,
            signals,
            _held: held,
        };
        question.terminal.arm(hidden)?;
        tcflush(&question.terminal.tty, QueueSelector::IFlush).map_err(failed)?;
        question.redraw()?;
        Ok(question)
    }

    fn redraw(&mut self) -> Result<()> {
        self.terminal.show(self.prompt)
    }

    fn hidden(&mut self, entry: &mut Entry) -> Result<()> {
        let mut buffer = Zeroizing::new(vec![0; 4096]);
        loop {
            let count = match self.next(&mut buffer, entry.wait())? {
                Event::Bytes(count) => count,
                Event::Quiet if entry.quiet() == Step::Done => return Ok(()),
                Event::Quiet => continue,
                Event::Signal(signal) => {
                    self.signal(signal)?;
                    continue;
                }
                Event::Gone => return Err(Error::cancelled()),
            };
            for (at, byte) in buffer[..count].iter().enumerate() {
                match entry.byte(*byte) {
                    Step::More | Step::Done => {}
                    Step::Cancel => {
                        self.settle(at + 1 < count);
                        return Err(Error::cancelled());
                    }
                    Step::Suspend => self.suspend_group(),
                }
            }
        }
    }

    fn line(&mut self) -> Result<String> {
        let mut line = Zeroizing::new(Vec::with_capacity(MAX_LINE));
        let mut buffer = Zeroizing::new(vec![0; 4096]);
        while line.last() != Some(&b'\n') {
            match self.next(&mut buffer, None)? {
                Event::Bytes(count) if line.len() + count <= MAX_LINE => {
                    line.extend_from_slice(&buffer[..count]);
                }
                Event::Bytes(_) => return Err(Error::failed("the answer is too long")),
                Event::Quiet => {}
                Event::Signal(signal) => self.signal(signal)?,
                Event::Gone => return Err(Error::cancelled()),
            }
        }
        line.pop();
        String::from_utf8(std::mem::take(&mut *line)).map_err(|error| {
            error.into_bytes().zeroize();
            Error::failed("the answer is not UTF-8 text")
        })
    }

    /// Waits for what comes next, `wait` at most.
    fn next(&mut self, buffer: &mut [u8], wait: Option<Duration>) -> Result<Event> {
        let wait = wait.and_then(|wait| Timespec::try_from(wait).ok());
        loop {
            if let Some(signal) = self.signals.take() {
                return Ok(Event::Signal(signal));
            }
            match self.terminal.in_foreground() {
                Some(true) => {}
                Some(false) => return Err(background()),
                None => return Ok(Event::Gone),
            }
            let mut hung_up = false;
            if self.terminal.polls {
                let mut fds = [
                    PollFd::new(&self.terminal.tty, PollFlags::IN),
                    PollFd::from_borrowed_fd(self.signals.wake(), PollFlags::IN),
                ];
                match poll(&mut fds, wait.as_ref()) {
                    Ok(0) => return Ok(Event::Quiet),
                    Ok(_) if fds[0].revents().is_empty() => continue,
                    Ok(_) => hung_up = !fds[0].revents().contains(PollFlags::IN),
                    Err(Errno::INTR) => continue,
                    Err(error) => return Err(failed(error)),
                }
            }
            return match rustix::io::read(&self.terminal.tty, &mut *buffer) {
                // A visible line's Ctrl-D.
                Ok(0) if hung_up || !self.hidden => Ok(Event::Gone),
                // Somebody else took it.
                Ok(0) if self.terminal.polls => continue,
                Ok(0) => Ok(Event::Quiet),
                Ok(count) => Ok(Event::Bytes(count)),
                Err(Errno::INTR | Errno::AGAIN) => continue,
                Err(Errno::IO) => Ok(Event::Gone),
                Err(error) => Err(failed(error)),
            };
        }
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        match signal {
            Signal::Interrupt => Err(Error::cancelled()),
            Signal::End(number) => {
                self.terminal.end_by(number);
                Err(Error::cancelled())
            }
            Signal::Stop if self.terminal.alternate.is_some() => Ok(()),
            Signal::Stop => {
                self.terminal.disarm();
                stop();
                self.signals.forget(&[Signal::Continued]);
                self.again()
            }
            Signal::Continued => self.again(),
        }
    }

    /// After the process was stopped: what was typed before is kept.
    fn again(&mut self) -> Result<()> {
        self.terminal.require_foreground()?;
        self.terminal.arm(self.hidden)?;
        self.terminal.write("\n")?;
        self.redraw()
    }

    /// Ctrl-Z stops every process of the job, as the terminal would have. Ours comes back as a
    /// signal, if somebody is there to continue us.
    fn suspend_group(&mut self) {
        if self.terminal.alternate.is_none() && !leads_session() {
            let _ = rustix::process::kill_current_process_group(rustix::process::Signal::TSTP);
        }
    }

    /// Reads away the rest of a paste that was cancelled, so that no shell runs it.
    fn settle(&mut self, mut pasted: bool) {
        let mut buffer = Zeroizing::new(vec![0; 4096]);
        let until = Instant::now() + SETTLE;
        while Instant::now() < until {
            match self.next(&mut buffer, Some(if pasted { SETTLED } else { BURST })) {
                Ok(Event::Bytes(_)) => pasted = true,
                _ => return,
            }
        }
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        self.terminal.disarm();
    }
}

/// Hidden: byte by byte, unchanged, nothing echoed, keys that make signals as bytes. Visible: the
/// ordinary line, whatever state a program before us left.
fn settings(found: &Termios, hidden: bool, polls: bool) -> Termios {
    let mut wanted = found.clone();
    let visible = LocalModes::ICANON
        | LocalModes::ECHO
        | LocalModes::ECHOE
        | LocalModes::ISIG
        | LocalModes::IEXTEN;
    wanted.output_modes |= OutputModes::OPOST | OutputModes::ONLCR;
    wanted.input_modes -= InputModes::INLCR | InputModes::IGNCR | InputModes::ISTRIP;
    if hidden {
        wanted.input_modes -=
            InputModes::BRKINT | InputModes::PARMRK | InputModes::ICRNL | InputModes::IXON;
        wanted.local_modes -= visible | LocalModes::ECHONL;
        // With a poll a read never waits; without one it waits a tenth of a second.
        wanted.special_codes[SpecialCodeIndex::VMIN] = 0;
        wanted.special_codes[SpecialCodeIndex::VTIME] = u8::from(!polls);
    } else {
        wanted.input_modes |= InputModes::ICRNL;
        wanted.local_modes |= visible;
    }
    wanted
}

fn background() -> Error {
    Error::failed("cannot ask: the program runs in the background of this terminal")
        .hint("run it in the foreground, or pipe the value into it")
}

fn failed(error: Errno) -> Error {
    Error::io("use", Path::new(TTY), &error.into())
}

/// Standard input without the standard library's buffer, which would keep a copy of the secret.
pub(super) struct Unbuffered(pub(super) std::io::Stdin);

impl Read for Unbuffered {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match rustix::io::read(&self.0, buffer) {
            // Closed.
            Err(Errno::BADF) => Ok(0),
            other => Ok(other?),
        }
    }
}
