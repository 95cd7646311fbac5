//! The handle on a running server.

use super::backend::Backend;
use super::client::Client;
use super::evidence::{Socket, open_files, sockets_of};
use super::failure::{Test, fail};
use super::order::Order;
use super::stage::{Begun, Stage};
use super::start::Start;
use super::step::{Arrive, Step};
use crate::drill::{named, step_of};
use crate::launch::Target;
use crate::launch::lab::Lab;
use crate::model::address::Address;
use crate::model::error::Error;
use crate::model::expectation::ServerExpectation;
use crate::model::profile::Stop;
use crate::model::scenario::Step as Move;
use crate::model::server_action::{ServerAction, Signal, Streams};
use crate::model::subject::Place as Where;
use crate::report::data::CheckResult;
use std::net::SocketAddr;
use std::panic::Location;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// A running server, and all that its clients do to it. Dropping it ends the server with its whole process tree.
///
/// What is dropped has not been concluded, and yet nothing that was seen is lost: where the server had crashed, or a step had
/// failed that nobody has awaited to its end, dropping panics. In a test that panics already, by something else, it writes what
/// was seen to the standard error. [`Server::finish`] concludes.
///
/// ```no_run
/// use sockdrill::{Server, Target};
/// use std::path::Path;
///
/// # async fn test() -> Result<(), sockdrill::Error> {
/// let target = Target::read(Path::new("tests/server.toml"))?;
/// // Without a bystander, who would have a connection too.
/// let server = Server::start(&target).alone().await?;
/// let alice = server.connect("alice").await;
/// alice.send("PING\r\n").await;
/// alice.expect("+PONG\r\n").await;
/// alice.close().await;
/// server.settle().await;
/// assert_eq!(server.sockets().len(), 1, "only the one that listens is left");
/// server.finish().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping the server stops it"]
pub struct Server {
    stage: Arc<Stage>,
    thread: Option<JoinHandle<()>>,
    lab: Arc<Lab>,
    place: Where,
    test: Test,
    /// How many clients have come, and who comes has its number before the next one.
    clients: Mutex<Vec<String>>,
    /// How it is told to stop.
    stop: Stop,
}

impl Server {
    /// Starts a target in a lab of its own, once this is awaited: its files, its network and its processes are nobody else's.
    pub fn start(target: &Target) -> Start {
        Start::of(target)
    }

    pub(super) fn on(stage: Stage, thread: JoinHandle<()>, begun: Begun, test: Test) -> Self {
        Self {
            stage: Arc::new(stage),
            thread: Some(thread),
            lab: begun.lab,
            place: begun.place,
            test,
            clients: Mutex::default(),
            stop: begun.stop,
        }
    }

    /// A client that has not connected yet. Its name is what transcripts call it: a word of letters, digits, `-` and `_`
    /// that begins with a letter and means nothing else at the start of a line.
    ///
    /// # Panics
    /// The name is none, or another client has it.
    #[track_caller]
    pub fn client(&self, name: &str) -> Client {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = !clients.iter().any(|client| client == name);
        assert!(is_new, "there is a client called {name} already");
        if let Err(why) = named(name) {
            panic!("{why}; write a name such as `alice`: letters, digits, `-` and `_`");
        }
        let who = clients.len();
        clients.push(name.to_owned());
        // Whether anybody takes it is told with the first step.
        let _ = self.stage.orders.send(Order::Come(name.to_owned()));
        let lab = Arc::clone(&self.lab);
        Client::new(Arc::clone(&self.stage), who, name, lab, self.place.clone())
    }

    /// A client that connects.
    #[track_caller]
    pub fn connect(&self, name: &str) -> Arrive {
        let client = self.client(name);
        Arrive::of(client.connect(), client)
    }

    /// The server of this name that stands behind it.
    ///
    /// # Panics
    /// Its target has no backend of that name.
    #[track_caller]
    pub fn backend(&self, name: &str) -> Backend {
        let mut names = self.lab.backends().iter().map(|(name, _)| name);
        assert!(
            names.any(|known| known == name),
            "the target has no backend called {name}"
        );
        Backend::of(&self.stage, name)
    }

    /// Where clients reach the server, which for other programs is only so on the plain host. `None` where that is a path.
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.place.address {
            Address::Inet(address) => Some(*address),
            Address::Path(_) => None,
        }
    }

    /// The path at which clients reach the server, as the server calls it; `None` where that is an address.
    pub fn path(&self) -> Option<&Path> {
        match &self.place.address {
            Address::Inet(_) => None,
            Address::Path(path) => Some(path),
        }
    }

    /// Gives the server the time to come to rest after what was done to it: all is read, and its threads wait.
    #[track_caller]
    pub fn settle(&self) -> Step {
        self.step_of(Move::Settle)
    }

    /// Sends the server's first process a signal.
    #[track_caller]
    pub fn signal(&self, signal: Signal) -> Step {
        self.step_of(Move::Server(ServerAction::Signal(signal)))
    }

    /// Tells the server to stop, by the signal and within the time of its profile, and expects its end.
    #[track_caller]
    pub fn stop(&self) -> Step {
        let expected = ServerAction::Expect {
            what: ServerExpectation::Exit(None),
            within: Some(self.stop.within),
        };
        let signal = ServerAction::Signal(self.stop.signal);
        self.step_of(Move::Server(signal))
            .then(Move::Server(expected))
    }

    /// Starts the server again where it ran before; what is left of the old one is ended first.
    #[track_caller]
    pub fn restart(&self) -> Step {
        self.step_of(Move::Server(ServerAction::Start(Streams::Usual)))
    }

    /// Takes a step of the language of `.drill` files, such as `limit-open-files 3` or `expect output "ready"`.
    ///
    /// # Panics
    /// The line says no step; the message shows where, and what to write.
    #[track_caller]
    pub fn step(&self, line: &str) -> Step {
        let place = Location::caller();
        let line = format!("server {line}");
        let step = step_of((place.file(), place.line() as usize), &line, &[], &[]);
        match step {
            Ok(step) => self.step_of(step),
            Err(error) => panic!("{error}"),
        }
    }

    #[track_caller]
    fn step_of(&self, step: Move) -> Step {
        Step::of(&self.stage, Location::caller(), step)
    }

    /// The sockets that the server has at its address or path, as the kernel shows them now: the one that listens, and its
    /// ends of connections.
    pub fn sockets(&self) -> Vec<Socket> {
        sockets_of(&self.lab, &self.place)
    }

    /// The files that the processes of the server have open now, as the kernel names them (`/proc/PID/fd`).
    pub fn open_files(&self) -> Vec<String> {
        open_files(&self.lab)
    }

    /// All that the server has printed since its start, to its output and its errors.
    pub async fn output(&self) -> String {
        let (printed, all) = oneshot::channel();
        let _ = self.stage.orders.send(Order::Printed(printed));
        let all = all.await.unwrap_or_default();
        String::from_utf8_lossy(&all).into_owned()
    }

    /// Concludes: all clients leave, the bystander and a polite client are served once more, and what the server has left open,
    /// or does with nothing to do, is looked at as behind a case of a `.drill` file. What may be a leak is told from a pool by
    /// taking all steps again, unless there was a stream of which none of them tells; then what each connection has left open, which
    /// may be a leak, proves nothing.
    ///
    /// # Panics
    /// The server has broken a promise, or nothing is proven; the message says what, with the transcript.
    #[track_caller]
    pub fn finish(self) -> impl Future<Output = ()> + Send {
        let place = Location::caller().to_string();
        async move {
            let (test, stage) = (self.test.clone(), Arc::clone(&self.stage));
            match self.conclude().await {
                Ok(result) => {
                    // Who has failed before says so in the words of then.
                    let over = stage.over.get().map(|over| Arc::clone(&over.text));
                    if let Some(failure) = over.or_else(|| test.failure(result, &place)) {
                        fail(&failure);
                    }
                }
                Err(error) => fail(&test.error(&error, &place)),
            }
        }
    }

    /// Concludes as [`Server::finish`] does, and returns what was seen in the place of a panic.
    ///
    /// # Errors
    /// The host refuses something.
    pub async fn conclude(mut self) -> Result<CheckResult, Error> {
        let (concluded, result) = oneshot::channel();
        let _ = self.stage.orders.send(Order::Conclude(concluded));
        let result = result.await;
        self.join();
        // Where a step had failed, all was concluded then.
        let over = self.stage.over.get();
        let before = || over.and_then(|over| over.result.clone());
        result.unwrap_or_else(|_| {
            before().ok_or_else(|| Error::Usage(self.stage.why_over().to_string()))
        })
    }

    /// Concludes; what is said of it where that fails a test.
    #[cfg(feature = "property")]
    pub(super) async fn fails(self) -> Option<String> {
        let test = self.test.clone();
        match self.conclude().await {
            Ok(result) => test
                .failure(result, "at the end")
                .map(|text| text.to_string()),
            Err(error) => Some(error.chain()),
        }
    }

    /// Ends it; what is said of it where it had failed by then.
    #[cfg(feature = "property")]
    pub(super) fn broken_off(mut self) -> Option<Arc<str>> {
        self.join();
        let over = self.stage.over.get();
        over.map(|over| Arc::clone(&over.text))
    }

    /// Waits until the thread has ended the server.
    fn join(&mut self) {
        self.stage.leave();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.thread.is_none() {
            return;
        }
        self.join();
        match self.stage.untold() {
            None => {}
            Some(failure) if std::thread::panicking() => write(failure),
            Some(failure) => self.stage.fail(failure),
        }
    }
}

/// Says what cannot fail a test that fails by something else.
#[expect(
    clippy::print_stderr,
    reason = "libtest shows it beside the panic, which it does not with what is written to the stream"
)]
fn write(failure: &str) {
    eprintln!("{failure}");
}
