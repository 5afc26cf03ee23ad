//! `handshake PORT CONNECTIONS SECONDS 1.2|1.3 new|resumed`: opens TLS connections of this version as fast as
//! possible, so many at once. Sends one request on each, closes it, and prints their number and their times
//! as JSON.
//!
//! All servers use one cipher suite and one key exchange group, so that they do equal work. A connection with
//! another group fails, and with `resumed` one with a full handshake.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, Tls12Resumption};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, HandshakeKind, NamedGroup, SignatureScheme,
    SupportedCipherSuite,
};

/// The longest read or write before the connection counts as failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Responses are small.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// The measurements of one thread, or of all threads.
#[derive(Default)]
struct Tally {
    /// The time from the first packet to the end of the response, for every connection that got one.
    times: Vec<Duration>,
    /// Connections without a response of 200, or with a handshake of the wrong kind or group.
    failed: usize,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [port, connections, seconds, version, kind] = &words[..] else {
        return usage();
    };
    let (Ok(port), Ok(connections), Ok(seconds)) =
        (port.parse::<u16>(), connections.parse::<u32>(), seconds.parse::<f64>())
    else {
        return usage();
    };
    let suite = match &version[..] {
        "1.2" => cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        "1.3" => cipher_suite::TLS13_AES_128_GCM_SHA256,
        _ => return usage(),
    };
    let kind = match &kind[..] {
        "new" => HandshakeKind::Full,
        "resumed" => HandshakeKind::Resumed,
        _ => return usage(),
    };
    let start = Instant::now();
    let end = start + Duration::from_secs_f64(seconds);
    let threads: Vec<_> =
        (0..connections).map(|_| thread::spawn(move || shake_hands(port, suite, kind, end))).collect();
    let mut all = Tally::default();
    for thread in threads {
        let tally = thread.join().expect("a thread that does not panic");
        all.times.extend(tally.times);
        all.failed += tally.failed;
    }
    all.times.sort_unstable();
    let told = writeln!(io::stdout(), "{}", all.json(start.elapsed()));
    told.expect("a reader of standard output");
}

fn usage() {
    eprintln!("usage: handshake PORT CONNECTIONS SECONDS 1.2|1.3 new|resumed");
    std::process::exit(2);
}

impl Tally {
    /// Times must be sorted.
    fn json(&self, seconds: Duration) -> String {
        let at = |share: f64| {
            let last = self.times.len().saturating_sub(1);
            let time = self.times.get((last as f64 * share).round() as usize);
            time.map_or(0.0, |time| time.as_secs_f64() * 1e6)
        };
        format!(
            "{{\"requests\": {}, \"seconds\": {}, \"failed\": {}, \"p50\": {:.1}, \"p99\": {:.1}}}",
            self.times.len(),
            seconds.as_secs_f64(),
            self.failed,
            at(0.5),
            at(0.99)
        )
    }
}

/// Opens one connection after the other until `end`, with the tickets of this thread's earlier connections.
fn shake_hands(port: u16, suite: SupportedCipherSuite, kind: HandshakeKind, end: Instant) -> Tally {
    let config = Arc::new(config(suite, kind));
    let mut tally = Tally::default();
    if kind == HandshakeKind::Resumed
        && let Err(error) = connect(port, &config)
    {
        eprintln!("the first connection: {error}");
        tally.failed += 1;
    }
    while Instant::now() < end {
        let begin = Instant::now();
        match connect(port, &config) {
            Ok(was) if was == kind => tally.times.push(begin.elapsed()),
            Ok(was) => {
                eprintln!("the handshake was {was:?}");
                tally.failed += 1;
            }
            Err(error) => {
                eprintln!("{error}");
                tally.failed += 1;
            }
        }
    }
    tally
}

/// The version is that of the cipher suite.
fn config(suite: SupportedCipherSuite, kind: HandshakeKind) -> ClientConfig {
    let provider = Arc::new(CryptoProvider {
        cipher_suites: vec![suite],
        // The second group is for signatures: in TLS 1.2, servers read the list for them, too.
        kx_groups: vec![kx_group::X25519, kx_group::SECP256R1],
        ..aws_lc_rs::default_provider()
    });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[suite.version()])
        .expect("the version of the cipher suite")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    if kind == HandshakeKind::Full {
        // The client asks for tickets, like any client, and then discards them.
        config.resumption = Resumption::disabled().tls12_resumption(Tls12Resumption::SessionIdOrTickets);
    }
    config
}

/// Opens one connection for one exchange. Returns the kind of its handshake.
fn connect(port: u16, config: &Arc<ClientConfig>) -> io::Result<HandshakeKind> {
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    let mut session = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
    let mut tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    tcp.set_nodelay(true)?;
    tcp.set_read_timeout(Some(PATIENCE))?;
    tcp.set_write_timeout(Some(PATIENCE))?;
    let mut answer = Vec::new();
    let mut stream = rustls::Stream::new(&mut session, &mut tcp);
    stream.write_all(REQUEST)?;
    let read = stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer);
    match read {
        // Some servers close without `close_notify`, but not in the middle of a response.
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error),
        _ if !answer.ends_with(b"\r\n\r\nok") => return Err(io::Error::other("the answer is cut off")),
        _ if !answer.starts_with(b"HTTP/1.1 200 ") => return Err(io::Error::other("not a 200")),
        _ => {}
    }
    if session.negotiated_key_exchange_group().is_some_and(|group| group.name() != NamedGroup::X25519) {
        return Err(io::Error::other("the keys are not by X25519"));
    }
    session.handshake_kind().ok_or_else(|| io::Error::other("the handshake did not end"))
}

/// Accepts every certificate: the client's work is not measured, and it uses time of its core.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
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
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
