//! Prints a file in its canonical form without losing what is not in its value: comments and blank lines.

use super::statement::Statement;
use crate::model::scenario::ClientGroup;

/// A line as it was read.
pub(super) struct Row<'a> {
    /// What it says, if anything.
    pub(super) sentence: Option<&'a Statement>,
    /// The clients that it may name.
    pub(super) clients: &'a [ClientGroup],
    /// How many blocks are open around it.
    pub(super) depth: usize,
    /// Its comment with the `#`.
    pub(super) comment: Option<&'a str>,
    /// Whether the line begins with a space.
    pub(super) indented: bool,
}

/// What kind of line stands where; blank lines come between the kinds.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Top,
    Case,
    Heading,
    Body,
}

impl Part {
    /// What a line is behind one of this part.
    fn of(sentence: &Statement, last: Option<Self>) -> Self {
        match sentence {
            Statement::Server(_)
            | Statement::Backend(_)
            | Statement::Speaks(_)
            | Statement::Include(_)
            | Statement::Payload(_) => Self::Top,
            Statement::Tags(_) | Statement::Within(_) | Statement::Promise(_) => {
                if matches!(last, None | Some(Self::Top)) {
                    Self::Top
                } else {
                    Self::Heading
                }
            }
            Statement::Case(_) | Statement::Setup => Self::Case,
            Statement::Clients(_) | Statement::Waive(_) | Statement::Expected(_) => Self::Heading,
            Statement::Step(_) | Statement::Repeat(_) | Statement::End => Self::Body,
        }
    }
}

/// A line between two that say something.
#[derive(Clone, PartialEq)]
enum Between {
    Blank,
    Comment { text: String, indented: bool },
}

/// The canonical text in the making.
#[derive(Default)]
pub(super) struct Layout {
    text: String,
    last: Option<Part>,
    waiting: Vec<Between>,
}

impl Layout {
    /// Adds a line.
    pub(super) fn add(&mut self, row: &Row<'_>) {
        match (row.sentence, row.comment) {
            (Some(sentence), _) => self.sentence(row, sentence),
            (None, Some(text)) => self.waiting.push(Between::Comment {
                text: text.to_owned(),
                indented: row.indented,
            }),
            (None, None) => self.waiting.push(Between::Blank),
        }
    }

    /// The whole text.
    pub(super) fn finish(mut self) -> String {
        while self
            .waiting
            .pop_if(|last| *last == Between::Blank)
            .is_some()
        {}
        self.between(1, true);
        self.text
    }

    fn sentence(&mut self, row: &Row<'_>, sentence: &Statement) {
        let part = Part::of(sentence, self.last);
        let level = match part {
            Part::Top | Part::Case => 0,
            Part::Heading => 1,
            Part::Body => 1 + row.depth - usize::from(*sentence == Statement::End),
        };
        self.separate(part);
        // A comment above `end` belongs to the block.
        let above = level + usize::from(*sentence == Statement::End);
        match part {
            Part::Case => self.between(1, true),
            _ => self.between(above, false),
        }
        let comment = row.comment.map(|comment| format!("  {comment}"));
        let text = sentence.text(row.clients) + &comment.unwrap_or_default();
        self.line(level, &text);
        self.last = Some(part);
    }

    /// Makes sure of the blank lines that the canonical form has.
    fn separate(&mut self, next: Part) {
        let blank_at = match (self.last, next) {
            (Some(_), Part::Case) => Some(self.waiting.len() - self.attached()),
            (Some(Part::Case | Part::Heading), Part::Body) => {
                Some(0).filter(|_| !self.waiting.contains(&Between::Blank))
            }
            _ => None,
        };
        if let Some(at) = blank_at {
            self.waiting.insert(at, Between::Blank);
        }
    }

    /// How many comments stand right above a case and speak of it.
    fn attached(&self) -> usize {
        let above = self.waiting.iter().rev();
        above
            .take_while(|line| {
                matches!(
                    line,
                    Between::Comment {
                        indented: false,
                        ..
                    }
                )
            })
            .count()
    }

    /// Writes the lines that have waited, blank ones at most one at a time and never first; where `as_written`, a
    /// comment at the margin stays there.
    fn between(&mut self, level: usize, as_written: bool) {
        let waiting = std::mem::take(&mut self.waiting);
        let in_case = !matches!(self.last, None | Some(Part::Top));
        for line in waiting {
            match line {
                Between::Blank if self.text.is_empty() || self.text.ends_with("\n\n") => {}
                Between::Blank => self.text.push('\n'),
                Between::Comment { text, indented } => {
                    let at_margin = as_written && !(indented && in_case);
                    self.line(if at_margin { 0 } else { level }, &text);
                }
            }
        }
    }

    fn line(&mut self, level: usize, text: &str) {
        self.text.push_str(&"  ".repeat(level));
        self.text.push_str(text);
        self.text.push('\n');
    }
}
