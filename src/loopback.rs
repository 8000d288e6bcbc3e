//! Which hosts are this machine. Plain http is good enough for them, and what is on one of them is for development: it
//! is refused as soon as the Worker is called by any other host.

use url::Host;

/// `localhost` and the names below it (RFC 6761 section 6.3), with the root's dot or without; 127.0.0.0/8; `::1`; and
/// 127.0.0.0/8 as IPv6 maps it (RFC 4291 section 2.5.5.2).
#[must_use]
pub fn is_loopback<S: AsRef<str>>(host: &Host<S>) -> bool {
    match host {
        Host::Domain(name) => {
            let name = name.as_ref();
            let name = name.strip_suffix('.').unwrap_or(name);
            name == "localhost" || name.ends_with(".localhost")
        }
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.to_canonical().is_loopback(),
    }
}

/// The same for the text of a host as it stands in a URL, an IPv6 address in its brackets.
#[must_use]
pub fn is_loopback_host(host: &str) -> bool {
    Host::parse(host).is_ok_and(|host| is_loopback(&host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_many_names() {
        for host in [
            "localhost",
            "LOCALHOST",
            "localhost.",
            "app.localhost",
            "app.localhost.",
            "127.0.0.1",
            "127.1",
            "127.255.255.254",
            "[::1]",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
        ] {
            assert!(is_loopback_host(host), "{host}");
        }
    }

    #[test]
    fn other_machines_do_not() {
        for host in [
            "",
            "localhost.example",
            "localhost..",
            "xlocalhost",
            "128.0.0.1",
            "0.0.0.0",
            "10.0.0.1",
            "[::]",
            "[::2]",
            "[::ffff:10.0.0.1]",
            "::1",
            "127.0.0.1.example",
        ] {
            assert!(!is_loopback_host(host), "{host}");
        }
    }
}
