//! What is known of a step beside what it says: what it needs to happen at all, and what it does.

use super::server_action::Signal;

/// What a step needs and does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    /// Without it the step cannot happen.
    pub(crate) needs: Option<Need>,
    /// What changes by it.
    pub(crate) does: Does,
}

/// What a step cannot happen without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// A socket on which a connection was asked for, whatever became of it.
    Socket,
    /// A connection.
    Connection,
    /// A connection whose sending side is open.
    SendingSide,
    /// A connection, or one that has been.
    EarlierConnection,
    /// A server that has not ended.
    Server,
    /// A server that is not stopped.
    RunningServer,
    /// A server that is stopped.
    StoppedServer,
    /// A limit on open files that was lowered.
    LimitedFiles,
}

/// What changes by a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    /// A client opens a connection.
    Connects,
    /// A client sends something.
    Talks,
    /// A client ends its sending side.
    HalfCloses,
    /// A client ends its connection.
    Leaves,
    /// A client reads otherwise than before.
    Reads,
    /// Somebody waits for something that changes nothing but what is known.
    Waits,
    /// A client waits to hear that there is no connection.
    WaitsForRefusal,
    /// Somebody waits for the server's end, by which it is asked to end.
    WaitsForEnd,
    /// The server gets a signal.
    Signals(Signal),
    /// The server is stopped.
    Stops,
    /// The server runs on.
    Continues,
    /// The server is started; one that still runs is ended before.
    Starts,
    /// The server is ended, and something else is started in its place.
    Replaces,
    /// Another instance is started beside the server.
    StartsSecond,
    /// The server's open files are limited.
    LimitsFiles,
    /// The server has the limit again that it had.
    RestoresFiles,
    /// Time passes.
    Passes,
    /// Nothing by itself.
    Nothing,
}

impl Does {
    /// Whether something is done to the server, for whatever it does next to be an answer to it.
    pub(crate) fn is_deed(self) -> bool {
        match self {
            Self::Connects
            | Self::Talks
            | Self::HalfCloses
            | Self::Leaves
            | Self::Signals(_)
            | Self::Stops
            | Self::Continues
            | Self::Starts
            | Self::Replaces
            | Self::StartsSecond
            | Self::LimitsFiles
            | Self::RestoresFiles => true,
            Self::Reads
            | Self::Waits
            | Self::WaitsForRefusal
            | Self::WaitsForEnd
            | Self::Passes
            | Self::Nothing => false,
        }
    }

    /// What it asks of the server's life, if anything.
    pub(crate) fn asks(self) -> Option<Ask> {
        match self {
            Self::Signals(signal) => Some(Ask::End(Some(signal))),
            Self::WaitsForEnd => Some(Ask::End(None)),
            Self::Replaces => Some(Ask::End(Some(Signal::Kill))),
            Self::Starts => Some(Ask::Run),
            _ => None,
        }
    }
}

/// What a step asks of the server's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// That it ends; by this signal, or in any good order.
    End(Option<Signal>),
    /// That it runs.
    Run,
}
