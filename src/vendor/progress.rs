//! The vendor's status words. The vendor documents two of them; the others are words that similar vendors use
//! (vendor-api 3).

use crate::constants::STATUS_WORD_MAX_CHARS;

/// The vendor's status words, reduced to four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// In progress, or an unknown word.
    Running,
    /// `succeeded`, `completed`, `complete`, `success`.
    Succeeded,
    /// `failed`, `error`, `expired`, `aborted`, `timeout`, `timed_out`.
    Failed,
    /// `canceled`, `cancelled`.
    Canceled,
}

impl Progress {
    /// Returns the meaning of a status word, or `None` if the word is unknown. Ignores case, surrounding blanks, and
    /// the character between two words.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        let word = word.trim().to_ascii_lowercase().replace(['-', ' '], "_");
        match word.as_str() {
            "starting" | "queued" | "pending" | "running" | "processing" | "in_progress" => Some(Self::Running),
            "succeeded" | "completed" | "complete" | "success" => Some(Self::Succeeded),
            "failed" | "error" | "expired" | "aborted" | "timeout" | "timed_out" => Some(Self::Failed),
            "canceled" | "cancelled" => Some(Self::Canceled),
            _ => None,
        }
    }

    /// Returns whether this status is final.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Running => false,
            Self::Succeeded | Self::Failed | Self::Canceled => true,
        }
    }
}

/// Returns the letters of an unknown status word for the log. No other vendor text is logged.
#[must_use]
pub fn loggable_word(word: &str) -> String {
    let is_kept = |letter: &char| letter.is_ascii_alphabetic() || *letter == '_';
    word.chars().filter(is_kept).take(STATUS_WORD_MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_words_are_folded() {
        let cases = [
            ("starting", Some(Progress::Running)),
            ("queued", Some(Progress::Running)),
            ("pending", Some(Progress::Running)),
            ("running", Some(Progress::Running)),
            ("Processing", Some(Progress::Running)),
            ("in-progress", Some(Progress::Running)),
            ("SUCCEEDED", Some(Progress::Succeeded)),
            ("completed", Some(Progress::Succeeded)),
            ("Complete", Some(Progress::Succeeded)),
            ("success", Some(Progress::Succeeded)),
            (" succeeded\n", Some(Progress::Succeeded)),
            ("failed", Some(Progress::Failed)),
            ("error", Some(Progress::Failed)),
            ("expired", Some(Progress::Failed)),
            ("aborted", Some(Progress::Failed)),
            ("timeout", Some(Progress::Failed)),
            ("Timed-Out", Some(Progress::Failed)),
            ("timed_out", Some(Progress::Failed)),
            ("canceled", Some(Progress::Canceled)),
            ("CANCELLED", Some(Progress::Canceled)),
            ("", None),
            ("archived", None),
            ("succeeded!", None),
        ];
        for (word, progress) in cases {
            assert_eq!(Progress::of_word(word), progress, "{word}");
        }
    }

    #[test]
    fn an_unknown_word_is_logged_as_sixteen_letters_at_most() {
        assert_eq!(loggable_word("archived"), "archived");
        assert_eq!(loggable_word("a\"},{\n<b>\u{e9}7 in_progress_since_yesterday"), "abin_progress_si");
    }
}
