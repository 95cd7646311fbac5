//! What a client hands to the kernel at once: a part of what it says, or of the TLS records that say it.

use super::heard::Mute;
use super::socket::Socket;
use super::tls::Tls;
use crate::model::data::{Data, Segmentation};
use crate::model::limits::LOOK_SOON;
use crate::model::passage::Passage;
use crate::model::profile::Transport;
use crate::model::tls::TlsOptions;
use crate::transcript::event::ClientEvent;
use rustix::io::Errno;
use rustix::net::SendFlags;
use socket2::{SockAddr, SockRef};
use std::cell::Cell;
use std::sync::Arc;

/// What is handed to the kernel at once.
pub(super) struct Piece {
    what: What,
    /// What is told of it then.
    pub(super) told: ClientEvent,
}

enum What {
    /// What is said, as it is or in records of its own.
    Text(Passage),
    /// So many bytes of records that wait for it.
    Records { bytes: usize, is_last: bool },
}

/// The pieces of what is said at a step.
pub(super) type Pieces = Box<dyn ExactSizeIterator<Item = Piece>>;

/// What is divided into segments of what is said.
#[derive(Clone, Copy, Debug)]
pub(super) enum Division<'a> {
    /// The bytes that the kernel is given: of what is said over TLS its records.
    Sent(&'a Segmentation),
    /// What is said: over TLS each segment of it makes a record.
    Said(&'a Segmentation),
}

impl<'a> Division<'a> {
    pub(super) fn of(segmentation: &'a Segmentation, as_records: bool) -> Self {
        match as_records {
            true => Self::Said(segmentation),
            false => Self::Sent(segmentation),
        }
    }
}

/// The pieces of data: segments of it or, where it is said over TLS, of its records.
///
/// # Errors
/// Why TLS makes no records of it.
pub(super) fn pieces(
    data: &Data,
    member: u32,
    division: Division<'_>,
    tls: Option<&Tls>,
) -> Result<Pieces, &'static str> {
    let data = Arc::new(data.clone());
    let (Division::Sent(segmentation) | Division::Said(segmentation)) = division;
    let Some(tls) = tls else {
        return Ok(segments(data, member, segmentation));
    };
    let text = Passage::part(&data, member, 0..data.length());
    let is_whole = *segmentation == Segmentation::Whole;
    match tls.mute() {
        Some(Mute::NotYet(why)) => Err(why),
        // That nobody would read it is told where it is handed over, as of a stream without TLS.
        Some(Mute::Over) => Ok(whole(text)),
        None if is_whole => Ok(whole(text)),
        None if matches!(division, Division::Said(_)) => Ok(segments(data, member, segmentation)),
        None => cut_records(text, segmentation, tls),
    }
}

/// Segments of data as it is.
fn segments(data: Arc<Data>, member: u32, segmentation: &Segmentation) -> Pieces {
    let segments = segmentation.segments(data.length()).into_iter();
    Box::new(segments.map(move |segment| Piece::of(Passage::part(&data, member, segment))))
}

/// A text of which records are made while they are sent.
fn whole(text: Passage) -> Pieces {
    Box::new(std::iter::once(Piece::of(text)))
}

/// Segments of the records of a text, of which all are made at once.
fn cut_records(
    text: Passage,
    segmentation: &Segmentation,
    tls: &Tls,
) -> Result<Pieces, &'static str> {
    let length = tls.say(&text.bytes(), true);
    let length = length.map_err(|_| "TLS makes no records of it")?;
    if length == 0 {
        tls.let_go(0, true);
    }
    let segments = segmentation.segments(length).into_iter();
    Ok(Box::new(segments.map(move |segment| {
        let (bytes, is_last) = (segment.len(), segment.end == length);
        let told = match is_last {
            true => ClientEvent::Sent(text.clone()),
            false => ClientEvent::SentOfRecords(bytes as u64),
        };
        let what = What::Records { bytes, is_last };
        Piece { what, told }
    })))
}

/// The pieces of a ClientHello of so many bytes, as far as it is sent.
pub(super) fn pieces_of_hello(options: &TlsOptions, of: usize) -> Pieces {
    let end = options.first.map_or(of, |first| first.min(of));
    let segments = options.segmentation.segments(end).into_iter();
    Box::new(segments.map(move |segment| {
        let (bytes, is_last) = (segment.len(), segment.end == end);
        let what = What::Records { bytes, is_last };
        let (from, to) = (segment.start, segment.end);
        let told = ClientEvent::Hello { from, to, of };
        Piece { what, told }
    }))
}

impl Piece {
    fn of(text: Passage) -> Self {
        let told = ClientEvent::Sent(text.clone());
        let what = What::Text(text);
        Self { what, told }
    }
}

/// Sends all of it: a datagram whole, and what a stream carries as it is made.
pub(super) async fn send_all(
    socket: &Socket,
    peer: &SockAddr,
    piece: &Piece,
    transport: Transport,
    tls: Option<&Tls>,
    count: &Cell<u64>,
) -> Result<(), Errno> {
    match (&piece.what, tls) {
        (What::Text(text), None) => send_text(socket, peer, text, transport, count).await,
        (What::Text(text), Some(tls)) => {
            for block in text.blocks(0..text.len()) {
                tls.say(&block, false)?;
                tls.flush(socket, count).await?;
            }
            Ok(())
        }
        (What::Records { bytes, is_last }, Some(tls)) => {
            tls.let_go(*bytes, *is_last);
            tls.flush(socket, count).await
        }
        (What::Records { .. }, None) => Err(Errno::PROTO),
    }
}

async fn send_text(
    socket: &Socket,
    peer: &SockAddr,
    bytes: &Passage,
    transport: Transport,
    count: &Cell<u64>,
) -> Result<(), Errno> {
    if transport.is_datagram() || bytes.len() == 0 {
        return send_block(socket, peer, &bytes.bytes(), transport, count).await;
    }
    for block in bytes.blocks(0..bytes.len()) {
        send_block(socket, peer, &block, transport, count).await?;
    }
    Ok(())
}

async fn send_block(
    socket: &Socket,
    peer: &SockAddr,
    bytes: &[u8],
    transport: Transport,
    count: &Cell<u64>,
) -> Result<(), Errno> {
    let mut rest = bytes;
    loop {
        let mut guard = socket.writable().await.map_err(|_| Errno::BADF)?;
        let attempt = guard.try_io(|socket| {
            let options = SockRef::from(socket.get_ref());
            match transport.is_datagram() {
                true => options.send_to(rest, peer),
                false => Ok(rustix::net::send(
                    socket.get_ref(),
                    rest,
                    SendFlags::NOSIGNAL,
                )?),
            }
        });
        match attempt {
            Ok(Ok(sent)) => {
                count.set(count.get() + sent as u64);
                rest = &rest[sent.min(rest.len())..];
            }
            Ok(Err(error)) => return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
            // Where the peer's queue is full, our own socket stays writable, and each attempt says so again (unix(7)):
            // only the next one tells whether there is room.
            Err(_would_block) if transport.is_datagram() => {
                tokio::time::sleep(LOOK_SOON).await;
                continue;
            }
            Err(_would_block) => continue,
        }
        if rest.is_empty() {
            return Ok(());
        }
    }
}
