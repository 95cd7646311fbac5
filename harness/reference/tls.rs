//! TLS between a reference server and its clients, with a certificate that is signed by itself.

use super::conversation::Stream;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A certificate for `localhost`, and its key.
const CERTIFICATE: &[u8] = include_bytes!("../../fixtures/scenarios/language/tls-cert.pem");
const KEY: &[u8] = include_bytes!("../../fixtures/scenarios/language/tls-key.pem");

/// How a server speaks TLS.
#[derive(Clone)]
pub(crate) struct Tls(Arc<ServerConfig>);

impl Tls {
    /// With the certificate that is built in.
    pub(crate) fn built_in() -> io::Result<Self> {
        let chain = CertificateDer::pem_slice_iter(CERTIFICATE).collect::<Result<_, _>>();
        let key = PrivateKeyDer::from_pem_slice(KEY).map_err(io::Error::other)?;
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(chain.map_err(io::Error::other)?, key);
        Ok(Self(Arc::new(config.map_err(io::Error::other)?)))
    }

    /// What a server says and hears on one connection.
    pub(super) fn connection(&self) -> io::Result<ServerConnection> {
        ServerConnection::new(Arc::clone(&self.0)).map_err(io::Error::other)
    }

    /// Goes through the handshake with a client.
    pub(super) async fn secure(&self, stream: Box<dyn Stream>) -> io::Result<Box<dyn Stream>> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.0));
        Ok(Box::new(acceptor.accept(stream).await?))
    }
}

impl Stream for TlsStream<Box<dyn Stream>> {
    fn source(&self) -> Option<IpAddr> {
        self.get_ref().0.source()
    }

    fn answer_at_once(&self) {
        self.get_ref().0.answer_at_once();
    }
}
