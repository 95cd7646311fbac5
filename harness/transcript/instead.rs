//! What was the case in the place of what was expected, of a client and of the server.

use crate::kernel::Toil;
use crate::model::data::{Excerpt, Match};
use crate::model::expectation::{End, Expectation};
use crate::model::literal::Measured;
use crate::model::template::Template;
use crate::transcript::event::Exit;
use serde::{Serialize, Serializer};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

fn in_milliseconds<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(time.as_millis() as u64)
}

/// What had come to a client and was not expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Got {
    /// Neither bytes nor a datagram.
    Nothing,
    /// Bytes of a stream.
    Bytes(Excerpt),
    /// A datagram.
    Datagram(Excerpt),
}

/// What was wanted in the place of wrong bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Wanted {
    /// Exactly these.
    Bytes(Excerpt),
    /// A text with holes.
    Template(Template),
}

/// What was the case in the place of what was expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Instead {
    /// This had come, and more may still have been on its way.
    SoFar(Got),
    /// This came.
    Got(Got),
    /// This came before the end of the connection.
    GotBeforeEnd(Got),
    /// Bytes came that were wrong.
    Wrong {
        /// Those around the first wrong one.
        near: Excerpt,
        /// How many came before them.
        before: usize,
        /// Which byte was the first wrong one.
        at: usize,
        /// What was wanted.
        wanted: Wanted,
    },
    /// It came, and so soon after it was waited for that it may not come yet.
    TooSoon {
        /// How long it was waited for.
        #[serde(rename = "waited_ms", serialize_with = "in_milliseconds")]
        waited: Duration,
    },
    /// The reply came from elsewhere.
    Elsewhere {
        /// Who was asked.
        asked: IpAddr,
        /// Who answered.
        answered: IpAddr,
    },
    /// The connection ended once this had come.
    EndedAfter {
        /// What had come.
        got: Got,
        /// How it ended.
        end: End,
        /// The error with which sending had failed, where it had.
        sending: Option<String>,
    },
    /// So many bytes had come, of which those that would decide are not kept.
    Unkept {
        /// How many.
        bytes: usize,
    },
    /// Sending failed.
    SendingFailed(String),
    /// The connection ended.
    Ended(End),
    /// The connection ended before what was expected could happen.
    EndedFirst(End),
    /// The connection ended in another way.
    EndedOtherwise(End),
    /// Its end destroyed bytes that the server had sent.
    Destroyed {
        /// How it ended.
        end: End,
        /// How many.
        bytes: u64,
    },
    /// There was a connection.
    Established,
    /// TLS failed.
    NotSecured(String),
    /// There was no connection.
    NotConnected(String),
    /// There was no connection, for another reason than the server's refusal.
    NotRefused(String),
    /// The server read all that was sent.
    AllRead,
    /// The server read on and on.
    ReadOn,
    /// The server ended in this way.
    Exited(Exit),
    /// The server still runs.
    Runs,
    /// So many of its processes are left.
    Processes(usize),
    /// So many connections wait to be accepted; `None` where its queue was not seen.
    AcceptQueue(Option<u32>),
    /// So many may wait; `None` where that was not seen.
    Backlog(Option<u32>),
    /// So many of its connections are in TIME_WAIT.
    TimeWait(usize),
    /// It does not rest.
    Busy {
        /// The share of one processor that it uses, in percent.
        percent: u32,
        /// Whether that is all that it gets.
        spins: bool,
        /// What it is at.
        #[serde(skip_serializing_if = "Option::is_none")]
        toil: Option<Toil>,
    },
    /// So many files are open, and some are left.
    OpenFiles {
        /// How many are open.
        held: u64,
        /// How many may be.
        limit: u64,
    },
    /// All files that it may have are open, and nobody waits for another.
    NobodyWaits {
        /// How many may be open.
        limit: u64,
    },
    /// The numbers of its open files end here.
    Descriptors {
        /// The highest.
        highest: u32,
        /// How many it may have.
        limit: u64,
    },
    /// Its limit on open files was not lowered.
    NotLimited,
    /// It has not printed that.
    NotPrinted,
    /// Its calls have not had every rare answer.
    NotAnswered,
}

impl Instead {
    /// Whether the server, or the connection, has ended.
    pub(crate) fn is_an_end(&self) -> bool {
        matches!(
            self,
            Self::EndedAfter { .. }
                | Self::Ended(_)
                | Self::EndedFirst(_)
                | Self::EndedOtherwise(_)
                | Self::Exited(_)
        )
    }

    /// Whether a client that was owed this was answered in other words: not with silence, nor with the beginning of what it
    /// was owed, nor with an end alone. Where a text begins with a hole, whatever comes may be words of another.
    pub(crate) fn is_another_answer(&self, owed: &Expectation) -> bool {
        let opens_with_a_hole =
            || matches!(owed, Expectation::Template(template) if template.first.is_empty());
        match self {
            Self::Wrong { .. } | Self::Got(Got::Datagram(_)) => true,
            Self::SoFar(Got::Bytes(_))
            | Self::EndedAfter {
                got: Got::Bytes(_), ..
            } => opens_with_a_hole(),
            _ => false,
        }
    }

    /// Whether what came is this text, or its beginning: from the first wrong byte on, or from a little before it where that begins
    /// as what was owed does.
    pub(crate) fn is_told(&self, text: &Template) -> bool {
        let (came, from) = match self {
            Self::Wrong {
                near, before, at, ..
            } => (near, at - before),
            Self::SoFar(Got::Bytes(came))
            | Self::Got(Got::Bytes(came))
            | Self::GotBeforeEnd(Got::Bytes(came))
            | Self::EndedAfter {
                got: Got::Bytes(came),
                ..
            } => (came, 0),
            _ => return false,
        };
        (0..=from).any(|start| match text.matches(&came.beginning()[start..]) {
            Match::Full(length) => start + length > from,
            Match::Partial => true,
            Match::Wrong(_) => false,
        })
    }

    /// What it comes to, in a word: what one defect shows in different places has the same.
    pub(crate) fn word(&self) -> String {
        let word = match self {
            Self::SoFar(Got::Nothing) | Self::Got(Got::Nothing) => "nothing",
            Self::SoFar(_) => "incomplete",
            Self::Got(_) | Self::GotBeforeEnd(_) => "unexpected",
            Self::Wrong { .. } => "wrong",
            Self::TooSoon { .. } => "too-soon",
            Self::Elsewhere { .. } => "from-elsewhere",
            Self::EndedAfter { end, .. }
            | Self::Ended(end)
            | Self::EndedFirst(end)
            | Self::EndedOtherwise(end) => return end.to_string(),
            Self::Destroyed { .. } => "destroyed",
            Self::Unkept { .. } => "unkept",
            Self::SendingFailed(_) => "sending-failed",
            Self::Established => "connected",
            Self::NotConnected(_) | Self::NotRefused(_) => "not-connected",
            Self::NotSecured(_) => "not-secured",
            Self::AllRead | Self::ReadOn => "read",
            Self::Exited(_) => "exited",
            Self::Runs | Self::Processes(_) => "runs",
            Self::AcceptQueue(_) | Self::Backlog(_) => "queue",
            Self::TimeWait(_) => "time-wait",
            Self::Busy { .. } => "busy",
            Self::NotPrinted => "not-printed",
            Self::NotAnswered => "not-answered",
            Self::OpenFiles { .. }
            | Self::NobodyWaits { .. }
            | Self::Descriptors { .. }
            | Self::NotLimited => "open-files",
        };
        word.to_owned()
    }
}

impl fmt::Display for Got {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Bytes(bytes) => bytes.fmt(f),
            Self::Datagram(bytes) => write!(f, "the datagram {bytes}"),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => bytes.fmt(f),
            Self::Template(template) => f.write_str(&template.excerpt()),
        }
    }
}

/// What is said of a server that answers in TLS to who does not speak it.
const SPEAKS_TLS: &str =
    "; that is an alert of TLS: of a server that speaks TLS a profile has a table [tls]";

/// Whether these bytes are an alert, in the record of a version of TLS (RFC 8446, sections 5.1 and 6).
fn is_tls_alert(bytes: &[u8]) -> bool {
    matches!(bytes, [0x15, 3, 0..=4, 0, 2, 1 | 2, _])
}

/// As transcripts and reports tell it of whom it is the case.
impl fmt::Display for Instead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_unseen = |value: &Option<u32>| {
            value.map_or_else(|| "was not seen".to_owned(), |n| format!("is {n}"))
        };
        match self {
            Self::SoFar(got) | Self::Got(got) => write!(f, "got {got}"),
            Self::GotBeforeEnd(got) => write!(f, "got {got} before the end"),
            Self::Wrong {
                near,
                before,
                at,
                wanted,
            } => {
                let cut = if *before > 0 { "… " } else { "" };
                write!(
                    f,
                    "got {cut}{near}, wrong from byte {at} on, wanted {wanted}"
                )?;
                match *before == 0 && is_tls_alert(near.beginning()) {
                    true => f.write_str(SPEAKS_TLS),
                    false => Ok(()),
                }
            }
            Self::TooSoon { waited } => write!(f, "it came after {}", Measured(*waited)),
            Self::Elsewhere { asked, answered } => {
                write!(f, "asked {asked} and was answered from {answered}")
            }
            Self::EndedAfter { got, end, sending } => {
                write!(f, "got {got}, then {end}")?;
                match sending {
                    Some(error) => write!(f, "; sending failed: {error}"),
                    None => Ok(()),
                }
            }
            Self::Unkept { bytes } => {
                write!(
                    f,
                    "got {bytes} bytes, more than is kept of what nobody foresaw"
                )
            }
            Self::SendingFailed(error) => write!(f, "sending failed: {error}"),
            Self::Ended(end) => write!(f, "the connection ended: {end}"),
            Self::EndedFirst(end) => write!(f, "the connection ended first: {end}"),
            Self::EndedOtherwise(end) => write!(f, "the connection ended otherwise: {end}"),
            Self::Destroyed { end, bytes } => {
                write!(f, "{end} destroyed {bytes} bytes that the server had sent")
            }
            Self::Established => f.write_str("the connection was established"),
            Self::NotSecured(why) => f.write_str(why),
            Self::NotConnected(error) => write!(f, "the connection failed: {error}"),
            Self::NotRefused(error) => write!(f, "the connection failed otherwise: {error}"),
            Self::AllRead => f.write_str("the server read all that was sent"),
            Self::ReadOn => f.write_str("the server read on and on"),
            Self::Exited(exit) => write!(f, "it {exit}"),
            Self::Runs => f.write_str("it still runs"),
            Self::Processes(left) => write!(f, "{left} of its processes are left"),
            Self::AcceptQueue(queue) => write!(f, "its accept queue {}", or_unseen(queue)),
            Self::Backlog(backlog) => write!(f, "its backlog {}", or_unseen(backlog)),
            Self::TimeWait(rows) => write!(f, "{rows} of its connections are in TIME_WAIT"),
            Self::Busy {
                percent,
                spins,
                toil,
            } => {
                let all = if *spins { ", all that it gets" } else { "" };
                write!(f, "it uses {percent} % of a processor{all}")?;
                toil.iter().try_for_each(|toil| toil.fmt(f))
            }
            Self::OpenFiles { held, limit } => write!(f, "it has {held} of {limit} files open"),
            Self::NobodyWaits { limit } => write!(
                f,
                "it has all of {limit} files open, and nobody waits for another"
            ),
            Self::Descriptors { highest, limit } => write!(
                f,
                "its highest descriptor is {highest}, of {limit} that it may have; where it is to hold no more, promise \
                 most-connections, and where it ends the connections of silent clients, login-timeout or idle-timeout"
            ),
            Self::NotPrinted => f.write_str("it has not printed that"),
            Self::NotAnswered => {
                f.write_str("it has not made all the calls that were to be answered so")
            }
            Self::NotLimited => f.write_str("its limit on open files was not lowered"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Got {
        Got::Bytes(Excerpt::of(text.as_bytes()))
    }

    fn template(text: &str) -> Template {
        Template::parse(text).unwrap()
    }

    fn ended_after(got: Got) -> Instead {
        Instead::EndedAfter {
            got,
            end: End::Fin,
            sending: None,
        }
    }

    /// What came near a wrong byte, behind so many, and which byte that is.
    fn wrong(near: &str, before: usize, at: usize) -> Instead {
        Instead::Wrong {
            near: Excerpt::of(near.as_bytes()),
            before,
            at,
            wanted: Wanted::Bytes(Excerpt::of(b"HELLO")),
        }
    }

    #[test]
    fn answer_in_other_words_is_told_from_silence_and_from_a_beginning() {
        let hello = Expectation::Template(template("HELLO {any}"));
        let whatever = Expectation::Template(template("{any}\\n"));
        let of =
            |instead: &Instead| [&hello, &whatever].map(|owed| instead.is_another_answer(owed));
        assert_eq!(of(&wrong("HALLO", 1, 1)), [true, true]);
        let datagram = Got::Datagram(Excerpt::of(b"no"));
        assert_eq!(of(&Instead::Got(datagram)), [true, true]);
        // Where a text begins with a hole, whatever comes may be words of another.
        assert_eq!(of(&Instead::SoFar(bytes("HEL"))), [false, true]);
        assert_eq!(of(&ended_after(bytes("HEL"))), [false, true]);
        assert_eq!(of(&Instead::SoFar(Got::Nothing)), [false, false]);
        assert_eq!(of(&ended_after(Got::Nothing)), [false, false]);
        assert_eq!(of(&Instead::Ended(End::Fin)), [false, false]);
    }

    #[test]
    fn text_is_told_where_it_or_its_beginning_came() {
        let bye = template("bye {any}\\n");
        for came in [
            Instead::SoFar(bytes("bye now\n")),
            Instead::Got(bytes("bye now\n")),
            Instead::GotBeforeEnd(bytes("by")),
            ended_after(bytes("bye now\n")),
            wrong("bye now\n", 0, 0),
        ] {
            assert!(came.is_told(&bye), "{came}");
        }
        for other in [
            Instead::SoFar(bytes("hello\n")),
            Instead::SoFar(bytes("so bye now\n")),
            Instead::Ended(End::Fin),
        ] {
            assert!(!other.is_told(&bye), "{other}");
        }
    }

    #[test]
    fn text_that_begins_as_what_was_owed_does_is_told_though_it_is_wrong_later() {
        let help = template("HELP {any}\\n");
        // It was right up to here, for both begin alike.
        assert!(wrong("HELP me\n", 0, 3).is_told(&help));
        assert!(wrong("HELP me\n", 16, 19).is_told(&help));
        assert!(wrong("1\nHELP me\n", 0, 5).is_told(&help));
        // A whole one before the first wrong byte was right.
        assert!(!wrong("HELP me\nHALLO", 0, 9).is_told(&help));
        assert!(!wrong("HELP me\nHALLO", 0, 8).is_told(&help));
        assert!(!wrong("HELP me\nHALLO", 16, 25).is_told(&help));
    }

    /// Keys of causes end in it, and are published.
    #[test]
    fn each_case_has_its_word() {
        for (instead, word) in [
            (Instead::SoFar(Got::Nothing), "nothing"),
            (Instead::SoFar(bytes("HEL")), "incomplete"),
            (Instead::Got(bytes("HEL")), "unexpected"),
            (wrong("HALLO", 1, 1), "wrong"),
            (Instead::Ended(End::Fin), "fin"),
            (Instead::EndedOtherwise(End::Reset), "reset"),
            (Instead::Established, "connected"),
            (Instead::NotRefused(String::new()), "not-connected"),
            (Instead::NotSecured(String::new()), "not-secured"),
            (Instead::ReadOn, "read"),
            (Instead::Processes(2), "runs"),
            (Instead::AcceptQueue(None), "queue"),
            (Instead::NotLimited, "open-files"),
        ] {
            assert_eq!(instead.word(), word);
        }
    }

    #[test]
    fn bytes_near_a_wrong_one_are_told_to_be_cut_where_others_stood_before_them() {
        let whole = "got \"HALLO\", wrong from byte 1 on, wanted \"HELLO\"";
        assert_eq!(wrong("HALLO", 0, 1).to_string(), whole);
        let cut = "got … \"HALLO\", wrong from byte 17 on, wanted \"HELLO\"";
        assert_eq!(wrong("HALLO", 16, 17).to_string(), cut);
        // What OpenSSL says to a request in the clear.
        let alert = wrong("\x15\x03\x03\0\x02\x02\x46", 0, 0).to_string();
        assert!(alert.ends_with("a profile has a table [tls]"), "{alert}");
        let other = wrong("\x15\x03\x03\0", 0, 0).to_string();
        assert!(!other.contains("TLS"), "{other}");
    }
}
