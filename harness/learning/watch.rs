//! A client that runs beside a server, with a relay between the two.

use super::relay::Relay;
use super::tape::Tape;
use crate::launch::lab::Lab;
use crate::launch::{Backends, Process, Server, Target};
use crate::model::address::Address;
use crate::model::error::Error;
use crate::model::limits::STEP_WITHIN;
use crate::model::literal::Shown;
use crate::model::profile::{Profile, Transport};
use crate::runner::{Settings, block_on};
use crate::transcript::event::Exit;
use std::sync::Arc;
use std::time::Duration;

/// A server, a client of it, and how they are run.
#[derive(Clone, Copy)]
pub(crate) struct Pair<'a> {
    pub(crate) server: &'a Target,
    /// The client's program and its arguments.
    pub(crate) client: &'a [String],
    /// How long the client may run.
    pub(crate) within: Duration,
    pub(crate) settings: &'a Settings,
}

/// What was heard of one server, of each time that the client ran.
pub(super) struct Watched {
    pub(super) tapes: Vec<Tape>,
    /// What the clients were told in the place of the server's port, and the port itself.
    pub(super) ports: (u16, u16),
    /// What the server is drilled over where nobody says.
    pub(super) usual: Transport,
}

/// Starts the server and runs the client so often on it, one after the other.
///
/// # Errors
/// The server does not start; the client fails, does not end, or does not come to the relay; the user has ended it.
pub(super) fn watched(pair: Pair<'_>, times: usize) -> Result<Watched, Error> {
    block_on(async {
        tokio::select! {
            biased;
            watched = watched_in_turn(pair, times) => watched,
            () = pair.settings.interrupt.until_raised() => Err(interrupted()),
        }
    })?
}

pub(super) fn interrupted() -> Error {
    Error::NotLearned("interrupted: nothing was written".to_owned())
}

async fn watched_in_turn(pair: Pair<'_>, times: usize) -> Result<Watched, Error> {
    let lab = Arc::new(Lab::of(pair.server, pair.settings.isolation)?);
    let _backends = Backends::start(pair.server, &lab).await?;
    let server = Server::start(pair.server, Arc::clone(&lab)).await?;
    let relay = Relay::before(&server, &lab)?;
    let mut tapes = Vec::new();
    for _ in 0..times {
        tapes.push(ran(pair, &relay, &server, &lab).await?);
    }
    let own_port = match server.address() {
        Address::Inet(address) => address.port(),
        Address::Path(_) => relay.port,
    };
    Ok(Watched {
        tapes,
        ports: (relay.port, own_port),
        usual: server.transport(),
    })
}

/// Runs the client once, to its end.
async fn ran(pair: Pair<'_>, relay: &Relay, server: &Server, lab: &Lab) -> Result<Tape, Error> {
    let client = Target::command(pair.client.to_vec(), Profile::unknown());
    let process = Process::start_client(&client, lab, relay.port, &relay.path)?;
    let failed = |what: String| Error::Client {
        what,
        output: process.output_for_error(),
        command: client.command_line(),
    };
    let ended = tokio::time::timeout(pair.within, process.ended()).await;
    let place = relay.place(server);
    let nobody_came = relay.recorder.tape().borrow().connections.is_empty();
    match ended {
        Ok(Exit::Status(0)) if nobody_came => Err(failed(never_came(&place))),
        Ok(Exit::Status(0)) => all_heard(relay, pair.client).await,
        Ok(exit) if nobody_came => Err(failed(format!("{exit}, and {}", never_came(&place)))),
        Ok(exit) => Err(failed(format!(
            "{exit}, where a client that has got what it wants ends with status 0"
        ))),
        Err(_) => {
            process.signal(libc::SIGKILL);
            Err(failed(format!(
                "still ran after {}; let it end by itself, or give it more time with --within",
                Shown(pair.within)
            )))
        }
    }
}

fn never_came(place: &str) -> String {
    format!(
        "never connected to {place}; write {{port}} where its command has the server's port, {{addr}} for 127.0.0.1 and the port, \
         or {{path}} for the path of a Unix socket"
    )
}

/// What was said until every client had left, which the kernel tells the relay soon after the end of a process.
async fn all_heard(relay: &Relay, client: &[String]) -> Result<Tape, Error> {
    let tape = relay.recorder.tape();
    let heard = tape.borrow().heard();
    let left = async {
        loop {
            let next = heard.notified();
            if tape.borrow().all_have_left() {
                return;
            }
            next.await;
        }
    };
    // A child of the client's may live on and keep the connection: what it says later is no matter of ours.
    let _ = tokio::time::timeout(STEP_WITHIN, left).await;
    let tape = relay.recorder.take();
    match tape.is_too_long() {
        false => Ok(tape),
        true => Err(Error::NotLearned(format!(
            "what `{}` and the server say to each other is too long to be written down: let the client ask for something small",
            client.first().map_or("", String::as_str)
        ))),
    }
}
