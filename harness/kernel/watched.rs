//! A process tree that is looked at again and again: of what has not run since the last look nothing is read twice.

use super::process::{Descriptors, FileKind, Process, children_of_thread};
use super::rest::{Activity, OutputPipe, Pace, ThreadLook, has_timer};
use crate::sys::cpu_clock::processor_time;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// The processes below one of ours, as the last look has shown them.
#[derive(Debug)]
pub(crate) struct Watched {
    root: i32,
    /// The processes that are children of the root.
    first: Vec<i32>,
    processes: Vec<Seen>,
    held: Option<Held>,
    /// When it was looked at last.
    at: Instant,
    /// When it was looked at before that.
    before: Instant,
    /// The time that a thread was kept from running, between looks that of the thread which waited for the longest.
    kept: Duration,
    /// The processor time of those that have ended.
    ran_before: Duration,
}

/// What a process tree has made of its time until a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnTime {
    pub(crate) at: Instant,
    /// The processor time of all threads, those among them that have ended.
    pub(crate) ran: Duration,
    /// The time that one thread or another was kept from running.
    pub(crate) kept: Duration,
    /// The time more that one of them may have been kept for: it is ready to run, and whether it has a processor shows at a tick.
    pub(crate) may_be_kept: Duration,
}

impl std::ops::Add for OwnTime {
    type Output = Self;

    /// That of two trees together.
    fn add(self, other: Self) -> Self {
        Self {
            at: self.at.max(other.at),
            ran: self.ran + other.ran,
            kept: self.kept + other.kept,
            may_be_kept: self.may_be_kept + other.may_be_kept,
        }
    }
}

impl OwnTime {
    /// How much of the time since an earlier moment it could not use. While it ran on one processor or more it lost none,
    /// however many of its threads waited for each other to leave it.
    pub(crate) fn lost_since(self, before: Self) -> Duration {
        let ran = self.ran.saturating_sub(before.ran);
        let kept = self.kept.saturating_sub(before.kept);
        kept.min((self.at - before.at).saturating_sub(ran))
    }
}

/// What all processes together have open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    pub(crate) sockets: usize,
    pub(crate) files: BTreeMap<FileKind, usize>,
}

/// The kernel writes down how long a thread has run at each tick of its clock, every 10 ms at most (`CONFIG_HZ`): one that is ready to
/// run for longer, and of which nothing is written down, has no processor.
const LONGER_THAN_A_TICK: Duration = Duration::from_millis(50);

/// From here on a look at each thread takes longer than the time to the next look.
const MANY_THREADS: usize = 32;

/// A process, and what was read of it.
#[derive(Debug)]
struct Seen {
    process: Process,
    /// The processor time that it had used before it was looked at.
    processor_time: Option<Duration>,
    /// What it had used when it was asked last whether it is at work.
    asked: Option<Duration>,
    threads: Vec<SeenThread>,
    /// Once it was asked for.
    has_timer: Option<bool>,
    descriptors: Option<Descriptors>,
}

/// A thread, and what was read of it.
#[derive(Clone, Debug)]
struct SeenThread {
    thread: i32,
    look: ThreadLook,
    /// Since when its pace has been the same.
    since: Instant,
    children: Vec<i32>,
}

impl Watched {
    /// Nothing was seen yet of those below this process.
    pub(crate) fn below(root: i32) -> Self {
        Self {
            root,
            first: Vec::new(),
            processes: Vec::new(),
            held: None,
            at: Instant::now(),
            before: Instant::now(),
            kept: Duration::ZERO,
            ran_before: Duration::ZERO,
        }
    }

    /// Looks at every thread of a server that prints to this pipe.
    pub(crate) fn look(&mut self, output: OutputPipe) -> Activity {
        self.refresh(output);
        let mut seen = Activity::of_nobody(output);
        for process in self.processes.iter_mut().filter(|seen| seen.lives()) {
            process.add_to(&mut seen);
        }
        seen
    }

    /// What it has made of its time until the last look, which has shown this.
    pub(crate) fn own_time(&self, still: &Activity) -> OwnTime {
        OwnTime {
            at: self.at,
            ran: still.ran + self.ran_before,
            kept: self.kept(),
            may_be_kept: self.may_wait().saturating_sub(self.waits()),
        }
    }

    /// The time that one thread or another was kept from running so far: for a processor, or for the disk.
    fn kept(&self) -> Duration {
        self.kept + self.waits()
    }

    /// How long one thread or another has been waiting for a processor, which the kernel counts only when it gets to run.
    fn waits(&self) -> Duration {
        let waiting = self.ready_since(|seen| seen.since);
        waiting
            .filter(|waited| *waited >= LONGER_THAN_A_TICK)
            .max()
            .unwrap_or_default()
    }

    /// How long one of them may have been waiting at most: from the last look that showed it otherwise.
    fn may_wait(&self) -> Duration {
        let waiting = self.ready_since(|seen| seen.since.min(self.before));
        waiting.max().unwrap_or_default()
    }

    fn ready_since(
        &self,
        since: impl Fn(&SeenThread) -> Instant,
    ) -> impl Iterator<Item = Duration> {
        let threads = self.processes.iter().flat_map(|seen| &seen.threads);
        let ready = threads.filter(|seen| seen.look.pace.is_ready());
        ready.map(move |seen| self.at.saturating_duration_since(since(seen)))
    }

    /// Whether a process with many threads has run since the last look, or since this was asked: then a look at each of them shows
    /// nothing yet that will last, and takes long.
    pub(crate) fn is_at_work(&mut self) -> bool {
        let many = |seen: &&mut Seen| seen.threads.len() >= MANY_THREADS;
        let at_work = self.processes.iter_mut().filter(many).map(Seen::takes_up);
        at_work.fold(false, |any, is_at_work| any | is_at_work)
    }

    /// The processes that the last look has shown.
    pub(crate) fn processes(&self) -> impl Iterator<Item = &Process> {
        self.processes.iter().map(|seen| &seen.process)
    }

    /// What the processes that live had open at the last look. What a parent and its children hold alike is one thing that they
    /// share.
    pub(crate) fn held(&mut self) -> Held {
        let living = self.processes.iter_mut().filter(|seen| seen.lives());
        let held = self.held.get_or_insert_with(|| {
            let mut all = Descriptors::default();
            for seen in living {
                all.share_with(seen.descriptors());
            }
            Held {
                sockets: all.socket_count(),
                files: all.file_counts(),
            }
        });
        held.clone()
    }

    /// How many descriptors the only process that lives has open, where there is but one; the kernel tells it since Linux 6.2 as the
    /// size of the folder, and goes through none of them for it.
    pub(crate) fn open_files_of_one(&self) -> Option<usize> {
        let mut living = self.processes.iter().filter(|seen| seen.lives());
        let (only, None) = (living.next()?, living.next()) else {
            return None;
        };
        let folder = rustix::fs::stat(format!("{}/fd", only.process.folder())).ok()?;
        usize::try_from(folder.st_size)
            .ok()
            .filter(|count| *count > 0)
    }

    fn refresh(&mut self, output: OutputPipe) {
        let first = children_of_thread(&format!("/proc/{0}/task/{0}", self.root));
        let now = Instant::now();
        self.before = std::mem::replace(&mut self.at, now);
        let apart = now - self.before;
        if first == self.first && self.processes.iter().all(Seen::is_still) {
            return;
        }
        let before: HashMap<i32, Pace> = self.threads().collect();
        self.walk(&first, output, false);
        let after: HashMap<i32, Pace> = self.threads().collect();
        // The children of a thread that has ended are another one's now, which need not have run for that.
        if before.keys().any(|thread| !after.contains_key(thread)) {
            self.walk(&first, output, true);
        }
        let kept = |(thread, pace): (_, &Pace)| Some(pace.kept_until(*after.get(thread)?, apart));
        // Those who wait at the same time wait for the same processors: their times are not added up.
        let longest = before.iter().filter_map(kept).max();
        self.kept += longest.unwrap_or_default();
        let ended = before
            .iter()
            .filter(|(thread, _)| !after.contains_key(thread));
        self.ran_before += ended.map(|(_, pace)| pace.ran()).sum::<Duration>();
        self.first = first;
        self.held = None;
    }

    fn threads(&self) -> impl Iterator<Item = (i32, Pace)> {
        let seen = self.processes.iter().flat_map(|seen| &seen.threads);
        seen.map(|seen| (seen.thread, seen.look.pace))
    }

    /// Goes through the whole tree; where children may have changed hands, all are asked for theirs.
    fn walk(&mut self, first: &[i32], output: OutputPipe, asks_for_children: bool) {
        let before = std::mem::take(&mut self.processes).into_iter();
        let mut before: HashMap<i32, Seen> = before.map(|seen| (seen.process.pid, seen)).collect();
        let mut waiting = first.to_vec();
        while let Some(pid) = waiting.pop() {
            let mut known = before.remove(&pid);
            // Nothing more becomes of one that has ended until its parent waits for it; it may be another one's by now.
            let has_ended = |known: &mut Seen| !known.lives() && !asks_for_children;
            if let Some(ended) = known.take_if(has_ended) {
                self.processes.push(ended);
                continue;
            }
            let Some(process) = Process::read(pid) else {
                continue;
            };
            if let Some(known) = known.as_mut().filter(|_| asks_for_children) {
                known.ask_for_children();
            }
            let seen = Seen::of(process, known, output);
            waiting.extend(seen.children());
            self.processes.push(seen);
        }
        self.processes.sort_by_key(|seen| seen.process.pid);
    }
}

impl Seen {
    /// Reads of a process what is not known from the look before.
    fn of(process: Process, known: Option<Self>, output: OutputPipe) -> Self {
        let processor_time = processor_time(process.pid);
        let threads = match process.is_zombie() {
            true => Vec::new(),
            false => process.thread_ids(),
        };
        let old = |thread: &i32| known.as_ref()?.thread(*thread);
        let of = |thread: i32| SeenThread::of(&process, thread, old(&thread), output);
        let (threads, kept): (Vec<SeenThread>, Vec<bool>) = threads.into_iter().map(of).unzip();
        let is_same = kept.iter().all(|kept| *kept)
            && known
                .as_ref()
                .is_some_and(|known| known.threads.len() == threads.len());
        let known = known.filter(|_| is_same);
        let (has_timer, descriptors) =
            known.map_or((None, None), |known| (known.has_timer, known.descriptors));
        Self {
            process,
            processor_time,
            asked: processor_time,
            threads,
            has_timer,
            descriptors,
        }
    }

    fn lives(&self) -> bool {
        !self.process.is_zombie()
    }

    fn thread(&self, thread: i32) -> Option<&SeenThread> {
        self.threads.iter().find(|seen| seen.thread == thread)
    }

    /// Whether none of its threads has run since, or is about to. One that has ended, and that nobody has waited for, goes only
    /// when another one runs.
    fn is_still(&self) -> bool {
        if !self.lives() {
            return true;
        }
        let has_rested = self.processor_time.is_some()
            && processor_time(self.process.pid) == self.processor_time;
        let is_still = |seen: &SeenThread| {
            let folder = self.process.folder_of(seen.thread);
            seen.look.pace.is_shown_again(&folder)
        };
        has_rested && !self.threads.is_empty() && self.threads.iter().all(is_still)
    }

    /// Whether it has used processor time since this was asked last.
    fn takes_up(&mut self) -> bool {
        let now = processor_time(self.process.pid);
        let before = std::mem::replace(&mut self.asked, now);
        before != now
    }

    fn children(&self) -> impl Iterator<Item = i32> {
        self.threads.iter().flat_map(|seen| seen.children.clone())
    }

    fn ask_for_children(&mut self) {
        for seen in &mut self.threads {
            seen.children = children_of_thread(&self.process.folder_of(seen.thread));
        }
    }

    fn add_to(&mut self, all: &mut Activity) {
        for seen in &self.threads {
            seen.look.add_to(all);
        }
        if all.parked {
            let has_timer = self
                .has_timer
                .get_or_insert_with(|| has_timer(&self.process));
            all.parked = !*has_timer;
        }
    }

    fn descriptors(&mut self) -> &Descriptors {
        self.descriptors
            .get_or_insert_with(|| self.process.descriptors())
    }
}

impl SeenThread {
    /// Reads of a thread what is not known from the look before; also says whether all was known.
    fn of(
        process: &Process,
        thread: i32,
        known: Option<&Self>,
        output: OutputPipe,
    ) -> (Self, bool) {
        let folder = process.folder_of(thread);
        let pace = Pace::of(&folder);
        let is_same = |known: &&Self| known.look.pace == pace && pace.tells_stillness();
        if let Some(known) = known.filter(is_same) {
            return (known.clone(), true);
        }
        let as_before = known.filter(|known| known.look.pace == pace);
        let seen = Self {
            thread,
            since: as_before.map_or_else(Instant::now, |known| known.since),
            look: ThreadLook::of(process, &folder, pace, output),
            children: children_of_thread(&folder),
        };
        (seen, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{stillness, tree_of};
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Child, Command, Stdio};

    #[test]
    fn time_is_lost_in_which_threads_were_kept_and_none_ran() {
        let from = Instant::now();
        let time = Duration::from_millis;
        let after = |at, ran, kept| OwnTime {
            at: from + time(at),
            ran: time(ran),
            kept: time(kept),
            may_be_kept: Duration::ZERO,
        };
        let first = after(0, 100, 50);
        let lost = |at, ran, kept| after(at, ran, kept).lost_since(first).as_millis();
        assert_eq!(lost(1_000, 100, 50), 0);
        assert_eq!(lost(1_000, 200, 650), 600);
        // Two of its threads waited at a time.
        assert_eq!(lost(1_000, 200, 1_450), 900);
        // They left no processor to each other, and nobody else kept them.
        assert_eq!(lost(1_000, 1_100, 6_050), 0);
    }

    /// A shell that starts a process for each line that it is told, and says so.
    fn shell() -> Child {
        let script = "while read -r line; do eval \"$line\"; echo done; done";
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped());
        shell.spawn().unwrap()
    }

    fn tell(shell: &mut Child, line: &str, said: &mut impl BufRead) {
        writeln!(shell.stdin.as_mut().unwrap(), "{line}").unwrap();
        let mut answer = String::new();
        said.read_line(&mut answer).unwrap();
        assert_eq!(answer, "done\n");
    }

    const NO_PIPE: OutputPipe = OutputPipe { inode: 0, bytes: 0 };

    /// What a look at everything shows, once two in a row show the same.
    fn at_rest(pid: i32) -> Activity {
        loop {
            let looks = [(); 2].map(|()| stillness(&tree_of(pid)[1..], NO_PIPE));
            if looks[0] == looks[1] && looks[0].at_rest {
                return looks[1];
            }
        }
    }

    #[test]
    fn shows_what_a_look_at_everything_shows() {
        let mut shell = shell();
        let pid = shell.id() as i32;
        let mut said = BufReader::new(shell.stdout.take().unwrap());
        let mut watched = Watched::below(pid);
        assert_eq!(watched.processes().count(), 0);
        // A process, one below another, a zombie, and the orphans of one that is killed.
        for line in [
            "sleep 100 & one=$!",
            "sh -c 'sleep 100 & sleep 100 & wait' & two=$!",
            "true & true",
            "exec 5</dev/null; sleep 100 & :",
            "kill $one",
        ] {
            tell(&mut shell, line, &mut said);
            for _ in 0..2 {
                let whole = at_rest(pid);
                assert_eq!(watched.look(NO_PIPE), whole, "{line}");
                let seen: Vec<Process> = watched.processes().cloned().collect();
                assert_eq!(seen, tree_of(pid)[1..], "{line}");
                let mut all = Descriptors::default();
                for process in seen.iter().filter(|process| !process.is_zombie()) {
                    all.share_with(&process.descriptors());
                }
                assert_eq!(watched.held().files, all.file_counts(), "{line}");
            }
        }
        tell(&mut shell, "kill $(jobs -p) 2>/dev/null; :", &mut said);
        drop(shell.stdin.take());
        shell.wait().unwrap();
    }

    /// Forty threads that wait for each other, and one that waits for a line and then sleeps.
    const MANY: &str = "import sys, threading, time\nlock = threading.Lock()\nlock.acquire()\n\
        [threading.Thread(target=lock.acquire, daemon=True).start() for _ in range(40)]\n\
        print('done', flush=True)\nsys.stdin.readline()\ntime.sleep(1000)";

    #[test]
    fn who_is_asked_whether_it_is_at_work_is_looked_at_again_all_the_same() {
        let mut many = Command::new("python3");
        many.args(["-c", MANY]);
        many.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut many = many.spawn().unwrap();
        let pid = std::process::id() as i32;
        let mut said = String::new();
        let mut answers = BufReader::new(many.stdout.take().unwrap());
        answers.read_line(&mut said).unwrap();
        let this = Process::read(many.id() as i32).unwrap();
        let whole = || stillness(std::slice::from_ref(&this), NO_PIPE);
        while !whole().parked {}
        let mut watched = Watched::below(pid);
        watched.processes = vec![Seen::of(this.clone(), None, NO_PIPE)];
        writeln!(many.stdin.as_mut().unwrap()).unwrap();
        while !watched.is_at_work() {}
        while whole().parked || !whole().at_rest {}
        while watched.is_at_work() {}
        let seen = &watched.processes[0];
        assert!(seen.threads.len() >= MANY_THREADS && !seen.is_still());
        many.kill().unwrap();
        many.wait().unwrap();
    }

    /// Runs on a processor that others have, too.
    const RUNS: &str = "import os, signal; signal.alarm(60); \
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); [0 for _ in iter(int, 1)]";

    #[test]
    fn who_is_ready_and_gets_no_processor_is_kept_from_running() {
        let mut shell = shell();
        let mut said = BufReader::new(shell.stdout.take().unwrap());
        let mut watched = Watched::below(shell.id() as i32);
        let beside = format!("python3 -c '{RUNS}' & one=$!; nice -n 19 python3 -c '{RUNS}' & :");
        tell(&mut shell, &beside, &mut said);
        let begun = Instant::now();
        // They end by themselves after a minute.
        while watched.kept() < Duration::from_secs(1) && begun.elapsed() < Duration::from_secs(60) {
            watched.look(NO_PIPE);
        }
        assert!(watched.kept() >= Duration::from_secs(1));
        // There are two of them, and each waits at most all the time.
        assert!(watched.kept() <= begun.elapsed() * 2);
        tell(&mut shell, "kill $one $!; :", &mut said);
        drop(shell.stdin.take());
        shell.wait().unwrap();
    }
}
