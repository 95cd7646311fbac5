//! Reads one line from left to right: words of tables, strings, numbers with their units.

use super::bounds::{LONGEST_TIME, LONGEST_TIME_IN_WORDS};
use super::diagnostic::{Diagnostic, quote};
use super::payload::Payload;
use super::shared::Backend;
use super::tokens::{Kind, Token, tokens};
use crate::model::data::{Part, Source};
use crate::model::literal::{self, LiteralError, Piece};
use crate::model::scenario::ClientGroup;
use crate::model::template::{Template, is_variable};
use std::ops::{Range, RangeInclusive};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

pub(super) type Read<T> = Result<T, Diagnostic>;

/// One row of the language: how it is written, and what reads the rest of the line.
pub(super) struct Verb<T: 'static> {
    /// The word itself, then what follows it.
    pub(super) usage: &'static str,
    /// What it does, in one sentence.
    pub(super) about: &'static str,
    /// A whole line that has it.
    pub(super) example: &'static str,
    pub(super) read: fn(&mut Reader<'_>) -> Read<T>,
}

impl<T> Verb<T> {
    pub(super) fn word(&self) -> &'static str {
        self.usage.split(' ').next().unwrap_or(self.usage)
    }
}

/// The words of a table.
pub(super) fn words<T>(table: &[Verb<T>]) -> Vec<&'static str> {
    table.iter().map(Verb::word).collect()
}

/// Something that may follow, in any order and once: its words, and what they set.
pub(super) type Choice<T> = (&'static str, fn(&mut T, &mut Reader<'_>) -> Read<()>);

/// What a line may name.
#[derive(Clone, Copy, Default)]
pub(super) struct Known<'a> {
    /// The clients of its case.
    pub(super) clients: &'a [ClientGroup],
    /// The servers that stand behind the drilled one.
    pub(super) backends: &'a [Backend],
    /// The payloads of its file.
    pub(super) payloads: &'a [Payload],
    /// The folder of its file, which other files stand in; none where it is no file.
    pub(super) folder: Option<&'a Path>,
}

/// The unread rest of a line.
pub(super) struct Reader<'a> {
    line: &'a str,
    pub(super) known: Known<'a>,
    tokens: Vec<Token<'a>>,
    next: usize,
    comment: Option<&'a str>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(line: &'a str, known: Known<'a>) -> Self {
        let mut tokens = tokens(line);
        let comment = tokens.pop_if(|last| last.kind == Kind::Comment);
        Self {
            line,
            known,
            tokens,
            next: 0,
            comment: comment.map(|comment| comment.text.trim_end()),
        }
    }

    pub(super) fn comment(&self) -> Option<&'a str> {
        self.comment
    }

    pub(super) fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.next).copied()
    }

    /// A string that is not closed.
    pub(super) fn unclosed(&self) -> Option<Diagnostic> {
        let token = self
            .tokens
            .iter()
            .find(|token| token.kind == Kind::Unclosed)?;
        let mistake = Diagnostic::new(token.span(), "this string is not closed");
        Some(mistake.label("write `\"` at its end"))
    }

    /// The text after the last token that was read, as it stands, comment and all.
    pub(super) fn rest_of_line(&mut self) -> &'a str {
        let at = self.end();
        self.next = self.tokens.len();
        self.comment = None;
        self.line[at..].trim()
    }

    /// The text after the last token that was read, up to a comment.
    pub(super) fn rest_before_comment(&mut self) -> &'a str {
        let at = self.start();
        self.next = self.tokens.len();
        self.line[at..self.end().max(at)].trim()
    }

    /// The end of what was read.
    fn end(&self) -> usize {
        let last = self.tokens[..self.next].last();
        last.map_or(0, |token| token.span().end)
    }

    /// The place of the token that was read last.
    pub(super) fn last(&self) -> Range<usize> {
        let last = self.tokens[..self.next].last();
        last.map_or(0..0, Token::span)
    }

    /// The place from `start` to the end of what was read.
    pub(super) fn since(&self, start: usize) -> Range<usize> {
        start..self.end().max(start)
    }

    /// The place where the next token begins.
    pub(super) fn start(&self) -> usize {
        self.peek().map_or_else(|| self.end(), |token| token.start)
    }

    fn take(&mut self, wanted: &str) -> Read<Token<'a>> {
        let Some(token) = self.peek() else {
            let end = self.end();
            let mistake = Diagnostic::new(end..end, "the line ends too early");
            return Err(mistake.label(format!("write {wanted}")));
        };
        self.next += 1;
        Ok(token)
    }

    fn take_kind(&mut self, kind: Kind, wanted: &str) -> Read<Token<'a>> {
        let token = self.take(wanted)?;
        if token.kind == kind {
            return Ok(token);
        }
        let title = format!("{} cannot stand here", quote(token.text));
        Err(Diagnostic::new(token.span(), title).label(format!("write {wanted}")))
    }

    pub(super) fn word(&mut self, wanted: &str) -> Read<Token<'a>> {
        self.take_kind(Kind::Word, wanted)
    }

    /// Reads the word that is next, if it is this one.
    pub(super) fn took(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.is(word));
        self.next += usize::from(found);
        found
    }

    /// Reads a word of a table.
    pub(super) fn one_of<T: Clone>(&mut self, what: &str, table: &[(T, &'static str)]) -> Read<T> {
        let words: Vec<_> = table.iter().map(|(_, word)| *word).collect();
        let row = self.row_of(what, &words)?;
        Ok(table[row].0.clone())
    }

    /// Reads a word and says which of `words` it is.
    pub(super) fn row_of(&mut self, what: &str, words: &[&str]) -> Read<usize> {
        let listed = format!("there are: {}", words.join(", "));
        let token = self
            .word(&format!("{what} here"))
            .map_err(|mistake| mistake.help(listed))?;
        let row = words.iter().position(|word| *word == token.text);
        row.ok_or_else(|| {
            let title = format!("{} is not {what}", quote(token.text));
            Diagnostic::unknown(token.span(), title, token.text, words)
        })
    }

    /// Reads a word of a table, then what belongs to it.
    pub(super) fn verb<T>(&mut self, what: &str, table: &[Verb<T>]) -> Read<T> {
        let row = self.row_of(what, &words(table))?;
        self.rest_of_verb(&table[row])
    }

    /// Reads what belongs to a word that has been read.
    pub(super) fn rest_of_verb<T>(&mut self, verb: &Verb<T>) -> Read<T> {
        (verb.read)(self).map_err(|mistake| mistake.in_usage(verb.usage))
    }

    /// Reads what may follow, in any order and each at most once, to the end of the line.
    pub(super) fn choices<T: Default>(&mut self, table: &[Choice<T>]) -> Read<T> {
        let mut chosen = T::default();
        self.choices_before(None, table, &mut chosen)?;
        Ok(chosen)
    }

    /// The same up to a word that none of them begins with.
    pub(super) fn choices_before<T>(
        &mut self,
        stop: Option<&str>,
        table: &[Choice<T>],
        chosen: &mut T,
    ) -> Read<()> {
        let mut used = Vec::new();
        while let Some(token) = self.peek() {
            let row = table.iter().find(|(phrase, _)| self.begins(phrase));
            if row.is_none() && stop.is_some_and(|stop| token.is(stop)) {
                break;
            }
            let Some((phrase, set)) = row else {
                let phrases: Vec<_> = table.iter().map(|(phrase, _)| *phrase).collect();
                return Err(surplus(token, &phrases));
            };
            self.next += phrase.split(' ').count();
            if used.contains(phrase) {
                let again = self.since(token.start);
                return Err(Diagnostic::new(
                    again,
                    format!("`{phrase}` stands here twice"),
                ));
            }
            used.push(phrase);
            set(chosen, self)?;
        }
        Ok(())
    }

    fn begins(&self, phrase: &str) -> bool {
        let rest = &self.tokens[self.next..];
        let mut words = phrase.split(' ').zip(1..);
        words.all(|(word, n)| rest.get(n - 1).is_some_and(|token| token.is(word)))
    }

    /// Makes sure that nothing is left.
    pub(super) fn finish(&self) -> Read<()> {
        self.peek().map_or(Ok(()), |token| Err(surplus(token, &[])))
    }

    /// Reads a string and gives its parts between `{any}` holes.
    pub(super) fn template(&mut self, wanted: &str) -> Read<Template> {
        let token = self.take_kind(Kind::Quoted, wanted)?;
        Template::parse_with_variables(inside(token)).map_err(|error| within(token, &error))
    }

    /// Reads a string that may have variables.
    pub(super) fn parts(&mut self, wanted: &str) -> Read<Source> {
        let token = self.take_kind(Kind::Quoted, wanted)?;
        let pieces = literal::pieces(inside(token)).map_err(|error| within(token, &error))?;
        let part = |piece| match piece {
            Piece::Bytes(bytes) => Ok(Part::Bytes(bytes)),
            Piece::Name { name, .. } if is_variable(&name) => Ok(Part::Variable(name)),
            Piece::Name { name, offset } => {
                let message = format!("{{{name}}} has no meaning here; write \\{{ for a brace");
                Err(within(token, &LiteralError { offset, message }))
            }
        };
        let parts: Vec<Part> = pieces.into_iter().map(part).collect::<Read<_>>()?;
        Ok(match parts.as_slice() {
            [] => Source::Literal(Vec::new()),
            [Part::Bytes(bytes)] => Source::Literal(bytes.clone()),
            _ => Source::Parts(parts),
        })
    }

    /// Reads a string with what `read` makes of its bytes.
    pub(super) fn decoded<T>(
        &mut self,
        wanted: &str,
        read: impl FnOnce(&[u8]) -> Result<T, String>,
    ) -> Read<T> {
        let bytes = self.bytes(wanted)?;
        read(&bytes).map_err(|message| Diagnostic::new(self.last(), message))
    }

    /// Reads a string without holes.
    pub(super) fn bytes(&mut self, wanted: &str) -> Read<Vec<u8>> {
        let token = self.take_kind(Kind::Quoted, wanted)?;
        literal::bytes(inside(token)).map_err(|error| within(token, &error))
    }

    /// Reads a string without holes that is not empty.
    pub(super) fn some_bytes(&mut self, wanted: &str) -> Read<Vec<u8>> {
        let bytes = self.bytes(wanted)?;
        match bytes.is_empty() {
            true => {
                Err(Diagnostic::new(self.last(), "this is nothing")
                    .label(format!("write {wanted}")))
            }
            false => Ok(bytes),
        }
    }

    /// Reads a string for people.
    pub(super) fn text(&mut self, wanted: &str) -> Read<String> {
        let bytes = self.bytes(wanted)?;
        String::from_utf8(bytes).map_err(|_| Diagnostic::new(self.last(), "this is not UTF-8 text"))
    }

    /// Reads a string of a single byte.
    pub(super) fn byte(&mut self) -> Read<u8> {
        match self.bytes("one byte in quotes, such as \"!\"")?.as_slice() {
            [byte] => Ok(*byte),
            more => {
                let title = format!("these are {} bytes", more.len());
                Err(Diagnostic::new(self.last(), title).label("write one byte, such as \"!\""))
            }
        }
    }

    /// Reads anything that is written as one word.
    pub(super) fn parsed<T: FromStr>(&mut self, wanted: &str) -> Read<T> {
        let token = self.word(wanted)?;
        token.text.parse().map_err(|_| {
            let title = format!("{} is not {wanted}", quote(token.text));
            Diagnostic::new(token.span(), title).label(format!("write {wanted}"))
        })
    }

    /// Reads a number within limits.
    pub(super) fn count(&mut self, limits: RangeInclusive<u32>) -> Read<u32> {
        let (least, most) = limits.clone().into_inner();
        let wanted = format!("a number from {least} to {most}");
        let number = self.parsed(&wanted)?;
        if limits.contains(&number) {
            return Ok(number);
        }
        let title = format!(
            "{number} is too {}",
            if number < least { "few" } else { "many" }
        );
        Err(Diagnostic::new(self.last(), title).label(format!("write {wanted}")))
    }

    /// Reads `250ms`.
    pub(super) fn duration(&mut self) -> Read<Duration> {
        let token = self.word("a duration, such as 250ms or 2s")?;
        let time = literal::duration(token.text)
            .map_err(|error| Diagnostic::new(token.span(), error.message))?;
        match time > LONGEST_TIME {
            false => Ok(time),
            true => {
                let mistake = Diagnostic::new(token.span(), "this is too long");
                Err(mistake.label(format!("write at most {LONGEST_TIME_IN_WORDS}")))
            }
        }
    }

    /// Reads `64KiB`.
    pub(super) fn size(&mut self) -> Read<usize> {
        let token = self.word("a size, such as 100B or 64KiB")?;
        literal::size(token.text).map_err(|error| Diagnostic::new(token.span(), error.message))
    }

    /// Reads a size that is not `0B`.
    pub(super) fn some_size(&mut self) -> Read<usize> {
        match self.size()? {
            0 => Err(Diagnostic::new(self.last(), "this is nothing").label("write 1B or more")),
            bytes => Ok(bytes),
        }
    }
}

fn surplus(token: Token<'_>, phrases: &[&str]) -> Diagnostic {
    let title = format!("{} has no place here", quote(token.text));
    match phrases {
        [] => Diagnostic::new(token.span(), title).label("end the line before this"),
        phrases => {
            let listed = phrases.join("`, `");
            let mistake = Diagnostic::unknown(token.span(), title, token.text, phrases);
            mistake.help(format!("what may follow, each once: `{listed}`"))
        }
    }
}

fn inside(quoted: Token<'_>) -> &str {
    let text = quoted.text;
    text.get(1..text.len() - 1).unwrap_or_default()
}

/// A mistake within a string: the escape or the brace at which it stands.
fn within(quoted: Token<'_>, error: &LiteralError) -> Diagnostic {
    let inside = inside(quoted);
    let wrong = inside.get(error.offset..).unwrap_or_default();
    let length = match wrong.strip_prefix('\\') {
        Some(escaped) => 1 + escaped.chars().next().map_or(0, char::len_utf8),
        None => wrong.chars().next().map_or(0, char::len_utf8),
    };
    let start = quoted.start + 1 + error.offset;
    Diagnostic::new(start..start + length, error.message.clone())
}
