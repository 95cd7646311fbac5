//! How a server is to be started for a test.

use super::failure::Test;
use super::server::Server;
use super::stage::{Plan, Stage};
use crate::launch::Target;
use crate::launch::lab::Isolation;
use crate::model::error::Error;
use crate::runner::Settings;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

/// A server that is about to be started; awaiting it starts it, and [`Start::wait`] does so where nothing can be awaited.
///
/// ```no_run
/// use sockdrill::{Isolation, Profile, Server, Target};
///
/// # async fn test() -> Result<(), sockdrill::Error> {
/// let target = Target::command(["./server", "{port}"], Profile::unknown());
/// let server = Server::start(&target).alone().isolation(Isolation::Host).await?;
/// # drop(server);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "it is started when this is awaited"]
pub struct Start {
    plan: Plan,
}

impl Start {
    pub(super) fn of(target: &Target) -> Self {
        let plan = Plan {
            target: target.clone(),
            settings: Settings::default(),
            polite: true,
            test: Test::here(),
        };
        Self { plan }
    }

    /// Nobody comes but the clients of the test: no polite client before and after them, and no bystander beside them.
    pub fn alone(mut self) -> Self {
        self.plan.polite = false;
        self
    }

    /// Where it runs, in the place of a namespace where the host permits one.
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.plan.settings.isolation = isolation;
        self
    }

    /// Starts the server while this thread waits: for fixtures that are no async functions, such as those that are made once.
    ///
    /// # Errors
    /// The program is missing, ends early, or never listens.
    pub fn wait(self) -> Result<Server, Error> {
        let (begun, begins) = std::sync::mpsc::sync_channel(1);
        let test = self.plan.test.clone();
        let (stage, thread) = Stage::open(self.plan, move |started| drop(begun.send(started)))?;
        let started = begins.recv().unwrap_or_else(|_| Err(no_event_loop()))?;
        Ok(Server::on(stage, thread, started, test))
    }
}

impl From<&Target> for Start {
    fn from(target: &Target) -> Self {
        Self::of(target)
    }
}

impl From<&Self> for Start {
    fn from(start: &Self) -> Self {
        start.clone()
    }
}

impl IntoFuture for Start {
    type Output = Result<Server, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (begun, begins) = tokio::sync::oneshot::channel();
            let test = self.plan.test.clone();
            let (stage, thread) = Stage::open(self.plan, move |started| drop(begun.send(started)))?;
            let started = begins.await.unwrap_or_else(|_| Err(no_event_loop()))?;
            Ok(Server::on(stage, thread, started, test))
        })
    }
}

/// The thread has ended before it could begin.
fn no_event_loop() -> Error {
    Error::Kernel {
        doing: "making an event loop",
        source: std::io::Error::other("the thread of the server has ended"),
    }
}
