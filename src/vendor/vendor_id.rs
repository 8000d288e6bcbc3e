//! The vendor's ids of predictions and files.

use super::json::Scalar;
use crate::constants::VENDOR_ID_MAX_BYTES;

/// A member that holds an id. If it has two different values, neither is used: a wrong id would show one user another
/// user's pictures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct IdMember {
    /// The id in the last such member.
    value: Option<String>,
    /// The first usable id among all such members.
    first: Option<String>,
    has_conflict: bool,
}

impl IdMember {
    pub(super) fn set(&mut self, value: Scalar<'_>) {
        self.value = read_id(value);
        if let Some(id) = &self.value {
            self.has_conflict = self.has_conflict || self.first.get_or_insert_with(|| id.clone()) != id;
        }
    }

    /// Returns the id, unless there were two.
    pub(super) fn get(&self) -> Option<&str> {
        self.value.as_deref().filter(|_| !self.has_conflict)
    }

    /// Returns whether there were two different ids.
    pub(super) const fn has_conflict(&self) -> bool {
        self.has_conflict
    }
}

fn read_id(value: Scalar<'_>) -> Option<String> {
    match value {
        Scalar::Text(Some(text)) => Some(text.to_owned()),
        Scalar::Number(Some(text)) => read_number(text),
        _ => None,
    }
    .filter(|id| is_usable_id(id))
}

/// Returns a whole number as text. Keeps any number of digits unchanged; `789.0` and `7.89e2` become `789`.
fn read_number(text: &str) -> Option<String> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.to_owned());
    }
    // 2^53: an `f64` represents every whole number up to here exactly.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let number: f64 = text.parse().ok()?;
    ((0.0..=EXACT_MAX).contains(&number) && number.fract() == 0.0).then(|| format!("{:.0}", number.abs()))
}

fn is_usable_id(id: &str) -> bool {
    // A segment `.` or `..` would change the path, percent-encoded or not.
    let is_path = id == "." || id == "..";
    !is_path && (1..=VENDOR_ID_MAX_BYTES).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_ids_as_text() {
        for (text, id) in [
            ("789", Some("789")),
            ("0", Some("0")),
            ("789.0", Some("789")),
            ("7.89e2", Some("789")),
            ("-0.0", Some("0")),
            ("340282366920938463463374607431768211455", Some("340282366920938463463374607431768211455")),
            ("-1", None),
            ("1.5", None),
            ("1e400", None),
            ("1-2", None),
        ] {
            assert_eq!(read_id(Scalar::Number(Some(text))).as_deref(), id, "{text}");
        }
    }

    #[test]
    fn two_different_ids_are_no_id() {
        let ids = |texts: &[&str]| {
            let mut member = IdMember::default();
            texts.iter().for_each(|text| member.set(Scalar::Text(Some(text))));
            (member.get().map(str::to_owned), member.has_conflict())
        };
        assert_eq!(ids(&["a"]), (Some("a".into()), false));
        assert_eq!(ids(&["a", "a"]), (Some("a".into()), false));
        assert_eq!(ids(&["", "a"]), (Some("a".into()), false));
        assert_eq!(ids(&["a", ""]), (None, false), "the last one counts");
        assert_eq!(ids(&["a", "b"]), (None, true));
        assert_eq!(ids(&["a", "", "b"]), (None, true));
        assert_eq!(ids(&["a", "b", "a"]), (None, true));
    }
}
