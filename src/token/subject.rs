//! The form of subjects and token ids.

/// Returns whether `text` may be a subject or a token's id (contract 5): 1 to `max_chars` characters, no control or
/// invisible characters, no characters that change the direction of text, and no white space at its ends.
///
/// Invisible characters are refused because two names that look the same let one user pass for another (UTS #39). The
/// joiners U+200C and U+200D are part of Persian words and of many emoji, so that they are refused only at the ends,
/// where they are invisible.
#[must_use]
pub fn is_plain_text(text: &str, max_chars: usize) -> bool {
    let is_blank = |character: char| character.is_whitespace() || matches!(character, '\u{200c}' | '\u{200d}');
    // Count no further than the limit: a claim may be as long as the token.
    (1..=max_chars).contains(&text.chars().take(max_chars.saturating_add(1)).count())
        && !text.chars().any(is_control_or_hidden)
        && !text.starts_with(is_blank)
        && !text.ends_with(is_blank)
}

fn is_control_or_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            // Bidirectional controls (Unicode Standard Annex 9).
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Line and paragraph separators.
            | '\u{2028}' | '\u{2029}'
            // Invisible: soft hyphen, zero width space, word joiner and invisible operators, byte order mark.
            | '\u{00ad}' | '\u{200b}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{feff}'
            // Interlinear annotations and tags.
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_real_providers_are_plain() {
        for text in
            ["u1", "auth0|5f7c8ec7c33c6c004bbafe82", "a@b.example", "usér-中", "00u1ab:x/y", "a b", "می‌خواهم", "👨‍👩‍👧"]
        {
            assert!(is_plain_text(text, 255), "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_seen_is_refused_anywhere() {
        for hidden in ["\0", "\t", "\n", "\u{7f}", "\u{85}", "\u{61c}", "\u{200e}", "\u{200f}", "\u{202a}", "\u{202e}"]
        {
            assert!(!is_plain_text(&format!("a{hidden}b"), 255), "{hidden:?}");
        }
        for hidden in
            ["\u{2066}", "\u{2069}", "\u{2028}", "\u{2029}", "\u{ad}", "\u{200b}", "\u{2060}", "\u{feff}", "\u{e0041}"]
        {
            assert!(!is_plain_text(&format!("a{hidden}b"), 255), "{hidden:?}");
        }
    }

    #[test]
    fn the_ends_are_not_blank() {
        for text in ["", " ", "   ", " a", "a ", "a\u{a0}", "\u{3000}a", "a\u{2003}", "\u{200d}a", "a\u{200c}"] {
            assert!(!is_plain_text(text, 255), "{text:?}");
        }
    }

    #[test]
    fn length_is_counted_in_characters() {
        assert!(is_plain_text(&"é".repeat(255), 255));
        assert!(!is_plain_text(&"é".repeat(256), 255));
    }
}
