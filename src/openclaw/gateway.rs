//! Whether a gateway is up on this machine. Knows one port of loopback; asks nothing, sends nothing.
//!
//! Source of the port: OpenClaw 2026.6.1 and 2026.9.6, `resolveGatewayPort`: the variable
//! `OPENCLAW_GATEWAY_PORT`, else `gateway.port`, else 18789. (The port that 2026.9.6 computes for a
//! named `OPENCLAW_PROFILE` is not looked at.)

use super::config::Config;
use crate::host::Host;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// The port without a setting.
const DEFAULT_PORT: u16 = 18789;

/// The variable that comes before the setting.
const VARIABLE: &str = "OPENCLAW_GATEWAY_PORT";

/// How long a listener on loopback may take to accept: the system itself does it at once.
const LIMIT: Duration = Duration::from_millis(300);

/// The port on which this user's gateway listens.
pub fn port(host: &Host, config: &Config) -> u16 {
    let variable = host.var(VARIABLE);
    chosen(variable.as_ref().and_then(|text| text.to_str()), config)
}

fn chosen(variable: Option<&str>, config: &Config) -> u16 {
    let usable = |port: &u16| *port != 0;
    let named = variable.and_then(|text| {
        // An address and a port, as Docker writes them, count by their port.
        let text = text.trim();
        let text = text.rsplit_once(':').map_or(text, |(_, port)| port);
        text.parse().ok().filter(usable)
    });
    let set = || {
        let port = config.get(&["gateway", "port"])?.as_u64()?;
        u16::try_from(port).ok().filter(usable)
    };
    named.or_else(set).unwrap_or(DEFAULT_PORT)
}

/// Whether anybody listens on that port of loopback.
pub fn is_up(port: u16) -> bool {
    [
        SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
    ]
    .iter()
    .any(|address| TcpStream::connect_timeout(address, LIMIT).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn config(text: &str) -> Config {
        Config::parse(text.as_bytes(), Path::new("openclaw.json")).unwrap()
    }

    #[test]
    fn the_variable_comes_before_the_setting_and_both_before_the_default() {
        for (variable, text, port) in [
            (None, "{}", 18789),
            (None, "{gateway: {port: 0x50}}", 80),
            (Some(" 9000 "), "{gateway: {port: 80}}", 9000),
            (Some("127.0.0.1:9001"), "{}", 9001),
            (Some("nonsense"), "{gateway: {port: 80}}", 80),
            (Some("0"), "{gateway: {port: 80}}", 80),
            (None, "{gateway: {port: 70000}}", 18789),
            (None, "{gateway: {port: '80'}}", 18789),
            (None, "{gateway: {port: -1}}", 18789),
        ] {
            assert_eq!(chosen(variable, &config(text)), port, "{variable:?} {text}");
        }
    }

    #[test]
    fn a_listener_on_loopback_is_seen_and_its_end_too() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(is_up(port));
        drop(listener);
        assert!(!is_up(port));
    }
}
