//! The handle on a client.

use super::order::Order;
use super::stage::Stage;
use super::step::{Connect, Expect, ExpectEnd, ExpectLike, Sending, Step};
use crate::drill::step_of;
use crate::launch::lab::Lab;
use crate::model::action::Action;
use crate::model::address::Address;
use crate::model::data::Data;
use crate::model::expectation::{End, Expectation};
use crate::model::scenario::{ClientGroup, Step as Move};
use crate::model::subject::Place as Where;
use crate::model::template::Template;
#[cfg(feature = "tls")]
use crate::model::tls::TlsOptions;
use rustix::net::{AddressFamily, SocketType};
use socket2::SockAddr;
use std::io;
use std::panic::Location;
use std::sync::Arc;
use tokio::net::{TcpSocket, TcpStream, UnixStream};

/// A client of a [`Server`](crate::Server), who takes the steps of `.drill` files.
///
/// Each step is taken once it is awaited, and awaiting it returns when it is done; those of one client are taken one after the
/// other, and those of several side by side. A step that is not what the client was owed panics, and ends the server.
///
/// ```no_run
/// use std::time::Duration;
///
/// # async fn test(server: &sockdrill::Server) {
/// let alice = server.connect("alice").await;
/// alice.send("GET key\r\n").cut_at([3]).await;
/// alice.expect_like("VALUE {line}\r\n").within(Duration::from_secs(1)).await;
/// alice.step("send pattern 1MiB seed 7 in the background").await;
/// alice.reset().await;
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    stage: Arc<Stage>,
    who: usize,
    name: Arc<str>,
    lab: Arc<Lab>,
    place: Where,
}

impl Client {
    pub(super) fn new(
        stage: Arc<Stage>,
        who: usize,
        name: &str,
        lab: Arc<Lab>,
        place: Where,
    ) -> Self {
        Self {
            stage,
            who,
            name: name.into(),
            lab,
            place,
        }
    }

    /// What transcripts call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Opens a connection and expects that it is made, in the place of an earlier one.
    #[track_caller]
    pub fn connect(&self) -> Connect {
        Connect::of(self.clone(), Location::caller())
    }

    /// Sends bytes, at once as long as nothing else is said.
    #[track_caller]
    pub fn send(&self, bytes: impl AsRef<[u8]>) -> Sending {
        Sending::of(
            self.clone(),
            Location::caller(),
            Data::literal(bytes.as_ref()),
        )
    }

    /// Expects exactly these bytes next.
    #[track_caller]
    pub fn expect(&self, bytes: impl AsRef<[u8]>) -> Expect {
        let what = Expectation::Data(Data::literal(bytes.as_ref()));
        Expect::of(self.clone(), Location::caller(), what)
    }

    /// Expects bytes next that match a text as `.drill` files have it: `{any}` stands for any bytes, `{line}` for any but a
    /// newline, each for as few as it can, and `\{` for a brace. `{name:regex}` stands for bytes that match a regular expression;
    /// awaiting it returns them by their names, and `{name}` in what is expected later stands for them again.
    ///
    /// # Panics
    /// The text is malformed.
    #[track_caller]
    pub fn expect_like(&self, text: &str) -> ExpectLike {
        let template = match self.place.transport.is_datagram() {
            true => Template::parse_with_variables(text),
            false => Template::parse_with_variables_and_an_end(text),
        };
        match template {
            Ok(template) => ExpectLike::of(self.clone(), Location::caller(), template),
            Err(error) => panic!("{text:?}, byte {}: {}", error.offset, error.message),
        }
    }

    /// Expects that nothing comes, neither bytes nor an end.
    #[track_caller]
    pub fn expect_silence(&self) -> Expect {
        Expect::of(self.clone(), Location::caller(), Expectation::Silence)
    }

    /// Expects that the server has read all that was sent.
    #[track_caller]
    pub fn expect_taken(&self) -> Expect {
        Expect::of(self.clone(), Location::caller(), Expectation::Taken)
    }

    /// Expects that the connection ends in this way, whatever comes before.
    #[track_caller]
    pub fn expect_end(&self, end: End) -> ExpectEnd {
        ExpectEnd::of(self.clone(), Location::caller(), end)
    }

    /// Begins a TLS handshake, whose end [`Self::expect_secured`] waits for; text is what is said and heard inside from then on.
    /// Certificates are not verified. [`Self::step`] says more than that: `start-tls name "localhost" first 100B`.
    #[cfg(feature = "tls")]
    #[track_caller]
    pub fn start_tls(&self) -> Step {
        self.does(Action::StartTls(TlsOptions::default()))
    }

    /// Expects that the TLS handshake is completed.
    #[cfg(feature = "tls")]
    #[track_caller]
    pub fn expect_secured(&self) -> Expect {
        Expect::of(self.clone(), Location::caller(), Expectation::Secured)
    }

    /// Sends FIN and goes on reading.
    #[track_caller]
    pub fn half_close(&self) -> Step {
        self.does(Action::HalfClose)
    }

    /// Closes with RST.
    #[track_caller]
    pub fn reset(&self) -> Step {
        self.does(Action::Reset)
    }

    /// Closes; the kernel sends FIN, or RST where data was left unread.
    #[track_caller]
    pub fn close(&self) -> Step {
        self.does(Action::Close)
    }

    /// Stops reading, so that what comes piles up.
    #[track_caller]
    pub fn stall(&self) -> Step {
        self.does(Action::Stall)
    }

    /// Takes a step of the language of `.drill` files, such as `vanish`, `read 1KiB every 10ms` or `expect held-back`;
    /// `sockdrill list steps` has them all.
    ///
    /// # Panics
    /// The line says no step; the message shows where, and what to write.
    #[track_caller]
    pub fn step(&self, line: &str) -> Step {
        let place = Location::caller();
        let group = [ClientGroup {
            name: self.name.to_string(),
            members: 1,
        }];
        let line = format!("{} {line}", self.name);
        match step_of((place.file(), place.line() as usize), &line, &group, &[]) {
            Ok(Move::Client { action, .. }) => self.does(action),
            Ok(_) => panic!("`{line}` is no step of a client"),
            Err(error) => panic!("{error}"),
        }
    }

    #[track_caller]
    fn does(&self, action: Action) -> Step {
        self.takes(action, Location::caller())
    }

    /// A step that a test has at a place.
    pub(super) fn takes(&self, action: Action, place: &'static Location<'static>) -> Step {
        let who = self.who;
        Step::of(&self.stage, place, Move::Client { who, action })
    }

    /// A connection of its own to the server, for what no step says. Nothing of it is in the transcript, so that what is left of
    /// it is the test's to look at; it is to be dropped before the server is finished.
    ///
    /// # Errors
    /// The server is not reached over TCP, or refuses.
    pub async fn stream(&self) -> io::Result<TcpStream> {
        let Address::Inet(address) = &self.place.address else {
            return Err(not_so("TCP"));
        };
        if self.place.transport.is_datagram() {
            return Err(not_so("TCP"));
        }
        let socket = self.socket(SockAddr::from(*address).family())?;
        let socket = TcpSocket::from_std_stream(std::net::TcpStream::from(socket));
        socket.connect(*address).await
    }

    /// The same where the server is reached by a path.
    ///
    /// # Errors
    /// The server is not reached over a stream at a path, or refuses.
    pub async fn unix_stream(&self) -> io::Result<UnixStream> {
        let Address::Path(path) = &self.place.address else {
            return Err(not_so("a path"));
        };
        let socket = socket2::Socket::from(self.socket(libc::AF_UNIX as u16)?);
        socket.connect(&SockAddr::unix(self.lab.reached(path))?)?;
        let stream = std::os::unix::net::UnixStream::from(socket);
        UnixStream::from_std(stream)
    }

    fn socket(&self, family: u16) -> io::Result<std::os::fd::OwnedFd> {
        let _ = self.stage.orders.send(Order::Untold);
        let family = AddressFamily::from_raw(family);
        let socket = self.lab.socket(family, SocketType::STREAM)?;
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(socket)
    }
}

/// The server is reached over something else.
fn not_so(what: &str) -> io::Error {
    let text = format!("the server is not reached over {what}");
    io::Error::new(io::ErrorKind::Unsupported, text)
}
