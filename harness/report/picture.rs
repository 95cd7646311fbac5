//! A scenario as a picture in text: its clients on the left, the server on the right, and between them what passes, a row for each
//! step and a mark where the server is held to something. It is made of the steps themselves, so that it is never out of date.

use crate::model::data::{Data, Segmentation};
use crate::model::form::{Argument, Does, Form};
use crate::model::literal::Shown;
use crate::model::profile::Transport;
use crate::model::scenario::{Line, Scenario, Step};
use std::fmt::Write as _;
use std::time::Duration;

/// A line of a picture is no longer than this: terminals, mails and pages have room for it.
pub(crate) const WIDTH: usize = 80;

/// So many characters of a client's name are shown.
const MOST_NAME: usize = 14;

/// An arrow is at least so long, so that it is seen as one.
const LEAST_ARROW: usize = 6;

/// So many segments of one step have rows of their own.
const MOST_SEGMENTS: usize = 3;

/// Bytes of a step that are more than these are told as they are written, and not by segments.
const FEW_BYTES: usize = 4_096;

/// Rows that are alike are folded where they begin with a connection, or are at least so many.
const MANY_ROWS: usize = 8;

/// What stands in a row of those behind the scenario.
const AFTERWARDS: &str = "lives on, serves others, keeps nothing of it";

/// How steps and expectations are told beside the lanes, where the word of the language needs its page.
const PHRASES: &[(&str, &str)] = &[
    ("accepted", "until it is accepted"),
    ("connected", "is connected"),
    ("continue", "SIGCONT"),
    ("exit 0", "ends with status 0"),
    ("exit", "ends"),
    ("full", "its queue is full"),
    ("gone", "nothing of it is left"),
    ("held-back", "is held back: it is read from no more"),
    (
        "limit-open-files",
        "its open files are limited; beyond those it has:",
    ),
    ("nothing", "nothing more has come"),
    ("open", "the connection stays open"),
    ("out-of-files", "is out of descriptors"),
    ("pending", "is not connected"),
    ("read", "reads again"),
    ("refused", "is refused"),
    ("rest", "comes to rest"),
    ("restore-open-files", "has its limit of open files back"),
    ("secured", "TLS is up"),
    ("silence", "nothing comes"),
    ("stall", "reads no more"),
    ("start", "is started again"),
    (
        "start-second",
        "another one is started: it must end with an error",
    ),
    ("stop", "SIGSTOP"),
    ("taken", "until all of it is read"),
    ("time-wait", "TIME_WAIT"),
    ("vanish", "is gone, without FIN or RST"),
];

/// A row of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    /// The client that it is of.
    who: Option<usize>,
    what: What,
    /// Whether the server is held to it.
    is_owed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    /// Something goes from the client to the server.
    There(String),
    /// A reset does.
    Reset,
    /// Something comes from the server.
    Back(String),
    /// Something is so at the client.
    AtClient(String),
    /// Something is so at the server.
    AtServer(String),
    /// Something is so for all.
    Across(String),
}

/// Draws a scenario over a transport; `mark` stands beside what the server is held to.
pub(crate) fn picture(scenario: &Scenario, transport: Transport, mark: &str) -> String {
    let mut rows = rows_of(&scenario.lines, transport);
    let last = scenario.steps().len();
    if !scenario.server_is_asked_to_end_by(last) {
        let waived = scenario.waived.iter().map(|waiver| waiver.invariant.name());
        let waived: Vec<_> = waived.collect();
        let but = match waived.is_empty() {
            true => String::new(),
            false => format!(" (but for {})", waived.join(", ")),
        };
        rows.push(Row {
            who: None,
            what: What::AtServer(format!("{AFTERWARDS}{but}")),
            is_owed: true,
        });
    }
    Drawing::of(scenario, mark).drawn(&rows)
}

/// The rows of lines, those that are alike folded.
fn rows_of(lines: &[Line], transport: Transport) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut rest = lines;
    while !rest.is_empty() {
        let (period, times) = repetition(rest);
        let is_same = (1..times).all(|n| {
            let steps = |from: usize| rest[from..from + period].iter().map(|line| &line.step);
            steps(0).eq(steps(n * period))
        });
        rows.extend(
            rest[..period]
                .iter()
                .flat_map(|line| rows_of_line(line, transport)),
        );
        if times > 1 {
            let more = times - 1;
            let text = match is_same {
                true if more == 1 => "the same once more".to_owned(),
                true => format!("the same {more} times more"),
                false => format!("and {more} more like it"),
            };
            rows.push(across(text));
        }
        rest = &rest[period * times..];
    }
    rows
}

/// How many lines are followed by others of the same shape, and how often they come in all.
fn repetition(lines: &[Line]) -> (usize, usize) {
    let shapes: Vec<_> = lines.iter().map(shape).collect();
    let connects = matches!(lines[0].step.form().does, Does::Connects);
    let periods = 1..=lines.len() / 2;
    let folded = periods.map(|period| {
        let blocks = shapes.chunks_exact(period);
        let alike = blocks.take_while(|block| **block == shapes[..period]);
        (period, alike.count())
    });
    let mut folded = folded.filter(|(period, times)| {
        *times > 1 && (connects || period * times >= MANY_ROWS && *times > 2)
    });
    folded.next().unwrap_or((1, 1))
}

/// What two lines have in common that differ in their bytes alone.
fn shape(line: &Line) -> (Option<usize>, String) {
    let who = line.clients();
    let text = match &line.step {
        Step::Repeat { lines, .. } => lines.iter().map(|line| shape(line).1).collect(),
        step => {
            let form = step.form();
            let is_bytes = |argument: &&Argument<'_>| {
                matches!(
                    argument,
                    Argument::Data(_) | Argument::Template(_) | Argument::Segmentation(_)
                )
            };
            let others = form.arguments.iter().filter(|one| !is_bytes(one));
            others.fold(form.word.to_owned(), |text, one| format!("{text} {one}"))
        }
    };
    (who, text)
}

fn rows_of_line(line: &Line, transport: Transport) -> Vec<Row> {
    match &line.step {
        Step::Client { who, action } => {
            let form = action.form();
            let is_owed = is_owed(&form);
            let row = |what| Row {
                who: Some(*who),
                what,
                is_owed,
            };
            client_rows(&form, transport).into_iter().map(row).collect()
        }
        Step::Server(action) => vec![at_server("", &action.form())],
        Step::Backend { name, action } => vec![at_server(name, &action.form())],
        Step::Pause(time) => vec![across(format!("{} pass", Shown(*time)))],
        Step::Settle => vec![across("until the server has come to rest".to_owned())],
        Step::Barrier => vec![across("until all have come so far".to_owned())],
        Step::Repeat { times, lines } => {
            let mut rows = vec![across(format!("{times} times"))];
            rows.extend(rows_of(lines, transport));
            rows.push(across(format!("end of the {times} times")));
            rows
        }
    }
}

fn across(text: String) -> Row {
    Row {
        who: None,
        what: What::Across(text),
        is_owed: false,
    }
}

/// Whether the server is held to what a step waits for, or forbids, or to listen when it is started.
fn is_owed(form: &Form<'_>) -> bool {
    let starts = matches!(
        form.does,
        Does::Starts | Does::StartsSecond | Does::Replaces
    );
    starts || matches!(form.word, "expect" | "never") && !form.required
}

fn at_server(name: &str, form: &Form<'_>) -> Row {
    let text = match form.does {
        Does::Signals(signal) if form.word != "expect" => format!("SIG{signal}"),
        _ => phrase(form),
    };
    let text = match name {
        "" => text,
        name => format!("{name}: {text}"),
    };
    Row {
        who: None,
        what: What::AtServer(text),
        is_owed: is_owed(form),
    }
}

/// A step as it is told beside the lanes: what is waited for without the verb.
fn phrase(form: &Form<'_>) -> String {
    let text = form.to_string();
    let text = ["expect ", "require "]
        .iter()
        .find_map(|verb| text.strip_prefix(verb))
        .unwrap_or(&text);
    let (text, within) = match text.split_once(" within ") {
        Some((text, within)) => (text, format!(" within {within}")),
        None => (text, String::new()),
    };
    let told = |(word, phrase): &(&str, &str)| {
        let rest = text.strip_prefix(word)?;
        let is_word = rest.is_empty() || rest.starts_with(' ');
        is_word.then(|| format!("{phrase}{rest}"))
    };
    let told = PHRASES.iter().find_map(told);
    format!("{}{within}", told.as_deref().unwrap_or(text))
}

fn client_rows(form: &Form<'_>, transport: Transport) -> Vec<What> {
    match form.does {
        Does::Connects if transport.is_datagram() => {
            vec![What::AtClient(form.to_string().replacen(
                "connect",
                "opens a socket",
                1,
            ))]
        }
        Does::Connects => vec![What::There(form.to_string())],
        Does::Talks => sent(form),
        Does::HalfCloses => vec![What::There("FIN, and reads on".to_owned())],
        Does::Leaves => vec![match form.word {
            "reset" => What::Reset,
            "close" if transport.is_datagram() => What::AtClient("closes its socket".to_owned()),
            "close" => What::There("close".to_owned()),
            _ => What::AtClient(phrase(form)),
        }],
        Does::Waits(_) | Does::HearsOfEnd if comes(form) => vec![What::Back(come(form))],
        _ => vec![What::AtClient(phrase(form))],
    }
}

/// Whether something comes from the server where this is waited for.
fn comes(form: &Form<'_>) -> bool {
    let is_something = |argument: &Argument<'_>| {
        matches!(
            argument,
            Argument::Data(_) | Argument::Template(_) | Argument::Ends(_)
        )
    };
    form.arguments.iter().any(is_something)
}

/// What comes: bytes as they are written, cut where there are many, and ends by their names.
fn come(form: &Form<'_>) -> String {
    let text = |argument: &Argument<'_>| match argument {
        Argument::Data(data) => data.excerpt(),
        Argument::Template(template) => template.excerpt(),
        Argument::Ends(_) => argument
            .to_string()
            .replace("fin", "FIN")
            .replace("reset", "RST"),
        other => other.to_string(),
    };
    let all = form.arguments.iter().map(text);
    let all = all.filter(|text| !text.is_empty());
    let joined = all.reduce(|all, next| match next.starts_with(',') {
        true => all + &next,
        false => format!("{all} {next}"),
    });
    joined.unwrap_or_default()
}

/// What is sent, in as many rows as it has segments that are few.
fn sent(form: &Form<'_>) -> Vec<What> {
    let (mut data, mut segmentation, mut every) = (None, &Segmentation::Whole, Duration::ZERO);
    for argument in &form.arguments {
        match argument {
            Argument::Data(of) => data = Some(*of),
            Argument::Segmentation(of) => segmentation = of,
            Argument::Every(time) => every = *time,
            _ => {}
        }
    }
    let is_short = |data: &&Data| {
        data.checked_length()
            .is_some_and(|length| length <= FEW_BYTES)
    };
    let is_cut = *segmentation != Segmentation::Whole;
    match data.filter(is_short).filter(|_| is_cut) {
        Some(data) => in_segments(data, segmentation, every),
        None => vec![What::There(whole(form))],
    }
}

/// What is sent at once, as it is written but for the verb.
fn whole(form: &Form<'_>) -> String {
    let Some(data) = form.arguments.iter().find_map(|argument| match argument {
        Argument::Data(data) => Some(data),
        _ => None,
    }) else {
        return form.to_string();
    };
    let others = form
        .arguments
        .iter()
        .filter(|one| !matches!(one, Argument::Data(_)));
    let text = others.fold(data.excerpt(), |text, one| format!("{text} {one}"));
    match form.word {
        "send" => text,
        word => format!("{word} {text}"),
    }
}

fn in_segments(data: &Data, segmentation: &Segmentation, every: Duration) -> Vec<What> {
    let segments = segmentation.segments(data.length());
    let few = match segments.len() {
        0..=MOST_SEGMENTS => segments.len(),
        _ => MOST_SEGMENTS - 1,
    };
    let told = |range: &std::ops::Range<usize>| {
        What::There(Data::literal(data.part(0, range.clone())).excerpt())
    };
    let mut rows = Vec::new();
    for (n, range) in segments[..few].iter().enumerate() {
        if n > 0 && !every.is_zero() {
            rows.push(What::Across(format!("{} pass", Shown(every))));
        }
        rows.push(told(range));
    }
    let more = segments.len() - few;
    if more > 0 {
        rows.push(What::Across(format!("and {more} more segments like these")));
    }
    rows
}

/// Where the lanes are.
struct Drawing<'a> {
    names: Vec<String>,
    gutter: usize,
    lane: usize,
    mark: &'a str,
}

impl<'a> Drawing<'a> {
    fn of(scenario: &Scenario, mark: &'a str) -> Self {
        let names = scenario.clients.iter().map(|group| {
            let crowd = match group.members {
                1 => String::new(),
                many => format!(" ×{many}"),
            };
            let room = MOST_NAME.saturating_sub(crowd.chars().count());
            cut(&group.name, room) + &crowd
        });
        let names: Vec<_> = names.collect();
        let widths = names.iter().map(|name| name.chars().count());
        let gutter = widths.max().unwrap_or(0).max("client".len());
        // A margin, a space, both lanes, and the mark behind a space.
        let beside = 2 + gutter + 1 + 2 + 1 + mark.chars().count();
        Self {
            names,
            gutter,
            lane: WIDTH.saturating_sub(beside),
            mark,
        }
    }

    fn drawn(&self, rows: &[Row]) -> String {
        let (gutter, lane) = (self.gutter, self.lane);
        let mut text = format!(
            "  {:gutter$} {:<lane$}server\n",
            "",
            "client",
            lane = lane - 2
        );
        let mut last = None;
        for row in rows {
            let name = match row.who {
                Some(who) if row.who != last => self.names.get(who).map_or("?", String::as_str),
                _ => "",
            };
            if row.who.is_some() {
                last = row.who;
            }
            let mark = if row.is_owed { self.mark } else { "" };
            let line = format!("  {name:<gutter$} {} {mark}", self.between(&row.what));
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text
    }

    /// What stands between the lanes, and the lanes themselves.
    fn between(&self, what: &What) -> String {
        let room = self.lane - 2;
        let width = room.saturating_sub(LEAST_ARROW + 1);
        let line = |text: &str| "─".repeat(room - text.chars().count() - 2);
        match what {
            What::There(text) => {
                let text = cut(text, width);
                format!("│ {text} {}> │", line(&text))
            }
            What::Reset => {
                let text = "RST";
                format!("│ {text} {}x │", line(text))
            }
            What::Back(text) => {
                let text = cut(text, width);
                format!("│ <{} {text} │", line(&text))
            }
            What::AtClient(text) => format!("│ {:<room$} │", cut(&format!("({text})"), room)),
            What::AtServer(text) => format!("│ {:>room$} │", cut(&format!("({text})"), room)),
            What::Across(text) => {
                let text = format!(" {} ", cut(text, room.saturating_sub(4)));
                format!("├{text:┄^width$}┤", width = self.lane)
            }
        }
    }
}

/// A text of so many characters at most.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let head: String = text.chars().take(most.saturating_sub(1)).collect();
    head + "…"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drill::DrillFile;

    fn drawn_over(transport: Transport, text: &str) -> String {
        let file = DrillFile::parse_over("one.drill", text, Some(transport)).unwrap();
        picture(&file.cases[0].scenario, transport, "must")
    }

    fn drawn(text: &str) -> String {
        drawn_over(Transport::Tcp, text)
    }

    #[test]
    fn client_stands_on_the_left_and_what_the_server_owes_is_marked() {
        let text = "\
case one
  clients: alice mallory

  alice   connect
  mallory connect
  mallory send \"hel\"
  mallory reset
  alice   send \"hello\\n\"
  alice   require nothing
  alice   half-close
  alice   expect \"HELLO\\n\"
  alice   expect fin, all bytes first
";
        let expected = "
          client                                                       server
  alice   │ connect ────────────────────────────────────────────────────> │
  mallory │ connect ────────────────────────────────────────────────────> │
          │ \"hel\" ──────────────────────────────────────────────────────> │
          │ RST ────────────────────────────────────────────────────────x │
  alice   │ \"hello\\n\" ──────────────────────────────────────────────────> │
          │ (nothing more has come)                                       │
          │ FIN, and reads on ──────────────────────────────────────────> │
          │ <────────────────────────────────────────────────── \"HELLO\\n\" │ must
          │ <─────────────────────────────────────── FIN, all bytes first │ must
          │                (lives on, serves others, keeps nothing of it) │ must
";
        assert_eq!(format!("\n{}", drawn(text)), expected);
    }

    #[test]
    fn crowd_is_one_client_and_what_is_done_alike_is_folded() {
        let text = "\
case many
  clients: mallory[500]

  server stop
  mallory connect
  mallory send \"a\"
  mallory close
  mallory connect
  mallory send \"ab\"
  mallory close
  mallory connect
  mallory send \"abc\"
  mallory close
  server continue
  pause 2s
  repeat 3
    mallory connect
  end
";
        let expected = "
               client                                                  server
               │                                                (SIGSTOP) │
  mallory ×500 │ connect ───────────────────────────────────────────────> │
               │ \"a\" ───────────────────────────────────────────────────> │
               │ close ─────────────────────────────────────────────────> │
               ├┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ and 2 more like it ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┤
               │                                                (SIGCONT) │
               ├┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ 2s pass ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┤
               ├┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ 3 times ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┤
               │ connect ───────────────────────────────────────────────> │
               ├┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ end of the 3 times ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┤
               │           (lives on, serves others, keeps nothing of it) │ must
";
        assert_eq!(format!("\n{}", drawn(text)), expected);
    }

    #[test]
    fn segments_are_arrows_of_their_own_as_long_as_they_are_few() {
        let text =
            "case cut\n  clients: alice\n\n  alice connect\n  alice send \"hello\" cut at 2\n";
        let picture = drawn(text);
        assert!(
            picture.contains("│ \"he\" ─") && picture.contains("│ \"llo\" ─"),
            "{picture}"
        );
        let text = "case cut\n  clients: alice\n\n  alice connect\n  alice send \"hello\" in pieces of 1B\n";
        let picture = drawn(text);
        assert!(
            picture.contains(" and 3 more segments like these "),
            "{picture}"
        );
    }

    #[test]
    fn datagrams_need_no_connection_and_a_server_that_is_told_to_end_serves_nobody_after() {
        let text = "case one\n  clients: alice\n\n  alice connect\n  alice send \"hi\"\n  server signal TERM\n  server expect exit 0\n";
        let picture = drawn_over(Transport::Udp, text);
        assert!(picture.contains("(opens a socket)"), "{picture}");
        assert!(picture.contains("(SIGTERM) │\n"), "{picture}");
        assert!(picture.contains("(ends with status 0) │ must"), "{picture}");
        assert!(!picture.contains("polite"), "{picture}");
    }

    #[test]
    fn no_line_is_wider_than_a_terminal() {
        for check in crate::checks::all() {
            let subject = crate::checks::typical::subject(check).unwrap();
            for scenario in (check.scenarios)(&subject).unwrap_or_default() {
                let picture = picture(&scenario, subject.place.transport, "should");
                for line in picture.lines() {
                    assert!(line.chars().count() <= WIDTH, "{}: {line}", check.id);
                }
            }
        }
    }

    #[test]
    fn words_that_are_told_otherwise_are_those_of_the_language() {
        let language = crate::drill::usages();
        for (word, _) in PHRASES {
            let first = word.split(' ').next().unwrap();
            let is_known = language
                .iter()
                .any(|usage| format!("{usage:?}").contains(first));
            assert!(is_known, "{word}");
        }
    }
}
