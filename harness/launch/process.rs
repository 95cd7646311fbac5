//! A command of the target that runs: its streams, its output so far, and how it ended.

use super::answerer::Answerer;
use super::placeholder::without_backend;
use super::reach::write_below;
use super::target::{Target, find_program};
use crate::kernel::{Identity, OutputPipe, tree_of};
use crate::launch::lab::Lab;
use crate::model::alarm::Alarm;
use crate::model::alarm_reader::AlarmReader;
use crate::model::data::find;
use crate::model::error::{Error, OUTPUT_MARGIN};
use crate::model::profile::Transport;
use crate::model::server_action::Streams;
use crate::sys::notification::filter;
use crate::sys::own_limits;
use crate::sys::supervisor::SpawnRequest;
use crate::transcript::event::Exit;
use rustix::buffer::spare_capacity;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The first process of a server, watched.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pidfd: OwnedFd,
    watch: Arc<Watch>,
    output_inode: u64,
    /// Answers those of its calls that may be given a rare answer.
    answerer: Option<Answerer>,
    /// The reader of a standard output that is to be closed under the server once it listens.
    pub(super) leaving_reader: Option<OwnedFd>,
}

/// What the watching thread learns.
#[derive(Debug)]
struct Watch {
    exit: tokio::sync::watch::Sender<Option<Exit>>,
    output: Mutex<Output>,
    /// Our end of the pipe; reading it does not wait.
    pipe: OwnedFd,
}

impl Watch {
    /// Takes in what is in the pipe; false once nobody is left who could print.
    fn read(&self, buffer: &mut Vec<u8>) -> bool {
        let Ok(mut output) = self.output.lock() else {
            return false;
        };
        buffer.clear();
        match rustix::io::read(&self.pipe, spare_capacity(buffer)) {
            Ok(0) => false,
            Ok(_) => {
                output.take_in(buffer);
                true
            }
            Err(Errno::INTR | Errno::AGAIN) => true,
            Err(_) => false,
        }
    }

    /// Takes in all that was printed until now.
    fn catch_up(&self) {
        let printed = || rustix::io::ioctl_fionread(&self.pipe).unwrap_or(0);
        let mut buffer = Vec::with_capacity(PIPE_BYTES);
        for _ in 0..MOST_AT_ONCE {
            if printed() == 0 || !self.read(&mut buffer) {
                return;
            }
        }
    }
}

/// As much as a pipe holds (pipe(7)).
const PIPE_BYTES: usize = 64 << 10;

/// As many pipes full are read at once of a server that never stops printing.
const MOST_AT_ONCE: usize = 16;

/// The server's output: all of it counted, the beginning of what was not taken yet and the end kept.
#[derive(Debug, Default)]
struct Output {
    fresh: Vec<u8>,
    /// How many bytes came behind the fresh ones that are not kept.
    cut_bytes: u64,
    first: Vec<u8>,
    last: Vec<u8>,
    bytes: u64,
    alarms: AlarmReader<Instant>,
    bursts: Vec<Burst>,
    forbidden: Vec<Forbidden>,
}

/// What must not be printed.
#[derive(Debug)]
struct Forbidden {
    text: Vec<u8>,
    /// The last that was printed, of which it may be a part.
    last: Vec<u8>,
    /// It was printed.
    found: bool,
}

impl Forbidden {
    fn take_in(&mut self, bytes: &[u8]) {
        self.last.extend_from_slice(bytes);
        self.found |= find(&self.last, &self.text).is_some();
        let kept = self.last.len().min(self.text.len().saturating_sub(1));
        self.last.drain(..self.last.len() - kept);
    }
}

/// So many lines that were printed within a moment, from when on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Burst {
    pub(crate) began: Instant,
    pub(crate) lines: u64,
}

/// How long such a moment is: shorter than anything that a person would call a time, longer than the pauses of a host.
const MOMENT: Duration = Duration::from_millis(100);

/// Fewer lines in a moment are what a log is.
const LINES_OF_A_LOG: u64 = 100;

/// How much of its beginning is kept, in which is looked for what somebody waits for.
const BEGINNING_KEPT: usize = 1 << 20;

/// How much output is kept: enough for any message, small enough for a server that floods.
const OUTPUT_KEPT: usize = 16 << 10;

impl Output {
    fn take_in(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let now = Instant::now();
        self.alarms.take_in(bytes, now);
        self.count_lines(bytes, now);
        let room = OUTPUT_KEPT.saturating_sub(self.fresh.len());
        let kept = bytes.len().min(room);
        self.fresh.extend_from_slice(&bytes[..kept]);
        self.cut_bytes += (bytes.len() - kept) as u64;
        let room = BEGINNING_KEPT.saturating_sub(self.first.len());
        self.first
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
        let forbidden = self.forbidden.iter_mut();
        forbidden.for_each(|forbidden| forbidden.take_in(bytes));
        self.last.extend_from_slice(bytes);
        if self.last.len() > 2 * OUTPUT_KEPT {
            self.last.drain(..self.last.len() - OUTPUT_KEPT);
        }
    }
}

impl Output {
    fn count_lines(&mut self, bytes: &[u8], now: Instant) {
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        match self.bursts.last_mut() {
            Some(last) if now.duration_since(last.began) < MOMENT => last.lines += lines,
            // What was only a log takes no place.
            Some(last) if last.lines < LINES_OF_A_LOG => *last = Burst { began: now, lines },
            _ => self.bursts.push(Burst { began: now, lines }),
        }
    }
}

/// Writes the files of a target into its folder, filled in for it.
fn write_files(target: &Target, folder: &Path, fill: &Fill) -> Result<(), Error> {
    for (name, text) in &target.files {
        let failed = Error::file("writing", Path::new(name));
        write_below(folder, Path::new(name), fill.in_text(text).as_bytes()).map_err(failed)?;
    }
    Ok(())
}

impl Process {
    /// Starts the target's command in a lab.
    pub(crate) fn start(target: &Target, lab: &Lab, streams: Streams) -> Result<Self, Error> {
        let fill = Fill::of(lab, lab.folder());
        Self::start_in(target, lab, streams, lab.folder(), &fill)
    }

    /// Starts a client of the server, which is told this place in the place of the server's.
    pub(crate) fn start_client(
        client: &Target,
        lab: &Lab,
        port: u16,
        path: &Path,
    ) -> Result<Self, Error> {
        let fill = Fill {
            port: port.to_string(),
            path: path.display().to_string(),
            ..Fill::of(lab, lab.folder())
        };
        Self::start_in(client, lab, Streams::Usual, lab.folder(), &fill)
    }

    /// Starts it once more, on the same address and with a folder of its own.
    pub(crate) fn start_second(target: &Target, lab: &Lab) -> Result<Self, Error> {
        let folder = lab.second_folder()?;
        let fill = Fill::of(lab, &folder);
        Self::start_in(target, lab, Streams::Usual, &folder, &fill)
    }

    fn start_in(
        target: &Target,
        lab: &Lab,
        streams: Streams,
        folder: &Path,
        fill: &Fill,
    ) -> Result<Self, Error> {
        let directory = working_folder()?;
        if let Some(told) = fill.without_backend(target) {
            return Err(Error::Usage(told));
        }
        write_files(target, &lab.reached(folder), fill)?;
        let words = target.command.iter().map(|word| fill.in_text(word));
        let words: Vec<String> = words.collect();
        let program = words.first().map_or("", String::as_str).to_owned();
        let path = find_program(&program).ok_or_else(|| missing(&program, target))?;
        let mut others = target.programs.iter();
        if let Some(other) = others.find(|other| find_program(other).is_none()) {
            return Err(missing(other, target));
        }
        let start_failed = |source: std::io::Error| Error::Start {
            program: program.clone(),
            source,
        };
        let errno = |errno: Errno| start_failed(errno.into());
        let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
        let (output, output_end) = pipe().map_err(errno)?;
        let output_inode = rustix::fs::fstat(&output).map_err(errno)?.st_ino;
        let prints_to = Identity::of(output.as_fd()).map_err(errno)?;
        let (status, status_end) = pipe().map_err(errno)?;
        let stdin = stdin(streams).map_err(start_failed)?;
        let (leaving_reader, left_end) = pipe().map_err(errno)?;
        let (stdout, leaving_reader) = match streams {
            Streams::StdoutClosed => (left_end.as_fd(), Some(leaving_reader)),
            Streams::Usual | Streams::StdinClosed | Streams::NoStdin | Streams::NoneAtAll => {
                (output_end.as_fd(), None)
            }
        };
        let listener = match target.listen_fds {
            true => Some(activated(target, lab).map_err(start_failed)?),
            false => None,
        };
        let given = own_limits::open_files();
        let open_files = target.open_files.map(|limit| [limit; 2]);
        let arguments = words.iter().map(|word| c_string(word.as_bytes()));
        let numbers = lab.calls.iter().flat_map(|call| call.numbers());
        let filter = (!lab.calls.is_empty()).then(|| filter(numbers));
        let request = SpawnRequest {
            program: c_string(path.as_os_str().as_bytes()).map_err(start_failed)?,
            arguments: arguments.collect::<Result<_, _>>().map_err(start_failed)?,
            environment: environment(target, fill).map_err(start_failed)?,
            directory: c_string(directory.as_os_str().as_bytes()).map_err(start_failed)?,
            stdin: stdin.as_fd(),
            stdout,
            stderr: output_end.as_fd(),
            status: status_end.as_fd(),
            closed: streams.closed(),
            listener: listener.as_ref().map(AsFd::as_fd),
            open_files: open_files.unwrap_or([given.soft, given.hard]),
            filter: filter.as_deref(),
        };
        let spawned = lab.spawn(&request).map_err(|errno| {
            lab.lost(errno)
                .unwrap_or_else(|| start_failed(errno.into()))
        })?;
        // Held any longer, the listener would be ours too.
        drop((output_end, status_end, left_end, listener));
        let answerer = spawned
            .listener
            .map(|listener| Answerer::start(listener, prints_to));
        let answerer = answerer.transpose();
        Ok(Self {
            answerer: answerer.map_err(start_failed)?,
            pid: spawned.pid,
            pidfd: spawned.pidfd,
            watch: watch(output, status).map_err(start_failed)?,
            output_inode,
            leaving_reader,
        })
    }

    /// Who answers those of its calls that may be given a rare answer.
    pub(crate) fn answerer(&self) -> Option<&Answerer> {
        self.answerer.as_ref()
    }

    /// The process and all below it.
    pub(crate) fn tree(&self) -> Vec<crate::kernel::Process> {
        tree_of(self.pid)
    }

    /// How the process ended, if it has.
    pub(crate) fn exit(&self) -> Option<Exit> {
        *self.watch.exit.borrow()
    }

    /// Resolves to the end of the process, also for those who outlive this handle.
    pub(crate) fn exit_receiver(&self) -> tokio::sync::watch::Receiver<Option<Exit>> {
        self.watch.exit.subscribe()
    }

    /// Waits for the end of the process.
    pub(crate) async fn ended(&self) -> Exit {
        let mut receiver = self.watch.exit.subscribe();
        match receiver.wait_for(Option::is_some).await {
            Ok(exit) => exit.unwrap_or(Exit::Signal(libc::SIGKILL)),
            Err(_) => Exit::Signal(libc::SIGKILL),
        }
    }

    pub(crate) fn signal(&self, signal: i32) {
        if let Some(signal) = rustix::process::Signal::from_named_raw(signal) {
            // ESRCH: it has ended, which its watcher reports.
            let _ = rustix::process::pidfd_send_signal(&self.pidfd, signal);
        }
    }

    /// Takes the output that came since the last call, and how many bytes were cut off where there was too much of it.
    pub(crate) fn take_output(&self) -> (Vec<u8>, u64) {
        self.watch.catch_up();
        let output = self.watch.output.lock();
        output.map_or_else(
            |_| (Vec::new(), 0),
            |mut output| {
                let output = &mut *output;
                let (fresh, cut_bytes) = (&mut output.fresh, &mut output.cut_bytes);
                (std::mem::take(fresh), std::mem::take(cut_bytes))
            },
        )
    }

    /// Takes the alarms that it has printed since the last call, each with when it began; where `all` are wanted, one of which
    /// more might come too.
    pub(crate) fn take_alarms(&self, all: bool) -> Vec<(Instant, Alarm)> {
        self.watch.catch_up();
        let output = self.watch.output.lock();
        output.map_or_else(
            |_| Vec::new(),
            |mut output| output.alarms.take(all, Instant::now()),
        )
    }

    /// Takes the moments since the last call in which it has printed more than a log has lines.
    pub(crate) fn take_bursts(&self) -> Vec<Burst> {
        let output = self.watch.output.lock();
        let bursts = output.map(|mut output| std::mem::take(&mut output.bursts));
        let mut bursts = bursts.unwrap_or_default();
        bursts.retain(|burst| burst.lines >= LINES_OF_A_LOG);
        bursts
    }

    /// Whether it has printed this, at the beginning or lately.
    pub(crate) fn has_printed(&self, text: &[u8]) -> bool {
        self.watch.output.lock().is_ok_and(|output| {
            [&output.first, &output.last]
                .into_iter()
                .any(|kept| find(kept, text).is_some())
        })
    }

    /// Looks from here on for what must not be printed, and in what is kept of before; false where something is not kept.
    pub(crate) fn forbid(&self, text: &[u8]) -> bool {
        self.watch.catch_up();
        let Ok(mut output) = self.watch.output.lock() else {
            return false;
        };
        let mut forbidden = Forbidden {
            text: text.to_vec(),
            last: Vec::new(),
            found: false,
        };
        // The beginning is all there is, or the end follows behind a gap.
        forbidden.take_in(&output.first);
        let is_kept = output.bytes <= output.first.len() as u64;
        if !is_kept {
            forbidden.last.clear();
            forbidden.take_in(&output.last);
        }
        output.forbidden.push(forbidden);
        is_kept
    }

    /// What must not be printed and was.
    pub(crate) fn printed_forbidden(&self) -> Vec<Vec<u8>> {
        self.watch.catch_up();
        let output = self.watch.output.lock();
        output.map_or_else(
            |_| Vec::new(),
            |output| {
                let found = output.forbidden.iter().filter(|forbidden| forbidden.found);
                found.map(|forbidden| forbidden.text.clone()).collect()
            },
        )
    }

    /// How much the process has printed, in bytes.
    pub(crate) fn output_bytes(&self) -> u64 {
        self.watch.output.lock().map_or(0, |output| output.bytes)
    }

    /// The pipe that it prints to, as the kernel knows it.
    pub(crate) fn output_pipe(&self) -> OutputPipe {
        OutputPipe {
            inode: self.output_inode,
            bytes: self.output_bytes(),
        }
    }

    /// The end of the output, ready to stand behind an error.
    pub(crate) fn output_for_error(&self) -> String {
        let last = self
            .watch
            .output
            .lock()
            .map_or_else(|_| Vec::new(), |output| output.last.clone());
        let text = String::from_utf8_lossy(&last);
        let lines: Vec<&str> = text.trim_end().lines().rev().take(10).collect();
        match lines.as_slice() {
            [] => "; it printed nothing".to_owned(),
            lines => {
                let shown = lines
                    .iter()
                    .rev()
                    .map(|line| format!("\n{OUTPUT_MARGIN}{}", line.trim_end()));
                format!("; its last output:{}", shown.collect::<String>())
            }
        }
    }
}

/// A socket as a service manager hands it to a server: bound and, for streams, listening.
fn activated(target: &Target, lab: &Lab) -> std::io::Result<OwnedFd> {
    use rustix::net::{AddressFamily, SocketType};
    let datagram = target.profile.transport.is_some_and(Transport::is_datagram);
    let kind = if datagram {
        SocketType::DGRAM
    } else {
        SocketType::STREAM
    };
    let socket = socket2::Socket::from(lab.socket(AddressFamily::INET, kind)?);
    socket.set_reuse_address(!datagram)?;
    socket.bind(&SocketAddr::new(Ipv4Addr::LOCALHOST.into(), lab.port()).into())?;
    if !datagram {
        socket.listen(ACTIVATED_BACKLOG)?;
    }
    Ok(socket.into())
}

/// The backlog of a socket that is handed over; that of systemd is somaxconn, too deep to be filled by a quick check.
const ACTIVATED_BACKLOG: i32 = 128;

fn c_string(bytes: &[u8]) -> std::io::Result<CString> {
    CString::new(bytes).map_err(std::io::Error::other)
}

/// Where we are, which the server is to be too.
///
/// # Errors
/// It has been removed, and no program is found from there.
fn working_folder() -> Result<PathBuf, Error> {
    std::env::current_dir().map_err(|source| {
        let link = Path::new("/proc/self/cwd");
        let name = std::fs::read_link(link).unwrap_or_else(|_| link.to_owned());
        Error::file("looking for the working folder", &name)(source)
    })
}

pub(super) fn missing(program: &str, target: &Target) -> Error {
    let path = Path::new(program);
    let is_here = || path.is_file();
    let place = match program.contains('/') {
        true if is_here() => "; the file is there, and may not be executed (chmod +x)".to_owned(),
        true if path.is_dir() => "; that is a folder; name the program in it".to_owned(),
        true if path.is_relative() => format!(
            "; it was looked for from {}; go to the folder that it is meant from, or give the path to a file that may be executed",
            working_folder()
                .map_or_else(|_| "here".to_owned(), |folder| folder.display().to_string())
        ),
        true => "; give a path to a file that may be executed".to_owned(),
        false if is_here() => format!(" in PATH; there is one here: ./{program}"),
        false => " in PATH; give its path, or install it".to_owned(),
    };
    let package = target
        .package
        .as_ref()
        .map(|package| format!(" (Debian package {package})"));
    Error::MissingProgram {
        program: program.to_owned(),
        searched: format!("{place}{}", package.unwrap_or_default()),
    }
}

fn stdin(streams: Streams) -> std::io::Result<OwnedFd> {
    match streams {
        Streams::StdinClosed => {
            let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
            drop(writer);
            Ok(reader)
        }
        Streams::Usual | Streams::StdoutClosed | Streams::NoStdin | Streams::NoneAtAll => {
            Ok(std::fs::File::open("/dev/null")?.into())
        }
    }
}

pub(super) fn environment(target: &Target, fill: &Fill) -> std::io::Result<Vec<CString>> {
    let mut variables: BTreeMap<Vec<u8>, Vec<u8>> = std::env::vars_os()
        .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
        .collect();
    variables.insert(b"PORT".to_vec(), fill.port.clone().into_bytes());
    for (name, value) in &target.environment {
        variables.insert(name.clone().into_bytes(), fill.in_text(value).into_bytes());
    }
    let entries = variables
        .into_iter()
        .map(|(name, value)| c_string(&[name, b"=".to_vec(), value].concat()));
    entries.collect()
}

/// The values of the names that targets may use.
pub(super) struct Fill {
    port: String,
    path: String,
    folder: String,
    /// The ports of the backends, by their names.
    backends: Vec<(String, u16)>,
}

impl Fill {
    pub(super) fn of(lab: &Lab, folder: &Path) -> Self {
        Self {
            port: lab.port().to_string(),
            path: lab.socket_path().display().to_string(),
            folder: folder.display().to_string(),
            backends: lab.backend_ports().to_vec(),
        }
    }

    /// What is wrong with a target that has the place of a backend which there is not.
    fn without_backend(&self, target: &Target) -> Option<String> {
        let words = target.command.iter().chain(target.environment.values());
        let files = target.files.values();
        let backends = self.backends.iter().map(|(name, _)| name.as_str());
        without_backend(
            words.map(String::as_str),
            files.map(String::as_str),
            &backends.collect::<Vec<_>>(),
        )
    }

    fn in_text(&self, text: &str) -> String {
        let own = text
            .replace("{port}", &self.port)
            .replace("{addr}", &format!("127.0.0.1:{}", self.port))
            .replace("{path}", &self.path)
            .replace("{dir}", &self.folder);
        self.backends.iter().fold(own, |text, (name, port)| {
            text.replace(&format!("{{{name}.port}}"), &port.to_string())
                .replace(&format!("{{{name}.addr}}"), &format!("127.0.0.1:{port}"))
        })
    }
}

/// Watches a process from a thread of its own, so that a full pipe never stops it and its end is never missed.
fn watch(output: OwnedFd, status: OwnedFd) -> std::io::Result<Arc<Watch>> {
    rustix::fs::fcntl_setfl(&output, OFlags::NONBLOCK)?;
    let watch = Arc::new(Watch {
        exit: tokio::sync::watch::Sender::new(None),
        output: Mutex::default(),
        pipe: output,
    });
    let shared = Arc::clone(&watch);
    std::thread::Builder::new()
        .name("server-watch".to_owned())
        .spawn(move || watch_until_both_end(Some(status), &shared))?;
    Ok(watch)
}

fn watch_until_both_end(mut status: Option<OwnedFd>, watch: &Watch) {
    use rustix::event::{PollFd, PollFlags, poll};
    let mut buffer = Vec::with_capacity(PIPE_BYTES);
    let mut prints = true;
    while prints || status.is_some() {
        let pipe = prints.then_some(&watch.pipe);
        let mut ready: Vec<PollFd<'_>> = [pipe, status.as_ref()]
            .into_iter()
            .flatten()
            .map(|fd| PollFd::new(fd, PollFlags::IN))
            .collect();
        if poll(&mut ready, None).is_err() {
            continue;
        }
        let mut readable = ready
            .iter()
            .map(|fd| !fd.revents().is_empty())
            .collect::<Vec<_>>()
            .into_iter();
        let output_ready = prints && readable.next().unwrap_or(false);
        let status_ready = status.is_some() && readable.next().unwrap_or(false);
        if output_ready {
            prints = watch.read(&mut buffer);
        }
        if let Some(fd) = status.as_ref().filter(|_| status_ready) {
            let mut word = [0u8; 4];
            let exit = match rustix::io::read(fd, &mut word) {
                Ok(4) => Exit::from_wait_status(i32::from_ne_bytes(word)),
                // The supervisor is gone, and with it everything in the lab.
                _ => Exit::Signal(libc::SIGKILL),
            };
            watch.exit.send_replace(Some(exit));
            status = None;
        }
    }
}
