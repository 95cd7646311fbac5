//! The rare answers that the kernel may give to a server's calls, with the page that says so: what is not in this table is not done to
//! any server, so that one which breaks by it is at fault.

use super::form::{Argument, Does, Form, Need, Python};
use super::literal::name_in;
use std::ffi::c_long;
use std::time::Duration;

/// A kind of system call, whatever it is called on each architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum SystemCall {
    /// Takes a connection.
    Accept,
    /// Takes bytes that have come.
    Read,
    /// Hands bytes over.
    Write,
    /// Waits until something is ready.
    Wait,
    /// Asks who is at the other end.
    PeerName,
    /// Sets something of a socket.
    SetOption,
    /// Ends a direction of a connection.
    Shutdown,
    /// Makes a process or a thread.
    Fork,
    /// Makes a descriptor.
    Open,
    /// Asks for memory.
    Map,
}

/// What a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Of {
    /// A socket that takes connections.
    Listener,
    /// A connection that was taken.
    Connections,
    /// A socket of datagrams.
    Datagrams,
    /// A file of the file system.
    Files,
    /// What stands behind descriptor 1 or 2, whatever its number.
    Output,
    /// The process itself, or what it does not have yet.
    Process,
}

impl Of {
    /// Each with its name in files.
    pub(crate) const ALL: &[(Self, &'static str)] = &[
        (Self::Listener, "listener"),
        (Self::Connections, "connections"),
        (Self::Datagrams, "datagrams"),
        (Self::Files, "files"),
        (Self::Output, "output"),
        (Self::Process, "process"),
    ];
}

/// An error of the kernel, by its name and number (errno(3)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ErrorName {
    /// As the manual pages say it.
    pub(crate) name: &'static str,
    /// As the kernel says it.
    pub(crate) number: i32,
}

impl ErrorName {
    const fn of(name: &'static str, number: i32) -> Self {
        Self { name, number }
    }
}

macro_rules! errors {
    ($($name:ident)*) => {
        impl ErrorName {
            $(pub(crate) const $name: Self = Self::of(stringify!($name), libc::$name);)*
        }
    };
}

errors! {
    EAGAIN ECONNABORTED ECONNREFUSED ECONNRESET EHOSTDOWN EHOSTUNREACH EINTR EINVAL EIO EMFILE ENETDOWN ENETUNREACH ENFILE ENOBUFS
    ENOMEM ENONET ENOPROTOOPT ENOSPC ENOTCONN EOPNOTSUPP EPERM EPIPE EPROTO
}

impl ErrorName {
    /// Those of a connection that accept passes on.
    pub(crate) const OF_THE_NETWORK: &[Self] = &[
        Self::ENETDOWN,
        Self::EPROTO,
        Self::ENOPROTOOPT,
        Self::EHOSTDOWN,
        Self::ENONET,
        Self::EHOSTUNREACH,
        Self::EOPNOTSUPP,
        Self::ENETUNREACH,
    ];

    /// Those of who may have no more descriptors.
    pub(crate) const OF_FILES: &[Self] = &[Self::EMFILE, Self::ENFILE];

    /// Those of a host that has no memory for another socket.
    pub(crate) const OF_MEMORY: &[Self] = &[Self::ENOBUFS, Self::ENOMEM];

    /// Those of a file that takes no more lines.
    pub(crate) const OF_A_LOG: &[Self] = &[Self::ENOSPC, Self::EIO, Self::EPIPE];

    /// Those of a datagram that does not leave the host.
    pub(crate) const OF_DATAGRAMS: &[Self] = &[Self::ENOBUFS, Self::EPERM, Self::ENETUNREACH];
}

/// An answer that the manual pages promise may come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LegalFailure {
    pub(crate) call: SystemCall,
    pub(crate) of: Of,
    pub(crate) errors: &'static [ErrorName],
    pub(crate) only: Only,
    pub(crate) then: Then,
    /// The page that says so, and how.
    pub(crate) source: &'static str,
}

/// Which of such calls the kernel may answer so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Only {
    /// Any.
    Any,
    /// One that would not have waited (`O_NONBLOCK`, `MSG_DONTWAIT`).
    NonBlocking,
    /// One that waits for a limited time (`SO_RCVTIMEO`).
    Timed,
    /// One on a socket that has a peer.
    Connected,
    /// One of a process that has as many descriptors as when it was answered so first: whoever closes one has room for another.
    Full,
}

/// What is true from then on of what the call was about: an error that says something makes that true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// What was true before.
    AsBefore,
    /// The connection that would have been taken is gone, where one has waited and nobody waits for it.
    TakesOne,
    /// The connection is reset, for both of its ends.
    Reset,
    /// What there is to read has come just now.
    ComesNow,
}

/// A row of a call on something, by these errors.
const fn row(
    call: SystemCall,
    of: Of,
    errors: &'static [ErrorName],
    source: &'static str,
) -> LegalFailure {
    LegalFailure {
        call,
        of,
        errors,
        only: Only::Any,
        then: Then::AsBefore,
        source,
    }
}

/// All of them.
pub(crate) const LEGAL_FAILURES: &[LegalFailure] = &[
    LegalFailure {
        then: Then::TakesOne,
        ..row(
            SystemCall::Accept,
            Of::Listener,
            &[ErrorName::ECONNABORTED],
            "accept(2): a connection has been aborted",
        )
    },
    LegalFailure {
        then: Then::TakesOne,
        ..row(
            SystemCall::Accept,
            Of::Listener,
            ErrorName::OF_THE_NETWORK,
            "accept(2), error handling: pending errors of the network, to be treated like EAGAIN by retrying",
        )
    },
    LegalFailure {
        only: Only::Full,
        ..row(
            SystemCall::Accept,
            Of::Listener,
            ErrorName::OF_FILES,
            "accept(2): a limit on open files has been reached",
        )
    },
    row(
        SystemCall::Accept,
        Of::Listener,
        ErrorName::OF_MEMORY,
        "accept(2): there is not enough memory, or too little of it may be used for sockets",
    ),
    LegalFailure {
        only: Only::NonBlocking,
        then: Then::ComesNow,
        ..row(
            SystemCall::Read,
            Of::Connections,
            &[ErrorName::EAGAIN],
            "select(2), bugs: a socket may be reported ready for reading, and a read of it would wait all the same",
        )
    },
    LegalFailure {
        only: Only::Timed,
        ..row(
            SystemCall::Read,
            Of::Connections,
            &[ErrorName::EINTR],
            "signal(7): a read with a time-out (SO_RCVTIMEO) is interrupted by SIGSTOP and SIGCONT, also without a handler",
        )
    },
    LegalFailure {
        only: Only::Connected,
        ..row(
            SystemCall::Read,
            Of::Datagrams,
            &[ErrorName::ECONNREFUSED],
            "udp(7), ip(7): an ICMP error of an earlier datagram of a connected socket",
        )
    },
    LegalFailure {
        then: Then::Reset,
        ..row(
            SystemCall::Write,
            Of::Connections,
            &[ErrorName::ECONNRESET, ErrorName::EPIPE],
            "send(2): the other end has gone",
        )
    },
    row(
        SystemCall::Write,
        Of::Datagrams,
        ErrorName::OF_DATAGRAMS,
        "send(2), udp(7): the queue of the interface is full, a firewall forbids it, or no network is reachable",
    ),
    row(
        SystemCall::Write,
        Of::Files,
        &[ErrorName::ENOSPC, ErrorName::EIO],
        "write(2): the device has no room left, or an error of its own",
    ),
    row(
        SystemCall::Write,
        Of::Output,
        ErrorName::OF_A_LOG,
        "write(2): the disk of a log is full or broken, or nobody reads it any more",
    ),
    LegalFailure {
        only: Only::NonBlocking,
        ..row(
            SystemCall::Write,
            Of::Output,
            &[ErrorName::EAGAIN],
            "write(2): whoever reads the log does not do so now",
        )
    },
    row(
        SystemCall::Wait,
        Of::Process,
        &[ErrorName::EINTR],
        "signal(7): epoll_wait is interrupted by SIGSTOP and SIGCONT, also without a handler",
    ),
    LegalFailure {
        then: Then::Reset,
        ..row(
            SystemCall::PeerName,
            Of::Connections,
            &[ErrorName::ENOTCONN],
            "getpeername(2): the client has gone since",
        )
    },
    LegalFailure {
        then: Then::Reset,
        ..row(
            SystemCall::SetOption,
            Of::Connections,
            &[ErrorName::EINVAL],
            "setsockopt(3p): the socket has been shut down",
        )
    },
    LegalFailure {
        then: Then::Reset,
        ..row(
            SystemCall::Shutdown,
            Of::Connections,
            &[ErrorName::ENOTCONN],
            "shutdown(2): the client has gone since",
        )
    },
    row(
        SystemCall::Fork,
        Of::Process,
        &[ErrorName::EAGAIN],
        "fork(2), pthread_create(3): a limit on processes or threads has been reached",
    ),
    LegalFailure {
        only: Only::Full,
        ..row(
            SystemCall::Open,
            Of::Process,
            ErrorName::OF_FILES,
            "open(2), socket(2), pipe(2), eventfd(2): a limit on open files has been reached",
        )
    },
    row(
        SystemCall::Map,
        Of::Process,
        &[ErrorName::ENOMEM],
        "mmap(2), brk(2): no memory is available",
    ),
];

impl SystemCall {
    /// What it is about where nothing is said.
    pub(crate) fn usually_of(self) -> Of {
        let mut rows = LEGAL_FAILURES.iter();
        rows.find(|row| row.call == self)
            .map_or(Of::Process, |row| row.of)
    }

    /// Each with its name in files.
    pub(crate) const ALL: &[(Self, &'static str)] = &[
        (Self::Accept, "accept"),
        (Self::Read, "read"),
        (Self::Write, "write"),
        (Self::Wait, "wait"),
        (Self::PeerName, "getpeername"),
        (Self::SetOption, "setsockopt"),
        (Self::Shutdown, "shutdown"),
        (Self::Fork, "fork"),
        (Self::Open, "open"),
        (Self::Map, "mmap"),
    ];

    /// Its name in files.
    pub(crate) fn name(self) -> &'static str {
        name_in(Self::ALL, self)
    }

    /// Its numbers (syscalls(2)).
    pub(crate) fn numbers(self) -> impl Iterator<Item = c_long> {
        let rows = all_numbers().filter(move |(call, ..)| *call == self);
        rows.map(|(.., number)| *number)
    }

    /// The kinds that a call of this number may be of, each with its name.
    pub(crate) fn of_number(number: c_long) -> impl Iterator<Item = (Self, &'static str)> {
        let rows = all_numbers().filter(move |(.., own)| *own == number);
        rows.map(|(call, name, _)| (*call, *name))
    }
}

fn all_numbers() -> impl Iterator<Item = &'static (SystemCall, &'static str, c_long)> {
    NUMBERS.iter().chain(OLD_NUMBERS)
}

/// The calls of every architecture, with their names and numbers.
const NUMBERS: &[(SystemCall, &str, c_long)] = &[
    (SystemCall::Accept, "accept", libc::SYS_accept),
    (SystemCall::Accept, "accept4", libc::SYS_accept4),
    (SystemCall::Read, "read", libc::SYS_read),
    (SystemCall::Read, "readv", libc::SYS_readv),
    (SystemCall::Read, "recvfrom", libc::SYS_recvfrom),
    (SystemCall::Read, "recvmsg", libc::SYS_recvmsg),
    (SystemCall::Read, "recvmmsg", libc::SYS_recvmmsg),
    (SystemCall::Read, "splice", libc::SYS_splice),
    (SystemCall::Write, "write", libc::SYS_write),
    (SystemCall::Write, "writev", libc::SYS_writev),
    (SystemCall::Write, "sendto", libc::SYS_sendto),
    (SystemCall::Write, "sendmsg", libc::SYS_sendmsg),
    (SystemCall::Write, "sendmmsg", libc::SYS_sendmmsg),
    (SystemCall::Write, "sendfile", libc::SYS_sendfile),
    (SystemCall::Write, "splice", libc::SYS_splice),
    (SystemCall::Wait, "epoll_pwait", libc::SYS_epoll_pwait),
    (SystemCall::Wait, "epoll_pwait2", libc::SYS_epoll_pwait2),
    (SystemCall::PeerName, "getpeername", libc::SYS_getpeername),
    (SystemCall::SetOption, "setsockopt", libc::SYS_setsockopt),
    (SystemCall::Shutdown, "shutdown", libc::SYS_shutdown),
    (SystemCall::Fork, "clone", libc::SYS_clone),
    (SystemCall::Fork, "clone3", libc::SYS_clone3),
    (SystemCall::Open, "openat", libc::SYS_openat),
    (SystemCall::Open, "openat2", libc::SYS_openat2),
    (SystemCall::Open, "socket", libc::SYS_socket),
    (SystemCall::Open, "pipe2", libc::SYS_pipe2),
    (SystemCall::Open, "eventfd2", libc::SYS_eventfd2),
    (SystemCall::Open, "epoll_create1", libc::SYS_epoll_create1),
    (SystemCall::Open, "timerfd_create", libc::SYS_timerfd_create),
    (SystemCall::Map, "mmap", libc::SYS_mmap),
    (SystemCall::Map, "brk", libc::SYS_brk),
];

/// Those of older names, which only the oldest architecture has.
#[cfg(target_arch = "x86_64")]
const OLD_NUMBERS: &[(SystemCall, &str, c_long)] = &[
    (SystemCall::Wait, "epoll_wait", libc::SYS_epoll_wait),
    (SystemCall::Fork, "fork", libc::SYS_fork),
    (SystemCall::Fork, "vfork", libc::SYS_vfork),
    (SystemCall::Open, "open", libc::SYS_open),
    (SystemCall::Open, "creat", libc::SYS_creat),
    (SystemCall::Open, "pipe", libc::SYS_pipe),
    (SystemCall::Open, "eventfd", libc::SYS_eventfd),
    (SystemCall::Open, "epoll_create", libc::SYS_epoll_create),
];
#[cfg(not(target_arch = "x86_64"))]
const OLD_NUMBERS: &[(SystemCall, &str, c_long)] = &[];

/// A rare answer that the kernel gives to calls of a server, for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RareAnswer {
    pub(crate) call: SystemCall,
    pub(crate) of: Of,
    pub(crate) with: With,
    pub(crate) when: When,
    /// Where no call gets it, that is no doubt about anything.
    pub(crate) if_any: bool,
}

impl RareAnswer {
    /// Which of such calls the kernel may answer so. A read may always bring less than there is; a write takes less of a call that does
    /// not wait (send(2)).
    pub(crate) fn only(&self) -> Only {
        match (self.with, self.call) {
            (With::Error(error), _) => self.legal(error).map_or(Only::Any, |row| row.only),
            (With::AtMost(_), SystemCall::Write) => Only::NonBlocking,
            (With::AtMost(_), _) => Only::Any,
        }
    }

    /// The first call that it is for, counted from 1.
    pub(crate) fn first(&self) -> u32 {
        match self.when {
            When::From { first, .. } => first,
            When::For(_) | When::Always => 1,
        }
    }

    /// The same for the calls from the first on: where there were too few calls for this, there are for each later one.
    pub(crate) fn series(&self) -> Self {
        let when = match self.when {
            When::From { times, .. } => When::From { first: 1, times },
            when => when,
        };
        Self { when, ..*self }
    }

    /// Whether the call is done, of fewer bytes.
    pub(crate) fn is_of_bytes(&self) -> bool {
        matches!(self.with, With::AtMost(_))
    }

    /// What is true from then on.
    pub(crate) fn then(&self) -> Then {
        match self.with {
            With::Error(error) => self.legal(error).map_or(Then::AsBefore, |row| row.then),
            With::AtMost(_) => Then::ComesNow,
        }
    }

    /// The row by which an error is legal.
    fn legal(&self, error: ErrorName) -> Option<&'static LegalFailure> {
        let mut rows = LEGAL_FAILURES.iter();
        rows.find(|row| row.call == self.call && row.of == self.of && row.errors.contains(&error))
    }

    /// The page that says that it may come, and how.
    pub(crate) fn source(&self) -> &'static str {
        match (self.with, self.call) {
            (With::Error(error), _) => self.legal(error).map_or("", |row| row.source),
            (With::AtMost(_), SystemCall::Write) => {
                "send(2): a call that does not wait takes what there is room for"
            }
            (With::AtMost(_), _) => "read(2): fewer bytes than were asked for are no error",
        }
    }

    /// Its row.
    pub(crate) fn form(&self) -> Form<'_> {
        let (word, with) = match self.with {
            With::Error(error) => ("fail", [Argument::Word("with"), Argument::Word(error.name)]),
            With::AtMost(bytes) => ("shorten", [Argument::Word("to"), Argument::Size(bytes)]),
        };
        let of = (self.of != self.call.usually_of()).then(|| {
            [
                Argument::Word("of"),
                Argument::Word(name_in(Of::ALL, self.of)),
            ]
        });
        let when = match self.when {
            When::From { first, times } => {
                let first = (first > 1).then(|| [Argument::Word("from"), number(first)]);
                let times = (times > 1).then(|| [Argument::Word("*"), number(times)]);
                first.into_iter().chain(times).flatten().collect()
            }
            When::For(time) => vec![Argument::Word("for"), Argument::Time(time)],
            When::Always => vec![Argument::Word("always")],
        };
        Form::new(word, "", Does::Answers(self.call))
            .needing(Need::Server)
            .in_python(Python::Nothing(
                "a filter of system calls cannot be written in it",
            ))
            .with(Argument::Word(name_in(SystemCall::ALL, self.call)))
            .with_all(of.into_iter().flatten())
            .with_all(with)
            .with_all(when)
            .with_all(self.if_any.then_some(Argument::Word("if-any")))
    }
}

fn number(number: u32) -> Argument<'static> {
    Argument::Number(number.into())
}

/// What a call gets in the place of what the kernel would have answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum With {
    /// It fails, and nothing is done.
    Error(ErrorName),
    /// It is done, of at most so many bytes.
    AtMost(usize),
}

/// Which calls get it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// So many from this one on, counted from 1.
    From { first: u32, times: u32 },
    /// All for so long.
    For(Duration),
    /// All to the end of the case.
    Always,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn call_is_of_one_kind_and_each_kind_may_fail_somehow() {
        let mut numbers = HashSet::new();
        for (call, name) in SystemCall::ALL {
            for number in call.numbers() {
                // It reads from the one and writes to the other.
                let is_new = numbers.insert(number) || number == libc::SYS_splice;
                assert!(is_new, "{name}: {number}");
                let kinds = SystemCall::of_number(number);
                assert!(kinds.map(|(kind, _)| kind).any(|kind| kind == *call));
            }
            assert!(LEGAL_FAILURES.iter().any(|row| row.call == *call), "{name}");
        }
        let close = SystemCall::of_number(libc::SYS_close).next();
        assert_eq!(close, None, "it is never touched");
    }

    #[test]
    fn every_answer_has_a_page_that_promises_it() {
        let answer = |call, of, with| RareAnswer {
            call,
            of,
            with,
            when: When::Always,
            if_any: false,
        };
        for row in LEGAL_FAILURES {
            for error in row.errors {
                let answer = answer(row.call, row.of, With::Error(*error));
                assert_eq!(
                    (answer.source(), answer.only(), answer.then()),
                    (row.source, row.only, row.then)
                );
                assert!(!answer.is_of_bytes());
            }
        }
        let short = |call| answer(call, Of::Connections, With::AtMost(1));
        let (read, write) = (short(SystemCall::Read), short(SystemCall::Write));
        assert!(read.source().starts_with("read(2): ") && read.only() == Only::Any);
        assert!(write.source().starts_with("send(2): ") && write.only() == Only::NonBlocking);
        assert!(read.is_of_bytes() && write.then() == Then::ComesNow);
        assert_eq!(SystemCall::Read.usually_of(), Of::Connections);
        assert_eq!(SystemCall::Fork.usually_of(), Of::Process);
    }

    #[test]
    fn error_is_in_one_row_of_a_call_on_something_and_a_page_says_so() {
        let mut known = HashSet::new();
        for row in LEGAL_FAILURES {
            for error in row.errors {
                let is_new = known.insert((row.call, row.of, error.name));
                assert!(is_new, "{:?} of {:?}: {}", row.call, row.of, error.name);
            }
            let (page, said) = row.source.split_once(": ").unwrap();
            assert!(page.contains(')') && !said.is_empty(), "{}", row.source);
        }
        assert!(!known.contains(&(SystemCall::Read, Of::Connections, "ENOSPC")));
        assert!(!known.contains(&(SystemCall::Write, Of::Connections, "EAGAIN")));
    }
}
