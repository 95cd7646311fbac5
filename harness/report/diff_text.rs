//! What is otherwise in a report than in an earlier one, for people.

use super::data::Outcome;
use super::diff::{Change, Diff, Known, TargetDiff, What};
use crate::foreign::TERMINAL;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// How many of the checks are named of which the same is said.
const NAMED: usize = 3;

impl Diff {
    /// All that is otherwise, and counts at the end.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let are_several = self.targets.len() + self.gone.len() + self.added.len() > 1;
        for target in &self.targets {
            if are_several {
                let _ = writeln!(text, "{}:", target.target);
            }
            target.tell(&mut text);
        }
        for name in &self.gone {
            let _ = writeln!(
                text,
                "{name}: not in the later report, so that nothing is known of it any more"
            );
        }
        for name in &self.added {
            let _ = writeln!(
                text,
                "{name}: not in the earlier report, so that there is nothing to compare"
            );
        }
        let _ = writeln!(text, "{}", self.counts());
        TERMINAL.text(&text).into_owned()
    }

    /// How much of each kind there is.
    pub(crate) fn counts(&self) -> String {
        let of = |many: fn(&TargetDiff) -> usize| self.targets.iter().map(many).sum::<usize>();
        let mut words = format!(
            "{} worse, {} fixed, {} still there",
            of(|target| target.worse.len()),
            of(|target| target.better.len()),
            of(|target| target.still.len() + target.changed.len()),
        );
        let rare = [
            (of(|target| target.lost.len()), "not concluded any more"),
            (of(|target| target.gained.len()), "newly concluded"),
            (of(|target| target.observations.len()), "observed otherwise"),
        ];
        for (many, what) in rare.iter().filter(|(many, _)| *many > 0) {
            let _ = write!(words, ", {many} {what}");
        }
        words
    }
}

impl TargetDiff {
    fn tell(&self, text: &mut String) {
        let changes = [&self.worse, &self.better, &self.changed, &self.still];
        for change in changes.into_iter().flatten() {
            change.tell(text);
        }
        tell_known(text, "lost", &self.lost);
        tell_known(text, "gained", &self.gained);
        let (told, untold): (Vec<_>, Vec<_>) =
            self.observations.iter().partition(|one| one.new.is_some());
        for observed in told {
            let (name, new) = (&observed.name, observed.new.as_deref().unwrap_or_default());
            let old = observed.old.as_deref().unwrap_or("nothing");
            let _ = writeln!(text, "observed  {name}: {old} -> {new}");
        }
        let untold: Vec<&str> = untold.iter().map(|one| one.name.as_str()).collect();
        if !untold.is_empty() {
            let _ = writeln!(text, "lost      not observed: {}", untold.join(", "));
        }
    }
}

impl Change {
    fn tell(&self, text: &mut String) {
        let (word, remark) = self.words();
        let (head, also) = (&self.checks[0], &self.checks[1..]);
        let _ = writeln!(text, "{word:<8}  {head}{remark}  [{}]", self.key);
        if !self.reason.is_empty() && self.what != What::Still {
            let _ = writeln!(text, "          {}", self.reason);
        }
        if !also.is_empty() {
            let _ = writeln!(text, "          also shown by: {}", also.join(", "));
        }
    }

    /// The word for it, and what is to be said of how it was.
    fn words(&self) -> (&'static str, String) {
        let word = |verdict: Option<Outcome>| verdict.map_or("not tried", Outcome::word);
        let (was, is) = (word(self.was), word(self.is));
        match self.what {
            What::New if self.was == Some(Outcome::Pass) => ("worse", String::new()),
            What::New => ("worse", format!(" (was {was})")),
            What::Spread => (
                "worse",
                " (passed, and fails for what was there already)".to_owned(),
            ),
            What::Graver => ("worse", format!(" (was {was}, is {is})")),
            What::Fixed => ("fixed", String::new()),
            What::Milder => ("changed", format!(" (was {was}, is {is})")),
            What::Otherwise => (
                "changed",
                " (still fails, for another reason; this was it)".to_owned(),
            ),
            What::Still => ("still", String::new()),
        }
    }
}

/// What was known of a check, what is, and why that is no more.
type Said<'a> = (Option<Outcome>, Option<Outcome>, &'a str);

/// What is known now or not any more, a line for all of which the same is said.
fn tell_known(text: &mut String, word: &str, known: &[Known]) {
    let mut alike: BTreeMap<Said<'_>, Vec<&str>> = BTreeMap::new();
    for one in known {
        let alike = alike.entry((one.was, one.is, one.reason.as_str()));
        alike.or_default().push(&one.check);
    }
    for ((was, is, reason), checks) in alike {
        let said = |verdict: Option<Outcome>| verdict.map_or("not in the report", Outcome::word);
        let reason = match reason {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        let named = checks
            .iter()
            .take(NAMED)
            .copied()
            .collect::<Vec<_>>()
            .join(", ");
        let more = match checks.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let _ = writeln!(
            text,
            "{word:<8}  {named}{more}: was {}, is {}{reason}",
            said(was),
            said(is)
        );
    }
}
