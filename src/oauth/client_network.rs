//! The network of a client, by which callers without an identity are counted.

use std::net::IpAddr;

/// Returns the text by which an address is counted: an IPv4 address itself, or the /64 of an IPv6 address, in which one
/// customer has every address (RFC 6177). `None` for a text that is no address.
#[must_use]
pub fn client_network(address: &str) -> Option<String> {
    match address.parse().ok()? {
        IpAddr::V4(address) => Some(address.to_string()),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => Some(address.to_string()),
            None => {
                let [first, second, third, fourth, ..] = address.segments();
                Some(format!("{first:x}:{second:x}:{third:x}:{fourth:x}::/64"))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_addresses_of_a_customer_are_one_network() {
        for (address, network) in [
            ("203.0.113.7", "203.0.113.7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
            ("2001:DB8:1:2:ffff::", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
            ("::1", "0:0:0:0::/64"),
        ] {
            assert_eq!(client_network(address).as_deref(), Some(network), "{address}");
        }
        for other in ["", "localhost", "203.0.113.7:80", "203.0.113.7, 198.51.100.1", "[::1]"] {
            assert_eq!(client_network(other), None, "{other}");
        }
    }
}
