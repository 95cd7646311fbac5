//! Programs that show defects mended, in several languages: whole, or what of them is about one kind of defect.
//!
//! They are whole servers in `fixtures/mended`, which tests build and drill. Marks in their comments tell what belongs to a kind: it
//! begins behind `: KIND …` and ends before `.`; lines behind `- ` are what is often written in its place, and one behind `~ ` before
//! them names the checks that fail by that (by nothing in its place, if there is no such line); one behind `= ` says why there is
//! nothing to do in this language.

use crate::checks;
use crate::model::defect::Defect;
use clap::ValueEnum;

/// So many lines are shown around those that are about a defect.
const AROUND: usize = 2;

/// The languages, as they are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    C,
    Python,
    Go,
    Node,
    Rust,
}

/// What is known of a language.
struct Written {
    language: Language,
    name: &'static str,
    comment: &'static str,
    /// The programs, by their names.
    programs: [(&'static str, &'static str); 3],
}

/// The three programs in one language.
macro_rules! programs {
    ($extension:literal) => {
        [
            (
                "lines",
                include_str!(concat!("../../fixtures/mended/lines.", $extension)),
            ),
            (
                "datagrams",
                include_str!(concat!("../../fixtures/mended/datagrams.", $extension)),
            ),
            (
                "paths",
                include_str!(concat!("../../fixtures/mended/paths.", $extension)),
            ),
        ]
    };
}

const ALL: &[Written] = &[
    Written {
        language: Language::C,
        name: "C",
        comment: "//",
        programs: programs!("c"),
    },
    Written {
        language: Language::Python,
        name: "Python",
        comment: "#",
        programs: programs!("py"),
    },
    Written {
        language: Language::Go,
        name: "Go",
        comment: "//",
        programs: programs!("go"),
    },
    Written {
        language: Language::Node,
        name: "Node.js",
        comment: "//",
        programs: programs!("js"),
    },
    Written {
        language: Language::Rust,
        name: "Rust",
        comment: "//",
        programs: programs!("rs"),
    },
];

/// What a line of a program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// It is there whatever is mended.
    Around,
    /// It is what mends the defect.
    Mended,
    /// It is what is often written in that place.
    Wrong,
    /// It says why nothing has to be mended.
    Remark,
    /// Lines are left out here.
    Gap,
}

/// A line of a passage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) sort: Sort,
    pub(super) text: String,
}

/// What a program in one language has about a defect, with the name of the language.
pub(super) struct Passage {
    pub(super) language: &'static str,
    /// Whether anything of it, written wrong or left out, breaks what it is about, or something says why nothing can.
    pub(super) matters: bool,
    pub(super) lines: Vec<Shown>,
}

/// What a passage is about: all of a kind of defect, or what of it breaks a check.
#[derive(Clone, Copy, Debug)]
pub(super) struct About {
    pub(super) defect: &'static Defect,
    pub(super) check: Option<&'static str>,
}

/// What a program has about a kind of defect, in each language, or in the one that is chosen.
pub(super) fn passages(about: About, chosen: Option<Language>) -> Vec<Passage> {
    let is_chosen = |written: &&Written| chosen.is_none_or(|language| language == written.language);
    let passage = |written: &Written| {
        let kind = about.defect.name;
        let lines = marked(written, about.defect.program);
        let (lines, is_broken) = breaking(lines, kind, about.check);
        let lines = passage(&lines, kind);
        Passage {
            language: written.name,
            matters: is_broken || lines.iter().any(|line| line.sort == Sort::Remark),
            lines,
        }
    };
    ALL.iter().filter(is_chosen).map(passage).collect()
}

/// A program as it may be saved and run, without a mark.
pub(super) fn whole(program: &str, language: Language) -> String {
    let written = ALL.iter().find(|written| written.language == language);
    let lines = written
        .map(|written| marked(written, program))
        .unwrap_or_default();
    let is_code = |line: &&Marked<'_>| matches!(line.sort, Sort::Around | Sort::Mended);
    lines
        .iter()
        .filter(is_code)
        .map(|line| format!("{}\n", line.text))
        .collect()
}

/// A line of a program, and the kinds of defects that it is about.
struct Marked<'a> {
    kinds: Vec<&'a str>,
    /// The checks that fail where it is written; of a line that is right, those that fail where it is not.
    checks: Vec<&'a str>,
    sort: Sort,
    text: String,
}

impl Marked<'_> {
    /// Whether it breaks a check, or any check of a kind.
    fn breaks(&self, kind: &str, check: Option<&str>) -> bool {
        let is_of_kind = |id: &&str| checks::find(id).is_some_and(|of| of.defect.name == kind);
        match check {
            Some(check) => self.checks.contains(&check),
            None => self.checks.iter().any(is_of_kind),
        }
    }

    /// Whether it goes with whatever is written wrong about its kind, such as an import.
    fn is_beside(&self) -> bool {
        self.checks.is_empty()
    }
}

/// The lines with what breaks a check, of all that is often written about a kind; and whether anything does.
fn breaking<'a>(
    mut lines: Vec<Marked<'a>>,
    kind: &str,
    check: Option<&str>,
) -> (Vec<Marked<'a>>, bool) {
    let is_of = |line: &Marked<'_>| line.kinds.contains(&kind);
    let is_broken = lines
        .iter()
        .any(|line| is_of(line) && line.breaks(kind, check));
    let is_shown = |line: &Marked<'_>| line.breaks(kind, check) || line.is_beside() && is_broken;
    lines.retain(|line| line.sort != Sort::Wrong || is_shown(line));
    (lines, is_broken)
}

fn marked(written: &Written, program: &str) -> Vec<Marked<'static>> {
    let found = written.programs.iter().find(|(name, _)| *name == program);
    let source = found.map_or("", |(_, source)| source);
    let mut all: Vec<Marked<'static>> = Vec::new();
    let (mut kinds, mut checks, mut last) = (Vec::new(), Vec::new(), Vec::new());
    for line in source.lines() {
        let (indent, mark) = line.split_at(line.len() - line.trim_start().len());
        let mark = mark.strip_prefix(written.comment).unwrap_or_default();
        let (sort, text) = match mark.split_at_checked(1) {
            Some((":", names)) => {
                kinds = names.split_whitespace().collect();
                checks.clear();
                last.clear();
                continue;
            }
            Some(("~", ids)) => {
                last = ids.split_whitespace().collect();
                checks.extend_from_slice(&last);
                continue;
            }
            Some((".", "")) => {
                kinds.clear();
                checks.clear();
                last.clear();
                continue;
            }
            Some(("-", wrong)) => (Sort::Wrong, format!("{indent}{}", behind_space(wrong))),
            Some(("=", remark)) => (Sort::Remark, behind_space(remark).to_owned()),
            _ if kinds.is_empty() => (Sort::Around, line.to_owned()),
            _ => (Sort::Mended, line.to_owned()),
        };
        all.push(Marked {
            kinds: kinds.clone(),
            checks: match sort {
                Sort::Wrong => last.clone(),
                _ => checks.clone(),
            },
            sort,
            text: text.replace('\t', "    "),
        });
    }
    all
}

fn behind_space(text: &str) -> &str {
    text.strip_prefix(' ').unwrap_or(text)
}

/// The lines about a kind, some around them, and gaps between.
fn passage(all: &[Marked<'_>], kind: &str) -> Vec<Shown> {
    let is_of = |line: &Marked<'_>| line.kinds.contains(&kind);
    let is_there =
        |line: &&Marked<'_>| is_of(line) || matches!(line.sort, Sort::Around | Sort::Mended);
    let lines: Vec<_> = all.iter().filter(is_there).collect();
    let is_near = |at: usize| {
        let near = at.saturating_sub(AROUND)..=(at + AROUND).min(lines.len() - 1);
        // A remark needs nothing around it.
        lines[near]
            .iter()
            .any(|line| is_of(line) && line.sort != Sort::Remark)
    };
    let mut shown: Vec<Shown> = Vec::new();
    let mut last = None;
    for (at, line) in lines.iter().enumerate() {
        let is_remark = line.sort == Sort::Remark;
        if !is_near(at) && !is_remark || line.text.trim().is_empty() && last.is_none() {
            continue;
        }
        if last.is_some_and(|last| last + 1 < at) {
            shown.push(Shown {
                sort: Sort::Gap,
                text: String::new(),
            });
        }
        last = Some(at);
        let sort = match line.sort {
            Sort::Mended if !is_of(line) => Sort::Around,
            sort => sort,
        };
        shown.push(Shown {
            sort,
            text: line.text.clone(),
        });
    }
    while shown
        .last()
        .is_some_and(|line| line.sort == Sort::Around && line.text.trim().is_empty())
    {
        shown.pop();
    }
    outdented(shown)
}

/// The same without the white space that all lines begin with.
fn outdented(lines: Vec<Shown>) -> Vec<Shown> {
    let is_code = |line: &&Shown| !line.text.trim().is_empty() && line.sort != Sort::Remark;
    let indents = lines
        .iter()
        .filter(is_code)
        .map(|line| line.text.len() - line.text.trim_start().len());
    let least = indents.min().unwrap_or(0);
    let cut = |line: Shown| Shown {
        text: match line.sort {
            Sort::Remark => line.text,
            _ => line.text.get(least..).unwrap_or_default().to_owned(),
        },
        ..line
    };
    lines.into_iter().map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::defects::DEFECTS;

    /// A mark, the code behind it and a margin have to fit a terminal.
    const WIDEST: usize = 76;

    #[test]
    fn every_defect_is_shown_in_every_language() {
        for defect in DEFECTS {
            let about = About {
                defect,
                check: None,
            };
            for passage in passages(about, None) {
                let name = format!("{} in {}", defect.name, passage.language);
                let is_told = |sort| passage.lines.iter().any(|line| line.sort == sort);
                assert!(is_told(Sort::Mended) || is_told(Sort::Remark), "{name}");
                for line in &passage.lines {
                    assert!(line.text.chars().count() <= WIDEST, "{name}: {}", line.text);
                }
            }
        }
    }

    #[test]
    fn every_mark_of_a_program_names_a_kind() {
        for written in ALL {
            for (program, _) in written.programs {
                for line in marked(written, program) {
                    for kind in line.kinds {
                        let is_known = DEFECTS
                            .iter()
                            .any(|of| of.name == kind && of.program == program);
                        assert!(is_known, "{kind} in {program} of {}", written.name);
                    }
                }
            }
        }
    }

    /// What is written wrong is shown under the checks that it breaks; each of them is run on it by `tests/servers/mended.rs`.
    #[test]
    fn what_is_written_wrong_names_no_check_but_of_its_kind() {
        for written in ALL {
            for (program, _) in written.programs {
                for line in marked(written, program) {
                    let named = |id: &&str| checks::find(id).map(|check| check.defect.name);
                    let all: Vec<_> = line.checks.iter().map(named).collect();
                    let is_of = |of: &Option<&str>| of.is_some_and(|of| line.kinds.contains(&of));
                    let name = format!("{program} in {}: {}", written.name, line.text);
                    assert!(all.iter().all(is_of), "{name}: {:?}", line.checks);
                }
            }
        }
    }

    const SOURCE: &str = "\
def a():
    one
    two
    #: leak
    #~ CHECK
    #- wrong
    right
    #.
    three
    four
    five
    #: reset
    #- other
    better
    #= nothing to do
    #.
";

    fn shown(kind: &str) -> Vec<(Sort, String)> {
        shown_of(kind, None)
    }

    /// Any two checks of the kind that the program has wrong.
    fn two_checks() -> (&'static str, &'static str) {
        let all = checks::all().into_iter();
        let mut ids = all
            .filter(|check| check.defect.name == "leak")
            .map(|check| check.id);
        (ids.next().unwrap(), ids.next().unwrap())
    }

    fn shown_of(kind: &str, check: Option<&str>) -> Vec<(Sort, String)> {
        let source: &'static str = SOURCE.replace("CHECK", two_checks().0).leak();
        let written = Written {
            language: Language::Python,
            name: "Python",
            comment: "#",
            programs: [("lines", source), ("", ""), ("", "")],
        };
        let (lines, _) = breaking(marked(&written, "lines"), kind, check);
        let lines = passage(&lines, kind).into_iter();
        lines.map(|line| (line.sort, line.text)).collect()
    }

    #[test]
    fn lines_about_a_defect_are_shown_with_some_around_them() {
        let line = |sort, text: &str| (sort, text.to_owned());
        let leak = [
            line(Sort::Around, "one"),
            line(Sort::Around, "two"),
            line(Sort::Wrong, "wrong"),
            line(Sort::Mended, "right"),
            line(Sort::Around, "three"),
            line(Sort::Around, "four"),
        ];
        assert_eq!(shown("leak"), leak);
    }

    #[test]
    fn what_is_written_wrong_is_shown_under_the_checks_that_it_breaks() {
        let is_shown = |check| {
            let lines = shown_of("leak", Some(check));
            assert!(lines.contains(&(Sort::Mended, "right".to_owned())));
            lines.contains(&(Sort::Wrong, "wrong".to_owned()))
        };
        let (broken, other) = two_checks();
        assert!(is_shown(broken));
        assert!(!is_shown(other));
    }

    #[test]
    fn what_mends_another_defect_is_there_without_what_was_wrong() {
        let reset = shown("reset");
        assert!(reset.iter().all(|(_, text)| text != "wrong"));
        assert_eq!(
            reset.last(),
            Some(&(Sort::Remark, "nothing to do".to_owned()))
        );
        assert!(whole("lines", Language::Python).contains("client.close()"));
        assert!(!whole("lines", Language::Python).contains("#:"));
    }
}
