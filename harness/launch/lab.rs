//! Where a server runs: in a network, pid and mount namespace of its own, or on the plain host.

use super::reach::{make_below, resolved};
use super::target::Target;
use crate::foreign::LINE;
use crate::kernel::{
    DestroyEvents, DestroyedSocket, Diag, FileId, ProcessEnds, Row, State, Subscription, permitted,
};
use crate::model::error::Error;
use crate::model::system_call::SystemCall;
use crate::sys::birth::{ForkError, Namespaces};
use crate::sys::message::ANSWER_WITHIN;
use crate::sys::notification;
use crate::sys::nursery::Nursery;
use crate::sys::own_limits;
use crate::sys::root_plan::Writes;
use crate::sys::socket::network_of;
use crate::sys::supervisor::{Home, SpawnRequest, Spawned, Supervisor};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketType};
use serde::Deserialize;
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// Where servers are to run.
///
/// ```
/// use sockdrill::{Isolation, Settings};
///
/// let mut settings = Settings::default();
/// assert_eq!(settings.isolation, Isolation::Auto);
/// // Servers that look for each other on the host's own network.
/// settings.isolation = Isolation::Host;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Isolation {
    /// In a namespace where the host permits it, else on the host.
    #[default]
    Auto,
    /// In a namespace, or not at all.
    Namespace,
    /// On the plain host.
    Host,
}

impl Isolation {
    /// The word for it on a command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Namespace => "namespace",
            Self::Host => "host",
        }
    }
}

/// Where a server runs. Dropping it ends every process in it and waits for that.
#[derive(Debug)]
pub(crate) struct Lab {
    diag: Diag,
    destroy_events: Option<DestroyEvents>,
    ends: ProcessEnds,
    supervisor: Supervisor,
    namespaces: Namespaces,
    why_host: Option<String>,
    port: u16,
    _lease: Option<OwnedFd>,
    folder: PathBuf,
    /// Sockets that were opened together with one that was asked for.
    stock: Mutex<Stock>,
    writes: Writes,
    /// A descriptor in the layer that its servers write to.
    layer: Option<OwnedFd>,
    /// How large the layer of what its servers write is, in bytes, once it was seen to be full.
    full_layer: AtomicU64,
    /// Whether a kernel parameter of its network was set.
    has_own_parameters: AtomicBool,
    /// Those of the backends of its server, by their names: in the same network, with processes and files of their own.
    backends: Vec<(String, Arc<Self>)>,
    /// The ports that the backends of its network are told to listen on, by their names.
    backend_ports: Vec<(String, u16)>,
    /// The calls of its servers that may be given a rare answer, each of which is held up until it has one.
    pub(crate) calls: Vec<SystemCall>,
}

/// Sockets of one kind that nobody has yet.
#[derive(Debug, Default)]
struct Stock {
    of: Option<(AddressFamily, SocketType)>,
    sockets: Vec<OwnedFd>,
    /// How many more than asked for are opened the next time.
    ahead: usize,
}

/// How many sockets are opened ahead of those who want them, at most; none where this process may have few files open.
pub(crate) fn most_ahead() -> usize {
    const FEW_FILES: u64 = 1_024;
    match own_limits::most_open_files() < FEW_FILES {
        true => 0,
        false => 7,
    }
}

/// A layer is full when less than one of so many parts is left: who writes in blocks of a size finds no room before the last is used.
const ALL_OF_IT: u64 = 128;

/// The port for servers in a namespace of their own, where every port is free.
const PORT_IN_NAMESPACE: u16 = 7000;

impl Lab {
    /// Makes a lab.
    ///
    /// # Errors
    /// The host refuses a namespace that was demanded, or nothing can be started at all.
    pub(crate) fn open(isolation: Isolation, writes: Writes) -> Result<Self, Error> {
        Self::open_in(None, PORT_IN_NAMESPACE, isolation, writes)
    }

    /// The same in the network of another one, which is its own only where that one's is; servers in it are told to listen on this
    /// port there.
    fn open_in(
        network: Option<BorrowedFd<'_>>,
        own_port: u16,
        isolation: Isolation,
        writes: Writes,
    ) -> Result<Self, Error> {
        own_limits::open_files();
        let subscription = Subscription::ask();
        let Begun {
            supervisor,
            namespaces,
            folder,
            why_host,
        } = begin(isolation, writes)?;
        if let Some(network) = network {
            let joined = supervisor.join(network);
            joined.map_err(|errno| Error::Lab {
                reason: format!("joining the network of another lab: {errno}"),
            })?;
        }
        let ends = ProcessEnds::below(supervisor.pid(), subscription);
        let diag = Diag::open(&supervisor).map_err(|errno| Error::Kernel {
            doing: "opening a sock_diag socket",
            source: errno.into(),
        })?;
        // Without it, what a reset destroyed is not known; everything else is.
        let destroy_events = DestroyEvents::subscribe(&supervisor).ok();
        let (port, lease) = match namespaces {
            Namespaces::Host => lease_port(&diag)?,
            Namespaces::Own | Namespaces::OwnInUserNamespace => (own_port, None),
        };
        let mut lab = Self {
            diag,
            destroy_events,
            ends,
            supervisor,
            namespaces,
            why_host,
            port,
            _lease: lease,
            folder,
            stock: Mutex::default(),
            writes,
            full_layer: AtomicU64::default(),
            layer: None,
            has_own_parameters: AtomicBool::default(),
            backends: Vec::new(),
            backend_ports: Vec::new(),
            calls: Vec::new(),
        };
        lab.layer = lab.opened_layer();
        Ok(lab)
    }

    /// What is looked at again and again is opened once.
    fn opened_layer(&self) -> Option<OwnedFd> {
        self.supervisor.root()?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(self.reached(self.folder()), flags, Mode::empty()).ok()
    }

    /// The lab for the servers of a target; who is started by somebody else runs where that one has started it.
    ///
    /// # Errors
    /// As [`Lab::open`].
    pub(crate) fn of(target: &Target, isolation: Isolation) -> Result<Self, Error> {
        Self::of_another_port(target, isolation, 0)
    }

    /// The same, where such calls of its servers may be given a rare answer.
    #[must_use]
    pub(crate) fn holding_up(self, calls: Vec<SystemCall>) -> Self {
        Self { calls, ..self }
    }

    /// The same, where servers in a network of their own are told to listen on a port so much higher.
    ///
    /// # Errors
    /// As [`Lab::open`].
    pub(crate) fn of_another_port(
        target: &Target,
        isolation: Isolation,
        higher_by: u16,
    ) -> Result<Self, Error> {
        match (&target.elsewhere, isolation) {
            (None, _) => {
                let port = PORT_IN_NAMESPACE + higher_by;
                let mut lab = Self::open_in(None, port, isolation, target.writes)?;
                lab.make_room_for_backends(target)?;
                Ok(lab)
            }
            (Some(_), Isolation::Auto | Isolation::Host) => {
                Self::open(Isolation::Host, Writes::Host)
            }
            (Some(_), Isolation::Namespace) => Err(Error::Usage(
                "a server that somebody else has started is in no namespace of ours: leave out --isolation namespace"
                    .to_owned(),
            )),
        }
    }

    /// Opens a lab for each backend of a target. Each knows the ports of all, as the server does.
    fn make_room_for_backends(&mut self, target: &Target) -> Result<(), Error> {
        let isolation = match self.is_private() {
            true => Isolation::Namespace,
            false => Isolation::Host,
        };
        let network = (self.is_private() && !target.backends.is_empty()).then(|| self.network());
        let network = network.transpose()?;
        let network = network.as_ref().map(AsFd::as_fd);
        let own_ports = self.port.max(PORT_IN_NAMESPACE) + 1..;
        let open = |((name, backend), port): ((&String, &Target), u16)| {
            let lab = Self::open_in(network, port, isolation, backend.writes)?;
            Ok((name.clone(), lab))
        };
        let labs = target.backends.iter().zip(own_ports).map(open);
        let labs: Vec<(String, Self)> = labs.collect::<Result<_, Error>>()?;
        let ports = labs.iter().map(|(name, lab)| (name.clone(), lab.port));
        self.backend_ports = ports.collect();
        let known = |(name, lab)| {
            let backend_ports = self.backend_ports.clone();
            (
                name,
                Arc::new(Self {
                    backend_ports,
                    ..lab
                }),
            )
        };
        self.backends = labs.into_iter().map(known).collect();
        Ok(())
    }

    /// The network namespace that it is in.
    fn network(&self) -> Result<OwnedFd, Error> {
        let failed = |errno: rustix::io::Errno| Error::Kernel {
            doing: "looking for the network of a lab",
            source: errno.into(),
        };
        let socket = self.socket(AddressFamily::INET, SocketType::DGRAM);
        network_of(socket.map_err(failed)?.as_fd()).map_err(failed)
    }

    /// The labs of the backends of its server, by their names.
    pub(crate) fn backends(&self) -> &[(String, Arc<Self>)] {
        &self.backends
    }

    /// The ports of the backends in its network, by their names.
    pub(super) fn backend_ports(&self) -> &[(String, u16)] {
        &self.backend_ports
    }

    /// `namespace` or `host`.
    pub(crate) fn isolation(&self) -> &'static str {
        match self.namespaces {
            Namespaces::Host => "host",
            Namespaces::Own | Namespaces::OwnInUserNamespace => "namespace",
        }
    }

    /// Why the lab is the plain host although a namespace would have been taken.
    pub(crate) fn why_host(&self) -> Option<&str> {
        self.why_host.as_deref()
    }

    /// What it comes from: the next lab is there sooner for as long as somebody holds that.
    pub(crate) fn nursery(&self) -> Option<Arc<Nursery>> {
        self.supervisor.nursery()
    }

    /// Whether nobody but our clients can wake the server: it has a network of its own, and no backend.
    pub(crate) fn is_secluded(&self) -> bool {
        self.is_private() && self.backends.is_empty()
    }

    /// Whether nothing but the server, what stands behind it and our clients is in the network.
    pub(crate) fn is_private(&self) -> bool {
        self.namespaces != Namespaces::Host
    }

    /// The port that servers are told to listen on. On the host it lies below the range that the kernel hands out,
    /// and is leased among all sockdrill processes, so that nothing races for it.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// An empty folder of the lab's own, writable for every user.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// An empty folder for a second instance, writable for every user.
    pub(crate) fn second_folder(&self) -> Result<PathBuf, Error> {
        const NAME: &str = "second";
        let folder = self.folder().join(NAME);
        make_below(&self.reached(self.folder()), NAME).map_err(Error::file("making", &folder))?;
        Ok(folder)
    }

    /// The path that servers are told to listen on for Unix sockets.
    pub(crate) fn socket_path(&self) -> PathBuf {
        self.folder().join("socket")
    }

    /// Whether the rights of its users end with the lab.
    pub(crate) fn has_own_users(&self) -> bool {
        self.namespaces == Namespaces::OwnInUserNamespace
    }

    /// Why what servers write goes to the host, where it does although they are in a namespace.
    pub(crate) fn why_unbounded(&self) -> Option<String> {
        let refused = self.supervisor.why_not_layered();
        let refused = refused.map(|error| reason(error));
        let wanted = (self.writes == Writes::Host).then(|| "as the target wants it".to_owned());
        refused.or(wanted).filter(|_| self.is_private())
    }

    /// Looks how much room is left to write.
    pub(crate) fn look_at_room(&self) {
        let layer = self.layer.as_ref();
        let Some(Ok(layer)) = layer.map(rustix::fs::fstatvfs) else {
            return;
        };
        let is_full = layer.f_bfree * ALL_OF_IT < layer.f_blocks || layer.f_ffree == 0;
        if is_full {
            let bytes = layer.f_blocks * layer.f_frsize;
            self.full_layer.store(bytes, Ordering::Relaxed);
        }
    }

    /// How large the layer is that its servers write to, in bytes, where they have been seen to use up all of it.
    pub(crate) fn full_layer(&self) -> Option<u64> {
        self.look_at_room();
        match self.full_layer.load(Ordering::Relaxed) {
            0 => None,
            bytes => Some(bytes),
        }
    }

    /// What stands at a path of the server's, be it a link, as we reach it.
    pub(crate) fn standing(&self, path: &Path) -> PathBuf {
        match (path.parent(), path.file_name()) {
            (Some(folder), Some(name)) => self.reached(folder).join(name),
            _ => self.reached(path),
        }
    }

    /// Where a path of the server's leads, as we reach it.
    pub(crate) fn reached(&self, path: &Path) -> PathBuf {
        match self.supervisor.root() {
            Some(root) if path.is_absolute() => {
                let seen = format!("/proc/self/fd/{}", root.as_raw_fd());
                Path::new(&seen).join(resolved(root, path))
            }
            _ => path.to_owned(),
        }
    }

    /// The file at a path of the server's.
    pub(crate) fn file_at(&self, path: &Path) -> Option<FileId> {
        FileId::of(&self.reached(path))
    }

    /// The Unix sockets that listen at a path of the server's.
    pub(crate) fn listening_at(&self, path: &Path) -> Vec<Row> {
        let there = self.file_at(path);
        let mut rows = self.diag().unix().unwrap_or_default();
        rows.retain(|row| row.state == State::Listen && row.is_at(path, there));
        rows
    }

    /// Sets a kernel parameter of the lab's own network.
    ///
    /// # Errors
    /// The lab is the plain host, or the kernel refuses.
    pub(crate) fn set_sysctl(&self, name: &str, value: &str) -> Result<(), Error> {
        let refused = |reason: String| Error::Lab {
            reason: format!("setting the sysctl {name} to {value}: {reason}"),
        };
        if !self.is_private() {
            return Err(refused("only possible in a namespace".to_owned()));
        }
        let path = CString::new(format!("/proc/sys/{}", name.replace('.', "/")))
            .map_err(|error| refused(error.to_string()))?;
        self.has_own_parameters.store(true, Ordering::Relaxed);
        self.supervisor
            .write(&path, value.as_bytes())
            .map_err(|errno| refused(errno.to_string()))
    }

    /// The deepest accept queue that the kernel gives here: the limit of a listener of ours that asks for more than any.
    pub(crate) fn somaxconn(&self) -> Option<u32> {
        let socket = self.socket(AddressFamily::INET, SocketType::STREAM).ok()?;
        let socket = socket2::Socket::from(socket);
        let any = std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 0));
        socket.bind(&any.into()).ok()?;
        socket.listen(i32::MAX).ok()?;
        let ours = socket.local_addr().ok()?.as_socket();
        let mut rows = self.diag.listeners().ok()?.into_iter();
        rows.find(|row| row.local == ours).map(|row| row.send_queue)
    }

    /// The largest send buffer of a connection here: as large as it grows by itself, or as the server may ask for it (`tcp_wmem`,
    /// `wmem_max`, tcp(7) and socket(7)).
    pub(crate) fn send_buffer(&self) -> Option<usize> {
        static OF_NEW_LABS: OnceLock<usize> = OnceLock::new();
        let is_as_all_are = self.is_private() && !self.has_own_parameters.load(Ordering::Relaxed);
        if !is_as_all_are {
            return self.largest_buffer();
        }
        // It does not change during a run.
        let known = OF_NEW_LABS.get().copied();
        known.or_else(|| {
            let found = self.largest_buffer()?;
            Some(*OF_NEW_LABS.get_or_init(|| found))
        })
    }

    fn largest_buffer(&self) -> Option<usize> {
        let grows = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_wmem").ok();
        let grows = grows.and_then(|three| three.split_whitespace().last()?.parse().ok());
        let socket = self.socket(AddressFamily::INET, SocketType::STREAM).ok()?;
        let socket = socket2::Socket::from(socket);
        socket.set_send_buffer_size(i32::MAX as usize / 2).ok()?;
        let asked = socket.send_buffer_size().ok();
        grows.max(asked)
    }

    pub(crate) fn diag(&self) -> &Diag {
        &self.diag
    }

    /// What the kernel has told of sockets that died since the last call.
    pub(crate) fn destroy_events(&self) -> Vec<DestroyedSocket> {
        self.destroy_events
            .as_ref()
            .map(DestroyEvents::take)
            .unwrap_or_default()
    }

    /// How the processes in it end.
    pub(crate) fn ends(&self) -> &ProcessEnds {
        &self.ends
    }

    pub(crate) fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }

    pub(crate) fn socket(
        &self,
        family: AddressFamily,
        kind: SocketType,
    ) -> rustix::io::Result<OwnedFd> {
        self.supervisor.socket(family, kind, 0)
    }

    /// The same, which does not wait, where so many more are about to be wanted: each that the supervisor is asked for takes longer
    /// than what a client does with it. Who comes again and again is given some of those to come.
    pub(crate) fn socket_of_many(
        &self,
        family: AddressFamily,
        kind: SocketType,
        more: usize,
    ) -> rustix::io::Result<OwnedFd> {
        let kind = SocketType::from_raw(kind.as_raw() | libc::SOCK_NONBLOCK as u32);
        let Ok(mut stock) = self.stock.lock() else {
            return self.socket(family, kind);
        };
        if stock.of != Some((family, kind)) {
            *stock = Stock {
                of: Some((family, kind)),
                ..Stock::default()
            };
        }
        if stock.sockets.is_empty() {
            let many = 1 + more.max(stock.ahead);
            let opened = self.supervisor.sockets(family, kind, 0, many);
            stock.sockets = opened.unwrap_or_default();
            stock.ahead = (2 * stock.ahead + 1).min(most_ahead());
        }
        let taken = stock.sockets.pop();
        taken.map_or_else(|| self.socket(family, kind), Ok)
    }

    /// A socket for UDP with headers of our own (raw(7)); a lab with a network of its own grants it.
    pub(crate) fn raw_udp(&self, family: AddressFamily) -> rustix::io::Result<OwnedFd> {
        self.supervisor
            .socket(family, SocketType::RAW, libc::IPPROTO_UDP)
    }

    pub(crate) fn spawn(&self, request: &SpawnRequest<'_>) -> rustix::io::Result<Spawned> {
        self.supervisor.spawn(request)
    }

    /// The error of a lab whose supervisor is no more, where that is what such an answer says.
    pub(crate) fn lost(&self, errno: rustix::io::Errno) -> Option<Error> {
        use rustix::io::Errno;
        let pid = self.supervisor.pid();
        let what = match errno {
            Errno::TIMEDOUT => format!(
                "process {pid}, which starts the servers, did not answer within {} s, or was stopped or traced by one of them; it \
                 has been ended with all below it",
                ANSWER_WITHIN.as_secs()
            ),
            Errno::OWNERDEAD | Errno::CONNRESET | Errno::PIPE => format!(
                "process {pid}, which starts the servers, has been ended by one of them, and all below it with it"
            ),
            _ => return None,
        };
        Some(Error::Lab { reason: what })
    }

    /// Kills every process in the lab and waits until it is gone.
    pub(crate) fn sweep(&self) {
        // The only failure is a supervisor that has ended, and then its processes have ended too.
        let _ = self.supervisor.sweep();
    }
}

/// What a lab begins with.
struct Begun {
    supervisor: Supervisor,
    namespaces: Namespaces,
    folder: PathBuf,
    why_host: Option<String>,
}

fn begin(isolation: Isolation, writes: Writes) -> Result<Begun, Error> {
    let on_host = |why_host| {
        begin_in(Namespaces::Host, writes, why_host).map_err(|error| Error::Lab {
            reason: reason(&error) + &where_folders_are(&error),
        })
    };
    if isolation == Isolation::Host {
        return on_host(None);
    }
    let mut refused = None;
    for namespaces in own_namespaces() {
        match begin_in(*namespaces, writes, None) {
            Ok(begun) => return Ok(begun),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    match refused {
        Some(error) if isolation == Isolation::Namespace => Err(lab_error(&error)),
        refused => on_host(refused.map(|error| reason(&error))),
    }
}

/// Namespaces of a lab's own, the better ones first: without a user namespace root's servers have the rights of root itself.
fn own_namespaces() -> &'static [Namespaces] {
    match rustix::process::geteuid().is_root() {
        true => &[Namespaces::OwnInUserNamespace, Namespaces::Own],
        false => &[Namespaces::OwnInUserNamespace],
    }
}

fn begin_in(
    namespaces: Namespaces,
    writes: Writes,
    why_host: Option<String>,
) -> Result<Begun, ForkError> {
    // In a root of its own there is always such a folder, whatever the host's variables say.
    let parent = match namespaces {
        Namespaces::Host => std::env::temp_dir(),
        Namespaces::Own | Namespaces::OwnInUserNamespace => {
            // A link there would lead to the host's own folder.
            let place = Path::new("/tmp");
            place.canonicalize().unwrap_or_else(|_| place.to_owned())
        }
    };
    let folder = parent.join(folder_name());
    let home = Home {
        folder: &folder,
        writes,
    };
    Ok(Begun {
        supervisor: Supervisor::fork(namespaces, &home)?,
        namespaces,
        folder,
        why_host,
    })
}

/// A name that nobody can know before.
fn folder_name() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let random = RandomState::new().build_hasher().finish();
    format!("sockdrill-{random:016x}")
}

/// Where on the host folders are made, if it is a folder that cannot be.
fn where_folders_are(error: &ForkError) -> String {
    let place = std::env::temp_dir();
    let place = LINE.text(&place.to_string_lossy()).into_owned();
    match error.is_of_folder() {
        true => format!(" in {place} (TMPDIR says where else)"),
        false => String::new(),
    }
}

fn lab_error(error: &dyn std::error::Error) -> Error {
    Error::Lab {
        reason: reason(error),
    }
}

fn reason(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Chooses a port that the kernel gives to nobody by itself and that no other sockdrill uses.
///
/// The lease is an abstract Unix socket named after the port: the kernel grants it to one process and takes it back
/// however that process ends.
fn lease_port(diag: &Diag) -> Result<(u16, Option<OwnedFd>), Error> {
    let lowest_handed_out = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_ascii_whitespace().next()?.parse::<u16>().ok())
        .unwrap_or(32_768);
    let first = 10_000
        .min(lowest_handed_out.saturating_sub(1_000))
        .max(1_024);
    let span = lowest_handed_out.saturating_sub(first).max(1);
    // Each lab begins somewhere else, so that a port with connections of the past is not chosen again at once.
    static LABS: AtomicU16 = AtomicU16::new(0);
    let lab = LABS.fetch_add(1, Ordering::Relaxed);
    let start = (std::process::id() as u16)
        .wrapping_mul(31)
        .wrapping_add(lab)
        % span;
    let taken = taken_ports(diag)?;
    for n in 0..span {
        let port = first + (start + n) % span;
        if taken.contains(&port) {
            continue;
        }
        if let Some(lease) = lease(port) {
            return Ok((port, Some(lease)));
        }
    }
    Err(Error::Lab {
        reason: format!("no port between {first} and {lowest_handed_out} is free"),
    })
}

fn taken_ports(diag: &Diag) -> Result<std::collections::HashSet<u16>, Error> {
    let failed = |errno: rustix::io::Errno| Error::Kernel {
        doing: "reading the kernel's socket tables",
        source: errno.into(),
    };
    let tcp = diag.listeners().map_err(failed)?;
    let udp = diag.udp().map_err(failed)?;
    let rows = tcp.into_iter().chain(udp);
    Ok(rows.filter_map(|row| Some(row.local?.port())).collect())
}

fn lease(port: u16) -> Option<OwnedFd> {
    use rustix::net::{SocketAddrUnix, SocketFlags, bind, socket_with};
    let name = format!("sockdrill-port-{port}");
    let address = SocketAddrUnix::new_abstract_name(name.as_bytes()).ok()?;
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None).ok()?;
    bind(&socket, &address).ok()?;
    Some(socket)
}

/// What the kernel shows to this user, for `sockdrill doctor`.
/// Whether the host lets us answer the system calls of a server that we start; looked for once.
///
/// # Errors
/// Says what it refuses.
pub(crate) fn answers_calls() -> Result<(), &'static str> {
    static TRIED: OnceLock<Result<(), &str>> = OnceLock::new();
    *TRIED.get_or_init(|| {
        notification::permitted().map_err(|_| "seccomp(2) refuses a filter with a listener")?;
        permitted().map_err(|_| "pidfd_getfd(2) or process_vm_readv(2) is refused")
    })
}

pub(crate) fn capabilities() -> Vec<(String, bool)> {
    let me = std::process::id();
    let can_read = |path: String| std::fs::read_to_string(path).is_ok();
    vec![
        (
            "/proc/PID/task/TID/children: the server's process tree is seen".to_owned(),
            can_read(format!("/proc/{me}/task/{me}/children")),
        ),
        (
            "/proc/PID/task/TID/syscall: silence is concluded at once, not by a time limit"
                .to_owned(),
            can_read(format!("/proc/{me}/task/{me}/syscall")),
        ),
        (
            "/proc/PID/task/TID/schedstat: a starved host is told from a slow server".to_owned(),
            can_read(format!("/proc/{me}/task/{me}/schedstat")),
        ),
    ]
}
