//! What a client can do.

use super::data::{Data, Segmentation};
use super::expectation::Expectation;
use super::form::{Argument, Bound, Does, Form, Need, Over, Python, Wait};
use super::tls::TlsOptions;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// What a client can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Opens a connection (a socket, for datagrams), in place of an earlier one if there was one.
    Connect(ConnectOptions),
    /// Sends data, in one segment or in several.
    Send {
        /// The data.
        data: Data,
        /// Where it is divided.
        segmentation: Segmentation,
        /// The pause between segments; without one, each segment waits until the server has read the one before.
        every: Option<Duration>,
        /// Over TLS each segment is a record of its own, rather than a part of the records of all.
        as_records: bool,
        /// The next step does not wait until all is sent.
        background: bool,
    },
    /// Begins a TLS handshake on its connection, and does not wait for its end.
    StartTls(TlsOptions),
    /// Sends one out-of-band byte (`MSG_OOB`, tcp(7)).
    SendUrgent(u8),
    /// Sends one byte together with an open descriptor (`SCM_RIGHTS`, unix(7)).
    SendDescriptor(u8),
    /// Sends a datagram that names no sender: from UDP port 0, or from a Unix socket without a name.
    SendWithoutSource(Data),
    /// Sends FIN and goes on reading (`shutdown(SHUT_WR)`).
    HalfClose,
    /// Closes with RST (`SO_LINGER` of zero).
    Reset,
    /// Closes; the kernel sends FIN, or RST where data was left unread (RFC 2525, section 2.17).
    Close,
    /// Is gone without FIN or RST, like a host that lost its power.
    Vanish,
    /// Stops reading; data piles up in the kernel's queues.
    Stall,
    /// Reads again, at full speed or at a pace; before `connect`, the coming connection is read so.
    Read(Option<ReadRate>),
    /// This must not come to it from here on, to the end of the case.
    Never(Data),
    /// Waits for something, and holds the server to it.
    Expect {
        /// What must be seen.
        what: Expectation,
        /// By when; the default limit where `None`.
        within: Option<Duration>,
    },
    /// Waits for something that the case builds on; without it the case proves nothing.
    Require {
        /// What must be seen.
        what: Expectation,
        /// By when; the default limit where `None`.
        within: Option<Duration>,
    },
}

/// How a client connects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConnectOptions {
    /// Does not wait for the handshake (nor fail with it); `expect connected` or `expect refused` may follow.
    pub without_waiting: bool,
    /// The receive buffer in bytes, set before the handshake so that it bounds the window (`SO_RCVBUF`, socket(7)).
    pub receive_buffer: Option<usize>,
    /// The largest segment in bytes (`TCP_MAXSEG`, tcp(7); Linux takes no less than 88).
    pub segment_size: Option<usize>,
    /// The local address to come from.
    pub from: Option<IpAddr>,
    /// The address of the server to use instead of the usual one.
    pub to: Option<IpAddr>,
    /// Comes from the local port of its connection before.
    pub same_port: bool,
}

/// A reader's speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReadRate {
    /// How much is read at a time.
    pub bytes: usize,
    /// The time between two reads; zero where only the buffer is small.
    pub every: Duration,
}

impl Action {
    /// Whether it ends the connection without a FIN.
    pub(crate) fn cuts_off(&self) -> bool {
        matches!(self, Self::Reset | Self::Vanish)
    }

    /// Its row.
    pub(crate) fn form(&self) -> Form<'_> {
        match self {
            Self::Connect(options) => options.form(),
            Self::Send {
                data,
                segmentation,
                every,
                as_records,
                background,
            } => {
                let (kind, method) = match (background, segmentation, every) {
                    (true, Segmentation::Whole, _) => {
                        ("send in the background", "send_in_background")
                    }
                    (true, _, _) => ("send in the background", "send_slowly_in_background"),
                    (false, Segmentation::Whole, _) => ("send", "send"),
                    (false, _, Some(_)) => ("send in segments", "send_slowly"),
                    (false, _, None) => ("send in segments", "send_segments"),
                };
                let background = background.then_some(Argument::Word("in the background"));
                Form::new("send", method, Does::Talks)
                    .of_kind(kind)
                    .needing(Need::SendingSide)
                    .with(Argument::Data(data))
                    .with_all(
                        (*segmentation != Segmentation::Whole)
                            .then_some(Argument::Segmentation(segmentation)),
                    )
                    .with_all(as_records.then_some(Argument::Word("as records")))
                    .with_all(every.map(Argument::Every))
                    .with_all(background)
            }
            Self::StartTls(options) => options.form(),
            Self::SendUrgent(byte) => Form::new("send-urgent", "send_urgent", Does::Talks)
                .needing(Need::SendingSide)
                .only_over(Over::Tcp)
                .with(Argument::Byte(*byte)),
            Self::SendDescriptor(byte) => {
                Form::new("send-descriptor", "send_descriptor", Does::Talks)
                    .needing(Need::SendingSide)
                    .only_over(Over::Local)
                    .with(Argument::Byte(*byte))
            }
            Self::SendWithoutSource(data) => {
                Form::new("send-without-source", "send_without_source", Does::Talks)
                    .needing(Need::Server)
                    .only_over(Over::Datagrams)
                    .with(Argument::Data(data))
                    .in_python(Python::Limited(
                        "send_without_source",
                        "a datagram from UDP port 0 takes root",
                    ))
            }
            Self::HalfClose => Form::new("half-close", "half_close", Does::HalfCloses)
                .needing(Need::SendingSide)
                .only_over(Over::Streams),
            Self::Reset => Form::new("reset", "reset", Does::Leaves)
                .needing(Need::Connection)
                .only_over(Over::Tcp),
            Self::Close => Form::new("close", "close", Does::Leaves).needing(Need::Socket),
            Self::Vanish => Form::new("vanish", "vanish", Does::Leaves)
                .needing(Need::Peer)
                .only_over(Over::Tcp)
                .in_python(Python::Limited("vanish", "`vanish` takes root")),
            Self::Stall => Form::new("stall", "stall", Does::Stalls),
            Self::Read(None) => Form::new("read", "read_again", Does::Reads),
            Self::Read(Some(ReadRate { bytes, every })) => {
                let every = (!every.is_zero()).then_some(Argument::Every(*every));
                Form::new("read", "set_pace", Does::Reads)
                    .of_kind("read slowly")
                    .with(Argument::Size(*bytes))
                    .with_all(every)
            }
            Self::Never(data) => {
                Form::new("never", "never", Does::Nothing).with(Argument::Data(data))
            }
            Self::Expect { what, within } => what.form().expected(*within),
            Self::Require { what, within } => what.form().required(*within),
        }
    }

    /// The data in it that is sent, or must not come.
    fn data_mut(&mut self) -> Option<&mut Data> {
        match self {
            Self::Send { data, .. } | Self::SendWithoutSource(data) | Self::Never(data) => {
                Some(data)
            }
            _ => None,
        }
    }

    /// What it waits for.
    pub(crate) fn awaited(&self) -> Option<&Expectation> {
        match self {
            Self::Expect { what, .. } | Self::Require { what, .. } => Some(what),
            _ => None,
        }
    }

    /// Whether this is what it waits for, whenever it may come.
    pub(crate) fn awaits(&self, wanted: &Expectation) -> bool {
        match self.awaited() {
            Some(Expectation::NotBefore { what, .. }) => **what == *wanted,
            what => what == Some(wanted),
        }
    }

    fn awaited_mut(&mut self) -> Option<&mut Expectation> {
        match self {
            Self::Expect { what, .. } | Self::Require { what, .. } => Some(what),
            _ => None,
        }
    }

    /// How many bytes it sends, or must not come.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Send { data, .. } | Self::SendWithoutSource(data) | Self::Never(data) => {
                data.checked_length().unwrap_or(usize::MAX)
            }
            _ => 0,
        }
    }

    /// The variables that it uses, in the order of the text.
    pub(crate) fn variables(&self) -> Vec<&str> {
        match self {
            Self::Send { data, .. } | Self::SendWithoutSource(data) | Self::Never(data) => {
                data.variables()
            }
            _ => self.awaited().map_or_else(Vec::new, Expectation::variables),
        }
    }

    /// The same with the bytes of its variables.
    #[must_use]
    pub(crate) fn filled(&self, value: &dyn Fn(&str) -> Option<Vec<u8>>) -> Self {
        let mut filled = self.clone();
        if let Some(data) = filled.data_mut() {
            *data = data.filled(value);
        }
        if let Some(what) = filled.awaited_mut() {
            *what = what.filled(value);
        }
        filled
    }

    /// The same without the names and the ways in which its data is written.
    #[must_use]
    pub(crate) fn spelt_out(&self) -> Self {
        let mut spelt_out = self.clone();
        if let Some(data) = spelt_out.data_mut() {
            *data = data.spelt_out();
        }
        if let Self::StartTls(options) = &mut spelt_out {
            *options = options.spelt_out();
        }
        if let Some(what) = spelt_out.awaited_mut() {
            *what = what.spelt_out();
        }
        spelt_out
    }

    /// The same with this limit for what comes, where none is written.
    #[must_use]
    pub(crate) fn limited(&self, limit: Duration) -> Self {
        let mut limited = self.clone();
        if let Self::Expect { what, within } | Self::Require { what, within } = &mut limited
            && what.form().does.wait() != Wait::Absence
        {
            within.get_or_insert(limit.saturating_add(what.not_before()));
        }
        limited
    }
}

impl ConnectOptions {
    fn form(&self) -> Form<'_> {
        let method = match self.without_waiting {
            true => "start_connecting",
            false => "connect",
        };
        let bound = match self.same_port {
            true => Bound::ByPort,
            false => Bound::ByAddress,
        };
        let setting =
            |name, bytes: Option<usize>| bytes.map(|bytes| Argument::Setting(name, bytes));
        let arguments = [
            self.without_waiting
                .then_some(Argument::Word("without-waiting")),
            setting("receive-buffer", self.receive_buffer),
            setting("segment-size", self.segment_size),
            self.from.map(|from| Argument::From(from, bound)),
            self.to.map(Argument::To),
            self.same_port
                .then_some(Argument::Flag("same-port", "same_port()")),
        ];
        let needs = match (self.same_port, self.without_waiting) {
            (true, _) => Some(Need::EarlierConnection),
            // Who is to wait for a connection waits for somebody who gives one.
            (false, false) => Some(Need::Server),
            (false, true) => None,
        };
        let is_bound = self.same_port || self.from.is_some() || self.to.is_some();
        let over = match self.segment_size {
            Some(_) => Over::Tcp,
            None if is_bound => Over::Internet,
            None => Over::Any,
        };
        Form {
            needs,
            over,
            ..Form::new("connect", method, Does::Connects).with_all(arguments.into_iter().flatten())
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.form().fmt(f)
    }
}
