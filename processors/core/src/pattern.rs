//! What event types a task is registered for.

/// A registration: an exact type, everything below a prefix (`claim.*`), or everything (`*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// This type only.
    Exact(String),
    /// Types that begin with this text, which ends in a dot.
    Below(String),
    /// Every type.
    All,
}

impl Pattern {
    /// Reads `a.b.c`, `a.b.*` or `*`.
    pub fn new(text: &str) -> Pattern {
        match text.strip_suffix('*') {
            Some("") => Pattern::All,
            Some(prefix) if prefix.ends_with('.') => Pattern::Below(prefix.to_owned()),
            _ => Pattern::Exact(text.to_owned()),
        }
    }

    /// Does a task with this registration handle `event_type`?
    pub fn matches(&self, event_type: &str) -> bool {
        match self {
            Pattern::Exact(text) => text == event_type,
            Pattern::Below(prefix) => event_type.len() > prefix.len() && event_type.starts_with(prefix.as_str()),
            Pattern::All => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn exact_prefix_and_all() {
        assert!(Pattern::new("claim.processed").matches("claim.processed"));
        assert!(!Pattern::new("claim.processed").matches("claim.processed.twice"));
        assert!(Pattern::new("claim.*").matches("claim.a.b"));
        assert!(!Pattern::new("claim.*").matches("claim"));
        assert!(!Pattern::new("claim.*").matches("claims.a"));
        assert!(Pattern::new("*").matches("anything"));
        assert!(!Pattern::new("claim*").matches("claims"), "a star counts only after a dot");
    }
}
