//! One run of the demo: claims go in, a few at a time, and what becomes of them is read back.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::message::{BorrowedMessage, Message};
use thalweg_core::effect::Effect;
use thalweg_core::{Event, ScopeStatus, WorkflowStatus};
use thalweg_history::effects;

use super::claims;
use super::progress::Progress;
use super::summary::Summary;
use crate::connection::Connection;
use crate::decoder::Decoder;
use crate::error::CommandError;
use crate::health::{check_alive, waits_for};
use crate::history::status_after;
use crate::in_process_broker::{Burden, check_transactions};
use crate::inbox::Inbox;
use crate::output::count;
use crate::reading::{Polled, Span};

/// Claims that are under way at a time.
const IN_FLIGHT_MAX: usize = 64;
/// One wait for records.
const SLICE: Duration = Duration::from_millis(2);
/// Between two looks at the router.
const CHECK_INTERVAL: Duration = Duration::from_millis(200);
/// Between two looks whether the router is ready.
const READY_PAUSE: Duration = Duration::from_millis(20);
/// Without any record, or without a router that is ready, for so long something is wrong.
const STILL_MAX: Duration = Duration::from_secs(60);

/// What became of a claim so far.
#[derive(Clone, Debug)]
struct Claim {
    sent: Instant,
    waited: bool,
    answered: bool,
    ended: Option<(WorkflowStatus, Duration)>,
}

/// A run of the demo.
pub struct Run<'a> {
    connection: &'a Connection,
    inbox: Inbox<'a>,
    decoder: Decoder<'a>,
    total: u64,
    /// By number, those that were sent.
    claims: Vec<Claim>,
    in_flight: usize,
    /// What is read, each partition from its next record on.
    followed: Vec<Span>,
    events: u64,
    joins: u64,
    dead_letters: u64,
    burden: Option<Burden>,
    ready_after: Duration,
    took: Duration,
}

impl<'a> Run<'a> {
    /// A run of `total` claims; an in-process broker is watched.
    ///
    /// # Errors
    /// Where a topic is missing.
    pub fn new(connection: &'a Connection, total: u64, in_process: bool) -> Result<Run<'a>, CommandError> {
        Ok(Run {
            connection,
            inbox: Inbox::open(connection)?,
            decoder: Decoder::new(connection)?,
            total,
            claims: Vec::new(),
            in_flight: 0,
            followed: Vec::new(),
            events: 0,
            joins: 0,
            dead_letters: 0,
            burden: in_process.then(Burden::default),
            ready_after: Duration::ZERO,
            took: Duration::ZERO,
        })
    }

    /// Waits for the router, sends every claim and follows it to its end, or to the wait in which it is left.
    ///
    /// # Errors
    /// Where Kafka or the router fails, the in-process broker can't go on, or nothing moves any more.
    pub fn follow(&mut self, router: SocketAddr) -> Result<(), CommandError> {
        let mut progress = Progress::new();
        let began = Instant::now();
        self.begin_reading()?;
        await_router(router, &mut progress)?;
        let ready = Instant::now();
        let (mut heard, mut checked) = (ready, ready);
        while self.unsent() > 0 || self.in_flight > 0 {
            self.send()?;
            if let Polled::Record(message) = self.connection.poll(SLICE)? {
                heard = Instant::now();
                self.take(&message)?;
            }
            while self.inbox.acknowledged()?.is_some() {}
            if checked.elapsed() >= CHECK_INTERVAL {
                checked = Instant::now();
                check_alive(router)?;
                if self.burden.is_some() {
                    check_transactions()?;
                }
                if heard.elapsed() >= STILL_MAX {
                    return Err(self.still());
                }
            }
            progress.show(|| self.progress());
        }
        (self.ready_after, self.took) = (ready - began, ready.elapsed());
        Ok(())
    }

    /// Reads the channels and the dead letters from now on; of an in-process broker, all there is.
    fn begin_reading(&mut self) -> Result<(), CommandError> {
        let topics = self.connection.topics();
        let mut followed: Vec<&str> = topics.channel_topics().into_iter().collect();
        followed.push(topics.dead_letters());
        if self.burden.is_some() {
            followed.extend([topics.inbox(), topics.contexts()]);
        }
        self.followed = self.connection.spans(&self.connection.all_partitions(followed)?)?;
        for span in &mut self.followed {
            span.begin = span.end;
        }
        self.connection.start_at(self.followed.iter().map(|span| (span.topic.as_str(), span.partition, span.begin)))
    }

    /// What it came to. The end of the last claim may have been read before other events of it, so what is left is read
    /// with `connection`.
    ///
    /// # Errors
    /// Where it can't be read.
    pub fn summary(mut self, connection: &Connection) -> Result<Summary, CommandError> {
        let mut rest = std::mem::take(&mut self.followed);
        let partitions: Vec<(&str, i32)> = rest.iter().map(|span| (span.topic.as_str(), span.partition)).collect();
        let now = connection.spans(&partitions)?;
        for (span, now) in rest.iter_mut().zip(now) {
            span.end = now.end;
        }
        connection.read_to_end(&rest, |message| self.take(message))?;
        Ok(self.summed_up())
    }

    fn unsent(&self) -> u64 {
        self.total - self.claims.len() as u64
    }

    fn send(&mut self) -> Result<(), CommandError> {
        while self.in_flight < IN_FLIGHT_MAX && self.unsent() > 0 {
            let number = self.claims.len() as u64;
            self.claims.push(Claim { sent: Instant::now(), waited: false, answered: false, ended: None });
            self.in_flight += 1;
            self.inbox.begin(Some(&claims::execution_id(number)), &claims::start(number))?;
        }
        Ok(())
    }

    fn take(&mut self, message: &BorrowedMessage) -> Result<(), CommandError> {
        let here = |span: &&mut Span| span.partition == message.partition() && span.topic == message.topic();
        if let Some(span) = self.followed.iter_mut().find(here) {
            span.begin = message.offset() + 1;
        }
        if let Some(burden) = &mut self.burden {
            burden.add(message)?;
        }
        let topics = self.connection.topics();
        if message.topic() == topics.dead_letters() {
            self.dead_letters += 1;
            return Ok(());
        }
        if message.topic() == topics.inbox() || message.topic() == topics.contexts() {
            return Ok(());
        }
        match message.payload() {
            Some(value) => self.take_event(&self.decoder.event(value)?),
            None => Ok(()),
        }
    }

    fn take_event(&mut self, event: &Event) -> Result<(), CommandError> {
        self.events += 1;
        for effect in effects(event) {
            match effect {
                Effect::ScopeClosed(closed) if closed.status == ScopeStatus::Joined => self.joins += 1,
                Effect::WaitAdded(wait) => self.waits(&event.execution_id, &wait.event_type)?,
                _ => {}
            }
        }
        if let Some(status) = status_after(event).filter(|status| status.is_closed())
            && let Some(claim) = self.claim(&event.execution_id)
            && claim.ended.is_none()
        {
            claim.ended = Some((status, claim.sent.elapsed()));
            self.left();
        }
        Ok(())
    }

    /// A claim waits: it is answered, or left.
    fn waits(&mut self, execution_id: &str, event_type: &str) -> Result<(), CommandError> {
        let answered = claims::number(execution_id).is_some_and(claims::is_answered);
        let Some(claim) = self.claim(execution_id) else { return Ok(()) };
        claim.waited = true;
        if answered {
            claim.answered = true;
            return self.inbox.begin(Some(execution_id), &claims::answer(event_type));
        }
        self.left();
        Ok(())
    }

    fn claim(&mut self, execution_id: &str) -> Option<&mut Claim> {
        self.claims.get_mut(usize::try_from(claims::number(execution_id)?).ok()?)
    }

    /// A claim is under way no more.
    fn left(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    fn completed(&self) -> impl Iterator<Item = &Claim> {
        self.claims.iter().filter(|claim| matches!(claim.ended, Some((WorkflowStatus::Success, _))))
    }

    fn progress(&self) -> String {
        let waiting = self.claims.iter().filter(|claim| claim.waited && claim.ended.is_none()).count();
        format!(
            "{} of {} claims completed, {} waiting, {} in flight, {} events",
            count(self.completed().count() as u64),
            count(self.total),
            count(waiting as u64),
            self.in_flight,
            count(self.events),
        )
    }

    fn still(&self) -> CommandError {
        CommandError::Failed(format!(
            "nothing has moved for {} s: {}, {} dead letters\nsee `thalweg dead-letters list --brokers {} \
             --namespace {}`",
            STILL_MAX.as_secs(),
            self.progress(),
            self.dead_letters,
            self.connection.config().brokers,
            self.connection.config().namespace,
        ))
    }

    fn summed_up(self) -> Summary {
        let mut kinds: BTreeMap<&'static str, u64> = BTreeMap::new();
        for number in 0..self.total {
            *kinds.entry(claims::kind_name(claims::kind(number))).or_default() += 1;
        }
        let mut latencies: Vec<Duration> =
            self.completed().filter(|claim| !claim.waited).filter_map(|claim| Some(claim.ended?.1)).collect();
        latencies.sort_unstable();
        let number = |claims: usize| claims as u64;
        Summary {
            claims: self.total,
            kinds,
            completed: number(self.completed().count()),
            resumed: number(self.completed().filter(|claim| claim.answered).count()),
            waiting: number(self.claims.iter().filter(|claim| claim.waited && claim.ended.is_none()).count()),
            failed: number(self.claims.iter().filter(|claim| claim.ended.is_some()).count() - self.completed().count()),
            joins: self.joins,
            dead_letters: self.dead_letters,
            events: self.events,
            ready_after: self.ready_after,
            took: self.took,
            in_flight_max: IN_FLIGHT_MAX,
            latencies,
            shown: claims::execution_id(claims::shown(self.total)),
        }
    }
}

/// Waits until the router serves every partition.
fn await_router(admin: SocketAddr, progress: &mut Progress) -> Result<(), CommandError> {
    let deadline = Instant::now() + STILL_MAX;
    loop {
        check_alive(admin)?;
        let Some(reason) = waits_for(admin)? else { return Ok(()) };
        if Instant::now() >= deadline {
            return Err(CommandError::Failed(format!("the router is not ready: {reason}")));
        }
        progress.show(|| format!("waiting for the router: {reason}"));
        thread::sleep(READY_PAUSE);
    }
}
