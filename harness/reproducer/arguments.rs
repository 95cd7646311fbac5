//! The arguments of a step as expressions in Python.

use super::pattern;
use super::python::{Lines, bytes, inner_call, seconds, sum, text};
use crate::model::data::{Data, Part, Segmentation, Source};
use crate::model::error::Error;
use crate::model::form::{Argument, Bound, Form, Python};
use crate::model::template::{Hole, Template};

/// The longest generated data that is written out.
const WRITTEN_OUT: usize = 48;

/// Whose step it is.
#[derive(Clone, Copy)]
pub(super) struct Actor<'a> {
    /// The variable that it stands in.
    pub(super) name: &'a str,
    /// Whether it is one of a crowd.
    pub(super) is_member: bool,
}

/// What a step passes to its method.
///
/// # Errors
/// Python has no words for an argument.
pub(super) fn arguments(form: &Form<'_>, actor: Actor<'_>) -> Result<Vec<Lines>, Error> {
    let mut all: Vec<Lines> = Vec::new();
    for argument in &form.arguments {
        match argument {
            // It divides the data before it.
            Argument::Segmentation(segmentation) => {
                let data = all.pop().unwrap_or_default();
                all.push(segments(segmentation, data));
            }
            argument => match form.python {
                Python::Ways(_) => all.extend(ways(argument, actor)?),
                _ => all.extend(expressions(argument, actor)),
            },
        }
    }
    Ok(all)
}

/// What a way in which something may come is in Python; of anything else, what it is.
fn ways(argument: &Argument<'_>, actor: Actor<'_>) -> Result<Vec<Lines>, Error> {
    let parts = match argument {
        Argument::Data(data) => vec![data_of(data, actor)],
        Argument::Template(template) => parts_of(template, actor)?,
        Argument::Ends(_) => {
            return Ok(vec![inner_call("EndBy", &expressions(argument, actor))]);
        }
        _ => return Ok(expressions(argument, actor)),
    };
    Ok(vec![inner_call("Text", &parts)])
}

/// The parts of a text, and its holes between them.
fn parts_of(template: &Template, actor: Actor<'_>) -> Result<Vec<Lines>, Error> {
    let part = |part: &[u8]| (!part.is_empty()).then(|| bytes(part));
    let mut all: Vec<_> = part(&template.first).into_iter().collect();
    for (hole, behind) in &template.rest {
        all.push(match hole {
            Hole::Any => vec!["ANY".to_owned()],
            Hole::Line => vec!["LINE".to_owned()],
            Hole::Variable(name) => vec![told(name, actor)],
            Hole::Pattern { name, pattern } => {
                let name = name.iter().map(|name| vec![text(name)]);
                let pattern = pattern::literal(&pattern::in_python(pattern)?);
                let arguments: Vec<_> = [pattern].into_iter().chain(name).collect();
                inner_call("Hole", &arguments)
            }
        });
        all.extend(part(behind));
    }
    Ok(all)
}

/// What a client knows by a name.
fn told(name: &str, actor: Actor<'_>) -> String {
    format!("{}.told({})", actor.name, text(name))
}

fn expressions(argument: &Argument<'_>, actor: Actor<'_>) -> Vec<Lines> {
    let one = |text: String| vec![vec![text]];
    match argument {
        Argument::Word(_)
        | Argument::Segmentation(_)
        | Argument::After(_)
        | Argument::From(_, Bound::ByPort) => Vec::new(),
        Argument::Flag(_, python) => one((*python).to_owned()),
        Argument::Data(data) => vec![data_of(data, actor)],
        Argument::Template(template) => texts(template, actor),
        Argument::Text(text) => vec![bytes(text)],
        Argument::Texts(name, texts) => one(format!("{name}={texts:?}")),
        Argument::Byte(byte) => vec![bytes(&[*byte])],
        Argument::Size(size) => one(size.to_string()),
        Argument::Setting(name, size) => one(format!("{}({size})", name.replace('-', "_"))),
        Argument::From(from, Bound::ByAddress) => one(format!("source(\"{from}\")")),
        Argument::To(to) => one(format!("to=\"{to}\"")),
        Argument::Time(time) | Argument::Every(time) => one(seconds(*time)),
        Argument::Within(time) => one(format!("within={}", seconds(*time))),
        Argument::Number(number) => one(number.to_string()),
        Argument::Signal(signal) => one(format!("signal.SIG{signal}")),
        Argument::Ends(kinds) => kinds
            .iter()
            .map(|kind| vec![text(&kind.to_string())])
            .collect(),
    }
}

/// The parts of a text with holes, and in front of which of them no newline may stand.
fn texts(template: &Template, actor: Actor<'_>) -> Vec<Lines> {
    if template.variables().next().is_some() {
        let first = (!template.first.is_empty()).then(|| bytes(&template.first));
        let rest = template.rest.iter().flat_map(|(hole, part)| {
            let value = match hole {
                Hole::Variable(name) => Some(vec![told(name, actor)]),
                _ => None,
            };
            let part = (!part.is_empty()).then(|| bytes(part));
            value.into_iter().chain(part)
        });
        return vec![sum(&first.into_iter().chain(rest).collect::<Vec<_>>())];
    }
    let first = std::iter::once(bytes(&template.first));
    let rest = template.rest.iter().map(|(_, part)| bytes(part));
    let holes = (1..).zip(&template.rest);
    let lines = holes.filter(|(_, (hole, _))| *hole == Hole::Line);
    let lines: String = lines.map(|(number, _)| format!("{number}, ")).collect();
    let lines = (!lines.is_empty()).then(|| vec![format!("lines=({})", lines.trim_end())]);
    first.chain(rest).chain(lines).collect()
}

/// Data as an expression: written out where it is short, else made by the same generator.
fn data_of(data: &Data, actor: Actor<'_>) -> Lines {
    if let Source::Parts(parts) = &data.source {
        return made_of(parts, data, actor);
    }
    let own = match actor.is_member {
        true => format!(", {}.member", actor.name),
        false => String::new(),
    };
    let is_long = |size: usize| size > WRITTEN_OUT || actor.is_member;
    let generator = match &data.source {
        Source::Pattern { bytes, seed } if is_long(*bytes) => {
            Some(("noise", bytes.to_string(), seed))
        }
        Source::Text { bytes, seed, line } if is_long(*bytes) => {
            let name = if *line { "line" } else { "letters" };
            Some((name, bytes.to_string(), seed))
        }
        Source::Lines { bytes, each, seed } if is_long(*bytes) => {
            Some(("lines_of", format!("{bytes}, {each}"), seed))
        }
        _ => None,
    };
    let mut lines = match generator {
        Some((name, size, seed)) => {
            let upper = if data.capitals { ".upper()" } else { "" };
            vec![format!("{name}({size}, {seed}{own}){upper}")]
        }
        None => bytes(&data.clone().times(1).bytes(0)),
    };
    if data.times > 1 && lines.len() > 1 {
        let inside = lines.iter().map(|line| format!("    {line}")).collect();
        lines = [vec!["(".to_owned()], inside, vec![")".to_owned()]].concat();
    }
    if let Some(last) = lines.last_mut().filter(|_| data.times > 1) {
        last.push_str(&format!(" * {}", data.times));
    }
    lines
}

/// Data that has variables.
fn made_of(parts: &[Part], data: &Data, actor: Actor<'_>) -> Lines {
    let parts = parts.iter().map(|part| match part {
        Part::Bytes(written) => bytes(written),
        Part::Variable(name) => vec![told(name, actor)],
    });
    let parts: Vec<_> = parts.collect();
    let mut lines = sum(&parts);
    let capitals = if data.capitals { ".upper()" } else { "" };
    let times = match data.times {
        1 => String::new(),
        times => format!(" * {times}"),
    };
    let is_enclosed = lines.len() > 1 || parts.len() == 1;
    if !(capitals.is_empty() && times.is_empty() || is_enclosed) {
        lines = vec![format!("({})", lines.concat())];
    }
    if let Some(last) = lines.last_mut() {
        last.push_str(&format!("{capitals}{times}"));
    }
    lines
}

fn segments(segmentation: &Segmentation, data: Lines) -> Lines {
    match segmentation {
        Segmentation::Whole => data,
        Segmentation::Pieces(size) => inner_call("pieces", &[data, vec![size.to_string()]]),
        Segmentation::At(positions) => {
            let positions = positions.iter().map(|at| vec![at.to_string()]);
            let arguments: Vec<_> = [data].into_iter().chain(positions).collect();
            inner_call("cut_at", &arguments)
        }
    }
}
