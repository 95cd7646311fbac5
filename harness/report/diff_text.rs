//! What is otherwise in a report than in an earlier one, for people.

use super::data::Outcome;
use super::diff::{Change, Diff, Known, TargetDiff, What};
use super::piece::Piece;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// How many of the checks are named of which the same is said.
const NAMED: usize = 3;

/// How far all stands behind the words for what became of it.
const HANG: usize = 10;

impl Diff {
    /// All that is otherwise, and counts at the end.
    pub(crate) fn told(&self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let are_several = self.targets.len() + self.gone.len() + self.added.len() > 1;
        for target in &self.targets {
            let told = target.told();
            match (are_several, told.is_empty()) {
                (true, true) => pieces.push(about(&target.target, "all as it was")),
                (true, false) => pieces.push(Piece::exact(format!("{}:", target.target))),
                (false, _) => {}
            }
            pieces.extend(told);
        }
        let gone = "not in the later report, so that nothing is known of it any more";
        pieces.extend(self.gone.iter().map(|name| about(name, gone)));
        let added = "not in the earlier report, so that there is nothing to compare";
        pieces.extend(self.added.iter().map(|name| about(name, added)));
        pieces.push(Piece::prose("", 2, self.counts()));
        pieces
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

/// What is said of a target as a whole.
fn about(target: &str, text: &str) -> Piece {
    Piece::prose("", 2, format!("{target}: {text}"))
}

/// Sentences behind the word for what became of something.
fn row(word: &str, text: impl AsRef<str>) -> Piece {
    Piece::prose(format!("{word:<HANG$}"), HANG, text)
}

impl TargetDiff {
    fn told(&self) -> Vec<Piece> {
        let changes = [&self.worse, &self.better, &self.changed, &self.still];
        let changes = changes.into_iter().flatten().flat_map(Change::told);
        let known = [("lost", &self.lost), ("gained", &self.gained)];
        let known = known.map(|(word, known)| told_known(word, known));
        changes
            .chain(known.into_iter().flatten())
            .chain(self.observed())
            .collect()
    }

    /// What is observed otherwise, and what is not observed any more.
    fn observed(&self) -> Vec<Piece> {
        let (told, untold): (Vec<_>, Vec<_>) =
            self.observations.iter().partition(|one| one.new.is_some());
        let told = told.iter().map(|observed| {
            let (name, new) = (&observed.name, observed.new.as_deref().unwrap_or_default());
            let old = observed.old.as_deref().unwrap_or("nothing");
            row("observed", format!("{name}: {old} -> {new}"))
        });
        let untold: Vec<&str> = untold.iter().map(|one| one.name.as_str()).collect();
        let lost = (!untold.is_empty())
            .then(|| row("lost", format!("not observed: {}", untold.join(", "))));
        told.chain(lost).collect()
    }
}

impl Change {
    fn told(&self) -> Vec<Piece> {
        let (word, remark) = self.words();
        let (head, also) = (&self.checks[0], &self.checks[1..]);
        let mut pieces = vec![row(word, format!("{head}{remark}  [{}]", self.key))];
        if self.what != What::Still {
            // What a server has printed has lines of its own.
            pieces.extend(self.reason.lines().map(|line| row("", line)));
        }
        if !also.is_empty() {
            pieces.push(row("", format!("also shown by: {}", also.join(", "))));
        }
        pieces
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
fn told_known(word: &str, known: &[Known]) -> Vec<Piece> {
    let mut alike: BTreeMap<Said<'_>, Vec<&str>> = BTreeMap::new();
    for one in known {
        let alike = alike.entry((one.was, one.is, one.reason.as_str()));
        alike.or_default().push(&one.check);
    }
    let rows = alike.into_iter().map(|((was, is, reason), checks)| {
        let said = |verdict: Option<Outcome>| verdict.map_or("not in the report", Outcome::word);
        let reason = match reason {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        let named = checks.iter().take(NAMED).copied();
        let named = named.collect::<Vec<_>>().join(", ");
        let more = match checks.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let (was, is) = (said(was), said(is));
        row(word, format!("{named}{more}: was {was}, is {is}{reason}"))
    });
    rows.collect()
}
