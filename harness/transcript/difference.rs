//! The first byte at which what came is not what was owed, with what stood around it on both sides.

use super::client_state::{ClientState, Matcher, Progress};
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
    /// What was owed there; `None` where no bytes were, or where a text with holes does not say which.
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
const REACH: usize = 1 << 20;

impl Difference {
    /// Where what came to a client is not what its expectation says, if that is a matter of bytes.
    pub(crate) fn of(
        client: &ClientState,
        member: u32,
        what: &Expectation,
        instead: &Instead,
    ) -> Option<Self> {
        let came = Came::of(client, instead)?;
        let (owed, is_all) = match what {
            Expectation::Data(data) | Expectation::DataOrSilence(data) => (data.clone(), true),
            Expectation::Template(template) => {
                let first = Data::literal(template.first.clone());
                (first, template.rest.is_empty())
            }
            Expectation::NotBefore { what, .. } => return Self::of(client, member, what, instead),
            Expectation::OneOf(ways) => return Self::of_ways(client, member, ways),
            // Bytes that came before an end do not keep it from coming.
            Expectation::End { .. } if matches!(instead, Instead::SoFar(_)) => return None,
            _ => (Data::literal(Vec::new()), true),
        };
        let offset = came.offset_of(&owed, member, instead);
        let is_in_a_hole = !is_all && offset >= owed.length();
        if is_in_a_hole && !matches!(instead, Instead::Wrong { .. }) {
            // As far as it goes it fits.
            return None;
        }
        let is_told = !is_in_a_hole && owed.length() > 0;
        let from = offset.saturating_sub(BEFORE);
        let excerpt = |length: usize| from.min(length)..length.min(offset + FROM);
        let actual = came.from(from, offset + FROM - from);
        let expected = is_told.then(|| owed.part(member, excerpt(owed.length())));
        let here = |bytes: &[u8]| bytes.get(offset - from).copied();
        let differs = expected
            .as_deref()
            .is_none_or(|owed| here(owed) != here(&actual));
        // What a server says by itself may stand between, and is not counted.
        differs.then(|| Self {
            offset,
            from,
            goes_on_at: goes_on_at(&owed, member, offset, &came.from(offset, SAME)),
            expected: expected.map(Escaped),
            actual: Escaped(actual),
            expected_bytes: is_all.then(|| owed.length()),
            actual_bytes: came.len(),
        })
    }
}

impl Difference {
    /// The same of the way that what came agrees with for longest, of several the first. That none of them ends the connection is no
    /// matter of bytes.
    fn of_ways(client: &ClientState, member: u32, ways: &[Expectation]) -> Option<Self> {
        let of_way = |way: &Expectation| {
            let instead = match client.look(&mut Matcher::new(way, member), true) {
                Progress::Met => return None,
                Progress::Pending => Instead::SoFar(client.so_far()),
                Progress::Broken(instead) => instead,
            };
            Self::of(client, member, way, &instead)
        };
        let is_of_bytes = |way: &&Expectation| !matches!(way, Expectation::End { .. });
        let all = ways.iter().filter(is_of_bytes).filter_map(of_way);
        // Of several that are as large the last one would be taken.
        all.rev().max_by_key(|difference| difference.offset)
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
                came.iter()
                    .zip(owed)
                    .take_while(|(came, owed)| *came == owed)
                    .count()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::data::Source;
    use crate::model::expectation::End;
    use crate::model::template::Template;
    use crate::transcript::client_state::ClientStates;
    use crate::transcript::event::{ClientEvent, ClientId, Event, What};
    use std::time::Duration;

    fn client(events: &[ClientEvent]) -> ClientState {
        let (mut states, id) = (ClientStates::default(), ClientId { who: 0, member: 0 });
        for event in events {
            states.apply(&Event {
                at: Duration::ZERO,
                what: What::Client(id, event.clone()),
            });
        }
        states.of(id).clone()
    }

    fn received(bytes: &[u8]) -> ClientEvent {
        ClientEvent::Received(bytes.to_vec().into())
    }

    /// What differs once nothing more comes.
    fn seen(what: &Expectation, events: &[ClientEvent]) -> Option<Difference> {
        let state = client(events);
        let instead = match state.look(&mut Matcher::new(what, 0), true) {
            Progress::Broken(instead) => instead,
            Progress::Pending => Instead::SoFar(state.so_far()),
            Progress::Met => panic!("{what} was met"),
        };
        Difference::of(&state, 0, what, &instead)
    }

    fn text(bytes: &[u8]) -> Expectation {
        Expectation::Data(Data::literal(bytes))
    }

    #[test]
    fn other_byte_is_found_with_those_around_it_on_both_sides() {
        let owed: Vec<u8> = (0..200).collect();
        let mut came = owed.clone();
        came[100] = b'!';
        let found = seen(&text(&owed), &[received(&came)]).unwrap();
        assert_eq!((found.offset, found.from), (100, 100 - BEFORE));
        assert_eq!(found.expected.unwrap().0, owed[100 - BEFORE..100 + FROM]);
        assert_eq!(found.actual.0, came[100 - BEFORE..100 + FROM]);
        assert_eq!((found.expected_bytes, found.actual_bytes), (Some(200), 200));
        assert_eq!(found.goes_on_at, None);
    }

    #[test]
    fn first_byte_that_does_not_come_is_missing_also_where_the_connection_has_ended() {
        for end in [vec![], vec![ClientEvent::Ended(End::Fin)]] {
            let events = [vec![received(b"HEL")], end].concat();
            let found = seen(&text(b"HELLO"), &events).unwrap();
            assert_eq!((found.offset, found.actual_bytes), (3, 3));
            assert_eq!(found.expected.unwrap().0, b"HELLO");
        }
        assert_eq!(seen(&text(b"HELLO"), &[]), None);
    }

    #[test]
    fn bytes_that_were_lost_or_came_twice_are_told() {
        let owed = Data::from(Source::Pattern {
            bytes: 9_000,
            seed: 7,
        });
        let all = owed.bytes(0);
        let what = Expectation::Data(owed);
        let lost = [&all[..4_000], &all[4_100..]].concat();
        let found = seen(&what, &[received(&lost)]).unwrap();
        assert_eq!((found.offset, found.goes_on_at), (4_000, Some(4_100)));
        let twice = [&all[..4_000], &all[3_900..]].concat();
        let found = seen(&what, &[received(&twice)]).unwrap();
        assert_eq!((found.offset, found.goes_on_at), (4_000, Some(3_900)));
    }

    #[test]
    fn where_the_same_stands_in_two_places_nobody_knows_where_it_goes_on() {
        let owed = b"abcdefghijklmno".repeat(10);
        let came = [&owed[..30], &owed[31..]].concat();
        assert_eq!(
            seen(&text(&owed), &[received(&came)]).unwrap().goes_on_at,
            None
        );
    }

    #[test]
    fn text_with_holes_is_held_byte_by_byte_up_to_the_first_hole() {
        let what = Expectation::Template(Template::parse("HELLO {line}x\\n").unwrap());
        let found = seen(&what, &[received(b"HALLO")]).unwrap();
        assert_eq!((found.offset, found.expected_bytes), (1, None));
        assert_eq!(found.expected.unwrap().0, b"HELLO ");
        let found = seen(&what, &[received(b"HELLO WO\nRLD")]).unwrap();
        assert_eq!((found.offset, found.expected), (8, None));
        assert_eq!(seen(&what, &[received(b"HELLO WORLD")]), None);
    }

    #[test]
    fn bytes_that_were_not_to_come_differ_and_those_before_an_end_that_does_not_come_do_not() {
        let found = seen(&Expectation::Silence, &[received(b"HI")]).unwrap();
        assert_eq!((found.offset, found.expected_bytes), (0, Some(0)));
        assert_eq!(found.actual.0, b"HI");
        assert_eq!(seen(&Expectation::any_end(), &[received(b"HI")]), None);
    }

    #[test]
    fn what_comes_later_differs_as_what_comes_at_once_and_of_several_ways_the_one_that_agrees_for_longest()
     {
        let later = Expectation::NotBefore {
            after: Duration::from_millis(1),
            what: Box::new(text(b"HELLO")),
        };
        assert_eq!(seen(&later, &[received(b"HALLO")]).unwrap().offset, 1);
        let either = Expectation::OneOf(vec![text(b"HELLO"), text(b"BYE")]);
        let told = |came: &[u8]| {
            let found = seen(&either, &[received(came)]).unwrap();
            (found.offset, found.expected.unwrap().0)
        };
        assert_eq!(told(b"HALLO"), (1, b"HELLO".to_vec()));
        assert_eq!(told(b"BYTE"), (2, b"BYE".to_vec()));
        assert_eq!(told(b"?"), (0, b"HELLO".to_vec()));
        let or_end = Expectation::OneOf(vec![text(b"HELLO"), Expectation::any_end()]);
        assert_eq!(seen(&or_end, &[received(b"HALLO")]).unwrap().offset, 1);
        let (nothing, end) = (ClientEvent::Ended(End::Fin), text(b"HELLO"));
        let either = Expectation::OneOf(vec![end, text(b"BYE")]);
        assert_eq!(seen(&either, &[nothing]), None);
    }

    #[test]
    fn datagram_differs_also_by_bytes_too_many() {
        let connected = ClientEvent::Connected {
            local: None,
            peer: None,
            datagrams: true,
        };
        let came = |bytes: &[u8]| ClientEvent::Datagram {
            from: None,
            bytes: bytes.to_vec(),
        };
        let datagram = |bytes: &[u8]| [connected.clone(), came(bytes)];
        let found = seen(&text(b"HELLO"), &datagram(b"HELLO!")).unwrap();
        assert_eq!((found.offset, found.actual_bytes), (5, 6));
        let long = b"x".repeat(1_400);
        let mut other = long.clone();
        other[1_000] = b'y';
        assert_eq!(seen(&text(&long), &datagram(&other)).unwrap().offset, 1_000);
    }

    #[test]
    fn what_is_written_of_it_reads_back() {
        let found = seen(&text(b"a\0\"{b"), &[received(b"a\0\"{\xff")]).unwrap();
        let written = serde_json::to_string(&found).unwrap();
        assert_eq!(serde_json::from_str::<Difference>(&written).unwrap(), found);
    }
}
