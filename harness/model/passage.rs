//! Bytes that were sent, or are to come: as they are, or as a part of what data comes to, which is made again where it is read.

use super::data::Data;
use super::literal::{EXCERPT_HEAD, EXCERPT_MOST, EXCERPT_TAIL, Excerpt};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// Bytes that were sent, or are to come. Two are equal where their bytes are.
#[derive(Clone, Debug)]
pub(crate) struct Passage(Form);

#[derive(Clone, Debug)]
enum Form {
    Plain(Vec<u8>),
    Part {
        of: Arc<Data>,
        member: u32,
        range: Range<usize>,
    },
}

/// As many bytes are kept as they are: what says how they are made takes as much.
const FEW: usize = 256;

/// So many bytes are made at a time where many are gone through.
pub(crate) const BLOCK: usize = 256 << 10;

impl Passage {
    /// A part of what data comes to for a member of a crowd.
    pub(crate) fn part(of: &Arc<Data>, member: u32, range: Range<usize>) -> Self {
        Self(match range.len() <= FEW {
            true => Form::Plain(of.part(member, range)),
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
        }
    }

    /// The bytes where they are kept as they are.
    pub(crate) fn plain(&self) -> Option<&[u8]> {
        match &self.0 {
            Form::Plain(bytes) => Some(bytes),
            Form::Part { .. } => None,
        }
    }

    /// All of the bytes.
    pub(crate) fn bytes(&self) -> Cow<'_, [u8]> {
        self.slice(0..self.len())
    }

    /// Some of the bytes.
    pub(crate) fn slice(&self, wanted: Range<usize>) -> Cow<'_, [u8]> {
        match &self.0 {
            Form::Plain(bytes) => Cow::Borrowed(&bytes[wanted]),
            Form::Part { of, member, range } => {
                let (from, to) = (range.start + wanted.start, range.start + wanted.end);
                Cow::Owned(of.part(*member, from..to))
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
            0..=EXCERPT_MOST => Excerpt::of(&self.bytes()),
            many => {
                let head = self.slice(0..EXCERPT_HEAD);
                let tail = self.slice(many - EXCERPT_TAIL..many);
                Excerpt::of_ends(&head, &tail, many)
            }
        }
    }
}

impl From<Vec<u8>> for Passage {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Form::Plain(bytes))
    }
}

impl<'a> From<&'a Passage> for Cow<'a, [u8]> {
    fn from(passage: &'a Passage) -> Self {
        passage.bytes()
    }
}

impl PartialEq for Passage {
    fn eq(&self, other: &Self) -> bool {
        let all = 0..self.len();
        self.len() == other.len() && self.blocks(all.clone()).eq(other.blocks(all))
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
