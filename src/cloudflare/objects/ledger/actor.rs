//! The Ledger of one wasm instance: its storage, the state machine, and the turns that change both.

use std::cell::RefCell;
use std::rc::Rc;

use wasm_bindgen::JsValue;
use worker::{Env, State};

use super::store::LedgerStore;
use crate::cloudflare::objects::client::{
    ask_dispatcher, hand_over_alerts, known_revoked_by, remember_revoked, revoked_by,
};
use crate::cloudflare::objects::handle::ActorResult;
use crate::cloudflare::objects::namespaces::storage_settings;
use crate::cloudflare::runtime::alerts;
use crate::cloudflare::runtime::deployment::deployment;
use crate::cloudflare::runtime::platform::{self, PlatformError};
use crate::cloudflare::runtime::sockets::ObjectSockets;
use crate::cloudflare::runtime::sql::Sql;
use crate::cloudflare::runtime::webhook_http;
use crate::constants::{ALARM_LATE_MILLIS, DISPATCHER_ACK_TIMEOUT_MILLIS, TOO_NEW_RETRY_MILLIS};
use crate::ledger::{AlarmChange, Answer, Event, Ledger as Machine, Next, Notice, Question, Socket};
use crate::limit::minute_window::Counted;
use crate::messages::{LedgerCall, LedgerEnvelope, LedgerReply};
use crate::types::alert::Alert;
use crate::types::retention::Retention;
use crate::types::time::UnixMillis;

/// The Ledger behind the Durable Object class. Its memory may be lost at any time: a new actor starts from the rows.
pub struct LedgerActor {
    state: State,
    env: Env,
    store: ActorResult<LedgerStore>,
    machine: RefCell<Machine>,
    retention: Retention,
    sends_events: bool,
}

/// The results of a turn for its caller.
struct Turned {
    next: Next,
    change: AlarmChange,
    counted: Option<Counted>,
    /// A socket that the reply opens.
    accepted: Option<Socket>,
}

impl LedgerActor {
    /// Makes the actor of an object. If the storage cannot be opened, every turn fails.
    pub(super) fn new(state: State, env: Env) -> Self {
        alerts::take_over_from_javascript();
        // Wrong settings are reported by the edge, which sends nothing then. An alarm still fires.
        let retention = storage_settings(&env).map(|settings| settings.retention).unwrap_or_default();
        let store = Sql::new(&state).map(|sql| LedgerStore::new(sql, retention));
        let sends_events = platform::text_binding(&env, "EVENTS_WEBHOOK_URL").is_some();
        let machine = RefCell::new(Machine::new(retention).with_events(sends_events));
        Self { state, env, store, machine, retention, sends_events }
    }

    fn store(&self) -> ActorResult<&LedgerStore> {
        self.store.as_ref().map_err(|error| *error)
    }

    /// Handles a message. The reply comes with the caller's rate-limit numbers.
    pub(super) async fn answer(self: &Rc<Self>, call: LedgerCall) -> ActorResult<LedgerEnvelope> {
        Ok(self.reply_to(call).await?.0)
    }

    /// Handles a message that opens a socket. Returns the reply of a refusal. Nothing is awaited between the turn that
    /// accepts the socket and its first message, so no change comes between what the message says and what follows it.
    pub(super) async fn open(
        self: &Rc<Self>,
        call: LedgerCall,
        socket: &JsValue,
    ) -> ActorResult<Option<LedgerEnvelope>> {
        let (envelope, accepted) = self.reply_to(call).await?;
        let Some(accepted) = accepted else { return Ok(Some(envelope)) };
        self.sockets().accept(socket, accepted.stream.id.as_str(), &accepted, &envelope)?;
        Ok(None)
    }

    async fn reply_to(self: &Rc<Self>, call: LedgerCall) -> ActorResult<(LedgerEnvelope, Option<Socket>)> {
        let now = platform::now();
        let limit = call.caller.as_ref().and_then(|caller| caller.requests_per_minute);
        let turned = self.turn(Event::Call(call))?;
        let counted = turned.counted;
        let (reply, accepted) = self.finish(turned.next, turned.accepted).await?;
        let envelope = self.machine.borrow_mut().envelop(reply, (limit, counted), self.store()?, now)?;
        Ok((envelope, accepted))
    }

    fn sockets(&self) -> ObjectSockets<'_> {
        ObjectSockets::new(&self.state)
    }

    /// Runs the alarm. Never fails: a failure is logged, and the alarm is set again.
    pub(super) async fn run_alarm(self: &Rc<Self>) {
        if self.turn_and_delete().await.is_err() {
            alerts::raise(Alert::LedgerAlarmFailed);
            if let Ok(store) = self.store() {
                let wait = if store.tables().are_too_new() { TOO_NEW_RETRY_MILLIS } else { ALARM_LATE_MILLIS };
                store.sql().set_alarm(self.machine.borrow_mut().retry_alarm(platform::now(), wait));
            }
        }
    }

    async fn turn_and_delete(self: &Rc<Self>) -> ActorResult<()> {
        if self.turn(Event::Alarm)?.change == AlarmChange::DeleteAll {
            self.state.storage().delete_all().await.map_err(|_| PlatformError)?;
            self.store()?.tables().forget();
            *self.machine.borrow_mut() = Machine::new(self.retention).with_events(self.sends_events);
        }
        Ok(())
    }

    /// Makes one turn. Nothing is awaited in it, so no other event sees a part of it.
    ///
    /// 1. Decide.
    /// 2. Store the writes in one transaction. If that fails, only the alarm is looked after.
    /// 3. Set the alarm.
    /// 4. Log the alerts, tell the sockets, and start the tasks. Each task runs under the object's own `wait_until`, so that no request and no
    ///    alarm awaits it.
    fn turn(self: &Rc<Self>, event: Event) -> ActorResult<Turned> {
        let (store, now) = (self.store()?, platform::now());
        let mut machine = self.machine.borrow_mut();
        // 1. and 2. Decide and store.
        let decided = machine
            .turn(event, store, &|| self.sockets().attached(), now, known_revoked_by())
            .map_err(PlatformError::from);
        let stored = decided.and_then(|effects| store.store(&effects.writes).map(|()| effects));
        let stored = stored.inspect_err(|_| machine.roll_back());
        // 3. The alarm.
        let change = machine.change_alarm(store, now);
        drop(machine);
        match change {
            Ok(AlarmChange::Set(at)) => store.sql().set_alarm(at),
            Ok(AlarmChange::SetUnlessEarlier(at)) => self.set_alarm_unless_earlier(at),
            Ok(AlarmChange::Keep | AlarmChange::DeleteAll) | Err(_) => {}
        }
        let effects = stored?;
        // 4. Alerts, sockets and tasks: also if the rows do not say when the alarm must fire. What is stored must be told.
        effects.alerts.into_iter().for_each(alerts::raise);
        if let Some(handing_over) = hand_over_alerts(&self.env) {
            self.state.wait_until(handing_over);
        }
        effects.notices.into_iter().for_each(|notice| self.notify(notice));
        if let Some(revoked_before) = effects.revoked_before {
            remember_revoked(revoked_before);
        }
        for task in effects.tasks {
            let this = Rc::clone(self);
            self.state.wait_until(async move {
                // The alarm repeats work that fails.
                let _ = this.finish(task, None).await;
            });
        }
        Ok(Turned { next: effects.next, change: change?, counted: effects.counted, accepted: effects.accepted })
    }

    /// Tells a socket. If that fails, the socket has just ended.
    fn notify(&self, notice: Notice) {
        let _ = match notice {
            Notice::Tell(socket, record) => {
                let message = LedgerEnvelope { rate: None, fresh_millis: None, reply: LedgerReply::Prediction(record) };
                self.sockets().tell(socket.stream.id.as_str(), &socket, &message)
            }
            Notice::Close(id, reason) => self.sockets().close(id.as_str(), reason.code()),
        };
    }

    fn set_alarm_unless_earlier(self: &Rc<Self>, at: UnixMillis) {
        let this = Rc::clone(self);
        self.state.wait_until(async move {
            let set_at = this.state.storage().get_alarm().await;
            let is_late = set_at.is_ok_and(|set_at| set_at.is_none_or(|set_at| set_at > at.0));
            if let (true, Ok(store)) = (is_late && this.machine.borrow().expects_alarm_at(at), this.store()) {
                store.sql().set_alarm(at);
            }
        });
    }

    /// Asks what a turn wants to know, and makes the turns that follow, until there is a reply. Returns it with the socket
    /// that its turn accepted.
    async fn finish(
        self: &Rc<Self>,
        mut next: Next,
        mut accepted: Option<Socket>,
    ) -> ActorResult<(LedgerReply, Option<Socket>)> {
        loop {
            let event = match next {
                Next::Reply(reply) => return Ok((reply, accepted)),
                Next::Continue(then) => Event::Resume(then, None),
                Next::Ask(question, then) => Event::Resume(then, self.ask(&question).await),
            };
            Turned { next, accepted, .. } = self.turn(event)?;
        }
    }

    async fn ask(&self, question: &Question) -> Option<Answer> {
        match question {
            Question::Dispatcher(request) => {
                ask_dispatcher(&self.env, request, DISPATCHER_ACK_TIMEOUT_MILLIS).await.ok().map(Answer::Dispatcher)
            }
            Question::Notify(notification) => {
                let deployment = deployment(&self.env).ok()?;
                let receiver = deployment.config.events_receiver.as_ref()?;
                Some(Answer::Notified(webhook_http::post(receiver, notification).await))
            }
            Question::RevokedBefore => revoked_by(&self.env, platform::now()).await.ok().map(Answer::RevokedBefore),
        }
    }
}
