//! What comes for clients, and how it is kept: as a part of what they say or are owed, where it is that, which takes next to
//! nothing; as it is, up to a bound; and of a flood no more than how much it was.

use crate::model::action::Action;
use crate::model::data::Data;
use crate::model::expectation::Expectation;
use crate::model::passage::{Cut, FEW, Passage};
use crate::model::scenario::{Line, Scenario, Step};
use crate::transcript::event::ClientId;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many bytes that are no part of anything known are kept in one transcript: more than a page of anything that a
/// server says by itself, and little beside what the harness takes without.
pub(crate) const KEPT_BYTES: usize = 8 << 20;

/// So many in all transcripts that are written at the same time: of a server that floods everybody.
pub(crate) const KEPT_BYTES_OF_ALL: usize = 32 << 20;

/// So many are kept in each of them, however many others have used up.
pub(crate) const KEPT_BYTES_AT_LEAST: usize = 1 << 20;

/// So many are kept of each connection, however many others have used up: each of a crowd is told what it is owed.
pub(crate) const KEPT_BYTES_OF_EACH: usize = 16 << 10;

/// So many bytes tell where data begins, or goes on.
const TELLING: usize = 16;

/// So far into what came is looked for that: behind a header, or what frames a message.
const HEADER_BYTES: usize = 4 << 10;

/// So much is looked for in what comes where nobody has said beforehand what that is.
const MOST_KNOWN: usize = 64;

/// What has come so far, as far as it says how the next bytes are to be kept.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    /// What may come, for those behind each name.
    known: BTreeMap<usize, Rc<[Arc<Data>]>>,
    /// What has come for each client.
    clients: HashMap<ClientId, Arrived>,
    kept: Kept,
}

/// How many bytes are kept as they are in a transcript, which count for all of them as long as it is written.
#[derive(Debug, Default)]
struct Kept(usize);

/// How many are kept in all transcripts.
static KEPT_IN_ALL: AtomicUsize = AtomicUsize::new(0);

impl Kept {
    /// Whether so many more would be too many, where so many are kept in all.
    fn has_no_room(&self, more: usize, in_all: usize) -> bool {
        let bytes = self.0.saturating_add(more);
        let too_many_in_all = in_all.saturating_add(more) > KEPT_BYTES_OF_ALL;
        bytes > KEPT_BYTES || too_many_in_all && bytes > KEPT_BYTES_AT_LEAST
    }

    fn has_room(&self, more: usize) -> bool {
        !self.has_no_room(more, KEPT_IN_ALL.load(Ordering::Relaxed))
    }

    fn add(&mut self, more: usize) {
        self.0 += more;
        KEPT_IN_ALL.fetch_add(more, Ordering::Relaxed);
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        KEPT_IN_ALL.fetch_sub(self.0, Ordering::Relaxed);
    }
}

/// What has come for a client.
#[derive(Debug, Default)]
struct Arrived {
    /// Where its connection stands in what is known.
    place: Option<Place>,
    /// The last bytes, of which too few may have come to tell what they are a part of.
    last: Vec<u8>,
    /// How many bytes are kept as they are.
    kept: usize,
    /// How many short frames have come in a row.
    in_short_frames: u32,
    /// How much may come in datagrams: as much as it has sent, where it sends any.
    answers: Option<usize>,
}

/// A frame with less of what is known is a short one.
const SHORT: usize = 512;

/// After so many in a row what comes is kept as it is.
const MOST_SHORT: u32 = 64;

/// A place in what comes.
#[derive(Clone, Debug)]
struct Place {
    of: Arc<Data>,
    next: usize,
}

impl Place {
    fn begin(of: &Arc<Data>) -> Self {
        let of = Arc::clone(of);
        Self { of, next: 0 }
    }

    /// The next bytes, as many as tell.
    fn telling(&self, member: u32) -> Vec<u8> {
        let end = self.of.length().min(self.next + TELLING);
        self.of.part(member, self.next..end)
    }

    /// How many of these bytes go on from here.
    fn agree(&self, member: u32, bytes: &[u8]) -> usize {
        let all = Passage::part(&self.of, member, self.next..self.of.length());
        all.common_with(0, bytes)
    }

    /// Whether these bytes go on from here. Where the first does so by chance, what goes on is found behind it.
    fn goes_on_with(&self, member: u32, bytes: &[u8]) -> bool {
        bytes.starts_with(&self.of.part(member, self.next..self.next + 1))
    }

    /// The same place, or one a little behind it, and where it stands in the first of these bytes, which stand behind the `last` ones.
    fn found_in(
        mut self,
        member: u32,
        last: &[u8],
        bytes: &[u8],
        most: usize,
    ) -> Option<(usize, Self)> {
        let telling = self.telling(member);
        let first = telling.first()?;
        let header = &bytes[..bytes.len().min(most + telling.len() - 1)];
        let seen = [last, header].concat();
        let mut windows = seen.windows(telling.len()).enumerate();
        let (at, _) = windows
            .find(|(at, few)| few[0] == *first && *few == telling && at + few.len() > last.len())?;
        self.next += last.len().saturating_sub(at);
        Some((at.saturating_sub(last.len()), self))
    }
}

impl Arrived {
    /// What comes in short frames takes longer to tell than to keep.
    fn count_frame(&mut self, unknown: usize, known: usize) {
        if unknown > 0 {
            let short = self.in_short_frames;
            self.in_short_frames = if known < SHORT { short + 1 } else { 0 };
        }
    }
}

impl Arrivals {
    /// What those behind the names of a scenario say, and are owed, is known from now on.
    pub(super) fn know(&mut self, scenario: &Scenario, id_of: impl Fn(usize) -> ClientId) {
        self.known.retain(|who, _| *who == ClientId::BYSTANDER.who);
        for who in 0..scenario.clients.len() {
            let (mut owed, mut said) = (Vec::new(), Vec::new());
            collect(&scenario.lines, who, &mut owed, &mut said);
            let mut known: Vec<Data> = Vec::new();
            let capitals: Vec<Data> = said.iter().map(|data| data.in_capitals()).collect();
            for data in owed.into_iter().chain(said).chain(&capitals) {
                if !known.contains(data) {
                    known.push(data.clone());
                }
            }
            let known = known.into_iter().map(Arc::new).collect();
            self.known.insert(id_of(who).who, known);
        }
    }

    /// What a line says, or is owed, that its client comes to later than others.
    pub(super) fn know_more(&mut self, id: ClientId, line: &Line) {
        let (mut owed, mut said) = (Vec::new(), Vec::new());
        let who = line.clients();
        who.inspect(|who| collect(std::slice::from_ref(line), *who, &mut owed, &mut said));
        let capitals: Vec<Data> = said.iter().map(|data| data.in_capitals()).collect();
        let known = self.known.entry(id.who).or_default();
        let mut all: Vec<_> = known.iter().cloned().collect();
        for data in owed.into_iter().chain(said).chain(&capitals) {
            if all.len() < MOST_KNOWN && !all.iter().any(|known| **known == *data) {
                all.push(Arc::new(data.clone()));
            }
        }
        *known = all.into();
    }

    /// What is owed next, and from where on: the bytes before have come.
    pub(super) fn foresee(&mut self, id: ClientId, of: &Arc<Data>, next: usize) {
        let of = Arc::clone(of);
        self.of(id).place = Some(Place { of, next });
    }

    fn of(&mut self, id: ClientId) -> &mut Arrived {
        self.clients.entry(id).or_default()
    }

    /// Whoever connects is told everything from the beginning.
    pub(super) fn connects(&mut self, id: ClientId) {
        let arrived = self.of(id);
        *arrived = Arrived {
            answers: arrived.answers,
            ..Arrived::default()
        };
    }

    /// How what has come is kept, in pieces.
    pub(super) fn keep(&mut self, id: ClientId, bytes: &[u8]) -> Vec<Passage> {
        let mut pieces = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.of(id).in_short_frames >= MOST_SHORT {
                pieces.extend(self.keep_unknown(id, rest));
                break;
            }
            let unknown = self.begin(id, rest);
            let part = self.part(id, &rest[unknown..]);
            let (before, behind) = rest.split_at(unknown);
            pieces.extend(self.keep_unknown(id, before));
            let known = part.as_ref().map_or(0, Passage::len);
            if bytes.len() > HEADER_BYTES {
                self.of(id).count_frame(unknown, known);
            }
            self.remember(id, &rest[..unknown + known]);
            rest = &behind[known..];
            pieces.extend(part);
        }
        pieces
    }

    /// How many bytes stand before what is known, or goes on with what came.
    fn begin(&mut self, id: ClientId, bytes: &[u8]) -> usize {
        let arrived = self.clients.entry(id).or_default();
        let stood = &arrived.place;
        let goes_on = |place: &Place| place.goes_on_with(id.member, bytes);
        if stood.as_ref().is_some_and(goes_on) {
            return 0;
        }
        let known = self.known.get(&id.who).into_iter();
        let known = known.flat_map(|known| known.iter().map(Place::begin));
        let places = stood.iter().cloned().chain(known);
        // The first of all. Where frames are short, what goes on stands right behind each, and little is looked through.
        let mut first = None;
        let mut most = HEADER_BYTES;
        for place in places {
            if let Some((at, place)) = place.found_in(id.member, &arrived.last, bytes, most) {
                (most, first) = (at, Some(place));
            }
            if most == 0 {
                break;
            }
        }
        let Some(place) = first else {
            return bytes.len();
        };
        arrived.place = Some(place);
        most
    }

    /// The part of what is known with which these bytes begin.
    fn part(&mut self, id: ClientId, bytes: &[u8]) -> Option<Passage> {
        let stands = &mut self.of(id).place;
        let place = stands.as_mut().filter(|_| !bytes.is_empty())?;
        let agree = place.agree(id.member, bytes);
        let part = Passage::part(&place.of, id.member, place.next..place.next + agree);
        place.next += agree;
        stands.take_if(|place| place.next == place.of.length());
        Some(part)
    }

    /// Keeps the last bytes in mind, where they may turn out to be a part of something.
    fn remember(&mut self, id: ClientId, bytes: &[u8]) {
        let is_of_something = self
            .known
            .get(&id.who)
            .is_some_and(|known| !known.is_empty());
        let arrived = self.of(id);
        if is_of_something || arrived.place.is_some() {
            let last = &mut arrived.last;
            last.extend_from_slice(&bytes[bytes.len().saturating_sub(TELLING - 1)..]);
            last.drain(..last.len().saturating_sub(TELLING - 1));
        }
    }

    /// What is no part of anything known is kept as it is: all of it where there is room, else what still belongs to the first
    /// of its connection.
    fn keep_unknown(&mut self, id: ClientId, bytes: &[u8]) -> impl Iterator<Item = Passage> {
        let of_it = &mut self.clients.entry(id).or_default().kept;
        let more = match self.kept.has_room(bytes.len()) {
            true => bytes.len(),
            false => bytes.len().min(KEPT_BYTES_OF_EACH.saturating_sub(*of_it)),
        };
        *of_it += more;
        self.kept.add(more);
        let (kept, cut) = bytes.split_at(more);
        let kept = (!kept.is_empty()).then(|| kept.into());
        kept.into_iter()
            .chain((!cut.is_empty()).then(|| Cut::of(cut).into()))
    }

    /// A client is there that sends datagrams.
    pub(super) fn sends_datagrams(&mut self, id: ClientId) {
        self.of(id).answers.get_or_insert_default();
    }

    /// A client has sent so many bytes. As much as it sends in datagrams is kept of what comes for it.
    pub(super) fn has_sent(&mut self, id: ClientId, bytes: usize) {
        let arrived = self.clients.get_mut(&id);
        if let Some(answers) = arrived.and_then(|arrived| arrived.answers.as_mut()) {
            *answers += bytes + TOLD_OF_A_DATAGRAM;
        }
    }

    /// Whether another datagram of so many bytes is kept: each is that may be an answer, and of others as many as there is room for,
    /// with what is told of them.
    pub(super) fn keeps_datagram(&mut self, id: ClientId, bytes: usize) -> bool {
        let answers = self.clients.entry(id).or_default();
        let answers = answers.answers.get_or_insert_default();
        let told = bytes + TOLD_OF_A_DATAGRAM;
        let more = told.saturating_sub(*answers);
        let fits = more == 0 || self.kept.has_room(more);
        if fits {
            *answers = answers.saturating_sub(told);
            self.kept.add(more);
        }
        fits
    }
}

/// What else is kept of a datagram than its content.
const TOLD_OF_A_DATAGRAM: usize = 256;

/// All that those behind a name are owed, and say, but for what is short.
fn collect<'a>(lines: &'a [Line], who: usize, owed: &mut Vec<&'a Data>, said: &mut Vec<&'a Data>) {
    for line in lines {
        match &line.step {
            Step::Repeat { lines, .. } => collect(lines, who, owed, said),
            Step::Client { who: of, action } if *of == who => match action {
                Action::Expect { what, .. } | Action::Require { what, .. } => {
                    owed.extend(exactly(what).filter(|data| data.length() > FEW));
                }
                Action::Send { data, .. } if data.length() > FEW && data.variables().is_empty() => {
                    said.push(data);
                }
                _ => {}
            },
            _ => {}
        }
    }
}

/// What has to come to the byte.
fn exactly(what: &Expectation) -> Option<&Data> {
    match what {
        Expectation::Data(data) | Expectation::DataOrSilence(data) => Some(data),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::data::Source;

    const ALICE: ClientId = ClientId { who: 0, member: 0 };

    fn arrivals(known: &[Data]) -> Arrivals {
        let known = known.iter().cloned().map(Arc::new).collect();
        Arrivals {
            known: [(0, known)].into(),
            ..Arrivals::default()
        }
    }

    fn pattern(bytes: usize) -> Data {
        Source::Pattern { bytes, seed: 7 }.into()
    }

    /// What is kept of bytes that come in pieces, and how many of them are kept as they are.
    fn kept(mut arrivals: Arrivals, all: &[u8], pieces: usize) -> (Vec<u8>, usize) {
        let pieces = all.chunks(pieces);
        let kept: Vec<_> = pieces
            .flat_map(|bytes| arrivals.keep(ALICE, bytes))
            .collect();
        let bytes: Vec<_> = kept.iter().map(Passage::bytes).collect();
        (bytes.concat(), arrivals.kept.0)
    }

    #[test]
    fn echo_is_a_part_of_what_was_sent_however_it_is_cut() {
        let all = pattern(60_000).bytes(0);
        for pieces in [1, 7, 300, 4_096, 60_000] {
            let (bytes, plain) = kept(arrivals(&[pattern(60_000)]), &all, pieces);
            assert_eq!(bytes, all, "{pieces}");
            assert!(plain < TELLING, "{pieces}: {plain}");
        }
    }

    #[test]
    fn frames_are_passed_over() {
        let all = pattern(60_000).bytes(0);
        let framed: Vec<u8> = all
            .chunks(1_000)
            .flat_map(|chunk| [b"3e8\r\n".as_slice(), chunk, b"\r\n"].concat())
            .collect();
        for pieces in [3, 311, 1_007, 4_096, 70_000] {
            let (bytes, plain) = kept(arrivals(&[pattern(60_000)]), &framed, pieces);
            assert_eq!(bytes, framed, "{pieces}");
            assert!(plain < 60 * (7 + TELLING), "{pieces}: {plain}");
        }
    }

    #[test]
    fn replies_follow_each_other_behind_a_header_each() {
        let (one, two) = (pattern(5_000), pattern(9_000).in_capitals());
        let parts = [b"one:", &*one.bytes(0), b"two:", &*two.bytes(0), b"end"];
        let all = parts.concat();
        for pieces in [10, 1_000, 20_000] {
            let (bytes, plain) = kept(arrivals(&[two.clone(), one.clone()]), &all, pieces);
            assert_eq!(bytes, all, "{pieces}");
            assert!(plain < 11 + 2 * TELLING, "{pieces}: {plain}");
        }
    }

    #[test]
    fn wrong_byte_is_kept_with_all_that_is_not_owed() {
        let mut all = pattern(60_000).bytes(0);
        all[30_000] ^= 1;
        for pieces in [100, 4_096, 60_000] {
            let (bytes, plain) = kept(arrivals(&[pattern(60_000)]), &all, pieces);
            assert_eq!(bytes, all, "{pieces}");
            assert!(plain < 60_000, "{pieces}");
        }
    }

    #[test]
    fn what_is_owed_now_is_known_from_where_it_stands() {
        let (of, all) = (Arc::new(pattern(60_000)), pattern(60_000).bytes(0));
        let mut arrivals = arrivals(&[]);
        assert!(arrivals.keep(ALICE, &all[..1_000])[0].plain().is_some());
        arrivals.foresee(ALICE, &of, 1_000);
        let rest = arrivals.keep(ALICE, &all[1_000..]);
        assert_eq!(rest, [Passage::part(&of, 0, 1_000..60_000)]);
        assert!(rest[0].plain().is_none());
        assert_eq!(arrivals.kept.0, 1_000);
    }

    #[test]
    fn flood_is_kept_up_to_a_bound_and_the_first_of_each_beyond_it() {
        let mut arrivals = arrivals(&[]);
        let bob = ClientId { who: 1, member: 0 };
        let read = vec![b'x'; 64 << 10];
        for _ in 0..KEPT_BYTES / read.len() {
            assert_eq!(arrivals.keep(ALICE, &read)[0].plain(), Some(&*read));
        }
        let more = arrivals.keep(ALICE, &read);
        assert_eq!(more, [Passage::from(Cut::of(&read))]);
        assert_eq!(arrivals.keep(bob, b"hello")[0].plain(), Some(&b"hello"[..]));
        let (first, rest) = read.split_at(KEPT_BYTES_OF_EACH - b"hello".len());
        let kept = [Passage::from(first), Cut::of(rest).into()];
        assert_eq!(arrivals.keep(bob, &read), kept, "the first of another");
        assert_eq!(arrivals.keep(bob, b"x"), [Cut::of(b"x").into()]);
        assert!(!arrivals.keeps_datagram(ALICE, 1));
        arrivals.sends_datagrams(ALICE);
        arrivals.has_sent(ALICE, 5);
        assert!(arrivals.keeps_datagram(ALICE, 5), "the answer to another");
        assert!(!arrivals.keeps_datagram(ALICE, 5));
        arrivals.connects(ALICE);
        assert_eq!(arrivals.keep(ALICE, b"hi")[0].plain(), Some(&b"hi"[..]));
    }

    #[test]
    fn flood_of_everybody_is_kept_up_to_a_bound_and_the_first_of_each_transcript_beyond_it() {
        let few = Kept(0);
        assert!(!few.has_no_room(KEPT_BYTES, 0));
        assert!(few.has_no_room(KEPT_BYTES + 1, 0));
        assert!(!few.has_no_room(KEPT_BYTES, KEPT_BYTES_OF_ALL - KEPT_BYTES));
        assert!(few.has_no_room(KEPT_BYTES, KEPT_BYTES_OF_ALL));
        assert!(!few.has_no_room(KEPT_BYTES_AT_LEAST, KEPT_BYTES_OF_ALL));
        assert!(few.has_no_room(KEPT_BYTES_AT_LEAST + 1, KEPT_BYTES_OF_ALL));
    }

    #[test]
    fn transcript_that_is_over_gives_its_room_back() {
        let mut kept = Kept::default();
        kept.add(7);
        assert!(KEPT_IN_ALL.load(Ordering::Relaxed) >= 7);
        // Others come and go meanwhile, so that only what never becomes less is told apart from what does.
        for _ in 0..1_000 {
            let mut another = Kept::default();
            another.add(KEPT_BYTES_AT_LEAST);
        }
        drop(kept);
        assert!(KEPT_IN_ALL.load(Ordering::Relaxed) < 1_000 * KEPT_BYTES_AT_LEAST);
    }
}
