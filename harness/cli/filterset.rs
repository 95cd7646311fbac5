//! Which cases or checks an expression of `-E` means: the words are those of nextest's filtersets.

use regex::Regex;

/// What can be chosen, with all that an expression can ask of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'a> {
    /// The id of a check, or the name of a case with its file's stem in front.
    pub(super) name: &'a str,
    /// The file of a case.
    pub(super) file: &'a str,
    /// The tags of a case.
    pub(super) tags: &'a [String],
    /// The family of a check.
    pub(super) family: &'a str,
}

/// An expression, read.
#[derive(Clone, Debug)]
pub(super) enum Filterset {
    /// Everything.
    All,
    /// Nothing.
    Nothing,
    /// What one of the candidate's properties says.
    Of(Property, Pattern),
    /// What the other leaves out.
    Not(Box<Self>),
    /// What both choose.
    And(Box<Self>, Box<Self>),
    /// What either chooses.
    Or(Box<Self>, Box<Self>),
}

/// What a predicate looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Property {
    Name,
    File,
    Tag,
    Family,
}

/// What a text has to be.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    /// It has this in it: `~text`.
    Contains(String),
    /// It is this: `=text`.
    Equals(String),
    /// It matches this: `/expression/`, or `#glob`.
    Matches(Regex),
}

impl Pattern {
    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Contains(part) => text.contains(part.as_str()),
            Self::Equals(whole) => text == whole,
            Self::Matches(regex) => regex.is_match(text),
        }
    }
}

impl Filterset {
    /// Whether the expression chooses it.
    pub(super) fn chooses(&self, candidate: Candidate<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Nothing => false,
            Self::Of(property, pattern) => property.is(candidate, pattern),
            Self::Not(other) => !other.chooses(candidate),
            Self::And(one, other) => one.chooses(candidate) && other.chooses(candidate),
            Self::Or(one, other) => one.chooses(candidate) || other.chooses(candidate),
        }
    }
}

impl Property {
    fn is(self, candidate: Candidate<'_>, pattern: &Pattern) -> bool {
        match self {
            Self::Name => pattern.matches(candidate.name),
            Self::File => pattern.matches(candidate.file),
            Self::Tag => candidate.tags.iter().any(|tag| pattern.matches(tag)),
            Self::Family => pattern.matches(candidate.family),
        }
    }
}
