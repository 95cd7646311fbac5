//! The rules of a server: what may be drawn for it, and how what was drawn becomes a scenario.

use super::plan::Case;
use crate::model::profile::{Framing, Serves, Speech};
use crate::model::scenario::Scenario;
use crate::model::subject::Subject;
use proptest::strategy::{BoxedStrategy, Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// How many cases follow each other on one server before the server is looked at.
pub(super) const CASES_A_BATCH: usize = 15;

/// From which case on a server may be ended and started again. It takes long, and where it happens nobody can stand by,
/// so that a quick run goes without.
pub(super) const RESTARTS_FROM: usize = 30;

/// What a property is about: the unit in which the server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Bytes as they come.
    Stream,
    /// Lines.
    Line,
    /// Datagrams.
    Datagram,
    /// The exchanges of a dialogue.
    Exchange,
}

/// What is legal for clients of a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    pub(super) kind: Kind,
    pub(super) subject: &'a Subject,
}

impl<'a> Rules<'a> {
    /// The rules for a server; `None` where nothing can be drawn for it.
    pub(crate) fn of(subject: &'a Subject) -> Option<Self> {
        let datagrams = subject.place.transport.is_datagram();
        let kind = match &subject.profile.speech {
            Speech::Unknown => return None,
            Speech::Dialogue { .. } if datagrams => return None,
            Speech::Dialogue { .. } => Kind::Exchange,
            Speech::Model(model) => match model.framing {
                Framing::Stream => Kind::Stream,
                Framing::Line => Kind::Line,
                Framing::Datagram => Kind::Datagram,
            },
        };
        Some(Self { kind, subject })
    }

    /// The batches of a run: as many cases as are wanted.
    pub(crate) fn batches(&self) -> Vec<Scenario> {
        let strategy = self.strategy();
        let numbers = (0..self.subject.cases).collect::<Vec<_>>();
        let batch = |numbers: &[usize]| {
            let drawn = numbers
                .iter()
                .filter_map(|number| self.case(&strategy, *number));
            let cases: Vec<Case> = drawn.collect();
            let (first, last) = (numbers.first().unwrap_or(&0), numbers.last().unwrap_or(&0));
            self.batch(&format!("cases {} to {}", first + 1, last + 1), &cases)
        };
        numbers.chunks(self.cases_a_batch()).map(batch).collect()
    }

    /// The cases of a batch.
    pub(super) fn cases(&self, batch: usize) -> Vec<Case> {
        let strategy = self.strategy();
        let first = batch * self.cases_a_batch();
        let numbers = first..self.subject.cases.min(first + self.cases_a_batch());
        numbers
            .filter_map(|number| self.case(&strategy, number))
            .collect()
    }

    /// A case is drawn from the seed and its number alone, so that it can be drawn again.
    pub(super) fn case(&self, strategy: &BoxedStrategy<Case>, number: usize) -> Option<Case> {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.subject.seed.to_le_bytes());
        seed[8..16].copy_from_slice(&(number as u64).to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let config = Config {
            failure_persistence: None,
            ..Config::default()
        };
        let mut runner = TestRunner::new_with_rng(config, rng);
        let case = strategy.new_tree(&mut runner).ok()?.current();
        let restart = case.restart.filter(|_| number >= RESTARTS_FROM);
        // Each second batch has rare answers of the kernel: its server is started with a filter, and others are not to pay for that.
        let answers = match number / CASES_A_BATCH % 2 {
            0 => Vec::new(),
            _ => case.answers,
        };
        Some(Case {
            restart,
            answers,
            ..case
        })
    }

    pub(super) fn strategy(&self) -> BoxedStrategy<Case> {
        super::strategy::cases(self.kind)
    }

    pub(super) fn cases_a_batch(&self) -> usize {
        match self.is_one_connection() {
            true => 1,
            false => CASES_A_BATCH,
        }
    }

    pub(super) fn is_one_connection(&self) -> bool {
        self.subject.profile.promises.serves == Some(Serves::OneConnection)
    }
}
