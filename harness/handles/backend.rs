//! The handle on a server that stands behind another one.

use super::stage::Stage;
use super::step::Step;
use crate::drill::{Backend as Declared, step_of};
use crate::model::scenario::Step as Move;
use crate::model::server_action::{ServerAction, Signal, Streams};
use std::panic::Location;
use std::sync::Arc;

/// A server that stands behind another one, as its target has it in `backends`. It runs for as long as that does.
///
/// ```no_run
/// use sockdrill::{Profile, Server, Signal, Target};
///
/// # async fn test() -> Result<(), sockdrill::Error> {
/// let mut proxy = Target::command(["./proxy", "{port}", "{origin.addr}"], Profile::unknown());
/// let origin = Target::command(["./origin", "{port}"], Profile::unknown());
/// proxy.backends.insert("origin".to_owned(), origin);
/// let server = Server::start(&proxy).await?;
/// let alice = server.connect("alice").await;
/// server.backend("origin").signal(Signal::Kill).await;
/// alice.send("hello\n").await;
/// alice.expect("nobody there\n").await;
/// server.backend("origin").restart().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Backend {
    stage: Arc<Stage>,
    name: String,
}

impl Backend {
    pub(super) fn of(stage: &Arc<Stage>, name: &str) -> Self {
        Self {
            stage: Arc::clone(stage),
            name: name.to_owned(),
        }
    }

    /// Sends it a signal.
    #[track_caller]
    pub fn signal(&self, signal: Signal) -> Step {
        self.does(ServerAction::Signal(signal), Location::caller())
    }

    /// Starts it again; what runs of it is ended.
    #[track_caller]
    pub fn restart(&self) -> Step {
        self.does(ServerAction::Start(Streams::Usual), Location::caller())
    }

    /// Takes a step of the language of `.drill` files, such as `stop`, `continue` or `expect output "GET /"`.
    ///
    /// # Panics
    /// The line says no step of a backend; the message shows where, and what to write.
    #[track_caller]
    pub fn step(&self, line: &str) -> Step {
        let place = Location::caller();
        let declared = Declared {
            name: self.name.clone(),
            server: None,
        };
        let line = format!("{} {line}", self.name);
        let at = (place.file(), place.line() as usize);
        match step_of(at, &line, &[], &[declared]) {
            Ok(Move::Backend { action, .. }) => self.does(action, place),
            Ok(_) => panic!("`{line}` is no step of a backend"),
            Err(error) => panic!("{error}"),
        }
    }

    fn does(&self, action: ServerAction, place: &'static Location<'static>) -> Step {
        let name = self.name.clone();
        Step::of(&self.stage, place, Move::Backend { name, action })
    }
}
