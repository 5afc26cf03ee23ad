//! Certificates, and TLS of clients and upstreams: rustls over blocking sockets of std, so that other code
//! than the gate's judges its handshakes.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::ops::DerefMut;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SigningKey, date_time_ymd};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, RootCertStore, ServerConfig, ServerConnection,
    SideData, StreamOwned,
};

use super::DEADLINE;
use super::client::Client;
use super::wire::Transport;

/// An authority with its certificate in a file.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub file: PathBuf,
}

/// Files of a certificate and its key.
#[derive(Clone)]
pub struct Leaf {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Leaf {
    /// The certificate.
    pub fn certificate(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(&self.cert).unwrap()
    }

    /// The configuration of an upstream with this certificate.
    pub fn server(&self) -> Arc<ServerConfig> {
        self.server_with(rustls::ALL_VERSIONS)
    }

    /// The configuration of an upstream with this certificate and only some versions.
    pub fn server_with(&self, versions: &[&'static rustls::SupportedProtocolVersion]) -> Arc<ServerConfig> {
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(self.certified());
        Arc::new(config)
    }

    /// The certificate and its key. A certificate of version 1 is fine too.
    fn certified(&self) -> Arc<SingleCertAndKey> {
        let key = PrivateKeyDer::from_pem_file(&self.key).unwrap();
        let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
        Arc::new(CertifiedKey::new(vec![self.certificate()], key).into())
    }

    /// A certificate that has signed itself, as `dir/stem.crt` and `dir/stem.key`. As with `openssl req -x509`,
    /// it is an authority, if `change` does not change that.
    pub fn self_signed(
        dir: &Path,
        stem: &str,
        names: &[&str],
        change: impl Fn(&mut CertificateParams),
    ) -> Leaf {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, stem);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Leaf::write(dir, stem, der, &key)
    }

    /// A certificate of version 1 that has signed itself. Its only name is its commonName.
    pub fn of_version_1(dir: &Path, stem: &str, common_name: &str) -> Leaf {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.is_ca = IsCa::ExplicitNoCa;
        let key = KeyPair::generate().unwrap();
        let of_version_3 = params.self_signed(&key).unwrap().der().to_vec();
        let parts = elements(content(&of_version_3));
        // The first element is the version, and the last one holds the extensions.
        let body = elements(content(parts[0]));
        let body = sequence(&body[1..body.len() - 1].concat());
        let signed = [&[0], &*key.sign(&body).unwrap()].concat();
        let signature = [&[0x03, u8::try_from(signed.len()).unwrap()], &*signed].concat();
        Leaf::write(dir, stem, sequence(&[&body, parts[1], &signature].concat()), &key)
    }

    fn write(dir: &Path, stem: &str, der: Vec<u8>, key: &KeyPair) -> Leaf {
        let leaf = Leaf { cert: dir.join(format!("{stem}.crt")), key: dir.join(format!("{stem}.key")) };
        std::fs::create_dir_all(dir).unwrap();
        std::fs::write(&leaf.cert, pem(&der)).unwrap();
        std::fs::write(&leaf.key, key.serialize_pem()).unwrap();
        leaf
    }
}

/// Bytes of the tag and the length of a DER value, and of its content.
fn measure(der: &[u8]) -> (usize, usize) {
    match der[1] {
        length @ 0..=0x7f => (2, usize::from(length)),
        long => {
            let bytes = &der[2..2 + usize::from(long & 0x7f)];
            (2 + bytes.len(), bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)))
        }
    }
}

fn content(der: &[u8]) -> &[u8] {
    let (head, length) = measure(der);
    &der[head..head + length]
}

fn elements(mut content: &[u8]) -> Vec<&[u8]> {
    let mut all = Vec::new();
    while !content.is_empty() {
        let (head, length) = measure(content);
        let (one, rest) = content.split_at(head + length);
        all.push(one);
        content = rest;
    }
    all
}

fn sequence(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let head = match length {
        [0, short @ 0..=0x7f] => vec![0x30, short],
        [0, long] => vec![0x30, 0x81, long],
        [high, low] => vec![0x30, 0x82, high, low],
    };
    [&head, content].concat()
}

/// PEM of a certificate. Base64 is written by hand because the tests have no crate for it.
fn pem(der: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in der.chunks(3) {
        let bits = three.iter().chain(&[0; 2]).take(3).fold(0, |bits, byte| bits << 8 | usize::from(*byte));
        let digits = [18, 12, 6, 0].map(|shift| char::from(DIGITS[bits >> shift & 63]));
        text.extend(&digits[..=three.len()]);
        text.extend(std::iter::repeat_n('=', 3 - three.len()));
        if text.len() % 65 == 64 {
            text.push('\n');
        }
    }
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

impl Authority {
    /// A new authority with its certificate in `dir/name`.
    pub fn new(dir: &Path, name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL distinguishes issuers by their names.
        params.distinguished_name.push(DnType::CommonName, format!("authority {name}"));
        let key = KeyPair::generate().unwrap();
        let file = dir.join(name);
        std::fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        Authority { issuer: Issuer::new(params, key), file }
    }

    /// Issues a certificate for `names`, as `dir/stem.crt` and `dir/stem.key`.
    pub fn issue(&self, dir: &Path, stem: &str, names: &[&str]) -> Leaf {
        self.issue_with(dir, stem, names, |_| {})
    }

    /// Issues a certificate that expired long ago.
    pub fn issue_expired(&self, dir: &Path, stem: &str, names: &[&str]) -> Leaf {
        self.issue_with(dir, stem, names, |params| {
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(2002, 2, 3);
        })
    }

    fn issue_with(
        &self,
        dir: &Path,
        stem: &str,
        names: &[&str],
        change: impl Fn(&mut CertificateParams),
    ) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let leaf = Leaf { cert: dir.join(format!("{stem}.crt")), key: dir.join(format!("{stem}.key")) };
        std::fs::create_dir_all(dir).unwrap();
        std::fs::write(&leaf.cert, params.signed_by(&key, &self.issuer).unwrap().pem()).unwrap();
        std::fs::write(&leaf.key, key.serialize_pem()).unwrap();
        leaf
    }

    /// The client hello of a client that asks for `name`.
    pub fn hello(&self, name: &str) -> Vec<u8> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let config = Arc::new(self.client(&["h2", "acme-tls/1"]));
        let mut bytes = Vec::new();
        ClientConnection::new(config, name).unwrap().write_tls(&mut bytes).unwrap();
        bytes
    }

    /// A client configuration that trusts this authority and speaks `protocols`.
    pub fn client(&self, protocols: &[&str]) -> ClientConfig {
        self.client_with(protocols, None, rustls::ALL_VERSIONS)
    }

    /// A client configuration with a certificate of its own and only some versions.
    pub fn client_with(
        &self,
        protocols: &[&str],
        own: Option<&Leaf>,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.file).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(leaf) => builder.with_client_cert_resolver(leaf.certified()),
        };
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }
}

/// TLS over a socket, after the handshake; from the client's side by default.
pub struct Tls<C = ClientConnection>(pub StreamOwned<C, TcpStream>);

impl Tls {
    /// Connects and completes a handshake for `name`.
    pub fn connect(address: SocketAddr, config: &Arc<ClientConfig>, name: &str) -> std::io::Result<Tls> {
        Tls::over(TcpStream::connect_timeout(&address, DEADLINE)?, config, name)
    }

    /// Completes a handshake for `name` over an open connection.
    pub fn over(socket: TcpStream, config: &Arc<ClientConfig>, name: &str) -> std::io::Result<Tls> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        Tls::shake(ClientConnection::new(config.clone(), name).unwrap(), socket)
    }

    /// The certificate of the server.
    pub fn shown(&self) -> CertificateDer<'static> {
        self.0.conn.peer_certificates().unwrap()[0].clone().into_owned()
    }

    /// An HTTP client over this connection.
    pub fn client(self) -> Client {
        Client::through(Box::new(self))
    }
}

impl Tls<ServerConnection> {
    /// Completes a handshake with a client that has connected.
    pub fn accept(socket: TcpStream, config: &Arc<ServerConfig>) -> std::io::Result<Self> {
        Tls::shake(ServerConnection::new(config.clone()).unwrap(), socket)
    }
}

impl<C, S> Tls<C>
where
    C: DerefMut<Target = ConnectionCommon<S>>,
    S: SideData,
{
    pub fn shake(mut session: C, mut socket: TcpStream) -> std::io::Result<Tls<C>> {
        socket.set_read_timeout(Some(DEADLINE))?;
        socket.set_write_timeout(Some(DEADLINE))?;
        while session.is_handshaking() {
            session.complete_io(&mut socket)?;
        }
        Ok(Tls(StreamOwned::new(session, socket)))
    }
}

impl<C, S> Read for Tls<C>
where
    C: DerefMut<Target = ConnectionCommon<S>>,
    S: SideData,
{
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(into)
    }
}

impl<C, S> Write for Tls<C>
where
    C: DerefMut<Target = ConnectionCommon<S>>,
    S: SideData,
{
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

impl<C, S> Transport for Tls<C>
where
    C: DerefMut<Target = ConnectionCommon<S>> + Send,
    S: SideData,
{
    fn socket(&self) -> &TcpStream {
        &self.0.sock
    }

    fn finish(&mut self) {
        self.0.conn.send_close_notify();
        let _ = self.flush();
        let _ = self.0.sock.shutdown(Shutdown::Write);
    }
}
