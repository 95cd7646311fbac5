//! How the system under test is started, and the guard over its running process tree.

use crate::check::Address;
use crate::error::Error;
use crate::event::Exit;
use crate::kernel::{Descriptors, Row, State, tree};
use crate::lab::Lab;
use crate::profile::{Profile, RawProfile, Transport};
use crate::servers;
use crate::step::Streams;
use crate::sys::warden::SpawnRequest;
use rustix::fd::{AsFd, OwnedFd};
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};
use std::ffi::CString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How to start a server, and what it speaks.
#[derive(Clone, Debug)]
pub struct Target {
    /// The name in reports.
    pub name: String,
    /// The program and its arguments; `{port}`, `{addr}`, `{path}` and `{dir}` are filled in.
    pub command: Vec<String>,
    /// Environment variables beside the inherited ones, filled in likewise.
    pub environment: BTreeMap<String, String>,
    /// Files to write into `{dir}` before the start, filled in likewise.
    pub files: BTreeMap<String, String>,
    /// What it speaks and promises.
    pub profile: Profile,
    /// How long it may take to listen.
    pub ready_within: Duration,
    /// It is handed its listening socket as descriptor 3 (sd_listen_fds(3)) instead of opening one.
    pub listen_fds: bool,
    /// The limit on its open files, if one is set.
    pub open_files: Option<u64>,
    /// Kernel parameters of its own network.
    pub sysctl: BTreeMap<String, String>,
    /// Which of several listeners to drill.
    pub listen: Option<String>,
    /// The package that has the program, for the error where it is missing.
    pub package: Option<String>,
    /// The programs beside the command's own that it starts.
    pub programs: Vec<String>,
    /// Failures that are known and have a reason.
    pub known: Vec<Known>,
}

/// A failure of a target that is known.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// The check, by id or glob.
    pub check: String,
    /// Why it fails.
    pub reason: String,
    /// The last day on which the failure is accepted, as `YYYY-MM-DD`.
    #[serde(default, deserialize_with = "date")]
    pub until: Option<String>,
    /// The failure shows only now and then, so that a pass does not mean that it is gone.
    #[serde(default)]
    pub sometimes: bool,
}

/// Reads a date, with or without quotes; any other text would never be over, or always.
fn date<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = match toml::Value::deserialize(from)? {
        toml::Value::String(text) => text,
        other => other.to_string(),
    };
    match text.parse::<toml::value::Datetime>() {
        Ok(date) if date.date.is_some() && date.time.is_none() => Ok(Some(text)),
        _ => Err(serde::de::Error::custom(format!(
            "`{text}` is no date; write one such as \"2030-12-31\""
        ))),
    }
}

/// How long a server may take to listen where its target does not say.
const READY_WITHIN: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawTarget {
    command: Vec<String>,
    speaks: Option<String>,
    profile: Option<RawProfile>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    files: BTreeMap<String, String>,
    ready_within: Option<String>,
    listen: Option<String>,
    #[serde(default)]
    listen_fds: bool,
    package: Option<String>,
    #[serde(default)]
    programs: Vec<String>,
    #[serde(default)]
    lab: RawLab,
    #[serde(default)]
    known: Vec<Known>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawLab {
    #[serde(default)]
    sysctl: BTreeMap<String, toml::Value>,
    open_files: Option<u64>,
}

impl Target {
    /// A target from a command line, with a profile.
    pub fn command(command: Vec<String>, profile: Profile) -> Self {
        let name = command.first().map_or("", |program| program.as_str());
        let name = Path::new(name)
            .file_name()
            .map_or_else(|| "server".into(), |name| name.to_string_lossy())
            .into_owned();
        Self {
            name,
            command,
            environment: BTreeMap::new(),
            files: BTreeMap::new(),
            profile,
            ready_within: READY_WITHIN,
            listen_fds: false,
            open_files: None,
            sysctl: BTreeMap::new(),
            listen: None,
            package: None,
            programs: Vec::new(),
            known: Vec::new(),
        }
    }

    /// Finds a target by the name of a reference server, which this program serves itself, or reads it from a file.
    ///
    /// # Errors
    /// There is no such name or file, or the file is malformed.
    pub fn find(name: &str) -> Result<Self, Error> {
        if servers::find(name).is_some() {
            let program = std::env::current_exe().map_err(|source| Error::Start {
                program: name.to_owned(),
                source,
            })?;
            return Self::reference(name, &program);
        }
        let path = Path::new(name);
        if path.is_file() {
            return Self::read(path);
        }
        let known: Vec<_> = servers::SERVERS.iter().map(|server| server.name).collect();
        Err(Error::Unknown {
            kind: "target",
            name: name.to_owned(),
            hint: format!(
                "; name a target file, one of {}, or a command after `--`",
                known.join(", ")
            ),
        })
    }

    /// A reference server in a process of its own, started by the given sockdrill program.
    ///
    /// # Errors
    /// There is no reference server of that name.
    pub fn reference(name: &str, program: &Path) -> Result<Self, Error> {
        let profile = Profile::find(name)?;
        let place = match profile.transport.is_some_and(Transport::is_local) {
            true => ["--path={path}", "--port=0"],
            false => ["--host=127.0.0.1", "--port={port}"],
        };
        let words = [
            program.to_string_lossy().as_ref(),
            "serve",
            name,
            place[0],
            place[1],
        ]
        .map(str::to_owned);
        Ok(Self {
            name: name.to_owned(),
            ..Self::command(words.to_vec(), profile)
        })
    }

    /// Reads a target file.
    ///
    /// # Errors
    /// The file cannot be read or is malformed, or names a profile that does not exist.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::File {
            doing: "reading",
            path: path.to_owned(),
            source,
        })?;
        let stem = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        Self::parse(&stem, &text, folder).map_err(|error| match error {
            Error::Malformed { message, .. } => Error::Malformed {
                file: path.display().to_string(),
                message,
            },
            other => other,
        })
    }

    /// Parses the text of a target; `folder` is where relative profile files are looked for.
    ///
    /// # Errors
    /// As [`Target::read`].
    pub fn parse(name: &str, text: &str, folder: &Path) -> Result<Self, Error> {
        let malformed = |message: String| Error::Malformed {
            file: name.to_owned(),
            message,
        };
        let raw: RawTarget =
            toml::from_str(text).map_err(|error| malformed(error.to_string().trim().to_owned()))?;
        if raw.command.is_empty() {
            return Err(malformed(
                "command is empty; write command = [\"program\", \"argument\"]".to_owned(),
            ));
        }
        let profile = match (raw.speaks, raw.profile) {
            (Some(_), Some(_)) => {
                return Err(malformed(
                    "speaks and [profile] exclude each other".to_owned(),
                ));
            }
            (Some(speaks), None) => {
                let beside = folder.join(&speaks);
                match beside.is_file() {
                    true => Profile::find(&beside.to_string_lossy())?,
                    false => Profile::find(&speaks)?,
                }
            }
            (None, Some(raw)) => Profile::from_raw(name, raw).map_err(malformed)?,
            (None, None) => Profile::unknown(),
        };
        let ready_within = match raw.ready_within {
            Some(text) => crate::literal::duration(&text)
                .map_err(|error| malformed(format!("ready-within: {error}")))?,
            None => READY_WITHIN,
        };
        let plain = |value: toml::Value| match value {
            toml::Value::String(text) => text,
            other => other.to_string(),
        };
        Ok(Self {
            name: name.to_owned(),
            environment: raw.environment,
            files: raw.files,
            profile,
            ready_within,
            open_files: raw.lab.open_files,
            sysctl: raw
                .lab
                .sysctl
                .into_iter()
                .map(|(name, value)| (name, plain(value)))
                .collect(),
            listen: raw.listen,
            listen_fds: raw.listen_fds,
            package: raw.package,
            programs: raw.programs,
            known: raw.known,
            ..Self::command(raw.command, Profile::unknown())
        })
    }

    /// Whether the program of the command, and those that it starts, are on this machine.
    pub fn is_installed(&self) -> bool {
        let found = |program: &String| find_program(program).is_some();
        self.command.first().is_some_and(found) && self.programs.iter().all(found)
    }

    /// Whether the command names 127.0.0.1 as the address to listen on, rather than as that of a peer.
    pub(crate) fn names_loopback(&self) -> bool {
        let word = |n: usize| self.command.get(n).map_or("", String::as_str);
        let told = |n: usize| tells_loopback(word(n.wrapping_sub(1)), word(n), word(n + 1));
        self.uses("addr") || (0..self.command.len()).any(told)
    }

    /// Whether the command leaves it to the lab where the server listens.
    pub(crate) fn takes_any_place(&self) -> bool {
        self.listen_fds
            || ["port", "addr", "path", "dir"]
                .iter()
                .any(|name| self.uses(name))
    }

    /// Whether `{name}` stands in the command, its environment or its files.
    pub(crate) fn uses(&self, name: &str) -> bool {
        let texts = self
            .command
            .iter()
            .chain(self.environment.values())
            .chain(self.files.values());
        let wanted = format!("{{{name}}}");
        texts.into_iter().any(|text| text.contains(&wanted))
    }

    /// The command as a person would type it.
    pub fn command_line(&self) -> String {
        let quoted = self.command.iter().map(|word| {
            match word
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_./:={}@,+".contains(c))
                && !word.is_empty()
            {
                true => word.clone(),
                false => format!("'{}'", word.replace('\'', r"'\''")),
            }
        });
        quoted.collect::<Vec<_>>().join(" ")
    }
}

/// Finds a program the way a shell does: by its path if there is a slash in it, else in `PATH`.
fn find_program(program: &str) -> Option<PathBuf> {
    let is_program = |path: &Path| {
        path.metadata()
            .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        let path = std::env::current_dir().ok()?.join(program);
        return is_program(&path).then_some(path);
    }
    // Many servers live where only root's path looks.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from));
    folders
        .map(|folder| folder.join(program))
        .find(|path| is_program(path))
}

/// A running server. Dropping it ends its whole process tree and waits for that.
#[derive(Debug)]
#[must_use = "dropping the server stops it"]
pub struct Server {
    lab: Arc<Lab>,
    process: Process,
    place: Place,
}

/// The first process of a server, watched.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pidfd: OwnedFd,
    watch: Arc<Watch>,
    /// The reader of a standard output that is to be closed under the server once it listens.
    leaving_reader: Option<OwnedFd>,
}

/// What the watching thread learns.
#[derive(Debug)]
struct Watch {
    exit: tokio::sync::watch::Sender<Option<Exit>>,
    output: Mutex<Output>,
}

/// The server's output: all of it counted, the beginning of what was not taken yet and the end kept.
#[derive(Debug, Default)]
struct Output {
    fresh: Vec<u8>,
    last: Vec<u8>,
    bytes: u64,
}

/// How much output is kept: enough for any message, small enough for a server that floods.
const OUTPUT_KEPT: usize = 16 << 10;

impl Output {
    fn take_in(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let room = OUTPUT_KEPT.saturating_sub(self.fresh.len());
        self.fresh
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.last.extend_from_slice(bytes);
        if self.last.len() > 2 * OUTPUT_KEPT {
            self.last.drain(..self.last.len() - OUTPUT_KEPT);
        }
    }
}

impl Process {
    /// Starts the target's command in a lab.
    pub(crate) fn start(target: &Target, lab: &Lab, streams: Streams) -> Result<Self, Error> {
        let fill = Fill::of(lab);
        for (name, text) in &target.files {
            let path = lab.folder().join(name);
            let failed = |source| Error::File {
                doing: "writing",
                path: path.clone(),
                source,
            };
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).map_err(failed)?;
            }
            std::fs::write(&path, fill.in_text(text)).map_err(failed)?;
        }
        let words: Vec<String> = target
            .command
            .iter()
            .map(|word| fill.in_text(word))
            .collect();
        let program = words.first().map_or("", String::as_str).to_owned();
        let path = find_program(&program).ok_or_else(|| missing(&program, target))?;
        if let Some(other) = target
            .programs
            .iter()
            .find(|other| find_program(other).is_none())
        {
            return Err(missing(other, target));
        }
        let start_failed = |source: std::io::Error| Error::Start {
            program: program.clone(),
            source,
        };
        let errno = |errno: rustix::io::Errno| start_failed(errno.into());
        let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
        let (output, output_end) = pipe().map_err(errno)?;
        let (status, status_end) = pipe().map_err(errno)?;
        let stdin = stdin(streams).map_err(start_failed)?;
        let (leaving_reader, left_end) = pipe().map_err(errno)?;
        let (stdout, leaving_reader) = match streams {
            Streams::StdoutClosed => (left_end.as_fd(), Some(leaving_reader)),
            Streams::Usual | Streams::StdinClosed => (output_end.as_fd(), None),
        };
        let directory = std::env::current_dir().map_err(start_failed)?;
        let listener = match target.listen_fds {
            true => Some(activated(target, lab).map_err(start_failed)?),
            false => None,
        };
        let request = SpawnRequest {
            program: c_string(path.as_os_str().as_bytes()).map_err(start_failed)?,
            arguments: words
                .iter()
                .map(|word| c_string(word.as_bytes()))
                .collect::<Result<_, _>>()
                .map_err(start_failed)?,
            environment: environment(target, &fill).map_err(start_failed)?,
            directory: c_string(directory.as_os_str().as_bytes()).map_err(start_failed)?,
            stdin: stdin.as_fd(),
            stdout,
            stderr: output_end.as_fd(),
            status: status_end.as_fd(),
            listener: listener.as_ref().map(AsFd::as_fd),
            open_files: target.open_files,
        };
        let spawned = lab.spawn(&request).map_err(errno)?;
        // Held any longer, the listener would be ours too.
        drop((output_end, status_end, left_end, listener));
        Ok(Self {
            pid: spawned.pid,
            pidfd: spawned.pidfd,
            watch: watch(output, status).map_err(start_failed)?,
            leaving_reader,
        })
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

    /// Takes the output that came since the last call, cut where there was too much of it.
    pub(crate) fn take_output(&self) -> Vec<u8> {
        let output = self.watch.output.lock();
        output.map_or_else(
            |_| Vec::new(),
            |mut output| std::mem::take(&mut output.fresh),
        )
    }

    /// How much the process has printed, in bytes.
    pub(crate) fn output_bytes(&self) -> u64 {
        self.watch.output.lock().map_or(0, |output| output.bytes)
    }

    /// The end of the output, ready to stand behind an error.
    fn output_for_error(&self) -> String {
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
                    .map(|line| format!("\n    {}", line.trim_end()));
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

fn missing(program: &str, target: &Target) -> Error {
    let place = match program.contains('/') {
        true => "; give a path to a file that may be executed",
        false => " in PATH; give its path, or install it",
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
        Streams::Usual | Streams::StdoutClosed => Ok(std::fs::File::open("/dev/null")?.into()),
    }
}

fn environment(target: &Target, fill: &Fill) -> std::io::Result<Vec<CString>> {
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
struct Fill {
    port: String,
    path: String,
    folder: String,
}

impl Fill {
    fn of(lab: &Lab) -> Self {
        Self {
            port: lab.port().to_string(),
            path: lab.socket_path().display().to_string(),
            folder: lab.folder().display().to_string(),
        }
    }

    fn in_text(&self, text: &str) -> String {
        text.replace("{port}", &self.port)
            .replace("{addr}", &format!("127.0.0.1:{}", self.port))
            .replace("{path}", &self.path)
            .replace("{dir}", &self.folder)
    }
}

/// Watches a process from a thread of its own, so that a full pipe never stops it and its end is never missed.
fn watch(output: OwnedFd, status: OwnedFd) -> std::io::Result<Arc<Watch>> {
    let watch = Arc::new(Watch {
        exit: tokio::sync::watch::Sender::new(None),
        output: Mutex::default(),
    });
    let shared = Arc::clone(&watch);
    std::thread::Builder::new()
        .name("server-watch".to_owned())
        .spawn(move || watch_until_both_end(Some(output), Some(status), &shared))?;
    Ok(watch)
}

fn watch_until_both_end(mut output: Option<OwnedFd>, mut status: Option<OwnedFd>, watch: &Watch) {
    use rustix::event::{PollFd, PollFlags, poll};
    let mut buffer = vec![0u8; 64 << 10];
    while output.is_some() || status.is_some() {
        let mut ready: Vec<PollFd<'_>> = [&output, &status]
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
        let output_ready = output.is_some() && readable.next().unwrap_or(false);
        let status_ready = status.is_some() && readable.next().unwrap_or(false);
        if let Some(fd) = output.as_ref().filter(|_| output_ready) {
            match rustix::io::read(fd, &mut buffer[..]) {
                Ok(bytes @ 1..) => {
                    if let Ok(mut output) = watch.output.lock() {
                        output.take_in(&buffer[..bytes]);
                    }
                }
                Err(rustix::io::Errno::INTR) => {}
                Ok(_) | Err(_) => output = None,
            }
        }
        if let Some(fd) = status.as_ref().filter(|_| status_ready) {
            let mut word = [0u8; 4];
            let exit = match rustix::io::read(fd, &mut word) {
                Ok(4) => Exit::from_wait_status(i32::from_ne_bytes(word)),
                // The warden is gone, and with it everything in the lab.
                _ => Exit::Signal(libc::SIGKILL),
            };
            watch.exit.send_replace(Some(exit));
            status = None;
        }
    }
}

impl Server {
    /// Starts the target in a lab and waits until it listens.
    ///
    /// Readiness is read from the kernel: a listening (or bound datagram) socket that belongs to the server's process
    /// tree. No connection is made, so none is used up.
    ///
    /// # Errors
    /// The program is missing, ends early, never listens, or something else listens in its place.
    pub async fn start(target: &Target, lab: Arc<Lab>) -> Result<Self, Error> {
        Self::start_with(target, lab, Streams::Usual).await
    }

    pub(crate) async fn start_with(
        target: &Target,
        lab: Arc<Lab>,
        streams: Streams,
    ) -> Result<Self, Error> {
        for (name, value) in &target.sysctl {
            lab.set_sysctl(name, value)?;
        }
        let mut process = Process::start(target, &lab, streams)?;
        match listening(target, &lab, &process).await {
            Ok(place) => {
                // A program may well die of a broken pipe before it is a server, as any filter does.
                drop(process.leaving_reader.take());
                Ok(Self {
                    lab,
                    process,
                    place,
                })
            }
            Err(error) => {
                lab.sweep();
                Err(error)
            }
        }
    }

    /// Where clients reach the server.
    pub fn address(&self) -> &Address {
        &self.place.address
    }

    /// How bytes reach the server.
    pub fn transport(&self) -> Transport {
        self.place.transport
    }

    /// The rows of the kernel's table that listen on the server's TCP port.
    pub(crate) fn listeners(&self) -> Vec<Row> {
        let Address::Inet(address) = &self.place.address else {
            return Vec::new();
        };
        let mut rows = self.lab.diag().listeners().unwrap_or_default();
        rows.retain(|row| {
            row.local
                .is_some_and(|local| local.port() == address.port())
        });
        rows
    }

    /// Whether the server is bound to all IPv4 addresses.
    pub fn is_on_every_address(&self) -> bool {
        let v4 = matches!(&self.place.address, Address::Inet(address) if address.is_ipv4());
        self.place.wildcard && v4
    }

    /// The lab that the server runs in.
    pub fn lab(&self) -> &Arc<Lab> {
        &self.lab
    }

    /// The process id of the server's first process.
    pub fn pid(&self) -> i32 {
        self.process.pid
    }

    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    /// The processes that belong to the server.
    pub(crate) fn processes(&self) -> Vec<crate::kernel::Process> {
        tree(self.lab.warden().pid())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.lab.sweep();
    }
}

/// A place that the server listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    transport: Transport,
    address: Address,
    /// Bound to all addresses of its family.
    wildcard: bool,
}

async fn listening(target: &Target, lab: &Lab, process: &Process) -> Result<Place, Error> {
    let begun = Instant::now();
    let told = told(target, lab);
    // No kernel event tells that another process began to listen, so the tables are read again, ever more slowly.
    let mut pause = Duration::from_millis(1);
    loop {
        let found = owned_places(lab)?;
        if let Some(place) = choose(target, &told, &found)? {
            return Ok(place);
        }
        if let Some(exit) = process.exit()
            && tree(lab.warden().pid()).is_empty()
        {
            return Err(ended_early(
                target,
                lab,
                process,
                exit,
                &told,
                begun.elapsed(),
            ));
        }
        if begun.elapsed() > target.ready_within {
            return Err(never_listened(
                target,
                lab,
                process,
                &told,
                begun.elapsed(),
            )?);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// What the server was told about where to listen.
struct Told {
    port: Option<u16>,
    path: Option<PathBuf>,
}

impl Told {
    fn awaited(&self, target: &Target) -> String {
        let kind = target.profile.transport;
        match (&self.port, &self.path) {
            (Some(port), _) => match kind {
                Some(Transport::Udp) => format!("a UDP socket bound to port {port}"),
                _ => format!("a listener on port {port}"),
            },
            (None, Some(path)) => format!("a Unix socket at {}", path.display()),
            (None, None) => "any listener of its process tree".to_owned(),
        }
    }
}

fn told(target: &Target, lab: &Lab) -> Told {
    let told_port = target.uses("port") || target.uses("addr") || target.listen_fds;
    Told {
        port: told_port.then(|| lab.port()),
        path: target.uses("path").then(|| lab.socket_path()),
    }
}

/// The options that take the address to listen on.
const LISTENING_OPTIONS: &[&str] = &[
    "addr",
    "address",
    "b",
    "bind",
    "bind-addr",
    "bind-address",
    "host",
    "interface",
    "ip",
    "l",
    "listen",
    "listen-addr",
    "listen-address",
];

/// Whether a word of a command, between two others, tells the server to listen on 127.0.0.1: by an option for that, or
/// right before its port. A peer of the server may have the same address.
fn tells_loopback(before: &str, word: &str, after: &str) -> bool {
    let Some((head, tail)) = word.split_once("127.0.0.1") else {
        return false;
    };
    if tail.starts_with(":{port}") {
        return true;
    }
    let option = match head.strip_suffix('=') {
        Some(option) => option.rsplit(',').next().unwrap_or(option),
        None if head.is_empty() => before,
        None => return false,
    };
    let option = option.trim_start_matches('-').replace('_', "-");
    let is_whole = tail.is_empty() || tail.starts_with(',');
    is_whole
        && (LISTENING_OPTIONS.contains(&option.as_str()) || (head.is_empty() && after == "{port}"))
}

/// The inodes of the sockets that the lab's processes hold.
fn sockets_of(lab: &Lab) -> HashSet<u32> {
    let mut held = Descriptors::default();
    for process in tree(lab.warden().pid()) {
        held.share_with(process.descriptors());
    }
    held.sockets().collect()
}

/// The places where the lab's processes listen: TCP first, then Unix streams, then datagrams.
fn owned_places(lab: &Lab) -> Result<Vec<Place>, Error> {
    let mine = sockets_of(lab);
    if mine.is_empty() {
        return Ok(Vec::new());
    }
    let failed = |errno: rustix::io::Errno| Error::Kernel {
        doing: "reading the kernel's socket tables",
        source: errno.into(),
    };
    let owned = |row: &Row| mine.contains(&row.inode);
    let mut places = Vec::new();
    let tcp = lab.diag().listeners().map_err(failed)?;
    places.extend(
        tcp.iter()
            .filter(|row| owned(row))
            .filter_map(|row| inet_place(Transport::Tcp, row)),
    );
    let unix = lab.diag().unix().map_err(failed)?;
    let listening = unix
        .iter()
        .filter(|row| owned(row) && row.state == State::Listen);
    places.extend(listening.filter_map(|row| path_place(Transport::Unix, row)));
    let udp = lab.diag().udp().map_err(failed)?;
    places.extend(
        udp.iter()
            .filter(|row| owned(row))
            .filter_map(|row| inet_place(Transport::Udp, row)),
    );
    let bound = unix
        .iter()
        .filter(|row| owned(row) && row.state != State::Listen);
    places.extend(bound.filter_map(|row| path_place(Transport::UnixDatagram, row)));
    Ok(places)
}

fn inet_place(transport: Transport, row: &Row) -> Option<Place> {
    let local = row.local?;
    // An IPv6 socket that is bound to an IPv4 address, as Java's are, takes IPv4 clients alone (ipv6(7)).
    let bound = local.ip().to_canonical();
    let ip = match bound {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    (local.port() != 0).then(|| Place {
        transport,
        address: Address::Inet(SocketAddr::new(ip, local.port())),
        wildcard: bound.is_unspecified(),
    })
}

fn path_place(transport: Transport, row: &Row) -> Option<Place> {
    let path = row.path.as_ref()?;
    let end = path
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(path.len());
    let path = Path::new(std::ffi::OsStr::from_bytes(&path[..end]));
    path.is_absolute().then(|| Place {
        transport,
        address: Address::Path(path.to_owned()),
        wildcard: false,
    })
}

/// Chooses among the places: as told, as the profile says, else the only port there is.
fn choose(target: &Target, told: &Told, found: &[Place]) -> Result<Option<Place>, Error> {
    // Told a path, a server speaks over a Unix socket what its profile says for TCP or UDP.
    let wanted = |place: &&Place| match target.profile.transport {
        Some(transport) if told.path.is_some() => {
            place.transport.is_datagram() == transport.is_datagram()
        }
        Some(transport) => place.transport == transport,
        None => true,
    };
    let fits = |place: &&Place| match (&place.address, &told.port, &told.path) {
        (Address::Inet(address), Some(port), _) => address.port() == *port,
        (Address::Path(path), _, Some(told)) => path == told,
        (_, None, None) => true,
        _ => false,
    };
    let mut fitting: Vec<&Place> = found.iter().filter(wanted).filter(fits).collect();
    if let Some(listen) = &target.listen {
        fitting.retain(|place| {
            place.address.to_string() == *listen
                || place.address.to_string().ends_with(&format!(":{listen}"))
        });
    }
    // The same port on several addresses is one place; IPv4 is asked first.
    fitting
        .sort_by_key(|place| matches!(&place.address, Address::Inet(address) if address.is_ipv6()));
    let key = |place: &Place| match &place.address {
        Address::Inet(address) => format!("port {}", address.port()),
        Address::Path(path) => path.display().to_string(),
    };
    let streams = fitting.iter().any(|place| !place.transport.is_datagram());
    if streams {
        fitting.retain(|place| !place.transport.is_datagram());
    }
    let places: HashSet<String> = fitting.iter().map(|place| key(place)).collect();
    if places.len() > 1 {
        let mut places: Vec<_> = fitting
            .iter()
            .map(|place| format!("{} {}", place.transport, place.address))
            .collect();
        places.sort();
        return Err(Error::SeveralListeners {
            places: places.join(", "),
        });
    }
    Ok(fitting.first().map(|place| (*place).clone()))
}

fn ended_early(
    target: &Target,
    lab: &Lab,
    process: &Process,
    exit: Exit,
    told: &Told,
    waited: Duration,
) -> Error {
    if let Some(taken) = port_taken(target, lab, process, told) {
        return taken;
    }
    Error::EndedEarly {
        how: exit.to_string(),
        awaited: told.awaited(target),
        waited,
        output: process.output_for_error(),
        command: target.command_line(),
    }
}

fn never_listened(
    target: &Target,
    lab: &Lab,
    process: &Process,
    told: &Told,
    waited: Duration,
) -> Result<Error, Error> {
    if let Some(taken) = port_taken(target, lab, process, told) {
        return Ok(taken);
    }
    let places = owned_places(lab)?;
    let places = places
        .iter()
        .map(|place| format!("{} {}", place.transport, place.address));
    let elsewhere: Vec<String> = places.chain(names_without_a_place(lab)).collect();
    let hint = match elsewhere.as_slice() {
        [] => "; is {port} in the right place of the command, and does the server stay in the foreground?".to_owned(),
        places => format!("; it listens on {}, which is not what was awaited", places.join(", ")),
    };
    Ok(Error::NeverListened {
        awaited: told.awaited(target),
        waited,
        hint,
        output: process.output_for_error(),
        command: target.command_line(),
    })
}

/// The Unix sockets that the lab's processes listen on and that no client finds: a name in the abstract namespace, or a
/// path from a folder that only the server knows (unix(7)).
fn names_without_a_place(lab: &Lab) -> Vec<String> {
    let mine = sockets_of(lab);
    let rows = lab.diag().unix().unwrap_or_default();
    let listening = rows
        .iter()
        .filter(|row| row.state == State::Listen && mine.contains(&row.inode));
    let nowhere = listening.filter(|row| path_place(Transport::Unix, row).is_none());
    let named = nowhere.filter_map(|row| match row.path.as_deref()? {
        [0, name @ ..] => Some(format!(
            "the abstract name @{} (an absolute path is needed, such as {{path}})",
            String::from_utf8_lossy(name)
        )),
        path => Some(format!(
            "the relative path {} (an absolute one is needed, such as {{path}})",
            String::from_utf8_lossy(path).trim_end_matches('\0')
        )),
    });
    named.collect()
}

/// Finds a foreign listener on the port that the server was told, or that its command names.
fn port_taken(target: &Target, lab: &Lab, process: &Process, told: &Told) -> Option<Error> {
    let mine = sockets_of(lab);
    let mut rows = lab.diag().listeners().ok()?;
    rows.extend(lab.diag().udp().ok()?);
    let named = numbers_of(target);
    let foreign = rows.into_iter().find(|row| {
        let port = row.local.map(|local| local.port());
        let meant =
            port.is_some() && (port == told.port || port.is_some_and(|port| named.contains(&port)));
        meant && !mine.contains(&row.inode)
    })?;
    Some(Error::PortTaken {
        port: foreign.local?.port(),
        holder: holder(foreign.inode),
        output: process.output_for_error(),
        command: target.command_line(),
    })
}

/// The numbers in a command that could be ports, of files that it names too.
fn numbers_of(target: &Target) -> HashSet<u16> {
    let scripts = target.command.iter().filter_map(|word| {
        let small =
            std::fs::metadata(word).is_ok_and(|meta| meta.is_file() && meta.len() < 64 << 10);
        small.then(|| std::fs::read_to_string(word).ok())?
    });
    let texts: Vec<String> = target.command.iter().cloned().chain(scripts).collect();
    texts
        .iter()
        .flat_map(|text| text.split(|c: char| !c.is_ascii_digit()))
        .filter_map(|digits| digits.parse().ok())
        .filter(|port| *port > 0)
        .collect()
}

/// Names the process that holds a socket, as far as this user may see it.
fn holder(inode: u32) -> String {
    let own = format!("socket:[{inode}]");
    let folders = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids = folders.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let holds = |pid: &i32| {
        let fds = std::fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten()
            .flatten();
        fds.filter_map(|fd| std::fs::read_link(fd.path()).ok())
            .any(|target| target.to_string_lossy() == own)
    };
    match pids.find(holds) {
        Some(pid) => {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            format!("process {pid} ({})", name.trim())
        }
        None => "a process of another user".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::tells_loopback;

    #[test]
    fn address_of_a_peer_is_none_to_listen_on() {
        assert!(tells_loopback("--bind", "127.0.0.1", "--port"));
        assert!(tells_loopback("--port", "--listen_address=127.0.0.1", ""));
        assert!(tells_loopback("-p", "127.0.0.1:{port}", ""));
        assert!(tells_loopback("server", "127.0.0.1", "{port}"));
        assert!(tells_loopback(
            "",
            "TCP-LISTEN:{port},bind=127.0.0.1,fork",
            "PIPE"
        ));
        assert!(!tells_loopback("--upstream", "127.0.0.1:9000", ""));
        assert!(!tells_loopback("--redis-host", "127.0.0.1", "--port"));
        assert!(!tells_loopback("{port}", "127.0.0.1", "9000"));
        assert!(!tells_loopback("-c", "print('127.0.0.1')", ""));
    }
}
