//! What a server says by itself, at any time, such as the question whether a silent client is still there.

use super::data::Match;
use super::stream::Stream;
use super::template::Template;
use std::sync::Arc;

/// Texts that a server may say at any time, which answer nobody. Every client has them, so that they are shared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unasked(Arc<[Template]>);

impl Unasked {
    /// The texts.
    pub(crate) fn texts(&self) -> &[Template] {
        &self.0
    }

    /// Holds one of the texts against what `bytes` begin with.
    pub(crate) fn at(&self, bytes: &[u8]) -> Match {
        let mut begun = Match::Wrong(0);
        for text in self.texts() {
            match text.matches(bytes) {
                Match::Full(length) => return Match::Full(length),
                Match::Partial => begun = Match::Partial,
                Match::Wrong(_) => {}
            }
        }
        begun
    }

    /// How many bytes the whole texts have that `bytes` begin with.
    pub(crate) fn before(&self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len()
            && let Match::Full(length) = self.at(&bytes[at..])
        {
            at += length;
        }
        at
    }

    /// Holds one of the texts against what a stream has from a byte on.
    pub(crate) fn at_of(&self, stream: &Stream, at: usize) -> Match {
        match self.texts().is_empty() {
            true => Match::Wrong(0),
            false => stream.decide(at, |bytes| self.at(bytes)),
        }
    }

    /// How many bytes the whole texts have that a stream begins with.
    pub(crate) fn before_of(&self, stream: &Stream) -> usize {
        let mut at = 0;
        while at < stream.len()
            && let Match::Full(length) = self.at_of(stream, at)
        {
            at += length;
        }
        at
    }

    /// Whether `bytes` are such texts and nothing else.
    pub(crate) fn is_all_of(&self, bytes: &[u8]) -> bool {
        self.before(bytes) == bytes.len()
    }
}

impl FromIterator<Template> for Unasked {
    fn from_iter<I: IntoIterator<Item = Template>>(texts: I) -> Self {
        Self(texts.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unasked(texts: &[&str]) -> Unasked {
        let texts = texts.iter();
        texts.map(|text| Template::parse(text).unwrap()).collect()
    }

    #[test]
    fn texts_that_follow_each_other_are_passed_over_as_far_as_they_are_whole() {
        let unasked = unasked(&[r"PING :{any}\r\n", r": still here\n"]);
        assert_eq!(unasked.before(b"PING :1\r\n: still here\n+PONG"), 22);
        assert_eq!(unasked.before(b"PING :1\r\nPING :"), 9);
        assert_eq!(unasked.at(b"PIN"), Match::Partial);
        assert_eq!(unasked.at(b"PONG"), Match::Wrong(0));
        assert!(unasked.is_all_of(b"PING :1\r\nPING :2\r\n"));
        assert!(!unasked.is_all_of(b"PING :1\r\nPI"));
    }

    #[test]
    fn server_that_says_nothing_by_itself_has_no_text() {
        let nothing = Unasked::default();
        assert_eq!(nothing.before(b"PING"), 0);
        assert_eq!(nothing.at(b""), Match::Wrong(0));
    }
}
