//! The rule for output URLs: which of them reach a client.

use url::Url;

use super::key_scan::KeyScan;
use crate::constants::{OUTPUT_URL_MAX_CHARS, OUTPUTS_MAX};

/// Decides which output URLs pass: `https` URLs, and in development those of a vendor that is itself on loopback.
///
/// A URL that contains the vendor key never passes. Stored, it would make the key scan block every later response that
/// contains it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputRule {
    loopback_host: Option<String>,
    key_scan: KeyScan,
}

impl OutputRule {
    /// Returns the rule for a vendor at `upstream`. Plain `http` outputs pass only from the host of an `http` upstream,
    /// and the configuration allows such an upstream only on loopback (docs/decisions/0003-loopback-outputs.md).
    #[must_use]
    pub fn for_upstream(upstream: &str) -> Self {
        let url = Url::parse(upstream).ok().filter(|url| url.scheme() == "http");
        Self { loopback_host: url.and_then(|url| url.host_str().map(str::to_owned)), key_scan: KeyScan::default() }
    }

    /// Returns the same rule, which also drops outputs in which `key_scan` finds a key.
    #[must_use]
    pub fn with_key_scan(self, key_scan: KeyScan) -> Self {
        Self { key_scan, ..self }
    }

    /// Returns whether an output contains a vendor key. The Dispatcher raises an alert then.
    #[must_use]
    pub fn finds_key_in(&self, outputs: &[String]) -> bool {
        outputs.iter().any(|output| self.key_scan.finds_in(output))
    }

    /// Returns the outputs that pass: absolute URLs of at most 2,048 characters without credentials (contract 2).
    #[must_use]
    pub fn keep(&self, outputs: Vec<String>) -> Vec<String> {
        outputs.into_iter().filter(|output| self.is_allowed(output)).take(OUTPUTS_MAX).collect()
    }

    fn is_allowed(&self, output: &str) -> bool {
        // Checks the text itself, because a client gets the text: the parser below drops line breaks, and reads
        // `https:host`, `https:\\host` and `https:///host` as `https://host`. Characters that RFC 3986 does not allow,
        // and that could break out of an attribute of a page, are refused too.
        let rest = output.strip_prefix("https://").or_else(|| output.strip_prefix("http://"));
        let has_host = rest.is_some_and(|rest| !rest.starts_with('/'));
        let is_odd = |character: char| {
            character.is_whitespace() || character.is_control() || matches!(character, '\\' | '"' | '<' | '>')
        };
        if !has_host || output.chars().count() > OUTPUT_URL_MAX_CHARS || output.contains(is_odd) {
            return false;
        }
        let Ok(url) = Url::parse(output) else { return false };
        let host = url.host_str().unwrap_or_default();
        let is_allowed_scheme = match url.scheme() {
            "https" => !host.is_empty(),
            "http" => self.loopback_host.as_deref() == Some(host),
            _ => false,
        };
        is_allowed_scheme && url.username().is_empty() && url.password().is_none() && !self.key_scan.finds_in(output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::secret::VendorKey;

    fn kept(upstream: &str, output: &str) -> bool {
        !OutputRule::for_upstream(upstream).keep(vec![output.to_owned()]).is_empty()
    }

    #[test]
    fn https_passes_and_nothing_else() {
        let vendor = "https://api.vendor.example/v1";
        assert!(kept(vendor, "https://cdn.vendor.example/a.png?x=1"));
        assert!(kept(vendor, "https://cdn.vendor.example/a's%20(1).png"));
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
            "https:cdn.example/a",
            "https:/cdn.example/a",
            "https:///cdn.example/a",
            "https:\\\\cdn.example\\a",
            "https://cdn.example\\a",
            "HTTPS://cdn.example/a",
            " https://cdn.example/a",
            "https://cdn.example/\"onload=x",
            "https://cdn.example/<b>",
            "https://cdn.example/a\u{a0}b",
            "https://cdn.example/a\u{2028}b",
            "https://cdn.example/a\u{85}b",
            "https://cdn.example/a\u{7f}b",
            "ftp://a/b",
            // Found by fuzzing: an upper-case letter behind one that is not ASCII, where no table maps it.
            "https://\u{e9}.EXAMPLE/a.png",
            "https://\u{e9}A.example/a.png",
        ] {
            assert!(!kept(vendor, bad), "{bad}");
        }
    }

    #[test]
    fn the_limit_is_in_characters() {
        let vendor = "https://api.vendor.example/v1";
        let of_length = |length: usize, character: &str| {
            let start = "https://cdn.example/";
            format!("{start}{}", character.repeat(length - start.len()))
        };
        for character in ["a", "\u{e9}", "\u{1f600}"] {
            assert!(kept(vendor, &of_length(2_048, character)));
            assert!(!kept(vendor, &of_length(2_049, character)));
        }
    }

    #[test]
    fn an_output_that_holds_the_key_is_dropped_and_the_others_stay() {
        let tail = "Zk3_9-Qw7ErT5yUi1OpA2sDf";
        let scan = KeyScan::new([&VendorKey::try_new(&format!("sk_live_{tail}")).unwrap()]);
        let rule = OutputRule::for_upstream("https://api.vendor.example/v1").with_key_scan(scan);
        let good = "https://cdn.vendor.example/a.png".to_owned();
        for leak in [tail.to_owned(), tail.replace('_', "%5F"), format!("a?sig={}", &tail[2..18])] {
            let outputs = vec![format!("https://cdn.vendor.example/{leak}"), good.clone()];
            assert!(rule.finds_key_in(&outputs), "{leak}");
            assert_eq!(rule.keep(outputs), [good.as_str()], "{leak}");
        }
        assert!(!rule.finds_key_in(&[good]));
    }

    #[test]
    fn a_vendor_on_loopback_may_serve_its_own_outputs() {
        let simulator = "http://127.0.0.1:8788/v1";
        assert!(kept(simulator, "http://127.0.0.1:8788/outputs/a.png"));
        assert!(!kept(simulator, "http://10.0.0.1/outputs/a.png"));
        assert!(!kept("https://127.0.0.1/v1", "http://127.0.0.1/outputs/a.png"));
    }
}
