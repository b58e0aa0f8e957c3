//! Addresses of the web, as far as clawkeep must understand them. Ring 4; makes text and sends nothing.
//!
//! Promise: an address that a credential may go to is https, or http on this machine itself, and leads to
//! the host that it shows.

/// The host of an address that a credential may go to; `None` for any other.
pub fn host_of(url: &str) -> Option<String> {
    let plain = |c: char| {
        c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '<' | '>' | '^' | '`' | '{' | '|' | '}')
    };
    if !url.chars().all(plain) || url.len() > 2048 {
        return None;
    }
    let (is_https, host, name) = parts(url)?;
    let is_name = !name.is_empty()
        && !host.contains('@')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b));
    (is_name && (is_https || is_here(url))).then(|| host.to_owned())
}

/// Whether an address is of this machine itself.
pub fn is_here(url: &str) -> bool {
    parts(url).is_some_and(|(_, _, name)| matches!(name, "localhost" | "127.0.0.1" | "[::1]"))
}

/// An address without what is asked there, and that; a fragment, which no server gets, is left out.
pub fn split(url: &str) -> (&str, Option<&str>) {
    let url = url.split_once('#').map_or(url, |(before, _)| before);
    match url.split_once('?') {
        Some((path, query)) => (path, Some(query).filter(|query| !query.is_empty())),
        None => (url, None),
    }
}

/// Whether it is https, its host, and the host without its port.
fn parts(url: &str) -> Option<(bool, &str, &str)> {
    let (is_https, rest) = match url.strip_prefix("https://") {
        Some(rest) => (true, rest),
        None => (false, url.strip_prefix("http://")?),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = &rest[..end];
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    Some((is_https, host, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_credential_goes_by_https_or_stays_on_this_machine() {
        for (url, host) in [
            ("https://api.example/v1/models", Some("api.example")),
            ("https://api.example:8443/x", Some("api.example:8443")),
            ("https://[::1]:1/x", Some("[::1]:1")),
            ("http://127.0.0.1:8080/v1", Some("127.0.0.1:8080")),
            ("http://localhost/v1", Some("localhost")),
            ("http://localhost.example/v1", None),
            ("http://api.example/v1", None),
            ("https://api.example@evil.example/", None),
            ("https://api.example\n--output x", None),
            ("https://{a,b}.example/", None),
            ("file:///etc/passwd", None),
            ("https:///x", None),
            ("HTTPS://api.example/", None),
        ] {
            assert_eq!(host_of(url).as_deref(), host, "{url}");
        }
    }

    #[test]
    fn what_is_asked_is_no_part_of_the_path() {
        for (url, wanted) in [
            ("https://x/v1", ("https://x/v1", None)),
            ("https://x/v1?", ("https://x/v1", None)),
            ("https://x?a=b/c?d#e?f", ("https://x", Some("a=b/c?d"))),
            ("https://x/#a?b", ("https://x/", None)),
            ("", ("", None)),
        ] {
            assert_eq!(split(url), wanted, "{url}");
        }
    }

    proptest! {
        #[test]
        fn no_address_leads_elsewhere_than_it_says(url in "\\PC{0,40}", host in "[a-z.:@/\\[\\]#?0-9-]{0,20}") {
            for url in [url, format!("https://{host}"), format!("http://{host}")] {
                if let Some(found) = host_of(&url) {
                    prop_assert!(!found.contains(['@', '/', ' ', '\n']));
                    let https = format!("https://{found}");
                    prop_assert!(url.starts_with(&https) || url.starts_with("http://"));
                }
            }
        }
    }
}
