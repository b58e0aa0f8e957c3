//! Clients that are silent, slow, false or many: the others are answered all the same, and the keeper's
//! memory stays within its bounds.

use crate::common::rounds;
use crate::lab::{Lab, Talk, descriptors, frame, number_in_status, resolve_frame, until};
use serde_json::json;
use std::io::Write as _;
use std::os::unix::net::UnixStream;

/// Asks for one id in each of so many threads, all at once: the value, or the code that came for it.
/// Without the program's own limit of two seconds: how fast the machine is is not the question.
pub(crate) fn ask_all(lab: &Lab, id: impl Fn(usize) -> String, count: usize) -> Vec<String> {
    let socket = lab.socket();
    let start = std::sync::Barrier::new(count);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|n| {
                let id = id(n);
                let (socket, start) = (&socket, &start);
                scope.spawn(move || {
                    start.wait();
                    let mut talk = Talk::with(UnixStream::connect(socket).unwrap());
                    let given = talk.resolve(&[&id]).remove(0);
                    let said = given["value"].as_str().or(given["code"].as_str());
                    said.unwrap().to_owned()
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    })
}

#[test]
fn two_hundred_at_once_are_all_answered() {
    let mut lab = Lab::new();
    let ids: Vec<String> = (0..200).map(|n| format!("s/{n}")).collect();
    crate::once::fill(lab.writer.as_mut().unwrap(), &ids);
    lab.unlock(&[]);
    for _ in 0..3 {
        let given = ask_all(&lab, |n| ids[n].clone(), 200);
        for (id, given) in ids.iter().zip(given) {
            assert_eq!(given, format!("fake-{id}"));
        }
    }
}

#[test]
fn who_misbehaves_costs_others_nothing() {
    let lab = Lab::new();
    let pid = lab.unlock(&[]);
    lab.still_answers();
    let memory = number_in_status(pid, "VmRSS");
    // Silent ones, as many as the keeper takes, and half a head each from as many again.
    let silent: Vec<Talk> = (0..40).map(|_| lab.connect()).collect();
    let mut halves: Vec<Talk> = (0..40).map(|_| lab.connect()).collect();
    for half in &mut halves {
        let _ = half.0.write_all(&[0, 0]);
    }
    lab.still_answers();
    // 100 MiB: refused by its length, whatever follows.
    let mut large = lab.connect();
    let _ = large.0.write_all(&(100u32 << 20).to_be_bytes());
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..100 {
        if large.0.write_all(&piece).is_err() {
            break;
        }
    }
    assert!(large.closed());
    // The most that is taken, never finished.
    let full = u32::try_from(clawkeep::keeper::wire::MAX_QUESTION).unwrap();
    let mut unfinished: Vec<Talk> = (0..20).map(|_| lab.connect()).collect();
    for talk in &mut unfinished {
        let _ = talk.0.write_all(&full.to_be_bytes());
        let _ = talk.0.set_nonblocking(true);
        let _ = talk.0.write(&piece[..400_000]);
    }
    lab.still_answers();
    // Gone before, in, and after the question.
    let question = frame(resolve_frame(&["s/one"]).to_string().as_bytes());
    for part in [0, 2, 4, question.len() / 2, question.len()] {
        lab.connect().send(&question[..part]);
        lab.still_answers();
    }
    // One byte at a time is slow, not wrong.
    let mut slow = lab.connect();
    for byte in &question {
        slow.send(std::slice::from_ref(byte));
    }
    let answer = slow.hear().unwrap();
    assert_eq!(answer["answers"][0]["value"], "fake-value-one");
    // Two questions in one breath are none.
    let mut eager = lab.connect();
    eager.send(&[&question[..], &question[..]].concat());
    assert!(eager.closed());
    lab.still_answers();
    let grown = number_in_status(pid, "VmHWM").saturating_sub(memory);
    assert!(grown < 64 << 10, "{grown} kB");
    drop((silent, halves, unfinished));
    until("all are closed", || descriptors(pid) < 24);
}

#[test]
fn what_is_no_question_is_told_so_without_repeating_it() {
    let lab = Lab::new();
    lab.unlock(&[]);
    for text in [
        r#"{"v":2,"verb":"resolve","ids":["s/one"]}"#,
        r#"{"v":0,"verb":"status"}"#,
        r#"{"v":1,"verb":"fake-verb"}"#,
        r#"{"v":1,"verb":"get","id":"fake verb"}"#,
        r#"{"v":1,"verb":"get"}"#,
        r#"{"v":1,"verb":"put","id":"s/one"}"#,
        r#"{"v":1,"verb":"put","id":"s/one","entry":{"value":"fake-verb"}}"#,
        r#"{"v":1,"verb":"link","id":"../fake-verb"}"#,
        r#"{"v":1,"verb":"resolve","ids":["fake-verb","fake-verb"]}"#,
        r#"{"v":1,"verb":"resolve","ids":[],"pins":["fake-verb"]}"#,
        r#""fake-verb""#,
        "",
        "fake-verb",
        "\u{0}",
    ] {
        let mut talk = lab.connect();
        talk.send(&frame(text.as_bytes()));
        let answer = talk.hear().unwrap();
        assert!(answer["error"].is_string(), "{text} {answer}");
        assert!(!answer.to_string().contains("fake"), "{answer}");
        // And the conversation goes on.
        let answer = talk.ask(&resolve_frame(&["s/one"]));
        assert_eq!(answer["answers"][0]["value"], "fake-value-one");
    }
    let ids: Vec<String> = (0..5000).map(|n| n.to_string()).collect();
    let many = json!({"v": 1, "verb": "resolve", "ids": ids});
    assert!(lab.connect().ask(&many)["error"].is_string());
}

/// Answers of 8 MiB that nobody takes. (That what waits is bounded is tried by the server's own tests:
/// here a slow machine would close the clients for their slowness first.)
#[test]
fn who_takes_no_answer_keeps_nobody_from_his() {
    let mut lab = Lab::new();
    let ids: Vec<String> = (0..128).map(|n| format!("big/{n}")).collect();
    crate::once::fill_with(lab.writer.as_mut().unwrap(), &ids, |_| "x".repeat(64 << 10));
    let pid = lab.unlock(&[]);
    let names: Vec<&str> = ids.iter().map(String::as_str).collect();
    let question = frame(resolve_frame(&names).to_string().as_bytes());
    let hogs: Vec<Talk> = (0..12)
        .map(|_| {
            let mut talk = lab.connect();
            talk.send(&question);
            talk
        })
        .collect();
    lab.still_answers();
    // Who takes his answer gets it.
    let mut talk = lab.connect();
    talk.send(&question);
    let answer = talk.hear().unwrap();
    assert_eq!(answer["answers"].as_array().unwrap().len(), 128);
    let peak = number_in_status(pid, "VmHWM");
    assert!(peak < 160 << 10, "{peak} kB");
    drop(hogs);
}

#[test]
fn descriptors_that_are_sent_along_are_closed() {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    use std::os::fd::AsFd as _;
    let lab = Lab::new();
    let pid = lab.unlock(&[]);
    let mut talk = lab.connect();
    let question = frame(resolve_frame(&["s/one"]).to_string().as_bytes());
    let null = std::fs::File::open("/dev/null").unwrap();
    let fds = [null.as_fd(); 100];
    let mut space = vec![std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(100))];
    let mut along = SendAncillaryBuffer::new(&mut space);
    assert!(along.push(SendAncillaryMessage::ScmRights(&fds)));
    let bytes = [std::io::IoSlice::new(&question)];
    sendmsg(&talk.0, &bytes, &mut along, SendFlags::empty()).unwrap();
    let answer = talk.hear().unwrap();
    assert_eq!(answer["answers"][0]["value"], "fake-value-one");
    assert!(descriptors(pid) < 24, "{}", descriptors(pid));
}

/// Frames of any length and content, and questions with some bytes changed.
#[test]
fn no_bytes_stop_it() {
    let lab = Lab::new();
    let pid = lab.unlock(&[]);
    let mut seed = [0u8; 8];
    clawkeep::host::random(&mut seed).unwrap();
    eprintln!("seed {seed:?}");
    let mut state = u64::from_ne_bytes(seed) | 1;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap()
    };
    let questions = [
        resolve_frame(&["s/one", "s/none"]),
        json!({"v": 1, "verb": "list"}),
        json!({"v": 1, "verb": "get", "id": "s/one"}),
        json!({"v": 1, "verb": "status"}),
    ];
    let memory = number_in_status(pid, "VmRSS");
    for round in 0..rounds(300, 20_000) {
        let mut bytes = frame(questions[random() % 4].to_string().as_bytes());
        match random() % 3 {
            0 => {
                let length = random() % 600;
                bytes = (0..length).map(|_| random().to_le_bytes()[0]).collect();
            }
            1 => {
                for _ in 0..=random() % 4 {
                    let at = 4 + random() % (bytes.len() - 4);
                    bytes[at] = random().to_le_bytes()[0];
                }
            }
            _ => {
                let at = random() % bytes.len();
                bytes[at] ^= 1 << (random() % 8);
            }
        }
        let mut stream = UnixStream::connect(lab.socket()).unwrap();
        let _ = stream.write_all(&bytes);
        if random() % 2 == 0 {
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
        drop(stream);
        if round % 20 == 0 {
            lab.still_answers();
        }
    }
    lab.still_answers();
    let grown = number_in_status(pid, "VmHWM").saturating_sub(memory);
    assert!(grown < 64 << 10, "{grown} kB");
}
