//! The first byte at which what came is not what was owed, with what stood around it on both sides.

use super::client_state::ClientState;
use super::instead::{Got, Instead};
use crate::model::data::{Data, find};
use crate::model::expectation::Expectation;
use crate::model::literal::{self, LiteralError};
use serde::{Deserialize, Serialize};

/// So many bytes before the first other one are kept.
const BEFORE: usize = 24;

/// So many from it on.
const FROM: usize = 40;

/// By so many bytes that are the same it is told that what came goes on at another place of what was owed: fewer may be by chance.
const SAME: usize = 12;

/// Where what came is not what was owed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Difference {
    /// The first byte that is another one, or that is missing or too much, counted from 0.
    pub offset: usize,
    /// The byte at which both excerpts begin.
    pub from: usize,
    /// What was owed there; `None` where a text with holes does not say it byte by byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Escaped>,
    /// What came there.
    pub actual: Escaped,
    /// How many bytes were owed, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_bytes: Option<usize>,
    /// How many had come.
    pub actual_bytes: usize,
    /// What came there is owed as well, from this byte on: others are missing before it, or were sent twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goes_on_at: Option<usize>,
}

/// So far before and behind the first other byte what came is looked for.
const REACH: usize = 256 << 10;

impl Difference {
    /// Where what came to a client is not what its expectation says, if that is a matter of bytes.
    pub(crate) fn of(
        client: &ClientState,
        member: u32,
        what: &Expectation,
        instead: &Instead,
    ) -> Option<Self> {
        let came = Came::of(client, instead)?;
        let owed = match what {
            Expectation::Data(data) | Expectation::DataOrSilence(data) => data.clone(),
            Expectation::Template(template) => Data::literal(template.first.clone()),
            _ => Data::literal(Vec::new()),
        };
        let offset = came.offset_of(&owed, member, instead);
        let has_holes = matches!(what, Expectation::Template(template) if !template.rest.is_empty());
        let is_in_a_hole = has_holes && offset >= owed.length();
        if is_in_a_hole && !matches!(instead, Instead::Wrong { .. }) {
            // As far as it goes it fits.
            return None;
        }
        let from = offset.saturating_sub(BEFORE);
        let excerpt = |length: usize| from.min(length)..length.min(offset + FROM);
        let actual = came.from(from, offset + FROM - from);
        let expected = (!is_in_a_hole).then(|| owed.part(member, excerpt(owed.length())));
        let here = |bytes: &[u8]| bytes.get(offset - from).copied();
        let differs = expected.as_deref().is_none_or(|owed| here(owed) != here(&actual));
        // What a server says by itself may stand between, and is not counted.
        differs.then(|| Self {
            offset,
            from,
            goes_on_at: goes_on_at(&owed, member, offset, &came.from(offset, SAME)),
            expected: expected.map(Escaped),
            actual: Escaped(actual),
            expected_bytes: (!has_holes).then(|| owed.length()),
            actual_bytes: came.len(),
        })
    }
}

/// The one other place of what was owed at which these bytes stand.
fn goes_on_at(owed: &Data, member: u32, offset: usize, came: &[u8]) -> Option<usize> {
    let begin = offset.saturating_sub(REACH).min(owed.length());
    let near = owed.part(member, begin..owed.length().min(offset + REACH));
    let first = find(&near, came).filter(|_| came.len() == SAME)?;
    let again = find(&near[first + 1..], came);
    (again.is_none()).then_some(begin + first)
}

/// What came to a client and was not expected.
enum Came<'a> {
    Stream(&'a ClientState),
    Datagram(&'a [u8]),
}

impl<'a> Came<'a> {
    fn of(client: &'a ClientState, instead: &Instead) -> Option<Self> {
        match instead {
            Instead::Got(Got::Datagram(_)) => client.unexpected_datagram().map(Self::Datagram),
            Instead::Wrong { .. }
            | Instead::SoFar(Got::Bytes(_))
            | Instead::Got(Got::Bytes(_))
            | Instead::GotBeforeEnd(Got::Bytes(_))
            | Instead::EndedAfter {
                got: Got::Bytes(_), ..
            } => Some(Self::Stream(client)),
            _ => None,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Stream(client) => client.unread(),
            Self::Datagram(bytes) => bytes.len(),
        }
    }

    /// As many bytes as there are from one on, and at most so many.
    fn from(&self, at: usize, most: usize) -> Vec<u8> {
        match self {
            Self::Stream(client) => client.unread_from(at, most),
            Self::Datagram(bytes) => bytes.iter().skip(at).take(most).copied().collect(),
        }
    }

    /// The first byte that is not the one that was owed. Of a stream that was not found wrong it is the first that is missing, or too
    /// much.
    fn offset_of(&self, owed: &Data, member: u32, instead: &Instead) -> usize {
        match (self, instead) {
            (_, Instead::Wrong { at, .. }) => *at,
            (Self::Stream(_), _) => self.len().min(owed.length()),
            (Self::Datagram(came), _) => {
                let owed = owed.bytes(member);
                came.iter().zip(owed).take_while(|(came, owed)| *came == owed).count()
            }
        }
    }
}

/// Bytes, which reports write as scenarios do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Escaped(pub(crate) Vec<u8>);

impl From<Escaped> for String {
    fn from(bytes: Escaped) -> Self {
        literal::escaped(&bytes.0)
    }
}

impl TryFrom<String> for Escaped {
    type Error = LiteralError;

    fn try_from(text: String) -> Result<Self, LiteralError> {
        literal::bytes(&text).map(Self)
    }
}
