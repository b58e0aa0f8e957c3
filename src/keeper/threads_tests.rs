//! What a keeper's pipe and its threads promise. Run on Windows, or on what behaves like it.

use super::super::client::Place as Expected;
use super::super::pipe::{connect, listen, own_uid, peer};
use super::super::socket::ANSWER_WAIT;
use super::super::windows::{Limit, Pipe, Process, own_user};
use super::super::wire::Answer;
use super::*;
use crate::error::Kind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

/// A name that no other test has.
fn name() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let pid = std::process::id();
    PathBuf::from(format!(r"\\.\pipe\clawkeep-test-{pid}-{count}"))
}

fn place(path: &PathBuf) -> Expected {
    Expected {
        socket: path.clone(),
        uid: own_uid(),
        required: false,
    }
}

/// Says done to everything.
#[derive(Default)]
struct Fake {
    answered: usize,
    called: Option<Uptime>,
    until: Option<Uptime>,
}

impl Handler for Fake {
    fn expects(&self, _: u32) -> bool {
        true
    }

    fn challenges(&self) -> bool {
        false
    }

    fn answer(&mut self, asker: &Asker, question: Result<Question>) -> Answer {
        assert_eq!(asker.peer.pid, std::process::id());
        self.answered += 1;
        match question {
            Ok(Question::End) => self.called = Some(Uptime::now()),
            Ok(_) => {}
            Err(error) => return Answer::Error(error),
        }
        Answer::Done(true)
    }

    fn deadline(&self) -> Option<(Uptime, Ending)> {
        let over = self.until.map(|at| (at, Ending::TimeOver));
        self.called.map(|at| (at, Ending::Called)).or(over)
    }

    fn tidy_at(&self) -> Option<Uptime> {
        None
    }

    fn tidy(&mut self) {}
}

/// Serves until `body` is over. How the loop ended, and how often it answered.
fn serving(body: impl FnOnce(&PathBuf)) -> (Ending, usize) {
    let path = name();
    let listener = listen(&path, 0o600).unwrap();
    let alarm = Alarm::new();
    let mut fake = Fake::default();
    let ended = std::thread::scope(|scope| {
        let serving = scope.spawn(|| serve(&listener, &alarm, &mut fake));
        let body = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| body(&path)));
        alarm.ring();
        let ended = serving.join().unwrap().unwrap();
        if let Err(panic) = body {
            std::panic::resume_unwind(panic);
        }
        ended
    });
    (ended, fake.answered)
}

fn is_answered(path: &PathBuf) -> bool {
    let mut client = place(path).connect().unwrap().unwrap();
    matches!(client.ask(Question::Status), Ok(Answer::Done(true)))
}

#[test]
fn a_process_of_this_user_is_answered_and_knows_who_answers() {
    let (ended, answered) = serving(|path| {
        let mut client = place(path).connect().unwrap().unwrap();
        assert_eq!(client.server().unwrap().pid, std::process::id());
        for _ in 0..3 {
            assert!(matches!(
                client.ask(Question::Status),
                Ok(Answer::Done(true))
            ));
        }
        assert!(is_answered(path));
    });
    assert_eq!((ended, answered), (Ending::Called, 4));
}

#[test]
fn nobody_listens_is_an_answer() {
    assert!(place(&name()).connect().unwrap().is_none());
}

#[test]
fn a_second_server_of_a_name_is_refused_for_as_long_as_the_first_is_there() {
    let path = name();
    let first = listen(&path, 0o600).unwrap();
    let said = listen(&path, 0o600).unwrap_err();
    assert_eq!(said.kind(), Kind::Broken);
    assert!(said.message().contains("already"), "{said}");
    // Also while it has a client.
    let client = connect(&path, own_uid()).unwrap().unwrap();
    let (stream, _) = first.accept(&Event::new().unwrap()).unwrap().unwrap();
    assert!(listen(&path, 0o600).is_err());
    drop((client, stream, first));
    listen(&path, 0o600).unwrap();
}

#[test]
fn the_pipe_belongs_to_its_user_and_the_process_is_the_one_that_listens() {
    let path = name();
    let own = own_user().unwrap();
    assert!(own.starts_with("S-1-"), "{own}");
    let place = Pipe::place(path.to_str().unwrap(), &own, true).unwrap();
    assert_eq!(place.owner().unwrap(), own);
    let client = Pipe::go(path.to_str().unwrap()).unwrap();
    assert_eq!(client.owner().unwrap(), own);
    let pid = client.other_process(true).unwrap();
    assert_eq!(pid, std::process::id());
    assert_eq!(place.other_process(false).unwrap(), pid);
    let process = Process::open(pid).unwrap();
    assert_eq!(process.user().unwrap(), own);
    assert!(!process.ends_within(Duration::ZERO));
}

#[test]
fn who_sends_nothing_or_half_a_frame_does_not_block_others() {
    let (_, answered) = serving(|path| {
        let _silent = connect(path, own_uid()).unwrap().unwrap();
        let mut half = connect(path, own_uid()).unwrap().unwrap();
        half.write_all(&[0, 0]).unwrap();
        let begun = Instant::now();
        for _ in 0..5 {
            assert!(is_answered(path));
        }
        assert!(begun.elapsed() < ANSWER_WAIT);
    });
    assert_eq!(answered, 5);
}

#[test]
fn who_sends_nothing_is_closed() {
    serving(|path| {
        let mut silent = connect(path, own_uid()).unwrap().unwrap();
        wait_at_most(&silent, PATIENCE + ANSWER_WAIT).unwrap();
        let begun = Instant::now();
        assert_eq!(silent.read(&mut [0]).unwrap(), 0);
        assert!(begun.elapsed() + Duration::from_millis(100) > PATIENCE);
    });
}

#[test]
fn a_question_over_the_bound_is_not_read() {
    let (_, answered) = serving(|path| {
        let mut stream = connect(path, own_uid()).unwrap().unwrap();
        let length = u32::try_from(MAX_QUESTION + 1).unwrap();
        stream.write_all(&length.to_be_bytes()).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        assert!(is_answered(path));
    });
    assert_eq!(answered, 1);
}

#[test]
fn the_longest_question_is_answered_although_it_is_none() {
    let (_, answered) = serving(|path| {
        let mut stream = connect(path, own_uid()).unwrap().unwrap();
        let length = u32::try_from(MAX_QUESTION).unwrap();
        stream.write_all(&length.to_be_bytes()).unwrap();
        stream.write_all(&vec![b'x'; MAX_QUESTION]).unwrap();
        let mut length = [0; 4];
        stream.read_exact(&mut length).unwrap();
        let mut answer = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
        stream.read_exact(&mut answer).unwrap();
        assert!(matches!(Answer::read(&answer), Ok(Answer::Error(_))));
    });
    assert_eq!(answered, 1);
}

#[test]
fn when_every_place_is_taken_the_next_gets_one_of_who_says_nothing() {
    serving(|path| {
        let silent: Vec<_> = (0..MAX_CLIENTS)
            .map(|_| connect(path, own_uid()).unwrap().unwrap())
            .collect();
        assert!(is_answered(path));
        drop(silent);
    });
}

#[test]
fn who_does_not_answer_is_waited_for_so_long_and_no_longer() {
    let path = name();
    let _listener = listen(&path, 0o600).unwrap();
    let begun = Instant::now();
    let mut client = place(&path).connect().unwrap().unwrap();
    let said = client.ask(Question::Status).unwrap_err();
    assert_eq!(said.kind(), Kind::Locked);
    assert!(said.message().contains("does not answer"), "{said}");
    let took = begun.elapsed();
    assert!(took < ANSWER_WAIT + Duration::from_secs(1), "{took:?}");
}

#[test]
fn what_was_taken_back_does_no_harm_to_what_comes() {
    let path = name();
    let own = own_user().unwrap();
    let mut place = Pipe::place(path.to_str().unwrap(), &own, true).unwrap();
    let mut client = Pipe::go(path.to_str().unwrap()).unwrap();
    let stop = Event::new().unwrap();
    assert!(place.come(&stop).unwrap());
    let short = Limit {
        span: Some(Duration::from_millis(20)),
        until: Some(&stop),
    };
    let mut room = [0; 8];
    let late = place.read(&mut room, short).unwrap_err();
    assert_eq!(late.kind(), std::io::ErrorKind::TimedOut);
    assert_eq!(client.write(b"later", short).unwrap(), 5);
    assert_eq!(place.read(&mut room, short).unwrap(), 5);
    assert_eq!(&room, b"later\0\0\0");
    stop.ring();
    let over = place.read(&mut room, short).unwrap_err();
    assert_eq!(over.kind(), std::io::ErrorKind::ConnectionAborted);
    drop(place);
    let alone = Limit {
        span: None,
        until: None,
    };
    assert_eq!(client.read(&mut room, alone).unwrap(), 0);
}

#[test]
fn only_pipes_of_this_machine_are_looked_for() {
    for path in [
        r"C:\keeper.sock",
        r"\\server\pipe\clawkeep",
        r"\\.\pipe\",
        r"\\.\pipe\a\b",
        r"\\.\pipe\a/../b",
        r"\\.\PhysicalDrive0",
        "",
    ] {
        let path = PathBuf::from(path);
        assert_eq!(
            connect(&path, own_uid()).unwrap_err().kind(),
            Kind::Usage,
            "{path:?}"
        );
        assert!(listen(&path, 0o600).is_err());
    }
    // There are no other users by number.
    assert!(connect(&name(), 1).is_err());
}

#[test]
fn a_vault_has_one_pipe_however_its_folder_is_spelled() {
    use super::super::pipe::default_path;
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("vault")).unwrap();
    let path = default_path(&dir.path().join("vault"));
    assert_eq!(path, default_path(&dir.path().join(r".\VAULT\..\Vault")));
    assert_ne!(path, default_path(dir.path()));
    assert!(path.is_absolute());
    assert!(connect(&path, own_uid()).unwrap().is_none());
}

#[test]
fn a_client_can_end_it_and_so_can_time() {
    let path = name();
    let listener = listen(&path, 0o600).unwrap();
    let alarm = Alarm::new();
    std::thread::scope(|scope| {
        let serving = scope.spawn(|| {
            let mut fake = Fake::default();
            serve(&listener, &alarm, &mut fake)
        });
        let _silent = connect(&path, own_uid()).unwrap().unwrap();
        let mut client = place(&path).connect().unwrap().unwrap();
        assert!(client.ask(Question::End).is_ok());
        let begun = Instant::now();
        assert_eq!(serving.join().unwrap().unwrap(), Ending::Called);
        assert!(begun.elapsed() < ANSWER_WAIT);
        let peer_is_gone = client.ask(Question::Status);
        assert_eq!(peer_is_gone.unwrap_err().kind(), Kind::Locked);
    });
    let mut fake = Fake {
        until: Some(Uptime::now().after(Duration::from_millis(50))),
        ..Fake::default()
    };
    let ended = serve(&listener, &alarm, &mut fake).unwrap();
    assert_eq!(ended, Ending::TimeOver);
}

#[test]
fn who_takes_no_answer_is_closed_before_there_are_too_many() {
    let place = |waiting| Place {
        number: 0,
        end: Arc::new(Event::new().unwrap()),
        since: Uptime::now(),
        waiting,
    };
    let most = super::super::wire::MAX_ANSWER;
    let mut places = [0, most, 5, most, most].map(place);
    relieve(&mut places);
    let left = places.map(|place| place.waiting);
    assert_eq!(left, [0, 0, 0, most, most]);
}

#[test]
fn who_is_at_the_other_end_is_told_to_both() {
    let path = name();
    let listener = listen(&path, 0o600).unwrap();
    let client = connect(&path, own_uid()).unwrap().unwrap();
    let (_stream, theirs) = listener.accept(&Event::new().unwrap()).unwrap().unwrap();
    assert_eq!(theirs, peer(&client).unwrap());
    // Nobody else comes, and the call to end is heard.
    let stop = Event::new().unwrap();
    stop.ring();
    assert!(listener.accept(&stop).unwrap().is_none());
}
