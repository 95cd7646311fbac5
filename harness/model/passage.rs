//! Bytes that were sent, came, or are to come: as they are, as a part of what data comes to, which is made again where it is
//! read, or, of a flood, no more than how many they were.

use super::data::Data;
use super::literal::{EXCERPT_HEAD, EXCERPT_MOST, EXCERPT_TAIL, Excerpt};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// Bytes that were sent, came, or are to come. Two are equal where their bytes are.
#[derive(Clone, Debug)]
pub(crate) struct Passage(Form);

#[derive(Clone, Debug)]
enum Form {
    Plain(Arc<[u8]>),
    Part {
        of: Arc<Data>,
        member: u32,
        range: Range<usize>,
    },
    Cut(Cut),
}

/// Bytes of which only the last are known: more came than is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// How many nobody has kept.
    pub unkept: usize,
    /// Those behind them.
    pub then: Arc<[u8]>,
}

impl Cut {
    /// Bytes that came, of which only the last are kept.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let unkept = bytes.len().saturating_sub(EXCERPT_TAIL);
        Self {
            unkept,
            then: bytes[unkept..].into(),
        }
    }

    /// The same with what came next.
    #[must_use]
    pub(crate) fn with(&self, next: &Self) -> Self {
        let last = match next.unkept {
            0 => [&*self.then, &*next.then].concat(),
            _ => next.then.to_vec(),
        };
        let all = self.len() + next.len();
        let then: Arc<[u8]> = last[last.len().saturating_sub(EXCERPT_TAIL)..].into();
        Self {
            unkept: all - then.len(),
            then,
        }
    }

    fn len(&self) -> usize {
        self.unkept + self.then.len()
    }
}

/// As many bytes are kept as they are: what says how they are made takes as much.
pub(crate) const FEW: usize = 256;

/// Fewer bytes are copied to be put together with what came next.
const JOINED: usize = 4 << 10;

/// So many bytes are made at a time where many are gone through.
pub(crate) const BLOCK: usize = 256 << 10;

/// The same where they are held against others, so that they are still at hand for the processor.
const COMPARED_AT_ONCE: usize = 16 << 10;

/// So many bytes are compared at first.
const COMPARED_FIRST: usize = 256;

impl Passage {
    /// A part of what data comes to for a member of a crowd.
    pub(crate) fn part(of: &Arc<Data>, member: u32, range: Range<usize>) -> Self {
        Self(match range.len() <= FEW {
            true => Form::Plain(of.part(member, range).into()),
            false => Form::Part {
                of: Arc::clone(of),
                member,
                range,
            },
        })
    }

    /// All that data comes to.
    pub(crate) fn all(of: &Data, member: u32) -> Self {
        Self::part(&Arc::new(of.clone()), member, 0..of.length())
    }

    /// How many bytes there are.
    pub(crate) fn len(&self) -> usize {
        match &self.0 {
            Form::Plain(bytes) => bytes.len(),
            Form::Part { range, .. } => range.len(),
            Form::Cut(cut) => cut.len(),
        }
    }

    /// The bytes where they are kept as they are.
    pub(crate) fn plain(&self) -> Option<&[u8]> {
        match &self.0 {
            Form::Plain(bytes) => Some(bytes),
            Form::Part { .. } | Form::Cut(_) => None,
        }
    }

    /// What is left of them where not all are kept.
    pub(crate) fn cut(&self) -> Option<&Cut> {
        match &self.0 {
            Form::Cut(cut) => Some(cut),
            Form::Plain(_) | Form::Part { .. } => None,
        }
    }

    /// The first of the bytes that is kept, with all behind it.
    pub(crate) fn known_from(&self) -> usize {
        self.cut().map_or(0, |cut| cut.unkept)
    }

    /// What the bytes are a part of, for which member of a crowd, and where in it they stand.
    pub(crate) fn part_of(&self) -> Option<(&Arc<Data>, u32, &Range<usize>)> {
        match &self.0 {
            Form::Part { of, member, range } => Some((of, *member, range)),
            Form::Plain(_) | Form::Cut(_) => None,
        }
    }

    /// What the bytes are a part of, for which member of a crowd, and where they end in it.
    pub(crate) fn place(&self) -> Option<(&Arc<Data>, u32, usize)> {
        match &self.0 {
            Form::Part { of, member, range } => Some((of, *member, range.end)),
            Form::Plain(_) | Form::Cut(_) => None,
        }
    }

    /// All of the bytes that are kept.
    pub(crate) fn bytes(&self) -> Cow<'_, [u8]> {
        self.slice(self.known_from()..self.len())
    }

    /// Some of the bytes, which have to be kept.
    pub(crate) fn slice(&self, wanted: Range<usize>) -> Cow<'_, [u8]> {
        match &self.0 {
            Form::Plain(bytes) => Cow::Borrowed(&bytes[wanted]),
            Form::Part { of, member, range } => {
                let (from, to) = (range.start + wanted.start, range.start + wanted.end);
                Cow::Owned(of.part(*member, from..to))
            }
            Form::Cut(cut) => {
                let kept = wanted.start - cut.unkept..wanted.end - cut.unkept;
                Cow::Borrowed(&cut.then[kept])
            }
        }
    }

    /// The bytes from one on, so many at a time that little is kept.
    pub(crate) fn blocks(&self, range: Range<usize>) -> impl Iterator<Item = Cow<'_, [u8]>> {
        let starts = range.clone().step_by(BLOCK);
        starts.map(move |from| self.slice(from..range.end.min(from + BLOCK)))
    }

    /// What a person is shown of them.
    pub(crate) fn excerpt(&self) -> Excerpt {
        match self.len() {
            many if self.cut().is_some() => Excerpt::of_ends(&[], &self.bytes(), many),
            0..=EXCERPT_MOST => Excerpt::of(&self.bytes()),
            many => {
                let head = self.slice(0..EXCERPT_HEAD);
                let tail = self.slice(many - EXCERPT_TAIL..many);
                Excerpt::of_ends(&head, &tail, many)
            }
        }
    }

    /// How many bytes from `at` on are those of another passage from a place of it on. Only bytes that are kept are held
    /// against each other.
    pub(crate) fn common(&self, at: usize, other: &Self, other_at: usize) -> usize {
        if at < self.known_from() || other_at < other.known_from() {
            return 0;
        }
        let most = (self.len() - at).min(other.len() - other_at);
        let alike = self.made_alike(at, other, other_at).min(most);
        let (at, other_at) = (at + alike, other_at + alike);
        alike
            + agreeing_in_blocks(most - alike, |block| {
                let others = other.slice(behind(other_at, &block));
                agreeing(&self.slice(behind(at, &block)), &others)
            })
    }

    /// How many bytes from `at` on are these.
    pub(crate) fn common_with(&self, at: usize, bytes: &[u8]) -> usize {
        if at < self.known_from() {
            return 0;
        }
        let most = (self.len() - at).min(bytes.len());
        agreeing_in_blocks(most, |block| {
            agreeing(&self.slice(behind(at, &block)), &bytes[block])
        })
    }

    /// The same with what came next, where that goes on with it and little is copied.
    pub(crate) fn joined(&self, next: &Self) -> Option<Self> {
        match (&self.0, &next.0) {
            (Form::Plain(first), Form::Plain(second)) if first.len() < JOINED => {
                Some([&**first, &**second].concat().into())
            }
            (
                Form::Part { of, member, range },
                Form::Part {
                    of: next_of,
                    member: next_member,
                    range: next,
                },
            ) => {
                let goes_on = of == next_of && member == next_member && range.end == next.start;
                goes_on.then(|| Self::part(of, *member, range.start..next.end))
            }
            (Form::Part { of, member, range }, Form::Plain(second)) => {
                let end = range.end + second.len();
                let goes_on = end <= of.length() && of.part(*member, range.end..end) == **second;
                goes_on.then(|| Self::part(of, *member, range.start..end))
            }
            _ => None,
        }
    }

    /// How many bytes are known to be the same by how they are made.
    fn made_alike(&self, at: usize, other: &Self, other_at: usize) -> usize {
        let (
            Form::Part { of, member, range },
            Form::Part {
                of: other_of,
                member: other_member,
                range: other_range,
            },
        ) = (&self.0, &other.0)
        else {
            return 0;
        };
        let place = range.start + at;
        match member == other_member && place == other_range.start + other_at {
            true => of.alike(other_of).saturating_sub(place),
            false => 0,
        }
    }
}

/// A range that begins so far behind.
fn behind(at: usize, range: &Range<usize>) -> Range<usize> {
    at + range.start..at + range.end
}

/// How many bytes agree from the first on, of so many, where that is told of one block after the other. Often few agree, and what
/// is not looked at need not be made.
fn agreeing_in_blocks(most: usize, agree: impl Fn(Range<usize>) -> usize) -> usize {
    let (mut same, mut at_once) = (0, COMPARED_FIRST);
    while same < most {
        let next = at_once.min(most - same);
        at_once = COMPARED_AT_ONCE.min(8 * at_once);
        let agree = agree(same..same + next);
        same += agree;
        if agree < next {
            break;
        }
    }
    same
}

/// How many bytes agree from the first on.
fn agreeing(one: &[u8], two: &[u8]) -> usize {
    let most = one.len().min(two.len());
    if one[..most] == two[..most] {
        return most;
    }
    let differ = one.iter().zip(two).position(|(one, two)| one != two);
    differ.unwrap_or(most)
}

impl From<Vec<u8>> for Passage {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Form::Plain(bytes.into()))
    }
}

impl From<&[u8]> for Passage {
    fn from(bytes: &[u8]) -> Self {
        Self(Form::Plain(bytes.into()))
    }
}

impl From<Cut> for Passage {
    fn from(cut: Cut) -> Self {
        Self(Form::Cut(cut))
    }
}

impl PartialEq for Passage {
    fn eq(&self, other: &Self) -> bool {
        match (self.cut(), other.cut()) {
            (None, None) => self.len() == other.len() && self.common(0, other, 0) == self.len(),
            (one, two) => one == two,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::data::Source;
    use proptest::prelude::*;

    fn source() -> impl Strategy<Value = Source> {
        let bytes = || 0usize..700;
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..40).prop_map(Source::Literal),
            (bytes(), any::<u64>()).prop_map(|(bytes, seed)| Source::Pattern { bytes, seed }),
            (bytes(), any::<u64>(), any::<bool>()).prop_map(|(bytes, seed, line)| Source::Text {
                bytes,
                seed,
                line
            }),
            (bytes(), 1usize..50, any::<u64>()).prop_map(|(bytes, each, seed)| Source::Lines {
                bytes,
                each,
                seed
            }),
        ]
    }

    fn data() -> impl Strategy<Value = Data> {
        (source(), 1u32..5, any::<bool>()).prop_map(|(source, times, capitals)| Data {
            source,
            times,
            capitals,
        })
    }

    proptest! {
        #[test]
        fn part_is_the_same_as_cut_out_of_the_whole(
            data in data(), member in 0u32..3, ends in any::<[usize; 4]>()
        ) {
            let whole = data.bytes(member);
            let [a, b, c, d] = ends.map(|end| end % (whole.len() + 1));
            let cut = &whole[a.min(b)..a.max(b)];
            let part = Passage::part(&Arc::new(data), member, a.min(b)..a.max(b));
            prop_assert_eq!(&*part.bytes(), cut);
            prop_assert_eq!(part.len(), cut.len());
            prop_assert_eq!(part.excerpt(), Excerpt::of(cut));
            prop_assert_eq!(&part, &Passage::from(cut.to_vec()));
            let [c, d] = [c.min(d), c.max(d)].map(|end| end % (cut.len() + 1));
            let inner = c.min(d)..c.max(d);
            prop_assert_eq!(&*part.slice(inner.clone()), &cut[inner]);
        }
    }

    #[test]
    fn longer_pattern_and_shorter_one_are_the_same_up_to_the_end_of_the_shorter() {
        let pattern = |bytes, seed| Passage::all(&Source::Pattern { bytes, seed }.into(), 0);
        let line = |bytes| {
            let (seed, line) = (7, true);
            Passage::all(&Source::Text { bytes, seed, line }.into(), 0)
        };
        let (long, short) = (pattern(3 * BLOCK, 7), pattern(BLOCK, 7));
        assert_eq!(long.common(0, &short, 0), BLOCK);
        assert_eq!(long.common(5, &short, 5), BLOCK - 5);
        assert_eq!(long.common(5, &short, 4), 0);
        assert_eq!(pattern(BLOCK, 8).common(0, &short, 0), 0);
        assert_eq!(line(BLOCK).common(0, &line(2 * BLOCK), 0), BLOCK - 1);
        let plain = Passage::from(short.bytes().into_owned());
        assert_eq!(plain.common(9, &long, 9), BLOCK - 9);
    }

    #[test]
    fn flood_is_told_in_a_few_bytes_however_it_came() {
        let all: Vec<u8> = (0..=255).collect();
        for pieces in [1, 3, 10, 64, 255] {
            let cuts: Vec<_> = all.chunks(pieces).map(Cut::of).collect();
            let (first, rest) = cuts.split_first().unwrap();
            let cut = rest.iter().fold(first.clone(), |cut, next| cut.with(next));
            assert_eq!(cut, Cut::of(&all), "{pieces}");
        }
        let passage = Passage::from(Cut::of(&all));
        assert_eq!(passage.len(), 256);
        assert_eq!(passage.known_from(), 240);
        assert_eq!(&*passage.bytes(), &all[240..]);
        assert_eq!(passage.common(0, &Passage::from(all.clone()), 0), 0);
        assert_eq!(passage.common(241, &Passage::from(all), 241), 15);
    }

    #[test]
    fn megabytes_are_told_in_little_and_gone_through_in_blocks() {
        let bytes = 3 * BLOCK + 5;
        let data = Data::from(Source::Pattern { bytes, seed: 7 });
        let all = Passage::all(&data, 1);
        assert!(all.plain().is_none());
        let blocks: Vec<_> = all.blocks(0..bytes).collect();
        assert_eq!(blocks.len(), 4);
        assert_eq!(blocks.concat(), data.bytes(1));
        assert_ne!(all, Passage::all(&data, 2));
    }
}
