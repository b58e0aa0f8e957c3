//! The calls of Windows that a keeper is made of: pipes, the users of processes, the end of a console.
//! Ring 2, Windows; a door to `unsafe`. Knows handles, names and users, nothing of messages or vaults.
//!
//! Promises: a handle is closed once; what is not done in its time is taken back, and its buffer is the
//! caller's again, before the caller goes on; a pipe lets in nobody but its maker's user, and nobody from
//! another machine.
#![allow(
    unsafe_code,
    reason = "pipes, tokens and waiting are calls of the system"
)]

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;
use std::sync::OnceLock;
use std::time::Duration;
use windows_sys::Win32::Foundation::{
    ERROR_BROKEN_PIPE, ERROR_IO_PENDING, ERROR_NO_DATA, ERROR_PIPE_CONNECTED,
    ERROR_PIPE_NOT_CONNECTED, HANDLE, HANDLE_FLAG_INHERIT, INVALID_HANDLE_VALUE, LocalFree,
    SetHandleInformation, WAIT_TIMEOUT,
};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, GetSecurityInfo,
    SDDL_REVISION_1, SE_KERNEL_OBJECT,
};
use windows_sys::Win32::Security::{
    GetTokenInformation, OWNER_SECURITY_INFORMATION, PSID, SECURITY_ATTRIBUTES, TOKEN_QUERY,
    TOKEN_USER, TokenUser,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_FIRST_PIPE_INSTANCE, FILE_FLAG_OVERLAPPED, PIPE_ACCESS_DUPLEX, ReadFile,
    SECURITY_IDENTIFICATION, WriteFile,
};
use windows_sys::Win32::System::Console::{
    GetStdHandle, STD_ERROR_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, SetConsoleCtrlHandler,
};
use windows_sys::Win32::System::IO::{CancelIoEx, GetOverlappedResult, OVERLAPPED};
use windows_sys::Win32::System::Pipes::{
    ConnectNamedPipe, CreateNamedPipeW, GetNamedPipeClientProcessId, GetNamedPipeServerProcessId,
    PIPE_READMODE_BYTE, PIPE_REJECT_REMOTE_CLIENTS, PIPE_TYPE_BYTE, PIPE_UNLIMITED_INSTANCES,
    PIPE_WAIT, WaitNamedPipeW,
};
use windows_sys::Win32::System::Threading::{
    CreateEventW, GetCurrentProcess, INFINITE, OpenProcess, OpenProcessToken,
    PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SYNCHRONIZE, SetEvent, WaitForMultipleObjects,
};

/// What the system keeps of a pipe for who has not read it yet.
const BUFFER: u32 = 64 * 1024;

/// An error where a call gave zero.
fn done(result: i32) -> io::Result<()> {
    if result == 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// A handle that a call has made for us alone; none is an error.
fn made(handle: HANDLE) -> io::Result<OwnedHandle> {
    if handle.is_null() || handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, and whoever calls got it from a call that makes a new one.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

fn is(error: &io::Error, code: u32) -> bool {
    error.raw_os_error() == i32::try_from(code).ok()
}

/// A text with a zero at its end.
fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// Waits for the first of them; `None` when none is ready in time.
fn wait(handles: &[HANDLE], span: Option<Duration>) -> io::Result<Option<usize>> {
    let ms = span.map_or(INFINITE, |span| {
        // Rounded up: too early would be a time that is not over.
        let ms = span.as_nanos().div_ceil(1_000_000);
        u32::try_from(ms).unwrap_or(INFINITE).min(INFINITE - 1)
    });
    let count = u32::try_from(handles.len()).unwrap_or(u32::MAX);
    // SAFETY: so many handles stand there, and their owners are borrowed by whoever calls.
    match unsafe { WaitForMultipleObjects(count, handles.as_ptr(), 0, ms) } {
        WAIT_TIMEOUT => Ok(None),
        at if at < count => Ok(usize::try_from(at).ok()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Something to be waited for that stays as soon as it came.
#[derive(Debug)]
pub struct Event(OwnedHandle);

impl Event {
    /// One that has not come.
    ///
    /// # Errors
    /// Those of the system.
    pub fn new() -> io::Result<Self> {
        // SAFETY: nothing is pointed to; it has no name, so nobody else has it.
        made(unsafe { CreateEventW(ptr::null(), 1, 0, ptr::null()) }).map(Event)
    }

    /// It came.
    pub fn ring(&self) {
        // SAFETY: an open event of ours.
        unsafe { SetEvent(self.0.as_raw_handle()) };
    }
}

/// Memory that the system gave and takes back.
struct Local(*mut c_void);

impl Drop for Local {
    fn drop(&mut self) {
        // SAFETY: a call said that it is to be given back so, and nobody uses it any more.
        unsafe { LocalFree(self.0) };
    }
}

/// A user as text (`S-1-5-21-…`).
///
/// # Safety
/// `sid` points to a user's number that stays for as long as this takes.
unsafe fn text_of(sid: PSID) -> io::Result<String> {
    let mut text = ptr::null_mut();
    // SAFETY: as whoever calls promises; the text is made by the call.
    done(unsafe { ConvertSidToStringSidW(sid, &raw mut text) })?;
    let _owner = Local(text.cast());
    let mut units = Vec::new();
    // SAFETY: the text ends with a zero, and nothing is read beyond it.
    unsafe {
        let mut at = text;
        while *at != 0 {
            units.push(*at);
            at = at.add(1);
        }
    }
    String::from_utf16(&units).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// The user that a process acts as.
///
/// # Safety
/// `process` is an open handle of a process, or the one that means this process.
unsafe fn user_of(process: HANDLE) -> io::Result<String> {
    let mut token = ptr::null_mut();
    // SAFETY: as whoever calls promises; the handle is made by the call.
    done(unsafe { OpenProcessToken(process, TOKEN_QUERY, &raw mut token) })?;
    let token = made(token)?;
    // A user's number has at most 68 bytes, and a pointer and flags stand before it. Aligned for them.
    let mut room = [0u64; 16];
    let size = u32::try_from(size_of_val(&room)).unwrap_or(0);
    let mut used = 0;
    // SAFETY: `size` bytes may be written there.
    done(unsafe {
        GetTokenInformation(
            token.as_raw_handle(),
            TokenUser,
            room.as_mut_ptr().cast(),
            size,
            &raw mut used,
        )
    })?;
    // SAFETY: the call wrote this structure there; the pointer in it leads into `room`, which stays.
    unsafe { text_of((*room.as_ptr().cast::<TOKEN_USER>()).User.Sid) }
}

/// The user that this process acts as.
///
/// # Errors
/// Those of the system.
pub fn own_user() -> io::Result<String> {
    // SAFETY: this handle means this process, and is not to be closed.
    unsafe { user_of(GetCurrentProcess()) }
}

/// A process of this machine, be it ended: its number is not given anew while this is held.
#[derive(Debug)]
pub struct Process(OwnedHandle);

impl Process {
    /// The process that has the number `pid` now.
    ///
    /// # Errors
    /// Those of the system: there is none, or this user may not ask about it.
    pub fn open(pid: u32) -> io::Result<Self> {
        let rights = PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_SYNCHRONIZE;
        // SAFETY: nothing is pointed to.
        made(unsafe { OpenProcess(rights, 0, pid) }).map(Process)
    }

    /// The user that it acts as.
    ///
    /// # Errors
    /// Those of the system.
    pub fn user(&self) -> io::Result<String> {
        // SAFETY: an open handle of a process.
        unsafe { user_of(self.0.as_raw_handle()) }
    }

    /// Whether it has ended, after at most `span`.
    pub fn ends_within(&self, span: Duration) -> bool {
        wait(&[self.0.as_raw_handle()], Some(span)).is_ok_and(|ended| ended.is_some())
    }
}

/// One end of a connection, or a place where one may come.
#[derive(Debug)]
pub struct Pipe {
    handle: OwnedHandle,
    /// That what was begun is done.
    done: Event,
}

/// How long something may take.
#[derive(Clone, Copy)]
pub struct Limit<'e> {
    /// At most so long.
    pub span: Option<Duration>,
    /// Or until this comes.
    pub until: Option<&'e Event>,
}

impl Pipe {
    /// A place below `name` where a client may come that runs under the user `owner`, this one.
    ///
    /// # Errors
    /// `PermissionDenied` when it is to be the first of that name and is not; those of the system.
    pub fn place(name: &str, owner: &str, is_first: bool) -> io::Result<Self> {
        // Owned by the user also where a token's default is its group; protected, so nothing is inherited;
        // one entry.
        let words = wide(&format!("O:{owner}D:P(A;;GA;;;{owner})"));
        let mut descriptor = ptr::null_mut();
        // SAFETY: the text ends with a zero; the descriptor is made by the call.
        done(unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                words.as_ptr(),
                SDDL_REVISION_1,
                &raw mut descriptor,
                ptr::null_mut(),
            )
        })?;
        let descriptor = Local(descriptor);
        let rights = SECURITY_ATTRIBUTES {
            nLength: u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).unwrap_or(0),
            lpSecurityDescriptor: descriptor.0,
            bInheritHandle: 0,
        };
        let first = if is_first {
            FILE_FLAG_FIRST_PIPE_INSTANCE
        } else {
            0
        };
        let name = wide(name);
        // SAFETY: name and rights stay until the call is over, which copies them.
        let handle = made(unsafe {
            CreateNamedPipeW(
                name.as_ptr(),
                PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | first,
                PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS,
                PIPE_UNLIMITED_INSTANCES,
                BUFFER,
                BUFFER,
                0,
                &raw const rights,
            )
        })?;
        Pipe::of(handle)
    }

    fn of(handle: OwnedHandle) -> io::Result<Self> {
        Ok(Pipe {
            handle,
            done: Event::new()?,
        })
    }

    /// Whether anybody listens there now, without going there.
    pub fn is_there(name: &str) -> bool {
        let name = wide(name);
        // SAFETY: a text that stays until the call is over; it waits a millisecond at most.
        let free = done(unsafe { WaitNamedPipeW(name.as_ptr(), 1) });
        !free.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    /// Goes to a place of that name. Whoever waits there may learn who comes, and not act as him.
    ///
    /// # Errors
    /// Those of the system: `NotFound` when there is none, [`is_taken`] when each has its client.
    pub fn go(name: &str) -> io::Result<Self> {
        use std::os::windows::fs::OpenOptionsExt;
        let file = File::options()
            .read(true)
            .write(true)
            .custom_flags(FILE_FLAG_OVERLAPPED)
            .security_qos_flags(SECURITY_IDENTIFICATION)
            .open(name)?;
        Pipe::of(file.into())
    }

    /// Waits for a client. `false` when `until` came instead.
    ///
    /// # Errors
    /// Those of the system; also when a client came and went.
    pub fn come(&mut self, until: &Event) -> io::Result<bool> {
        let limit = Limit {
            span: None,
            until: Some(until),
        };
        let begin = |handle, operation| {
            // SAFETY: an open pipe; the operation stays until it is over, see `run`.
            unsafe { ConnectNamedPipe(handle, operation) }
        };
        match self.run(limit, begin) {
            Ok(_) => Ok(true),
            Err(error) if is(&error, ERROR_PIPE_CONNECTED) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads what is there, or what comes first. Nothing is the end.
    ///
    /// # Errors
    /// `TimedOut`, `ConnectionAborted` when `until` came, or those of the system.
    pub fn read(&mut self, into: &mut [u8], limit: Limit<'_>) -> io::Result<usize> {
        let room = u32::try_from(into.len()).unwrap_or(u32::MAX);
        let start = into.as_mut_ptr();
        let begin = |handle, operation| {
            // SAFETY: `room` bytes may be written there, and it is borrowed until the operation is over, see
            // `run`.
            unsafe { ReadFile(handle, start, room, ptr::null_mut(), operation) }
        };
        match self.run(limit, begin) {
            Err(error) if is_gone(&error) => Ok(0),
            other => other,
        }
    }

    /// Writes some of it.
    ///
    /// # Errors
    /// As [`Pipe::read`].
    pub fn write(&mut self, from: &[u8], limit: Limit<'_>) -> io::Result<usize> {
        // A write is done when all of it has a place: what is larger than the buffer waits for the reader.
        let piece = u32::try_from(from.len()).unwrap_or(u32::MAX).min(BUFFER);
        let start = from.as_ptr();
        let begin = |handle, operation| {
            // SAFETY: `piece` bytes may be read there, and it is borrowed until the operation is over, see
            // `run`.
            unsafe { WriteFile(handle, start, piece, ptr::null_mut(), operation) }
        };
        self.run(limit, begin)
    }

    /// Begins an operation and waits until it is over: done, failed, or taken back.
    fn run(
        &mut self,
        limit: Limit<'_>,
        begin: impl FnOnce(HANDLE, *mut OVERLAPPED) -> i32,
    ) -> io::Result<usize> {
        let handle = self.handle.as_raw_handle();
        let mut operation = OVERLAPPED {
            hEvent: self.done.0.as_raw_handle(),
            ..OVERLAPPED::default()
        };
        let operation = &raw mut operation;
        if let Err(error) = done(begin(handle, operation))
            && !is(&error, ERROR_IO_PENDING)
        {
            // It was not begun.
            return Err(error);
        }
        let over = self.done.0.as_raw_handle();
        let waited = match limit.until {
            Some(event) => wait(&[over, event.0.as_raw_handle()], limit.span),
            None => wait(&[over], limit.span),
        };
        if !matches!(waited, Ok(Some(0))) {
            // SAFETY: this very operation; if it is over by now, nothing happens.
            unsafe { CancelIoEx(handle, operation) };
        }
        let mut moved = 0;
        // SAFETY: it was begun on this handle. The call waits until the system has let go of the operation
        // and of its buffer, so that neither is touched after this function.
        let ended = done(unsafe { GetOverlappedResult(handle, operation, &raw mut moved, 1) });
        match (ended, waited) {
            (Ok(()), _) => Ok(usize::try_from(moved).unwrap_or(usize::MAX)),
            (Err(error), Ok(Some(0))) | (_, Err(error)) => Err(error),
            (Err(_), Ok(None)) => Err(io::ErrorKind::TimedOut.into()),
            (Err(_), Ok(Some(_))) => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    /// The process that has made the other end: of a client that of the server, and the other way round.
    ///
    /// # Errors
    /// Those of the system.
    pub fn other_process(&self, is_client: bool) -> io::Result<u32> {
        let handle = self.handle.as_raw_handle();
        let mut pid = 0;
        // SAFETY: an open pipe; the number is written to a place of that size.
        done(unsafe {
            if is_client {
                GetNamedPipeServerProcessId(handle, &raw mut pid)
            } else {
                GetNamedPipeClientProcessId(handle, &raw mut pid)
            }
        })?;
        Ok(pid)
    }

    /// The user that the pipe belongs to: nobody makes one of another's without a right that is above
    /// both.
    ///
    /// # Errors
    /// Those of the system.
    pub fn owner(&self) -> io::Result<String> {
        let (mut owner, mut descriptor) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: an open pipe; what is not asked for is not written, the rest is made by the call.
        let code = unsafe {
            GetSecurityInfo(
                self.handle.as_raw_handle(),
                SE_KERNEL_OBJECT,
                OWNER_SECURITY_INFORMATION,
                &raw mut owner,
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
                &raw mut descriptor,
            )
        };
        if code != 0 {
            return Err(io::Error::from_raw_os_error(
                i32::try_from(code).unwrap_or(0),
            ));
        }
        let descriptor = Local(descriptor);
        // SAFETY: it leads into the descriptor, which is kept until after this.
        let text = unsafe { text_of(owner) };
        drop(descriptor);
        text
    }
}

/// Whether the other end was closed.
fn is_gone(error: &io::Error) -> bool {
    [ERROR_BROKEN_PIPE, ERROR_PIPE_NOT_CONNECTED, ERROR_NO_DATA]
        .iter()
        .any(|code| is(error, *code))
}

/// What is done when the console calls to end: Ctrl-C, its window's end, a log-out, a shutdown. The
/// argument says whether the system ends the process as soon as it returns.
static CALLED: OnceLock<fn(bool)> = OnceLock::new();

/// Calls `then`, in a thread of the system's, instead of ending the process.
///
/// # Errors
/// Those of the system.
pub fn when_console_ends(then: fn(bool)) -> io::Result<()> {
    unsafe extern "system" fn called(what: u32) -> i32 {
        /// `CTRL_CLOSE_EVENT` and above.
        const LAST: u32 = 2;
        if let Some(then) = CALLED.get() {
            then(what >= LAST);
        }
        1
    }
    CALLED.get_or_init(|| then);
    // SAFETY: a function that stays, and may run beside everything else: what it calls is one too.
    done(unsafe { SetConsoleCtrlHandler(Some(called), 1) })
}

/// Keeps what this process has as standard input, output and error from processes that it starts: a
/// keeper in the background would hold a pipe open that somebody reads to its end.
pub fn withhold_standard_handles() {
    for which in [STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE] {
        // SAFETY: handles of this process, or none, which is refused; what is changed is not what they lead
        // to.
        unsafe { SetHandleInformation(GetStdHandle(which), HANDLE_FLAG_INHERIT, 0) };
    }
}

/// Whether each place of that name has its client.
pub fn is_taken(error: &io::Error) -> bool {
    is(error, windows_sys::Win32::Foundation::ERROR_PIPE_BUSY)
}
