//! The steps of an interleaving.

use crate::vendor::Vendor;

/// One event.
#[derive(Clone, Debug)]
pub enum Step {
    /// A create is sent. A late one arrives when its turn comes in [`Step::Answer`].
    Create {
        user: u8,
        count: u8,
        key: Option<u8>,
        token: u8,
        is_late: bool,
    },
    /// The message of a create arrives again.
    Repeat {
        pick: usize,
    },
    /// The edge withdraws a create.
    Withdraw {
        pick: usize,
    },
    Cancel {
        pick: usize,
    },
    Delete {
        pick: usize,
    },
    Get {
        pick: usize,
    },
    /// A user opens a socket for a prediction.
    Watch {
        pick: usize,
        token: u8,
    },
    /// A user asks for something that reads no prediction, and may show a proof of possession.
    Check {
        user: u8,
        token: u8,
        proof: Option<u8>,
    },
    /// The same reaches the instance before, if it goes on.
    CheckOld {
        user: u8,
    },
    Revoke {
        user: u8,
        token: u8,
    },
    /// An operator revokes all tokens that were issued until now.
    RevokeAll,
    /// An operator deletes a user, cancels all of the user's predictions, or sets limits.
    Erase {
        user: u8,
    },
    CancelAll {
        user: u8,
    },
    OwnLimits {
        user: u8,
        creates: Option<u32>,
    },
    /// The vendor calls a webhook.
    Hook {
        pick: usize,
    },
    /// Something in flight arrives, or does not.
    Answer {
        pick: usize,
        vendor: Vendor,
    },
    /// An alarm fires, if it is due.
    Alarm {
        user: u8,
    },
    /// The platform loses an alarm.
    LoseAlarm {
        user: u8,
    },
    /// Both objects restart: the process was killed.
    Crash,
    RestartLedger {
        user: u8,
        old_lives_on: bool,
    },
    /// The instance of a Ledger ends after its next turn that tells a socket, before it tells it.
    EndUntold {
        user: u8,
    },
    RestartDispatcher {
        old_lives_on: bool,
    },
    /// The rows are rewritten by the build before, which ran for a moment after a rollback.
    RollBackDispatcher,
    RollBackLedger {
        user: u8,
    },
    /// A Dispatcher of the build before reports the state of a prediction that it reports no more today.
    OldUpdate {
        pick: usize,
    },
    /// A Ledger of the build before wakes the Dispatcher.
    Tick,
    /// An upload asks for a permit and for room.
    Upload {
        user: u8,
    },
    /// An upload ends: the vendor has the file, or not. The file was last used so many days ago.
    EndUpload {
        pick: usize,
        is_stored: bool,
        days_ago: Option<i64>,
    },
    /// The next turn of an object cannot be stored.
    FailLedger {
        user: u8,
    },
    FailDispatcher,
    /// A row of a Ledger cannot be read any more, or can again.
    Unreadable {
        pick: usize,
    },
    /// The same for the row of a file.
    UnreadableFile {
        user: u8,
        pick: usize,
    },
    /// The same for a row of the Dispatcher, from its next start on.
    UnreadableAtDispatcher {
        pick: usize,
    },
    /// An operator pauses creates, or renews a pause.
    Pause {
        id: u8,
        model: u8,
        millis: i64,
        is_renewal: bool,
    },
    Resume {
        id: u8,
    },
    /// Time passes. The Dispatcher's alarm fires, or is late.
    Wait {
        millis: i64,
        is_alarm_late: bool,
    },
    ClockBack {
        millis: i64,
    },
}
