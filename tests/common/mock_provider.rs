//! A model provider on loopback that answers "OK" and remembers who called.
//!
//! Speaks just enough HTTP/1.1, of the OpenAI protocol (`POST /v1/chat/completions`) and of the
//! Anthropic one (`POST /v1/messages`), both streaming and not, for OpenClaw to finish one turn.

use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// One request, as far as credentials go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `POST`
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The `Authorization` header.
    pub authorization: Option<String>,
    /// The `x-api-key` header.
    pub x_api_key: Option<String>,
}

/// The server. It ends when dropped.
pub struct MockProvider {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl MockProvider {
    /// Starts it on a free port of 127.0.0.1.
    pub fn start() -> MockProvider {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port on loopback");
        let address = listener.local_addr().expect("the port just bound");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (record, stopped) = (Arc::clone(&seen), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let record = Arc::clone(&record);
                if let Ok(stream) = stream {
                    std::thread::spawn(move || serve(&stream, &record));
                }
            }
        });
        MockProvider {
            address,
            seen,
            stop,
            thread: Some(thread),
        }
    }

    /// `http://127.0.0.1:PORT`, without the `/v1` that OpenAI's base URL ends with.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What has come in by now, oldest first.
    pub fn requests(&self) -> Vec<Request> {
        self.seen.lock().expect("no thread panicked").clone()
    }

    /// Forgets what has come in, and gives it.
    pub fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut *self.seen.lock().expect("no thread panicked"))
    }
}

impl Drop for MockProvider {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for a caller.
        let woken = TcpStream::connect(self.address).is_ok();
        if let (true, Some(thread)) = (woken, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

/// Answers one connection with one response; `None` when the caller goes away.
fn serve(stream: &TcpStream, record: &Mutex<Vec<Request>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers = read_headers(&mut reader)?;
    let header = |name: &str| {
        headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
    };
    let body = if header("transfer-encoding").is_some_and(|value| value.contains("chunked")) {
        read_chunks(&mut reader)?
    } else {
        let length = header("content-length").map_or(Some(0), |value| value.parse().ok())?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        body
    };
    let streams = serde_json::from_slice::<Value>(&body).is_ok_and(|body| body["stream"] == true);
    let answer = match (method.as_str(), path.split('?').next()?) {
        ("POST", "/v1/chat/completions") => openai(streams),
        ("POST", "/v1/messages") => anthropic(streams),
        _ => Answer {
            status: "404 Not Found",
            kind: "application/json",
            body: json!({"error": {"message": "no such path"}}).to_string(),
        },
    };
    // Recorded before the answer: who has the answer finds the record.
    record.lock().ok()?.push(Request {
        method,
        path,
        authorization: header("authorization"),
        x_api_key: header("x-api-key"),
    });
    let head = format!(
        "HTTP/1.1 {}\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        answer.status,
        answer.kind,
        answer.body.len()
    );
    let mut stream = stream;
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(answer.body.as_bytes()).ok()
}

/// Names in lower case.
fn read_headers(reader: &mut BufReader<&TcpStream>) -> Option<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end();
        if line.is_empty() {
            return Some(headers);
        }
        let (name, value) = line.split_once(':')?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn read_chunks(reader: &mut BufReader<&TcpStream>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let size = line.split(';').next()?.trim();
        let size = u64::from_str_radix(size, 16).ok()?;
        if size == 0 {
            read_headers(reader)?;
            return Some(body);
        }
        reader.by_ref().take(size).read_to_end(&mut body).ok()?;
        reader.read_line(&mut String::new()).ok()?;
    }
}

struct Answer {
    status: &'static str,
    kind: &'static str,
    body: String,
}

fn whole(body: &Value) -> Answer {
    Answer {
        status: "200 OK",
        kind: "application/json",
        body: body.to_string(),
    }
}

fn openai(streams: bool) -> Answer {
    let usage = json!({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2});
    if !streams {
        return whole(&json!({
            "id": "c", "object": "chat.completion", "created": 1, "model": "m1", "usage": usage,
            "choices": [{"index": 0, "finish_reason": "stop",
                "message": {"role": "assistant", "content": "OK"}}],
        }));
    }
    let chunk = |delta: Value, reason: Value| {
        json!({
            "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m1",
            "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
        })
    };
    let first = chunk(json!({"role": "assistant", "content": "OK"}), Value::Null);
    let mut last = chunk(json!({}), json!("stop"));
    last["usage"] = usage;
    Answer {
        status: "200 OK",
        kind: "text/event-stream",
        body: format!("data: {first}\n\ndata: {last}\n\ndata: [DONE]\n\n"),
    }
}

fn anthropic(streams: bool) -> Answer {
    let message = |content: Value, stop: Value| {
        json!({
            "id": "msg_fake", "type": "message", "role": "assistant", "model": "m1",
            "content": content, "stop_reason": stop, "stop_sequence": null,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        })
    };
    if !streams {
        return whole(&message(
            json!([{"type": "text", "text": "OK"}]),
            json!("end_turn"),
        ));
    }
    let events = [
        json!({"type": "message_start", "message": message(json!([]), Value::Null)}),
        json!({"type": "content_block_start", "index": 0,
            "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0,
            "delta": {"type": "text_delta", "text": "OK"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "usage": {"output_tokens": 1},
            "delta": {"stop_reason": "end_turn", "stop_sequence": null}}),
        json!({"type": "message_stop"}),
    ];
    let mut body = String::new();
    for event in events {
        let name = event["type"].as_str().unwrap_or_default();
        let _ = write!(body, "event: {name}\ndata: {event}\n\n");
    }
    Answer {
        status: "200 OK",
        kind: "text/event-stream",
        body,
    }
}
