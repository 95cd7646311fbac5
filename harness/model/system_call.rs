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
    Connection,
    /// A socket of datagrams.
    Datagrams,
    /// A file of the file system.
    File,
    /// What stands behind descriptor 1 or 2, whatever its number.
    Output,
    /// Nothing that there is yet.
    Nothing,
}

impl Of {
    /// Each with its name in files.
    pub(crate) const ALL: &[(Self, &'static str)] = &[
        (Self::Listener, "listener"),
        (Self::Connection, "connections"),
        (Self::Datagrams, "datagrams"),
        (Self::File, "files"),
        (Self::Output, "output"),
        (Self::Nothing, "process"),
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

macro_rules! errors {
    ($($name:ident)*) => {
        &[$(ErrorName { name: stringify!($name), number: libc::$name }),*]
    };
}

/// An answer that the manual pages promise may come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LegalFailure {
    pub(crate) call: SystemCall,
    pub(crate) of: Of,
    pub(crate) errors: &'static [ErrorName],
    /// Only a call that would not have waited may fail so.
    pub(crate) non_blocking: bool,
    /// Few programs promise to survive it: what comes of it is told, and never judged.
    pub(crate) observed_only: bool,
    /// The page that says so, and how.
    pub(crate) source: &'static str,
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
        non_blocking: false,
        observed_only: false,
        source,
    }
}

/// All of them.
pub(crate) const LEGAL_FAILURES: &[LegalFailure] = &[
    row(
        SystemCall::Accept,
        Of::Listener,
        errors!(ECONNABORTED),
        "accept(2): a connection has been aborted",
    ),
    row(
        SystemCall::Accept,
        Of::Listener,
        errors!(ENETDOWN EPROTO ENOPROTOOPT EHOSTDOWN ENONET EHOSTUNREACH EOPNOTSUPP ENETUNREACH),
        "accept(2), error handling: pending errors of the network, to be treated like EAGAIN by retrying",
    ),
    row(
        SystemCall::Accept,
        Of::Listener,
        errors!(EMFILE ENFILE ENOBUFS ENOMEM),
        "accept(2): a limit on open files, or on socket buffers, has been reached",
    ),
    row(
        SystemCall::Accept,
        Of::Listener,
        errors!(EINTR),
        "signal(7): accept is interrupted by a signal handler",
    ),
    LegalFailure {
        non_blocking: true,
        ..row(
            SystemCall::Read,
            Of::Connection,
            errors!(EAGAIN),
            "select(2), bugs: a socket may be told ready for reading, and a read of it would wait all the same",
        )
    },
    row(
        SystemCall::Read,
        Of::Datagrams,
        errors!(ECONNREFUSED),
        "udp(7), ip(7): an ICMP error of an earlier datagram of a connected socket",
    ),
    row(
        SystemCall::Write,
        Of::Connection,
        errors!(EPIPE ECONNRESET),
        "send(2): the other end has gone",
    ),
    row(
        SystemCall::Write,
        Of::Datagrams,
        errors!(ENOBUFS EPERM ENETUNREACH),
        "send(2): the queue of the interface is full, a firewall forbids it, or no network is reachable",
    ),
    row(
        SystemCall::Write,
        Of::File,
        errors!(ENOSPC EIO),
        "write(2): the device has no room left, or an error of its own",
    ),
    row(
        SystemCall::Write,
        Of::Output,
        errors!(ENOSPC EIO EPIPE EAGAIN),
        "write(2): a log whose disk is full, or whose reader has gone or does not read",
    ),
    row(
        SystemCall::Wait,
        Of::Nothing,
        errors!(EINTR),
        "signal(7): epoll_wait, poll and select are interrupted behind SIGSTOP and SIGCONT also without a handler",
    ),
    row(
        SystemCall::PeerName,
        Of::Connection,
        errors!(ENOTCONN),
        "getpeername(2): the client has gone since",
    ),
    row(
        SystemCall::SetOption,
        Of::Connection,
        errors!(EINVAL),
        "setsockopt(2), tcp(7): the client has gone since",
    ),
    row(
        SystemCall::Shutdown,
        Of::Connection,
        errors!(ENOTCONN),
        "shutdown(2): the client has gone since",
    ),
    row(
        SystemCall::Fork,
        Of::Nothing,
        errors!(EAGAIN),
        "fork(2), pthread_create(3): a limit on processes or threads has been reached",
    ),
    row(
        SystemCall::Open,
        Of::Nothing,
        errors!(EMFILE ENFILE),
        "open(2), socket(2), pipe(2), eventfd(2): a limit on open files has been reached",
    ),
    LegalFailure {
        observed_only: true,
        ..row(
            SystemCall::Map,
            Of::Nothing,
            errors!(ENOMEM),
            "mmap(2): no memory is available",
        )
    },
];

impl SystemCall {
    /// What it is about where nothing is said.
    pub(crate) fn usually_of(self) -> Of {
        let mut rows = LEGAL_FAILURES.iter();
        rows.find(|row| row.call == self)
            .map_or(Of::Nothing, |row| row.of)
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

    /// Its numbers (syscalls(2)). Those of older names are there on the oldest architecture alone.
    pub(crate) fn numbers(self) -> Vec<c_long> {
        let (all, old) = match self {
            Self::Accept => (&[libc::SYS_accept, libc::SYS_accept4][..], NONE),
            Self::Read => (
                &[
                    libc::SYS_read,
                    libc::SYS_readv,
                    libc::SYS_recvfrom,
                    libc::SYS_recvmsg,
                    libc::SYS_recvmmsg,
                ][..],
                NONE,
            ),
            Self::Write => (
                &[
                    libc::SYS_write,
                    libc::SYS_writev,
                    libc::SYS_sendto,
                    libc::SYS_sendmsg,
                    libc::SYS_sendmmsg,
                    libc::SYS_sendfile,
                    libc::SYS_splice,
                ][..],
                NONE,
            ),
            Self::Wait => (
                &[
                    libc::SYS_epoll_pwait,
                    libc::SYS_epoll_pwait2,
                    libc::SYS_ppoll,
                    libc::SYS_pselect6,
                ][..],
                OLD_WAITS,
            ),
            Self::PeerName => (&[libc::SYS_getpeername][..], NONE),
            Self::SetOption => (&[libc::SYS_setsockopt][..], NONE),
            Self::Shutdown => (&[libc::SYS_shutdown][..], NONE),
            Self::Fork => (&[libc::SYS_clone, libc::SYS_clone3][..], OLD_FORKS),
            Self::Open => (
                &[
                    libc::SYS_openat,
                    libc::SYS_openat2,
                    libc::SYS_socket,
                    libc::SYS_pipe2,
                    libc::SYS_eventfd2,
                    libc::SYS_epoll_create1,
                    libc::SYS_timerfd_create,
                ][..],
                OLD_OPENS,
            ),
            Self::Map => (&[libc::SYS_mmap, libc::SYS_brk][..], NONE),
        };
        [all, old].concat()
    }

    /// The kind of a call of this number.
    pub(crate) fn of_number(number: c_long) -> Option<Self> {
        let mut all = Self::ALL.iter().map(|(call, _)| *call);
        all.find(|call| call.numbers().contains(&number))
    }
}

const NONE: &[c_long] = &[];
#[cfg(target_arch = "x86_64")]
const OLD_WAITS: &[c_long] = &[libc::SYS_epoll_wait, libc::SYS_poll, libc::SYS_select];
#[cfg(target_arch = "x86_64")]
const OLD_FORKS: &[c_long] = &[libc::SYS_fork, libc::SYS_vfork];
#[cfg(target_arch = "x86_64")]
const OLD_OPENS: &[c_long] = &[
    libc::SYS_open,
    libc::SYS_creat,
    libc::SYS_pipe,
    libc::SYS_eventfd,
    libc::SYS_epoll_create,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD_WAITS: &[c_long] = NONE;
#[cfg(not(target_arch = "x86_64"))]
const OLD_FORKS: &[c_long] = NONE;
#[cfg(not(target_arch = "x86_64"))]
const OLD_OPENS: &[c_long] = NONE;

/// The row in which an error of a call on something is legal.
pub(crate) fn legal(call: SystemCall, of: Of, error: ErrorName) -> Option<&'static LegalFailure> {
    let mut rows = LEGAL_FAILURES.iter();
    rows.find(|row| row.call == call && row.of == of && row.errors.contains(&error))
}

/// A rare answer that the kernel gives to calls of a server, for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RareAnswer {
    pub(crate) call: SystemCall,
    pub(crate) of: Of,
    pub(crate) with: With,
    pub(crate) when: When,
}

impl RareAnswer {
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
                assert!(numbers.insert(number), "{name}: {number}");
                assert_eq!(SystemCall::of_number(number), Some(*call));
            }
            assert!(LEGAL_FAILURES.iter().any(|row| row.call == *call), "{name}");
        }
        assert_eq!(
            SystemCall::of_number(libc::SYS_close),
            None,
            "close is never touched"
        );
    }

    #[test]
    fn error_is_legal_where_a_page_says_so_alone() {
        let error = |name| {
            let mut all = LEGAL_FAILURES.iter().flat_map(|row| row.errors);
            *all.find(|error| error.name == name).unwrap()
        };
        assert!(legal(SystemCall::Accept, Of::Listener, error("ECONNABORTED")).is_some());
        assert!(legal(SystemCall::Read, Of::Connection, error("ENOSPC")).is_none());
        assert!(legal(SystemCall::Write, Of::Connection, error("EAGAIN")).is_none());
        for row in LEGAL_FAILURES {
            let (page, said) = row.source.split_once(": ").unwrap();
            assert!(page.contains(')') && !said.is_empty(), "{}", row.source);
        }
    }
}
