//! A trial whose scenario is told as it goes on, by code that is not ours: it is performed and judged as one that was read.

use super::company::trial;
use super::parallel::block_on;
use super::probe::subject_of;
use super::settings::Settings;
use super::told_order::ToldOrder;
use crate::drill::why_impossible;
use crate::foreign::LINE;
use crate::judge::{Verdict, judge, next};
use crate::launch::Target;
use crate::launch::lab::Lab;
use crate::model::error::Error;
use crate::model::phase::{Next, Phase};
use crate::model::profile::{STOP_WITHIN, Stop};
use crate::model::scenario::{ClientGroup, Line, Scenario};
use crate::model::server_action::Signal;
use crate::model::subject::Subject;
use crate::model::trial::Trial;
use crate::report::data::CheckResult;
use crate::session::{Session, Turn};
use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;
use std::sync::Arc;

/// So many steps are looked through for what cannot happen: to look through all of them again with each is quadratic.
const LOOKED_THROUGH: usize = 4_096;

/// A trial on a running server, whose scenario is told as it goes on.
pub(crate) struct Told<'a> {
    session: Session<'a>,
    subject: Subject,
    scenario: RefCell<Scenario>,
    order: RefCell<ToldOrder>,
    /// A polite client comes before and after, and a bystander stands beside.
    polite: bool,
    /// The steps tell all that happens to the server, so that they can be repeated.
    tells_all: Cell<bool>,
    /// Whether it goes on: no step has failed.
    flow: Cell<ControlFlow<()>>,
    /// What was done before the first step came to no good end.
    is_unfit: bool,
}

/// Does something on a thread of its own, with an event loop for sessions.
///
/// # Errors
/// There is no event loop to be had.
pub(crate) fn perform_here<T>(work: impl Future<Output = T>) -> Result<T, Error> {
    block_on(work)
}

impl<'a> Told<'a> {
    /// Starts the target in a lab, and does what comes before a scenario.
    ///
    /// # Errors
    /// The server could not be started.
    pub(crate) async fn begin(
        target: &'a Target,
        lab: &Arc<Lab>,
        settings: &Settings,
        name: &str,
        polite: bool,
    ) -> Result<Self, Error> {
        let session = Session::start(target, Arc::clone(lab), Turn::default()).await?;
        let subject = subject_of(&session, lab, target, settings)?;
        let scenario = Scenario {
            name: name.to_owned(),
            clients: Vec::new(),
            waived: Vec::new(),
            lines: Vec::new(),
        };
        let mut told = Self {
            session,
            subject,
            scenario: RefCell::new(scenario),
            order: RefCell::default(),
            polite,
            tells_all: Cell::new(true),
            flow: Cell::new(ControlFlow::Continue(())),
            is_unfit: false,
        };
        told.session.begin();
        told.is_unfit = !told.perform(true).await?;
        let scenario = told.scenario.borrow().clone();
        if !told.is_unfit {
            told.session.begin_told(&scenario).await;
        }
        Ok(told)
    }

    /// Performs what the judge wants to see, up to the scenario or behind it; whether the scenario is what it wants next.
    async fn perform(&mut self, up_to_it: bool) -> Result<bool, Error> {
        let trial = self.trial();
        while let Some(next) = self.session.seen(|transcript| next(&trial, transcript)) {
            let is_told = next == Next::Perform(Phase::Scenario);
            if is_told && (up_to_it || !self.tells_all.get()) {
                return Ok(true);
            }
            self.session.perform(next, &trial).await?;
        }
        Ok(false)
    }

    /// The trial as far as it was told.
    fn trial(&self) -> Trial {
        trial(&self.scenario.borrow(), &self.subject, self.polite)
    }

    /// Whether a step is of use: nothing has failed yet.
    pub(crate) fn goes_on(&self) -> bool {
        !self.is_unfit && self.flow.get().is_continue()
    }

    /// Lets a client come, who is the next among the clients.
    pub(crate) fn let_come(&self, name: &str) {
        let mut scenario = self.scenario.borrow_mut();
        let who = scenario.clients.len();
        scenario.clients.push(ClientGroup {
            name: name.to_owned(),
            members: 1,
        });
        self.session.let_come(who);
    }

    /// Says that something happens to the server which no step tells of.
    pub(crate) fn tells_less(&self) {
        self.tells_all.set(false);
    }

    /// Writes a step down that is to be performed; returns its number.
    ///
    /// # Errors
    /// It cannot happen, as everybody has come to something else by then.
    pub(crate) fn write(&self, line: &Line) -> Result<usize, String> {
        let mut scenario = self.scenario.borrow_mut();
        let number = scenario.lines.len();
        scenario.lines.push(line.clone());
        let is_short = scenario.lines.len() <= LOOKED_THROUGH;
        let over = self.subject.place.transport;
        let why = is_short.then(|| why_impossible(&scenario, over));
        match why.flatten() {
            Some(why) => {
                scenario.lines.pop();
                Err(why)
            }
            None => {
                self.order.borrow_mut().begins(&line.step);
                Ok(number)
            }
        }
    }

    /// Lets a client take a step that was written down.
    pub(crate) async fn of_client(&self, who: usize, line: &Line, number: usize) {
        let flow = self.session.told_of_client(who, line, number).await;
        self.order.borrow_mut().ends(number);
        self.goes_on_if(flow);
    }

    /// What a client has captured so far.
    pub(crate) fn captured_by(&self, who: usize) -> Vec<(String, Vec<u8>)> {
        self.session.captured_by(who)
    }

    /// Puts the steps that were taken side by side in an order in which one after the other does the same.
    fn put_in_order(&mut self) {
        let steps = std::mem::take(self.order.get_mut()).in_a_file();
        if steps.is_sorted() {
            return;
        }
        let mut numbers = vec![0; steps.len()];
        for (number, step) in steps.iter().enumerate() {
            numbers[*step] = number;
        }
        self.session.renumber(&numbers);
        let lines = &mut self.scenario.get_mut().lines;
        *lines = steps.iter().map(|step| lines[*step].clone()).collect();
    }

    /// Takes a step that was written down and is not a client's.
    ///
    /// # Errors
    /// The host refuses something.
    pub(crate) async fn of_server(&mut self, line: &Line, number: usize) -> Result<(), Error> {
        let flow = self.session.told_of_server(line, number).await?;
        self.goes_on_if(flow);
        Ok(())
    }

    fn goes_on_if(&self, flow: ControlFlow<()>) {
        if flow.is_break() {
            self.flow.set(flow);
        }
    }

    /// All that the server has printed since the polite client came before the scenario.
    pub(crate) fn printed(&self) -> Vec<u8> {
        self.session.printed()
    }

    /// What is known of the server.
    pub(crate) fn subject(&self) -> &Subject {
        &self.subject
    }

    /// How the server stops, as its profile says or as servers do.
    pub(crate) fn stop(&self) -> Stop {
        let promised = self.subject.profile.promises.stop;
        promised.unwrap_or(Stop {
            signal: Signal::Term,
            within: STOP_WITHIN,
            completes_in_flight: false,
            sessions: None,
        })
    }

    /// Does what comes behind a scenario that has come to its end, and says what was seen of all.
    ///
    /// # Errors
    /// The host refuses something.
    pub(crate) async fn conclude(&mut self) -> Result<CheckResult, Error> {
        if !self.is_unfit {
            self.session.end_told(self.flow.get()).await;
            self.put_in_order();
        }
        if self.goes_on() {
            self.perform(false).await?;
        }
        Ok(self.judged().await)
    }

    /// Says what was seen so far, and does nothing more.
    pub(crate) async fn break_off(&mut self) -> CheckResult {
        self.put_in_order();
        self.judged().await
    }

    async fn judged(&mut self) -> CheckResult {
        let seen = self.session.finish().await;
        let trial = self.trial();
        let verdict = judge(&trial, &seen);
        let scenario = self.scenario.borrow();
        let shown = !matches!(verdict, Verdict::Pass | Verdict::Skip(_));
        let file = (shown && self.tells_all.get() && !scenario.lines.is_empty())
            .then(|| scenario.to_string());
        CheckResult {
            scenario: file,
            transcript: seen.lines(&scenario),
            trace: shown.then(|| Box::new(seen.trace(&scenario))),
            ..CheckResult::of(&LINE.text(&scenario.name), "", "", verdict)
        }
    }
}
