//! What has come to a client and waits to be looked at, in the passages in which it came.

use super::data::Match;
use super::literal::{EXCERPT_HEAD, EXCERPT_MOST, EXCERPT_TAIL, Excerpt};
use super::passage::Passage;
use std::collections::VecDeque;
use std::ops::Range;

/// Bytes that came one after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stream {
    pieces: VecDeque<Piece>,
    /// How many bytes of the first piece are gone.
    gone: usize,
    /// How many bytes there are.
    bytes: usize,
}

#[derive(Clone, Debug)]
enum Piece {
    /// As it came; other values share what is kept of it.
    AsItCame(Passage),
    /// Small ones that follow each other, so that there are few.
    Joined(Vec<u8>),
}

/// Smaller pieces are joined.
const SMALL: usize = 4 << 10;

/// So many bytes are looked at first by who can seldom need all of them.
const AT_FIRST: usize = 4 << 10;

impl Piece {
    fn len(&self) -> usize {
        match self {
            Self::AsItCame(passage) => passage.len(),
            Self::Joined(bytes) => bytes.len(),
        }
    }

    /// The first of its bytes that is kept, with all behind it.
    fn known_from(&self) -> usize {
        match self {
            Self::AsItCame(passage) => passage.known_from(),
            Self::Joined(_) => 0,
        }
    }

    /// What is left of a flood that goes on, and what it comes to with what came next.
    fn flooded_by(&mut self, next: &Passage) -> Option<(&mut Self, Self)> {
        let Self::AsItCame(flood) = &*self else {
            return None;
        };
        let more = flood.cut()?.with(next.cut()?);
        Some((self, Self::AsItCame(more.into())))
    }

    fn copy(&self, wanted: Range<usize>, to: &mut Vec<u8>) {
        match self {
            Self::AsItCame(passage) => to.extend_from_slice(&passage.slice(wanted)),
            Self::Joined(bytes) => to.extend_from_slice(&bytes[wanted]),
        }
    }

    /// How many bytes from `at` on are those that are wanted from a place on.
    fn common(&self, at: usize, wanted: &Passage, from: usize) -> usize {
        match self {
            Self::AsItCame(passage) => passage.common(at, wanted, from),
            Self::Joined(bytes) => wanted.common_with(from, &bytes[at..]),
        }
    }
}

/// How far a stream is what is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compared {
    /// So many bytes are the same.
    pub same: usize,
    /// What keeps it from being more, where neither has come to its end.
    pub stop: Option<Stop>,
}

/// Why a stream is compared no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The next byte is another one.
    Wrong,
    /// Nobody has kept the next byte.
    Unkept,
}

impl Stream {
    /// How many bytes there are.
    pub(crate) fn len(&self) -> usize {
        self.bytes
    }

    /// Puts what came next behind all.
    pub(crate) fn push(&mut self, passage: &Passage) {
        self.bytes += passage.len();
        match (self.pieces.back_mut(), passage.plain()) {
            (_, Some([])) => {}
            (Some(Piece::Joined(last)), Some(next)) if last.len().max(next.len()) < SMALL => {
                last.extend_from_slice(next);
            }
            (_, Some(next)) if next.len() < SMALL => {
                self.pieces.push_back(Piece::Joined(next.to_vec()));
            }
            (last, _) => match last.and_then(|last| last.flooded_by(passage)) {
                Some((last, more)) => *last = more,
                None => self.pieces.push_back(Piece::AsItCame(passage.clone())),
            },
        }
    }

    /// Takes the first bytes away.
    pub(crate) fn drop_first(&mut self, bytes: usize) {
        self.gone += bytes;
        self.bytes -= bytes;
        while let Some(first) = self.pieces.front()
            && first.len() <= self.gone
        {
            self.gone -= first.len();
            self.pieces.pop_front();
        }
    }

    /// The pieces from a byte on, each with the place of its first byte that is meant.
    fn pieces_from(&self, at: usize) -> impl Iterator<Item = (&Piece, usize)> {
        let mut skipped = self.gone + at;
        self.pieces.iter().filter_map(move |piece| {
            let from = skipped;
            skipped = skipped.saturating_sub(piece.len());
            (from < piece.len()).then_some((piece, from))
        })
    }

    /// How many bytes from one on are kept, up to the first that is not.
    pub(crate) fn kept_from(&self, at: usize) -> usize {
        let mut kept = 0;
        for (piece, from) in self.pieces_from(at) {
            if from < piece.known_from() {
                break;
            }
            kept += piece.len() - from;
        }
        kept
    }

    /// At most so many bytes from one on, as far as they are kept.
    pub(crate) fn first_from(&self, at: usize, most: usize) -> Vec<u8> {
        let mut found = Vec::with_capacity(most.min(self.bytes.saturating_sub(at)));
        for (piece, from) in self.pieces_from(at) {
            if from < piece.known_from() || found.len() == most {
                break;
            }
            let to = piece.len().min(from.saturating_add(most - found.len()));
            piece.copy(from..to, &mut found);
        }
        found
    }

    /// The last bytes, as far as they are kept.
    fn last(&self, most: usize) -> Vec<u8> {
        let mut at = self.bytes - most.min(self.bytes);
        while at < self.bytes && self.kept_from(at) < self.bytes - at {
            at += 1;
        }
        self.first_from(at, most)
    }

    /// What a person is shown of the bytes from one on.
    pub(crate) fn excerpt_from(&self, at: usize) -> Excerpt {
        let many = self.bytes.saturating_sub(at);
        if many <= EXCERPT_MOST && self.kept_from(at) == many {
            return Excerpt::of(&self.first_from(at, many));
        }
        let tail = self.last(EXCERPT_TAIL.min(many));
        Excerpt::of_ends(&self.first_from(at, EXCERPT_HEAD), &tail, many)
    }

    /// Holds the bytes from one on against wanted ones from a place on.
    pub(crate) fn compare(&self, at: usize, wanted: &Passage, from: usize) -> Compared {
        let mut same = 0;
        for (piece, begin) in self.pieces_from(at) {
            let left = wanted.len() - (from + same);
            if left == 0 {
                break;
            }
            let here = left.min(piece.len() - begin);
            if begin < piece.known_from() {
                let stop = Some(Stop::Unkept);
                return Compared { same, stop };
            }
            let common = piece.common(begin, wanted, from + same);
            same += common;
            if common < here {
                let stop = Some(Stop::Wrong);
                return Compared { same, stop };
            }
        }
        Compared { same, stop: None }
    }

    /// Holds what begins at a byte against what looks at bytes in a row: at few, and at more only where these do not decide.
    pub(crate) fn decide(&self, at: usize, look: impl Fn(&[u8]) -> Match) -> Match {
        let kept = self.kept_from(at);
        let mut most = AT_FIRST;
        loop {
            match look(&self.first_from(at, most)) {
                Match::Partial if most < kept => most = most.saturating_mul(16),
                decided => return decided,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::data::{Data, Source, find};
    use crate::model::passage::Cut;
    use std::sync::Arc;

    const BYTES: usize = 20_000;

    fn pattern() -> Arc<Data> {
        let (bytes, seed) = (BYTES, 3);
        Arc::new(Source::Pattern { bytes, seed }.into())
    }

    /// A header, the pattern in two parts with a few bytes of it between them, and words behind it.
    fn stream() -> (Stream, Vec<u8>) {
        let pattern = pattern();
        let mut stream = Stream::default();
        let pieces = [
            Passage::from(b"head".to_vec()),
            Passage::from(b"er\n".to_vec()),
            Passage::part(&pattern, 0, 0..9_000),
            Passage::from(pattern.part(0, 9_000..9_003)),
            Passage::part(&pattern, 0, 9_003..BYTES),
            Passage::from(b"words".to_vec()),
        ];
        pieces.iter().for_each(|piece| stream.push(piece));
        (stream, [b"header\n", &*pattern.bytes(0), b"words"].concat())
    }

    #[test]
    fn stream_is_read_as_if_all_of_it_were_in_a_row() {
        let (mut stream, mut all) = stream();
        for gone in [0, 3, 4, 6_000, 3_000, 11_000, 1] {
            stream.drop_first(gone);
            all.drain(..gone);
            assert_eq!(stream.len(), all.len());
            for at in [0, 1, 5, 1_000, 9_010, 30_000] {
                let rest = all.get(at..).unwrap_or_default();
                assert_eq!(stream.first_from(at, usize::MAX), rest);
                assert_eq!(stream.excerpt_from(at), Excerpt::of(rest));
                assert_eq!(stream.kept_from(at), rest.len());
            }
        }
    }

    #[test]
    fn stream_is_compared_over_the_ends_of_its_pieces() {
        let (mut stream, all) = stream();
        let wanted = Passage::all(&pattern(), 0);
        let (same, stop) = (0, Some(Stop::Wrong));
        assert_eq!(stream.compare(0, &wanted, 0), Compared { same, stop });
        let whole = |same| Compared { same, stop: None };
        assert_eq!(stream.compare(7, &wanted, 0), whole(BYTES));
        assert_eq!(stream.compare(107, &wanted, 100), whole(BYTES - 100));
        let (same, stop) = (BYTES + 2, Some(Stop::Wrong));
        let longer = Passage::from([&all[7..7 + same], b"x"].concat());
        assert_eq!(stream.compare(7, &longer, 0), Compared { same, stop });
        stream.drop_first(7);
        let longer = Passage::from([&all[7..], b"x"].concat());
        assert_eq!(stream.compare(0, &longer, 0), whole(BYTES + 5));
    }

    #[test]
    fn what_is_far_behind_is_found_and_what_is_not_kept_is_not_looked_at() {
        let (mut stream, _) = stream();
        let look = |bytes: &[u8]| find(bytes, b"words").map_or(Match::Partial, Match::Full);
        assert_eq!(stream.decide(0, look), Match::Full(7 + BYTES));
        let flood = [b'x'; 1_000];
        stream.push(&Cut::of(&flood).into());
        stream.push(&Cut::of(b"and more").into());
        assert_eq!(stream.len(), 7 + BYTES + 5 + 1_008);
        assert_eq!(stream.kept_from(0), 7 + BYTES + 5);
        let shown = stream.excerpt_from(7 + BYTES).to_string();
        assert_eq!(shown, r#""words" … "xxxxxxxxand more" (1013 bytes)"#);
        let wanted = Passage::from([b"words".to_vec(), flood.to_vec()].concat());
        let (same, stop) = (5, Some(Stop::Unkept));
        let compared = stream.compare(7 + BYTES, &wanted, 0);
        assert_eq!(compared, Compared { same, stop });
    }
}
