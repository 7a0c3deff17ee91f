//! What a run is asked for.

use std::time::Duration;

use clap::Parser;

/// Hurts routers and brokers as a seed says, and has the oracle judge what the topics then hold.
#[derive(Debug, Parser)]
#[command(name = "faults")]
pub struct Options {
    /// For how long new rounds begin; without it each fault comes once, with a small load
    #[arg(long, value_name = "MINUTES")]
    minutes: Option<f64>,
    /// So many full rounds of each fault, however long they take: 50 of `kills` are 50 kills at each place
    #[arg(long, value_name = "ROUNDS", conflicts_with = "minutes")]
    pub rounds: Option<usize>,
    /// What the rounds are drawn from
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// These faults alone, separated by commas
    #[arg(long, value_name = "FAULT", value_delimiter = ',')]
    only: Vec<String>,
    /// Repeats one round: that of --only with this seed
    #[arg(long, value_name = "SEED", requires = "only")]
    pub round_seed: Option<u32>,
    /// With the small loads of a run without --minutes
    #[arg(long)]
    small: bool,
    /// Faults whose name contains one of these
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
    /// Prints the names of the faults
    #[arg(long)]
    pub list: bool,
    #[command(flatten)]
    libtest: Libtest,
}

/// What `cargo test` hands to every test program of a run. `--skip`, `--exact` and `--ignored` do here what they do there;
/// the rest has nothing to say.
#[derive(Debug, clap::Args)]
struct Libtest {
    #[arg(long, hide = true)]
    skip: Vec<String>,
    #[arg(long, hide = true)]
    exact: bool,
    #[arg(long, hide = true)]
    ignored: bool,
    #[arg(long, hide = true)]
    include_ignored: bool,
    #[arg(long, hide = true, alias = "no-capture")]
    nocapture: bool,
    #[arg(long, hide = true)]
    show_output: bool,
    #[arg(long, short, hide = true)]
    quiet: bool,
    #[arg(long, hide = true)]
    test_threads: Option<String>,
    #[arg(long, hide = true)]
    format: Option<String>,
    #[arg(long, hide = true)]
    color: Option<String>,
    #[arg(short = 'Z', hide = true)]
    unstable: Vec<String>,
}

/// How much is done in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    Small,
    Full,
}

impl Options {
    /// For how long new rounds begin; none where each fault comes once.
    pub fn budget(&self) -> Option<Duration> {
        self.minutes.map(|minutes| Duration::from_secs_f64(minutes * 60.0))
    }

    /// How much is done in a round.
    pub fn size(&self) -> Size {
        let repeats = self.round_seed.is_some() && !self.small;
        if self.minutes.is_some() || (self.rounds.is_some() && !self.small) || repeats {
            Size::Full
        } else {
            Size::Small
        }
    }

    /// Whether this fault was asked for.
    pub fn selects(&self, name: &str) -> bool {
        let matches =
            |filter: &String| if self.libtest.exact { name == filter } else { name.contains(filter.as_str()) };
        (self.only.is_empty() || self.only.iter().any(|only| only == name))
            && (self.filters.is_empty() || self.filters.iter().any(matches))
            && !self.libtest.skip.iter().any(matches)
            && !self.libtest.ignored
    }

    /// The first name in `--only` that is none of `names`.
    pub fn unknown<'a>(&'a self, names: &[&str]) -> Option<&'a str> {
        self.only.iter().map(String::as_str).find(|only| !names.contains(only))
    }
}
