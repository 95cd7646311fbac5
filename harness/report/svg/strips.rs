//! What the kernel knew of a server in the course of a trial, a strip each.

use super::axis::Axis;
use crate::report::trace::{Trace, TracedFigures};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The height that a strip's highest value has.
pub(super) const HEIGHT: f64 = 22.0;

/// One figure over the time of a trial.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Strip {
    pub(crate) name: String,
    /// The highest value, with its unit.
    pub(crate) most: String,
    /// Its course with cuts, and to scale.
    pub(crate) folded: Course,
    pub(crate) linear: Course,
    /// How far down it stands.
    pub(crate) top: f64,
}

/// The course of a figure as paths.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Course {
    /// A dot for each moment at which it was looked at: more is not known.
    pub(crate) dots: String,
    /// What is between them, where it is taken to have kept its value.
    pub(crate) between: String,
}

/// A figure, what it is called, and how its values are told.
struct Figure {
    name: String,
    values: Vec<f64>,
    unit: fn(f64) -> String,
}

/// The strips of a trial, but for what was nothing all the time; `top` is where the first one stands, and they are so far apart.
pub(super) fn strips(
    trace: &Trace,
    folded: &Axis,
    linear: &Axis,
    top: f64,
    apart: f64,
) -> Vec<Strip> {
    let figures = figures(&trace.figures);
    let shown = figures.into_iter().filter(|figure| most(figure) > 0.0);
    let strips = shown.enumerate().map(|(n, figure)| Strip {
        most: (figure.unit)(most(&figure)),
        folded: course(&trace.figures, &figure, folded),
        linear: course(&trace.figures, &figure, linear),
        top: top + apart * n as f64,
        name: figure.name,
    });
    strips.collect()
}

fn most(figure: &Figure) -> f64 {
    figure.values.iter().copied().fold(0.0, f64::max)
}

fn figures(seen: &[TracedFigures]) -> Vec<Figure> {
    let of = |name: &str, unit: fn(f64) -> String, value: &dyn Fn(&TracedFigures) -> f64| Figure {
        name: name.to_owned(),
        values: seen.iter().map(value).collect(),
        unit,
    };
    let mut all = vec![
        of("accept queue", count, &|seen| f64::from(seen.accept_queue)),
        of("bytes unread", bytes, &|seen| seen.unread_bytes as f64),
    ];
    let states: BTreeSet<&String> = seen
        .iter()
        .flat_map(|seen| seen.connections.keys())
        .collect();
    all.extend(states.into_iter().map(|state| {
        of(state, count, &|seen| {
            seen.connections.get(state).copied().unwrap_or(0) as f64
        })
    }));
    all.push(of("open files", count, &|seen| seen.open_files as f64));
    all.push(of("processes", count, &|seen| seen.processes as f64));
    all.push(of("threads", count, &|seen| seen.threads as f64));
    all.push(of("memory", bytes, &|seen| seen.resident_bytes as f64));
    all.push(Figure {
        name: "processor".to_owned(),
        values: processor(seen),
        unit: percent,
    });
    all
}

/// The share of one processor between a moment and the next, which stands at the former: of what comes behind the last none is known.
fn processor(seen: &[TracedFigures]) -> Vec<f64> {
    let share = |pair: &[TracedFigures]| {
        let used = pair[1].cpu_us.saturating_sub(pair[0].cpu_us) as f64;
        used * 100.0 / (pair[1].at_us - pair[0].at_us).max(1) as f64
    };
    seen.windows(2).map(share).collect()
}

/// The course of a figure, from the first look at it to the last one.
fn course(seen: &[TracedFigures], figure: &Figure, axis: &Axis) -> Course {
    let most = most(figure);
    let (mut dots, mut between) = (String::new(), String::new());
    for (seen, value) in seen.iter().zip(&figure.values) {
        let (x, y) = (
            axis.place(seen.at_us),
            HEIGHT - value / most * (HEIGHT - 2.0),
        );
        // A stroke without a length has round ends.
        let _ = write!(dots, "M{x:.1} {y:.1}h0");
        let _ = match between.is_empty() {
            true => write!(between, "M{x:.1} {y:.1}"),
            false => write!(between, "H{x:.1}V{y:.1}"),
        };
    }
    // A share lasts until the next look.
    if let Some(next) = seen.get(figure.values.len()) {
        let _ = write!(between, "H{:.1}", axis.place(next.at_us));
    }
    Course { dots, between }
}

fn count(value: f64) -> String {
    format!("{value:.0}")
}

fn percent(value: f64) -> String {
    format!("{value:.0} %")
}

fn bytes(value: f64) -> String {
    match value {
        _ if value >= 1e6 => format!("{:.1} MB", value / 1e6),
        _ if value >= 1e4 => format!("{:.0} kB", value / 1e3),
        _ => format!("{value:.0} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn seen(at_us: u64, accept_queue: u32, cpu_us: u64) -> TracedFigures {
        TracedFigures {
            at_us,
            accept_queue,
            backlog: 8,
            connections: BTreeMap::from([("CLOSE_WAIT".to_owned(), accept_queue as usize)]),
            unread_bytes: 0,
            open_files: 4,
            processes: 1,
            threads: 1,
            resident_bytes: 2_500_000,
            cpu_us,
            output_bytes: 0,
        }
    }

    #[test]
    fn strip_has_a_dot_for_each_look_and_its_highest_value_and_ends_with_the_last_look() {
        let trace = Trace {
            figures: vec![seen(0, 0, 0), seen(500, 4, 250), seen(1000, 2, 250)],
            ..Trace::default()
        };
        let axis = Axis::to_scale(&[0, 500, 1000, 2000], 1000.0);
        let strips = strips(&trace, &axis, &axis, 0.0, 30.0);
        let names: Vec<&str> = strips.iter().map(|strip| strip.name.as_str()).collect();
        let told = [
            "accept queue",
            "CLOSE_WAIT",
            "open files",
            "processes",
            "threads",
            "memory",
        ];
        assert_eq!(names, [&told[..], &["processor"]].concat());
        assert_eq!(strips[0].most, "4");
        let course = &strips[0].linear;
        assert_eq!(course.dots, "M0.0 22.0h0M250.0 2.0h0M500.0 12.0h0");
        assert_eq!(course.between, "M0.0 22.0H250.0V2.0H500.0V12.0");
        assert_eq!(strips[5].most, "2.5 MB");
        assert_eq!(strips[6].most, "50 %");
        let share = &strips[6].linear;
        assert_eq!(share.dots, "M0.0 2.0h0M250.0 22.0h0");
        assert_eq!(share.between, "M0.0 2.0H250.0V22.0H500.0");
        assert_eq!((strips[0].top, strips[2].top), (0.0, 60.0));
    }
}
