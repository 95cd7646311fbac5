//! How a client speaks TLS: what it names, offers and shows, and how its ClientHello is sent.

use super::data::Segmentation;
use super::form::{Argument, Does, Form, Need, Over, Python};
use super::text_file::Kind;
use super::toml_mistake::Mistake;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use toml::Spanned;

/// How a client begins to speak TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsOptions {
    /// The host that it asks for (RFC 6066, section 3); none where it names none.
    pub name: Option<String>,
    /// The protocols that it offers to speak inside (RFC 7301), the one that it likes best first.
    pub protocols: Vec<String>,
    /// The only version that it speaks; either where there is none.
    pub version: Option<TlsVersion>,
    /// Who it is, for a server that asks (RFC 8446, section 4.4.2).
    pub identity: Option<Box<Identity>>,
    /// Where the ClientHello is divided.
    pub segmentation: Segmentation,
    /// The pause between segments; without one, each waits until the server has read the one before.
    pub every: Option<Duration>,
    /// Only so many bytes of the ClientHello are ever sent.
    pub first: Option<usize>,
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self {
            name: None,
            protocols: Vec::new(),
            version: None,
            identity: None,
            segmentation: Segmentation::Whole,
            every: None,
            first: None,
        }
    }
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TlsVersion {
    /// RFC 5246.
    Two,
    /// RFC 8446.
    Three,
}

impl TlsVersion {
    /// Each of them, with the word for it.
    pub(crate) const ALL: &[(Self, &'static str)] = &[(Self::Two, "1.2"), (Self::Three, "1.3")];

    /// The one of a word.
    pub(crate) fn of(word: &str) -> Option<Self> {
        let mut all = Self::ALL.iter();
        all.find(|(_, known)| *known == word)
            .map(|(version, _)| *version)
    }

    /// Its word.
    pub(crate) fn word(self) -> Option<&'static str> {
        let mut all = Self::ALL.iter();
        all.find(|(version, _)| *version == self)
            .map(|(_, word)| *word)
    }

    fn argument(self) -> Argument<'static> {
        Argument::Word(match self {
            Self::Two => "version 1.2",
            Self::Three => "version 1.3",
        })
    }
}

/// A client's certificates, its own first, and the key that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The certificates.
    pub certificate: PemFile,
    /// The key.
    pub key: PemFile,
}

/// A file in PEM (RFC 7468).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PemFile {
    /// Its name, as it was written.
    name: String,
    /// Where it is, wherever that is said.
    path: PathBuf,
    /// What it holds.
    pub(crate) bytes: Arc<[u8]>,
}

impl Identity {
    /// What a client shows.
    ///
    /// # Errors
    /// The key is not that of the first certificate.
    pub(crate) fn of(certificate: PemFile, key: PemFile) -> Result<Self, String> {
        let why = pem::belong_together(&certificate.bytes, &key.bytes);
        why.map_err(|why| {
            format!(
                "{} has another key than the certificate in {}: {why}",
                key.name, certificate.name
            )
        })?;
        Ok(Self { certificate, key })
    }

    /// Its certificates and its key, as TLS takes them.
    ///
    /// # Errors
    /// One of the files is no longer what it was taken for.
    #[cfg(feature = "tls")]
    pub(crate) fn shown(&self) -> Result<pem::Shown, String> {
        pem::shown(&self.certificate.bytes, &self.key.bytes)
    }
}

impl PemFile {
    /// Reads a file of certificates, the way to which begins at this folder.
    ///
    /// # Errors
    /// It cannot be read, or has no certificate.
    pub(crate) fn of_certificates(name: &str, folder: &Path) -> Result<Self, String> {
        Self::read(name, folder, pem::has_certificates, "certificate")
    }

    /// Reads a file with a private key, the way to which begins at this folder.
    ///
    /// # Errors
    /// It cannot be read, or has no key.
    pub(crate) fn of_key(name: &str, folder: &Path) -> Result<Self, String> {
        Self::read(name, folder, pem::has_key, "private key")
    }

    fn read(
        name: &str,
        folder: &Path,
        has: fn(&[u8]) -> Result<(), String>,
        what: &str,
    ) -> Result<Self, String> {
        let path = folder.join(name);
        let bytes = Kind::PEM.bytes_found(&path);
        let bytes = bytes.map_err(|error| error.chain())?;
        let shown = path.display();
        has(&bytes).map_err(|why| format!("{shown} has no {what} in PEM: {why}"))?;
        Ok(Self {
            name: name.to_owned(),
            path: std::path::absolute(&path).unwrap_or(path),
            bytes: bytes.into(),
        })
    }

    /// Its name, as it was written.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The same by a name that leads to it from everywhere.
    fn spelt_out(&self) -> Self {
        Self {
            name: self.path.to_string_lossy().into_owned(),
            ..self.clone()
        }
    }
}

#[cfg(feature = "tls")]
pub(crate) mod pem {
    use rustls::crypto::ring;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::sign::CertifiedKey;

    /// Who a client says it is: its certificates, and its key.
    pub(crate) type Shown = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

    pub(super) fn shown(certificates: &[u8], key: &[u8]) -> Result<Shown, String> {
        let said = |error: rustls::pki_types::pem::Error| error.to_string();
        let chain = CertificateDer::pem_slice_iter(certificates).collect::<Result<_, _>>();
        let key = PrivateKeyDer::from_pem_slice(key);
        Ok((chain.map_err(said)?, key.map_err(said)?))
    }

    pub(super) fn has_certificates(bytes: &[u8]) -> Result<(), String> {
        let first = CertificateDer::pem_slice_iter(bytes).next();
        match first {
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("nothing in it begins with `-----BEGIN CERTIFICATE-----`".to_owned()),
        }
    }

    pub(super) fn has_key(bytes: &[u8]) -> Result<(), String> {
        let key = PrivateKeyDer::from_pem_slice(bytes);
        key.map(drop).map_err(|error| error.to_string())
    }

    pub(super) fn belong_together(certificates: &[u8], key: &[u8]) -> Result<(), String> {
        let (chain, key) = shown(certificates, key)?;
        let both = CertifiedKey::from_der(chain, key, &ring::default_provider());
        both.map(drop).map_err(|error| error.to_string())
    }
}

/// Where no TLS is built in, no step of it is taken, and nothing is to be looked into.
#[cfg(not(feature = "tls"))]
mod pem {
    pub(super) fn has_certificates(_: &[u8]) -> Result<(), String> {
        Ok(())
    }

    pub(super) fn has_key(_: &[u8]) -> Result<(), String> {
        Ok(())
    }

    pub(super) fn belong_together(_: &[u8], _: &[u8]) -> Result<(), String> {
        Ok(())
    }
}

impl TlsOptions {
    /// Whether it is to be cut where nothing is sent.
    pub(crate) fn is_not_cut(&self) -> bool {
        let end = self.first.unwrap_or(usize::MAX);
        match &self.segmentation {
            Segmentation::At(positions) => !positions.iter().all(|at| (1..end).contains(at)),
            Segmentation::Whole | Segmentation::Pieces(_) => false,
        }
    }

    /// Whether it is to be cut, or to end, where a ClientHello of so many bytes has none.
    pub(crate) fn is_longer_than(&self, hello: usize) -> bool {
        let last = match &self.segmentation {
            Segmentation::At(positions) => positions.last().copied().unwrap_or(0),
            Segmentation::Whole | Segmentation::Pieces(_) => 0,
        };
        self.first.unwrap_or(0).max(last) >= hello
    }

    /// The same where its files are found from every folder.
    pub(crate) fn spelt_out(&self) -> Self {
        let spelt_out = |identity: &Identity| Identity {
            certificate: identity.certificate.spelt_out(),
            key: identity.key.spelt_out(),
        };
        let identity = self.identity.as_deref().map(spelt_out).map(Box::new);
        Self {
            identity,
            ..self.clone()
        }
    }

    /// Its row.
    pub(crate) fn form(&self) -> Form<'_> {
        fn named<'a>(word: &'static str, text: &'a String) -> Argument<'a> {
            Argument::Texts(word, std::slice::from_ref(text))
        }
        let protocols = self.protocols.as_slice();
        let identity = self.identity.as_ref();
        let arguments = [
            self.name.as_ref().map(|name| named("name", name)),
            (!protocols.is_empty()).then_some(Argument::Texts("alpn", protocols)),
            self.version.map(TlsVersion::argument),
            identity.map(|identity| named("certificate", &identity.certificate.name)),
            identity.map(|identity| named("key", &identity.key.name)),
            (self.segmentation != Segmentation::Whole)
                .then_some(Argument::Segmentation(&self.segmentation)),
            self.every.map(Argument::Every),
            self.first.map(|bytes| Argument::Setting("first", bytes)),
        ];
        Form::new("start-tls", "", Does::Talks)
            .needing(Need::SendingSide)
            .only_over(Over::Streams)
            .with_all(arguments.into_iter().flatten())
            .in_python(Python::Nothing("it does not speak TLS"))
    }
}

/// Whether it is a name of the domain name system (RFC 1123, section 2.1), and no address.
pub(crate) fn is_host(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    name.len() <= 253 && name.split('.').all(is_label) && name.parse::<std::net::IpAddr>().is_err()
}

/// Whether a protocol may be called so: one byte says how long its name is (RFC 7301, section 3.1).
pub(crate) fn is_protocol(name: &str) -> bool {
    (1..=255).contains(&name.len())
}

/// What a profile says of TLS.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RawTls {
    name: Option<Spanned<String>>,
    #[serde(default)]
    alpn: Vec<Spanned<String>>,
    version: Option<Spanned<String>>,
    certificate: Option<Spanned<String>>,
    key: Option<Spanned<String>>,
}

impl RawTls {
    /// How clients of such a server begin; the way to files begins at this folder.
    ///
    /// # Errors
    /// Says what is wrong, and where.
    pub(crate) fn parsed(self, folder: &Path) -> Result<TlsOptions, Mistake> {
        Ok(TlsOptions {
            name: self.name.as_ref().map(host).transpose()?,
            protocols: self.alpn.iter().map(protocol).collect::<Result<_, _>>()?,
            version: self.version.as_ref().map(version).transpose()?,
            identity: identity(self.certificate.as_ref(), self.key.as_ref(), folder)?,
            ..TlsOptions::default()
        })
    }
}

fn host(name: &Spanned<String>) -> Result<String, Mistake> {
    match is_host(name.get_ref()) {
        true => Ok(name.get_ref().clone()),
        false => Err(Mistake::of(
            name,
            "tls.name: write the name of a host, such as \"localhost\"; who comes to an address names none".to_owned(),
        )),
    }
}

fn protocol(name: &Spanned<String>) -> Result<String, Mistake> {
    match is_protocol(name.get_ref()) {
        true => Ok(name.get_ref().clone()),
        false => Err(Mistake::of(
            name,
            "tls.alpn: write names of 1 to 255 bytes, such as \"http/1.1\"".to_owned(),
        )),
    }
}

fn version(word: &Spanned<String>) -> Result<TlsVersion, Mistake> {
    TlsVersion::of(word.get_ref()).ok_or_else(|| {
        Mistake::of(
            word,
            "tls.version: write \"1.2\" or \"1.3\"; without it either is spoken".to_owned(),
        )
    })
}

fn identity(
    certificate: Option<&Spanned<String>>,
    key: Option<&Spanned<String>>,
    folder: &Path,
) -> Result<Option<Box<Identity>>, Mistake> {
    let (certificate, key) = match (certificate, key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) => return Ok(None),
        (Some(one), None) | (None, Some(one)) => {
            let message = "tls: certificate and key go together";
            return Err(Mistake::of(one, message.to_owned()));
        }
    };
    let certificates = PemFile::of_certificates(certificate.get_ref(), folder)
        .map_err(|why| Mistake::of(certificate, format!("tls.certificate: {why}")))?;
    let key_file = PemFile::of_key(key.get_ref(), folder)
        .map_err(|why| Mistake::of(key, format!("tls.key: {why}")))?;
    let identity = Identity::of(certificates, key_file)
        .map_err(|why| Mistake::of(key, format!("tls.key: {why}")))?;
    Ok(Some(Box::new(identity)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::action::Action;

    fn hello(segmentation: Segmentation, first: Option<usize>) -> TlsOptions {
        TlsOptions {
            segmentation,
            first,
            ..TlsOptions::default()
        }
    }

    #[test]
    fn hello_is_cut_inside_of_what_is_sent_of_it() {
        let cut = |at: &[usize], first| hello(Segmentation::At(at.to_vec()), first);
        assert!(!cut(&[1, 99], Some(100)).is_not_cut());
        assert!(cut(&[1, 100], Some(100)).is_not_cut());
        assert!(cut(&[0, 5], None).is_not_cut());
        assert!(!cut(&[9_999], None).is_not_cut());
        assert!(!hello(Segmentation::Pieces(5), Some(3)).is_not_cut());
    }

    #[test]
    fn hello_has_to_have_the_bytes_at_which_it_is_cut_or_ends() {
        let cut = |at: &[usize], first| hello(Segmentation::At(at.to_vec()), first);
        assert!(!cut(&[1, 217], None).is_longer_than(218));
        assert!(cut(&[1, 218], None).is_longer_than(218));
        assert!(!hello(Segmentation::Whole, Some(217)).is_longer_than(218));
        assert!(hello(Segmentation::Whole, Some(218)).is_longer_than(218));
        assert!(!hello(Segmentation::Pieces(900), None).is_longer_than(218));
    }

    #[test]
    fn time_of_a_paced_hello_is_that_of_a_long_one() {
        let paced = TlsOptions {
            every: Some(Duration::from_millis(10)),
            ..hello(Segmentation::Pieces(1), None)
        };
        let time = Action::StartTls(paced).form().time_written();
        assert_eq!(time, Duration::from_millis(5_120));
    }
}
