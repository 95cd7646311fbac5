//! Saved trials: what was done, what was seen and what was said of it, to be judged again.

use super::settings::Settings;
use crate::drill::DrillFile;
use crate::foreign::JSON;
use crate::judge::{Verdict, judge};
use crate::model::dialogue;
use crate::model::error::Error;
use crate::model::phase::Phase;
use crate::model::profile::begins_with_something;
use crate::model::scenario::{Line, Scenario, Step};
use crate::model::template::Template;
use crate::model::text_file::Kind;
use crate::model::trial::Trial;
use crate::report::data::Exhibit;
use crate::report::sentence;
use crate::transcript::event::{Event, Transcript};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// The form of the files; it changes where an older program could not read them.
const FORMAT: u32 = 5;

/// The oldest form that is read: nothing was taken away from it, and what has come since has its defaults.
const OLDEST_FORMAT: u32 = 3;

/// A trial with its transcript and the verdict that was given, as `--transcripts` saves it.
///
/// ```no_run
/// use sockdrill::SavedTrial;
/// use std::path::Path;
///
/// // Whether this version says the same of it.
/// let saved = SavedTrial::read(Path::new("transcripts/reset-mid-request-1.json"))?;
/// assert_eq!(saved.judged_again(), saved.verdict, "{}", saved.check);
/// # Ok::<(), sockdrill::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SavedTrial {
    /// The check, the case or the observation that it was made for.
    pub check: String,
    /// What was to be done.
    pub(crate) trial: Trial,
    /// What was seen.
    pub(crate) transcript: Transcript,
    /// What was said of it.
    pub verdict: SavedVerdict,
}

/// A verdict in words.
///
/// ```
/// use sockdrill::SavedVerdict;
///
/// let told = serde_json::json!({ "kind": "inconclusive", "reason": "the host was too busy" });
/// let verdict: SavedVerdict = serde_json::from_value(told).expect("a verdict");
/// assert!(matches!(verdict, SavedVerdict::Inconclusive { .. }));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case"
)]
#[non_exhaustive]
pub enum SavedVerdict {
    /// The requirement held.
    Pass,
    /// It did not.
    Fail {
        /// The sentence.
        reason: String,
        /// The line of the scenario.
        line: usize,
        /// What bears it out.
        evidence: Vec<String>,
    },
    /// Nothing is proven.
    Inconclusive {
        /// The sentence.
        reason: String,
    },
    /// It does not apply.
    Skip {
        /// The sentence.
        reason: String,
    },
}

impl SavedVerdict {
    fn of(verdict: &Verdict) -> Self {
        let reason = sentence::of(verdict).unwrap_or_default();
        match verdict {
            Verdict::Pass => Self::Pass,
            Verdict::Fail(finding) => Self::Fail {
                reason,
                line: finding.line(),
                evidence: sentence::evidence(verdict),
            },
            Verdict::Inconclusive(_) => Self::Inconclusive { reason },
            Verdict::Skip(_) => Self::Skip { reason },
        }
    }
}

impl SavedTrial {
    /// What a failure was judged by, as it is saved.
    pub(crate) fn of(check: &str, exhibit: &Exhibit) -> Self {
        Self {
            check: check.to_owned(),
            trial: exhibit.trial.clone(),
            transcript: exhibit.transcript.clone(),
            verdict: SavedVerdict::of(&exhibit.verdict),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// The file cannot be read, or is not a saved trial; the message names it.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = Kind::TRIAL.read(path)?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Reads the text of such a file; `name` is what messages call it.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let raw: RawFile =
            serde_json::from_str(text).map_err(|error| malformed(name, error.to_string()))?;
        if !(OLDEST_FORMAT..=FORMAT).contains(&raw.format) {
            let message = format!(
                "this is format {}, and {OLDEST_FORMAT} to {FORMAT} are understood",
                raw.format
            );
            return Err(malformed(name, message));
        }
        Ok(Self {
            check: raw.check,
            trial: raw.trial.trial(name)?,
            transcript: Transcript {
                began: raw.began,
                ..Transcript::of(raw.transcript)
            },
            verdict: raw.verdict,
        })
    }

    /// Judges what was seen once more.
    pub fn judged_again(&self) -> SavedVerdict {
        SavedVerdict::of(&judge(&self.trial, &self.transcript))
    }

    /// Writes the text of the file, an event a line: all of it at once would take several times what the transcript does.
    pub(crate) fn write(&self, to: &mut impl Write) -> std::io::Result<()> {
        let mut text = |text: String| to.write_all(JSON.text(&text).as_bytes());
        let trial = RawTrial::of(&self.trial).map_err(std::io::Error::other)?;
        let began = self
            .transcript
            .began
            .map(|began| serde_json::to_string(&began));
        let began = began
            .transpose()?
            .map(|began| format!("\"began\": {began},\n"));
        text(format!(
            "{{\n\"format\": {FORMAT},\n\"check\": {},\n\"verdict\": {},\n{}\"trial\": {},\n\"transcript\": [\n",
            serde_json::to_string(&self.check)?,
            serde_json::to_string_pretty(&self.verdict)?,
            began.unwrap_or_default(),
            serde_json::to_string_pretty(&trial)?,
        ))?;
        for (n, event) in self.transcript.events.iter().enumerate() {
            let between = if n == 0 { "" } else { ",\n" };
            text(format!("{between}{}", serde_json::to_string(event)?))?;
        }
        text("\n]\n}\n".to_owned())
    }
}

fn malformed(name: &str, message: String) -> Error {
    Error::Malformed {
        file: name.to_owned(),
        message,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    format: u32,
    check: String,
    verdict: SavedVerdict,
    #[serde(default)]
    began: Option<SystemTime>,
    trial: RawTrial,
    transcript: Vec<Event>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawTrial {
    /// The scenario that the trial is about, and what surrounds it.
    phases: Vec<RawPhase>,
    #[serde(default)]
    ends_after_one: bool,
    #[serde(default)]
    few_doses: bool,
    #[serde(default)]
    is_undisturbed: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    serves_at_once: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    replies_alike: bool,
    #[serde(default)]
    closes_silent_after: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    closes_unfinished_after: Option<Duration>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    may_close_silent: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    helpers_end_with: Vec<i32>,
    /// As profiles have them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unasked: Vec<String>,
    #[serde(default, skip_serializing_if = "Duration::is_zero")]
    throttling: Duration,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    reading_is_use: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    known: Vec<String>,
}

/// A scenario in the JSON form of `.drill` files.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPhase {
    phase: Phase,
    case: serde_json::Value,
    /// The lines at which its steps were written, in the order of the text; none where they were generated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lines: Vec<usize>,
}

impl RawTrial {
    fn of(trial: &Trial) -> Result<Self, Error> {
        let phases = trial.phases();
        // No file can hold a scenario without a step, and nobody performs it.
        let phases = phases.filter(|(_, scenario)| !scenario.lines.is_empty());
        let phases = phases.map(|(phase, scenario)| RawPhase::of(phase, scenario));
        Ok(Self {
            phases: phases.collect::<Result<_, _>>()?,
            ends_after_one: trial.ends_after_one,
            few_doses: trial.few_doses,
            is_undisturbed: trial.is_undisturbed,
            serves_at_once: trial.serves_at_once,
            replies_alike: trial.replies_alike,
            closes_silent_after: trial.closes_silent_after,
            closes_unfinished_after: trial.closes_unfinished_after,
            may_close_silent: trial.may_close_silent,
            helpers_end_with: trial.helpers_end_with.clone(),
            unasked: trial.unasked.texts().iter().map(Template::text).collect(),
            throttling: trial.throttling,
            reading_is_use: trial.reading_is_use,
            known: trial.known.clone(),
        })
    }

    fn trial(mut self, name: &str) -> Result<Trial, Error> {
        self.phases
            .sort_by_key(|phase| phase.phase != Phase::Scenario);
        let mut trial = Trial::alone(dialogue::scenario("nothing", &[], vec![]));
        trial.ends_after_one = self.ends_after_one;
        trial.few_doses = self.few_doses;
        trial.is_undisturbed = self.is_undisturbed;
        trial.serves_at_once = self.serves_at_once;
        trial.replies_alike = self.replies_alike;
        trial.closes_silent_after = self.closes_silent_after;
        trial.closes_unfinished_after = self.closes_unfinished_after;
        trial.may_close_silent = self.may_close_silent;
        trial.helpers_end_with = self.helpers_end_with;
        trial.throttling = self.throttling;
        trial.reading_is_use = self.reading_is_use;
        trial.known = self.known;
        let unasked = self.unasked.iter().map(|text| {
            let text = Template::parse(text).map_err(|error| error.to_string())?;
            begins_with_something(&text).map(|()| text)
        });
        trial.unasked = unasked
            .collect::<Result<_, String>>()
            .map_err(|error| malformed(name, format!("trial.unasked: {error}")))?;
        for (n, phase) in self.phases.into_iter().enumerate() {
            let name = format!("{name}: trial.phases[{n}]");
            trial = trial.with(phase.phase, phase.scenario(&name)?);
        }
        Ok(trial)
    }
}

impl RawPhase {
    fn of(phase: Phase, scenario: &Scenario) -> Result<Self, Error> {
        let file = DrillFile::of(scenario.clone());
        let mut file: serde_json::Value = serde_json::from_str(&file.to_json()?)
            .map_err(|error| malformed(&scenario.name, error.to_string()))?;
        let mut lines = Vec::new();
        numbers(&scenario.lines, &mut lines);
        if lines.iter().all(|number| *number == 0) {
            lines.clear();
        }
        Ok(Self {
            phase,
            case: file["cases"][0].take(),
            lines,
        })
    }

    fn scenario(self, name: &str) -> Result<Scenario, Error> {
        let file = serde_json::json!({ "cases": [self.case] });
        let file = DrillFile::from_json_record(name, &file.to_string())?;
        let cases = file.cases.into_iter();
        let mut scenarios = cases.map(|case| case.scenario);
        let no_case = || malformed(name, "there is no case in it".to_owned());
        let mut scenario = scenarios.next().ok_or_else(no_case)?;
        write_numbers(&mut scenario.lines, &mut self.lines.into_iter());
        Ok(scenario)
    }
}

fn numbers(lines: &[Line], all: &mut Vec<usize>) {
    for line in lines {
        all.push(line.number);
        if let Step::Repeat { lines, .. } = &line.step {
            numbers(lines, all);
        }
    }
}

fn write_numbers(lines: &mut [Line], all: &mut impl Iterator<Item = usize>) {
    for line in lines {
        line.number = all.next().unwrap_or_default();
        if let Step::Repeat { lines, .. } = &mut line.step {
            write_numbers(lines, all);
        }
    }
}

/// Makes the folder for saved trials, before anything is done that cannot be saved then.
pub(super) fn make_folder(settings: &Settings) -> Result<(), Error> {
    match &settings.transcripts {
        Some(folder) => std::fs::create_dir_all(folder).map_err(Error::file("making", folder)),
        None => Ok(()),
    }
}

/// Saves a trial in a file of its own.
pub(super) fn save(
    folder: &Path,
    check: &str,
    trial: &Trial,
    transcript: &Transcript,
    verdict: &Verdict,
) -> Result<(), Error> {
    let saved = SavedTrial {
        check: check.to_owned(),
        trial: trial.clone(),
        transcript: transcript.clone(),
        verdict: SavedVerdict::of(verdict),
    };
    let stem = check.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    for number in 1_u64.. {
        let path = folder.join(format!("{stem}-{number:03}.json"));
        // What an earlier run has saved stays.
        match File::create_new(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            opened => {
                let file = opened.map_err(Error::file("writing", &path))?;
                let mut file = BufWriter::new(file);
                let written = saved.write(&mut file).and_then(|()| file.flush());
                return written.map_err(|error| {
                    // A part of it can be read by nobody.
                    let _ = std::fs::remove_file(&path);
                    Error::file("writing", &path)(error)
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::snapshots::BLESS;
    use std::path::PathBuf;

    /// Where trials are kept that show what the judge says, and why.
    const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/transcripts");

    fn json(trial: &SavedTrial) -> String {
        let mut text = Vec::new();
        trial.write(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    fn kept() -> Vec<(String, PathBuf, SavedTrial)> {
        let entries = std::fs::read_dir(FOLDER).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let read = |path: PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let trial = SavedTrial::read(&path).unwrap_or_else(|error| panic!("{error}"));
            (name, path, trial)
        };
        paths.into_iter().map(read).collect()
    }

    #[test]
    fn saved_trials_are_judged_as_they_were() {
        let mut changed = Vec::new();
        for (name, path, saved) in kept() {
            let again = saved.judged_again();
            if std::env::var_os(BLESS).is_some() {
                let blessed = SavedTrial {
                    verdict: again,
                    ..saved
                };
                std::fs::write(path, json(&blessed)).unwrap();
            } else if again != saved.verdict {
                let [was, is] = [&saved.verdict, &again].map(in_lines);
                changed.push(format!("{name}\n  was: {was}\n  is:  {is}"));
            }
        }
        assert!(
            changed.is_empty(),
            "{} verdicts changed; where that is meant: {BLESS}=1 cargo test --lib saved, and look at the diff\n{}",
            changed.len(),
            changed.join("\n")
        );
    }

    fn in_lines(verdict: &SavedVerdict) -> String {
        let text = serde_json::to_string_pretty(verdict).unwrap();
        text.replace('\n', "\n       ")
    }

    #[test]
    fn saved_trial_reads_back_to_the_same_value() {
        let text = "case a block\n  clients: alice mallory[2]\n  waive: memory \"it is large\"\n\n  repeat 3\n    alice connect\n  end\n  alice expect fin\n";
        let file = DrillFile::parse("block.drill", text).unwrap();
        let script = file.cases.into_iter().next().unwrap().scenario;
        let polite = Scenario {
            waived: Vec::new(),
            ..script.clone()
        };
        let mut trial = Trial::alone(script).with(Phase::Before, polite);
        trial.ends_after_one = true;
        trial.closes_silent_after = Some(Duration::from_millis(1500));
        trial.closes_unfinished_after = Some(Duration::from_millis(700));
        let unasked = Template::parse(r"PING :{any}\r\n").unwrap();
        trial.unasked = [unasked].into_iter().collect();
        let folder = tempfile::tempdir().unwrap();
        let seen = Transcript::default();
        let verdict = judge(&trial, &seen);
        for _ in 0..2 {
            save(folder.path(), "block::a block", &trial, &seen, &verdict).unwrap();
        }
        for file in ["block--a-block-001.json", "block--a-block-002.json"] {
            let saved = SavedTrial::read(&folder.path().join(file)).unwrap();
            assert_eq!(saved.trial, trial);
            assert_eq!(saved.verdict, SavedVerdict::of(&verdict));
        }
    }

    #[test]
    fn saved_trials_are_written_as_they_were_read() {
        for (name, _, saved) in kept() {
            let text = json(&saved);
            assert_eq!(SavedTrial::parse(&name, &text).unwrap(), saved, "{name}");
        }
    }

    #[test]
    fn saved_trials_of_the_form_before_are_still_read() {
        let (name, _, saved) = kept().swap_remove(0);
        let text = json(&saved);
        let before = text.replace(
            &format!("\"format\": {FORMAT}"),
            &format!("\"format\": {OLDEST_FORMAT}"),
        );
        assert_ne!(before, text);
        assert_eq!(SavedTrial::parse(&name, &before).unwrap(), saved);
    }

    #[test]
    fn what_is_wrong_with_a_saved_trial_is_told_with_its_name() {
        let (name, _, saved) = kept().swap_remove(0);
        let text = json(&saved);
        let of = |text: &str| SavedTrial::parse(&name, text).unwrap_err().to_string();
        let wrong = [
            of("{}"),
            of(&text.replace(&format!("\"format\": {FORMAT}"), "\"format\": 9")),
            of(&text.replace(" connect", " conect")),
            // Nothing would be looked at but this.
            of(&text.replace("\"phases\"", "\"unasked\": [\"{any}\"],\n  \"phases\"")),
        ];
        for message in wrong {
            assert!(message.contains(&name), "{message}");
        }
        let nowhere = Path::new("nowhere/trial.json");
        let message = SavedTrial::read(nowhere).unwrap_err().chain();
        assert!(message.contains("nowhere/trial.json"), "{message}");
    }
}
