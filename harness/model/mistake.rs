//! What is wrong with a scenario file: each mistake with its place, and with what to write instead.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde::Serialize;
use std::fmt;
use std::ops::Range;

/// One mistake in one line of a scenario file.
///
/// ```
/// use sockdrill::{DrillFile, Error};
///
/// let text = "case hello\n  clients: alice\n\n  alice conect\n  alice sned \"hello\"\n";
/// let Err(Error::Scenario(mistakes)) = DrillFile::parse("hello.drill", text) else {
///     panic!("these are two mistakes");
/// };
/// let lines: Vec<_> = mistakes.all().iter().map(|mistake| (mistake.line, mistake.column)).collect();
/// assert_eq!(lines, [(4, 9), (5, 9)]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Mistake {
    /// The file, and in JSON the way to the element in it.
    pub file: String,
    /// The line, counted from one; 0 where the file has no lines of its own.
    pub line: usize,
    /// The first letter that is wrong, counted from one.
    pub column: usize,
    /// The letter behind the last that is wrong.
    pub end_column: usize,
    /// What is wrong.
    pub message: String,
    /// What to write there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What else there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The line as it stands.
    pub text: String,
    /// The bytes of it that are wrong.
    #[serde(skip)]
    pub(crate) span: Range<usize>,
}

impl Mistake {
    /// The mistake in one line, as compilers and editors pass it on: `FILE:LINE:COLUMN: MESSAGE; LABEL`.
    pub fn in_one_line(&self) -> String {
        let (file, line, column) = (&self.file, self.line.max(1), self.column);
        let label = self.label.as_ref();
        let label = label.map_or(String::new(), |label| format!("; {label}"));
        // One that is told of another file shows its place there in between.
        let mut said = self.message.lines();
        let ends = [said.next(), said.next_back()];
        let message = ends.into_iter().flatten().collect::<Vec<_>>().join(": ");
        format!("{file}:{line}:{column}: error: {message}{label}")
    }
}

/// Shown in its line with a caret under what is wrong.
impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let annotation = AnnotationKind::Primary
            .span(self.span.clone())
            .label(self.label.as_deref());
        let snippet = Snippet::source(&self.text)
            .line_start(self.line.max(1))
            .path(&self.file)
            .annotation(annotation);
        // Who prints it says that this is an error, so the title does not.
        let title = Level::ERROR.no_name().primary_title(&self.message);
        let help = self.help.as_deref().map(|help| Level::HELP.message(help));
        let report = title.element(snippet).elements(help);
        f.write_str(&Renderer::plain().render(&[report]))
    }
}

/// All mistakes of scenario files, at least one, in the order of their lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes {
    all: Vec<Mistake>,
    /// The file was read no further.
    is_cut: bool,
}

impl Mistakes {
    /// As many are told of a file: whoever has made more of them mends these first.
    pub(crate) const MOST: usize = 100;

    /// These mistakes, which are not none.
    pub(crate) fn of(mut all: Vec<Mistake>) -> Self {
        let is_cut = all.len() >= Self::MOST;
        all.truncate(Self::MOST);
        Self { all, is_cut }
    }

    /// The same with those of another file behind them.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.all.extend(other.all);
        self.is_cut |= other.is_cut;
        self
    }

    /// The same without some, of which there may be none left.
    pub(crate) fn but_for(mut self, is_out: impl Fn(&Mistake) -> bool) -> Self {
        self.all.retain(|mistake| !is_out(mistake));
        self
    }

    /// Each of them.
    pub fn all(&self) -> &[Mistake] {
        &self.all
    }
}

/// Each with its line, and how many there are where there are several.
impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<_> = self.all.iter().map(Mistake::to_string).collect();
        f.write_str(&shown.join("\n\n"))?;
        match self.all.len() {
            _ if self.is_cut => write!(f, "\n\nwhat stands behind so many mistakes was not read"),
            0 | 1 => Ok(()),
            many => write!(f, "\n\n{many} mistakes"),
        }
    }
}
