//! What is wrong with a line, shown with a caret at the place and with what to write instead.

use super::json_place::JsonPlace;
use crate::model::mistake::Mistake;
use crate::model::spelling::nearest;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::ops::Range;

/// Where a line stands: in which file, as which line, and what it says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) file: &'a str,
    /// Counted from one; 0 where the file has no lines of its own.
    pub(crate) number: usize,
    pub(crate) text: &'a str,
    /// The value that says it in a file of JSON.
    pub(crate) json: Option<JsonPlace<'a>>,
}

/// One mistake in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Diagnostic {
    /// The bytes of the line that are wrong; empty where something is missing.
    span: Range<usize>,
    /// What is wrong.
    title: String,
    /// What to write at the caret.
    label: Option<String>,
    /// What else there is.
    help: Option<String>,
    /// It is the same mistake wherever it is met again.
    is_one: bool,
}

impl Diagnostic {
    pub(crate) fn new(span: Range<usize>, title: impl Into<String>) -> Self {
        Self {
            span,
            title: title.into(),
            label: None,
            help: None,
            is_one: false,
        }
    }

    /// The same of these bytes of the line.
    pub(super) fn spanning(self, span: Range<usize>) -> Self {
        Self { span, ..self }
    }

    /// A name that stands for nothing there is, with what else there is and what was most likely meant.
    pub(crate) fn unknown_name(title: &str, hint: &str) -> Self {
        let hint = hint.trim_start_matches([';', ' ']);
        let (rest, near) = match hint.split_once("did you mean") {
            Some((rest, near)) => (rest.trim_end_matches([';', ' ']), Some(near)),
            None => (hint, None),
        };
        let mistake = Self::new(0..0, title);
        let mistake = match rest.is_empty() {
            true => mistake,
            false => mistake.help(rest),
        };
        match near {
            Some(near) => mistake.label(format!("did you mean{near}")),
            None => mistake,
        }
    }

    /// The same of a mistake that is told once, wherever it shows again: of a name that is declared nowhere.
    pub(super) fn once(self) -> Self {
        Self {
            is_one: true,
            ..self
        }
    }

    /// Whether it is that a name is declared nowhere.
    pub(super) fn is_about_a_name(&self) -> bool {
        self.is_one
    }

    /// What tells it from others.
    pub(super) fn key(&self, place: Place<'_>) -> (usize, String) {
        let line = if self.is_one { 0 } else { place.number };
        (
            line,
            format!(
                "{}{}",
                if self.is_one { "" } else { place.file },
                self.title
            ),
        )
    }

    pub(crate) fn label(self, label: impl Into<String>) -> Self {
        Self {
            label: Some(label.into()),
            ..self
        }
    }

    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }

    /// Adds what to write, unless that is already said.
    pub(super) fn or_label(self, label: impl Into<String>) -> Self {
        match self.label {
            Some(_) => self,
            None => self.label(label),
        }
    }

    /// Adds help, unless there already is some.
    pub(super) fn or_help(self, help: String) -> Self {
        match self.help {
            Some(_) => self,
            None => self.help(help),
        }
    }

    /// Adds the usage of the step that the mistake is in, unless something better is already there.
    pub(super) fn in_usage(self, usage: &str) -> Self {
        self.or_help(format!("the whole is `{usage}`"))
    }

    /// A word that is none of the known ones.
    pub(crate) fn unknown(span: Range<usize>, title: String, word: &str, known: &[&str]) -> Self {
        let mistake = Self::new(span, title).help(format!("there are: {}", known.join(", ")));
        match nearest(word, known.iter().copied()) {
            Some(near) => mistake.label(format!("did you mean `{near}`?")),
            None => mistake,
        }
    }

    /// The mistake in its place.
    pub(crate) fn at(self, place: Place<'_>) -> Mistake {
        let json = place.json.as_ref();
        let found = json.and_then(|json| Some((json, json.find(place.text, &self.span)?)));
        if let Some((json, found)) = found {
            let place = Place {
                file: json.file,
                number: found.number,
                text: found.line,
                json: None,
            };
            let mistake = self.or_help(format!("it is {}", json.way));
            let span = found.span;
            return Self { span, ..mistake }.at(place);
        }
        let column = |byte: usize| {
            let before = place.text.get(..byte).unwrap_or(place.text);
            before.chars().count() + 1
        };
        Mistake {
            file: place.file.to_owned(),
            line: place.number,
            column: column(self.span.start),
            end_column: column(self.span.end),
            message: self.title,
            label: self.label,
            help: self.help,
            text: place.text.to_owned(),
            span: self.span,
        }
    }
}

/// Lines, the first of which has this number, and a caret under some bytes of them.
pub(crate) fn snippet(
    file: Option<&str>,
    number: usize,
    text: &str,
    span: Range<usize>,
    label: Option<&str>,
) -> String {
    let annotation = AnnotationKind::Primary.span(span).label(label);
    let snippet = Snippet::source(text)
        .line_start(number)
        .path(file)
        .fold(false)
        .annotation(annotation);
    Renderer::plain().render(&[Group::with_level(Level::ERROR).element(snippet)])
}

/// A word as messages quote it: whole, unless it would fill the screen.
pub(super) fn quote(word: &str) -> String {
    const MOST: usize = 40;
    match word.char_indices().nth(MOST) {
        Some((cut, _)) => format!("`{}…`", &word[..cut]),
        None => format!("`{word}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caret_stands_under_the_word() {
        let place = Place {
            file: "a.drill",
            number: 7,
            text: "  alice conect",
            json: None,
        };
        let known = ["connect", "close"];
        let mistake = Diagnostic::unknown(8..14, "there is no `conect`".into(), "conect", &known);
        let expected = "\
there is no `conect`
 --> a.drill:7:9
  |
7 |   alice conect
  |         ^^^^^^ did you mean `connect`?
  |
  = help: there are: connect, close";
        assert_eq!(mistake.at(place).to_string(), expected);
    }
}
