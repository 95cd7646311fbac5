//! Where a process tree listens: observed in the tables of the kernel, never probed.

use super::process::Process;
use super::target::Target;
use crate::kernel::{self, Activity, Descriptors, Row, State, stillness, tree};
use crate::launch::lab::Lab;
use crate::model::address::Address;
use crate::model::error::Error;
use crate::model::literal::Shown;
use crate::model::profile::Transport;
use crate::transcript::event::Exit;
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A place that the server listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) transport: Transport,
    pub(super) address: Address,
    /// Bound to all addresses of its family.
    pub(super) wildcard: bool,
    /// Its socket.
    pub(super) inode: u32,
}

/// The pause between the first two looks.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// The pause between looks at a server that takes its time.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// How long a server that does not come to rest is given to listen wherever it does, once it listens at all.
const LISTENS_WITHIN: Duration = Duration::from_millis(50);

/// What the threads of the server are at.
fn activity(lab: &Lab, process: &Process) -> Activity {
    let server = tree(lab.supervisor().pid());
    stillness(&server, process.output_pipe())
}

/// How long is waited between two looks at a server that was begun so long ago: the longer it takes, the more seldom.
pub(super) fn pause_after(waited: Duration) -> Duration {
    (waited / 4).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
}

pub(super) async fn listening(
    target: &Target,
    lab: &Lab,
    process: &Process,
    nowhere: &str,
) -> Result<Place, Error> {
    let begun = Instant::now();
    let told = told(target, lab);
    // No kernel event tells that another process began to listen, so the tables are read again, ever more seldom.
    let mut first: Option<(Place, Instant)> = None;
    loop {
        // One that still runs may be about to listen elsewhere too, and what is drilled follows from all of it.
        let is_ready = first.is_some() && activity(lab, process).at_rest;
        let found = owned_places(lab)?;
        if let Some(place) = choose(target, &told, &found)? {
            if is_ready {
                return Ok(place);
            }
            let is_first = first.is_none();
            first.get_or_insert_with(|| (place, Instant::now()));
            if is_first && lab.is_secluded() && activity(lab, process).parked {
                // Only our clients could wake it, so that a later look shows nothing else.
                continue;
            }
        }
        if let Some((place, since)) = &first
            && (process.exit().is_some() || since.elapsed() > LISTENS_WITHIN)
        {
            return Ok(place.clone());
        }
        if let Some(exit) = process.exit()
            && tree(lab.supervisor().pid()).is_empty()
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
                (&told, nowhere),
                begun.elapsed(),
            )?);
        }
        let waited = first.as_ref().map_or(begun, |(_, since)| *since).elapsed();
        tokio::time::sleep(pause_after(waited)).await;
    }
}

/// What the server was told about where to listen.
pub(super) struct Told {
    port: Option<u16>,
    path: Option<PathBuf>,
}

impl Told {
    fn awaited(&self, target: &Target) -> String {
        let kind = target.profile.transport;
        let chosen = target.listen.as_ref();
        let chosen = chosen.map_or(String::new(), |listen| format!(" (listen = \"{listen}\")"));
        let told = match (&self.port, &self.path) {
            (Some(port), _) => match kind {
                Some(Transport::Udp) => format!("a UDP socket bound to port {port}"),
                _ => format!("a listener on port {port}"),
            },
            (None, Some(path)) => format!("a Unix socket at {}", path.display()),
            (None, None) => "any listener of its process tree".to_owned(),
        };
        told + &chosen
    }
}

pub(super) fn told(target: &Target, lab: &Lab) -> Told {
    let told_port = target.uses("port") || target.uses("addr") || target.listen_fds;
    Told {
        port: told_port.then(|| lab.port()),
        path: target.uses("path").then(|| lab.socket_path()),
    }
}

/// The inodes of the sockets that the lab's processes hold.
fn sockets_of(lab: &Lab) -> HashSet<u32> {
    let mut held = Descriptors::default();
    for process in tree(lab.supervisor().pid()) {
        held.share_with(&process.descriptors());
    }
    held.sockets().collect()
}

/// The sockets that the lab's processes have at a place.
pub(super) fn sockets_at(lab: &Lab, place: &Place) -> Vec<u32> {
    let places = owned_places(lab).unwrap_or_default().into_iter();
    let same =
        places.filter(|other| other.transport == place.transport && other.address == place.address);
    same.map(|other| other.inode).collect()
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
    places.extend(listening.filter_map(|row| path_place(lab, Transport::Unix, row)));
    let udp = lab.diag().udp().map_err(failed)?;
    places.extend(
        udp.iter()
            .filter(|row| owned(row))
            .filter_map(|row| inet_place(Transport::Udp, row)),
    );
    let bound = unix
        .iter()
        .filter(|row| owned(row) && row.state != State::Listen);
    places.extend(bound.filter_map(|row| path_place(lab, Transport::UnixDatagram, row)));
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
        inode: row.inode,
    })
}

/// Where a Unix socket is found: at the path that we give to servers, if its file stands there, whatever it was bound to.
fn path_place(lab: &Lab, transport: Transport, row: &Row) -> Option<Place> {
    let given = lab.socket_path();
    let path = match row.is_at(&given, lab.file_at(&given)) {
        true => given,
        false => bound_path(row)?,
    };
    Some(Place {
        transport,
        address: Address::Path(path),
        wildcard: false,
        inode: row.inode,
    })
}

/// The absolute path that a Unix socket was bound to.
fn bound_path(row: &Row) -> Option<PathBuf> {
    let path = row.path.as_ref()?;
    let name = path.split(|byte| *byte == 0).next()?;
    let path = Path::new(std::ffi::OsStr::from_bytes(name));
    path.is_absolute().then(|| path.to_owned())
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
        let first = fitting.iter().map(|place| place.address.to_string()).min();
        return Err(Error::SeveralListeners {
            is_backend: target.stands_behind,
            setting: target.setting("listen", &first.unwrap_or_default()),
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
        is_backend: target.stands_behind,
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
    (told, nowhere): (&Told, &str),
    waited: Duration,
) -> Result<Error, Error> {
    if let Some(taken) = port_taken(target, lab, process, told) {
        return Ok(taken);
    }
    let places = owned_places(lab)?;
    let places = places
        .iter()
        .map(|place| format!("{} {}", place.transport, place.address));
    let mut elsewhere: Vec<String> = places.chain(names_without_a_place(lab)).collect();
    // Several sockets may share an address.
    elsewhere.dedup();
    let hint = match elsewhere.as_slice() {
        [] => format!(
            "{nowhere}; if it needs longer to start, it is given the time by {}",
            target.setting(
                "ready-within",
                &Shown(target.ready_within.saturating_mul(6)).to_string()
            )
        ),
        places => format!(
            "; it listens on {}, which is not what was awaited{}",
            places.join(", "),
            elsewhere_hint(target)
        ),
    };
    Ok(Error::NeverListened {
        is_backend: target.stands_behind,
        awaited: told.awaited(target),
        waited,
        hint,
        output: process.output_for_error(),
        command: target.command_line(),
    })
}

/// What to do about a server that listens elsewhere than it was told.
fn elsewhere_hint(target: &Target) -> &'static str {
    match (&target.listen, target.takes_any_place()) {
        (Some(_), _) if target.stands_behind => "; name one of them by listen in its target",
        (Some(_), _) => "; name one of them with --listen, or listen in its target file",
        (None, true) => {
            "; is {port} in the right place of the command? A server that always takes the same port needs none"
        }
        (None, false) => "; what its profile has as transport is what is awaited",
    }
}

/// The Unix sockets that the lab's processes listen on and that no client finds: a name in the abstract namespace, or a
/// path from a folder that only the server knows (unix(7)).
fn names_without_a_place(lab: &Lab) -> Vec<String> {
    let mine = sockets_of(lab);
    let rows = lab.diag().unix().unwrap_or_default();
    let listening = rows
        .iter()
        .filter(|row| row.state == State::Listen && mine.contains(&row.inode));
    let nowhere = listening.filter(|row| path_place(lab, Transport::Unix, row).is_none());
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
        is_backend: target.stands_behind,
        port: foreign.local?.port(),
        holder: holder(lab, &foreign),
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

/// Names who holds a socket, as far as this user may see it. In a network of its own nobody but the server can.
fn holder(lab: &Lab, row: &Row) -> String {
    let own = rustix::process::geteuid().as_raw();
    let stranger = row.uid.filter(|uid| *uid != own && !lab.is_private());
    match (kernel::holder(row.inode), stranger) {
        (Some(process), _) => format!("process {} ({})", process.pid, process.name),
        (None, Some(uid)) => format!("a process of another user (uid {uid})"),
        (None, None) => "a socket that no process shows".to_owned(),
    }
}
