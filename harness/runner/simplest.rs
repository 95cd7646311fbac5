//! What each check has found is told under the simplest one that shows it.

use super::findings::Findings;
use std::collections::{HashMap, HashSet};

/// A result, and the check under which it is told, if any.
pub(super) struct Row<'a> {
    pub(super) id: &'a str,
    /// The key of its cause, where it fails.
    pub(super) key: Option<String>,
    /// The cause is an alarm.
    pub(super) is_alarm: bool,
    pub(super) under: &'a mut Option<String>,
}

/// Puts what each check has found under the simplest one that shows it: of two at a time the other may have come first.
pub(super) fn under_the_simplest(mut rows: Vec<Row<'_>>, findings: &Findings) {
    rows.retain(|row| row.key.is_some());
    for row in &mut rows {
        let head = row.under.clone().unwrap_or_else(|| row.id.to_owned());
        let simplest = findings.simplest(&head).map(str::to_owned);
        *row.under = simplest.or_else(|| row.under.take());
    }
    // Alarms are heard beside what a check is about, wherever they sound.
    let mut sounded: HashMap<String, &str> = HashMap::new();
    for row in rows.iter_mut().filter(|row| row.is_alarm) {
        let first = *sounded
            .entry(row.key.clone().unwrap_or_default())
            .or_insert(row.id);
        *row.under = (first != row.id).then(|| first.to_owned());
    }
    // What a head was found to be no failure of is a failure of its own.
    let heads: HashSet<&str> = rows.iter().map(|row| row.id).collect();
    for row in &mut rows {
        *row.under = row
            .under
            .take()
            .filter(|head| heads.contains(head.as_str()));
    }
}
