//! A trial drawn: lanes, what passed between them, and strips below, each with its place.

use super::axis::Axis;
use super::lanes::{Lane, Of, Others, lanes, name_of};
use super::strips::{Strip, strips};
use crate::model::literal::Measured;
use crate::model::phase::Phase;
use crate::report::trace::{Direction, Trace, TracedEvent, TracedStep};
use std::time::Duration;

/// The width of the axis.
const WIDTH: f64 = 1000.0;

/// Where the first lane stands, and how far lanes are apart.
const FIRST_LANE: f64 = 44.0;
const APART: f64 = 36.0;

/// How far below the axis the first strip stands: between them is told what was cut.
const STRIPS_BELOW: f64 = 42.0;

/// How far strips are apart.
const STRIPS_APART: f64 = 30.0;

/// The width of a character of a label.
const CHARACTER: f64 = 6.1;

/// So many characters of an event are its label.
const MOST_LABEL: usize = 34;

/// So many places on the axis are told.
const TICKS: usize = 10;

/// A trial drawn. Places on the axis are of 1000; each is told twice, with quiet times cut and to scale.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Drawing {
    pub(crate) lanes: Vec<DrawnLane>,
    pub(crate) bands: Vec<Band>,
    pub(crate) bars: Vec<Bar>,
    pub(crate) marks: Vec<Mark>,
    pub(crate) ticks: Vec<Tick>,
    pub(crate) linear_ticks: Vec<Tick>,
    pub(crate) cuts: Vec<DrawnCut>,
    pub(crate) strips: Vec<Strip>,
    /// Where the axis stands below the lanes, and the lower end of all.
    pub(crate) axis_top: f64,
    pub(crate) height: f64,
    /// What is said of clients that have no lane, where there are such.
    pub(crate) without_a_lane: Option<String>,
    /// What it shows, in words.
    pub(crate) summary: String,
}

/// A lane and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DrawnLane {
    pub(crate) name: String,
    pub(crate) class: &'static str,
    pub(crate) role: &'static str,
    pub(crate) is_folded: bool,
    pub(crate) y: f64,
}

/// A part of the trial.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Band {
    pub(crate) name: &'static str,
    pub(crate) is_scenario: bool,
    pub(crate) from: Place,
    pub(crate) to: Place,
}

/// Something that lasted: the life of a connection or of the server, or a step.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bar {
    pub(crate) class: &'static str,
    pub(crate) lane: usize,
    pub(crate) y: f64,
    pub(crate) is_folded: bool,
    pub(crate) from: Place,
    pub(crate) to: Place,
    pub(crate) title: String,
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mark {
    /// Which of the events of the trace it is.
    pub(crate) event: usize,
    pub(crate) class: &'static str,
    pub(crate) is_wrong: bool,
    pub(crate) lane: usize,
    pub(crate) y: f64,
    /// The lane that it goes to, where it passes from one to another.
    pub(crate) to: Option<usize>,
    pub(crate) to_y: f64,
    /// It goes from the lane of its client to the other.
    pub(crate) goes_out: bool,
    pub(crate) is_folded: bool,
    pub(crate) at: Place,
    pub(crate) label: String,
    /// There is no room for its label.
    pub(crate) is_silent: bool,
    /// There is none behind it, and its label stands before it.
    pub(crate) is_at_the_end: bool,
    pub(crate) title: String,
}

/// A place on the axis: with quiet times cut, and to scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) folded: f64,
    pub(crate) linear: f64,
}

/// A place whose moment is told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    pub(crate) x: f64,
    pub(crate) text: String,
}

/// A quiet time that was cut.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DrawnCut {
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) text: String,
}

impl Place {
    /// How long it is, with quiet times cut, to a later place.
    pub(crate) fn until(&self, later: &Self) -> String {
        format!("{:.1}", (later.folded - self.folded).max(0.0))
    }
}

impl DrawnCut {
    pub(crate) fn width(&self) -> String {
        format!("{:.1}", self.right - self.left)
    }
}

fn told(at_us: u64) -> String {
    match at_us {
        0..1_000 => format!("{at_us} µs"),
        _ => Measured(Duration::from_micros(at_us)).to_string(),
    }
}

impl Mark {
    /// Whether it goes from its lane to the other.
    pub(crate) fn down(&self) -> bool {
        self.goes_out
    }

    /// The arrow from the one to the other, its head where it arrives.
    pub(crate) fn arrow(&self) -> String {
        let to = self.to_y - self.y;
        match self.goes_out {
            true => format!("M0 0V{to}m-4 -7l4 7l4 -7"),
            false => format!("M0 {to}V0m-4 7l4 -7l4 7"),
        }
    }
}

impl Drawing {
    /// A trial drawn; nothing where nothing happened.
    pub(crate) fn of(trace: &Trace) -> Option<Self> {
        let mut moments: Vec<u64> = trace.events.iter().map(|event| event.at_us).collect();
        moments.sort_unstable();
        moments.dedup();
        moments.last()?;
        let axes = Axes {
            folded: Axis::with_cuts(&moments, WIDTH),
            linear: Axis::to_scale(&moments, WIDTH),
        };
        let (lanes, others) = lanes(trace);
        let seen = lanes.iter().filter(|lane| !lane.is_folded).count();
        let axis_top = FIRST_LANE + APART * seen as f64 - 8.0;
        let strips = strips(
            trace,
            &axes.folded,
            &axes.linear,
            axis_top + STRIPS_BELOW,
            STRIPS_APART,
        );
        let height = axis_top + STRIPS_BELOW + 28.0 + STRIPS_APART * strips.len() as f64;
        let ys = ys(&lanes);
        let stage = Stage {
            trace,
            lanes: &lanes,
            others,
            ys: &ys,
            axes: &axes,
        };
        Some(Self {
            bands: stage.bands(),
            bars: stage.bars(),
            marks: stage.marks(),
            ticks: ticks(&axes.folded),
            linear_ticks: ticks(&axes.linear),
            cuts: axes.drawn_cuts(),
            without_a_lane: stage.without_a_lane(),
            summary: stage.summary(),
            lanes: drawn(&lanes, &ys),
            strips,
            axis_top,
            height,
        })
    }
}

/// The axis in both of its forms.
struct Axes {
    folded: Axis,
    linear: Axis,
}

impl Axes {
    fn place(&self, at_us: u64) -> Place {
        Place {
            folded: self.folded.place(at_us),
            linear: self.linear.place(at_us),
        }
    }

    fn drawn_cuts(&self) -> Vec<DrawnCut> {
        let cuts = self.folded.cuts().map(|cut| DrawnCut {
            left: cut.left,
            right: cut.right,
            text: told(cut.lasts_us),
        });
        cuts.collect()
    }
}

fn ticks(axis: &Axis) -> Vec<Tick> {
    let ticks = axis.ticks(TICKS).into_iter();
    ticks
        .map(|x| Tick {
            x,
            text: told(axis.moment(x)),
        })
        .collect()
}

/// Where each lane stands while those that are folded are not seen.
fn ys(lanes: &[Lane]) -> Vec<f64> {
    let mut y = FIRST_LANE;
    let next = |lane: &Lane| {
        let here = y;
        if !lane.is_folded {
            y += APART;
        }
        here
    };
    lanes.iter().map(next).collect()
}

fn drawn(lanes: &[Lane], ys: &[f64]) -> Vec<DrawnLane> {
    let lanes = lanes.iter().zip(ys).map(|(lane, y)| DrawnLane {
        name: lane.name.clone(),
        class: match lane.of {
            Of::Client => "client",
            Of::Server => "server",
            Of::Host => "host",
        },
        role: lane.role,
        is_folded: lane.is_folded,
        y: *y,
    });
    lanes.collect()
}

/// What is drawn, and where.
struct Stage<'a> {
    trace: &'a Trace,
    lanes: &'a [Lane],
    others: Others,
    ys: &'a [f64],
    axes: &'a Axes,
}

impl Stage<'_> {
    fn lane_of(&self, name: &str) -> Option<usize> {
        self.lanes.iter().position(|lane| lane.name == name)
    }

    fn bands(&self) -> Vec<Band> {
        let events = &self.trace.events;
        let end = events.last().map_or(0, |last| last.at_us);
        let groups: Vec<&[TracedEvent]> = events
            .chunk_by(|one, next| one.phase == next.phase)
            .collect();
        let begins = groups.iter().map(|group| group[0].at_us);
        let ends = begins.clone().skip(1).chain([end]);
        let bands = groups.iter().zip(begins.zip(ends));
        bands
            .map(|(group, (from, to))| Band {
                name: phase_name(group[0].phase),
                is_scenario: group[0].phase == Phase::Scenario,
                from: self.axes.place(from),
                to: self.axes.place(to),
            })
            .collect()
    }

    fn bars(&self) -> Vec<Bar> {
        let lives = self
            .lanes
            .iter()
            .enumerate()
            .flat_map(|(n, lane)| self.lives(n, lane));
        let steps = self
            .trace
            .steps
            .iter()
            .flat_map(|step| self.step_bars(step));
        lives.chain(steps).collect()
    }

    /// From when to when a client was connected, or the server ran.
    fn lives(&self, n: usize, lane: &Lane) -> Vec<Bar> {
        let mut since: Option<u64> = None;
        let mut bars = Vec::new();
        let events = self
            .trace
            .events
            .iter()
            .filter(|event| name_of(event) == lane.name);
        for event in events {
            let ends = matches!(
                event.kind.as_str(),
                "closed" | "reset" | "vanished" | "connect-failed" | "exited" | "gone" | "killed"
            );
            match (event.kind.as_str(), since) {
                ("connecting" | "started", None) => since = Some(event.at_us),
                (_, Some(from)) if ends => {
                    bars.push(self.bar("life", n, from, event.at_us, String::new()));
                    since = None;
                }
                _ => {}
            }
        }
        let end = self.trace.events.last().map_or(0, |last| last.at_us);
        bars.extend(since.map(|from| self.bar("life", n, from, end, String::new())));
        bars
    }

    /// The time of a step, in the lanes of those who took it.
    fn step_bars(&self, step: &TracedStep) -> Vec<Bar> {
        let (Some(who), Some(from), Some(to)) = (&step.who, step.began_us, step.ended_us) else {
            return Vec::new();
        };
        let is_of = |lane: &Lane| {
            lane.name == *who
                || lane
                    .name
                    .strip_prefix(who)
                    .is_some_and(|rest| rest.starts_with('['))
        };
        let lanes = self
            .lanes
            .iter()
            .enumerate()
            .filter(|(_, lane)| is_of(lane));
        let title = format!("{} ({})", step.text, told(to.saturating_sub(from)));
        lanes
            .map(|(n, _)| self.bar("step", n, from, to, title.clone()))
            .collect()
    }

    fn bar(&self, class: &'static str, lane: usize, from: u64, to: u64, title: String) -> Bar {
        Bar {
            class,
            lane,
            y: self.ys[lane],
            is_folded: self.lanes[lane].is_folded,
            from: self.axes.place(from),
            to: self.axes.place(to),
            title,
        }
    }

    fn marks(&self) -> Vec<Mark> {
        let server = self.lane_of("server");
        let events = self.trace.events.iter().enumerate();
        let mut marks: Vec<Mark> = events
            .filter_map(|(n, event)| self.mark(n, event, server))
            .collect();
        silence(&mut marks, self.lanes.len());
        marks
    }

    fn mark(&self, n: usize, event: &TracedEvent, server: Option<usize>) -> Option<Mark> {
        let lane = self.lane_of(name_of(event))?;
        let to = event.direction.and(server).filter(|to| *to != lane);
        let who = event.who.as_deref().unwrap_or("host");
        Some(Mark {
            event: n,
            class: class(event),
            is_wrong: event.wrong,
            lane,
            y: self.ys[lane],
            to,
            to_y: to.map_or(0.0, |to| self.ys[to]),
            goes_out: event.direction == Some(Direction::ToServer),
            is_folded: self.lanes[lane].is_folded,
            at: self.axes.place(event.at_us),
            label: shortened(label(event), MOST_LABEL),
            is_silent: false,
            is_at_the_end: false,
            title: format!(
                "{} {who} {}",
                told(event.at_us),
                shortened(&event.text, 200)
            ),
        })
    }

    fn drawn_clients(&self) -> usize {
        let clients = self.lanes.iter().filter(|lane| lane.of == Of::Client);
        clients.count()
    }

    /// How many clients have a lane and what of the others is told, where not all of them do.
    fn without_a_lane(&self) -> Option<String> {
        let (drawn, Others { told, alike }) = (self.drawn_clients(), self.others);
        let others = [
            (told, "more are in the list of events"),
            (alike, "came to the same end as others"),
        ];
        let others = others.iter().filter(|(many, _)| *many > 0);
        let others: String = others
            .map(|(many, what)| format!("; {many} {what}"))
            .collect();
        let all = drawn + told + alike;
        (!others.is_empty()).then(|| format!("{drawn} of {all} clients have a lane{others}"))
    }

    fn summary(&self) -> String {
        let clients = self.drawn_clients() + self.others.told + self.others.alike;
        let wrong = self.trace.events.iter().find(|event| event.wrong);
        let wrong = wrong.map_or_else(String::new, |event| {
            let who = event.who.as_deref().unwrap_or("host");
            format!(
                "; wrong is, {} after it began: {who} {}",
                told(event.at_us),
                shortened(&event.text, 120)
            )
        });
        format!(
            "{} events of {clients} clients and the server{wrong}",
            self.trace.events.len()
        )
    }
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Before => "polite client before",
        Phase::BystanderConnects => "bystander comes",
        Phase::Scenario => "scenario",
        Phase::BystanderAgain => "bystander again",
        Phase::After => "polite client after",
        Phase::Crowd => "as many polite clients",
        Phase::Pressure => "polite clients in number",
    }
}

/// How an event is drawn.
fn class(event: &TracedEvent) -> &'static str {
    let is = |words: &[&str]| words.contains(&event.kind.as_str());
    let ended_with = |word: &str| event.kind == "ended" && event.data.to_string().contains(word);
    match event.direction {
        _ if is(&["reset"]) || ended_with("reset") || is(&["connect-failed"]) => "rst",
        _ if is(&["half-closed", "closed", "ended"]) => "fin",
        Some(_) if is(&["connecting", "connected"]) => "syn",
        Some(Direction::ToServer) => "out",
        Some(Direction::ToClient) => "in",
        None if is(&["server-socket-destroyed"]) && loses(event) => "lost",
        None => "note",
    }
}

/// The few words of an event that stand beside its mark.
fn label(event: &TracedEvent) -> &str {
    match (event.kind.as_str(), event.data.as_str()) {
        ("connecting", _) => "connect",
        ("connected", _) => "connected",
        ("closed", _) => "close",
        ("half-closed", _) | ("ended", Some("fin")) => "FIN",
        ("reset", _) | ("ended", Some("reset")) => "RST",
        ("server-socket-destroyed", _) if !loses(event) => "server's end is gone",
        _ => event.text.trim_start_matches(['>', '<', '*', ' ']),
    }
}

/// Whether bytes were destroyed that the server had for a client.
fn loses(event: &TracedEvent) -> bool {
    event
        .data
        .get("lost_bytes")
        .and_then(serde_json::Value::as_u64)
        .is_some_and(|lost| lost > 0)
}

/// At most so many characters of a text, in one line.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    let line: String = text
        .chars()
        .map(|c| if c == '\n' { ' ' } else { c })
        .take(most + 1)
        .collect();
    match line.chars().count() > most {
        true => line.chars().take(most - 1).chain(['…']).collect(),
        false => line,
    }
}

/// Takes the labels away for which there is no room beside those before them in the same lane; what is wrong is told first.
fn silence(marks: &mut [Mark], lanes: usize) {
    let mut taken: Vec<Vec<(f64, f64)>> = vec![Vec::new(); lanes];
    let mut order: Vec<usize> = (0..marks.len()).collect();
    order.sort_by_key(|n| !marks[*n].is_wrong);
    for n in order {
        let mark = &mut marks[n];
        let long = CHARACTER * mark.label.chars().count() as f64 + 6.0;
        mark.is_at_the_end = mark.at.folded + long > WIDTH + 10.0;
        let left = mark.at.folded - if mark.is_at_the_end { long } else { 0.0 };
        let right = left + long;
        let taken = &mut taken[mark.lane];
        mark.is_silent = taken.iter().any(|(from, to)| left < *to && *from < right);
        if !mark.is_silent {
            taken.push((left, right));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(at_us: u64, who: &str, kind: &str, direction: Option<Direction>) -> TracedEvent {
        TracedEvent {
            at_us,
            phase: Phase::Scenario,
            kind: kind.to_owned(),
            who: Some(who.to_owned()),
            crowd: None,
            direction,
            step: Some(0),
            text: format!("> {kind}"),
            length: None,
            bytes: String::new(),
            wrong: kind == "exited",
            data: json!(null),
        }
    }

    fn trace() -> Trace {
        Trace {
            steps: vec![TracedStep {
                text: "alice send \"a\"".to_owned(),
                line: Some(4),
                who: Some("alice".to_owned()),
                began_us: Some(100),
                ended_us: Some(150),
            }],
            events: vec![
                event(0, "server", "started", None),
                event(50, "alice", "connecting", Some(Direction::ToServer)),
                event(100, "alice", "sent", Some(Direction::ToServer)),
                event(150, "alice", "received", Some(Direction::ToClient)),
                event(200, "server", "exited", None),
            ],
            ..Trace::default()
        }
    }

    #[test]
    fn what_passes_goes_from_lane_to_lane_at_its_true_time() {
        let drawing = Drawing::of(&trace()).unwrap();
        let lanes: Vec<(&str, f64)> = drawing
            .lanes
            .iter()
            .map(|lane| (lane.name.as_str(), lane.y))
            .collect();
        assert_eq!(lanes, [("alice", 44.0), ("server", 80.0)]);
        let sent = &drawing.marks[2];
        assert_eq!(
            (sent.at.linear, sent.y, sent.to_y, sent.class),
            (500.0, 44.0, 80.0, "out")
        );
        assert!(drawing.marks[4].is_wrong);
        assert!(
            drawing
                .summary
                .contains("wrong is, 200 µs after it began: server"),
            "{}",
            drawing.summary
        );
    }

    #[test]
    fn connections_servers_and_steps_last_from_their_beginning_to_their_end() {
        let drawing = Drawing::of(&trace()).unwrap();
        let bars: Vec<(&str, usize, f64, f64)> = drawing
            .bars
            .iter()
            .map(|bar| (bar.class, bar.lane, bar.from.linear, bar.to.linear))
            .collect();
        assert_eq!(
            bars,
            [
                ("life", 0, 250.0, 1000.0),
                ("life", 1, 0.0, 1000.0),
                ("step", 0, 500.0, 750.0)
            ]
        );
    }

    #[test]
    fn wrong_event_has_its_label_and_those_that_would_cover_it_have_none() {
        let mut crammed = trace();
        for (n, event) in crammed.events.iter_mut().enumerate() {
            event.at_us = n as u64;
            event.who = Some("server".to_owned());
            event.text = "a label that is too long for so little room".to_owned();
            event.direction = None;
        }
        crammed.events.push(event(100_000, "server", "gone", None));
        let drawing = Drawing::of(&crammed).unwrap();
        let wrong = drawing.marks.iter().find(|mark| mark.is_wrong).unwrap();
        assert!(!wrong.is_silent);
        assert!(drawing.marks.iter().filter(|mark| mark.is_silent).count() >= 1);
    }

    #[test]
    fn trial_without_events_has_no_picture() {
        assert_eq!(Drawing::of(&Trace::default()), None);
    }
}
