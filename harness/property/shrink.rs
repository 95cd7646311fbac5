//! From a failing batch to the smallest case that fails as well.
//!
//! Any case is legal, so that any part of it can be left out or made simpler by itself. That finds smaller cases, with
//! fewer attempts, than the shrinking that comes with the strategies, which knows of a union only what was drawn.

use super::plan::{
    Case, ClientPlan, CloseKind, ConnectKind, Connection, Content, Message, Spot, Waiting,
};
use super::rules::Rules;
use crate::model::data::Segmentation;
use crate::model::error::Error;
use crate::model::lesser::smaller;
use crate::model::scenario::Scenario;
use futures_util::future::try_join_all;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// The most that may be tried, each time on a server of its own.
const ATTEMPTS: usize = 400;

/// How often a case has to fail to be taken: what fails by luck would lead to what fails by less and less.
const NEEDED: usize = 2;

/// Of how many tries it has to, and of how many once a case has been taken that did not always fail. Such a fault needs
/// some luck, and what is missed for the lack of it would leave the case large.
const TRIES: usize = 3;
const TRIES_WITH_LUCK: usize = 6;

/// The longest that may be tried. A case that is not the smallest is better than a long wait.
const TIME: Duration = Duration::from_secs(60);

/// Seeks the smallest case that still fails; `fails` performs a scenario on a healthy server, and on a fresh one where it has
/// failed already. It is asked about so many at once. Returns all that were found on the way, the smallest first: the last of them are the surest. `line` is where
/// the batch failed, 0 where that is not known.
///
/// # Errors
/// What keeps a scenario from being performed.
pub(crate) async fn smallest(
    rules: &Rules<'_>,
    batch: usize,
    line: usize,
    name: &str,
    at_once: usize,
    fails: impl AsyncFn(&Scenario, bool) -> Result<bool, Error>,
) -> Result<Vec<Scenario>, Error> {
    let mut search = Search {
        rules,
        name,
        fails,
        at_once: at_once.max(1),
        asked: HashSet::new(),
        known: HashMap::new(),
        tries: TRIES,
        begun: Instant::now(),
        found: Vec::new(),
    };
    let mut cases = rules.cases(batch);
    search.knows_to_fail(&cases);
    search.look_at(&mut cases, line).await?;
    search.leave_out(&mut cases).await?;
    for n in 0..cases.len() {
        search.simplify(&mut cases, n).await?;
    }
    search.leave_out(&mut cases).await?;
    search.found.reverse();
    Ok(search.found)
}

struct Search<'a, F> {
    rules: &'a Rules<'a>,
    name: &'a str,
    fails: F,
    at_once: usize,
    /// The scenarios that it was asked of so far.
    asked: HashSet<String>,
    /// What came of scenarios that were tried before, or tried ahead of the question: different cases often become the same
    /// scenario.
    known: HashMap<String, Tried>,
    /// How often a scenario is tried at most.
    tries: usize,
    begun: Instant,
    found: Vec<Scenario>,
}

/// What came of a scenario.
#[derive(Clone, Copy)]
struct Tried {
    failed: bool,
    tries: usize,
}

impl<F: AsyncFn(&Scenario, bool) -> Result<bool, Error>> Search<'_, F> {
    /// Whether these cases fail; once the search has taken too long, none does.
    async fn fails(&mut self, cases: &[Case]) -> Result<bool, Error> {
        let one = std::iter::once(cases.to_vec());
        Ok(self.first_that_fails(one).await?.is_some())
    }

    /// The first of these that fails, with its number. Those behind it may have been tried as well, and are known then.
    async fn first_that_fails(
        &mut self,
        all: impl Iterator<Item = Vec<Case>>,
    ) -> Result<Option<(usize, Vec<Case>)>, Error> {
        let mut all = all.enumerate();
        loop {
            let some: Vec<_> = all.by_ref().take(self.at_once).collect();
            if some.is_empty() {
                return Ok(None);
            }
            let batch = |(_, cases): &(usize, Vec<Case>)| self.rules.batch(self.name, cases);
            let scenarios: Vec<Scenario> = some.iter().map(batch).collect();
            self.try_all(&scenarios).await?;
            for (found, scenario) in some.into_iter().zip(scenarios) {
                if self.is_known_to_fail(scenario) {
                    return Ok(Some(found));
                }
            }
        }
    }

    /// Tries all of these at once that are not known yet, unless the search has taken too long.
    async fn try_all(&mut self, scenarios: &[Scenario]) -> Result<(), Error> {
        if self.asked.len() >= ATTEMPTS || self.begun.elapsed() > TIME {
            return Ok(());
        }
        let mut new: Vec<(String, &Scenario)> = Vec::new();
        for scenario in scenarios {
            let text = scenario.to_string();
            if !self.known.contains_key(&text) && !new.iter().any(|(known, _)| *known == text) {
                new.push((text, scenario));
            }
        }
        let tried = new.iter().map(|(_, scenario)| self.tried(scenario));
        let tried = try_join_all(tried).await?;
        let texts = new.into_iter().map(|(text, _)| text);
        self.known.extend(texts.zip(tried));
        Ok(())
    }

    async fn tried(&self, scenario: &Scenario) -> Result<Tried, Error> {
        let (mut failures, mut tries) = (0, 0);
        while failures < NEEDED && NEEDED - failures <= self.tries - tries {
            failures += usize::from((self.fails)(scenario, failures > 0).await?);
            tries += 1;
        }
        let failed = failures == NEEDED;
        Ok(Tried { failed, tries })
    }

    /// The whole batch has failed; what comes to the same need not be tried.
    fn knows_to_fail(&mut self, cases: &[Case]) {
        let text = self.rules.batch(self.name, cases).to_string();
        let (failed, tries) = (true, NEEDED);
        self.asked.insert(text.clone());
        self.known.insert(text, Tried { failed, tries });
    }

    /// What is known of a scenario, which is asked for now.
    fn is_known_to_fail(&mut self, scenario: Scenario) -> bool {
        let text = scenario.to_string();
        let Some(Tried { failed, tries }) = self.known.get(&text).copied() else {
            return false;
        };
        if self.asked.insert(text) && failed {
            self.found.push(scenario);
            if tries > NEEDED {
                self.tries = TRIES_WITH_LUCK;
            }
        }
        failed
    }

    /// Leaves out all but the case that the failure showed in, or at least all behind it.
    async fn look_at(&mut self, cases: &mut Vec<Case>, number: usize) -> Result<(), Error> {
        if number == 0 || number > cases.len() {
            return Ok(());
        }
        for from in [number - 1, number.saturating_sub(2), 0] {
            let some = cases[from..number].to_vec();
            if some.len() < cases.len() && self.fails(&some).await? {
                *cases = some;
                return Ok(());
            }
        }
        Ok(())
    }

    /// Leaves out cases: half of them at a time, then a quarter, then each alone.
    async fn leave_out(&mut self, cases: &mut Vec<Case>) -> Result<(), Error> {
        let mut size = cases.len().div_ceil(2);
        while size > 0 && cases.len() > 1 {
            let mut at = 0;
            while at < cases.len() && cases.len() > 1 {
                let whole = cases.clone();
                let rests = (at..whole.len()).step_by(size).map(|at| {
                    let end = (at + size).min(whole.len());
                    [&whole[..at], &whole[end..]].concat()
                });
                let rests = rests.filter(|rest| !rest.is_empty());
                match self.first_that_fails(rests).await? {
                    Some((n, rest)) => {
                        at += n * size;
                        *cases = rest;
                    }
                    None => break,
                }
            }
            size = match size {
                1 => 0,
                size => size.div_ceil(2),
            };
        }
        Ok(())
    }

    /// Makes one case simpler while the others stay as they are, until nothing can be left out of it.
    async fn simplify(&mut self, cases: &mut Vec<Case>, n: usize) -> Result<(), Error> {
        let (mut at, mut is_simpler) = (0, false);
        loop {
            let whole = cases.clone();
            let simpler = simpler(&whole[n]);
            let left = simpler.into_iter().enumerate().skip(at);
            let is_less = |case: &Case| weight(case) < weight(&whole[n]);
            let less = left.filter(|(_, case)| is_less(case));
            let (numbers, attempts): (Vec<usize>, Vec<Vec<Case>>) = less
                .map(|(number, case)| {
                    let mut attempt = whole.clone();
                    attempt[n] = case;
                    (number, attempt)
                })
                .unzip();
            match self.first_that_fails(attempts.into_iter()).await? {
                Some((number, attempt)) => {
                    at = numbers[number];
                    *cases = attempt;
                    is_simpler = true;
                }
                None if is_simpler => (at, is_simpler) = (0, false),
                None => return Ok(()),
            }
        }
    }
}

/// How much there is to a case, of which every simplification makes less.
fn weight(case: &Case) -> usize {
    let spot = |spot: &Spot| match spot {
        Spot::Start(bytes) | Spot::End(bytes) => *bytes,
        Spot::Share(_) | Spot::Power(_) => 9,
    };
    let message = |message: &Message| {
        let segmentation = match &message.segmentation {
            Segmentation::Whole => 0,
            Segmentation::At(spots) => 1 + spots.iter().map(spot).sum::<usize>(),
            Segmentation::Pieces(_) => 64,
        };
        let odd = usize::from(message.content != Content::Letters)
            + usize::from(message.waiting != Waiting::Hear);
        4 + message.size + message.times as usize + segmentation + odd + message.seed as usize
    };
    let connection = |connection: &Connection| {
        let messages: usize = connection.messages.iter().map(message).sum();
        let odd = usize::from(connection.connect != ConnectKind::Plain)
            + usize::from(connection.close != CloseKind::Close);
        let messages = if connection.again {
            2 * messages + 1
        } else {
            messages
        };
        4 + messages + odd + connection.unfinished.unwrap_or(0)
    };
    let plans = case.plans.iter().map(|plan| {
        let connections: usize = plan.connections.iter().map(connection).sum();
        let gaps: usize = plan.gaps.iter().map(|gap| usize::from(*gap) + 1).sum();
        connections + gaps
    });
    let freeze = case.freeze.map_or(0, |(_, steps)| 1 + usize::from(steps));
    let restart = case.restart.map_or(0, |at| 1 + usize::from(at));
    let restart = restart + case.answers.len();
    plans.sum::<usize>() + freeze + restart
}

/// The cases that are simpler by one thing, the greatest first.
fn simpler(case: &Case) -> Vec<Case> {
    let found = Vec::new();
    let mut simpler = Simpler { case, found };
    simpler.leave_something_out();
    simpler.make_something_smaller();
    simpler.found
}

/// What is simpler than a case.
struct Simpler<'a> {
    case: &'a Case,
    found: Vec<Case>,
}

impl Simpler<'_> {
    fn with(&mut self, change: impl FnOnce(&mut Case)) {
        let mut simpler = self.case.clone();
        change(&mut simpler);
        self.found.push(simpler);
    }

    fn leave_something_out(&mut self) {
        let case = self.case;
        // What the kernel did goes first: most failures need nothing of it.
        if !case.answers.is_empty() {
            self.with(|case| case.answers.clear());
            self.with(|case| case.answers.truncate(1));
        }
        if case.plans.len() > 1 {
            for plan in 0..case.plans.len() {
                self.with(|case| drop(case.plans.remove(plan)));
            }
        }
        if case.restart.is_some() {
            self.with(|case| case.restart = None);
            self.with(|case| case.restart = Some(0));
        }
        if let Some((at, steps)) = case.freeze {
            self.with(|case| case.freeze = None);
            if steps > 1 {
                self.with(|case| case.freeze = Some((at, steps - 1)));
            }
        }
        for (p, plan) in case.plans.iter().enumerate() {
            if plan.connections.len() > 1 {
                for c in 0..plan.connections.len() {
                    self.with(|case| drop(case.plans[p].connections.remove(c)));
                }
            }
            for (c, connection) in plan.connections.iter().enumerate() {
                for m in 0..connection.messages.len() {
                    self.with(|case| drop(case.plans[p].connections[c].messages.remove(m)));
                    self.with(|case| leave_out_message(&mut case.plans[p], c, m));
                }
            }
            for c in 0..plan.connections.len() {
                self.with(|case| case.plans[p].connections[c].unfinished = None);
                self.with(|case| case.plans[p].connections[c].again = false);
                self.with(|case| say_again_in_messages(&mut case.plans[p].connections[c]));
                self.with(|case| case.plans[p].connections[c].connect = ConnectKind::Plain);
                self.with(|case| case.plans[p].connections[c].close = CloseKind::Close);
            }
            if !plan.gaps.is_empty() {
                self.with(|case| case.plans[p].gaps.clear());
            }
        }
    }

    fn make_something_smaller(&mut self) {
        let case = self.case;
        for (p, plan) in case.plans.iter().enumerate() {
            for (c, connection) in plan.connections.iter().enumerate() {
                for (m, message) in connection.messages.iter().enumerate() {
                    for simpler in simpler_messages(message) {
                        self.with(|case| {
                            case.plans[p].connections[c].messages[m] = simpler;
                        });
                    }
                }
                for bytes in connection.unfinished.into_iter().flat_map(smaller) {
                    self.with(|case| case.plans[p].connections[c].unfinished = Some(bytes));
                }
            }
            for (n, gap) in plan.gaps.iter().enumerate().rev() {
                if n + 1 == plan.gaps.len() {
                    self.with(|case| case.plans[p].gaps.truncate(n));
                }
                if *gap > 0 {
                    self.with(|case| case.plans[p].gaps[n] = 0);
                }
            }
        }
    }
}

/// Leaves out a message, with the gaps of its steps, so that the others keep their moments. Exact for the first connection
/// where each message is sent and heard at once.
fn leave_out_message(plan: &mut ClientPlan, connection: usize, message: usize) {
    let steps = |messages: &[Message]| {
        messages
            .iter()
            .map(|message| 2 * message.times as usize)
            .sum::<usize>()
    };
    let messages = &mut plan.connections[connection].messages;
    let from = (1 + steps(&messages[..message])).min(plan.gaps.len());
    let to = (from + steps(&messages[message..=message])).min(plan.gaps.len());
    messages.remove(message);
    let left_out: u8 = plan.gaps.drain(from..to).fold(0, u8::saturating_add);
    if let Some(next) = plan.gaps.get_mut(from) {
        *next = next.saturating_add(left_out);
    }
}

/// Writes out what is said once more, so that parts of it can be left out.
fn say_again_in_messages(connection: &mut Connection) {
    if std::mem::take(&mut connection.again) {
        let again: Vec<Message> = connection.messages.iter().rev().cloned().collect();
        connection.messages.extend(again);
    }
}

fn simpler_messages(message: &Message) -> Vec<Message> {
    let mut found = Vec::new();
    let mut with = |change: &dyn Fn(&mut Message)| {
        let mut simpler = message.clone();
        change(&mut simpler);
        found.push(simpler);
    };
    with(&|message| message.segmentation = Segmentation::Whole);
    with(&|message| message.waiting = Waiting::Hear);
    with(&|message| message.times = 1);
    with(&|message| message.content = Content::Letters);
    with(&|message| message.seed = 0);
    for size in smaller(message.size) {
        with(&|message| message.size = size);
    }
    match &message.segmentation {
        Segmentation::Whole => {}
        Segmentation::Pieces(_) => {
            with(&|message| message.segmentation = Segmentation::At(vec![Spot::Start(1)]));
            with(&|message| message.segmentation = Segmentation::At(vec![Spot::End(1)]));
        }
        Segmentation::At(spots) => {
            for n in 0..spots.len() {
                let mut fewer = spots.clone();
                fewer.remove(n);
                with(&|message| message.segmentation = Segmentation::At(fewer.clone()));
            }
            if let [Spot::Share(_) | Spot::Power(_)] = spots[..] {
                with(&|message| message.segmentation = Segmentation::At(vec![Spot::Start(1)]));
                with(&|message| message.segmentation = Segmentation::At(vec![Spot::End(1)]));
            }
        }
    }
    found
}
