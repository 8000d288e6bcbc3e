//! The Dispatcher, the Ledgers, the vendor, and all requests and messages in flight: one case of the model.

mod drain;
mod flight;
mod replies;
mod step;
mod take;

use std::collections::BTreeMap;

use valetkey::dispatcher::Dispatcher;
use valetkey::messages::LedgerCall;
use valetkey::types::ids::{JobId, RequestId, UserKey};
use valetkey::types::time::{UnixMillis, UnixSeconds};

use self::flight::Work;
pub use self::step::Step;
use crate::dispatcher::DispatcherObject;
use crate::files::Files;
use crate::ledger::{LedgerObject, REQUESTS_A_MINUTE};

const START: i64 = 1_768_473_000_000;
/// Number of users. The last one is a guest.
pub const USERS: u8 = 4;
/// The edge and the Ledger of this user are of the build before: their messages have no newer members.
const USER_OF_BUILD_BEFORE: u8 = 2;

pub struct World {
    pub dispatcher: DispatcherObject,
    pub ledgers: BTreeMap<UserKey, LedgerObject>,
    pending: Vec<Work>,
    now: UnixMillis,
    /// The Ledgers' clock, which never goes back.
    latest: UnixMillis,
    /// The vendor's clock: the time that has passed, whatever the clocks of the objects say.
    real: UnixMillis,
    files: Files,
    count: u16,
    creates: Vec<(UserKey, LedgerCall)>,
    owners: BTreeMap<JobId, UserKey>,
    /// How often the vendor accepted each job.
    pub taken: BTreeMap<JobId, u32>,
    /// Predictions whose creates were withdrawn, and how often the vendor had accepted each by then.
    gone: BTreeMap<JobId, u32>,
    /// For each user, its requests that passed the limit.
    served: BTreeMap<UserKey, Vec<UnixMillis>>,
    revoked: BTreeMap<(UserKey, String), UnixMillis>,
    /// The revoked-before time of all users that the Dispatcher has acknowledged.
    revoked_before: Option<UnixSeconds>,
    /// For each proof of possession, the request that used it.
    proofs: BTreeMap<(UserKey, String), RequestId>,
}

impl World {
    pub fn new() -> Self {
        Self {
            dispatcher: DispatcherObject::new(),
            ledgers: BTreeMap::new(),
            pending: Vec::new(),
            now: UnixMillis(START),
            latest: UnixMillis(START),
            real: UnixMillis(START),
            files: Files::default(),
            count: 0,
            creates: Vec::new(),
            owners: BTreeMap::new(),
            taken: BTreeMap::new(),
            gone: BTreeMap::new(),
            served: BTreeMap::new(),
            revoked: BTreeMap::new(),
            revoked_before: None,
            proofs: BTreeMap::new(),
        }
    }

    fn advance(&mut self, millis: i64) {
        self.now = self.now.plus_millis(millis);
        self.latest = self.latest.max(self.now);
        self.real = self.real.plus_millis(millis.max(0));
    }

    /// Returns the Dispatcher's clock and the vendor's.
    fn clock(&self) -> (UnixMillis, UnixMillis) {
        (self.now, self.real)
    }

    fn turn<R>(&mut self, change: impl FnOnce(&mut Dispatcher, UnixMillis) -> R) {
        if let Some((_, actions)) = self.dispatcher.turn(change, self.clock()) {
            self.pending.extend(actions.into_iter().map(Work::Action));
        }
    }

    fn ledger(&mut self, user: &UserKey) -> &mut LedgerObject {
        self.ledgers.entry(user.clone()).or_default()
    }

    fn pick(&self, pick: usize) -> Option<(JobId, UserKey)> {
        let (id, user) = self.owners.iter().nth(pick.checked_rem(self.owners.len())?)?;
        Some((id.clone(), user.clone()))
    }

    /// Returns the random part of the next id.
    fn next_random(&mut self) -> [u8; 10] {
        self.count += 1;
        let [high, low] = self.count.to_be_bytes();
        [high, low, 0, 0, 0, 0, 0, 0, 0, 0]
    }

    /// Checks the invariants that hold after each step.
    pub fn check(&self) {
        assert!(self.taken.values().all(|count| *count <= 1), "paid twice");
        let is_kept = self.dispatcher.revoked_before() >= self.revoked_before || self.dispatcher.has_lost_state();
        assert!(is_kept, "a revocation of all tokens is forgotten");
        self.dispatcher.check((self.latest, self.real), self.taken.len());
        self.files.check(&self.ledgers, &self.dispatcher.files, self.latest);
        self.ledgers.values().for_each(|ledger| ledger.check(self.latest));
        for (job_id, taken) in &self.gone {
            assert_eq!(self.taken.get(job_id).copied().unwrap_or(0), *taken, "withdrawn and sent");
        }
        for served in self.served.values() {
            let minute = served.iter().filter(|at| self.latest.millis_since(**at) < 60_000).count();
            assert!(minute <= REQUESTS_A_MINUTE as usize, "{minute} requests of a user in a minute");
        }
    }
}
