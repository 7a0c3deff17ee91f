//! Handles inbox records as a router does, and keeps what it would write.

use std::collections::{BTreeMap, HashMap};
use std::task::{self, Poll, Waker};

use thalweg_core::apply::{Action, DeadLetter, Step, drive};
use thalweg_core::codec::Schemas;
use thalweg_core::inbound::{self, Inbound, InboxRecord, Reading, Refusal};
use thalweg_core::task::{TaskCall, TaskRun};
use thalweg_core::{Channel, EmptyStore, Execution, Limits, Micros, Workflows, partition_of};

use crate::oracle::{Observed, Position, Record, TopicNames};

const PARTITIONS: i32 = 2;
/// Microseconds between two looks at the clock.
const TICK: Micros = 1000;

pub struct Router {
    names: TopicNames,
    schemas: Schemas,
    workflows: Workflows,
    limits: Limits,
    now: Micros,
    executions: HashMap<String, Execution>,
    next_offsets: BTreeMap<(String, i32), i64>,
    written: Vec<Record>,
}

type Headers<'a> = &'a [(&'a str, &'a str)];

impl Router {
    pub fn new(namespace: &str, begun: Micros) -> Router {
        Router {
            names: TopicNames::of(namespace, PARTITIONS),
            schemas: Schemas::new().unwrap(),
            workflows: Workflows::new().with(super::workflow::workflow()),
            limits: Limits { step_max_events: 5, early_start_ttl_ms: 0, ..Limits::default() },
            now: super::BEGUN + begun,
            executions: HashMap::new(),
            next_offsets: BTreeMap::new(),
            written: Vec::new(),
        }
    }

    /// An outsider sends a record, and it is handled.
    pub fn send(&mut self, key: &str, value: &str) {
        self.arrive(partition_of(key.as_bytes(), PARTITIONS), key, value, &[("trace", "t-1")]);
    }

    /// The same to a partition that is not that of its key.
    pub fn send_astray(&mut self, key: &str, value: &str) {
        self.arrive(1 - partition_of(key.as_bytes(), PARTITIONS), key, value, &[]);
    }

    /// Handles what the execution has pending, step by step.
    pub fn go_on(&mut self, execution_id: &str) {
        while self.executions[execution_id].has_queued() {
            self.step(execution_id, None, None);
        }
    }

    /// All that was written.
    pub fn observed(mut self) -> Observed {
        self.write_contexts();
        let mut observed = Observed::new(&self.names).unwrap();
        for partition in 0..PARTITIONS {
            let end = self.next_offsets[&(self.names.inbox.clone(), partition)];
            observed.committed.insert(partition, end);
            observed.inbox_ends.insert(partition, end);
        }
        self.written.into_iter().for_each(|record| observed.take(record));
        observed.events.sort_by(|a, b| a.position.cmp(&b.position));
        observed
    }

    fn arrive(&mut self, partition: i32, key: &str, value: &str, headers: Headers) {
        let topic = self.names.inbox.clone();
        let record = self.write(&topic, partition, Some(key.as_bytes()), value.as_bytes().to_vec(), headers);
        let position = record.position.to_string();
        let inbox_record = InboxRecord {
            topic: &topic,
            partition,
            offset: record.position.offset,
            timestamp: record.timestamp,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            origin: record.header("origin"),
            redrive: 0,
            headers: &record.headers,
        };
        match inbound::read(&inbox_record, PARTITIONS, &self.schemas, &self.limits) {
            Ok(Reading::Event(inbound)) => {
                let execution_id = inbound.event.execution_id.clone();
                self.step(&execution_id, Some(*inbound), Some(&record));
            }
            Ok(Reading::Elsewhere { partition, execution_id, event_id }) => {
                let headers = [("input", position.as_str()), ("origin", &position), ("event_id", &event_id)];
                self.arrive(partition, &execution_id, value, &headers);
            }
            Err(refusal) => self.refuse(&record, &refusal, &[]),
        }
    }

    fn step(&mut self, execution_id: &str, inbound: Option<Inbound>, record: Option<&Record>) {
        self.now += TICK;
        let mut execution = self.executions.remove(execution_id).unwrap_or_else(|| Execution::unknown(execution_id));
        let step = Step { now: self.now, workflows: &self.workflows, limits: &self.limits, store: &EmptyStore };
        let actions = drive(&mut execution, inbound, &step, &mut run_now, &mut || false);
        self.executions.insert(execution_id.to_owned(), execution);
        for action in actions {
            match action {
                Action::Publish(event, input) => {
                    let channel: Channel = event.channel.parse().unwrap();
                    let topic = self.names.channels[&channel].clone();
                    let value = self.schemas.write_event(&event).unwrap();
                    let headers: Vec<(&str, &str)> = input.iter().map(|input| ("input", input.as_str())).collect();
                    self.write_keyed(&topic, execution_id, value, &headers);
                }
                Action::DeadLetter(letter) => self.bury(&letter, record),
                Action::RunTask(_) | Action::Send(_) | Action::Duplicate | Action::Notice(_) => {}
            }
        }
    }

    fn bury(&mut self, letter: &DeadLetter, record: Option<&Record>) {
        let event = &letter.event;
        let names = [("execution_id", event.execution_id.as_str()), ("event_id", event.event_id.as_str())];
        match (&letter.task_id, record) {
            (None, Some(record)) => {
                let refusal = Refusal::new(letter.code, letter.message.clone());
                self.refuse(record, &refusal, &names);
            }
            (Some(task), _) => {
                let why = [("code", letter.code.as_str()), ("task", task.as_str()), names[0], names[1]];
                let topic = self.names.dead_letters.clone();
                let value = self.schemas.write_event(event).unwrap();
                self.write_keyed(&topic, &event.execution_id, value, &why);
            }
            (None, None) => panic!("only an input is refused"),
        }
    }

    fn refuse(&mut self, record: &Record, refusal: &Refusal, names: Headers) {
        let position = record.position.to_string();
        let mut headers = vec![
            ("input", position.as_str()),
            ("origin", record.header("origin").unwrap_or(&position)),
            ("code", refusal.code.as_str()),
            ("message", &refusal.message),
        ];
        headers.extend(names);
        headers.extend(record.header("trace").map(|trace| ("trace", trace)));
        let topic = self.names.dead_letters.clone();
        let (partition, value) = (record.position.partition, record.value.clone().unwrap());
        self.write(&topic, partition, record.key.as_deref(), value, &headers);
    }

    fn write_contexts(&mut self) {
        let topic = self.names.contexts.clone();
        let mut changed = Vec::new();
        for (id, execution) in &mut self.executions {
            for (key, value) in execution.changed_records(&self.schemas).unwrap() {
                changed.push((id.clone(), self.schemas.write_key(&key).unwrap(), value));
            }
        }
        for (id, key, value) in changed {
            self.write(&topic, partition_of(id.as_bytes(), PARTITIONS), Some(&key), value, &[]);
        }
    }

    fn write_keyed(&mut self, topic: &str, key: &str, value: Vec<u8>, headers: Headers) {
        self.write(topic, partition_of(key.as_bytes(), PARTITIONS), Some(key.as_bytes()), value, headers);
    }

    fn write(&mut self, topic: &str, partition: i32, key: Option<&[u8]>, value: Vec<u8>, headers: Headers) -> Record {
        let next = self.next_offsets.entry((topic.to_owned(), partition)).or_default();
        let record = Record {
            position: Position::new(topic, partition, *next),
            timestamp: self.now,
            key: key.map(<[u8]>::to_vec),
            value: Some(value),
            headers: headers.iter().map(|(name, text)| (str::to_owned(name), Some(text.as_bytes().to_vec()))).collect(),
        };
        *next += 1;
        self.written.push(record.clone());
        record
    }
}

fn run_now(call: TaskCall) -> TaskRun {
    let TaskCall { task, event, mut context } = call;
    let mut future = task.handle_event(&event, &mut context);
    let polled = future.as_mut().poll(&mut task::Context::from_waker(Waker::noop()));
    drop(future);
    let result = match polled {
        Poll::Ready(Ok(outcome)) => Ok((outcome, context.data)),
        Poll::Ready(Err(error)) => Err(error.into()),
        Poll::Pending => panic!("these tasks await nothing"),
    };
    TaskRun { result, duration_ms: 0.0 }
}
