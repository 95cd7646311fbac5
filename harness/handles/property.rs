//! A property that a test claims with clients of its own.

use super::failure::{Test, caught};
use super::server::Server;
use super::start::Start;
use crate::foreign::TERMINAL;
use crate::model::error::Error;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::fmt::Debug;
use std::panic::Location;
use std::task::Poll;
use std::time::{Duration, Instant};

/// How many cases are tried where nobody says how many: each starts a server, which takes a good part of the time of a test.
const CASES: usize = 32;

/// How many smaller cases are tried of one that fails: each may wait for as long as a server is given to answer.
const SMALLER: usize = 512;

/// For how long smaller cases are tried: one that fails by what does not come takes seconds.
const SMALLER_FOR: Duration = Duration::from_secs(120);

/// A property of a server: whatever is drawn, what clients make of it holds.
///
/// Each case has a server of its own, which is concluded as by [`Server::finish`]. The first that fails is made as small as it
/// goes, each attempt on a fresh server. The same seed draws the same cases.
///
/// ```no_run
/// use proptest::prelude::*;
/// use sockdrill::handles::Property;
/// use sockdrill::{Server, Target};
/// use std::path::Path;
///
/// # async fn test() -> Result<(), sockdrill::Error> {
/// let target = Target::read(Path::new("tests/server.toml"))?;
/// let words = prop::collection::vec("[a-z]{1,20}\\r\\n", 1..8);
/// Property::of(words)
///     .cases(64)
///     .seed(7)
///     .run(&target, async |server: &Server, words: Vec<String>| {
///         let alice = server.connect("alice").await;
///         for word in words {
///             alice.send(&word).in_pieces(3).await;
///             alice.expect(&word).await;
///         }
///     })
///     .await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is tried before `run` is called"]
pub struct Property<S> {
    strategy: S,
    cases: usize,
    seed: u64,
}

/// A case that fails, in words, and what it fails by.
struct Failed {
    case: String,
    by: String,
}

impl<S: Strategy> Property<S> {
    /// The property of all that a strategy draws.
    pub fn of(strategy: S) -> Self {
        Self {
            strategy,
            cases: CASES,
            seed: 1,
        }
    }

    /// How many cases are tried.
    ///
    /// # Panics
    /// It is none.
    #[track_caller]
    pub fn cases(mut self, cases: usize) -> Self {
        assert!(
            cases > 0,
            "a property is tried by one case at least; `cases(0)` would pass whatever the server does"
        );
        self.cases = cases;
        self
    }

    /// The seed that they are drawn by.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Tries the cases, each on a server of its own.
    ///
    /// # Panics
    /// A case fails, or a server cannot be started. The message has the smallest case, what it fails by, the seed, and how
    /// many smaller cases were tried.
    #[track_caller]
    pub fn run<C>(self, start: impl Into<Start>, case: C) -> impl Future<Output = ()>
    where
        C: AsyncFn(&Server, S::Value),
    {
        let (start, place, test) = (start.into(), Location::caller(), Test::here());
        async move {
            let failed = self.first_failure(&start, &case).await;
            if let Some(text) = failed.unwrap_or_else(|error| Some(error.chain())) {
                let again = test.again().filter(|_| !text.contains("  repeat: "));
                let again = again.map_or(String::new(), |again| format!("\n  repeat: {again}"));
                let text = format!("{place}: {}\n  {text}{again}", test.claim());
                panic!("{}", TERMINAL.text(&text));
            }
        }
    }

    /// What is said of the first case that fails, where one does.
    async fn first_failure<C>(&self, start: &Start, case: &C) -> Result<Option<String>, Error>
    where
        C: AsyncFn(&Server, S::Value),
    {
        let mut runner = self.runner();
        for number in 1..=self.cases {
            let tree = self.strategy.new_tree(&mut runner);
            let tree = tree.map_err(|why| Error::Usage(format!("drawing a case: {why}")))?;
            if let Some(failed) = fails(start, case, tree.current()).await? {
                let smallest = self.smallest(start, case, number, tree, failed);
                return Ok(Some(smallest.await));
            }
        }
        Ok(None)
    }

    /// What is said of the smallest that still fails of a case that does.
    async fn smallest<C>(
        &self,
        start: &Start,
        case: &C,
        number: usize,
        mut tree: S::Tree,
        mut failed: Failed,
    ) -> String
    where
        C: AsyncFn(&Server, S::Value),
    {
        let (begun, mut stopped) = (Instant::now(), String::new());
        let (mut smaller, mut goes_on) = (0, tree.simplify());
        while goes_on && smaller < SMALLER && begun.elapsed() < SMALLER_FOR {
            smaller += 1;
            goes_on = match fails(start, case, tree.current()).await {
                Ok(Some(less)) => {
                    failed = less;
                    tree.simplify()
                }
                Ok(None) => tree.complicate(),
                Err(error) => {
                    let why = error.chain().replace('\n', "\n  ");
                    stopped = format!("\n  no smaller one could be tried any more: {why}");
                    false
                }
            };
        }
        let Failed { case, by } = failed;
        let by = by.replace('\n', "\n  ");
        let seed = self.seed;
        format!(
            "case {number} fails (seed {seed}); the smallest that does of {smaller} tried: {case}\n  {by}{stopped}"
        )
    }

    fn runner(&self) -> TestRunner {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seed.to_le_bytes());
        let config = Config {
            // The seed draws it again.
            failure_persistence: None,
            ..Config::default()
        };
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed))
    }
}

/// Tries a case on a server of its own; how it fails, where it does.
async fn fails<V: Debug, C: AsyncFn(&Server, V)>(
    start: &Start,
    case: &C,
    value: V,
) -> Result<Option<Failed>, Error> {
    let words = format!("{value:?}");
    let server = start.clone().await?;
    let claimed = {
        let mut claims = std::pin::pin!(case(&server, value));
        let claims = std::future::poll_fn(|context| {
            let polled = caught(|| claims.as_mut().poll(context));
            match polled {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(())) => Poll::Ready(None),
                Err(said) => Poll::Ready(Some(said)),
            }
        });
        claims.await
    };
    let by = match claimed {
        None => server.fails().await,
        // A server that has crashed says more than who has missed it.
        Some(said) => Some(server.broken_off().map_or(said, |over| over.to_string())),
    };
    Ok(by.map(|by| Failed { case: words, by }))
}
