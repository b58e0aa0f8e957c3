//! What `curl.rs` promises: by what is written for `curl`, and by what the real one sends.

use super::*;
use proptest::prelude::*;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;

const URL: &str = "https://host.invalid/x";

fn request<'a>(url: &'a str, headers: &'a str, data: Option<&'a str>) -> Request<'a> {
    Request {
        url,
        headers,
        data,
        limit: Duration::from_secs(8),
    }
}

/// The settings, as `curl` reads them.
fn settings(config: &str) -> Vec<(String, String)> {
    config.lines().map(setting).collect()
}

fn setting(line: &str) -> (String, String) {
    let Some((name, value)) = line.split_once(" = ") else {
        return (line.to_owned(), String::new());
    };
    let Some(quoted) = value.strip_prefix('"') else {
        return (name.to_owned(), value.to_owned());
    };
    let mut out = String::new();
    let mut chars = quoted.strip_suffix('"').unwrap().chars();
    while let Some(c) = chars.next() {
        assert_ne!(c, '"', "a quote that ends it: {line}");
        out.push(match c {
            '\\' => match chars.next().unwrap() {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                same => same,
            },
            c => c,
        });
    }
    (name.to_owned(), out)
}

#[test]
fn it_is_told_nothing_on_its_command_line() {
    let curl = Curl {
        program: PathBuf::from("/usr/bin/curl"),
        passed: Vec::new(),
    };
    let command = curl.command();
    assert!(command.get_args().eq(["--disable", "--config", "-"]));
    let config = config(&request(URL, "a: b", None)).unwrap();
    let all = settings(&config);
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    assert!(
        !names
            .iter()
            .any(|name| ["location", "insecure", "netrc"].contains(name))
    );
    for (name, value) in [
        ("proto", "=https,http"),
        ("max-redirs", "0"),
        ("max-time", "8.000"),
        ("globoff", ""),
    ] {
        assert!(all.contains(&(name.to_owned(), value.to_owned())), "{name}");
    }
    assert_eq!(
        names.last(),
        Some(&"url"),
        "what was lost before it goes nowhere"
    );
}

#[test]
fn only_this_machine_itself_is_asked_without_a_proxy() {
    let says = |url: &str| config(&request(url, "", None)).unwrap().contains("noproxy");
    assert!(says("http://127.0.0.1:1/x") && says("https://localhost/"));
    assert!(!says(URL) && !says("http://localhost.example/") && !says("http://localhost@x/"));
}

#[test]
fn what_could_become_a_setting_is_not_sent() {
    for url in [
        "",
        "@/etc/passwd",
        "file:///etc/passwd",
        "-o x",
        "https://x\nurl = \"https://evil\"",
        "https://x\0",
        "https://x\t",
    ] {
        assert!(config(&request(url, "", None)).is_none(), "{url:?}");
    }
    for headers in [
        "@/etc/passwd",
        "a: b\n@x",
        "a: b\rx",
        "a: b\0",
        "; x",
        " a: b",
        "a: \x7f",
    ] {
        assert!(
            config(&request(URL, headers, None)).is_none(),
            "{headers:?}"
        );
    }
    assert!(config(&request(URL, "", Some("a\0b"))).is_none());
    let long = "x".repeat(MOST_GIVEN);
    assert!(config(&request(URL, &long, None)).is_none());
    let curl = Curl::find(&Host::real(), &System::new("/".into())).unwrap();
    let (answer, took) = curl.ask(&request(URL, &long, None)).unwrap();
    assert_eq!((answer, took), (Answer::NotSent, Duration::ZERO));
}

#[test]
fn what_curl_says_is_told_apart() {
    for (code, said, wanted) in [
        (Some(0), "200", Answer::Status(200)),
        (Some(0), "000", Answer::Failed(0)),
        (Some(0), "odd", Answer::Failed(0)),
        (Some(28), "000", Answer::Timeout),
        (Some(6), "", Answer::NoHost),
        (Some(7), "000", Answer::Nobody),
        (Some(60), "000", Answer::Untrusted),
        (Some(2), "", Answer::Failed(2)),
        (None, "200", Answer::Failed(-1)),
    ] {
        assert_eq!(answer(code, said), wanted, "{code:?} {said}");
    }
}

/// Takes one request; its head, line by line, and its body.
fn take(listener: &TcpListener) -> (Vec<String>, String) {
    let (mut stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut head, mut length) = (Vec::new(), 0);
    loop {
        let mut line = Vec::new();
        reader.read_until(b'\n', &mut line).unwrap();
        let line = String::from_utf8(line).unwrap();
        let line = line.strip_suffix("\r\n").unwrap();
        if let Some(text) = line.to_lowercase().strip_prefix("content-length: ") {
            length = text.parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
        head.push(line.to_owned());
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let answer = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    stream.write_all(answer).unwrap();
    (head, String::from_utf8(body).unwrap())
}

/// The real `curl` sends what it is given, and nothing else.
fn arrives(path: &str, value: &str, data: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/{path}", listener.local_addr().unwrap());
    let curl = Curl::find(&Host::real(), &System::new("/".into())).unwrap();
    let taking = std::thread::spawn(move || take(&listener));
    let headers = format!("content-type: text/plain\nx-value: {value}");
    let (answer, _) = curl.ask(&request(&url, &headers, Some(data))).unwrap();
    assert_eq!(answer, Answer::Status(204), "{path:?} {value:?} {data:?}");
    let (head, body) = taking.join().unwrap();
    assert_eq!(head[0], format!("POST /{path} HTTP/1.1"));
    let sent = format!("x-value: {value}");
    assert!(head.contains(&sent), "{sent:?} in {head:#?}");
    assert_eq!(body, data);
}

#[test]
fn what_is_odd_arrives_whole() {
    for (path, value, data) in [
        ("v1?key=a\"b\\c", "sk-\"FAKE\\", "@/etc/passwd"),
        ("{a,b}[1-2]", "#FAKE", "a\nb\r\n\tc \"d\" \\n \\"),
        (
            "-x=%22&y;z",
            "a=b, c: d;",
            "# url = \"https://evil\"\nurl = x",
        ),
        ("~'$(x)`", "@FAKE", "ä €\u{1f511}"),
        ("a", "\\\\\"\"", "\n"),
        ("a", "x", ""),
    ] {
        arrives(path, value, data);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_is_given_arrives_whole(
        path in "[!\"$-.0-\\[\\]-~]{0,20}",
        value in "[!-~]{1,30}",
        data in "(\\PC|[\"\\\\\n\r\t@#%]){0,60}",
    ) {
        arrives(&path, &value, &data);
    }
}

proptest! {
    #[test]
    fn what_is_given_stays_one_setting(text in "(\\PC|[\"\\\\\n\r\t@#\0]){0,60}", data in "(\\PC|[\"\\\\\n\r\t@#]){0,60}") {
        let url = format!("https://{text}");
        let header = format!("a: {}", text.replace('\n', ""));
        let Some(config) = config(&request(&url, &header, Some(&data))) else {
            prop_assert!(text.contains(|c: char| c.is_ascii_control()) || data.contains(|c: char| c.is_control()));
            return Ok(());
        };
        prop_assert!(config.capacity() < ROOM + 2 * (url.len() + header.len() + data.len()) + 4 * ROOM_OF_LINE);
        let all = settings(&config);
        let of = |name: &str| all.iter().filter(|one| one.0 == name).map(|one| one.1.clone()).collect::<Vec<_>>();
        prop_assert_eq!(of("url"), [url]);
        prop_assert_eq!(of("header"), [header]);
        prop_assert_eq!(of("data-raw"), [data]);
    }
}
