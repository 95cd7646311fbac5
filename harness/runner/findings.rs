//! What the checks of a run have found so far. A cause that a simpler scenario has shown is not confirmed, counted, asked
//! about or made small again: it is told under the check that has shown it.

use super::run_end::{Over, RunEnd};
use crate::judge::{Choice, Finding, QUEUED};
use crate::model::check::{Check, Gate};
use crate::model::form::Form;
use crate::model::scenario::{Line, Scenario};
use crate::report::data::Shows;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::watch;

/// What the checks of a run have found so far.
#[derive(Clone, Debug)]
pub(super) struct Findings {
    state: Arc<watch::Sender<State>>,
    end: RunEnd,
}

#[derive(Debug, Default)]
struct State {
    known: Vec<Shown>,
    /// Some of it fails the run.
    is_grave: bool,
    /// What is being made sure of.
    claimed: Vec<Shown>,
    /// What grows, and is being told from what is kept for later.
    growing: Vec<Shown>,
    /// What the server was found to have chosen, each with the number of the question that it answers.
    choices: Vec<(usize, Choice)>,
    /// What was told once, and is no leak: checks that see it grow have to tell by themselves.
    kept: BTreeSet<String>,
}

/// A defect, and what has shown it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    /// The key of the cause.
    key: String,
    by: Shape,
}

/// What a scenario of a check is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    check: &'static str,
    family: &'static str,
    is_drawn: bool,
    /// All others build on it.
    is_built_on: bool,
    /// What its steps are called, but for what polite clients do.
    words: BTreeSet<String>,
}

/// What a step is called by what it does to a server: who sends in segments cuts, at whatever pace, and whoever waits is polite.
fn name(form: &Form<'_>) -> &'static str {
    match POLITE.contains(&form.word) && form.word != "send" {
        true => form.word,
        false => form.kind,
    }
}

/// What polite clients do, and what nobody does.
const POLITE: &[&str] = &[
    "barrier", "close", "connect", "expect", "pause", "repeat", "require", "send", "settle",
];

impl Shape {
    /// The shape of a scenario, of which these are the steps of polite clients.
    pub(super) fn of(check: &'static Check, scenario: &Scenario, polite: &[Line]) -> Self {
        let polite: BTreeSet<_> = polite.iter().map(|line| name(&line.step.form())).collect();
        let steps = scenario.steps().into_iter();
        let words = steps.map(|line| name(&line.step.form()));
        let words = words.filter(|word| !polite.contains(word));
        let words = words.filter(|word| !POLITE.contains(word));
        Self::with(check, words.map(str::to_owned).collect())
    }

    fn with(check: &'static Check, words: BTreeSet<String>) -> Self {
        Self {
            check: check.id,
            family: check.family(),
            is_drawn: check.policy.drawn,
            is_built_on: matches!(check.policy.gate, Some(Gate::Serving(_))),
            words,
        }
    }
}

/// Who fails by the first, fails by the second as well: a server that never closes its side does not do so when it is waited for,
/// and a heap that grows takes mappings.
const IMPLIED: &[(&str, &str)] = &[
    ("left/connections-in-close_wait", "step-failed/no-end"),
    ("left/memory", "left/mappings"),
];

/// The causes that are known with one.
fn known_with(key: &str) -> impl Iterator<Item = &str> {
    let implied = IMPLIED.iter().filter(move |(known, _)| *known == key);
    std::iter::once(key).chain(implied.map(|(_, implied)| *implied))
}

impl Shown {
    fn of(key: &str, by: &Shape) -> Self {
        Self {
            key: key.to_owned(),
            by: by.clone(),
        }
    }

    /// Whether a scenario of this shape shows nothing new by a cause of this key: it does all that the simpler one did. What a
    /// client did not get is the matter of a family; whatever is done, what grows is lost in the same place, and an end is one
    /// that has to be mended first.
    fn covers(&self, key: &str, by: &Shape) -> bool {
        let is_step = key.starts_with("step-failed") || key.starts_with("server-step-failed");
        let is_of_the_server = ["alarm/", "left/", "died/", "process-died/"];
        let is_everywhere = is_of_the_server
            .iter()
            .any(|kind| self.key.starts_with(kind));
        // What is done to a server is the same in every family; where nothing is, what is owed is the matter of one.
        let is_near = is_everywhere
            || !is_step
            || self.key == QUEUED
            || self.by.is_built_on
            || by.is_drawn
            || !self.by.words.is_empty()
            || self.by.family == by.family;
        // Within a family it makes no difference in which pieces all is said.
        let is_alike = |word: &String| word.starts_with("send ") && self.by.family == by.family;
        let mut words = self.by.words.iter();
        let is_included =
            is_everywhere || words.all(|word| by.words.contains(word) || is_alike(word));
        known_with(&self.key).any(|known| known == key)
            && self.by.check != by.check
            && is_near
            && is_included
    }
}

/// What becomes of a failure.
#[derive(Debug)]
pub(super) enum Claim {
    /// It is the first of its kind, and to be made sure of.
    First(Claimed),
    /// Another one of its kind was found to be no failure: this one has to be made sure of alone.
    Alone,
    /// A check has shown it before.
    Known(&'static str),
}

/// A failure that is being made sure of; those of its kind wait for what comes of it.
#[derive(Debug)]
pub(super) struct Claimed {
    state: Arc<watch::Sender<State>>,
    shown: Shown,
}

impl Claimed {
    /// It is a failure, and so is what was seen beside it; a grave one fails the run.
    pub(super) fn is_known_now(&self, finding: &Finding, is_grave: bool) {
        let by = &self.shown.by;
        let shown = finding.causes().map(|cause| Shown {
            key: cause.key(),
            by: by.clone(),
        });
        self.state.send_modify(|state| {
            state.known.extend(shown);
            state.is_grave |= is_grave;
        });
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        self.state.send_modify(|state| {
            // Of those that are alike, whose claims are as good, one.
            let mut claimed = state.claimed.iter();
            let mine = claimed.position(|shown| *shown == self.shown);
            mine.map(|mine| state.claimed.remove(mine));
        });
    }
}

impl Findings {
    /// Nothing yet, of a run that ends so.
    pub(super) fn of_a_run(end: RunEnd) -> Self {
        Self {
            state: Arc::new(watch::Sender::default()),
            end,
        }
    }

    /// Nothing yet, for what is known to nobody else in the run.
    pub(super) fn aside(&self) -> Self {
        Self::of_a_run(self.end.clone())
    }

    /// When the run ends.
    pub(super) fn end(&self) -> &RunEnd {
        &self.end
    }

    /// The keys of the causes by which a scenario of this shape would show nothing new.
    pub(super) fn known_to(&self, by: &Shape) -> Vec<String> {
        let state = self.state.borrow();
        let known = state.known.iter();
        let known =
            known.flat_map(|shown| known_with(&shown.key).filter(|key| shown.covers(key, by)));
        known.map(str::to_owned).collect()
    }

    /// What becomes of a failure: waits for one of its kind that is being made sure of.
    pub(super) async fn claim(&self, finding: &Finding, by: &Shape) -> Claim {
        let key = finding.cause.key();
        let mut changes = self.state.subscribe();
        let mut has_waited = false;
        loop {
            let mut claim = None;
            self.state.send_if_modified(|state| {
                claim = state.claim(&key, by, has_waited, &self.state);
                matches!(claim, Some(Claim::First(_)))
            });
            if let Some(claim) = claim {
                return claim;
            }
            has_waited = true;
            if changes.changed().await.is_err() {
                return Claim::Alone;
            }
        }
    }

    /// Whether this check is to tell whether what it sees grow is a leak: no other that shows the same is about to.
    pub(super) fn begins_to_tell(&self, key: &str, by: &Shape) -> bool {
        self.state.send_if_modified(|state| {
            // Who makes sure of a failure is waited for by others, and so waits for nobody.
            let makes_sure = || state.claimed.iter().any(|shown| shown.by.check == by.check);
            let begins = !state.is_being_told(key, by) || makes_sure();
            if begins && !state.kept.contains(key) {
                state.growing.push(Shown::of(key, by));
            }
            begins
        })
    }

    /// Returns when no other check is about to tell.
    pub(super) async fn until_told(&self, key: &str, by: &Shape) {
        let mut changes = self.state.subscribe();
        // Whoever watches holds the sender.
        let _ = changes
            .wait_for(|state| !state.is_being_told(key, by))
            .await;
    }

    /// A check has told of a scenario what it could.
    pub(super) fn has_told(&self, check: &str) {
        self.state.send_if_modified(|state| {
            let mine = state
                .growing
                .extract_if(.., |shown| shown.by.check == check);
            let told: Vec<String> = mine.map(|shown| shown.key).collect();
            let is_leak = |key: &String| state.known.iter().any(|shown| shown.key == *key);
            let kept = told.iter().filter(|key| !is_leak(key)).cloned();
            state.kept.extend(kept.collect::<Vec<_>>());
            !told.is_empty()
        });
    }

    /// What the server was found to have chosen so far, each with the number of the question that it answers.
    pub(super) fn choices(&self) -> Vec<(usize, Choice)> {
        self.state.borrow().choices.clone()
    }

    /// The server was found to have chosen this, if anything.
    pub(super) fn add_choice(&self, question: usize, choice: Option<&Choice>) {
        self.state.send_if_modified(|state| {
            let is_new = |choice: &&Choice| {
                let mut known = state.choices.iter();
                !known.any(|(_, known)| known.is_like(choice))
            };
            let new = choice.filter(is_new).cloned();
            state.choices.extend(new.map(|choice| (question, choice)));
            false
        });
    }

    /// What a check was made sure to have shown, if anything.
    pub(super) fn shown_by(&self, check: &str) -> Option<Shows> {
        let state = self.state.borrow();
        let mut shown = state.known.iter().filter(|shown| shown.by.check == check);
        let first = shown.next()?;
        let keys = std::iter::once(first).chain(shown);
        Some(Shows {
            words: first.by.words.clone(),
            keys: keys.map(|shown| shown.key.clone()).collect(),
        })
    }

    /// What checks were made sure to have shown in other parts of a run is known.
    pub(super) fn add_shown(&self, check: &'static Check, shows: &Shows) {
        let by = Shape::with(check, shows.words.clone());
        let shown = shows.keys.iter().map(|key| Shown::of(key, &by));
        self.state.send_modify(|state| state.known.extend(shown));
    }

    /// The simplest check that shows what this one has found, where another does.
    pub(super) fn simplest(&self, check: &str) -> Option<&'static str> {
        let state = self.state.borrow();
        let of = |check: &str| state.known.iter().find(|shown| shown.by.check == check);
        let simpler = |shown: &Shown| {
            let mut known = state.known.iter();
            known.find(|known| {
                known.covers(&shown.key, &shown.by) && !shown.covers(&known.key, &known.by)
            })
        };
        let mut simplest = simpler(of(check)?)?;
        while let Some(simpler) = simpler(simplest) {
            simplest = simpler;
        }
        Some(simplest.by.check)
    }

    /// The first check that shows no more and no less than this one has found, where others do: of two machines each may be the
    /// first on its own.
    pub(super) fn first_alike(&self, check: &str) -> Option<&'static str> {
        let state = self.state.borrow();
        let shown = state.known.iter().find(|shown| shown.by.check == check)?;
        let is_alike = |known: &Shown| {
            known.covers(&shown.key, &shown.by) && shown.covers(&known.key, &known.by)
        };
        let mut known = state.known.iter();
        let first = known.find(|known| known.by.check == check || is_alike(known))?;
        Some(first.by.check).filter(|first| *first != check)
    }

    /// Returns when the run is over, with the reason.
    pub(super) async fn until_over(&self) -> Over {
        let has_found_enough = async {
            self.end.until_enough().await;
            let mut changes = self.state.subscribe();
            // Whoever watches holds the sender.
            let _ = changes.wait_for(|state| state.is_grave).await;
        };
        tokio::select! {
            over = self.end.until_ended() => over,
            () = has_found_enough => Over::HasFound,
        }
    }

    /// Why the run is over, if it is.
    pub(super) fn is_over(&self) -> Option<Over> {
        self.end.now(self.state.borrow().is_grave)
    }
}

impl State {
    fn is_being_told(&self, key: &str, by: &Shape) -> bool {
        let is_known = self.known.iter().any(|shown| shown.covers(key, by));
        !is_known && self.growing.iter().any(|shown| shown.covers(key, by))
    }

    fn claim(
        &mut self,
        key: &str,
        by: &Shape,
        has_waited: bool,
        state: &Arc<watch::Sender<Self>>,
    ) -> Option<Claim> {
        let known = self.known.iter().find(|shown| shown.covers(key, by));
        if let Some(known) = known {
            return Some(Claim::Known(known.by.check));
        }
        let is_claimed = self.claimed.iter().any(|shown| shown.covers(key, by));
        match (is_claimed, has_waited) {
            (true, _) => None,
            (false, true) => Some(Claim::Alone),
            (false, false) => {
                let shown = Shown::of(key, by);
                self.claimed.push(shown.clone());
                Some(Claim::First(Claimed {
                    state: Arc::clone(state),
                    shown,
                }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::Cause;
    use crate::model::action::Action;
    use crate::model::data::{Data, Segmentation};
    use crate::model::dialogue::{ClientSteps, scenario};
    use crate::runner::settings::Settings;
    use crate::transcript::event::Exit;
    use std::time::Duration;

    /// A client of a check that connects, does this, and closes.
    fn shape(check: &'static Check, does: Option<Action>) -> Shape {
        let steps = ClientSteps::of(0).connect();
        let steps = does.into_iter().fold(steps, ClientSteps::then);
        let lines = steps.then(Action::Close).lines();
        Shape::of(
            check,
            &scenario("a case", &[("alice", 1)], vec![lines]),
            &[],
        )
    }

    /// A request in segments, at a pace or one behind the other.
    fn cuts(every: Option<Duration>) -> Action {
        Action::Send {
            data: Data::literal("hi"),
            segmentation: Segmentation::Pieces(1),
            every,
            as_records: false,
            background: false,
        }
    }

    /// A check on which no other builds, of the family of this name.
    fn check_of(family: &str, nth: usize) -> &'static Check {
        let all = crate::checks::all().into_iter();
        let mut of_family = all.filter(|check| check.family() == family);
        of_family.nth(nth).unwrap()
    }

    fn shown(key: &str, by: Shape) -> Shown {
        let key = key.to_owned();
        Shown { key, by }
    }

    fn found(cause: Cause) -> Finding {
        Finding {
            cause,
            halt: None,
            evidence: Vec::new(),
        }
    }

    fn died() -> Finding {
        found(Cause::Died {
            exit: Exit::Signal(11),
            after: None,
        })
    }

    #[test]
    fn scenario_that_does_all_that_a_simpler_one_does_shows_nothing_new() {
        let polite = shape(check_of("reset", 0), None);
        let resets = shape(check_of("reset", 1), Some(Action::Reset));
        let drawn = shape(check_of("property", 0), Some(Action::Reset));
        let elsewhere = shape(check_of("bytes", 0), Some(Action::Reset));
        let step = shown("step-failed/nothing", polite.clone());
        assert!(step.covers("step-failed/nothing", &resets));
        assert!(step.covers("step-failed/nothing", &drawn));
        assert!(!step.covers("step-failed/nothing", &elsewhere));
        assert!(!step.covers("step-failed/wrong", &resets));
        let cut = Some(cuts(None));
        let (cut, drip) = (
            shape(check_of("partial", 0), cut),
            shape(
                check_of("timeout", 2),
                Some(cuts(Some(Duration::from_millis(10)))),
            ),
        );
        let step = shown("step-failed/wrong", cut.clone());
        assert!(step.covers("step-failed/wrong", &drip));
        assert!(!step.covers("step-failed/wrong", &resets));
        assert!(step.covers("step-failed/wrong", &shape(check_of("partial", 1), None)));
        let step = shown("step-failed/nothing", resets.clone());
        assert!(!step.covers("step-failed/nothing", &polite));
        let busy = shown("busy", resets.clone());
        assert!(busy.covers("busy", &elsewhere) && !busy.covers("busy", &polite));
    }

    #[test]
    fn what_grows_and_what_ends_is_the_same_wherever_it_is_seen() {
        let resets = shape(check_of("reset", 1), Some(Action::Reset));
        let garbage = shape(check_of("bytes", 0), None);
        for key in ["left/open-sockets", "died/signal-11", "alarm/panic"] {
            assert!(shown(key, resets.clone()).covers(key, &garbage), "{key}");
        }
        let never_closed = shown("left/connections-in-close_wait", resets);
        assert!(never_closed.covers("step-failed/no-end", &garbage));
    }

    #[tokio::test]
    async fn failure_of_a_kind_that_is_being_made_sure_of_is_waited_for() {
        let findings = Findings::of_a_run(RunEnd::default());
        let (first, second) = (
            shape(check_of("reset", 0), None),
            shape(check_of("reset", 1), None),
        );
        let Claim::First(claimed) = findings.claim(&died(), &first).await else {
            panic!("nobody has come before");
        };
        let again = died();
        let (claim, ()) = tokio::join!(findings.claim(&again, &second), async {
            claimed.is_known_now(&died(), true);
        });
        assert!(matches!(claim, Claim::Known(check) if check == first.check));
        assert_eq!(findings.known_to(&second), ["died/signal-11"]);
        assert!(findings.known_to(&first).is_empty());
    }

    /// Else the one would wait for what the other tells, and that for what comes of the failure.
    #[tokio::test]
    async fn who_makes_sure_of_a_failure_does_not_wait_for_who_tells_of_growth() {
        let findings = Findings::of_a_run(RunEnd::default());
        let of_reset = |nth| shape(check_of("reset", nth), None);
        let (tells, makes_sure, other) = (of_reset(0), of_reset(1), of_reset(2));
        let grows = "left/open-sockets";
        assert!(findings.begins_to_tell(grows, &tells));
        let claim = findings.claim(&died(), &makes_sure).await;
        assert!(matches!(claim, Claim::First(_)));
        assert!(findings.begins_to_tell(grows, &makes_sure));
        assert!(!findings.begins_to_tell(grows, &other));
        findings.has_told(tells.check);
        findings.has_told(makes_sure.check);
        assert!(findings.begins_to_tell(grows, &other));
    }

    #[tokio::test]
    async fn those_who_wait_for_what_turns_out_to_be_none_go_on_alone() {
        let findings = Findings::of_a_run(RunEnd::default());
        let (first, second) = (
            shape(check_of("reset", 0), None),
            shape(check_of("reset", 1), None),
        );
        let Claim::First(claimed) = findings.claim(&died(), &first).await else {
            panic!("nobody has come before");
        };
        let again = died();
        let (claim, ()) = tokio::join!(findings.claim(&again, &second), async {
            drop(claimed);
        });
        assert!(matches!(claim, Claim::Alone));
    }

    #[tokio::test]
    async fn one_check_tells_a_leak_from_a_pool_while_others_wait() {
        let findings = Findings::of_a_run(RunEnd::of(&Settings::default()));
        let (first, second) = (
            shape(check_of("reset", 0), None),
            shape(check_of("reset", 1), None),
        );
        let key = "left/memory";
        assert!(findings.begins_to_tell(key, &first));
        assert!(!findings.begins_to_tell(key, &second));
        assert!(findings.begins_to_tell("left/threads", &second));
        let ((), ()) = tokio::join!(findings.until_told(key, &second), async {
            findings.has_told(first.check);
        });
        // It is no leak: whoever sees it grow has to tell by itself, and beside others.
        assert!(findings.begins_to_tell(key, &second) && findings.begins_to_tell(key, &first));
    }

    #[test]
    fn choice_that_was_found_once_is_known_to_the_run() {
        let findings = Findings::of_a_run(RunEnd::of(&Settings::default()));
        findings.add_choice(3, None);
        let after = |seconds| Choice::Throttles(Duration::from_secs(seconds));
        findings.add_choice(3, Some(&after(2)));
        findings.add_choice(3, Some(&after(4)));
        assert_eq!(findings.choices(), [(3, after(2))]);
    }

    #[tokio::test]
    async fn run_ends_in_time_where_something_fails_it() {
        let findings = Findings::of_a_run(RunEnd::where_found());
        let by = shape(check_of("reset", 0), None);
        let Claim::First(claimed) = findings.claim(&died(), &by).await else {
            panic!("nobody has come before");
        };
        claimed.is_known_now(&died(), false);
        assert_eq!(findings.is_over(), None);
        claimed.is_known_now(&died(), true);
        assert_eq!(findings.is_over(), Some(Over::HasFound));
        assert_eq!(findings.until_over().await, Over::HasFound);
    }
}
