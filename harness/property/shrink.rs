//! From a failing chapter to the smallest case that fails as well.
//!
//! Any play is legal, so that any part of it can be left out or made simpler by itself. That finds smaller cases, with
//! fewer attempts, than the shrinking that comes with the strategies, which knows of a union only what was drawn.

use super::plan::{
    Case, ClientPlan, CloseKind, ConnectKind, Connection, Content, Message, Spot, Waiting,
};
use super::rules::Rules;
use crate::model::data::Segmentation;
use crate::model::error::Error;
use crate::model::scenario::Scenario;
use std::collections::HashMap;
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

/// Seeks the smallest case that still fails; `fails` performs a scenario on a healthy server. Returns all that were
/// found on the way, the smallest first: the last of them are the surest. `line` is where the chapter failed, 0 where
/// that is not known.
///
/// # Errors
/// What keeps a scenario from being performed.
pub(crate) async fn smallest(
    rules: &Rules<'_>,
    chapter: usize,
    line: usize,
    name: &str,
    fails: impl AsyncFnMut(&Scenario) -> Result<bool, Error>,
) -> Result<Vec<Scenario>, Error> {
    let mut search = Search {
        rules,
        name,
        fails,
        known: HashMap::new(),
        tries: TRIES,
        begun: Instant::now(),
        found: Vec::new(),
    };
    let mut plays = rules.plays(chapter);
    search.look_at(&mut plays, line).await?;
    search.leave_out(&mut plays).await?;
    for n in 0..plays.len() {
        search.simplify(&mut plays, n).await?;
    }
    search.leave_out(&mut plays).await?;
    search.found.reverse();
    Ok(search.found)
}

struct Search<'a, F> {
    rules: &'a Rules<'a>,
    name: &'a str,
    fails: F,
    /// What came of scenarios that were tried before: different plays often become the same scenario.
    known: HashMap<String, bool>,
    /// How often a scenario is tried at most.
    tries: usize,
    begun: Instant,
    found: Vec<Scenario>,
}

impl<F: AsyncFnMut(&Scenario) -> Result<bool, Error>> Search<'_, F> {
    /// Whether these plays fail; once the search has taken too long, none does.
    async fn fails(&mut self, plays: &[Case]) -> Result<bool, Error> {
        let scenario = self.rules.chapter(self.name, plays);
        let text = scenario.to_string();
        if let Some(known) = self.known.get(&text) {
            return Ok(*known);
        }
        if self.known.len() >= ATTEMPTS || self.begun.elapsed() > TIME {
            return Ok(false);
        }
        let (mut failures, mut tries) = (0, 0);
        while failures < NEEDED && NEEDED - failures <= self.tries - tries {
            failures += usize::from((self.fails)(&scenario).await?);
            tries += 1;
        }
        let failed = failures == NEEDED;
        if failed {
            self.found.push(scenario);
        }
        if failed && tries > NEEDED {
            self.tries = TRIES_WITH_LUCK;
        }
        self.known.insert(text, failed);
        Ok(failed)
    }

    /// Leaves out all but the play that the failure showed in, or at least all behind it.
    async fn look_at(&mut self, plays: &mut Vec<Case>, number: usize) -> Result<(), Error> {
        if number == 0 || number > plays.len() {
            return Ok(());
        }
        for from in [number - 1, number.saturating_sub(2), 0] {
            let some = plays[from..number].to_vec();
            if some.len() < plays.len() && self.fails(&some).await? {
                *plays = some;
                return Ok(());
            }
        }
        Ok(())
    }

    /// Leaves out plays: half of them at a time, then a quarter, then each alone.
    async fn leave_out(&mut self, plays: &mut Vec<Case>) -> Result<(), Error> {
        let mut size = plays.len().div_ceil(2);
        while size > 0 && plays.len() > 1 {
            let mut at = 0;
            while at < plays.len() && plays.len() > 1 {
                let end = (at + size).min(plays.len());
                let rest = [&plays[..at], &plays[end..]].concat();
                if !rest.is_empty() && self.fails(&rest).await? {
                    *plays = rest;
                } else {
                    at = end;
                }
            }
            size = match size {
                1 => 0,
                size => size.div_ceil(2),
            };
        }
        Ok(())
    }

    /// Makes one play simpler while the others stay as they are, until nothing can be left out of it.
    async fn simplify(&mut self, plays: &mut Vec<Case>, n: usize) -> Result<(), Error> {
        let (mut at, mut is_simpler) = (0, false);
        loop {
            let Some(simpler) = simpler(&plays[n]).into_iter().nth(at) else {
                if !is_simpler {
                    return Ok(());
                }
                (at, is_simpler) = (0, false);
                continue;
            };
            let is_less = weight(&simpler) < weight(&plays[n]);
            let mut attempt = plays.clone();
            attempt[n] = simpler;
            if is_less && (self.text(&attempt) == self.text(plays) || self.fails(&attempt).await?) {
                *plays = attempt;
                is_simpler = true;
            } else {
                at += 1;
            }
        }
    }

    fn text(&self, plays: &[Case]) -> String {
        self.rules.chapter(self.name, plays).to_string()
    }
}

/// How much there is to a play, of which every simplification makes less.
fn weight(play: &Case) -> usize {
    let spot = |spot: &Spot| match spot {
        Spot::Start(bytes) | Spot::End(bytes) => *bytes,
        Spot::Share(_) | Spot::Power(_) => 9,
    };
    let word = |word: &Message| {
        let segmentation = match &word.segmentation {
            Segmentation::Whole => 0,
            Segmentation::At(spots) => 1 + spots.iter().map(spot).sum::<usize>(),
            Segmentation::Pieces(_) => 64,
        };
        let odd = usize::from(word.content != Content::Letters)
            + usize::from(word.manner != Waiting::Hear);
        4 + word.size + word.times as usize + segmentation + odd + word.seed as usize
    };
    let visit = |visit: &Connection| {
        let words: usize = visit.words.iter().map(word).sum();
        let odd = usize::from(visit.reach != ConnectKind::Plain)
            + usize::from(visit.leave != CloseKind::Close);
        let words = if visit.again { 2 * words + 1 } else { words };
        4 + words + odd + visit.unfinished.unwrap_or(0)
    };
    let parts = play.parts.iter().map(|part| {
        let visits: usize = part.visits.iter().map(visit).sum();
        let gaps: usize = part.gaps.iter().map(|gap| usize::from(*gap) + 1).sum();
        visits + gaps
    });
    let freeze = play.freeze.map_or(0, |(_, steps)| 1 + usize::from(steps));
    let restart = play.restart.map_or(0, |at| 1 + usize::from(at));
    parts.sum::<usize>() + freeze + restart
}

/// The plays that are simpler by one thing, the greatest first.
fn simpler(play: &Case) -> Vec<Case> {
    let mut found = Vec::new();
    let mut with = |change: &dyn Fn(&mut Case)| {
        let mut simpler = play.clone();
        change(&mut simpler);
        found.push(simpler);
    };
    if play.parts.len() > 1 {
        for part in 0..play.parts.len() {
            with(&|play| drop(play.parts.remove(part)));
        }
    }
    if play.restart.is_some() {
        with(&|play| play.restart = None);
        with(&|play| play.restart = Some(0));
    }
    if let Some((at, steps)) = play.freeze {
        with(&|play| play.freeze = None);
        if steps > 1 {
            with(&|play| play.freeze = Some((at, steps - 1)));
        }
    }
    for (p, part) in play.parts.iter().enumerate() {
        if part.visits.len() > 1 {
            for v in 0..part.visits.len() {
                with(&|play| drop(play.parts[p].visits.remove(v)));
            }
        }
        for (v, visit) in part.visits.iter().enumerate() {
            for w in 0..visit.words.len() {
                with(&|play| drop(play.parts[p].visits[v].words.remove(w)));
                with(&|play| leave_out_word(&mut play.parts[p], v, w));
            }
        }
        for v in 0..part.visits.len() {
            with(&|play| play.parts[p].visits[v].unfinished = None);
            with(&|play| play.parts[p].visits[v].again = false);
            with(&|play| say_again_in_words(&mut play.parts[p].visits[v]));
            with(&|play| play.parts[p].visits[v].reach = ConnectKind::Plain);
            with(&|play| play.parts[p].visits[v].leave = CloseKind::Close);
        }
        if !part.gaps.is_empty() {
            with(&|play| play.parts[p].gaps.clear());
        }
    }
    for (p, part) in play.parts.iter().enumerate() {
        for (v, visit) in part.visits.iter().enumerate() {
            for (w, word) in visit.words.iter().enumerate() {
                for simpler in simpler_words(word) {
                    with(&|play| play.parts[p].visits[v].words[w] = simpler.clone());
                }
            }
            for bytes in visit.unfinished.into_iter().flat_map(smaller) {
                with(&|play| play.parts[p].visits[v].unfinished = Some(bytes));
            }
        }
        for (n, gap) in part.gaps.iter().enumerate().rev() {
            if n + 1 == part.gaps.len() {
                with(&|play| play.parts[p].gaps.truncate(n));
            }
            if *gap > 0 {
                with(&|play| play.parts[p].gaps[n] = 0);
            }
        }
    }
    found
}

/// Leaves out a word, with the gaps of its steps, so that the others keep their moments. Exact for the first connection
/// where each word is sent and heard at once.
fn leave_out_word(part: &mut ClientPlan, visit: usize, word: usize) {
    let steps = |words: &[Message]| {
        words
            .iter()
            .map(|word| 2 * word.times as usize)
            .sum::<usize>()
    };
    let words = &mut part.visits[visit].words;
    let from = (1 + steps(&words[..word])).min(part.gaps.len());
    let to = (from + steps(&words[word..=word])).min(part.gaps.len());
    words.remove(word);
    let left_out: u8 = part.gaps.drain(from..to).fold(0, u8::saturating_add);
    if let Some(next) = part.gaps.get_mut(from) {
        *next = next.saturating_add(left_out);
    }
}

/// Writes out what is said once more, so that parts of it can be left out.
fn say_again_in_words(visit: &mut Connection) {
    if std::mem::take(&mut visit.again) {
        let again: Vec<Message> = visit.words.iter().rev().cloned().collect();
        visit.words.extend(again);
    }
}

fn simpler_words(word: &Message) -> Vec<Message> {
    let mut found = Vec::new();
    let mut with = |change: &dyn Fn(&mut Message)| {
        let mut simpler = word.clone();
        change(&mut simpler);
        found.push(simpler);
    };
    with(&|word| word.segmentation = Segmentation::Whole);
    with(&|word| word.manner = Waiting::Hear);
    with(&|word| word.times = 1);
    with(&|word| word.content = Content::Letters);
    with(&|word| word.seed = 0);
    for size in smaller(word.size) {
        with(&|word| word.size = size);
    }
    match &word.segmentation {
        Segmentation::Whole => {}
        Segmentation::Pieces(_) => {
            with(&|word| word.segmentation = Segmentation::At(vec![Spot::Start(1)]));
            with(&|word| word.segmentation = Segmentation::At(vec![Spot::End(1)]));
        }
        Segmentation::At(spots) => {
            for n in 0..spots.len() {
                let mut fewer = spots.clone();
                fewer.remove(n);
                with(&|word| word.segmentation = Segmentation::At(fewer.clone()));
            }
            if let [Spot::Share(_) | Spot::Power(_)] = spots[..] {
                with(&|word| word.segmentation = Segmentation::At(vec![Spot::Start(1)]));
                with(&|word| word.segmentation = Segmentation::At(vec![Spot::End(1)]));
            }
        }
    }
    found
}

/// Smaller numbers, the smallest first; taken again and again they meet the smallest that will do.
fn smaller(number: usize) -> impl Iterator<Item = usize> {
    let steps = (1..usize::BITS).map(move |shift| number >> shift);
    let one = (number > 1).then_some(1);
    one.into_iter().chain(
        steps
            .take_while(|step| *step > 0)
            .map(move |step| number - step),
    )
}
