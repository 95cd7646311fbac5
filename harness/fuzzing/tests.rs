use super::edits::{Mutation, mutations};
use super::seeds::paths_below;
use super::{Fuzzed, TARGETS};
use crate::sys::own_use::thread_time;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, RngSeed, TestRunner};
use std::fs;
use std::io::Write as _;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// Inputs that once failed, in a folder for each target.
const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/fuzzed");

/// Where an input is put that is being tried, or that fails.
const FOUND: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/fuzzed");

/// For how many seconds inputs are made, all targets together; without, there are a few of each.
const SECONDS: &str = "SOCKDRILL_FUZZ_SECONDS";

/// The one target that is meant.
const TARGET: &str = "SOCKDRILL_FUZZ_TARGET";

/// The seed of the inputs, as it was told of a run that is to be repeated.
const SEED: &str = "SOCKDRILL_FUZZ_SEED";

/// How many inputs of a target are made where no time is given.
const FEW: usize = 48;

/// The most processor time that an input may take. They are small, and all but one take a thousandth of it.
const MOST_TIME: Duration = Duration::from_secs(10);

/// How often an input is made smaller at most.
const MOST_TRIES: usize = 2_000;

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    paths_below(folder, &mut paths);
    paths.sort();
    paths
}

#[test]
fn inputs_that_once_failed_hold_to_the_laws() {
    let mut tried = 0;
    for target in TARGETS {
        for path in files_in(&Path::new(KEPT).join(target.name)) {
            let input = fs::read(&path).unwrap();
            let held = catch_unwind(|| (target.run)(&input));
            assert!(held.is_ok(), "{}", path.display());
            tried += 1;
        }
    }
    assert_eq!(
        tried,
        files_in(Path::new(KEPT)).len(),
        "each is in the folder of a target"
    );
}

/// What is made of seeds that no reader takes would try the first line of it.
#[test]
fn seeds_of_every_target_are_read() {
    for target in TARGETS {
        let seeds = (target.seeds)();
        // A few from everywhere among them: some readers take their time.
        let seeds: Vec<_> = seeds.iter().step_by(seeds.len() / 8 + 1).collect();
        let read = seeds.iter().filter(|seed| (target.run)(seed)).count();
        assert!(
            read * 2 > seeds.len(),
            "{}: {read} of {}",
            target.name,
            seeds.len()
        );
    }
}

/// A loop that finds nothing where there is something to be found proves nothing.
#[test]
fn what_breaks_a_law_is_found_and_made_small() {
    let faulty = Fuzzed {
        name: "faulty",
        seeds: || vec![b"one two\nthree four\n".to_vec(), b"five\n".to_vec()],
        run: |input| {
            let words = input.split(|byte| byte.is_ascii_whitespace());
            assert!(
                words.clone().filter(|word| *word == b"five").count() < 2,
                "five, and five again"
            );
            true
        },
    };
    let found = Search::of(faulty, 1)
        .until(|tried| tried == 100_000)
        .unwrap_err();
    assert!(found.input.starts_with(b"five") && found.input.ends_with(b"five"));
    assert_eq!(found.input.len(), b"five five".len());
}

#[test]
fn mutated_seeds_hold_to_the_laws() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let seconds: Option<u64> = number(SECONDS);
    // Without a time it is the same test each time.
    let seed = number(SEED).unwrap_or_else(|| match seconds {
        Some(_) => std::time::UNIX_EPOCH.elapsed().unwrap().as_secs(),
        None => 1,
    });
    let name = std::env::var(TARGET).ok();
    let is_meant = |target: &&Fuzzed| name.as_deref().is_none_or(|name| name == target.name);
    let meant: Vec<Fuzzed> = TARGETS.iter().filter(is_meant).copied().collect();
    assert!(!meant.is_empty(), "{TARGET} names no target");
    let time = seconds.map(|all| Duration::from_secs(all) / meant.len() as u32);
    let (progress, seen) = channel();
    let search = std::thread::spawn(move || search_all(&meant, seed, time, &progress));
    watch(&seen);
    let told = search.join().unwrap();
    let (held, broken): (Vec<_>, Vec<_>) = told.into_iter().partition(Result::is_ok);
    let held: Vec<_> = held.into_iter().flatten().collect();
    if seconds.is_some() {
        let _ = writeln!(std::io::stdout(), "{}", held.join("\n"));
    }
    let broken: Vec<_> = broken.into_iter().filter_map(Result::err).collect();
    assert!(broken.is_empty(), "with {SEED}={seed}: {broken:#?}");
}

/// Searches for what breaks a law of each of these targets, and tells in a line how far it came, or what it found.
fn search_all(
    targets: &[Fuzzed],
    seed: u64,
    time: Option<Duration>,
    progress: &Sender<Begun>,
) -> Vec<Result<String, String>> {
    let of = |target: &Fuzzed| {
        let end = time.map(|time| Instant::now() + time);
        let mut search = Search::of(*target, seed);
        search.progress = Some(progress.clone());
        let found = search.until(|tried| match end {
            Some(end) => Instant::now() >= end,
            None => tried >= FEW,
        });
        let name = target.name;
        match found {
            Ok((tried, read)) => Ok(format!("{name}: {tried} inputs, {read} of them read")),
            Err(found) => Err(found.line(name)),
        }
    };
    targets.iter().map(of).collect()
}

/// An input that is about to be tried.
struct Begun {
    target: &'static str,
    thread: i32,
}

/// Ends all of it where an input takes its time for ever, for nothing else can.
fn watch(seen: &Receiver<Begun>) {
    let mut last = None;
    let mut ran_before: Option<Duration> = None;
    loop {
        match seen.recv_timeout(MOST_TIME) {
            Ok(begun) => (last, ran_before) = (Some(begun), None),
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                let Some(begun) = &last else { continue };
                let ran = processor_time(begun.thread);
                let since = ran.saturating_sub(*ran_before.get_or_insert(ran));
                if since >= MOST_TIME {
                    let place = last_of(begun.target);
                    let _ = writeln!(
                        std::io::stderr(),
                        "{} takes for ever: {}",
                        begun.target,
                        place.display()
                    );
                    std::process::abort();
                }
            }
        }
    }
}

/// The processor time of a thread of ours (`schedstat`).
fn processor_time(thread: i32) -> Duration {
    let text = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat"));
    let ran = text
        .unwrap_or_default()
        .split(' ')
        .next()
        .and_then(|ran| ran.parse().ok());
    Duration::from_nanos(ran.unwrap_or(0))
}

/// Where the input is that a target was given last: what it makes of it may end this process.
fn last_of(target: &str) -> PathBuf {
    Path::new(FOUND).join(format!("{target}-last"))
}

/// A search for an input that breaks a law.
struct Search {
    target: Fuzzed,
    seeds: Vec<Vec<u8>>,
    runner: TestRunner,
    progress: Option<Sender<Begun>>,
}

/// An input that breaks a law.
#[derive(Debug)]
struct Found {
    input: Vec<u8>,
    why: String,
}

impl Search {
    fn of(target: Fuzzed, seed: u64) -> Self {
        let config = Config {
            rng_algorithm: RngAlgorithm::ChaCha,
            rng_seed: RngSeed::Fixed(seed),
            failure_persistence: None,
            ..Config::default()
        };
        fs::create_dir_all(FOUND).unwrap();
        Self {
            target,
            seeds: (target.seeds)(),
            runner: TestRunner::new(config),
            progress: None,
        }
    }

    /// Tries inputs until it `is_over` after so many, and tells how many there were, and how many of them were read.
    fn until(&mut self, is_over: impl Fn(usize) -> bool) -> Result<(usize, usize), Found> {
        let (mut tried, mut read) = (0, 0);
        while !is_over(tried) {
            let mutation: Mutation = mutations().new_tree(&mut self.runner).unwrap().current();
            let input = mutation.of(&self.seeds);
            match self.holds(&input) {
                Ok(was_read) => read += usize::from(was_read),
                Err(why) => return Err(self.smaller(Found { input, why })),
            }
            tried += 1;
        }
        Ok((tried, read))
    }

    /// Tries an input: whether it was read, or what law it breaks.
    fn holds(&self, input: &[u8]) -> Result<bool, String> {
        fs::write(last_of(self.target.name), input).unwrap();
        if let Some(progress) = &self.progress {
            let thread = rustix::thread::gettid().as_raw_nonzero().get();
            let target = self.target.name;
            let _ = progress.send(Begun { target, thread });
        }
        let begun = thread_time();
        let run = self.target.run;
        let read = catch_unwind(|| run(input)).map_err(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            text.unwrap_or("a panic without a word").to_owned()
        })?;
        match thread_time() - begun {
            time if time > MOST_TIME => Err(format!("it takes {time:?}")),
            _ => Ok(read),
        }
    }

    /// The same with less and less in it, as long as it breaks a law.
    fn smaller(&self, mut found: Found) -> Found {
        let mut tries = 0;
        let mut size = found.input.len().div_ceil(2);
        while size > 0 {
            let mut at = 0;
            while at < found.input.len() && tries < MOST_TRIES {
                let mut input = found.input.clone();
                input.drain(at..(at + size).min(input.len()));
                tries += 1;
                match self.holds(&input) {
                    Ok(_) => at += size,
                    Err(why) => found = Found { input, why },
                }
            }
            size /= 2;
        }
        found
    }
}

impl Found {
    /// What is to be said of it, and where it is kept.
    fn line(&self, target: &str) -> String {
        let place = Path::new(FOUND).join(format!("{target}-found"));
        fs::write(&place, &self.input).unwrap();
        format!("{target}: {} breaks a law: {}", place.display(), self.why)
    }
}
