//! What a hole of a text may take, as a regular expression of bytes.

use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::StateID;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// A regular expression of bytes, in the syntax of the `regex` crate; `.`, `\w` and the like are of ASCII.
#[derive(Clone)]
pub(crate) struct Pattern {
    text: String,
    dfa: Arc<dense::DFA<Vec<u32>>>,
}

/// How far a pattern goes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// It takes so many bytes, and no more can become of it.
    Ends(usize),
    /// It takes so many bytes, and more if they come.
    MayGoOn(usize),
    /// It takes nothing yet, and may take what comes.
    NotYet,
    /// It cannot take this byte, nor end before it.
    Breaks(usize),
}

/// A compiled expression takes no more memory; who needs more describes a protocol, not a reply.
const MOST_MEMORY: usize = 1 << 20;

impl Pattern {
    /// Parses an expression.
    ///
    /// # Errors
    /// What is wrong with it, in a few words.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let config = syntax::Config::new().unicode(false).utf8(false);
        let wrong = |error: &dyn fmt::Display| {
            let error = error.to_string();
            let last = error.trim_end().lines().last().unwrap_or_default();
            last.trim_start_matches("error: ").to_owned()
        };
        // What else is wrong with it than its syntax is told without a place.
        syntax::parse_with(text, &config).map_err(|error| wrong(&error))?;
        let thompson = thompson::Config::new()
            .utf8(false)
            .nfa_size_limit(Some(MOST_MEMORY));
        // All ends are looked at, and not the one that a search would prefer.
        let all = dense::Config::new()
            .match_kind(MatchKind::All)
            .start_kind(StartKind::Anchored)
            .dfa_size_limit(Some(MOST_MEMORY))
            .determinize_size_limit(Some(MOST_MEMORY));
        let dfa = dense::Builder::new()
            .configure(all)
            .thompson(thompson)
            .syntax(config)
            .build(text)
            .map_err(|error| wrong(&error))?;
        Ok(Self {
            text: text.to_owned(),
            dfa: Arc::new(dfa),
        })
    }

    /// The least that it takes of `bytes` so that what stands behind it `follows`; the most where nothing does.
    pub(super) fn until(&self, bytes: &[u8], part: &[u8]) -> Reach {
        let mut begun = None;
        let ends = |at: usize| !part.is_empty() && bytes[at..].starts_with(part);
        let may_begin = |at: usize| !part.is_empty() && part.starts_with(&bytes[at..]);
        let mut last = None;
        let went = self.walk(bytes, &mut |at| {
            last = Some(at);
            if may_begin(at) {
                begun = begun.or(Some(at));
            }
            ends(at)
        });
        match (went, last) {
            (Went::Stopped(at), _) => Reach::Ends(at),
            // What stands behind it may have begun.
            _ if begun.is_some() => Reach::NotYet,
            (Went::Dead(_) | Went::Full, Some(at)) if part.is_empty() => Reach::Ends(at),
            (Went::Alive, Some(at)) if part.is_empty() => Reach::MayGoOn(at),
            (Went::Alive, _) => Reach::NotYet,
            (Went::Full, _) => Reach::Breaks(last.unwrap_or(bytes.len())),
            (Went::Dead(at), _) => Reach::Breaks(at),
        }
    }

    /// Whether these bytes are what it takes, all of them.
    pub(super) fn is_all_of(&self, bytes: &[u8]) -> bool {
        let mut whole = false;
        self.walk(bytes, &mut |at| {
            whole |= at == bytes.len();
            false
        });
        whole
    }

    /// Goes through bytes, and shows each place at which it may end until it is told to stop.
    fn walk(&self, bytes: &[u8], stops_at: &mut dyn FnMut(usize) -> bool) -> Went {
        let input = Input::new(bytes).anchored(Anchored::Yes);
        let Ok(mut state) = self.dfa.start_state_forward(&input) else {
            return Went::Dead(0);
        };
        for at in 0..=bytes.len() {
            let end = self.dfa.next_eoi_state(state);
            if self.dfa.is_match_state(end) && stops_at(at) {
                return Went::Stopped(at);
            }
            let Some(byte) = bytes.get(at) else { break };
            match self.next(state, *byte) {
                Some(next) => state = next,
                None => return Went::Dead(at),
            }
        }
        match (0..=u8::MAX).any(|byte| self.next(state, byte).is_some()) {
            true => Went::Alive,
            false => Went::Full,
        }
    }

    /// The state behind a byte, where it fits. That all before it was a match is told by a state behind it, which may be nothing else.
    fn next(&self, state: StateID, byte: u8) -> Option<StateID> {
        let next = self.dfa.next_state(state, byte);
        let is_something = || {
            let mut bytes = 0..=u8::MAX;
            bytes.any(|byte| !self.dfa.is_dead_state(self.dfa.next_state(next, byte)))
        };
        let is_over = self.dfa.is_dead_state(next) || self.dfa.is_quit_state(next);
        (!is_over && (!self.dfa.is_match_state(next) || is_something())).then_some(next)
    }
}

/// What became of a walk.
enum Went {
    /// It was told to stop here.
    Stopped(usize),
    /// This byte fits nowhere.
    Dead(usize),
    /// It came to the end of the bytes, and can take no more.
    Full,
    /// It came to the end of the bytes.
    Alive,
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn until(pattern: &str, bytes: &str, part: &str) -> Reach {
        let pattern = Pattern::parse(pattern).unwrap();
        pattern.until(bytes.as_bytes(), part.as_bytes())
    }

    #[test]
    fn as_little_is_taken_as_what_follows_leaves() {
        assert_eq!(until("[0-9]+", "17\r\n", "\r\n"), Reach::Ends(2));
        assert_eq!(until(".*", "a;b;c", ";"), Reach::Ends(1));
        assert_eq!(until("[0-9]*", ";", ";"), Reach::Ends(0));
        assert_eq!(until("[0-9]+", "17", "\r\n"), Reach::NotYet);
        assert_eq!(until("[0-9]+", "17\r", "\r\n"), Reach::NotYet);
        assert_eq!(until("[0-9]+", "", "x"), Reach::NotYet);
        assert_eq!(until("[0-9]+", "17x", "\r\n"), Reach::Breaks(2));
        assert_eq!(until("[0-9]{2}", "178", ";"), Reach::Breaks(2));
        assert_eq!(until("[0-9]+", "x", ";"), Reach::Breaks(0));
        assert_eq!(until("a|ab", "abc", "c"), Reach::Ends(2));
    }

    #[test]
    fn as_much_is_taken_as_comes_where_nothing_follows() {
        assert_eq!(until("[0-9]+", "17", ""), Reach::MayGoOn(2));
        assert_eq!(until("[0-9]+", "17 ", ""), Reach::Ends(2));
        assert_eq!(until("[0-9]{2}", "17", ""), Reach::Ends(2));
        assert_eq!(until("yes|no", "no", ""), Reach::Ends(2));
        assert_eq!(until("yes|no", "n", ""), Reach::NotYet);
        assert_eq!(until("yes|no", "x", ""), Reach::Breaks(0));
        assert_eq!(until("[0-9]*", "", ""), Reach::MayGoOn(0));
    }

    #[test]
    fn bytes_are_bytes_and_a_mistake_is_told() {
        let any = Pattern::parse(r"[\xff\x00]+").unwrap();
        assert!(any.is_all_of(b"\xff\x00"));
        assert!(!any.is_all_of(b"\xff\x01"));
        let wrong = Pattern::parse("[0-9").unwrap_err();
        assert_eq!(wrong, "unclosed character class");
        let large = Pattern::parse("[ab]*a[ab]{40}").unwrap_err();
        assert!(large.contains("exceeded"), "{large}");
    }

    #[test]
    fn expression_of_many_states_finds_its_end_in_much() {
        let pattern = Pattern::parse("[ab]*a[ab]{7}").unwrap();
        let text = [b"ab".repeat(20_000), b"\n".to_vec()].concat();
        assert_eq!(pattern.until(&text, b"\n"), Reach::Ends(40_000));
    }
}
