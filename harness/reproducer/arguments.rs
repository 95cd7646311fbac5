//! The arguments of a step as expressions in Python.

use super::python::{Lines, bytes, inner_call, seconds, text};
use crate::model::data::{Data, Segmentation, Source};
use crate::model::form::{Argument, Bound, Form};
use crate::model::template::{Hole, Template};

/// The longest generated data that is written out.
const WRITTEN_OUT: usize = 48;

/// What a step passes to its method; `member` is the number of a crowd's client.
pub(super) fn arguments(form: &Form<'_>, member: Option<&str>) -> Vec<Lines> {
    let mut all: Vec<Lines> = Vec::new();
    for argument in &form.arguments {
        match argument {
            // It divides the data before it.
            Argument::Segmentation(segmentation) => {
                let data = all.pop().unwrap_or_default();
                all.push(segments(segmentation, data));
            }
            argument => all.extend(expressions(argument, member)),
        }
    }
    all
}

fn expressions(argument: &Argument<'_>, member: Option<&str>) -> Vec<Lines> {
    let one = |text: String| vec![vec![text]];
    match argument {
        Argument::Word(_) | Argument::Segmentation(_) | Argument::From(_, Bound::ByPort) => {
            Vec::new()
        }
        Argument::Flag(_, python) => one((*python).to_owned()),
        Argument::Data(data) => vec![data_of(data, member)],
        Argument::Template(template) => texts(template),
        Argument::Text(text) => vec![bytes(text)],
        Argument::Texts(name, texts) => one(format!("{name}={texts:?}")),
        Argument::Byte(byte) => vec![bytes(&[*byte])],
        Argument::Size(size) => one(size.to_string()),
        Argument::Setting(name, size) => one(format!("{}({size})", name.replace('-', "_"))),
        Argument::From(from, Bound::ByAddress) => one(format!("source(\"{from}\")")),
        Argument::To(to) => one(format!("to=\"{to}\"")),
        Argument::Time(time) | Argument::Every(time) => one(seconds(*time)),
        Argument::After(time) => one(format!("after={}", seconds(*time))),
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
fn texts(template: &Template) -> Vec<Lines> {
    let first = std::iter::once(bytes(&template.first));
    let rest = template.rest.iter().map(|(_, part)| bytes(part));
    let holes = (1..).zip(&template.rest);
    let lines = holes.filter(|(_, (hole, _))| *hole == Hole::Line);
    let lines: String = lines.map(|(number, _)| format!("{number}, ")).collect();
    let lines = (!lines.is_empty()).then(|| vec![format!("lines=({})", lines.trim_end())]);
    first.chain(rest).chain(lines).collect()
}

/// Data as an expression: written out where it is short, else made by the same generator.
fn data_of(data: &Data, member: Option<&str>) -> Lines {
    let own = member.map(|member| format!(", {member}"));
    let own = own.unwrap_or_default();
    let is_long = |size: usize| size > WRITTEN_OUT || member.is_some();
    let generator = match &data.source {
        Source::Pattern { bytes, seed } if is_long(*bytes) => Some(("noise", bytes, seed)),
        Source::Text { bytes, seed, line } if is_long(*bytes) => {
            Some((if *line { "line" } else { "letters" }, bytes, seed))
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
