//! Reads the expressions of `-E`, and says of one that is none where it is wrong and what to write.

use super::filterset::{Filterset, Pattern, Property};
use crate::drill::{Diagnostic, Place};
use crate::model::error::Error;
use regex::{Regex, escape};
use std::ops::Range;
use winnow::combinator::{alt, preceded, repeat};
use winnow::stream::LocatingSlice;
use winnow::token::{any, none_of, one_of, rest, take_while};
use winnow::{Parser, Result};

/// What the candidates are: of cases and of checks not the same can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Among {
    Cases,
    Checks,
}

/// A predicate: its word, what it looks at, how a text without a sign in front is meant, and whom it is of where not of all.
type Predicate = (&'static str, Property, Bare, Option<Among>);

/// How a text is meant that has no sign in front.
#[derive(Clone, Copy)]
enum Bare {
    Contains,
    Equals,
}

const PREDICATES: &[Predicate] = &[
    ("test", Property::Name, Bare::Contains, None),
    ("name", Property::Name, Bare::Contains, None),
    ("file", Property::File, Bare::Contains, Some(Among::Cases)),
    ("tag", Property::Tag, Bare::Equals, Some(Among::Cases)),
    (
        "family",
        Property::Family,
        Bare::Equals,
        Some(Among::Checks),
    ),
];

/// The sets without a text.
const SETS: &[&str] = &["all", "none"];

/// Parentheses within each other. Nobody writes more; each takes a piece of the stack.
const DEEPEST: usize = 100;

/// Reads an expression over cases or over checks.
///
/// # Errors
/// It is none; the message points at the place.
pub(super) fn read(text: &str, among: Among) -> Result<Filterset, Error> {
    let place = Place {
        file: "-E",
        number: 1,
        text,
        json: None,
    };
    let tokens = tokens(text);
    let mut reader = Reader {
        rest: &tokens,
        end: text.len(),
        depth: 0,
        among,
    };
    reader
        .whole()
        .map_err(|mistake| Error::Usage(mistake.at(place).to_string()))
}

/// What a piece of an expression is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Open,
    Close,
    Or,
    And,
    Minus,
    Not,
    /// A predicate or a set, with what stands between its parentheses.
    Call,
    /// The same without the parenthesis that closes it.
    Unclosed,
    /// A word that stands for nothing.
    Strange,
}

struct Token<'a> {
    kind: Kind,
    text: &'a str,
    span: Range<usize>,
}

type Input<'a> = LocatingSlice<&'a str>;

fn tokens(text: &str) -> Vec<Token<'_>> {
    let space = || take_while(0.., char::is_whitespace);
    // Every character begins some token, so this never fails.
    repeat(0.., preceded(space(), token))
        .parse_next(&mut LocatingSlice::new(text))
        .unwrap_or_default()
}

fn token<'a>(input: &mut Input<'a>) -> Result<Token<'a>> {
    let kind = alt((
        call,
        word.map(of_word),
        '('.value(Kind::Open),
        ')'.value(Kind::Close),
        one_of(['|', '+']).value(Kind::Or),
        '&'.value(Kind::And),
        '-'.value(Kind::Minus),
        '!'.value(Kind::Not),
        any.value(Kind::Strange),
    ));
    let token = |((kind, text), span)| Token { kind, text, span };
    kind.with_taken().with_span().map(token).parse_next(input)
}

fn word<'a>(input: &mut Input<'a>) -> Result<&'a str> {
    take_while(1.., |c: char| c.is_alphanumeric() || c == '_').parse_next(input)
}

fn of_word(word: &str) -> Kind {
    match word {
        "or" => Kind::Or,
        "and" => Kind::And,
        "not" => Kind::Not,
        _ => Kind::Strange,
    }
}

/// A word with parentheses. A regular expression may have parentheses of its own.
fn call(input: &mut Input<'_>) -> Result<Kind> {
    let name = word.verify(|word: &str| of_word(word) == Kind::Strange);
    let character = |end: char| alt((('\\', any).void(), none_of([end, '\\']).void()));
    let regex = ('/', repeat::<_, _, (), _, _>(0.., character('/')), '/').void();
    let text = repeat::<_, _, (), _, _>(0.., character(')')).void();
    let space = || take_while(0.., char::is_whitespace);
    let closed = (
        space(),
        alt(((regex, space(), ')').void(), (text, ')').void())),
    );
    let ends = alt((closed.value(Kind::Call), rest.value(Kind::Unclosed)));
    (name, '(', ends).map(|(_, _, kind)| kind).parse_next(input)
}

struct Reader<'a, 't> {
    rest: &'t [Token<'a>],
    /// Where the expression ends.
    end: usize,
    depth: usize,
    among: Among,
}

impl<'a, 't> Reader<'a, 't> {
    fn whole(&mut self) -> Result<Filterset, Diagnostic> {
        let set = self.either()?;
        match self.rest.first() {
            None => Ok(set),
            Some(token) if token.kind == Kind::Close => {
                Err(Diagnostic::new(token.span.clone(), "nothing is open here"))
            }
            Some(token) => Err(self.strange(token, "an operator")),
        }
    }

    fn next_if(&mut self, is_meant: impl Fn(Kind) -> bool) -> Option<&'t Token<'a>> {
        let (first, rest) = self.rest.split_first()?;
        is_meant(first.kind).then(|| {
            self.rest = rest;
            first
        })
    }

    fn either(&mut self) -> Result<Filterset, Diagnostic> {
        let mut set = self.both()?;
        while self.next_if(|kind| kind == Kind::Or).is_some() {
            set = Filterset::Or(Box::new(set), Box::new(self.both()?));
        }
        Ok(set)
    }

    fn both(&mut self) -> Result<Filterset, Diagnostic> {
        let mut set = self.one()?;
        while let Some(sign) = self.next_if(|kind| matches!(kind, Kind::And | Kind::Minus)) {
            let other = Box::new(self.one()?);
            let other = match sign.kind {
                Kind::Minus => Box::new(Filterset::Not(other)),
                _ => other,
            };
            set = Filterset::And(Box::new(set), other);
        }
        Ok(set)
    }

    fn one(&mut self) -> Result<Filterset, Diagnostic> {
        let Some(token) = self.next_if(|_| true) else {
            let end = self.end..self.end;
            return Err(Diagnostic::new(end, "the expression ends too early")
                .label("write a predicate, such as `test(reset)`"));
        };
        match token.kind {
            Kind::Not => {
                self.deeper(token)?;
                let other = self.one()?;
                self.depth -= 1;
                Ok(Filterset::Not(Box::new(other)))
            }
            Kind::Open => {
                self.deeper(token)?;
                let set = self.either()?;
                self.depth -= 1;
                match self.next_if(|kind| kind == Kind::Close) {
                    Some(_) => Ok(set),
                    None => Err(unclosed(token)),
                }
            }
            Kind::Call => self.call(token),
            Kind::Unclosed => Err(unclosed(token)),
            _ => Err(self.strange(token, "a predicate")),
        }
    }

    fn deeper(&mut self, token: &Token<'_>) -> Result<(), Diagnostic> {
        self.depth += 1;
        match self.depth > DEEPEST {
            true => Err(Diagnostic::new(
                token.span.clone(),
                "this is nested too deeply",
            )),
            false => Ok(()),
        }
    }

    fn call(&self, token: &Token<'_>) -> Result<Filterset, Diagnostic> {
        let (name, inside) = token.text.split_once('(').unwrap_or_default();
        let inside = inside.strip_suffix(')').unwrap_or(inside);
        let at = token.span.start + name.len() + 1;
        let name_span = token.span.start..token.span.start + name.len();
        if SETS.contains(&name) {
            if !inside.trim().is_empty() {
                let title = format!("`{name}()` takes no text");
                return Err(Diagnostic::new(at..at + inside.len(), title));
            }
            return Ok(match name {
                "all" => Filterset::All,
                _ => Filterset::Nothing,
            });
        }
        let mut rows = PREDICATES.iter();
        let Some((_, property, bare, of)) = rows.find(|(word, ..)| *word == name) else {
            let title = format!("there is no predicate `{name}`");
            return Err(Diagnostic::unknown(name_span, title, name, &self.words()));
        };
        if of.is_some_and(|of| of != self.among) {
            let (what, has) = match self.among {
                Among::Cases => ("checks", "cases"),
                Among::Checks => ("cases", "checks"),
            };
            let title = format!("`{name}` is asked of {what}, and these are {has}");
            let help = format!("there are: {}", self.words().join(", "));
            return Err(Diagnostic::new(name_span, title).help(help));
        }
        Ok(Filterset::Of(*property, pattern(inside, at, *bare)?))
    }

    /// The words that can be asked here.
    fn words(&self) -> Vec<&'static str> {
        let words = PREDICATES.iter();
        let words = words.filter(|(.., of)| of.is_none_or(|of| of == self.among));
        words
            .map(|(word, ..)| *word)
            .chain(SETS.iter().copied())
            .collect()
    }

    /// What stands where it has no meaning.
    fn strange(&self, token: &Token<'_>, expected: &str) -> Diagnostic {
        let title = format!("`{}` is not {expected}", token.text);
        let mistake = Diagnostic::new(token.span.clone(), title);
        let is_word = token.text.chars().all(char::is_alphanumeric);
        let help = match expected {
            "an operator" => "there are: &, |, -, !, and, or, not".to_owned(),
            _ => format!("there are: {}", self.words().join(", ")),
        };
        let text = token.text;
        let is_bare = token.kind == Kind::Strange && is_word && expected == "a predicate";
        let mistake = match is_bare {
            true if self.words().contains(&text) => mistake.label(format!("write `{text}(…)`")),
            true => mistake.label(format!("write `test({text})`")),
            false => mistake,
        };
        mistake.help(help)
    }
}

fn unclosed(token: &Token<'_>) -> Diagnostic {
    let end = token.span.end;
    Diagnostic::new(token.span.clone(), "this is not closed")
        .label(format!("write `)` behind it, at column {}", end + 1))
}

/// What stands between the parentheses of a predicate; `at` is where it begins.
fn pattern(inside: &str, at: usize, bare: Bare) -> Result<Pattern, Diagnostic> {
    let text = inside.trim();
    let start = at + inside.len() - inside.trim_start().len();
    let span = start..start + text.len();
    if text.is_empty() {
        return Err(Diagnostic::new(span, "a predicate takes a text"));
    }
    let invalid = |error: regex::Error| {
        let error = error.to_string();
        let reason = error.lines().last().unwrap_or_default();
        let reason = reason.strip_prefix("error: ").unwrap_or(reason).to_owned();
        Diagnostic::new(
            span.clone(),
            format!("this is no regular expression: {reason}"),
        )
    };
    let regex = |text: &str| Regex::new(text).map(Pattern::Matches).map_err(invalid);
    match text.split_at(1.min(text.chars().next().map_or(0, char::len_utf8))) {
        ("=", whole) => Ok(Pattern::Equals(plain(whole))),
        ("~", part) => Ok(Pattern::Contains(plain(part))),
        ("#", glob) => regex(&of_glob(&plain(glob))),
        ("/", rest) => match rest.strip_suffix('/') {
            Some(expression) => regex(&expression.replace(r"\/", "/")),
            None => Err(
                Diagnostic::new(span, "this regular expression does not end")
                    .label("write `/` behind it"),
            ),
        },
        _ => Ok(match bare {
            Bare::Contains => Pattern::Contains(plain(text)),
            Bare::Equals => Pattern::Equals(plain(text)),
        }),
    }
}

/// The text in which a backslash stands in front of what would be read otherwise.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        plain.push(match character {
            '\\' => characters.next().unwrap_or('\\'),
            character => character,
        });
    }
    plain
}

/// The expression that says the same: `*` stands for any text, and `?` for any character.
fn of_glob(glob: &str) -> String {
    let inside = escape(glob).replace(r"\*", ".*").replace(r"\?", ".");
    format!("(?s)^{inside}$")
}

#[cfg(test)]
mod tests {
    use super::super::filterset::Candidate;
    use super::*;

    /// Cases by name, file and tags.
    const CASES: &[(&str, &str, &[&str])] = &[
        ("reset::half a message", "tcp/reset.drill", &["slow"]),
        ("reset::beside (others)", "tcp/reset.drill", &[]),
        ("flood::backlog", "tcp/flood.drill", &["slow", "crowd"]),
        ("lost::one", "udp/lost.drill", &["udp"]),
        ("lost::two", "udp/lost.drill", &["udp6"]),
    ];

    fn chosen(text: &str) -> Vec<usize> {
        let set = read(text, Among::Cases).unwrap_or_else(|error| panic!("{}", error.chain()));
        let rows = CASES.iter().enumerate();
        let rows = rows.filter(|(_, (name, file, tags))| {
            let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
            set.chooses(Candidate {
                name,
                file,
                tags: &tags,
                family: "",
            })
        });
        rows.map(|(n, _)| n).collect()
    }

    #[test]
    fn names_and_files_are_chosen_by_a_part_of_them() {
        assert_eq!(chosen("test(reset)"), [0, 1]);
        assert_eq!(chosen("name( half a )"), [0]);
        assert_eq!(chosen("file(udp/)"), [3, 4]);
        assert_eq!(chosen("test(~one)"), [3]);
    }

    #[test]
    fn tags_are_chosen_whole() {
        assert_eq!(chosen("tag(udp)"), [3]);
        assert_eq!(chosen("tag(~udp)"), [3, 4]);
        assert_eq!(chosen("tag(#udp?)"), [4]);
        assert_eq!(chosen("tag(none)"), [0; 0]);
    }

    #[test]
    fn signs_say_how_a_text_is_meant() {
        assert_eq!(chosen("test(=lost::one)"), [3]);
        assert_eq!(chosen("test(=lost)"), [0; 0]);
        assert_eq!(chosen("test(#lost::*)"), [3, 4]);
        assert_eq!(chosen("test(#lost)"), [0; 0]);
        assert_eq!(chosen("test(/^(lost|flood)::.*(e|g)$/)"), [2, 3]);
        assert_eq!(chosen(r"file(/^tcp\/f/)"), [2]);
        assert_eq!(chosen(r"test(=reset::beside (others\))"), [1]);
    }

    #[test]
    fn operators_bind_as_those_of_nextest_do() {
        assert_eq!(chosen("all() - test(reset)"), [2, 3, 4]);
        assert_eq!(chosen("none() + tag(udp) | tag(udp6)"), [3, 4]);
        assert_eq!(
            chosen("tag(udp) or tag(slow) and not test(backlog)"),
            [0, 3]
        );
        assert_eq!(chosen("(tag(udp) | tag(slow)) & !test(backlog)"), [0, 3]);
        assert_eq!(chosen("!tag(slow) & !tag(udp)"), [1, 4]);
        assert_eq!(chosen("tag(slow)&!name(/backlog/)"), [0]);
        assert_eq!(chosen("all() - tag(udp) - tag(slow) & test(lost)"), [4]);
    }

    fn refused(text: &str, among: Among) -> String {
        read(text, among).unwrap_err().chain()
    }

    #[test]
    fn what_is_no_expression_is_pointed_at() {
        let mistakes = [
            ("tga(udp)", "did you mean `tag`?"),
            ("tag(udp", "this is not closed"),
            ("(tag(udp)", "this is not closed"),
            ("tag(udp))", "nothing is open here"),
            ("tag(udp) & ", "ends too early"),
            ("", "ends too early"),
            ("reset", "write `test(reset)`"),
            ("tag", "write `tag(…)`"),
            ("tag(udp) tag(slow)", "is not an operator"),
            ("tag()", "takes a text"),
            ("all(of)", "takes no text"),
            ("test(/(/)", "this is no regular expression: unclosed group"),
            ("test(/a)", "does not end"),
            ("& tag(udp)", "is not a predicate"),
            ("family(reset)", "asked of checks, and these are cases"),
        ];
        for (text, said) in mistakes {
            let message = refused(text, Among::Cases);
            assert!(message.contains(said), "{text}: {message}");
            assert!(message.contains('^') || message.contains("|"), "{message}");
        }
        let message = refused("tag(udp)", Among::Checks);
        assert!(message.contains("asked of cases, and these are checks"));
        let nested = "!".repeat(DEEPEST + 1) + "all()";
        assert!(refused(&nested, Among::Cases).contains("too deeply"));
    }

    #[test]
    fn place_of_a_mistake_is_under_its_word() {
        let message = refused("test(a) & tga(udp)", Among::Cases);
        let mut lines = message.lines();
        let text = lines
            .find(|line| line.contains("tga(udp)") && line.contains("| "))
            .unwrap();
        let caret = lines.next().unwrap();
        assert_eq!(text.find("tga"), caret.find('^'), "{message}");
    }
}
