//! A target: how to start a server, and what it speaks.

use super::elsewhere::Elsewhere;
use super::loopback::tells_loopback;
use super::placeholder;
use super::reach;
use super::shell::command_line;
use crate::foreign::LINE;
use crate::model::address;
use crate::model::date::Date;
use crate::model::error::Error;
use crate::model::profile::{Profile, RawProfile, RawPromises, Transport};
use crate::model::spelling::toml_mistake;
use crate::model::template::is_name;
use crate::model::tls::RawTls;
use crate::model::toml_mistake::Mistake;
use crate::sys::root_plan::Writes;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;

/// How to start a server, and what it speaks.
///
/// ```
/// use sockdrill::{Profile, Target};
///
/// let mut target = Target::command(["./server", "--listen={addr}"], Profile::find("redis")?);
/// target.environment.insert("LOG_LEVEL".to_owned(), "debug".to_owned());
/// assert_eq!(target.command_line(), "./server --listen={addr}");
/// # Ok::<(), sockdrill::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Target {
    /// The name in reports.
    pub name: String,
    /// The program and its arguments; `{port}`, `{addr}`, `{path}` and `{dir}` are filled in.
    pub command: Vec<String>,
    /// Environment variables beside the inherited ones, filled in likewise.
    pub environment: BTreeMap<String, String>,
    /// Files to write into `{dir}` before the start, filled in likewise.
    pub files: BTreeMap<String, String>,
    /// Where it is, if somebody else has started it: then there is no command.
    pub elsewhere: Option<Elsewhere>,
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
    /// Where what it writes outside of the folders for temporary files goes.
    pub writes: Writes,
    /// Which of several listeners to drill.
    pub listen: Option<String>,
    /// The package that has the program, for the error where it is missing.
    pub package: Option<String>,
    /// The programs beside the command's own that it starts.
    pub programs: Vec<String>,
    /// The servers that stand behind it, by name, each started before it in the same network: `{NAME.port}` and `{NAME.addr}`
    /// are filled in with where they listen.
    pub backends: BTreeMap<String, Self>,
    /// Whether it is started to stand behind another one.
    pub(crate) stands_behind: bool,
    /// Whether it was found to turn clients away until it has started.
    pub(crate) found_to_turn_away: bool,
    /// Failures that are known and have a reason.
    pub(crate) known: Vec<Known>,
    /// The file that it was read from, where it is all of it.
    pub(crate) file: Option<PathBuf>,
    /// The project file in which it has its name, where it is in one.
    pub(crate) project: Option<PathBuf>,
}

/// A failure of a target that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// The check, by id or glob.
    pub check: String,
    /// Why it fails.
    pub reason: String,
    /// The last day on which the failure is accepted.
    pub until: Option<Date>,
    /// The failure shows only now and then, so that a pass does not mean that it is gone.
    pub sometimes: bool,
    /// The line of its file, for who knows all checks, and may know none of that name.
    pub line: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKnown {
    check: Spanned<String>,
    reason: String,
    until: Option<Date>,
    #[serde(default)]
    sometimes: bool,
}

impl RawKnown {
    /// The same in a file of this text.
    fn of(self, text: &str) -> Known {
        Known {
            line: Mistake::of(&self.check, String::new()).shown(text),
            check: self.check.into_inner(),
            reason: self.reason,
            until: self.until,
            sometimes: self.sometimes,
        }
    }
}

/// How long a server may take to listen where its target does not say.
const READY_WITHIN: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawTarget {
    #[serde(default)]
    command: Vec<String>,
    address: Option<Spanned<String>>,
    speaks: Option<String>,
    profile: Option<RawProfile>,
    tls: Option<Spanned<RawTls>>,
    promises: Option<RawPromises>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    files: BTreeMap<String, String>,
    ready_within: Option<String>,
    listen: Option<Spanned<String>>,
    #[serde(default)]
    listen_fds: bool,
    package: Option<String>,
    #[serde(default)]
    programs: Vec<String>,
    #[serde(default)]
    lab: RawLab,
    #[serde(default)]
    backends: BTreeMap<String, Self>,
    #[serde(default)]
    known: Vec<RawKnown>,
}

impl RawTarget {
    /// Where the server is that somebody else has started, where its file says so.
    fn elsewhere(&self) -> Result<Option<Elsewhere>, Mistake> {
        let Some(address) = &self.address else {
            return Ok(None);
        };
        let mistake = |message| Mistake::of(address, format!("address: {message}"));
        let of_a_start = [
            ("command", !self.command.is_empty()),
            ("[environment]", !self.environment.is_empty()),
            ("[files]", !self.files.is_empty()),
            ("[lab]", self.lab != RawLab::default()),
            ("listen", self.listen.is_some()),
            ("listen-fds", self.listen_fds),
            ("package", self.package.is_some()),
            ("programs", !self.programs.is_empty()),
            ("[backends]", !self.backends.is_empty()),
        ];
        match of_a_start.iter().find(|(_, is_given)| *is_given) {
            Some((word, _)) => Err(mistake(format!(
                "it excludes {word}, which is for a server that is started for its tests; this one somebody else starts"
            ))),
            None => Elsewhere::at(address.get_ref()).map(Some).map_err(mistake),
        }
    }
}

#[derive(Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawLab {
    #[serde(default)]
    sysctl: BTreeMap<String, toml::Value>,
    open_files: Option<u64>,
    #[serde(default)]
    writes: Writes,
}

impl Target {
    /// A target from the words of a command line, with a profile.
    pub fn command(words: impl IntoIterator<Item = impl Into<String>>, profile: Profile) -> Self {
        let command: Vec<String> = words.into_iter().map(Into::into).collect();
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
            elsewhere: None,
            profile,
            ready_within: READY_WITHIN,
            listen_fds: false,
            open_files: None,
            sysctl: BTreeMap::new(),
            writes: Writes::default(),
            listen: None,
            package: None,
            programs: Vec::new(),
            backends: BTreeMap::new(),
            stands_behind: false,
            found_to_turn_away: false,
            known: Vec::new(),
            file: None,
            project: None,
        }
    }

    /// A server that somebody else has started, at HOST:PORT of this host. It has to be there: `ready_within` says for how long it
    /// is waited for, which is not at all unless that is changed.
    ///
    /// # Errors
    /// It is no HOST:PORT.
    pub fn at(address: &str, profile: Profile) -> Result<Self, Error> {
        let elsewhere = Elsewhere::at(address).map_err(Error::Usage)?;
        Ok(Self {
            name: address.to_owned(),
            elsewhere: Some(elsewhere),
            ready_within: Duration::ZERO,
            ..Self::command([""; 0], profile)
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

    /// Parses the text of a target; `folder` is where relative profile files are looked for.
    ///
    /// # Errors
    /// As [`Target::read`].
    pub fn parse(name: &str, text: &str, folder: &Path) -> Result<Self, Error> {
        Self::parse_in(name, text, folder, &Profile::find)
    }

    /// The same where others know profiles, too.
    pub(super) fn parse_in(
        name: &str,
        text: &str,
        folder: &Path,
        profile: Profiles<'_>,
    ) -> Result<Self, Error> {
        let raw = toml::from_str(text).map_err(|error| Error::Malformed {
            file: name.to_owned(),
            message: toml_mistake(&error),
        })?;
        let source = Source {
            text,
            table: Vec::new(),
            folder,
            known: profile,
        };
        Self::from_raw(name, raw, &source)
    }

    /// What was read from this text makes.
    ///
    /// # Errors
    /// As [`Target::parse`].
    pub(super) fn from_raw(name: &str, raw: RawTarget, source: &Source<'_>) -> Result<Self, Error> {
        let malformed = |mistake: Mistake| Error::Malformed {
            file: name.to_owned(),
            message: mistake.below(&source.table).shown(source.text),
        };
        let wrong = |way: &[&str], message: String| malformed(Mistake::of_value(way, message));
        let Source {
            text,
            folder,
            known,
            ..
        } = *source;
        let elsewhere = raw.elsewhere().map_err(malformed)?;
        if raw.command.is_empty() && elsewhere.is_none() {
            let message = "command is empty; write command = [\"program\", \"argument\"], or address = \"127.0.0.1:8080\" where \
                           somebody else starts the server";
            return Err(wrong(&["command"], message.to_owned()));
        }
        for (number, word) in raw.command.iter().enumerate() {
            if let Some(slip) = placeholder::slip([word.as_str()]) {
                return Err(wrong(&["command", &number.to_string()], slip));
            }
        }
        for (variable, value) in &raw.environment {
            if let Some(slip) = placeholder::slip([value.as_str()]) {
                return Err(wrong(&["environment", variable], slip));
            }
        }
        let profile = match (raw.speaks, raw.profile) {
            (Some(_), Some(_)) => {
                let message = "speaks and [profile] exclude each other";
                return Err(wrong(&["speaks"], message.to_owned()));
            }
            (Some(speaks), None) => {
                profile_beside(folder, &speaks, known).map_err(|error| match error {
                    Error::Unknown { .. } => wrong(&["speaks"], error.chain()),
                    other => other,
                })?
            }
            (None, Some(raw)) => Profile::from_raw(name, raw, text, folder)
                .map_err(|mistake| malformed(mistake.below(&["profile"])))?,
            (None, None) => Profile::unknown(),
        };
        let profile = match raw.tls {
            Some(tls) => profile.over_tls(tls, folder).map_err(malformed)?,
            None => profile,
        };
        let profile = match raw.promises {
            Some(promises) => profile.promising(promises).map_err(malformed)?,
            None => profile,
        };
        let ready_within = match raw.ready_within {
            Some(text) => crate::model::literal::wait(&text)
                .map_err(|error| wrong(&["ready-within"], format!("ready-within: {error}")))?,
            None if elsewhere.is_some() => Duration::ZERO,
            None => READY_WITHIN,
        };
        let listen = raw.listen.as_ref().map(|listen| {
            let mistake = |message| Mistake::of(listen, format!("listen: {message}"));
            address::listener(listen.get_ref()).map_err(|message| malformed(mistake(message)))
        });
        let listen = listen.transpose()?;
        let sysctl = raw.lab.sysctl.into_iter();
        let sysctl: BTreeMap<_, _> = sysctl.map(|(name, value)| (name, plain(value))).collect();
        for name in sysctl.keys() {
            reach::parameter(name).map_err(|error| wrong(&["lab", "sysctl", name], error))?;
        }
        for name in raw.files.keys() {
            reach::file(name).map_err(|error| wrong(&["files", name], error))?;
        }
        let backends = raw.backends.into_iter();
        let backends = backends.map(|(own, raw)| {
            let way = ["backends", own.as_str()];
            let of_backend = Source {
                table: source.table.iter().copied().chain(way).collect(),
                ..*source
            };
            let target = Self::from_raw(&own, raw, &of_backend)?;
            may_stand_behind(&own, &target).map_err(|error| wrong(&way, error))?;
            Ok((own, target))
        });
        let backends = backends.collect::<Result<_, Error>>()?;
        let known_failures = raw.known.into_iter().map(|known| known.of(text));
        Ok(Self {
            name: name.to_owned(),
            backends,
            environment: raw.environment,
            files: raw.files,
            elsewhere,
            profile,
            ready_within,
            open_files: raw.lab.open_files,
            sysctl,
            writes: raw.lab.writes,
            listen,
            listen_fds: raw.listen_fds,
            package: raw.package,
            programs: raw.programs,
            known: known_failures.collect(),
            ..Self::command(beside(folder, raw.command), Profile::unknown())
        })
    }

    /// The same target with this one behind it.
    ///
    /// # Errors
    /// The name is none that a line of a scenario may begin with, or the target is none that can stand behind another.
    pub(crate) fn with_backend(mut self, name: &str, backend: Self) -> Result<Self, String> {
        may_stand_behind(name, &backend)?;
        if self.elsewhere.is_some() {
            return Err(
                "a server that somebody else has started has its backends already".to_owned(),
            );
        }
        self.backends.insert(name.to_owned(), backend);
        Ok(self)
    }

    /// The same target, known to listen on this transport.
    pub(crate) fn on(&self, transport: Transport) -> Self {
        let mut target = self.clone();
        target.profile.transport = Some(transport);
        target
    }

    /// Whether clients are turned away until it has started, as its profile says or as was found.
    pub(crate) fn turns_away_at_first(&self) -> bool {
        self.found_to_turn_away || self.profile.turns_away_at_first()
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

    /// Whether it listens on a Unix socket in the file system, as its profile says, or as it is told and nothing of a port.
    fn is_at_a_path(&self) -> bool {
        let is_told = |names: &[&str]| names.iter().any(|name| self.uses(name));
        match (&self.listen, self.profile.transport) {
            (_, Some(transport)) if transport.is_local() => true,
            (Some(listen), _) => listen.starts_with('/'),
            (None, _) => is_told(&["path"]) && !is_told(&["port", "addr"]),
        }
    }

    /// How a setting is said, which a command line says of the drilled server alone.
    pub(super) fn setting(&self, name: &str, value: &str) -> String {
        let in_target = format!("{name} = \"{value}\" in its target");
        match self.stands_behind {
            true => in_target,
            false => format!("--{name} {value}, or {in_target} file"),
        }
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
        match &self.elsewhere {
            None => command_line(self.command.iter().map(String::as_str)),
            Some(elsewhere) => format!("none of ours, for {}", LINE.text(&elsewhere.address)),
        }
    }

    /// Whether it is a server that somebody else has started and given to be flooded.
    pub(crate) fn may_be_flooded(&self) -> bool {
        let mut elsewhere = self.elsewhere.iter();
        elsewhere.any(|elsewhere| elsewhere.may_be_flooded)
    }

    /// The address of a server that somebody else has started.
    pub(crate) fn address_elsewhere(&self) -> Option<String> {
        let elsewhere = self.elsewhere.as_ref();
        elsewhere.map(|elsewhere| elsewhere.address.clone())
    }

    /// How long a server that listens may take until it serves; who is there already needs no time to listen.
    pub(crate) fn serves_within(&self) -> Duration {
        match self.elsewhere {
            None => self.ready_within,
            Some(_) => self.ready_within.max(READY_WITHIN),
        }
    }

    /// The options of a command line that name a server which somebody else has started.
    pub(super) fn address_options(&self) -> Vec<String> {
        let Some(elsewhere) = &self.elsewhere else {
            return Vec::new();
        };
        let said = [
            ("--i-own-this-host", elsewhere.own_host),
            ("--flood", elsewhere.may_be_flooded),
        ];
        let said = said.into_iter().filter(|(_, is_said)| *is_said);
        ["--address", &elsewhere.address]
            .into_iter()
            .chain(said.map(|(option, _)| option))
            .map(str::to_owned)
            .collect()
    }
}

/// Whether a target of this name can be started behind another one.
fn may_stand_behind(name: &str, backend: &Target) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("backend {name}: {what}"));
    if !is_name(name) || name == "server" {
        return wrong(
            "its name is not one that steps can begin with: letters, digits, `-` and `_`",
        );
    }
    if backend.elsewhere.is_some() {
        return wrong("it has an address; a backend is started for the server's tests");
    }
    if !backend.backends.is_empty() {
        return wrong("it has backends of its own; write them beside it");
    }
    if backend.is_at_a_path() {
        return wrong(
            "it is reached over a Unix socket in the file system, so that it cannot stand behind a server, which does not share its \
             files; have it listen on 127.0.0.1 and {port}",
        );
    }
    Ok(())
}

/// A command of a target file, whose program is a path beside that file if there is such a program, and else one from here.
fn beside(folder: &Path, mut command: Vec<String>) -> Vec<String> {
    if let Some(program) = command.first_mut() {
        let path = folder.join(&*program);
        if program.contains('/') && !folder.as_os_str().is_empty() && is_program(&path) {
            // Without a slash it would be looked for in `PATH`; joined to a folder it has one.
            *program = path.to_string_lossy().into_owned();
        }
    }
    command
}

/// Whether something can be run.
fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Finds a program the way a shell does: by its path if there is a slash in it, else in `PATH`.
pub(super) fn find_program(program: &str) -> Option<PathBuf> {
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

/// Where a target is written, and what it may name.
pub(super) struct Source<'a> {
    /// The text of the file.
    pub(super) text: &'a str,
    /// The keys of the table that it is; none where it is all of the file.
    pub(super) table: Vec<&'a str>,
    /// The folder that names of files in it are relative to.
    pub(super) folder: &'a Path,
    /// The profiles that it may name.
    pub(super) known: Profiles<'a>,
}

/// Finds a profile that is known by its name.
pub(super) type Profiles<'a> = &'a dyn Fn(&str) -> Result<Profile, Error>;

/// The profile that a target file names: a file beside it, or one that is known.
fn profile_beside(folder: &Path, speaks: &str, known: Profiles<'_>) -> Result<Profile, Error> {
    let beside = folder.join(speaks);
    match beside.is_file() {
        true => Profile::find(&beside.to_string_lossy()),
        false => known(speaks),
    }
}

/// A value as a sysctl takes it.
fn plain(value: toml::Value) -> String {
    match value {
        toml::Value::String(text) => text,
        other => other.to_string(),
    }
}
