//! The workflows of the test router: the sample, and one for each behaviour that a case needs.

use std::time::Duration;

use serde_json::json;
use thalweg_core::approval::{DECIDED, Interrupt};
use thalweg_core::child::COMPLETED;
use thalweg_core::inbound::STARTED;
use thalweg_core::timer::WAITING_TIMED_OUT;
use thalweg_core::{
    Channel, Event, FanOut, ForEach, Items, JoinPolicy, NewChild, NewEvent, NewTimer, OnFailure, Outcome,
    ParentClosePolicy, Pattern, RetryPolicy, Task, TaskContext, TaskError, WaitFor, Workflow, Workflows, async_trait,
};

/// All of them.
pub fn all() -> Workflows {
    Workflows::new()
        .with(claims::workflow())
        .with(linear())
        .with(counter())
        .with(endless())
        .with(chain())
        .with(misbehaving())
        .with(checks())
        .with(mended())
        .with(nested())
        .with(reminders())
        .with(flaky())
        .with(patient())
        .with(approval())
        .with(contest())
        .with(each())
        .with(office())
        .with(watched())
        .with(metered())
        .with(payment())
        .with(travel())
        .with(booking())
        .with(rounds())
        .with(research())
        .with(author())
        .with(strict())
}

type Handling = fn(&Event, &mut TaskContext) -> Result<Outcome, TaskError>;

struct Handler {
    id: &'static str,
    on: Vec<Pattern>,
    handle: Handling,
}

#[async_trait]
impl Task for Handler {
    fn task_id(&self) -> &str {
        self.id
    }
    fn handles_events(&self) -> &[Pattern] {
        &self.on
    }
    async fn handle_event(&self, event: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
        (self.handle)(event, context)
    }
}

fn on(id: &'static str, event_type: &str, handle: Handling) -> Handler {
    Handler { id, on: vec![Pattern::new(event_type)], handle }
}

/// Three tasks in a row.
fn linear() -> Workflow {
    Workflow::new("linear", "1")
        .task(on("first", STARTED, |_, _| Ok(Outcome::new().emit(NewEvent::new("first.done", json!({"n": 1}))))))
        .task(on("second", "first.done", |_, context| {
            context.data["second"] = json!({"ran": true});
            Ok(Outcome::new().emit(NewEvent::new("second.done", json!({}))))
        }))
        .task(on("third", "second.done", |_, context| Ok(Outcome::new().complete(context.data.clone()))))
}

/// Counts `count.up`; ends with `count.stop`.
fn counter() -> Workflow {
    Workflow::new("counter", "1")
        .task(on("up", "count.up", |_, context| {
            let seen = context.data["seen"].as_i64().unwrap_or(0);
            context.data["seen"] = json!(seen + 1);
            Ok(Outcome::new())
        }))
        .task(on("stop", "count.stop", |_, context| Ok(Outcome::new().complete(context.data["seen"].clone()))))
}

/// Emits its own trigger for ever.
fn endless() -> Workflow {
    Workflow::new("endless", "1")
        .task(on("begin", STARTED, |_, _| Ok(Outcome::new().emit(NewEvent::new("again", json!({}))))))
        .task(on("again", "again", |_, _| Ok(Outcome::new().emit(NewEvent::new("again", json!({}))))))
}

/// A chain of as many links as data.links says, each of data.link_ms milliseconds of blocking work, then the end.
fn chain() -> Workflow {
    fn next(context: &mut TaskContext) -> Result<Outcome, TaskError> {
        let done = context.data["done"].as_i64().unwrap_or(0);
        let work = Duration::from_millis(context.data["link_ms"].as_u64().unwrap_or(0));
        std::thread::park_timeout(work);
        if done >= context.data["links"].as_i64().unwrap_or(0) {
            return Ok(Outcome::new().complete(json!({"done": done})));
        }
        context.data["done"] = json!(done + 1);
        Ok(Outcome::new().emit(NewEvent::new("link", json!({"number": done + 1}))))
    }
    Workflow::new("chain", "1").task(on("begin", STARTED, |_, context| next(context))).task(on(
        "link",
        "link",
        |_, context| next(context),
    ))
}

/// Fans out to two branches, joins, waits for `approved`, and completes.
fn checks() -> Workflow {
    Workflow::new("checks", "1")
        .task(on("open", STARTED, |_, _| {
            let checks = FanOut::new("checks")
                .then("checks.joined")
                .branch_until("left", NewEvent::command("left.requested", json!({})), "left.done")
                .branch("right", NewEvent::command("right.requested", json!({})));
            Ok(Outcome::new().fan_out(checks))
        }))
        .task(on("left", "left.requested", |_, _| Ok(Outcome::new().emit(NewEvent::new("left.done", json!({"l": 1}))))))
        .task(on("right", "right.requested", |_, context| {
            context.data["right"] = json!(true);
            Ok(Outcome::new().result(json!({"r": 2})))
        }))
        .task(on("joined", "checks.joined", |_, _| Ok(Outcome::new().wait_for(WaitFor::event("approved")))))
        .task(on("approved", "approved", |event, _| Ok(Outcome::new().complete(event.payload_value()))))
}

/// Fans out, and in one of the branches again, where a branch waits for `answered`.
fn nested() -> Workflow {
    fn command(event_type: &str) -> NewEvent {
        NewEvent::command(event_type, json!({}))
    }
    Workflow::new("nested", "1")
        .task(on("open", STARTED, |_, _| {
            let outer = FanOut::new("outer").then("outer.joined").branch("quick", command("quick.requested"));
            Ok(Outcome::new().fan_out(outer.branch("deep", command("deep.requested"))))
        }))
        .task(on("quick", "quick.requested", |_, context| {
            context.data["quick"] = json!(true);
            Ok(Outcome::new().result(json!({"q": 1})))
        }))
        .task(on("deep", "deep.requested", |_, _| {
            let inner = FanOut::new("inner").then("inner.joined").branch("done", command("done.requested"));
            Ok(Outcome::new().fan_out(inner.branch("asks", command("asks.requested"))))
        }))
        .task(on("done", "done.requested", |_, _| Ok(Outcome::new().result(json!({"d": 2})))))
        .task(on("asks", "asks.requested", |_, _| Ok(Outcome::new().wait_for(WaitFor::event("answered")))))
        .task(on("answer", "answered", |event, context| {
            context.data["answer"] = event.payload_value()["answer"].clone();
            Ok(Outcome::new().result(event.payload_value()))
        }))
        .task(on(
            "inner",
            "inner.joined",
            |event, _| Ok(Outcome::new().result(event.payload_value()["counts"].clone())),
        ))
        .task(on("outer", "outer.joined", |_, context| Ok(Outcome::new().complete(context.data.clone()))))
}

/// Sets data.timers timers for data.delay_ms milliseconds, and completes with the number of those that fired.
fn reminders() -> Workflow {
    Workflow::new("reminders", "1")
        .task(on("set", STARTED, |_, context| {
            let delay = Duration::from_millis(context.data["delay_ms"].as_u64().unwrap_or(0));
            let timers = context.data["timers"].as_u64().unwrap_or(0);
            let set = |outcome: Outcome, n| {
                outcome.timer(NewTimer::after("reminder", delay, NewEvent::new("reminder.due", json!({"n": n}))))
            };
            Ok((0..timers).fold(Outcome::new(), set))
        }))
        .task(on("remind", "reminder.due", |_, context| {
            let seen = context.data["seen"].as_u64().unwrap_or(0) + 1;
            context.data["seen"] = json!(seen);
            let all = context.data["timers"].as_u64() == Some(seen);
            Ok(if all { Outcome::new().complete(json!(seen)) } else { Outcome::new() })
        }))
}

/// Fails with BUSY before attempt data.works_at; tried four times, with delays of data of its policy.
fn flaky() -> Workflow {
    let policy = RetryPolicy::attempts(4).backoff(Duration::from_millis(300), 2.0, Duration::from_secs(1)).jitter(0.2);
    Workflow::new("flaky", "1")
        .task(Retried(
            on("flaky", STARTED, |_, context| {
                if i64::from(context.attempt) < context.data["works_at"].as_i64().unwrap_or(1) {
                    return Err(TaskError::new("BUSY", "not yet"));
                }
                Ok(Outcome::new().emit(NewEvent::new("worked", json!({"attempt": context.attempt}))))
            }),
            policy,
        ))
        .task(on("beside", STARTED, |_, context| count(context, "beside")))
        .task(on("done", "worked", |event, context| {
            context.data["attempt"] = event.payload_value()["attempt"].clone();
            Ok(Outcome::new().complete(context.data.clone()))
        }))
}

/// A task with a retry policy.
struct Retried(Handler, RetryPolicy);

#[async_trait]
impl Task for Retried {
    fn task_id(&self) -> &str {
        self.0.task_id()
    }
    fn handles_events(&self) -> &[Pattern] {
        self.0.handles_events()
    }
    fn retry_policy(&self) -> &RetryPolicy {
        &self.1
    }
    async fn handle_event(&self, event: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
        self.0.handle_event(event, context).await
    }
}

/// Waits data.ms milliseconds for `answer`, then goes on with `default` where data.default says so; raises an alert.
fn patient() -> Workflow {
    Workflow::new("patient", "1")
        .task(on("ask", STARTED, |_, context| {
            let wait =
                WaitFor::event("answer").timeout(Duration::from_millis(context.data["ms"].as_u64().unwrap_or(0)));
            let then = context.data["default"].as_bool() == Some(true);
            let wait = if then { wait.on_timeout(NewEvent::new("default", json!({}))) } else { wait };
            Ok(Outcome::new().wait_for(wait))
        }))
        .task(on("answered", "answer", |_, _| Ok(Outcome::new().complete(json!("answer")))))
        .task(on("defaulted", "default", |_, _| Ok(Outcome::new().complete(json!("default")))))
        .task(on("alert", WAITING_TIMED_OUT, |_, _| {
            let alert = NewEvent::new("alert.raised", json!({}));
            Ok(Outcome::new().emit(alert.on(Channel::NotificationEvents)))
        }))
}

/// Waits for `approval.given` once `approval.asked` has come; what is given before is kept.
fn approval() -> Workflow {
    Workflow::new("approval", "1")
        .awaits("approval.given")
        .task(on("ask", "approval.asked", |_, _| Ok(Outcome::new().wait_for(WaitFor::event("approval.given")))))
        .task(on("given", "approval.given", |event, _| Ok(Outcome::new().complete(event.payload_value()))))
}

/// Fans out to as many branches as data.runners says, by data.policy; each waits for `finished`, whose payload ends it.
fn contest() -> Workflow {
    Workflow::new("contest", "1")
        .task(on("begin", STARTED, |_, context| {
            let policy: JoinPolicy = serde_json::from_value(context.data["policy"].clone())
                .map_err(|error| TaskError::new("NO_POLICY", error.to_string()))?;
            let fan_out = FanOut::new("contest").policy(policy).then("contest.won").or_else("contest.lost");
            let fan_out = match context.data["timeout_ms"].as_u64() {
                Some(timeout_ms) => fan_out.timeout(Duration::from_millis(timeout_ms)),
                None => fan_out,
            };
            let runners = 0..context.data["runners"].as_u64().unwrap_or(0);
            let runner = |fan_out: FanOut, number: u64| {
                fan_out
                    .branch(&format!("runner-{number}"), NewEvent::command("run.requested", json!({"number": number})))
            };
            Ok(Outcome::new().fan_out(runners.fold(fan_out, runner)))
        }))
        .task(on("run", "run.requested", |_, _| Ok(Outcome::new().wait_for(WaitFor::event("finished")))))
        .task(on("finish", "finished", |event, context| {
            context.data["finished"] = json!(context.data["finished"].as_i64().unwrap_or(0) + 1);
            let payload = event.payload_value();
            let fails = payload["fails"] == true;
            Ok(if fails { Outcome::new().fail("FELL", "it fell") } else { Outcome::new().complete_branch(payload) })
        }))
        .task(on("won", "contest.won", |_, _| Ok(Outcome::new().wait_for(WaitFor::event("close")))))
        .task(on("lost", "contest.lost", |_, _| Ok(Outcome::new().wait_for(WaitFor::event("close")))))
        .task(on("close", "close", |_, context| Ok(Outcome::new().complete(context.data.clone()))))
}

/// A branch for each of data.items, whose end comes from outside.
fn each() -> Workflow {
    Workflow::new("each", "1")
        .task(on("begin", STARTED, |event, _| {
            let items: Items = serde_json::from_value(event.payload_value()["items"].clone())
                .map_err(|error| TaskError::new("NO_ITEMS", error.to_string()))?;
            let each = ForEach::new(items, "item.requested").until("item.done");
            Ok(Outcome::new().fan_out(FanOut::new("items").then("items.done").for_each(each)))
        }))
        .task(on("ask", "item.requested", |_, _| Ok(Outcome::new())))
        .task(on("done", "items.done", |event, _| Ok(Outcome::new().complete(event.payload_value()["counts"].clone()))))
}

/// A handler of `a.*` that fails beside one of everything; ends with `close`.
fn watched() -> Workflow {
    Workflow::new("watched", "1").task(Reporting([Pattern::new("a.*")])).task(on(
        "everything",
        "*",
        |event, context| {
            let seen = context.data[&event.event_type].as_i64().unwrap_or(0);
            context.data[&event.event_type] = json!(seen + 1);
            let ends = event.event_type == "close";
            Ok(if ends { Outcome::new().complete(context.data.clone()) } else { Outcome::new() })
        },
    ))
}

struct Reporting([Pattern; 1]);

#[async_trait]
impl Task for Reporting {
    fn task_id(&self) -> &str {
        "reporting"
    }
    fn handles_events(&self) -> &[Pattern] {
        &self.0
    }
    fn on_failure(&self) -> OnFailure {
        OnFailure::Report
    }
    async fn handle_event(&self, _: &Event, _: &mut TaskContext) -> Result<Outcome, TaskError> {
        Err(TaskError::new("OWN_CODE", "it fails on purpose"))
    }
}

/// Uses what each `model.called` says.
fn metered() -> Workflow {
    Workflow::new("metered", "1").task(on("model", "model.called", |event, _| {
        let usage =
            serde_json::from_value(event.payload_value()).map_err(|e| TaskError::new("USAGE", e.to_string()))?;
        Ok(Outcome::new().usage(usage))
    }))
}

/// Asks before it pays data.amount.
fn payment() -> Workflow {
    Workflow::new("payment", "1")
        .task(on("ask", STARTED, |_, context| {
            let state_for_review = json!({"amount": context.data["amount"]});
            let tool_name = context.data["tool"].as_str().map(str::to_owned);
            Ok(Outcome::new().interrupt(Interrupt { state_for_review, tool_name, ..Interrupt::new("it is much") }))
        }))
        .task(on("pay", DECIDED, |_, context| {
            Ok(Outcome::new().emit(NewEvent::command("payment.requested", context.data["amount"].clone())))
        }))
        .task(on("paid", "payment.requested", |event, _| Ok(Outcome::new().complete(event.payload_value()))))
}

/// Books each of its legs by a child, and is done once all are booked.
fn travel() -> Workflow {
    Workflow::new("travel", "1")
        .task(on("book", STARTED, |_, context| {
            let policy = context.data["policy"].as_str().and_then(|policy| policy.parse().ok());
            let workflow = context.data["workflow"].as_str().unwrap_or("booking").to_owned();
            let book = |number| {
                let mut leg = context.data["leg"].clone();
                leg["number"] = json!(number);
                NewChild::new(&workflow, leg).on_parent_close(policy.unwrap_or(ParentClosePolicy::Cancel))
            };
            let legs = context.data["legs"].as_u64().unwrap_or(0);
            Ok((0..legs).map(book).fold(Outcome::new(), Outcome::start_child))
        }))
        .task(on("booked", COMPLETED, |event, context| {
            let total =
                context.data["total"].as_u64().unwrap_or(0) + event.payload_value()["number"].as_u64().unwrap_or(0);
            context.data["total"] = json!(total);
            count(context, "booked")?;
            let is_last = context.data["booked"].as_u64() == context.data["legs"].as_u64();
            Ok(if is_last { Outcome::new().complete(json!(total)) } else { Outcome::new() })
        }))
}

fn booking() -> Workflow {
    Workflow::new("booking", "1")
        .task(on("reserve", STARTED, |_, context| {
            Ok(match (context.data["waits"].as_bool(), context.data["fails"].as_bool()) {
                (Some(true), _) => Outcome::new().wait_for(WaitFor::event("confirmed")),
                (_, Some(true)) => Outcome::new().fail("SOLD_OUT", "no seat is left"),
                _ => Outcome::new().complete(json!({"number": context.data["number"]})),
            })
        }))
        .task(on("confirm", "confirmed", |_, _| Ok(Outcome::new().complete(json!({})))))
}

/// Two desks: each answers when it is asked, one after the other.
fn office() -> Workflow {
    Workflow::new("office", "1")
        .task(on("open", STARTED, |_, _| Ok(Outcome::new().wait_for(WaitFor::event("form.filled")))))
        .task(on("first", "form.filled", |_, _| {
            Ok(Outcome::new().emit(NewEvent::command("stamp.requested", json!({}))))
        }))
        .task(on("second", "stamp.requested", |_, context| {
            context.data["stamped"] = json!(true);
            Ok(Outcome::new().wait_for(WaitFor::event("close")))
        }))
        .task(on("close", "close", |_, context| Ok(Outcome::new().complete(context.data.clone()))))
}

/// Does what data.way says: panics, blocks, awaits for ever, or fails; another task handles the same event well.
fn misbehaving() -> Workflow {
    Workflow::new("misbehaving", "1").task(Misbehaving(vec![Pattern::new(STARTED)])).task(on(
        "well",
        STARTED,
        |_, context| {
            context.data["well"] = json!(true);
            Ok(Outcome::new())
        },
    ))
}

struct Misbehaving(Vec<Pattern>);

#[async_trait]
impl Task for Misbehaving {
    fn task_id(&self) -> &str {
        "misbehaving"
    }
    fn handles_events(&self) -> &[Pattern] {
        &self.0
    }
    async fn handle_event(&self, _: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
        context.data["touched"] = json!(true);
        match context.data["way"].as_str() {
            Some("panic") => panic!("on purpose"),
            Some("block") => std::thread::park_timeout(Duration::from_millis(1500)),
            Some("await") => std::future::pending().await,
            _ => return Err(TaskError::new("OWN_CODE", "it fails on purpose")),
        }
        Ok(Outcome::new())
    }
}

/// The router's task `assess` gives up until there is a file of this name.
pub const MENDED: &str = "THALWEG_TEST_MENDED";

/// Has a task that gives up until it is mended: in a row of tasks, or, as data.way says, in a branch of a fan-out, or
/// in one of a fan-out within.
fn mended() -> Workflow {
    Workflow::new("mended", "1")
        .task(on("begin", STARTED, |_, context| match context.data["way"].as_str() {
            Some(way) => Ok(Outcome::new().fan_out(
                FanOut::new("parts")
                    .then("parts.joined")
                    .branch("broken", NewEvent::command(&format!("{way}.requested"), json!({})))
                    .branch("sound", NewEvent::command("count.requested", json!({})))
                    .branch_until("asked", NewEvent::command("asked.requested", json!({})), "asked.answered"),
            )),
            None => Ok(Outcome::new().emit(NewEvent::command("assess.requested", json!({"claim": 1.50})))),
        }))
        .task(on("within", "within.requested", |_, _| {
            Ok(Outcome::new().fan_out(
                FanOut::new("within")
                    .then("within.joined")
                    .branch("broken", NewEvent::command("assess.requested", json!({})))
                    .branch("sound", NewEvent::command("count.requested", json!({}))),
            ))
        }))
        .task(on("count", "count.requested", |_, context| count(context, "counted")))
        .task(on("beside", "assess.requested", |_, context| count(context, "beside")))
        .task(on("assess", "assess.requested", |event, context| {
            context.data["assessed"] = json!(context.data["assessed"].as_i64().unwrap_or(0) + 1);
            if !std::env::var(MENDED).is_ok_and(|file| std::path::Path::new(&file).exists()) {
                return Err(TaskError::new("BROKEN", "it is not mended yet"));
            }
            Ok(Outcome::new().emit(NewEvent::new("assessed", event.payload_value())))
        }))
        .task(on("answer", "asked.requested", |_, _| {
            Ok(Outcome::new().emit(NewEvent::answer("asked.answered", json!({"yes": true}))))
        }))
        .task(on("after", "assessed", |event, context| {
            context.data["after"] = event.payload_value();
            let whole = event.branch.is_none();
            Ok(if whole {
                Outcome::new().complete(context.data.clone())
            } else {
                Outcome::new().result(json!("after"))
            })
        }))
        .task(on("within_joined", "within.joined", |_, _| Ok(Outcome::new().complete_branch(json!("within")))))
        .task(on("joined", "parts.joined", |_, context| Ok(Outcome::new().complete(context.data.clone()))))
}

fn count(context: &mut TaskContext, name: &str) -> Result<Outcome, TaskError> {
    context.data[name] = json!(context.data[name].as_i64().unwrap_or(0) + 1);
    Ok(Outcome::new())
}

/// Continues as new after each round, as many as data.rounds says, and ends with `enough`, for which it waits from its
/// start.
fn rounds() -> Workflow {
    Workflow::new("rounds", "1")
        .task(on("begin", STARTED, |_, context| {
            let count = context.data["count"].as_u64().unwrap_or(0) + 1;
            context.data["count"] = json!(count);
            let begun = Outcome::new().emit(NewEvent::new("round", json!({})));
            Ok(if count == 1 { begun.wait_for(WaitFor::event("enough")) } else { begun })
        }))
        .task(on("round", "round", |_, context| {
            let is_over = context.data["count"] == context.data["rounds"];
            Ok(if is_over { Outcome::new() } else { Outcome::new().continue_as_new() })
        }))
        .task(on("enough", "enough", |_, context| Ok(Outcome::new().complete(context.data.clone()))))
}

/// Asks three agents at once, who answer from outside, and ends with what they said.
fn research() -> Workflow {
    Workflow::new("research", "1")
        .task(on("ask", STARTED, |_, _| {
            let search = || NewEvent::command("search.requested", json!({}));
            let searches =
                ["a", "b", "c"].into_iter().fold(FanOut::new("searches").then("searches.joined"), |all, name| {
                    all.branch_until(name, search(), "search.done")
                });
            Ok(Outcome::new().fan_out(searches))
        }))
        .task(on("search", "search.requested", |_, _| Ok(Outcome::new())))
        .task(on("joined", "searches.joined", |event, _| {
            Ok(Outcome::new().complete(event.payload_value()["results"].clone()))
        }))
}

/// An agent that takes its time over each page.
struct Writer([Pattern; 1]);

#[async_trait]
impl Task for Writer {
    fn task_id(&self) -> &str {
        "write"
    }
    fn handles_events(&self) -> &[Pattern] {
        &self.0
    }
    fn agent(&self) -> Option<&str> {
        Some("writer")
    }
    fn on_failure(&self) -> OnFailure {
        OnFailure::Report
    }
    async fn handle_event(&self, event: &Event, _: &mut TaskContext) -> Result<Outcome, TaskError> {
        std::thread::park_timeout(Duration::from_millis(3));
        match event.payload_value()["fails"].as_bool() {
            Some(true) => Err(TaskError::new("NO_IDEA", "the page stays empty")),
            _ => Ok(Outcome::new()),
        }
    }
}

/// Has its agent write a page for each `page.asked`.
fn author() -> Workflow {
    Workflow::new("author", "1").task(Writer([Pattern::new("page.asked")]))
}

/// Fails at each of its events, by policies of its own: too slow each time, at once for good, and until its time is over.
fn strict() -> Workflow {
    let short = Duration::from_millis(20);
    let slow = RetryPolicy::attempts(2).backoff(short, 1.0, short).attempt_timeout(Duration::from_millis(5));
    let stern = RetryPolicy::attempts(9).backoff(short, 1.0, short).not_on("ADDRESS_UNKNOWN");
    let hurried = RetryPolicy::attempts(999).backoff(short, 1.0, short).total_timeout(Duration::from_millis(150));
    Workflow::new("strict", "1")
        .task(Retried(
            on("slow", "slow.asked", |_, _| {
                std::thread::park_timeout(Duration::from_millis(30));
                Ok(Outcome::new().complete(json!("in the end")))
            }),
            slow,
        ))
        .task(Retried(on("stern", "stern.asked", |_, _| Err(TaskError::new("ADDRESS_UNKNOWN", "where?"))), stern))
        .task(Retried(on("hurried", "hurried.asked", |_, _| Err(TaskError::new("BUSY", "not now"))), hurried))
}
