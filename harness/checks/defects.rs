//! The kinds of defects that checks are for, each with the programs that show it mended.

use crate::model::defect::{Case, Defect};

/// Every kind, in the order of the catalogue.
pub(crate) const DEFECTS: &[&Defect] = &[
    &Defect::FRAMING,
    &Defect::WHOLE_WRITES,
    &Defect::RESET,
    &Defect::ACCEPT,
    &Defect::EXHAUSTED,
    &Defect::LEAK,
    &Defect::HALF_CLOSE,
    &Defect::LAST_WORDS,
    &Defect::MANY,
    &Defect::DEADLINE,
    &Defect::INTERRUPTED,
    &Defect::BOUNDED,
    &Defect::LISTEN,
    &Defect::GRACEFUL_STOP,
    &Defect::STREAMS,
    &Defect::BYTES,
    &Defect::DATAGRAMS,
    &Defect::PATHS,
];

/// The kind with a name.
pub(crate) fn find(name: &str) -> Option<&'static Defect> {
    DEFECTS.iter().copied().find(|defect| defect.name == name)
}

const LINES: &str = "lines";

impl Defect {
    pub(crate) const FRAMING: Self = Self {
        name: "framing",
        about: "A read returns what has come so far: a part of a request, or one and the beginning of the next. Keep what was read, \
                take every whole request out of it, and read on.",
        program: LINES,
        cases: &[
            Case {
                report: "https://github.com/uwplse/verdi-raft/issues/53",
                what: "the I/O around a verified server takes a request that comes in two reads for a disconnect",
            },
            Case {
                report: "https://github.com/yhirose/cpp-httplib/issues/1271",
                what: "of two requests in one segment the second is dropped, and its client waits",
            },
        ],
    };
    pub(crate) const WHOLE_WRITES: Self = Self {
        name: "whole-writes",
        about: "A write takes what fits the kernel's buffer, or what fits until a time-out. Write until all is written, wait for room \
                where there is none, and count the time from the last progress.",
        program: LINES,
        cases: &[
            Case {
                report: "https://github.com/puma/puma/issues/170",
                what: "slow readers get the first 180,224 bytes of a response, and no more",
            },
            Case {
                report: "https://github.com/hyperium/hyper/issues/1032",
                what: "after a partial write the response is never resumed",
            },
        ],
    };
    pub(crate) const RESET: Self = Self {
        name: "reset",
        about: "A reset makes the next read or write of its connection fail, and a write to it raise SIGPIPE. That is the end of this \
                connection, and of nothing else.",
        program: LINES,
        cases: &[
            Case {
                report: "https://github.com/mangband/mangband/issues/552",
                what: "SIGPIPE ends the server when a client has gone during a write",
            },
            Case {
                report: "https://github.com/chipsalliance/caliptra-mcu-sw/issues/1137",
                what: "the thread that reads panics on a disconnect, and the listener dies with it",
            },
        ],
    };
    pub(crate) const ACCEPT: Self = Self {
        name: "accept",
        about: "accept fails for one connection that has gone already (ECONNABORTED), or until one leaves (EMFILE, with the connection \
                left in the queue). Go on accepting after the one, and wait before trying again after the other.",
        program: LINES,
        cases: &[
            Case {
                report: "https://github.com/hickory-dns/hickory-dns/pull/3726",
                what: "clients that reset before they are accepted end the accept loop; the port listens on, and nobody answers",
            },
            Case {
                report: "https://github.com/MDA2AV/ioxide/issues/222",
                what: "at the descriptor limit accept fails in a loop: 5.2 million lines of log in 3 s",
            },
        ],
    };
    pub(crate) const EXHAUSTED: Self = Self {
        name: "exhausted",
        about: "A thread, a process, a file or a pipe may be refused by a host that has too many. That is the loss of the client for whom \
                it was wanted: close its connection, and leave the loop that accepts, and all others, alone.",
        program: LINES,
        cases: &[
            Case {
                report: "https://github.com/tpm2-software/tpm2-tss/issues/222",
                what: "once no thread can be made the server says that it exits, and serves nobody any more",
            },
            Case {
                report: "https://github.com/chimera-nas/libevpl/pull/100",
                what: "the error of a thread that was not made is not looked at, and its maker waits for ever",
            },
        ],
    };
    pub(crate) const LEAK: Self = Self {
        name: "leak",
        about: "A conversation ends in many ways, and one of them forgets the descriptor, the thread or the place in a table. Let one \
                place give back all that a connection took, whichever way it ended.",
        program: LINES,
        cases: &[
            Case {
                report: "https://github.com/mattn/http-server/pull/7",
                what: "fifty clients that connect and say nothing cost fifty descriptors",
            },
            Case {
                report: "https://github.com/haproxy/haproxy/issues/1362",
                what: "connections whose client has finished stay in CLOSE_WAIT",
            },
        ],
    };
    pub(crate) const HALF_CLOSE: Self = Self {
        name: "half-close",
        about: "FIN says that the client will send no more, and it still reads. Answer what was asked, send all that waits, then close.",
        program: LINES,
        cases: &[
            Case {
                report: "https://github.com/enghitalo/vanilla/issues/103",
                what: "both event loops, epoll's and kqueue's, drop the response when the client has half-closed",
            },
            Case {
                report: "https://github.com/cloudwu/skynet/issues/50",
                what: "a client that half-closes after its request gets no answer",
            },
        ],
    };
    pub(crate) const LAST_WORDS: Self = Self {
        name: "last-words",
        about: "A close with input unread makes the kernel send RST in the place of FIN, and the RST destroys what the client has not \
                read yet. Shut down the sending side, read what still comes for a moment, then close; and leave SO_LINGER alone.",
        program: LINES,
        cases: &[
            Case {
                report: "https://github.com/rwf2/Rocket/issues/2783",
                what: "the answer to a request whose body nobody reads is lost to the reset",
            },
            Case {
                report: "https://github.com/libevent/libevent/issues/321",
                what: "an early error reply is followed by RST, and clients do not see it",
            },
        ],
    };
    pub(crate) const MANY: Self = Self {
        name: "many",
        about: "Who waits for one client in the loop that serves all keeps all of them waiting, for as long as that client likes. Accept \
                in one place and serve each connection by itself, with buffers of its own.",
        program: LINES,
        cases: &[
            Case {
                report: "https://github.com/scylladb/seastar/issues/335",
                what: "a connection that says nothing stalls the server",
            },
            Case {
                report: "https://github.com/estuary/flow/pull/2333",
                what: "the handshake is done in the accept loop, and one that never ends keeps everybody out",
            },
        ],
    };
    pub(crate) const DEADLINE: Self = Self {
        name: "deadline",
        about: "A client that says nothing, or never comes to the end of its request, holds a worker and a descriptor. Give it a \
                deadline that a whole request moves and a single byte does not, and close when it has passed.",
        program: LINES,
        cases: &[
            Case {
                report: "https://github.com/kite-org/kite/pull/461",
                what: "requests that are fed by drips hold their connections for ever",
            },
            Case {
                report: "https://github.com/ArcadeData/arcadedb/issues/6761",
                what: "a peer that is gone without FIN or RST pins its thread and descriptor for ever",
            },
        ],
    };
    pub(crate) const INTERRUPTED: Self = Self {
        name: "interrupted",
        about: "A signal, or SIGSTOP and SIGCONT without a handler, makes a wait return EINTR, and a socket that does not block has \
                nothing to read now and then (EAGAIN). Neither is an error: do the same again.",
        program: LINES,
        cases: &[
            Case {
                report: "https://github.com/MisterTea/EternalTerminal/pull/516",
                what: "EINTR after a stop is taken for fatal, and the process ends",
            },
            Case {
                report: "https://github.com/h2o/h2o/pull/2358",
                what: "an interrupted wait ends the server",
            },
        ],
    };
    pub(crate) const BOUNDED: Self = Self {
        name: "bounded",
        about: "What is kept for a client, a request without an end or replies that it does not read, is bounded, or one client takes \
                all memory. Refuse what is longer than the longest, and read no more while much waits to be sent.",
        program: LINES,
        cases: &[
            Case {
                report: "https://github.com/http-kit/http-kit/issues/180",
                what: "a client that stops reading has its responses buffered until memory is at its end",
            },
            Case {
                report: "https://github.com/redis/redis/issues/91",
                what: "one subscriber that does not keep up makes the server run out of memory",
            },
        ],
    };
    pub(crate) const LISTEN: Self = Self {
        name: "listen",
        about: "A listening socket takes SO_REUSEADDR to be there again after a restart, a backlog that a burst fits, the address that was \
                given and no other, and close-on-exec. An error of bind or listen ends the program with a status that says so.",
        program: LINES,
        cases: &[
            Case {
                report: "https://github.com/neondatabase/neon/issues/801",
                what: "a restart within TIME_WAIT fails with EADDRINUSE",
            },
            Case {
                report: "https://github.com/ElementsProject/lightning/issues/2378",
                what: "a backlog of five costs clients in a burst seconds of repeated SYNs",
            },
        ],
    };
    pub(crate) const GRACEFUL_STOP: Self = Self {
        name: "graceful-stop",
        about: "Told to end, a server stops accepting, finishes what has begun, closes those who are idle, and gives the rest a limit. \
                It waits neither for a silent client nor for the second half of a request.",
        program: LINES,
        cases: &[
            Case {
                report: "https://github.com/yesodweb/wai/issues/853",
                what: "a graceful stop never ends while a client keeps an idle connection",
            },
            Case {
                report: "https://github.com/benoitc/gunicorn/issues/2529",
                what: "TERM during a request drops it",
            },
        ],
    };
    pub(crate) const STREAMS: Self = Self {
        name: "streams",
        about: "Nobody may read the log, and the three standard descriptors may be closed. A line that cannot be printed is no reason to \
                end; and the lowest free number goes to the next socket, so that a log that writes to 1 writes to a client.",
        program: LINES,
        cases: &[
            Case {
                report: "https://github.com/official-stockfish/Stockfish/pull/7028",
                what: "SIGPIPE at a closed output ends the process without a word",
            },
            Case {
                report: "https://github.com/neutrinolabs/xrdp/issues/938",
                what: "a socket whose number is 0 is taken for none",
            },
        ],
    };
    pub(crate) const BYTES: Self = Self {
        name: "bytes",
        about: "What comes is bytes: it holds NUL, bytes that are no UTF-8, and white space that means something. Find the end of a \
                request by its length, decode only where the protocol has text, and treat what cannot be decoded as a wrong request.",
        program: LINES,
        cases: &[],
    };
    pub(crate) const DATAGRAMS: Self = Self {
        name: "datagrams",
        about: "Each datagram stands alone: it may be empty, as large as 65,507 bytes, and its sender may be gone or want no reply. Read \
                with room for the largest, and let an error be that one datagram's.",
        program: "datagrams",
        cases: &[
            Case {
                report: "https://github.com/ikatson/rqbit/issues/664",
                what: "a reply to a peer that is gone ends the receive loop for good",
            },
            Case {
                report: "https://github.com/PowerDNS/pdns/pull/2939",
                what: "a datagram that is larger than the buffer is cut, and taken for the whole",
            },
        ],
    };
    pub(crate) const PATHS: Self = Self {
        name: "paths",
        about: "The path of a Unix socket outlives its server, and belongs to a living one, or to no server at all. Connect to it before \
                bind; remove it only where it is a socket and nobody answers.",
        program: "paths",
        cases: &[
            Case {
                report: "https://github.com/nginx/nginx/issues/851",
                what: "after a crash the path is left, and the next start fails with EADDRINUSE",
            },
            Case {
                report: "https://github.com/element-hq/matrix-authentication-service/issues/2424",
                what: "the same of a socket that nothing removes",
            },
        ],
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks;
    use crate::checks::observations;
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_is_one_of_the_list_and_has_a_check() {
        let used: BTreeSet<_> = checks::all()
            .iter()
            .map(|check| check.defect.name)
            .collect();
        let known: BTreeSet<_> = DEFECTS.iter().map(|defect| defect.name).collect();
        assert_eq!(used, known);
        assert_eq!(known.len(), DEFECTS.len());
        for name in known {
            assert_eq!(find(name).map(|defect| defect.name), Some(name));
            let is_check = checks::all().iter().any(|check| check.id == name);
            assert!(!is_check && observations::find(name).is_none(), "{name}");
        }
    }

    #[test]
    fn every_public_case_names_a_project_and_a_number() {
        for defect in DEFECTS {
            for case in defect.cases {
                assert!(Case::project(case.report).is_some(), "{}", case.report);
            }
        }
        for check in checks::all() {
            let words = check.why.split_whitespace();
            for report in words.filter(|word| word.contains("://")) {
                assert!(Case::project(report).is_some(), "{}: {report}", check.id);
            }
        }
    }
}
