//! `ALLOWED_ORIGINS`: exact origins, as browsers send them.

use url::Url;

use crate::parse::problem::{Place, SettingProblem};
use crate::parse::url::LocalHosts;

/// Origins of web views in mobile and desktop apps, which are fixed.
const APP_ORIGINS: [&str; 3] = ["capacitor://localhost", "ionic://localhost", "tauri://localhost"];

/// Parses a list of origins, separated by commas, or the word `none`.
///
/// # Errors
/// Every problem of every entry.
pub(super) fn parse_origins(text: &str, local: LocalHosts) -> Result<Vec<String>, Vec<SettingProblem>> {
    if text.trim() == "none" {
        return Ok(Vec::new());
    }
    let mut origins: Vec<String> = Vec::new();
    let mut problems = Vec::new();
    for (index, origin) in text.split(',').map(str::trim).enumerate() {
        let checked = match check_origin(origin, local) {
            Ok(()) if origins.iter().any(|known| known == origin) => Err("is listed twice"),
            checked => checked,
        };
        match checked {
            Ok(()) => origins.push(origin.to_owned()),
            Err(problem) => problems.push(SettingProblem {
                at: Place::default().item(index),
                text: format!("entry {} {problem}", index.saturating_add(1)),
            }),
        }
    }
    if problems.is_empty() { Ok(origins) } else { Err(problems) }
}

/// Checks that `origin` is written exactly as a browser sends it: no path, no trailing slash, lower case, no default
/// port.
fn check_origin(origin: &str, local: LocalHosts) -> Result<(), &'static str> {
    if APP_ORIGINS.contains(&origin) {
        return Ok(());
    }
    if origin.contains('*') {
        return Err("has a wildcard: list each origin exactly");
    }
    let url = Url::parse(origin).map_err(|_| "is not an origin such as https://app.example.com")?;
    let host = url.host().ok_or("has no host")?;
    if url.scheme() != "https" && !(url.scheme() == "http" && local.include(&host)) {
        return Err("is not https (http only for a loopback host)");
    }
    // Browsers write an origin in exactly one way. Any other spelling would never match.
    if url.origin().ascii_serialization() == origin {
        Ok(())
    } else {
        Err("is not exactly what a browser sends: no path, no trailing slash, lower case, no default port")
    }
}
