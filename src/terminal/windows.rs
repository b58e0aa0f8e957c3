//! The console of a Windows process: thin, over `rpassword`. Compiled for Windows only and not run
//! by the project's tests: no bracketed paste, no alternate screen where the console has none.

use super::{Hidden, printable};
use crate::error::{Error, Result};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use zeroize::{Zeroize, Zeroizing};

/// The console, whatever standard input and output are.
pub struct Terminal {
    input: BufReader<File>,
    output: File,
}

impl Terminal {
    /// The console of this process; `None` when there is none (a service).
    ///
    /// # Errors
    /// None so far; the same signature as on Unix.
    pub fn open() -> Result<Option<Self>> {
        // Both rights: the console's modes are asked and set through either handle.
        let open = |name| OpenOptions::new().read(true).write(true).open(name);
        let (Ok(input), Ok(output)) = (open("CONIN$"), open("CONOUT$")) else {
            return Ok(None);
        };
        Ok(Some(Terminal {
            input: BufReader::new(input),
            output,
        }))
    }

    /// Asks for a line that is not shown. A paste of several lines ends at the first.
    ///
    /// # Errors
    /// `Cancelled` when the person gives up.
    pub fn ask_hidden(&mut self, prompt: &str, what: Hidden) -> Result<Zeroizing<Vec<u8>>> {
        self.show(prompt)?;
        let mut text = rpassword::prompt_password("").map_err(|_| Error::cancelled())?;
        let kept = if what == Hidden::Key {
            text.trim()
        } else {
            &text
        };
        let value = Zeroizing::new(kept.as_bytes().to_vec());
        text.zeroize();
        if what != Hidden::Passphrase {
            self.show(&format!("[{} bytes]\n", value.len()))?;
        }
        Ok(value)
    }

    /// Asks for a line that the person sees while typing. Returned without its line end.
    ///
    /// # Errors
    /// `Cancelled` at the end of input; `Failed` when the console fails.
    pub fn ask_line(&mut self, prompt: &str) -> Result<String> {
        self.show(prompt)?;
        let mut line = String::new();
        let count = self
            .input
            .read_line(&mut line)
            .map_err(|error| Error::io("read", Path::new("CONIN$"), &error))?;
        if count == 0 {
            return Err(Error::cancelled());
        }
        line.truncate(line.trim_end_matches(['\r', '\n']).len());
        Ok(line)
    }

    /// Writes text to the console, without control characters other than newline and tab.
    ///
    /// # Errors
    /// `Failed` when the console is gone.
    pub fn show(&mut self, text: &str) -> Result<()> {
        self.write(&printable(text))
    }

    /// Runs `body` on the alternate screen and wipes that screen afterwards.
    ///
    /// # Errors
    /// What `body` returns; `Failed` when the console is gone.
    pub fn alternate_screen<T>(
        &mut self,
        body: impl FnOnce(&mut Terminal) -> Result<T>,
    ) -> Result<T> {
        struct Screen<'t>(&'t mut Terminal);
        impl Drop for Screen<'_> {
            fn drop(&mut self) {
                let _ = self.0.write("\x1b[2J\x1b[H\x1b[?1049l");
            }
        }
        self.write("\x1b[?1049h\x1b[2J\x1b[H")?;
        let screen = Screen(self);
        body(screen.0)
    }

    fn write(&mut self, text: &str) -> Result<()> {
        self.output
            .write_all(text.as_bytes())
            .map_err(|error| Error::io("write to", Path::new("CONOUT$"), &error))
    }
}
