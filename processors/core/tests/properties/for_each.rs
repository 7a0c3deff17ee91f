//! A for-each begins every branch once, with its own item, and never has more than a chunk of them pending.

use proptest::prelude::*;
use serde_json::{Value, json};
use thalweg_core::inbound::STARTED;
use thalweg_core::limits::FOR_EACH_CHUNK;
use thalweg_core::{
    Event, FanOut, ForEach, Items, JoinPolicy, Limits, Outcome, Pattern, Task, TaskContext, TaskError, Workflow,
    Workflows, async_trait,
};

use crate::cases;
use crate::memory_router::MemoryRouter;

/// Fans out over what its payload says, and answers each item.
struct Each([Pattern; 2]);

#[async_trait]
impl Task for Each {
    fn task_id(&self) -> &str {
        "each"
    }

    fn handles_events(&self) -> &[Pattern] {
        &self.0
    }

    async fn handle_event(&self, event: &Event, _: &mut TaskContext) -> Result<Outcome, TaskError> {
        let payload = event.payload_value();
        if event.event_type == "item.requested" {
            let fails = payload["item"]["fails"] == true;
            return Ok(if fails {
                Outcome::new().fail("PLANNED", "as planned")
            } else {
                Outcome::new().result(payload["item"].clone())
            });
        }
        let items: Items = serde_json::from_value(payload["items"].clone()).unwrap();
        let policy: JoinPolicy = serde_json::from_value(payload["policy"].clone()).unwrap();
        let each = FanOut::new("each").policy(policy).for_each(ForEach::new(items, "item.requested"));
        Ok(Outcome::new().fan_out(each.then("each.joined").or_else("each.broken")))
    }
}

fn workflows() -> Workflows {
    let task = Each([Pattern::new(STARTED), Pattern::new("item.requested")]);
    Workflows::new().with(Workflow::new("each", "1").task(task))
}

fn start(payload: &Value) -> Value {
    json!({"event_type": STARTED, "execution_id": "e", "workflow_id": "each", "payload": payload})
}

fn item() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::from),
        Just(Value::Null),
        "\\PC{0,6}".prop_map(|text| json!({ "text": text }))
    ]
}

/// Items, and how the fan-out names them.
fn items() -> impl Strategy<Value = (Vec<Value>, Value, Value)> {
    let of = |sizes: std::ops::Range<usize>| prop::collection::vec(item(), sizes);
    let list = || prop_oneof![of(0..4), of(60..70), of(120..200)];
    prop_oneof![
        list().prop_map(|list| (list.clone(), Value::from(list), Value::Null)),
        list().prop_map(|list| (list.clone(), json!("/payload/of/these"), Value::from(list))),
        (0..200u32).prop_map(|count| ((0..count).map(Value::from).collect(), json!(count), Value::Null)),
    ]
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn every_item_has_its_branch(
        (items, named, kept) in items(), step_max_events in 1..100u32,
        commits in prop::collection::vec(any::<bool>(), 1..10),
    ) {
        let workflows = workflows();
        let mut router = MemoryRouter::new(&workflows, Limits { step_max_events, ..Limits::default() });
        router.send("e", 0, &start(&json!({"items": named, "of": {"these": kept}, "policy": "all"})));
        let mut commits = commits.into_iter().cycle();
        while router.has_queued("e") {
            if commits.next().unwrap_or(true) {
                router.commit();
                let pending = router.contexts.root("e").unwrap().pending.len();
                prop_assert!(pending <= FOR_EACH_CHUNK + 1, "{} are pending", pending);
            }
            router.step("e", None, &mut || false);
        }
        router.assert_folded("e");
        let log = router.log("e");
        let begun = log.published.iter().filter(|event| event.event_type == "item.requested");
        let begun: Vec<(Option<&str>, Value)> =
            begun.map(|event| (event.branch.as_deref(), event.payload_value())).collect();
        prop_assert_eq!(begun.len(), items.len());
        for (index, (item, (branch, payload))) in items.iter().zip(begun).enumerate() {
            let name = index.to_string();
            prop_assert_eq!(branch, Some(name.as_str()));
            prop_assert_eq!(payload, json!({"index": index, "item": item}));
        }
        let joined: Vec<&Event> = log.published.iter().filter(|event| event.event_type == "each.joined").collect();
        prop_assert_eq!(joined.len(), 1);
        prop_assert_eq!(&joined[0].payload_value()["counts"]["succeeded"], &json!(items.len()));
        let results = &joined[0].payload_value()["results"];
        for (index, item) in items.iter().enumerate() {
            prop_assert_eq!(&results[index.to_string()]["result"], item);
        }
    }
}

#[test]
fn a_scope_that_is_decided_begins_no_more_branches() {
    let workflows = workflows();
    let mut router = MemoryRouter::new(&workflows, Limits::default());
    let mut items = vec![json!({}); 1000];
    items[70] = json!({"fails": true});
    router.send("e", 0, &start(&json!({"items": items, "policy": "fail_fast"})));
    router.drain("e");
    router.commit();
    router.assert_folded("e");
    let log = router.log("e");
    let broken = log.published.iter().find(|event| event.event_type == "each.broken").unwrap().payload_value();
    assert_eq!(broken["counts"], json!({"succeeded": 70, "failed": 1, "not_required": 0, "canceled": 929}));
    let begun = log.types().iter().filter(|event_type| **event_type == "item.requested").count();
    assert_eq!(begun, 2 * FOR_EACH_CHUNK, "the chunk of the failure was queued, no later one");
    assert_eq!(broken["results"]["71"], json!({"status": "CANCELED"}));
}

#[test]
fn what_can_be_no_items_fails_the_task() {
    let cases = [
        (json!("/payload/nothing"), "nothing is at"),
        (json!("/payload/policy"), "no array"),
        (json!("payload"), "/payload or /data"),
        (json!(2_000_000), "at most 1000000"),
    ];
    for (items, says) in cases {
        let workflows = workflows();
        let mut router = MemoryRouter::new(&workflows, Limits::default());
        router.send("e", 0, &start(&json!({"items": items, "policy": "all"})));
        let letters = &router.log("e").dead_letters;
        assert!(letters.len() == 1 && letters[0].message.contains(says), "{letters:?}");
    }
}
