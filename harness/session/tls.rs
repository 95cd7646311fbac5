//! TLS between what a client says and what the kernel is given. Its records wait here until they are let go, so that every byte of
//! them can be cut, paced and left out; the socket is the client's. Certificates are not verified.

use super::heard::{Heard, Mute};
use super::socket::Socket;
use crate::model::tls::{TlsOptions, TlsVersion};
use crate::transcript::event::ClientEvent;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::SendFlags;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, DigitallySignedStruct, Error,
    ProtocolVersion, SignatureScheme, SupportedProtocolVersion,
};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// TLS on one connection.
#[derive(Debug)]
pub(super) struct Tls {
    connection: RefCell<ClientConnection>,
    stage: Cell<Stage>,
    /// Records in the order in which they have to go.
    outgoing: RefCell<VecDeque<u8>>,
    /// How many bytes of them may go now.
    ready: Cell<usize>,
    /// How many are at it to hand them to the kernel.
    hands: Cell<usize>,
    /// Nothing goes but what is let go.
    is_held: Cell<bool>,
    /// Nothing goes any more: only a part of the ClientHello does.
    is_mute: Cell<bool>,
    came_bytes: Cell<u64>,
    /// The server has said that it has said all.
    has_heard_all: Cell<bool>,
    /// It has said so itself, and says nothing more.
    has_said_all: Cell<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Handshake,
    Secured,
    Failed,
}

/// So much of a text is looked at where it is no TLS.
const TELLING: usize = 64;

impl Tls {
    /// A client that is about to say its ClientHello, with the length of that.
    pub(super) fn begin(options: &TlsOptions) -> Result<(Self, usize), String> {
        let name = match &options.name {
            Some(name) => ServerName::try_from(name.clone()).map_err(|error| error.to_string())?,
            // Who comes to an address names no host (RFC 6066, section 3).
            None => ServerName::from(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        };
        let config = config(options)?;
        let connection = ClientConnection::new(Arc::new(config), name);
        let mut connection = connection.map_err(|error| error.to_string())?;
        // What is handed over at a time is bounded by who hands it over.
        connection.set_buffer_limit(None);
        let tls = Self {
            connection: RefCell::new(connection),
            stage: Cell::new(Stage::Handshake),
            outgoing: RefCell::default(),
            ready: Cell::default(),
            hands: Cell::default(),
            is_held: Cell::new(true),
            is_mute: Cell::default(),
            came_bytes: Cell::default(),
            has_heard_all: Cell::default(),
            has_said_all: Cell::default(),
        };
        let hello = tls.collect();
        if let Some(first) = options.first {
            tls.outgoing.borrow_mut().truncate(first);
            tls.is_mute.set(true);
        }
        Ok((tls, hello))
    }

    /// Makes records of a text; how many bytes they take.
    ///
    /// # Errors
    /// That of a pipe which nobody reads any more, as the kernel has it, where TLS is over.
    pub(super) fn say(&self, text: &[u8], is_held: bool) -> Result<usize, Errno> {
        match self.mute() {
            Some(Mute::Over) => return Err(Errno::PIPE),
            Some(Mute::NotYet(_)) => return Err(Errno::PROTO),
            None => {}
        }
        self.is_held.set(is_held);
        // It is kept in memory, where nothing fails.
        let _ = self.connection.borrow_mut().writer().write_all(text);
        Ok(self.collect())
    }

    /// Why it makes no records of a text, where it makes none.
    pub(super) fn mute(&self) -> Option<Mute> {
        match self.stage.get() {
            Stage::Handshake => Some(Mute::NotYet("the TLS handshake is not complete")),
            Stage::Failed => Some(Mute::Over),
            Stage::Secured if self.has_said_all.get() => Some(Mute::Over),
            Stage::Secured if self.is_held.get() => Some(Mute::NotYet(
                "TLS records that are cut into pieces are still being sent",
            )),
            Stage::Secured => None,
        }
    }

    /// Whether the server hears nothing more, as it has said, or as it has shown.
    pub(super) fn is_over_for_server(&self) -> bool {
        self.stage.get() == Stage::Failed || self.has_heard_all.get()
    }

    /// Whether the server has said that it has said all, and may wait to hear the same (RFC 5246, section 7.2.1).
    pub(super) fn owes_an_end(&self) -> bool {
        self.has_heard_all.get() && !self.has_said_all.get() && self.stage.get() == Stage::Secured
    }

    /// Whether both have said that they have said all.
    pub(super) fn has_answered_the_end(&self) -> bool {
        self.has_heard_all.get() && self.has_said_all.get()
    }

    /// Whether nobody is at it to say more.
    pub(super) fn has_nothing_to_say(&self) -> bool {
        self.hands.get() == 0 && self.outgoing.borrow().is_empty()
    }

    /// Lets so many bytes of records go; all, and whatever comes behind them, where no more are held.
    pub(super) fn let_go(&self, bytes: usize, is_last: bool) {
        let waiting = self.outgoing.borrow().len();
        self.is_held.set(!is_last);
        self.ready.set(match is_last {
            true => waiting,
            false => waiting.min(self.ready.get() + bytes),
        });
    }

    /// Says that it has said all, where there is somebody who would understand; whether the kernel has taken it.
    pub(super) fn say_all(&self, socket: &OwnedFd, count: &Cell<u64>) -> bool {
        if self.mute().is_some() {
            return false;
        }
        self.has_said_all.set(true);
        self.connection.borrow_mut().send_close_notify();
        self.collect();
        let _ = self.write(socket, count);
        self.ready.get() == 0
    }

    /// Takes the records that are there to be sent; how many bytes they have.
    fn collect(&self) -> usize {
        let mut records = Vec::new();
        let mut connection = self.connection.borrow_mut();
        while connection.wants_write() {
            // A vector takes all of it.
            if connection.write_tls(&mut records).is_err() {
                break;
            }
        }
        if self.is_mute.get() {
            return 0;
        }
        self.outgoing.borrow_mut().extend(&records);
        if !self.is_held.get() {
            self.ready.set(self.ready.get() + records.len());
        }
        records.len()
    }

    /// Whether something may go that nobody hands to the kernel: who says something does that himself, and tells when it is done.
    pub(super) fn needs_a_hand(&self) -> bool {
        self.ready.get() > 0 && self.hands.get() == 0
    }

    /// Hands what may go to the kernel.
    pub(super) async fn flush(&self, socket: &Socket, count: &Cell<u64>) -> Result<(), Errno> {
        let _hand = Hand::of(self);
        while self.ready.get() > 0 {
            let mut guard = socket.writable().await.map_err(|_| Errno::BADF)?;
            let attempt = guard.try_io(|socket| Ok(self.write(socket.get_ref(), count)?));
            if let Ok(Err(error)) = attempt {
                return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO));
            }
        }
        Ok(())
    }

    /// Hands as much of it to the kernel as that takes at once.
    fn write(&self, socket: &OwnedFd, count: &Cell<u64>) -> Result<(), Errno> {
        while self.ready.get() > 0 {
            let mut outgoing = self.outgoing.borrow_mut();
            let (first, _) = outgoing.as_slices();
            let first = &first[..first.len().min(self.ready.get())];
            let sent = rustix::net::send(socket, first, SendFlags::NOSIGNAL)?;
            outgoing.drain(..sent);
            self.ready.set(self.ready.get() - sent);
            count.set(count.get() + sent as u64);
        }
        Ok(())
    }

    /// Takes in what has come, and says at once what TLS says to that by itself.
    pub(super) fn hear(&self, bytes: &[u8], socket: &OwnedFd, count: &Cell<u64>) -> Vec<Heard> {
        self.came_bytes
            .set(self.came_bytes.get() + bytes.len() as u64);
        let mut heard = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() && self.stage.get() != Stage::Failed && !self.has_heard_all.get() {
            if self.connection.borrow_mut().read_tls(&mut rest).is_err() {
                break;
            }
            self.hear_next(bytes, &mut heard);
        }
        self.collect();
        if self.needs_a_hand() {
            // Where the kernel takes no more, who reads goes on with it.
            let _ = self.write(socket, count);
        }
        heard
    }

    fn hear_next(&self, came: &[u8], heard: &mut Vec<Heard>) {
        let connection = &mut *self.connection.borrow_mut();
        let done = connection.process_new_packets();
        if self.stage.get() == Stage::Handshake && !connection.is_handshaking() {
            self.stage.set(Stage::Secured);
            heard.push(Heard::Told(secured(connection)));
        }
        let mut text = Vec::new();
        // That there is no more of it yet is all that can go wrong.
        let _ = connection.reader().read_to_end(&mut text);
        if !text.is_empty() {
            heard.push(Heard::Plain(text));
        }
        match done {
            Ok(state) if state.peer_has_closed() => {
                self.has_heard_all.set(true);
                heard.push(Heard::Told(ClientEvent::HeardAll));
            }
            Ok(_) => {}
            Err(error) => {
                let why = why(&error, self.stage.replace(Stage::Failed), came);
                heard.push(Heard::Told(ClientEvent::TlsFailed(why)));
            }
        }
    }

    /// What is to be told of it once the server has ended the connection, or has not.
    pub(super) fn over(&self, is_orderly: bool) -> ClientEvent {
        let is_secured = self.stage.get() == Stage::Secured;
        ClientEvent::TlsOver {
            came_bytes: self.came_bytes.get(),
            is_cut: is_orderly && is_secured && !self.has_heard_all.get(),
        }
    }
}

/// Somebody who is at it to hand records to the kernel.
struct Hand<'a>(&'a Cell<usize>);

impl<'a> Hand<'a> {
    fn of(tls: &'a Tls) -> Self {
        tls.hands.set(tls.hands.get() + 1);
        Self(&tls.hands)
    }
}

impl Drop for Hand<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

fn config(options: &TlsOptions) -> Result<ClientConfig, String> {
    let said = |error: Error| error.to_string();
    let provider = Arc::new(ring::default_provider());
    let anybody = Arc::new(Anybody(Arc::clone(&provider)));
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions(options.version))
        .map_err(said)?
        .dangerous()
        .with_custom_certificate_verifier(anybody);
    let mut config = match &options.identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = identity.shown()?;
            builder.with_client_auth_cert(chain, key).map_err(said)?
        }
    };
    let protocols = options.protocols.iter();
    config.alpn_protocols = protocols
        .map(|protocol| protocol.as_bytes().to_vec())
        .collect();
    Ok(config)
}

fn versions(only: Option<TlsVersion>) -> &'static [&'static SupportedProtocolVersion] {
    static TWO: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
    static THREE: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
    match only {
        None => rustls::DEFAULT_VERSIONS,
        Some(TlsVersion::Two) => TWO,
        Some(TlsVersion::Three) => THREE,
    }
}

fn secured(connection: &ClientConnection) -> ClientEvent {
    let cipher = connection.negotiated_cipher_suite();
    let cipher = cipher.and_then(|suite| suite.suite().as_str());
    let protocol = connection.alpn_protocol();
    ClientEvent::Secured {
        version: match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLS 1.2".to_owned(),
            Some(ProtocolVersion::TLSv1_3) => "TLS 1.3".to_owned(),
            other => format!("{other:?}"),
        },
        cipher: cipher.unwrap_or("an unknown cipher").to_owned(),
        protocol: protocol.map(|name| String::from_utf8_lossy(name).into_owned()),
    }
}

/// What has failed, in words.
fn why(error: &Error, stage: Stage, came: &[u8]) -> String {
    let where_at = match stage {
        Stage::Handshake => "the handshake",
        Stage::Secured | Stage::Failed => "TLS",
    };
    match error {
        Error::AlertReceived(alert) => {
            format!("the server ended {where_at} with alert `{}`", name(*alert))
        }
        // Behind the handshake what has come is encrypted, and tells nothing.
        Error::InvalidMessage(_) if stage != Stage::Handshake => {
            format!("a record that came cannot be read as TLS: {error}")
        }
        Error::InvalidMessage(_) => {
            let shown = crate::model::literal::shown(&came[..came.len().min(TELLING)]);
            format!("what the server said in {where_at} cannot be read as TLS: {shown}")
        }
        error => error.to_string(),
    }
}

/// The name of an alert as RFC 8446 has it, section 6: `handshake_failure`.
fn name(alert: AlertDescription) -> String {
    let Some(name) = alert.as_str() else {
        return u8::from(alert).to_string();
    };
    let mut words = String::new();
    let mut was_small = false;
    for letter in name.chars() {
        if was_small && letter.is_ascii_uppercase() {
            words.push('_');
        }
        was_small = letter.is_ascii_lowercase();
        words.push(letter.to_ascii_lowercase());
    }
    words.replace("pskidentity", "psk_identity")
}

/// Takes everybody for the server: what is drilled is its sockets.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_have_the_names_that_the_rfc_gives_them() {
        let names = [
            (AlertDescription::HandshakeFailure, "handshake_failure"),
            (AlertDescription::BadRecordMac, "bad_record_mac"),
            (AlertDescription::UnknownCA, "unknown_ca"),
            (AlertDescription::UnknownPSKIdentity, "unknown_psk_identity"),
            (AlertDescription::Unknown(200), "200"),
        ];
        for (alert, told) in names {
            assert_eq!(name(alert), told);
        }
    }

    #[test]
    fn hello_is_cut_short_and_nothing_follows_it() {
        let options = TlsOptions {
            first: Some(100),
            ..TlsOptions::default()
        };
        let (tls, hello) = Tls::begin(&options).unwrap();
        assert!(hello > 100, "{hello}");
        assert_eq!(tls.outgoing.borrow().len(), 100);
        tls.let_go(60, false);
        assert_eq!(tls.ready.get(), 60);
        tls.let_go(40, true);
        assert_eq!(tls.ready.get(), 100);
        tls.connection.borrow_mut().send_close_notify();
        assert_eq!(tls.collect(), 0);
        assert_eq!(tls.say(b"hello", false), Err(Errno::PROTO));
    }

    #[test]
    fn text_of_a_server_that_speaks_no_tls_is_told() {
        let (tls, _) = Tls::begin(&TlsOptions::default()).unwrap();
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let heard = tls.hear(b"HTTP/1.1 400 Bad Request\r\n", &ours.into(), &Cell::new(0));
        let [Heard::Told(ClientEvent::TlsFailed(why))] = heard.as_slice() else {
            panic!("{heard:?}");
        };
        let said = "what the server said in the handshake cannot be read as TLS: \"HTTP/1.1 400 Bad Request\\r\\n\"";
        assert_eq!(why, said);
        assert_eq!(tls.mute(), Some(Mute::Over));
        assert_eq!(tls.say(b"hello", false), Err(Errno::PIPE));
    }
}
