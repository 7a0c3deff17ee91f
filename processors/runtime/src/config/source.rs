//! The sources of the configuration, brought to one form: a flat table of dotted names.

use std::ffi::OsString;

use figment::value::{Dict, Map, Value};
use figment::{Error, Metadata, Profile, Provider};

/// What every variable of the environment starts with.
const PREFIX: &str = "THALWEG_";
/// The filter of the log, which is set up before any configuration is read.
pub(crate) const LOG_VARIABLE: &str = "THALWEG_LOG";
/// Variables that drive tests and say nothing about a processor.
const TEST_PREFIX: &str = "THALWEG_TEST_";
/// Settings that are tables of names which this program does not define.
const TABLES: [&str; 2] = ["channels", "kafka"];

/// A source whose nested tables are read as dotted names.
///
/// `[batch] max.records`, `batch.max.records` and `[batch.max] records` are the same setting, and
/// a dotted name that is quoted in one source is overridden by an unquoted one in the next.
pub(super) struct Dotted<P>(pub P);

impl<P: Provider> Provider for Dotted<P> {
    fn metadata(&self) -> Metadata {
        self.0.metadata().interpolater(|_: &Profile, path: &[&str]| path.join("."))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let profiles = self.0.data()?;
        Ok(profiles.into_iter().map(|(profile, table)| (profile, dotted(table))).collect())
    }
}

fn dotted(table: Dict) -> Dict {
    let mut flat = Dict::new();
    for (name, value) in table {
        match value {
            Value::Dict(tag, inner) if TABLES.contains(&name.as_str()) => {
                let mut settings = Dict::new();
                flatten("", inner, &mut settings);
                flat.insert(name, Value::Dict(tag, settings));
            }
            Value::Dict(_, inner) => flatten(&name, inner, &mut flat),
            scalar => {
                flat.insert(name, scalar);
            }
        }
    }
    flat
}

fn flatten(prefix: &str, table: Dict, flat: &mut Dict) {
    for (name, value) in table {
        let name = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match value {
            Value::Dict(_, inner) => flatten(&name, inner, flat),
            scalar => {
                flat.insert(name, scalar);
            }
        }
    }
}

/// The `THALWEG_*` variables of an environment.
///
/// figment's own `Env` takes every dot for nesting and parses values, so that it can neither carry
/// `kafka.sasl.password` nor keep a password of digits a string.
pub(super) struct Environment(pub Vec<(OsString, OsString)>);

impl Environment {
    /// The variables of this process.
    pub fn of_process() -> Self {
        Environment(std::env::vars_os().collect())
    }
}

impl Provider for Environment {
    fn metadata(&self) -> Metadata {
        Metadata::named("the environment").interpolater(|_: &Profile, path: &[&str]| variable(path))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let mut flat = Dict::new();
        for (variable, value) in &self.0 {
            let Some(variable) = variable.to_str() else { continue };
            let Some(name) = variable.strip_prefix(PREFIX) else { continue };
            if variable == LOG_VARIABLE || variable.starts_with(TEST_PREFIX) {
                continue;
            }
            let Some(value) = value.to_str() else {
                return Err(Error::from(format!("{variable} is not UTF-8")));
            };
            set(&mut flat, &name.to_lowercase(), value);
        }
        Ok(Profile::Default.collect(flat))
    }
}

/// Sets what the rest of a variable's name, in lower case, stands for.
fn set(flat: &mut Dict, name: &str, value: &str) {
    if let Some(channel) = name.strip_prefix("channels_") {
        set_in_table(flat, "channels", channel.replace('_', "-"), value);
    } else if let Some(setting) = name.strip_prefix("kafka_") {
        set_in_table(flat, "kafka", setting.replace('_', "."), value);
    } else {
        flat.insert(name.replace('_', "."), Value::from(value));
    }
}

fn set_in_table(flat: &mut Dict, table: &str, name: String, value: &str) {
    let entry = flat.entry(table.to_owned()).or_insert_with(|| Value::from(Dict::new()));
    if let Value::Dict(_, inner) = entry {
        inner.insert(name, Value::from(value));
    }
}

/// The variable that sets a setting, for error messages.
fn variable(path: &[&str]) -> String {
    format!("{PREFIX}{}", path.join("_").replace(['.', '-'], "_").to_uppercase())
}
