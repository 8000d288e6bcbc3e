//! Which output URLs reach a client.

use url::Url;

use crate::constants::{OUTPUT_URL_MAX_BYTES, OUTPUTS_MAX};

/// Which output URLs pass: `https` ones, and in development those of a vendor that itself is on loopback.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputRule {
    loopback_host: Option<String>,
}

impl OutputRule {
    /// The rule for a vendor at `upstream`; plain `http` outputs pass only from the host of an `http` upstream, which
    /// the configuration allows for loopback alone (docs/decisions/0003-loopback-outputs.md).
    #[must_use]
    pub fn for_upstream(upstream: &str) -> Self {
        let url = Url::parse(upstream).ok().filter(|url| url.scheme() == "http");
        Self { loopback_host: url.and_then(|url| url.host_str().map(str::to_owned)) }
    }

    /// The outputs that may be shown: absolute URLs of at most 2,048 bytes without credentials (contract 2).
    #[must_use]
    pub fn keep(&self, outputs: Vec<String>) -> Vec<String> {
        outputs.into_iter().filter(|output| self.passes(output)).take(OUTPUTS_MAX).collect()
    }

    fn passes(&self, output: &str) -> bool {
        if output.len() > OUTPUT_URL_MAX_BYTES || output.bytes().any(|byte| byte.is_ascii_control() || byte == b' ') {
            return false;
        }
        let Ok(url) = Url::parse(output) else { return false };
        let host = url.host_str().unwrap_or_default();
        let scheme = match url.scheme() {
            "https" => !host.is_empty(),
            "http" => self.loopback_host.as_deref() == Some(host),
            _ => false,
        };
        scheme && url.username().is_empty() && url.password().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(upstream: &str, output: &str) -> bool {
        !OutputRule::for_upstream(upstream).keep(vec![output.to_owned()]).is_empty()
    }

    #[test]
    fn https_passes_and_nothing_else() {
        let vendor = "https://api.vendor.example/v1";
        assert!(kept(vendor, "https://cdn.vendor.example/a.png?x=1"));
        for bad in [
            "http://cdn.vendor.example/a.png",
            "javascript:alert(1)",
            "data:image/png;base64,",
            "/a.png",
            "https://",
            "https://u:p@cdn.example/a",
            "https://cdn.example/a b",
            "https://cdn.example/a\n",
            "//cdn.example/a",
            "ftp://a/b",
            // Found by fuzzing: an upper-case letter behind one that is not ASCII, where no table maps it.
            "https://\u{e9}.EXAMPLE/a.png",
            "https://\u{e9}A.example/a.png",
        ] {
            assert!(!kept(vendor, bad), "{bad}");
        }
        assert!(!kept(vendor, &format!("https://cdn.example/{}", "a".repeat(2_048))));
    }

    #[test]
    fn a_vendor_on_loopback_may_serve_its_own_outputs() {
        let simulator = "http://127.0.0.1:8788/v1";
        assert!(kept(simulator, "http://127.0.0.1:8788/outputs/a.png"));
        assert!(!kept(simulator, "http://10.0.0.1/outputs/a.png"));
        assert!(!kept("https://127.0.0.1/v1", "http://127.0.0.1/outputs/a.png"));
    }
}
