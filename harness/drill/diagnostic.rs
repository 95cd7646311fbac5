//! What is wrong with a line, shown with a caret at the place and with what to write instead.

use crate::model::error::Error;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use std::ops::Range;

/// Where a line stands: in which file, as which line, and what it says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) file: &'a str,
    /// Counted from one; 0 where the file has no lines of its own.
    pub(super) number: usize,
    pub(super) text: &'a str,
}

/// One mistake in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Diagnostic {
    /// The bytes of the line that are wrong; empty where something is missing.
    span: Range<usize>,
    /// What is wrong.
    title: String,
    /// What to write at the caret.
    label: Option<String>,
    /// What else there is.
    help: Option<String>,
}

impl Diagnostic {
    pub(super) fn new(span: Range<usize>, title: impl Into<String>) -> Self {
        Self {
            span,
            title: title.into(),
            label: None,
            help: None,
        }
    }

    pub(super) fn label(self, label: impl Into<String>) -> Self {
        Self {
            label: Some(label.into()),
            ..self
        }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
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
    pub(super) fn unknown(span: Range<usize>, title: String, word: &str, known: &[&str]) -> Self {
        let mistake = Self::new(span, title).help(format!("there are: {}", known.join(", ")));
        match nearest(word, known) {
            Some(near) => mistake.label(format!("did you mean `{near}`?")),
            None => mistake,
        }
    }

    /// The mistake as the error that shows it in its place.
    pub(super) fn at(self, place: Place<'_>) -> Error {
        let annotation = AnnotationKind::Primary
            .span(self.span)
            .label(self.label.as_deref());
        let snippet = Snippet::source(place.text)
            .line_start(place.number.max(1))
            .path(place.file)
            .annotation(annotation);
        // The caller says that this is an error, so the title does not.
        let title = Level::ERROR.no_name().primary_title(self.title);
        let help = self.help.map(|help| Level::HELP.message(help));
        let report = title.element(snippet).elements(help);
        Error::Scenario(Renderer::plain().render(&[report]))
    }
}

/// A word as messages quote it: whole, unless it would fill the screen.
pub(super) fn quote(word: &str) -> String {
    const MOST: usize = 40;
    match word.char_indices().nth(MOST) {
        Some((cut, _)) => format!("`{}…`", &word[..cut]),
        None => format!("`{word}`"),
    }
}

/// The known word that `word` most likely stands for, if any is close.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    /// No word of the language is longer; comparing more would only cost time.
    const LONGEST: usize = 40;
    let word: Vec<char> = word.to_lowercase().chars().take(LONGEST).collect();
    let close = 1 + word.len() / 4;
    let distances = known.iter().map(|known| {
        let letters: Vec<char> = known.to_lowercase().chars().collect();
        (distance(&word, &letters), *known)
    });
    let (distance, nearest) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= close && distance < word.len()).then_some(nearest)
}

/// Whether one slip of the finger makes one short word of the other.
pub(crate) fn is_one_slip_from(word: &str, known: &str) -> bool {
    let [word, known] = [word, known].map(|word| word.chars().collect::<Vec<_>>());
    word.len() <= known.len() + 1 && distance(&word, &known) == 1
}

/// The number of letters to add, drop, replace or swap with their neighbour.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_word_is_a_slip_of_the_finger_away() {
        let known = ["connect", "send", "send-urgent", "reset"];
        assert_eq!(nearest("conect", &known), Some("connect"));
        assert_eq!(nearest("sned", &known), Some("send"));
        assert_eq!(nearest("RESET", &known), Some("reset"));
        assert_eq!(nearest("unplug", &known), None);
        assert_eq!(nearest("", &known), None);
    }

    #[test]
    fn longer_word_may_have_more_slips_and_a_letter_stands_for_no_other() {
        let known = ["send-urgent", "y"];
        assert_eq!(nearest("snd-rgnt", &known), Some("send-urgent"));
        assert_eq!(nearest("snd-rgt", &known), None);
        assert_eq!(nearest("x", &known), None);
    }

    #[test]
    fn slip_is_a_letter_too_many_or_too_few_or_another_or_two_that_are_swapped() {
        let slips = |a: &str, b: &str| {
            let letters = |word: &str| word.chars().collect::<Vec<_>>();
            let there = distance(&letters(a), &letters(b));
            assert_eq!(there, distance(&letters(b), &letters(a)), "{a} {b}");
            there
        };
        assert_eq!(slips("send", "send"), 0);
        assert_eq!(slips("send", "sends"), 1);
        assert_eq!(slips("send", "sent"), 1);
        assert_eq!(slips("sedn", "send"), 1);
        assert_eq!(slips("esnd", "send"), 1);
        assert_eq!(slips("esdn", "send"), 2);
        assert_eq!(slips("kitten", "sitting"), 3);
        assert_eq!(slips("", "send"), 4);
    }

    #[test]
    fn caret_stands_under_the_word() {
        let place = Place {
            file: "a.drill",
            number: 7,
            text: "  alice conect",
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
