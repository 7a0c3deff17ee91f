//! The faults, a file a kind, and the run that draws them.

mod answers;
mod broker_kills;
mod broker_pauses;
mod cluster;
mod compaction;
mod dead_letters;
mod fleet;
mod full_disk;
mod inbox;
mod kills;
mod options;
mod proxy;
mod report;
mod round;
mod run;
mod small_disk;
mod storms;
mod topics;
mod work;
mod zombies;

pub use options::Options;
pub use run::run;

use round::Fault;

/// The faults in the groups that run side by side: those of a group come one after the other.
const GROUPS: [&[Fault]; 3] = [
    &[Fault { name: "kills", run: kills::run }],
    &[
        Fault { name: "zombies", run: zombies::run },
        Fault { name: "storms", run: storms::run },
        Fault { name: "inbox", run: inbox::run },
        Fault { name: "dead-letters", run: dead_letters::run },
    ],
    &[
        Fault { name: "answers", run: answers::run },
        Fault { name: "broker-kills", run: broker_kills::run },
        Fault { name: "broker-pauses", run: broker_pauses::run },
        Fault { name: "compaction", run: compaction::run },
        Fault { name: "full-disk", run: full_disk::run },
    ],
];
