//! Puts lines together: settings to the file, steps to their case and block.

use super::bounds::{DEEPEST, LONGEST_TIME, MOST_CASES, MOST_CLIENTS, MOST_STEPS, MOST_TIMES};
use super::diagnostic::{Diagnostic, Place};
use super::file::{Case, DrillFile};
use super::possible::first_impossible;
use super::statement::Statement;
use crate::model::error::Error;
use crate::model::profile::Transport;
use crate::model::scenario::{ClientGroup, Line, Scenario, Step, Waiver};

/// A file in the making.
#[derive(Default)]
pub(super) struct Builder<'a> {
    file: DrillFile,
    /// Where the case began that is being read.
    case: Option<Place<'a>>,
    /// Where its steps stand, in the order of the text, those that begin a block included.
    places: Vec<Place<'a>>,
    /// The blocks that are not closed, from the outermost.
    open: Vec<Block<'a>>,
    /// The cases have been performed, so that nobody asks whether they can be; their clients may have begun elsewhere.
    is_record: bool,
    /// What the server is reached over, where that is known.
    over: Option<Transport>,
    /// How many steps there are in all cases.
    steps: usize,
}

struct Block<'a> {
    place: Place<'a>,
    times: u32,
    lines: Vec<Line>,
}

impl<'a> Builder<'a> {
    /// Of cases that have been performed.
    pub(super) fn of_record() -> Self {
        Self {
            is_record: true,
            ..Self::default()
        }
    }

    /// Of cases for a server that is reached over this, where that is known.
    pub(super) fn over(over: Option<Transport>) -> Self {
        Self {
            over,
            ..Self::default()
        }
    }

    /// The clients of the case that is being read.
    pub(super) fn clients(&self) -> &[ClientGroup] {
        self.file
            .cases
            .last()
            .map_or(&[], |case| &case.scenario.clients)
    }

    /// How many blocks are open.
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// Adds what a line says.
    pub(super) fn add(&mut self, place: Place<'a>, sentence: Statement) -> Result<(), Error> {
        let added = match sentence {
            Statement::Server(name) => self.setting(|file| &mut file.server, name),
            Statement::Speaks(name) => self.setting(|file| &mut file.speaks, name),
            Statement::Case(name) => return self.begin_case(place, name),
            Statement::Clients(clients) => self.add_clients(place, clients),
            Statement::Waive(waiver) => self.waive(waiver),
            Statement::Step(step) => self.step(place, step),
            Statement::Repeat(times) => self.begin_block(place, times),
            Statement::End => self.end_block(),
        };
        added.map_err(|problem| problem.about(place))
    }

    /// The whole file.
    pub(super) fn finish(mut self, file: Place<'a>) -> Result<DrillFile, Error> {
        self.end_case()?;
        match self.file.cases.is_empty() {
            false => Ok(self.file),
            true => {
                let problem = Problem("there is no case in this file", "write `case WHAT HAPPENS`");
                Err(problem.about(file))
            }
        }
    }

    fn setting(
        &mut self,
        slot: fn(&mut DrillFile) -> &mut Option<String>,
        value: String,
    ) -> Result<(), Problem> {
        if self.case.is_some() {
            return Err(Problem(
                "this setting is for the whole file",
                "write it above the first case",
            ));
        }
        match slot(&mut self.file).replace(value) {
            None => Ok(()),
            Some(_) => Err(Problem("this is set twice", "remove one of the two")),
        }
    }

    fn begin_case(&mut self, place: Place<'a>, name: String) -> Result<(), Error> {
        self.end_case()?;
        if self.file.cases.len() == MOST_CASES {
            let problem = Problem(
                "a file has at most 10,000 cases",
                "write the rest into another file",
            );
            return Err(problem.about(place));
        }
        self.case = Some(place);
        self.places.clear();
        self.file.cases.push(Case {
            line: place.number,
            scenario: Scenario {
                name,
                clients: Vec::new(),
                waived: Vec::new(),
                lines: Vec::new(),
            },
        });
        Ok(())
    }

    fn end_case(&mut self) -> Result<(), Error> {
        if let Some(block) = self.open.last() {
            let problem = Problem(
                "this block is not closed",
                "write `end` below its last step",
            );
            return Err(problem.about(block.place));
        }
        let (Some(place), Some(case)) = (self.case, self.file.cases.last()) else {
            return Ok(());
        };
        if case.scenario.lines.is_empty() {
            let problem = Problem("this case has no steps", "write its steps below");
            return Err(problem.about(place));
        }
        if case.scenario.pauses() > LONGEST_TIME {
            let problem = Problem(
                "its pauses come to more than a week",
                "write fewer or shorter ones",
            );
            return Err(problem.about(place));
        }
        match first_impossible(&case.scenario, self.over) {
            _ if self.is_record => Ok(()),
            None => Ok(()),
            Some(impossible) => {
                let place = self.places.get(impossible.step).copied().unwrap_or(place);
                let mistake = Diagnostic::new(first_word(place.text), impossible.title);
                Err(mistake.label(impossible.label).at(place))
            }
        }
    }

    /// The case of a line that needs one.
    fn scenario(&mut self) -> Result<&mut Scenario, Problem> {
        let case = self.file.cases.last_mut().ok_or(OUTSIDE)?;
        Ok(&mut case.scenario)
    }

    /// The case of a setting, which stands above the steps.
    fn heading(&mut self) -> Result<&mut Scenario, Problem> {
        let in_block = !self.open.is_empty();
        let scenario = self.scenario()?;
        match scenario.lines.is_empty() && !in_block {
            true => Ok(scenario),
            false => Err(Problem(
                "this setting comes after a step",
                "write it between `case` and the first step",
            )),
        }
    }

    fn add_clients(&mut self, place: Place<'a>, clients: Vec<ClientGroup>) -> Result<(), Problem> {
        let scenario = self.heading()?;
        // In JSON each has a place of its own.
        if !scenario.clients.is_empty() && place.number > 0 {
            return Err(Problem(
                "this is set twice",
                "write all clients in one line",
            ));
        }
        scenario.clients.extend(clients);
        let all = scenario
            .clients
            .iter()
            .map(|group| u64::from(group.members));
        match all.sum::<u64>() > u64::from(MOST_CLIENTS) {
            false => Ok(()),
            true => Err(Problem(
                "the clients of a case are at most 64,512, as many as an address has ports",
                "write a smaller number",
            )),
        }
    }

    fn waive(&mut self, waiver: Waiver) -> Result<(), Problem> {
        self.heading()?.waived.push(waiver);
        Ok(())
    }

    fn step(&mut self, place: Place<'a>, step: Step) -> Result<(), Problem> {
        self.put(place, step)?;
        self.places.push(place);
        Ok(())
    }

    /// Adds a step, or a block that is complete, to the case or to the block around it.
    fn put(&mut self, place: Place<'a>, step: Step) -> Result<(), Problem> {
        if self.steps == MOST_STEPS {
            return Err(Problem(
                "a file has at most 100,000 steps",
                "write `repeat NUMBER` for what comes again, or the rest into another file",
            ));
        }
        self.steps += 1;
        let scenario = self
            .file
            .cases
            .last_mut()
            .map(|case| &mut case.scenario.lines);
        let block = self.open.last_mut().map(|block| &mut block.lines);
        let lines = block.or(scenario).ok_or(OUTSIDE)?;
        let number = place.number;
        lines.push(Line { number, step });
        Ok(())
    }

    fn begin_block(&mut self, place: Place<'a>, times: u32) -> Result<(), Problem> {
        self.scenario()?;
        if self.open.len() == DEEPEST {
            return Err(Problem(
                "these blocks are nested too deep",
                "write a simpler case",
            ));
        }
        let around = self.open.iter().map(|block| u64::from(block.times));
        let total = around.fold(u64::from(times), u64::saturating_mul);
        if total > u64::from(MOST_TIMES) {
            return Err(Problem(
                "with the blocks around it this is more than a million times",
                "write a smaller number",
            ));
        }
        self.places.push(place);
        let lines = Vec::new();
        self.open.push(Block {
            place,
            times,
            lines,
        });
        Ok(())
    }

    fn end_block(&mut self) -> Result<(), Problem> {
        let block = self.open.pop().ok_or(Problem(
            "there is no block to end here",
            "remove this, or write `repeat NUMBER` above",
        ))?;
        if block.lines.is_empty() {
            return Err(Problem("this block has no steps", "write steps above it"));
        }
        let (times, lines) = (block.times, block.lines);
        self.put(block.place, Step::Repeat { times, lines })
    }
}

const OUTSIDE: Problem = Problem(
    "this belongs to a case",
    "write `case WHAT HAPPENS` above it",
);

/// A line in the wrong place: what is wrong, and what to do.
struct Problem(&'static str, &'static str);

impl Problem {
    /// The error that points at the line's first word.
    fn about(self, place: Place<'_>) -> Error {
        Diagnostic::new(first_word(place.text), self.0)
            .label(self.1)
            .at(place)
    }
}

/// The place of a line's first word.
fn first_word(text: &str) -> std::ops::Range<usize> {
    let start = text.len() - text.trim_start().len();
    let length = text.trim_start().find(char::is_whitespace);
    start..length.map_or(text.len(), |length| start + length)
}
