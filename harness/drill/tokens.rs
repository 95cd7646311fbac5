//! A line of a `.drill` file cut into words, strings and marks, each of which knows where it stands.

use std::ops::Range;
use winnow::combinator::{alt, preceded, repeat};
use winnow::stream::LocatingSlice;
use winnow::token::{any, none_of, one_of, rest, take_while};
use winnow::{Parser, Result};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Everything without a meaning of its own: names, numbers, units.
    Word,
    /// A string with its quotes.
    Quoted,
    /// A string that the line ends before.
    Unclosed,
    /// One of [`MARKS`].
    Mark,
    /// A `#` and all that follows.
    Comment,
}

/// A piece of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    /// The byte of the line at which it begins.
    pub(super) start: usize,
}

impl Token<'_> {
    pub(super) fn span(&self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }

    pub(super) fn is(&self, text: &str) -> bool {
        self.text == text && matches!(self.kind, Kind::Word | Kind::Mark)
    }
}

const MARKS: [char; 2] = [',', '*'];

/// Whether a character can be part of a word.
pub(super) fn is_word_char(c: char) -> bool {
    !c.is_whitespace() && !MARKS.contains(&c) && !['"', '#'].contains(&c)
}

type Input<'a> = LocatingSlice<&'a str>;

/// The tokens of a line; there is no line without some.
pub(super) fn tokens(line: &str) -> Vec<Token<'_>> {
    let space = take_while(0.., char::is_whitespace);
    // Every character begins some token, so this never fails.
    repeat(0.., preceded(space, token))
        .parse_next(&mut LocatingSlice::new(line))
        .unwrap_or_default()
}

fn token<'a>(input: &mut Input<'a>) -> Result<Token<'a>> {
    let kind = alt((
        take_while(1.., is_word_char).value(Kind::Word),
        quoted.value(Kind::Quoted),
        ('"', rest).value(Kind::Unclosed),
        ('#', rest).value(Kind::Comment),
        one_of(MARKS).value(Kind::Mark),
    ));
    let token = |((kind, text), span): ((_, &'a str), Range<usize>)| {
        let start = span.start;
        Token { kind, text, start }
    };
    kind.with_taken().with_span().map(token).parse_next(input)
}

fn quoted(input: &mut Input<'_>) -> Result<()> {
    let character = alt((('\\', any).void(), none_of(['"', '\\']).void()));
    let inside = repeat(0.., character).map(|()| ());
    ('"', inside, '"').void().parse_next(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(line: &str) -> Vec<(Kind, &str, usize)> {
        let all = tokens(line);
        all.into_iter()
            .map(|token| (token.kind, token.text, token.start))
            .collect()
    }

    #[test]
    fn every_token_knows_where_it_stands() {
        let found = cut(r#"  a send "x#\"y" *3 # end"#);
        let expected = [
            (Kind::Word, "a", 2),
            (Kind::Word, "send", 4),
            (Kind::Quoted, r#""x#\"y""#, 9),
            (Kind::Mark, "*", 17),
            (Kind::Word, "3", 18),
            (Kind::Comment, "# end", 20),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn string_that_the_line_ends_before_is_told_apart() {
        assert_eq!(cut(r#"a "b\""#)[1], (Kind::Unclosed, r#""b\""#, 2));
        assert_eq!(cut(r#"a "b\"#)[1], (Kind::Unclosed, r#""b\"#, 2));
    }
}
