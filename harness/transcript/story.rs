//! What a person reads of a trial with thousands of events: what became of the client that failed, beside one that was served,
//! and what the server and the kernel did meanwhile.

use super::event::EventLine;

/// So few events are told all.
const TOLD_ALL: usize = 24;

/// So many events of the client that failed, its last ones.
const OF_THE_FAILED: usize = 14;

/// So many of the one that was served, its first ones.
const OF_THE_SERVED: usize = 6;

/// So many of the server, of the host and of the harness, the last ones.
const OF_THE_SERVER: usize = 8;

/// The events that are told, and how many are not.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Story {
    pub(crate) lines: Vec<EventLine>,
    pub(crate) left_out: usize,
}

/// The story of a client, or where none is named, of the last one that was not there to be polite.
pub(crate) fn story(lines: &[EventLine], of: Option<&str>) -> Story {
    let all = lines.len();
    let folded = folded(lines);
    let is_told = told(&folded, of);
    let told = folded
        .into_iter()
        .zip(is_told)
        .filter(|(_, is_told)| *is_told);
    let (mut lines, mut events) = (Vec::new(), 0);
    for (fold, _) in told {
        events += fold.events;
        lines.push(fold.line);
    }
    Story {
        lines,
        left_out: all - events,
    }
}

/// Events that are the same: of many of a crowd, or of steps of theirs that ended.
struct Fold {
    line: EventLine,
    events: usize,
}

/// The same events, where those that are the same and follow each other are one; a wrong one is told by itself.
fn folded(lines: &[EventLine]) -> Vec<Fold> {
    let mut folds: Vec<Fold> = Vec::new();
    let are_one = |before: &EventLine, line: &EventLine| {
        let are_steps = before.tells_of_a_step && line.tells_of_a_step;
        let are_of_a_crowd = crowd(before).is_some() && crowd(before) == crowd(line);
        let are_wrong = before.is_wrong || line.is_wrong;
        before.text == line.text && (are_of_a_crowd || are_steps) && !are_wrong
    };
    for run in lines.chunk_by(are_one) {
        let mut line = run[0].clone();
        let many = Some(run.len()).filter(|many| *many > 1);
        match (many, crowd(&line)) {
            (Some(many), Some(crowd)) => {
                line.who = Some(format!("{many} of {crowd}"));
                line.text = format!("each {}", line.text);
            }
            (Some(many), None) => line.text.push_str(&format!(" ({many} times)")),
            (None, _) => {}
        }
        folds.push(Fold {
            line,
            events: run.len(),
        });
    }
    folds
}

/// The crowd that an event is of a member of.
fn crowd(line: &EventLine) -> Option<&str> {
    let (crowd, _) = line.who.as_deref()?.split_once('[')?;
    Some(crowd)
}

/// Which of the events are told.
fn told(folds: &[Fold], of: Option<&str>) -> Vec<bool> {
    let who = |fold: &Fold| fold.line.who.clone();
    if folds.len() <= TOLD_ALL {
        return vec![true; folds.len()];
    }
    let is_client = |fold: &&Fold| who(fold).is_some_and(|who| who != "server");
    let is_polite = |who: &str| who == "bystander" || who.starts_with("polite client");
    let is_hostile =
        |fold: &&Fold| is_client(fold) && !who(fold).is_some_and(|who| is_polite(&who));
    let hostile = folds.iter().rev().find(is_hostile);
    let last = hostile
        .or_else(|| folds.iter().rev().find(is_client))
        .and_then(who);
    let failed = of.map(str::to_owned).or(last);
    let is_answer =
        |fold: &&Fold| is_client(fold) && fold.line.text.starts_with("< \"") && who(fold) != failed;
    let served = folds.iter().find(is_answer).and_then(who);
    let mut told = vec![false; folds.len()];
    let indices = |whose: &dyn Fn(&Fold) -> bool| -> Vec<usize> {
        let indices = folds.iter().enumerate().filter(|(_, fold)| whose(fold));
        indices.map(|(n, _)| n).collect()
    };
    let of_the_failed = indices(&|fold| failed.is_some() && who(fold) == failed);
    let of_the_served = indices(&|fold| served.is_some() && who(fold) == served);
    let of_the_server = indices(&|fold| !is_client(&fold));
    let last = |of: &[usize], most: usize| of[of.len().saturating_sub(most)..].to_vec();
    let first = of_the_served.iter().copied().take(OF_THE_SERVED);
    let chosen = [
        last(&of_the_failed, OF_THE_FAILED),
        last(&of_the_server, OF_THE_SERVER),
    ]
    .concat();
    let wrong = indices(&|fold| fold.line.is_wrong);
    for n in chosen.into_iter().chain(first).chain(wrong) {
        told[n] = true;
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn event(at: u64, who: &str, text: &str) -> EventLine {
        EventLine {
            at: Duration::from_millis(at),
            who: Some(who.to_owned()),
            text: text.to_owned(),
            tells_of_a_step: false,
            is_wrong: false,
        }
    }

    fn read(story: &Story) -> Vec<String> {
        let line =
            |line: &EventLine| format!("{} {}", line.who.as_deref().unwrap_or("*"), line.text);
        story.lines.iter().map(line).collect()
    }

    #[test]
    fn client_that_failed_is_told_beside_one_that_was_served() {
        let mut lines = vec![
            event(0, "polite client before", "connects"),
            event(1, "polite client before", "< \"HI\\n\""),
        ];
        lines.extend((0..500).map(|n| {
            event(
                2,
                &format!("crowd[{n}]"),
                if n % 2 == 0 { "connects" } else { "closes" },
            )
        }));
        lines.push(event(3, "alice", "connects"));
        lines.push(event(4, "server", "threads: all wait"));
        let story = story(&lines, Some("alice"));
        let told = [
            "polite client before connects",
            "polite client before < \"HI\\n\"",
            "alice connects",
            "server threads: all wait",
        ];
        assert_eq!(read(&story), told);
        assert_eq!(story.left_out, 500);
    }

    #[test]
    fn what_many_of_a_crowd_do_is_told_once() {
        let lines: Vec<_> = (0..20)
            .map(|n| event(n, &format!("crowd[{n}]"), "closes"))
            .collect();
        let story = story(&lines, None);
        assert_eq!(read(&story), ["20 of crowd each closes"]);
        assert_eq!(story.left_out, 0);
    }

    #[test]
    fn wrong_event_is_told_and_the_same_ends_of_other_steps_are_one() {
        let step = |at, is_wrong| EventLine {
            who: None,
            tells_of_a_step: true,
            is_wrong,
            ..event(at, "", "* nothing more")
        };
        let mut lines = vec![step(0, true)];
        lines.extend((1..20).map(|at| step(at, false)));
        lines.extend((0..30).map(|n| event(20, "bob", &format!("< {n}"))));
        let story = story(&lines, Some("bob"));
        let told = ["* * nothing more", "* * nothing more (19 times)"];
        assert_eq!(read(&story)[..2], told);
        assert!(story.lines[0].is_wrong && !story.lines[1].is_wrong);
    }

    /// One that came and got nothing shows nothing of how others are served.
    #[test]
    fn client_that_is_told_as_served_has_got_something() {
        let mut lines = vec![
            event(0, "bob", "connects"),
            event(1, "carol", "connects"),
            event(2, "carol", "< \"HI\\n\""),
        ];
        let crowd = ["connects", "closes"].into_iter().cycle().take(500);
        let crowd = crowd.enumerate();
        lines.extend(crowd.map(|(n, does)| event(3, &format!("crowd[{n}]"), does)));
        lines.push(event(4, "alice", "connects"));
        let story = story(&lines, Some("alice"));
        let told = ["carol connects", "carol < \"HI\\n\"", "alice connects"];
        assert_eq!(read(&story), told);
    }
}
