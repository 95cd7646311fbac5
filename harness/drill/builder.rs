//! Puts lines together: settings to the file, steps to their case and block, and every mistake to those before it.

use super::bounds::{
    DEEPEST, DEEPEST_INCLUDE, LONGEST_TIME, MOST_CASES, MOST_CLIENTS, MOST_STEPS, MOST_TIMES,
};
use super::diagnostic::{Diagnostic, Place};
use super::file::{Case, DrillFile, DrillText};
use super::payload::Payload;
use super::possible::first_impossible;
use super::reader::Known;
use super::shared::{Backend, Naming, Shared};
use super::statement::Statement;
use super::terms::Terms;
use crate::model::data::Data;
use crate::model::error::Error;
use crate::model::mistake::{Mistake, Mistakes};
use crate::model::profile::Transport;
use crate::model::scenario::{ClientGroup, Line, Scenario, Step, Waiver};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// A file in the making.
#[derive(Default)]
pub(super) struct Builder<'a> {
    file: DrillFile,
    /// The folder that the file stands in, where it is one.
    folder: Option<PathBuf>,
    inclusion: Inclusion,
    /// Every payload that a line may name, those of included files too.
    payloads: Vec<Payload>,
    /// The same of backends.
    backends: Vec<Backend>,
    /// What is being read.
    part: Part,
    /// Where the part began that is being read.
    began: Option<Place<'a>>,
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
    mistakes: Vec<Mistake>,
    /// What has been said to be wrong in the part that is being read: a name that is not declared is so in all of its lines.
    told: BTreeSet<(usize, String)>,
    /// Nobody knows what a file would have named that cannot be included, or that has a setting that there is not.
    names_are_open: bool,
    /// It has a setting that there is not, which may have been meant to name something.
    has_unknown_setting: bool,
    /// The setup cannot happen, and so no case can.
    setup_is_flawed: bool,
}

/// Where a file stands among those that include it.
#[derive(Clone, Default)]
pub(super) struct Inclusion {
    /// The files that include it, each in the one before, and the file itself, where it is one.
    chain: Vec<PathBuf>,
    /// All files that were taken so far, by whichever of them: each is taken once.
    taken: Rc<RefCell<BTreeSet<PathBuf>>>,
}

/// A file as far as it could be read.
pub(super) struct Built {
    file: DrillFile,
    /// Every mistake that was made in it.
    mistakes: Vec<Mistake>,
    /// It may have meant to name what nobody knows of.
    names_are_open: bool,
    /// Nobody knows whether what its cases begin with can happen.
    setup_is_flawed: bool,
}

impl Built {
    /// All of it.
    ///
    /// # Errors
    /// Every mistake that was made in it.
    pub(super) fn whole(self) -> Result<DrillFile, Error> {
        match self.mistakes.is_empty() {
            true => Ok(self.file),
            false => Err(Error::Scenario(Mistakes::of(self.mistakes))),
        }
    }
}

/// What a file has for one that includes it.
#[derive(Default)]
struct Taken {
    shared: Shared,
    mistakes: Vec<Mistake>,
    names_are_open: bool,
    setup_is_flawed: bool,
}

/// Why a file is not included.
enum NotTaken {
    /// It has mistakes.
    Mistaken(Mistakes),
    /// For this reason.
    Because(String),
}

impl From<Error> for NotTaken {
    fn from(error: Error) -> Self {
        match error {
            Error::Scenario(mistakes) => Self::Mistaken(mistakes),
            error => Self::Because(error.chain()),
        }
    }
}

/// The part of a file that lines belong to.
#[derive(Clone, Copy, Default, PartialEq)]
enum Part {
    #[default]
    Top,
    Setup,
    Case,
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

    /// The same of this file.
    pub(super) fn of_file(mut self, path: &Path) -> Self {
        self.folder = path.parent().map(Path::to_owned);
        self.inclusion.chain.extend(path.canonicalize());
        self
    }

    /// What the next line may name.
    pub(super) fn known(&self) -> Known<'_> {
        Known {
            clients: self.clients(),
            payloads: &self.payloads,
            backends: &self.backends,
            folder: self.folder.as_deref(),
        }
    }

    /// The clients of the part that is being read.
    pub(super) fn clients(&self) -> &[ClientGroup] {
        match (self.part, self.file.cases.last()) {
            (Part::Case, Some(case)) => &case.scenario.clients,
            _ => &self.file.setup.clients,
        }
    }

    /// How many blocks are open.
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// Whether nobody wants to hear of more mistakes.
    pub(super) fn is_full(&self) -> bool {
        self.mistakes.len() >= Mistakes::MOST
    }

    /// Adds a mistake in a line.
    pub(super) fn mistake(&mut self, place: Place<'_>, mistake: Diagnostic) {
        let may_be_named_there = self.names_are_open && mistake.is_about_a_name();
        if self.told.insert(mistake.key(place)) && !may_be_named_there {
            self.mistakes.push(mistake.at(place));
        }
    }

    /// Adds what can be told of a line that says something wrong, so that others are not wrong because of it.
    pub(super) fn guess(&mut self, place: Place<'a>) {
        let mut words = place.text.split_whitespace();
        match words.next() {
            Some("case") => self.begin_case(place, String::new()),
            Some("setup") => drop(self.begin_setup(place)),
            Some("repeat") => drop(self.begin_block(place, 1)),
            Some("payload:") => {
                let name = words.next().unwrap_or_default().to_owned();
                let data = Data::literal("");
                self.name_payload(Payload { name, data });
            }
            Some("backend:") => {
                let name = words.next().unwrap_or_default().to_owned();
                self.name_backend(Backend { name, server: None });
            }
            Some("clients:") => {
                let words = words.flat_map(|word| word.split(','));
                let names = words.map(|word| word.split_once('[').map_or(word, |(name, _)| name));
                let groups = names.map(|name| ClientGroup {
                    name: name.to_owned(),
                    members: 1,
                });
                let groups: Vec<_> = groups.collect();
                drop(self.add_clients(place, groups));
            }
            Some(word) => self.has_unknown_setting |= word.ends_with(':'),
            None => {}
        }
    }

    /// Adds what a line says.
    pub(super) fn add(&mut self, place: Place<'a>, sentence: Statement) {
        let naming = Naming::of(&sentence, place);
        let added = match sentence {
            Statement::Server(name) => self.setting(|file| &mut file.server, name),
            Statement::Backend(backend) => self.backend(backend),
            Statement::Speaks(name) => self.setting(|file| &mut file.speaks, name),
            Statement::Include(name) => return self.include(place, name),
            Statement::Payload(payload) => self.payload(payload),
            Statement::Tags(tags) => self.once(|terms| &mut terms.tags, tags),
            Statement::Within(time) => self.once(|terms| &mut terms.within, Some(time)),
            Statement::Promise(text) => self.promise(text),
            Statement::Expected(expected) => match self.part {
                Part::Case => self.once(|terms| &mut terms.expected, Some(expected)),
                Part::Top | Part::Setup => Err(OUTSIDE),
            },
            Statement::Setup => self.begin_setup(place),
            Statement::Case(name) => {
                self.begin_case(place, name);
                Ok(())
            }
            Statement::Clients(clients) => self.add_clients(place, clients),
            Statement::Waive(waiver) => self.waive(waiver),
            Statement::Step(step) => self.step(place, step),
            Statement::Repeat(times) => self.begin_block(place, times),
            Statement::End => self.end_block(),
        };
        match added {
            Ok(()) => self.file.namings.add(naming),
            Err(problem) => self.mistake(place, problem.about(place)),
        }
    }

    /// The whole file.
    pub(super) fn finish(mut self, file: Place<'a>) -> Built {
        self.end_part();
        // What has something to share may have no cases of its own.
        let is_of_use = !self.file.cases.is_empty() || self.file.shares_something();
        if !is_of_use && self.mistakes.is_empty() {
            let problem = Problem("there is no case in this file", "write `case WHAT HAPPENS`");
            self.mistake(file, problem.about(file));
        }
        Built {
            file: self.file,
            mistakes: self.mistakes,
            names_are_open: self.names_are_open || self.has_unknown_setting,
            setup_is_flawed: self.setup_is_flawed,
        }
    }

    fn setting(
        &mut self,
        slot: fn(&mut DrillFile) -> &mut Option<String>,
        value: String,
    ) -> Result<(), Problem> {
        self.at_top()?;
        match slot(&mut self.file).replace(value) {
            None => Ok(()),
            Some(_) => Err(TWICE),
        }
    }

    fn at_top(&self) -> Result<(), Problem> {
        match self.part {
            Part::Top => Ok(()),
            Part::Setup | Part::Case => Err(Problem(
                "this setting is for the whole file",
                "write it above the first case, and above `setup`",
            )),
        }
    }

    fn backend(&mut self, backend: Backend) -> Result<(), Problem> {
        self.at_top()?;
        self.name_backend(backend);
        Ok(())
    }

    fn name_backend(&mut self, backend: Backend) {
        self.backends.push(backend.clone());
        self.file.backends.push(backend);
    }

    fn payload(&mut self, payload: Payload) -> Result<(), Problem> {
        self.at_top()?;
        self.name_payload(payload);
        Ok(())
    }

    fn name_payload(&mut self, payload: Payload) {
        self.payloads.push(payload.clone());
        self.file.payloads.push(payload);
    }

    /// The terms of the file, or of the case that is being read.
    fn terms(&mut self) -> Result<&mut Terms, Problem> {
        match self.part {
            Part::Top => Ok(&mut self.file.terms),
            Part::Setup => Err(Problem(
                "this is nothing that a setup has",
                "write it above `setup`, or into a case",
            )),
            Part::Case => {
                self.heading()?;
                let case = self.file.cases.last_mut().ok_or(OUTSIDE)?;
                Ok(&mut case.terms)
            }
        }
    }

    fn promise(&mut self, text: String) -> Result<(), Problem> {
        fn word(text: &str) -> &str {
            text.split(['=', ' ', '.']).next().unwrap_or(text)
        }
        let promises = &mut self.terms()?.promises;
        if promises.iter().any(|other| word(other) == word(&text)) {
            return Err(TWICE);
        }
        promises.push(text);
        Ok(())
    }

    fn once<T: Default + PartialEq>(
        &mut self,
        slot: fn(&mut Terms) -> &mut T,
        value: T,
    ) -> Result<(), Problem> {
        let slot = slot(self.terms()?);
        match *slot == T::default() {
            true => *slot = value,
            false => return Err(TWICE),
        }
        Ok(())
    }

    /// Takes what another file has above its cases, as far as that can be read.
    fn include(&mut self, place: Place<'a>, name: String) {
        if let Err(problem) = self.at_top() {
            return self.mistake(place, problem.about(place));
        }
        match self.read_included(&name) {
            Ok(taken) => {
                self.mistakes.extend(taken.mistakes);
                self.names_are_open |= taken.names_are_open;
                self.setup_is_flawed |= taken.setup_is_flawed;
                if let Err(reason) = self.take(&name, taken.shared) {
                    self.not_taken(place, &name, &reason);
                }
            }
            // Each is told in its own line.
            Err(NotTaken::Mistaken(mistakes)) => {
                self.names_are_open = true;
                self.mistakes.extend(mistakes.all().iter().cloned());
            }
            Err(NotTaken::Because(reason)) => self.not_taken(place, &name, &reason),
        }
        self.file.includes.push(name);
    }

    /// Says so of a file that cannot be included.
    fn not_taken(&mut self, place: Place<'a>, name: &str, reason: &str) {
        self.names_are_open = true;
        let end = place.text.trim_end().len();
        let start = place.text.find(name).unwrap_or(0).min(end);
        let title = format!("this file is not taken: {reason}");
        self.mistake(place, Diagnostic::new(start..end, title));
    }

    /// What a file shares; nothing where that was taken before.
    fn read_included(&self, name: &str) -> Result<Taken, NotTaken> {
        let because = |reason: &str| Err(NotTaken::Because(reason.to_owned()));
        let Some(folder) = &self.folder else {
            return because("a scenario that is no file can include none");
        };
        let path = folder.join(name);
        let text = DrillText::read_found(&path)?;
        let real = path.canonicalize().map_err(Error::file("reading", &path))?;
        let Inclusion { chain, taken } = &self.inclusion;
        if chain.contains(&real) {
            return because("it includes this one, or is it");
        }
        if chain.len() > DEEPEST_INCLUDE {
            return because("too many files include each other already");
        }
        if !taken.borrow_mut().insert(real) {
            return Ok(Taken::default());
        }
        let built = text.included_by(self.inclusion.clone())?;
        Ok(Taken {
            shared: built.file.shared(&text),
            mistakes: built.mistakes,
            names_are_open: built.names_are_open,
            setup_is_flawed: built.setup_is_flawed,
        })
    }

    /// Puts what the file of this name shares to what is known.
    ///
    /// # Errors
    /// Something has the name of something else.
    fn take(&mut self, name: &str, mut shared: Shared) -> Result<(), String> {
        // Targets stand beside the file that names them.
        let folder = self.folder.clone().unwrap_or_default();
        for backend in &mut shared.backends {
            let way = |server: &String| Path::new(name).with_file_name(server);
            let beside = backend.server.as_ref().map(way);
            if let Some(way) = beside.filter(|way| folder.join(way).is_file()) {
                backend.server = Some(way.to_string_lossy().into_owned());
            }
        }
        let clashes = |payload: &&Payload| {
            let mut own = self.file.payloads.iter();
            own.any(|own| own.name == payload.name)
        };
        if let Some(payload) = shared.payloads.iter().find(clashes) {
            return Err(format!("there is a payload `{}` already", payload.name));
        }
        self.file.beside.add(shared.clone())?;
        self.payloads.extend(shared.payloads);
        self.backends.extend(shared.backends);
        self.file.setup.clients.extend(shared.setup.clients);
        Ok(())
    }

    /// Of a file that others include.
    pub(super) fn included_by(inclusion: Inclusion) -> Self {
        Self {
            inclusion,
            ..Self::default()
        }
    }

    fn begin_setup(&mut self, place: Place<'a>) -> Result<(), Problem> {
        match self.part {
            Part::Top => {
                self.begin(Part::Setup, place);
                Ok(())
            }
            Part::Setup => Err(TWICE),
            Part::Case => Err(Problem(
                "a setup stands above the first case",
                "write it there",
            )),
        }
    }

    fn begin(&mut self, part: Part, place: Place<'a>) {
        self.part = part;
        self.began = Some(place);
        self.places.clear();
        self.told.clear();
    }

    fn begin_case(&mut self, place: Place<'a>, name: String) {
        self.end_part();
        self.begin(Part::Case, place);
        if self.file.cases.len() == MOST_CASES {
            let problem = Problem(
                "a file has at most 10,000 cases",
                "write the rest into another file",
            );
            return self.mistake(place, problem.about(place));
        }
        self.file.cases.push(Case {
            line: place.number,
            terms: Terms::default(),
            scenario: Scenario {
                name,
                clients: self.file.setup.clients.clone(),
                waived: Vec::new(),
                lines: Vec::new(),
            },
        });
    }

    /// Whether something is wrong in the part that is being read: what else seems so may follow from it.
    fn is_flawed(&self) -> bool {
        !self.told.is_empty()
    }

    fn end_part(&mut self) {
        let open = std::mem::take(&mut self.open);
        if let Some(block) = open.first() {
            let problem = Problem(
                "this block is not closed",
                "write `end` below its last step",
            );
            self.mistake(block.place, problem.about(block.place));
        }
        if let Some(place) = self.began.filter(|_| !self.is_flawed()) {
            self.judge(place);
        }
        self.setup_is_flawed |= self.part == Part::Setup && self.is_flawed();
    }

    /// Whether a part that began here can be performed.
    fn judge(&mut self, place: Place<'a>) {
        let (lines, name) = match (self.part, self.file.cases.last()) {
            (Part::Case, Some(case)) => (&case.scenario.lines, "this case has no steps"),
            _ => (&self.file.setup.lines, "this setup has no steps"),
        };
        if lines.is_empty() {
            let problem = Problem(name, "write its steps below");
            return self.mistake(place, problem.about(place));
        }
        // What comes behind what cannot happen cannot either.
        if self.setup_is_flawed || self.names_are_open {
            return;
        }
        let scenario = match self.file.cases.last() {
            Some(case) if self.part == Part::Case => self.file.performed(case),
            _ => self.file.setup_alone(),
        };
        if scenario.pauses() > LONGEST_TIME {
            let problem = Problem(
                "its pauses come to more than a week",
                "write fewer or shorter ones",
            );
            return self.mistake(place, problem.about(place));
        }
        if let Some(impossible) = first_impossible(&scenario, self.over).filter(|_| !self.is_record)
        {
            let before = self.file.steps_before(self.part == Part::Case);
            let step = impossible.step.checked_sub(before);
            let place = step
                .and_then(|step| self.places.get(step))
                .copied()
                .unwrap_or(place);
            let span = impossible
                .span(place.text)
                .unwrap_or_else(|| first_word(place.text));
            let mistake = Diagnostic::new(span, impossible.title);
            self.mistake(place, mistake.label(impossible.label));
        }
    }

    /// What the lines of the part that is being read are added to.
    fn lines(&mut self) -> Result<&mut Vec<Line>, Problem> {
        match self.part {
            Part::Top => Err(OUTSIDE),
            Part::Setup => Ok(&mut self.file.setup.lines),
            Part::Case => {
                let case = self.file.cases.last_mut().ok_or(OUTSIDE)?;
                Ok(&mut case.scenario.lines)
            }
        }
    }

    /// The clients and waivers that are set above the steps.
    fn heading(&mut self) -> Result<(&mut Vec<ClientGroup>, &mut Vec<Waiver>), Problem> {
        let in_block = !self.open.is_empty();
        if !self.lines()?.is_empty() || in_block {
            return Err(Problem(
                "this setting comes after a step",
                "write it above the first step",
            ));
        }
        let setup = &mut self.file.setup;
        Ok(match (self.part, self.file.cases.last_mut()) {
            (Part::Case, Some(case)) => (&mut case.scenario.clients, &mut case.scenario.waived),
            _ => (&mut setup.clients, &mut setup.waived),
        })
    }

    fn add_clients(&mut self, place: Place<'a>, clients: Vec<ClientGroup>) -> Result<(), Problem> {
        let shared = match self.part {
            Part::Case => self.file.setup.clients.len(),
            Part::Top | Part::Setup => self.file.beside.setup.clients.len(),
        };
        let (declared, _) = self.heading()?;
        // In JSON each has a place of its own.
        if declared.len() > shared && place.number > 0 {
            return Err(Problem(
                "this is set twice",
                "write all clients in one line",
            ));
        }
        declared.extend(clients);
        let all = declared.iter().map(|group| u64::from(group.members));
        match all.sum::<u64>() > u64::from(MOST_CLIENTS) {
            false => Ok(()),
            true => Err(Problem(
                "the clients of a case are at most 64,512, as many as an address has ports",
                "write a smaller number",
            )),
        }
    }

    fn waive(&mut self, waiver: Waiver) -> Result<(), Problem> {
        self.heading()?.1.push(waiver);
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
        let number = place.number;
        let line = Line { number, step };
        match self.open.last_mut() {
            Some(block) => block.lines.push(line),
            None => self.lines()?.push(line),
        }
        Ok(())
    }

    fn begin_block(&mut self, place: Place<'a>, times: u32) -> Result<(), Problem> {
        self.lines()?;
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

const TWICE: Problem = Problem("this is set twice", "remove one of the two");

const OUTSIDE: Problem = Problem(
    "this belongs to a case",
    "write `case WHAT HAPPENS` above it",
);

/// A line in the wrong place: what is wrong, and what to do.
struct Problem(&'static str, &'static str);

impl Problem {
    /// The mistake that points at the line's first word.
    fn about(self, place: Place<'_>) -> Diagnostic {
        Diagnostic::new(first_word(place.text), self.0).label(self.1)
    }
}

/// The place of a line's first word.
fn first_word(text: &str) -> std::ops::Range<usize> {
    let start = text.len() - text.trim_start().len();
    let length = text.trim_start().find(char::is_whitespace);
    start..length.map_or(text.len(), |length| start + length)
}
